//! How rare the words of a query are, judged by a sample of the documents (T-23).
//!
//! An index of words walks through the list of each word that it is asked for. A word that most documents have is a long list
//! and leaves nothing out, so it is not asked for but looked up in what the others find.

/// So many documents are looked at.
const SAMPLE: usize = 96;

/// Words that no document of the sample has are all worth asking for, as far as they are so many: which of them is the rarest
/// cannot be told.
const MOST_ABSENT: usize = 8;
/// Of words that some have, so many.
const MOST_PRESENT: usize = 3;
/// What this part of the documents has is not asked for where there is something rarer.
const FREQUENT: usize = 4;

/// The tokens of some documents, from all ages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchSample(Vec<Vec<i32>>);

impl SearchSample {
    /// Of the tokens of each document.
    #[must_use]
    pub fn of(mut documents: Vec<Vec<i32>>) -> Self {
        documents.iter_mut().for_each(|tokens| tokens.sort_unstable());
        Self(documents)
    }

    /// The places of the documents to look at, of so many: evenly over all.
    #[must_use]
    pub fn places(documents: i64) -> Vec<i64> {
        let sample = i64::try_from(SAMPLE).unwrap_or(1);
        let mut places: Vec<i64> =
            (0..sample).map(|n| documents.saturating_mul(n) / sample).collect();
        places.dedup();
        places
    }

    /// Those of a query's tokens that leave out the most: at least one, if there is any.
    #[must_use]
    pub fn rarest(&self, tokens: &[i32]) -> Vec<i32> {
        let mut counted: Vec<(usize, i32)> =
            tokens.iter().map(|token| (self.having(*token), *token)).collect();
        counted.sort_unstable();
        let absent = counted.iter().take_while(|(having, _)| *having == 0).count().min(MOST_ABSENT);
        let kept = counted.iter().enumerate().take_while(|(rank, (having, _))| {
            *rank == 0
                || *rank < absent
                || (*rank < MOST_PRESENT && *having * FREQUENT < self.0.len())
        });
        kept.map(|(_, (_, token))| *token).collect()
    }

    /// Whether a document of the sample has all of them: then the newest few thousand have a page of them.
    #[must_use]
    pub fn is_frequent(&self, tokens: &[i32]) -> bool {
        self.0
            .iter()
            .any(|document| tokens.iter().all(|token| document.binary_search(token).is_ok()))
    }

    fn having(&self, token: i32) -> usize {
        self.0.iter().filter(|document| document.binary_search(&token).is_ok()).count()
    }
}
