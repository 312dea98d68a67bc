//! What became of a ticket's promises when they were computed anew: before and after (T-05, T-06).

use super::{
    clock::ClockEntry,
    ticket::Ticket,
    word::{Text, coded},
};

coded! {
    /// What became of a promise.
    Outcome {
        /// Goes on as it was promised.
        Kept = "kept",
        /// Taken up, with the deadline where it was or none while it pauses.
        TakenUp = "taken_up",
        /// Due sooner.
        Sooner = "sooner",
        /// Due later.
        Later = "later",
        /// Overdue at once.
        Overdue = "overdue",
        /// Promised for the first time.
        Begun = "begun",
    }
}

impl Outcome {
    /// Why, in both languages.
    #[must_use]
    pub fn why(self) -> Text {
        let (en, zh) = match self {
            Self::Kept => (
                "no rule of the new version takes it up, or one that promises just the same",
                "新版制度没有承接它的规则，或承诺完全相同，按原承诺继续",
            ),
            Self::TakenUp => {
                ("taken up by the new version; the deadline stays", "由新版制度承接，截止时间不变")
            }
            Self::Sooner => (
                "taken up by the new version with what was used up and every pause; due sooner",
                "由新版制度承接，已用时间与暂停均保留，截止时间提前",
            ),
            Self::Later => (
                "taken up by the new version with what was used up and every pause; due later",
                "由新版制度承接，已用时间与暂停均保留，截止时间推后",
            ),
            Self::Overdue => (
                "what was used up is more than the new version allows: overdue as of now",
                "已用时间超过新版制度的时限，自现在起逾期",
            ),
            Self::Begun => ("promised by the new version for the first time", "新版制度新增的承诺"),
        };
        Text::new(en, zh)
    }
}

/// A promise before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// What became of it.
    pub outcome: Outcome,
    /// Before; none for one that began.
    pub before: Option<ClockEntry>,
    /// After.
    pub after: ClockEntry,
}

/// Compares the promises of the present cycle that ran or paused before, and those that began, in the order of the ledger.
#[must_use]
pub fn compare(before: &Ticket, after: &Ticket) -> Vec<Comparison> {
    let mut begun: Vec<&ClockEntry> = after.clocks.iter().skip(before.clocks.len()).collect();
    let mut found = Vec::new();
    for (was, is) in before.clocks.iter().zip(&after.clocks) {
        if !was.is_live() || was.cycle != before.cycle {
            continue;
        }
        let from = |clock: &&ClockEntry| {
            clock.revisions.last().is_some_and(|revision| revision.from_rule == was.rule)
        };
        let taken = begun.iter().position(from).map(|place| begun.remove(place));
        found.push(match taken {
            Some(next) => Comparison {
                outcome: outcome(was, next),
                before: Some(was.clone()),
                after: next.clone(),
            },
            None => {
                Comparison { outcome: Outcome::Kept, before: Some(was.clone()), after: is.clone() }
            }
        });
    }
    let first = |clock: &ClockEntry| Comparison {
        outcome: Outcome::Begun,
        before: None,
        after: clock.clone(),
    };
    found.extend(begun.into_iter().map(first));
    found
}

fn outcome(before: &ClockEntry, after: &ClockEntry) -> Outcome {
    match (before.due, after.due) {
        _ if after.breached_at.is_some() => Outcome::Overdue,
        (Some(was), Some(is)) if is < was => Outcome::Sooner,
        (Some(was), Some(is)) if is > was => Outcome::Later,
        _ => Outcome::TakenUp,
    }
}
