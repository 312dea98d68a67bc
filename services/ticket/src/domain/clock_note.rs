//! What stands beside a clock in the ledger: announced delays, changes of severity, steps taken.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kefu_calendar::DueError;
use uuid::Uuid;

use super::{
    counting::Counting,
    policy::ClockRule,
    word::{ReceiverLevel, Severity, Subject},
};

/// The owner said before the deadline that it will not finish in time (T-08).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// When it was said; not after the deadline.
    pub at: Timestamp,
    /// The new date; after the deadline as it stood then.
    pub new_due: Timestamp,
    /// Why, for the customer.
    pub reason: String,
    /// Who said it.
    pub by: Subject,
}

/// A change that moved the deadline (T-06).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: Subject,
    /// What changed.
    pub cause: Cause,
    /// The rule that promised before.
    pub from_rule: Arc<str>,
    /// The deadline before; none if it paused.
    pub previous_due: Option<Timestamp>,
}

/// What moved a deadline (T-06).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// How much the ticket weighs.
    Severity {
        /// Before.
        from: Severity,
        /// After.
        to: Severity,
    },
    /// The policy version by which it is promised.
    Policy {
        /// Before.
        from: Uuid,
        /// After.
        to: Uuid,
    },
}

/// A step of escalation as the policy writes it (T-07).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRule {
    /// Unique in the rule.
    pub name: Arc<str>,
    /// When it is taken.
    pub when: StepTime,
    /// Which receiver level is told.
    pub notify: Option<ReceiverLevel>,
    /// To which level the ticket is raised if it is below.
    pub raise_to: Option<ReceiverLevel>,
}

/// When a step is taken, in the kind of time of the rule's target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepTime {
    /// At so many hundredths of the target.
    Percent(u32),
    /// So long before the deadline.
    Before(Duration),
    /// So long after it.
    After(Duration),
}

/// A step of escalation of one clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name in the rule.
    pub name: Arc<str>,
    /// When it is taken; none while the clock pauses. Kept like the deadline, not recomputed.
    pub at: Option<Timestamp>,
    /// When it was time and it was taken; never unmade.
    pub taken_at: Option<Timestamp>,
}

/// What a timeline and a rule make of a promise.
pub(super) struct Deadlines {
    pub due: Option<Timestamp>,
    pub warn_at: Option<Timestamp>,
    pub steps: Vec<Step>,
}

impl Deadlines {
    pub fn of(counting: &Counting<'_>, rule: Option<&ClockRule>) -> Result<Self, DueError> {
        let warn = rule.and_then(|rule| rule.warn_percent);
        Self::by(counting, warn, rule.map(|rule| rule.steps.as_slice()).unwrap_or_default())
    }

    /// With a warning at so many hundredths of the target, and these steps.
    pub fn by(
        counting: &Counting<'_>,
        warn: Option<u32>,
        steps: &[StepRule],
    ) -> Result<Self, DueError> {
        let due = counting.due()?;
        let warn = warn.map(|percent| counting.at_share(percent)).transpose()?;
        let target = counting.target();
        let steps = steps.iter().map(|step| {
            let at = match step.when {
                StepTime::Percent(percent) => counting.at_share(percent)?,
                StepTime::Before(time) => counting.reaches(target.saturating_sub(time))?,
                StepTime::After(time) => counting.reaches(target.saturating_add(time))?,
            };
            Ok(Step { name: step.name.clone(), at, taken_at: None })
        });
        Ok(Self { due, warn_at: warn.flatten(), steps: steps.collect::<Result<_, _>>()? })
    }

    /// With nothing before `at`: what a new target makes overdue is due when it was made so. While
    /// it pauses, nobody knows the deadline.
    pub fn not_before(mut self, at: Timestamp, paused: bool) -> Self {
        let later = |time: Option<Timestamp>| time.map(|time| time.max(at)).filter(|_| !paused);
        self.due = later(self.due);
        self.warn_at = later(self.warn_at);
        for step in &mut self.steps {
            step.at = later(step.at);
        }
        self
    }

    /// With the steps that were taken before.
    pub fn after(mut self, taken: &[Step]) -> Self {
        for step in &mut self.steps {
            let before = taken.iter().find(|before| before.name == step.name);
            if let Some(before) = before.filter(|before| before.taken_at.is_some()) {
                *step = before.clone();
            }
        }
        self
    }
}
