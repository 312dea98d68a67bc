//! The clock ledger: one entry per ticket, rule, cycle and round (T-05 to T-08).
//!
//! An entry is live while it runs or pauses, and live once only: fulfilled, breached or cancelled
//! it never runs again. A ticket has at most one live entry per rule.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kefu_calendar::{DueError, Timeline};

use super::{
    clock_note::{Announcement, Deadlines, Revision, Step},
    counting::Counting,
    policy::{ClockRule, Policy},
    terms::{Era, Terms},
    word::{ClockKind, Subject, coded},
};

/// What holds a promise up from its solution to the reopening (T-06), in both languages.
const SOLVED: &str = "solved, until it was reopened / 已处理，至重开为止";

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
        /// The ticket was merged, and the survivor answers for what was promised (T-04).
        Merged = "merged",
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
    /// Counts the promises of this rule in the cycle from 1.
    pub round: u32,
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
    /// Who was answerable for it then, whatever the policy makes of that (T-05); none in what was broken before this was noted.
    pub answerable: Option<Subject>,
    /// That it was fulfilled.
    pub fulfilled: Option<Fulfilment>,
    /// When it ended without need.
    pub cancelled_at: Option<Timestamp>,
    /// When its ticket was merged, while that holds (T-04). Nothing comes of it meanwhile; once it holds no more, it is as
    /// if it never had.
    pub merged_at: Option<Timestamp>,
    /// The steps of its escalation, in the order of the rule.
    pub steps: Vec<Step>,
    /// The delays announced before the deadline, oldest first. They move nothing (T-08).
    pub announcements: Vec<Announcement>,
    /// The changes of severity or policy version that moved the deadline, oldest first.
    pub revisions: Vec<Revision>,
    /// By which policy version it is promised; on its calendar counts what no earlier stretch covers.
    pub terms: Terms,
    /// The earlier stretches of its time, in order, that count on other calendars.
    pub eras: Vec<Era>,
}

/// What a clock does when its time comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    /// Warns the owner.
    Warn,
    /// Is broken.
    Breach,
    /// Takes the step at this place of [`ClockEntry::steps`].
    Step(usize),
}

impl ClockEntry {
    /// A promise that starts to run.
    ///
    /// # Errors
    /// If the calendar does not reach the deadline within its horizon.
    pub fn start(
        rule: &ClockRule,
        (terms, registered): (&Terms, &Policy),
        cycle: u32,
        at: Timestamp,
    ) -> Result<Self, DueError> {
        let timeline = Timeline::new(at, rule.target);
        Self::new(rule, cycle, timeline, (terms, registered), Vec::new())
    }

    /// With the deadlines that its timeline gives by these terms.
    fn new(
        rule: &ClockRule,
        cycle: u32,
        timeline: Timeline,
        (terms, registered): (&Terms, &Policy),
        eras: Vec<Era>,
    ) -> Result<Self, DueError> {
        let counting = Counting::new(&timeline, &eras, terms, registered);
        let Deadlines { due, warn_at, steps } = Deadlines::of(&counting, Some(rule))?;
        Ok(Self {
            rule: rule.name.clone(),
            kind: rule.kind,
            cycle,
            round: 1,
            timeline,
            due,
            warn_at,
            warned_at: None,
            breached_at: None,
            answerable: None,
            fulfilled: None,
            cancelled_at: None,
            merged_at: None,
            steps,
            announcements: Vec::new(),
            revisions: Vec::new(),
            terms: terms.clone(),
            eras,
        })
    }

    /// What counts of its time, and how much.
    pub(super) fn counting<'a>(&'a self, registered: &'a Policy) -> Counting<'a> {
        Counting::new(&self.timeline, &self.eras, &self.terms, registered)
    }

    /// Its stretches up to `at` if it goes on by these terms from then on.
    fn eras_before(&self, terms: &Terms, at: Timestamp) -> Vec<Era> {
        let ends = (self.terms != *terms).then(|| Era { terms: self.terms.clone(), until: at });
        self.eras.iter().cloned().chain(ends).collect()
    }

    /// The promise as the next cycle takes it up: it goes on where it stood when it was kept, and
    /// the time until `at` is a pause (T-06). None where nothing is left of it.
    pub(super) fn reopened(
        &self,
        rule: &ClockRule,
        (terms, registered): (&Terms, &Policy),
        at: Timestamp,
    ) -> Result<Option<Self>, DueError> {
        let Some(kept) = self.fulfilled.as_ref().filter(|_| self.breached_at.is_none()) else {
            return Ok(None);
        };
        let mut timeline = self.timeline.clone();
        timeline.retarget(rule.target);
        let held = timeline.pause(kept.at, SOLVED).and_then(|()| timeline.resume(at));
        let eras = self.eras_before(terms, at);
        let left = Counting::new(&timeline, &eras, terms, registered).remaining_at(at);
        if held.is_err() || left.is_zero() {
            return Ok(None);
        }
        let mut next = Self::new(rule, self.cycle + 1, timeline, (terms, registered), eras)?;
        next.move_to(next.deadlines().not_before(at, false).after(&self.steps));
        next.warned_at = self.warned_at;
        Ok(Some(next))
    }

    fn deadlines(&self) -> Deadlines {
        Deadlines { due: self.due, warn_at: self.warn_at, steps: self.steps.clone() }
    }

    fn move_to(&mut self, Deadlines { due, warn_at, steps }: Deadlines) {
        (self.due, self.warn_at, self.steps) = (due, warn_at, steps);
    }

    /// The promise under another rule of the same kind: what was used up and every pause count
    /// towards the new target. What that makes overdue is due at `revision.at` (T-06).
    pub(super) fn revised(
        &self,
        rule: &ClockRule,
        (terms, registered): (&Terms, &Policy),
        revision: Revision,
    ) -> Result<Self, DueError> {
        let mut timeline = self.timeline.clone();
        timeline.retarget(rule.target);
        let (at, paused) = (revision.at, timeline.is_paused());
        let eras = self.eras_before(terms, at);
        let mut next = Self::new(rule, self.cycle, timeline, (terms, registered), eras)?;
        next.move_to(next.deadlines().not_before(at, paused));
        next.announcements = self.announcements.clone();
        next.revisions = self.revisions.iter().cloned().chain([revision]).collect();
        Ok(next)
    }

    /// The promise by another policy version: the same, and who was warned is not warned again, nor is a step taken twice.
    pub(super) fn recomputed(
        &self,
        rule: &ClockRule,
        (terms, registered): (&Terms, &Policy),
        revision: Revision,
    ) -> Result<Self, DueError> {
        let mut next = self.revised(rule, (terms, registered), revision)?;
        next.warned_at = self.warned_at;
        next.move_to(next.deadlines().after(&self.steps));
        Ok(next)
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
            (None, None, None) if self.merged_at.is_some() => ClockState::Merged,
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
        let runs = self.state() == ClockState::Running;
        if !runs && !self.is_overdue() {
            return None;
        }
        let warn = self.warn_at.filter(|_| runs && self.warned_at.is_none());
        let warn = warn.map(|at| (at, Alarm::Warn));
        let breach = self.due.filter(|_| runs).map(|at| (at, Alarm::Breach));
        let steps = self.steps.iter().enumerate().filter(|(_, step)| step.taken_at.is_none());
        let steps = steps.filter_map(|(place, step)| Some((step.at?, Alarm::Step(place))));
        warn.into_iter().chain(breach).chain(steps).min()
    }

    /// Whether it was broken and still waits to be fulfilled.
    #[must_use]
    pub fn is_overdue(&self) -> bool {
        self.breached_at.is_some() && self.is_unsettled() && self.merged_at.is_none()
    }

    /// Whether it was neither fulfilled nor ended without need: what a merge puts to rest (T-04).
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        self.fulfilled.is_none() && self.cancelled_at.is_none()
    }

    /// Whether something can still become of it by itself.
    pub(super) fn is_pending(&self) -> bool {
        self.is_live() || self.next_alarm().is_some()
    }

    /// When it stopped to count: fulfilled, cancelled or broken, whichever is known best.
    #[must_use]
    pub fn ended_at(&self) -> Option<Timestamp> {
        let fulfilled = self.fulfilled.as_ref().map(|fulfilled| fulfilled.at);
        fulfilled.or(self.breached_at).or(self.cancelled_at).or(self.merged_at)
    }

    /// How much of the target is used up at `now`; what came after its end does not count. `registered` is the policy that
    /// judges the ticket.
    #[must_use]
    pub fn consumed_at(&self, registered: &Policy, now: Timestamp) -> Duration {
        self.counting(registered).consumed_at(self.until(now))
    }

    /// How much of the target is left at `now`; none once it is due.
    #[must_use]
    pub fn remaining_at(&self, registered: &Policy, now: Timestamp) -> Duration {
        self.counting(registered).remaining_at(self.until(now))
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

    /// The sum of its pauses that have ended, and since when it stands still (T-06).
    #[must_use]
    pub fn pauses(&self) -> (Duration, Option<Timestamp>) {
        let since = self.timeline.pauses().last().filter(|pause| pause.to.is_none());
        let since = since.map(|pause| pause.from);
        match self.ended_at() {
            Some(end) => (self.timeline.paused_at(end), None),
            None => (self.timeline.paused_at(since.unwrap_or(Timestamp::MAX)), since),
        }
    }

    /// Whether an answer of `at` would say more than what is on record: nothing is, or a later one.
    pub(super) fn is_fulfilled_by(&self, at: Timestamp) -> bool {
        let open = self.cancelled_at.is_none()
            && self.merged_at.is_none()
            && at >= self.timeline.started();
        open && self.fulfilled.as_ref().is_none_or(|fulfilled| at < fulfilled.at)
    }

    /// What resuming at `at` makes of its deadlines.
    pub(super) fn resumption(
        &self,
        registered: &Policy,
        at: Timestamp,
    ) -> Result<ClockEffect, DueError> {
        let mut timeline = self.timeline.clone();
        // Refused only if it is not paused; then its deadlines are what they were.
        _ = timeline.resume(at);
        let rule = self.terms.policy(registered).rule(&self.rule);
        let counting = Counting::new(&timeline, &self.eras, &self.terms, registered);
        let deadlines = Deadlines::of(&counting, rule)?;
        let Deadlines { due, warn_at, steps } = deadlines.not_before(at, false).after(&self.steps);
        Ok(ClockEffect::Resumed { at, due, warn_at, steps })
    }

    /// Takes an effect. Total: what does not fit leaves it as it was.
    pub(super) fn apply(&mut self, effect: &ClockEffect) {
        match effect {
            ClockEffect::Started(_) => {}
            ClockEffect::Paused { at, reason } => {
                if self.is_live() && self.timeline.pause(*at, reason.as_str()).is_ok() {
                    self.due = None;
                    self.warn_at = None;
                    let steps = self.steps.iter_mut().filter(|step| step.taken_at.is_none());
                    steps.for_each(|step| step.at = None);
                }
            }
            ClockEffect::Resumed { at, due, warn_at, steps } => {
                if self.timeline.resume(*at).is_ok() {
                    self.due = *due;
                    self.warn_at = *warn_at;
                    self.steps.clone_from(steps);
                }
            }
            ClockEffect::Stepped { step, at } => {
                let step = self.steps.iter_mut().find(|known| known.name == *step);
                if let Some(step) = step.filter(|step| step.taken_at.is_none()) {
                    step.taken_at = Some(*at);
                }
            }
            ClockEffect::Announced(announcement) => {
                if self.state() == ClockState::Running {
                    self.announcements.push(announcement.clone());
                }
            }
            ClockEffect::Warned { at } => self.warned_at = self.warned_at.or(Some(*at)),
            ClockEffect::Breached { at, answerable } => {
                if self.breached_at.is_none() {
                    (self.breached_at, self.answerable) = (Some(*at), Some(answerable.clone()));
                }
            }
            ClockEffect::Fulfilled(fulfilment) => {
                if self.is_fulfilled_by(fulfilment.at) {
                    self.fulfilled = Some(fulfilment.clone());
                }
            }
            ClockEffect::Cancelled { at } => {
                if self.is_pending() {
                    self.cancelled_at = Some(*at);
                }
            }
            ClockEffect::Merged { at } => {
                if self.is_unsettled() {
                    self.merged_at = Some(*at);
                }
            }
            ClockEffect::Unmerged => self.merged_at = None,
        }
    }
}

/// What happens to one entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockChange {
    /// Name of the rule.
    pub rule: Arc<str>,
    /// The cycle.
    pub cycle: u32,
    /// The round.
    pub round: u32,
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
        /// The steps that come of it, with those that were taken.
        steps: Vec<Step>,
    },
    /// A step of its escalation was taken.
    Stepped {
        /// Name of the step.
        step: Arc<str>,
        /// When it was time.
        at: Timestamp,
    },
    /// The owner announced a delay.
    Announced(Announcement),
    /// The owner was warned.
    Warned {
        /// When it was time.
        at: Timestamp,
    },
    /// It was broken.
    Breached {
        /// The deadline.
        at: Timestamp,
        /// Who was answerable for it.
        answerable: Subject,
    },
    /// It was fulfilled.
    Fulfilled(Fulfilment),
    /// It ended without need.
    Cancelled {
        /// When.
        at: Timestamp,
    },
    /// Its ticket was merged (T-04).
    Merged {
        /// When.
        at: Timestamp,
    },
    /// That was undone.
    Unmerged,
}
