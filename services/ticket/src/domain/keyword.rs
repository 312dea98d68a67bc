//! Words that routing rules look for, by the same likeness as forbidden phrases: whatever their letter case and width,
//! simplified or traditional, with or without what stands between their letters (T-03).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{
    phrase::{Folded, ForbiddenPhrases},
    policy_check::Faults,
    policy_draft::ForbiddenPhraseDraft,
    word::Text,
};

/// The most different words of a policy.
const MAX_WORDS: usize = 1_000;

/// All words of a policy version, found in one pass over a text.
#[derive(Clone, Debug, Default)]
pub(super) struct Keywords {
    phrases: ForbiddenPhrases,
    /// By the word as the phrases have it.
    ids: BTreeMap<Arc<str>, usize>,
    /// By what is compared.
    folded: BTreeMap<String, usize>,
}

/// Collects the words of the rules.
#[derive(Debug, Default)]
pub(super) struct Collector {
    /// By what is compared: the id, and the word as it was first written.
    words: BTreeMap<String, (usize, String)>,
}

impl Collector {
    /// The id of a word. What is no word is named.
    pub fn add(&mut self, word: &str, path: &str, faults: &mut Faults) -> usize {
        let draft = |word: &str| ForbiddenPhraseDraft {
            phrase: word.trim().to_owned(),
            suggestion: Text::new("-", "-"),
        };
        if let Err(found) = ForbiddenPhrases::check(vec![draft(word)]) {
            for fault in found {
                faults.add(path, (fault.description, fault.chinese));
            }
        }
        let next = self.words.len();
        let folded = folded(word);
        self.words.entry(folded).or_insert_with(|| (next, word.trim().to_owned())).0
    }

    /// All of them, ready to be looked for.
    pub fn finish(self, faults: &mut Faults) -> Keywords {
        if self.words.len() > MAX_WORDS {
            let has = self.words.len();
            let english = format!("must name at most {MAX_WORDS} words, has {has}");
            let chinese = format!("最多 {MAX_WORDS} 个关键词，现有 {has} 个");
            faults.add("routing_rules", (english, chinese));
            return Keywords::default();
        }
        let drafts = self.words.values().map(|(_, word)| ForbiddenPhraseDraft {
            phrase: word.clone(),
            suggestion: Text::new("-", "-"),
        });
        // A fault of one of them was named above.
        let phrases = ForbiddenPhrases::check(drafts.collect()).unwrap_or_default();
        let folded = self.words.iter().map(|(folded, (id, _))| (folded.clone(), *id)).collect();
        let ids = self.words.into_values().map(|(id, word)| (word.into(), id)).collect();
        Keywords { phrases, ids, folded }
    }
}

impl Keywords {
    /// The id of a word as it is compared.
    pub fn id(&self, folded: &str) -> Option<usize> {
        self.folded.get(folded).copied()
    }

    /// The ids of the words that are in the texts.
    pub fn found_in(&self, texts: &[&str]) -> BTreeSet<usize> {
        if self.ids.is_empty() {
            return BTreeSet::new();
        }
        let found = texts.iter().flat_map(|text| self.phrases.found_in(text));
        found.filter_map(|phrase| self.ids.get(&phrase.phrase).copied()).collect()
    }
}

/// A text as it is compared.
pub(super) fn folded(text: &str) -> String {
    Folded::of(text).text
}
