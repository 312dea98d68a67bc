//! The clock ledger: one entry per ticket, rule and cycle (T-05 to T-07).
//!
//! An entry is live while it runs or pauses, and live once only: fulfilled, breached or cancelled
//! it never runs again. A ticket has at most one live entry per rule.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kefu_calendar::{Calendar, DueError, Timeline};

use super::{
    policy::ClockRule,
    word::{ClockKind, Subject, coded},
};

coded! {
    /// Whether a promise still runs and whether it was kept.
    ClockState {
        /// Runs, deadline ahead.
        Running = "running",
        /// Stands still (T-06).
        Paused = "paused",
        /// Fulfilled in time.
        Met = "met",
        /// The deadline passed; it may have been fulfilled since.
        Breached = "breached",
        /// Ended without need.
        Cancelled = "cancelled",
    }
}

/// That a promise was fulfilled, in time or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fulfilment {
    /// As of when: for an answer, when it was sent (T-07).
    pub at: Timestamp,
    /// By whom.
    pub by: Subject,
    /// When it was entered; later than `at` where somebody entered an answer afterwards.
    pub recorded_at: Timestamp,
}

/// One promise (时限) with its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockEntry {
    /// Name of the rule in the ticket's policy.
    pub rule: Arc<str>,
    /// What is promised.
    pub kind: ClockKind,
    /// The cycle that it belongs to, from 1.
    pub cycle: u32,
    /// Its start, its target and its pauses.
    pub timeline: Timeline,
    /// The deadline as it was computed at the start or the last resumption; none while an open
    /// pause holds it up. Kept, not recomputed: a promise does not move because a time zone
    /// database was updated.
    pub due: Option<Timestamp>,
    /// When the owner is to be warned; none without a warning or while paused.
    pub warn_at: Option<Timestamp>,
    /// When the owner was warned, as of when it was time.
    pub warned_at: Option<Timestamp>,
    /// The deadline that passed. Never unmade.
    pub breached_at: Option<Timestamp>,
    /// That it was fulfilled.
    pub fulfilled: Option<Fulfilment>,
    /// When it ended without need.
    pub cancelled_at: Option<Timestamp>,
}

/// What a clock does when its time comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    /// Warns the owner.
    Warn,
    /// Is broken.
    Breach,
}

impl ClockEntry {
    /// A promise that starts to run.
    ///
    /// # Errors
    /// If the calendar does not reach the deadline within its horizon.
    pub fn start(
        rule: &ClockRule,
        calendar: &Calendar,
        cycle: u32,
        at: Timestamp,
    ) -> Result<Self, DueError> {
        let timeline = Timeline::new(at, rule.target);
        let (due, warn_at) = deadlines(&timeline, calendar, rule.warn_percent)?;
        Ok(Self {
            rule: rule.name.clone(),
            kind: rule.kind,
            cycle,
            timeline,
            due,
            warn_at,
            warned_at: None,
            breached_at: None,
            fulfilled: None,
            cancelled_at: None,
        })
    }

    /// Whether it was kept, as far as known.
    ///
    /// An answer sent before the deadline keeps the promise even if it was entered after the
    /// breach was recorded: the clock stops as of when the answer was sent (T-07). `breached_at`,
    /// the proposed violation and the escalation stay on record; a supervisor dismisses the
    /// violation on seeing that.
    #[must_use]
    pub fn state(&self) -> ClockState {
        match (&self.fulfilled, self.breached_at, self.cancelled_at) {
            (Some(fulfilled), Some(breached), _) if fulfilled.at < breached => ClockState::Met,
            (_, Some(_), _) => ClockState::Breached,
            (Some(_), None, _) => ClockState::Met,
            (None, None, Some(_)) => ClockState::Cancelled,
            (None, None, None) if self.timeline.is_paused() => ClockState::Paused,
            (None, None, None) => ClockState::Running,
        }
    }

    /// Whether it runs or pauses.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.state(), ClockState::Running | ClockState::Paused)
    }

    /// When it next has something to do; none while it pauses and once it ended.
    #[must_use]
    pub fn next_fire_at(&self) -> Option<Timestamp> {
        self.next_alarm().map(|(at, _)| at)
    }

    /// When it next has something to do, and what.
    #[must_use]
    pub fn next_alarm(&self) -> Option<(Timestamp, Alarm)> {
        if self.state() != ClockState::Running {
            return None;
        }
        let warn = self.warn_at.filter(|_| self.warned_at.is_none());
        let warn = warn.map(|at| (at, Alarm::Warn));
        warn.into_iter().chain(self.due.map(|at| (at, Alarm::Breach))).min()
    }

    /// When it stopped to count: fulfilled, cancelled or broken, whichever is known best.
    #[must_use]
    pub fn ended_at(&self) -> Option<Timestamp> {
        let fulfilled = self.fulfilled.as_ref().map(|fulfilled| fulfilled.at);
        fulfilled.or(self.cancelled_at).or(self.breached_at)
    }

    /// How much of the target is used up at `now`; what came after its end does not count.
    #[must_use]
    pub fn consumed_at(&self, calendar: &Calendar, now: Timestamp) -> Duration {
        self.timeline.consumed_at(calendar, self.until(now))
    }

    /// How much of the target is left at `now`; none once it is due.
    #[must_use]
    pub fn remaining_at(&self, calendar: &Calendar, now: Timestamp) -> Duration {
        self.timeline.remaining_at(calendar, self.until(now))
    }

    /// The sum of its pauses up to `now`, in elapsed time (T-06); what came after its end does not count.
    #[must_use]
    pub fn paused_at(&self, now: Timestamp) -> Duration {
        self.timeline.paused_at(self.until(now))
    }

    /// `now`, or its end if that was before.
    pub(super) fn until(&self, now: Timestamp) -> Timestamp {
        self.ended_at().map_or(now, |end| end.min(now))
    }

    /// Whether an answer of `at` would say more than what is on record: nothing is, or a later one.
    pub(super) fn is_fulfilled_by(&self, at: Timestamp) -> bool {
        let open = self.cancelled_at.is_none() && at >= self.timeline.started();
        open && self.fulfilled.as_ref().is_none_or(|fulfilled| at < fulfilled.at)
    }

    /// What resuming at `at` makes of its deadlines.
    pub(super) fn resumption(
        &self,
        calendar: &Calendar,
        warn_percent: Option<u32>,
        at: Timestamp,
    ) -> Result<ClockEffect, DueError> {
        let mut timeline = self.timeline.clone();
        // Refused only if it is not paused; then its deadlines are what they were.
        _ = timeline.resume(at);
        let (due, warn_at) = deadlines(&timeline, calendar, warn_percent)?;
        Ok(ClockEffect::Resumed { at, due, warn_at })
    }

    /// Takes an effect. Total: what does not fit leaves it as it was.
    pub(super) fn apply(&mut self, effect: &ClockEffect) {
        match effect {
            ClockEffect::Started(_) => {}
            ClockEffect::Paused { at, reason } => {
                if self.is_live() && self.timeline.pause(*at, reason.as_str()).is_ok() {
                    self.due = None;
                    self.warn_at = None;
                }
            }
            ClockEffect::Resumed { at, due, warn_at } => {
                if self.timeline.resume(*at).is_ok() {
                    self.due = *due;
                    self.warn_at = *warn_at;
                }
            }
            ClockEffect::Warned { at } => self.warned_at = self.warned_at.or(Some(*at)),
            ClockEffect::Breached { at } => self.breached_at = self.breached_at.or(Some(*at)),
            ClockEffect::Fulfilled(fulfilment) => {
                if self.is_fulfilled_by(fulfilment.at) {
                    self.fulfilled = Some(fulfilment.clone());
                }
            }
            ClockEffect::Cancelled { at } => {
                if self.is_live() {
                    self.cancelled_at = Some(*at);
                }
            }
        }
    }
}

type Deadlines = (Option<Timestamp>, Option<Timestamp>);

fn deadlines(
    timeline: &Timeline,
    calendar: &Calendar,
    warn_percent: Option<u32>,
) -> Result<Deadlines, DueError> {
    let due = timeline.due(calendar)?;
    let warn = warn_percent.map(|percent| timeline.at_share(calendar, percent));
    Ok((due, warn.transpose()?.flatten()))
}

/// What happens to one entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockChange {
    /// Name of the rule.
    pub rule: Arc<str>,
    /// The cycle.
    pub cycle: u32,
    /// What happens.
    pub effect: ClockEffect,
}

/// What can happen to an entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClockEffect {
    /// It is new.
    Started(Box<ClockEntry>),
    /// It stands still from then on.
    Paused {
        /// From when on.
        at: Timestamp,
        /// What for.
        reason: String,
    },
    /// It goes on.
    Resumed {
        /// From when on.
        at: Timestamp,
        /// The deadline that comes of it.
        due: Option<Timestamp>,
        /// The warning that comes of it.
        warn_at: Option<Timestamp>,
    },
    /// The owner was warned.
    Warned {
        /// When it was time.
        at: Timestamp,
    },
    /// It was broken.
    Breached {
        /// The deadline.
        at: Timestamp,
    },
    /// It was fulfilled.
    Fulfilled(Fulfilment),
    /// It ended without need.
    Cancelled {
        /// When.
        at: Timestamp,
    },
}
