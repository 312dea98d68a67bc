//! Suggestions for improvement (改进建议), T-21: up to a named decision maker, and back with a decision.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    step::{Need, Step, StepRefusal, wrong_field},
    word::{Subject, Words, coded},
    work_order::StepTaken,
};

/// The most decisions about one suggestion.
const MAX_DECISIONS: usize = 50;

/// A suggestion. Changed by [`decide_suggestion`] and [`remind`] alone; the fields are open for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// Its identity.
    pub id: Uuid,
    /// Whose matter it is.
    pub org_unit: String,
    /// The tickets that it is drawn from.
    pub tickets: Vec<Uuid>,
    /// In a line.
    pub title: String,
    /// What is suggested and why.
    pub body: String,
    /// Who made it.
    pub proposer: Subject,
    /// Who has to decide.
    pub decision_maker: Subject,
    /// The decisions, oldest first; all but the last are deferrals.
    pub decisions: Vec<SuggestionDecision>,
    /// By when a decision is due; none where there is no such time.
    pub due: Option<Timestamp>,
    /// When the decision maker was reminded of that.
    pub reminded: Option<Timestamp>,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When it was last changed; never goes back.
    pub updated_at: Timestamp,
    /// Counts the changes from 1.
    pub revision: i64,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuggestionDecision {
    /// What becomes of it.
    pub outcome: SuggestionState,
    /// Why.
    pub reason: String,
    /// Until when it is deferred.
    pub until: Option<Timestamp>,
    /// By whom, when.
    pub decided: StepTaken,
}

coded! {
    /// Where a suggestion stands.
    SuggestionState {
        /// It waits for its first decision.
        Submitted = "submitted",
        /// It will be done.
        Accepted = "accepted",
        /// It will not.
        Rejected = "rejected",
        /// It will be decided later.
        Deferred = "deferred",
    }
}

const UNDECIDED: Need =
    Need::new("undecided", "the suggestion was decided already", "该建议已有决定");
const DECISIONS: Need = Need::new(
    "decisions",
    "the suggestion was deferred as often as it may be",
    "该建议已达最多延期次数",
);
const DECISION_MAKER: Need = Need::new(
    "decision_maker",
    "only the decision maker may decide, whoever stands in for him, or a superior who may overrule",
    "只有指定的决策人、其代理人或有权代为决定的上级可以决定",
);
const NOT_PROPOSER: Need = Need::new(
    "not_proposer",
    "nobody decides on a suggestion of its own",
    "不得决定本人提出的建议",
);

impl Suggestion {
    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> SuggestionState {
        self.decisions.last().map_or(SuggestionState::Submitted, |last| last.outcome)
    }

    /// Whether it is still to be decided.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.state(), SuggestionState::Submitted | SuggestionState::Deferred)
    }

    /// When the timers have to look at it.
    #[must_use]
    pub fn next_fire_at(&self) -> Option<Timestamp> {
        self.due.filter(|_| self.is_open() && self.reminded.is_none())
    }

    fn changed(&self, now: Timestamp) -> Self {
        let mut next = self.clone();
        next.revision += 1;
        next.updated_at = now.max(self.updated_at);
        next
    }
}

/// Submits a suggestion.
///
/// # Errors
/// [`StepRefusal::Fields`] for one that its proposer would decide.
pub fn submit_suggestion(suggestion: Suggestion) -> Result<Suggestion, StepRefusal> {
    if suggestion.proposer == suggestion.decision_maker {
        let description = ("must be somebody else than the proposer", "须为建议人以外的人");
        return wrong_field("suggestion.decision_maker", description);
    }
    Ok(suggestion)
}

/// That a decision is due and has not come, once. A timer comes at that time itself, a decision then is still in time.
#[must_use]
pub fn remind(suggestion: &Suggestion, now: Timestamp, is_timer: bool) -> Option<Suggestion> {
    suggestion.next_fire_at().filter(|due| *due < now || (is_timer && *due == now))?;
    let mut next = suggestion.changed(now);
    next.reminded = Some(next.updated_at);
    Some(next)
}

/// What a decision makes of a suggestion as of `now`; `in_place` tells whether the actor may decide in the place of the decision
/// maker: a superior, or whoever stands in for him in his absence.
///
/// # Errors
/// [`StepRefusal`]; then nothing has changed.
pub fn decide_suggestion(
    suggestion: &Suggestion,
    (outcome, reason, until): (SuggestionState, String, Option<Timestamp>),
    (actor, in_place): (&Subject, bool),
    now: Timestamp,
) -> Result<Suggestion, StepRefusal> {
    let state = suggestion.state().code();
    let step = Step { subject: "suggestion", state, command: "DecideSuggestion" };
    step.duty(*actor != suggestion.proposer, NOT_PROPOSER)?;
    step.duty(in_place || *actor == suggestion.decision_maker, DECISION_MAKER)?;
    if !suggestion.is_open() {
        return step.missing(UNDECIDED);
    }
    let mut next = suggestion.changed(now);
    let now = next.updated_at;
    match (outcome, until) {
        (SuggestionState::Deferred, Some(until)) if until > now => {
            if next.decisions.len() + 1 >= MAX_DECISIONS {
                return step.missing(DECISIONS);
            }
        }
        (SuggestionState::Deferred, _) => {
            return wrong_field("defer_until_time", Words::not_ahead(now));
        }
        (SuggestionState::Submitted, _) => {
            return wrong_field(
                "outcome",
                ("must be accepted, rejected or deferred", "须为采纳、不采纳或延期"),
            );
        }
        (_, Some(_)) => {
            return wrong_field(
                "defer_until_time",
                ("must be empty unless it is deferred", "未延期时不得填写"),
            );
        }
        (_, None) => {}
    }
    let decided = StepTaken { by: actor.clone(), at: now };
    next.decisions.push(SuggestionDecision { outcome, reason, until, decided });
    (next.due, next.reminded) = (until, None);
    Ok(next)
}
