//! Forbidden phrases (禁忌语): what must not be said to a customer, however it is disguised (T-14).
//!
//! Phrases and texts are folded the same way before they are compared: compatibility forms (full width, half width,
//! circled …) to the ordinary ones, letters to one case, traditional characters to simplified ones; what nobody sees is
//! dropped, and so is everything that is neither letter nor digit. So 垃 圾, `垃-圾` and `S.t.u.p.i.d` are found. Where it
//! begins or ends with a script that is written with spaces, a phrase is found only at the border of a word: `ass` is not
//! in `passage`. Letters of other scripts that merely look alike are other letters here.

use std::sync::{Arc, LazyLock};

use aho_corasick::{AhoCorasick, MatchKind};
use unicode_normalization::UnicodeNormalization as _;

use super::{
    policy_draft::ForbiddenPhraseDraft,
    word::{Fault, Text, Words},
};

/// The most phrases that a policy can have.
pub(crate) const MAX_PHRASES: usize = 1_000;
/// The longest phrase, in characters.
const MAX_PHRASE: usize = 100;
/// What may stand in a phrase beside letters and digits; matching does not look at it.
const PUNCTUATION: &str = " ,.!?;:'’-·，。！？；：、…";

/// One phrase that must not be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForbiddenPhrase {
    /// As the policy writes it.
    pub phrase: Arc<str>,
    /// What to say instead.
    pub suggestion: Text,
}

/// All phrases of a policy version, ready to be looked for in one pass over a text. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ForbiddenPhrases {
    phrases: Arc<[Watched]>,
    /// None where there are no phrases.
    automaton: Option<AhoCorasick>,
}

#[derive(Clone, Debug)]
struct Watched {
    phrase: ForbiddenPhrase,
    /// Whether it begins and whether it ends like a word.
    begins_word: bool,
    ends_word: bool,
}

impl ForbiddenPhrases {
    /// Checks the phrases of a policy; paths begin with the index, `[3].phrase`.
    pub(super) fn check(drafts: Vec<ForbiddenPhraseDraft>) -> Result<Self, Vec<Fault>> {
        if drafts.len() > MAX_PHRASES {
            let has = drafts.len();
            let english = format!("must have at most {MAX_PHRASES} entries, has {has}");
            let words = (english, format!("最多 {MAX_PHRASES} 项，现有 {has} 项"));
            return Err(vec![Fault::new("", words)]);
        }
        let mut faults = Vec::new();
        let mut patterns: Vec<String> = Vec::with_capacity(drafts.len());
        let mut phrases = Vec::with_capacity(drafts.len());
        let mut first = std::collections::HashMap::new();
        for (index, draft) in drafts.into_iter().enumerate() {
            if draft.suggestion == Text::default() {
                let description = ("must have a text in English or Chinese", "须有英文或中文内容");
                faults.push(Fault::new(format!("[{index}].suggestion"), description));
            }
            let folded = Folded::of(&draft.phrase).text;
            if let Some(description) = unsound(&draft.phrase, &folded) {
                faults.push(Fault::new(format!("[{index}].phrase"), description));
                continue;
            }
            if let Some(earlier) = first.insert(folded.clone(), index) {
                first.insert(folded, earlier);
                let words = (
                    format!("matches the same as forbidden_phrases[{earlier}]"),
                    format!("与 forbidden_phrases[{earlier}] 匹配的内容相同"),
                );
                faults.push(Fault::new(format!("[{index}].phrase"), words));
                continue;
            }
            phrases.push(Watched {
                phrase: ForbiddenPhrase {
                    phrase: draft.phrase.trim().into(),
                    suggestion: draft.suggestion,
                },
                begins_word: folded.chars().next().is_some_and(is_spaced_script),
                ends_word: folded.chars().next_back().is_some_and(is_spaced_script),
            });
            patterns.push(folded);
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let automaton = if patterns.is_empty() {
            None
        } else {
            let built = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&patterns);
            let unbuilt = |error| (format!("{error}"), format!("无法用于匹配：{error}"));
            Some(built.map_err(|error| vec![Fault::new("", unbuilt(error))])?)
        };
        Ok(Self { phrases: phrases.into(), automaton })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.phrases.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.phrases.is_empty()
    }

    /// Every phrase that is in a text, each once, in the order in which they first stand there.
    #[must_use]
    pub fn found_in(&self, text: &str) -> Vec<&ForbiddenPhrase> {
        let Some(automaton) = &self.automaton else { return Vec::new() };
        let folded = Folded::of(text);
        let mut seen = vec![false; self.phrases.len()];
        let mut found = Vec::new();
        for hit in automaton.find_overlapping_iter(&folded.text) {
            let index = hit.pattern().as_usize();
            let Some(watched) = self.phrases.get(index).filter(|_| !seen[index]) else { continue };
            let cuts = (watched.begins_word && folded.is_within_word(hit.start()))
                || (watched.ends_word && folded.is_within_word(hit.end()));
            if !cuts {
                seen[index] = true;
                found.push((hit.start(), index));
            }
        }
        found.sort_unstable();
        found.into_iter().map(|(_, index)| &self.phrases[index].phrase).collect()
    }

    /// Passes a text that would go to the customer, or names the field with every phrase that is in it (T-14). With
    /// `overriding`, the phrases that it is said in spite of, for the record.
    pub(super) fn judge(
        &self,
        field: &str,
        text: &str,
        overriding: bool,
    ) -> Result<Vec<Arc<str>>, Vec<Fault>> {
        let found = self.found_in(text);
        if overriding || found.is_empty() {
            return Ok(found.into_iter().map(|found| found.phrase.clone()).collect());
        }
        Err(found.into_iter().map(|found| fault(field, found)).collect())
    }
}

/// What is told of a phrase that was found.
fn fault(field: &str, found: &ForbiddenPhrase) -> Fault {
    let ForbiddenPhrase { phrase, suggestion: Text { en, zh } } = found;
    let both = |first: &str, second: &str| match (first, second) {
        ("", only) | (only, "") => only.to_owned(),
        (first, second) => format!("{first} / {second}"),
    };
    Fault {
        path: field.to_owned(),
        reason: "FORBIDDEN_PHRASE",
        description: format!("holds the forbidden phrase “{phrase}”; suggestion: {}", both(en, zh)),
        chinese: format!("含有禁忌语“{phrase}”；建议：{}", both(zh, en)),
    }
}

fn unsound(phrase: &str, folded: &str) -> Option<Words> {
    let length = phrase.chars().count();
    let wrong = |c: &char| !(c.is_alphanumeric() || PUNCTUATION.contains(*c) || is_unseen(*c));
    if folded.is_empty() {
        Some(("must have at least one letter or digit", "至少须有一个字母、汉字或数字").into())
    } else if length > MAX_PHRASE {
        let english = format!("must have at most {MAX_PHRASE} characters, has {length}");
        Some((english, format!("最多 {MAX_PHRASE} 个字符，现有 {length} 个")).into())
    } else {
        // Without it the phrase would mean more than it says: `50%` would be found in `50 kg`.
        let wrong = phrase.chars().find(wrong)?;
        let english = format!("must not have {wrong:?}, which matching does not look at");
        Some((english, format!("不得含有 {wrong:?}，匹配时不识别该字符")).into())
    }
}

/// A text as it is compared.
pub(super) struct Folded {
    pub(super) text: String,
    /// For each byte of `text` and its end: whether something between letters stood before it.
    apart: Vec<bool>,
}

impl Folded {
    pub(super) fn of(text: &str) -> Self {
        let mut folded = Self { text: String::with_capacity(text.len()), apart: Vec::new() };
        let mut apart = true;
        for c in text.nfc().filter(|c| !is_unseen(*c)).nfkc().filter(|c| !is_unseen(*c)) {
            if !c.is_alphanumeric() {
                apart = true;
                continue;
            }
            // Up and down again: some letters have two small forms, and some only a large one of two letters.
            for c in c.to_uppercase().flat_map(char::to_lowercase).filter(|c| !is_unseen(*c)) {
                folded.apart.resize(folded.text.len(), false);
                folded.apart.push(apart);
                folded.text.push(simplified(c));
                apart = false;
            }
        }
        folded.apart.resize(folded.text.len(), false);
        folded.apart.push(true);
        folded
    }

    /// Whether the two letters around a position belong to one word.
    fn is_within_word(&self, at: usize) -> bool {
        let (before, after) = self.text.split_at(at);
        !self.apart[at]
            && before.chars().next_back().is_some_and(is_spaced_script)
            && after.chars().next().is_some_and(is_spaced_script)
    }
}

/// The runs of letters and digits of a text, folded: words, where there are spaces between words, and what stands between
/// two marks, where there are none.
pub(super) fn runs(text: &str) -> Vec<String> {
    let folded = Folded::of(text);
    let mut runs: Vec<String> = Vec::new();
    for (at, c) in folded.text.char_indices() {
        match runs.last_mut().filter(|_| !folded.apart[at]) {
            Some(run) => run.push(c),
            None => runs.push(c.into()),
        }
    }
    runs
}

/// What leaves no trace on the screen or only decorates a letter: joiners, marks of direction, fillers, variation
/// selectors, tags, and combining strokes that are no part of a letter in normal form C.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}'
        | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0000}'..='\u{E0FFF}'
        | '\u{300}'..='\u{36F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}' | '\u{20D0}'..='\u{20FF}'
        | '\u{FE20}'..='\u{FE2F}')
}

/// Whether a letter or digit is of a script that is written with spaces between words. Korean is, but hangs endings to
/// its words, so the border of a word says nothing there.
pub(super) fn is_spaced_script(c: char) -> bool {
    let unspaced = matches!(c,
        '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1100}'..='\u{11FF}' | '\u{1780}'..='\u{17FF}'
        | '\u{2E80}'..='\u{A4CF}' | '\u{AC00}'..='\u{D7FF}' | '\u{F900}'..='\u{FAFF}' | '\u{1B000}'..='\u{1B16F}'
        | '\u{20000}'..='\u{3FFFF}');
    c.is_alphanumeric() && !unspaced
}

/// The ideographs that the table below covers.
const IDEOGRAPHS: std::ops::RangeInclusive<char> = '\u{3400}'..='\u{9FFF}';

/// Variants that the library's table leaves alone because they are right somewhere; here they are one with what they are
/// often written for.
const VARIANTS: &[(char, char)] = &[
    ('妳', '你'),
    ('著', '着'),
    ('藉', '借'),
    ('覆', '复'),
    ('祇', '只'),
    ('彆', '别'),
    ('峯', '峰'),
    ('羣', '群'),
    ('俬', '私'),
    ('嚐', '尝'),
    ('牠', '它'),
    ('鬪', '斗'),
    ('儍', '傻'),
    ('欵', '款'),
];

/// The simplified form of each ideograph, by its distance from the first.
static SIMPLIFIED: LazyLock<Vec<char>> = LazyLock::new(|| {
    let once = |c: char| {
        let variant = VARIANTS.iter().find(|(variant, _)| *variant == c);
        // Alone, so that what stands beside it makes no difference.
        variant
            .map(|(_, plain)| *plain)
            .or_else(|| fast2s::convert(c.encode_utf8(&mut [0; 4])).chars().next())
    };
    let settled = |c: char| {
        // A simplified form may itself stand for another; some steps settle all.
        (0..4).fold(c, |c, _| once(c).unwrap_or(c))
    };
    IDEOGRAPHS.map(settled).collect()
});

fn simplified(c: char) -> char {
    if !IDEOGRAPHS.contains(&c) {
        return c;
    }
    let index = u32::from(c) - u32::from(*IDEOGRAPHS.start());
    usize::try_from(index).ok().and_then(|index| SIMPLIFIED.get(index)).copied().unwrap_or(c)
}
