//! Why a step of one of the smaller nouns is refused: violations, corrective actions, product holds, suggestions, shifts.

use thiserror::Error;
use uuid::Uuid;

use super::word::{Fault, Words, is_chinese};

/// Something that a step needs: a stable code in lower snake case, and words for whoever was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Stable.
    pub code: &'static str,
    /// In words.
    pub en: &'static str,
    /// In Chinese words.
    pub zh: &'static str,
}

impl Need {
    /// A need. One without Chinese words is no constant: it does not compile.
    #[must_use]
    pub const fn new(code: &'static str, en: &'static str, zh: &'static str) -> Self {
        assert!(is_chinese(zh), "in Chinese");
        Self { code, en, zh }
    }
}

/// Why a step was refused. Nothing has changed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StepRefusal {
    /// The state does not allow it.
    #[error("{command} is not possible in state {state}: {}", list(missing))]
    IllegalState {
        /// What it is about, e.g. `violation`.
        subject: &'static str,
        /// Where it stands.
        state: &'static str,
        /// What was asked for.
        command: &'static str,
        /// Everything that is missing, never empty.
        missing: Vec<Need>,
    },
    /// Something is missing of several things.
    #[error("{command} is not possible in state {state}: {}: {}", missing.en, subjects.join(", "))]
    Lacking {
        /// Where it stands.
        state: &'static str,
        /// What was asked for.
        command: &'static str,
        /// What they lack.
        missing: Need,
        /// Which lack it: some of them, if there are many; never empty.
        subjects: Vec<String>,
    },
    /// Somebody else has to do that.
    #[error("{command} is not for this caller: {}", duty.en)]
    NotYours {
        /// Where it stands.
        state: &'static str,
        /// What was asked for.
        command: &'static str,
        /// Whose it is.
        duty: Need,
    },
    /// Tickets are merged: others are handled instead (T-04).
    #[error("{command} is not possible: {} of its tickets are merged", merged.len())]
    Merged {
        /// What was asked for.
        command: &'static str,
        /// Each with the one where its chain of merges ends, never empty.
        merged: Vec<(Uuid, Uuid)>,
    },
    /// Fields are wrong in a way that only what is on record can tell.
    #[error("fields are wrong")]
    Fields(
        /// Every one of them, with the field names of the request.
        Vec<Fault>,
    ),
}

fn list(missing: &[Need]) -> String {
    missing.iter().map(|missing| missing.en).collect::<Vec<_>>().join("; ")
}

/// A step on the table: what it is about, where that stands, what is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub subject: &'static str,
    pub state: &'static str,
    pub command: &'static str,
}

impl Step {
    /// Refused for lack of one thing.
    pub fn missing<T>(self, need: Need) -> Result<T, StepRefusal> {
        self.all_missing(vec![need])
    }

    /// Refused for lack of several.
    pub fn all_missing<T>(self, missing: Vec<Need>) -> Result<T, StepRefusal> {
        let Self { subject, state, command } = self;
        Err(StepRefusal::IllegalState { subject, state, command, missing })
    }

    /// Refused unless the duty is kept.
    pub fn duty(self, kept: bool, duty: Need) -> Result<(), StepRefusal> {
        let Self { state, command, .. } = self;
        if kept { Ok(()) } else { Err(StepRefusal::NotYours { state, command, duty }) }
    }
}

/// One wrong field.
pub(super) fn wrong_field<T>(path: &str, words: impl Into<Words>) -> Result<T, StepRefusal> {
    Err(StepRefusal::Fields(vec![Fault::new(path, words)]))
}
