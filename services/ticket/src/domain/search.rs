//! Full-text search: what of a text can be found (T-23, X-09).
//!
//! Texts are folded as forbidden phrases are: width, case, traditional and simplified characters make no difference. What
//! is written with spaces is found by whole words. What is not, Chinese above all, is found by its characters and pairs of
//! characters, so that any word is found inside any sentence: a dictionary would miss the names of products and places
//! that it does not know, would have to cut the query as it cut the text, and would hold tens of megabytes.
//!
//! Characters, pairs and words are kept as hashes. What has all hashes of a query may still not have its words, so whoever
//! searches looks for the words in the body as well.

use super::phrase::{is_spaced_script, runs};

/// The longest body, in bytes; what comes after it is not found.
const MAX_BODY: usize = 120_000;
/// The most words of a query.
pub const MAX_WORDS: usize = 10;
/// The longest word that is looked for, in characters.
const MAX_WORD: usize = 100;

/// A text that can be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchText {
    /// The words with a blank between them.
    pub body: String,
    /// Its hashes and those of its org units, in order, each once.
    pub tokens: Vec<i32>,
}

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchQuery {
    /// What must be in the body.
    pub words: Vec<String>,
    /// What must be among the tokens.
    pub tokens: Vec<i32>,
}

impl SearchText {
    /// Of a text at an org unit.
    #[must_use]
    pub fn of(text: &str, org_unit: &str) -> Self {
        let mut body = String::new();
        let mut tokens = Vec::new();
        for run in runs(text) {
            if body.len() + run.len() > MAX_BODY {
                break;
            }
            if !body.is_empty() {
                body.push(' ');
            }
            body.push_str(&run);
            tokens_of(&run, &mut |token| tokens.push(token));
        }
        let ends = org_unit.match_indices('/').map(|(at, _)| at).chain([org_unit.len()]);
        tokens.extend(ends.map(|end| unit_token(&org_unit[..end])));
        tokens.sort_unstable();
        tokens.dedup();
        Self { body, tokens }
    }
}

impl SearchQuery {
    /// Of the words that are looked for at and below an org unit. None if there is no letter or digit among them; an error
    /// with their number if there are too many.
    ///
    /// # Errors
    /// The number of words.
    pub fn of(text: &str, org_unit: &str) -> Result<Option<Self>, usize> {
        let mut words = runs(text);
        words.sort_unstable();
        words.dedup();
        if words.len() > MAX_WORDS {
            return Err(words.len());
        }
        if words.is_empty() {
            return Ok(None);
        }
        let mut tokens = vec![unit_token(org_unit)];
        for word in &mut words {
            if let Some((end, _)) = word.char_indices().nth(MAX_WORD) {
                word.truncate(end);
            }
            let (mut own, mut singles, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
            each_part(word, &mut |part| match part {
                Part::Word(word) => own.push(hash(b'w', word)),
                Part::Single(single) => singles.push(hash(b'n', single)),
                Part::Pair(pair) => pairs.push(hash(b'n', pair)),
            });
            // Pairs say what their single characters would, and more.
            tokens.extend(if pairs.is_empty() { singles } else { pairs });
            tokens.extend(own);
        }
        tokens.sort_unstable();
        tokens.dedup();
        Ok(Some(Self { words, tokens }))
    }
}

/// What of a run is looked for.
enum Part<'a> {
    /// Of a script with spaces.
    Word(&'a str),
    /// One character of another script.
    Single(&'a str),
    /// Two of them.
    Pair(&'a str),
}

fn tokens_of(run: &str, found: &mut impl FnMut(i32)) {
    each_part(run, &mut |part| {
        found(match part {
            Part::Word(word) => hash(b'w', word),
            Part::Single(part) | Part::Pair(part) => hash(b'n', part),
        });
    });
}

/// The parts of a run of letters and digits.
fn each_part<'a>(run: &'a str, found: &mut impl FnMut(Part<'a>)) {
    let mut word: Option<usize> = None;
    let mut before: Option<usize> = None;
    for (at, c) in run.char_indices() {
        let end = at + c.len_utf8();
        if is_spaced_script(c) {
            word = word.or(Some(at));
            before = None;
            continue;
        }
        if let Some(start) = word.take() {
            found(Part::Word(&run[start..at]));
        }
        found(Part::Single(&run[at..end]));
        if let Some(start) = before.replace(at) {
            found(Part::Pair(&run[start..end]));
        }
    }
    if let Some(start) = word {
        found(Part::Word(&run[start..]));
    }
}

/// The token of everything at and below an org unit.
fn unit_token(org_unit: &str) -> i32 {
    hash(b'u', org_unit)
}

/// FNV-1a, folded to 31 bits. It is stored, so it never changes.
fn hash(sort: u8, text: &str) -> i32 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = std::iter::once(sort).chain(text.bytes()).fold(0xcbf2_9ce4_8422_2325, step);
    i32::try_from((hash ^ (hash >> 31)) & 0x7fff_ffff).unwrap_or_default()
}

/// The words and pairs of characters of a text, hashed as in [`SearchText`], in their order and with repetitions. Single
/// characters stand for nothing but where a run has no other.
pub(super) fn parts(text: &str) -> Vec<i32> {
    let mut found = Vec::new();
    for run in runs(text) {
        let (before, mut single) = (found.len(), None);
        each_part(&run, &mut |part| match part {
            Part::Word(word) => found.push(hash(b'w', word)),
            Part::Single(only) => single = single.or(Some(hash(b'n', only))),
            Part::Pair(pair) => found.push(hash(b'n', pair)),
        });
        if found.len() == before {
            found.extend(single);
        }
    }
    found
}

/// What everything at and below an org unit has among its tokens.
#[must_use]
pub fn scope_token(org_unit: &str) -> i32 {
    unit_token(org_unit)
}
