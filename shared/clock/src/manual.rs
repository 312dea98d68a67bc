use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;
use tokio::sync::watch;

use crate::{BoxFuture, Clock, to_micros};

/// Why a manual clock was not moved. It still shows what it showed before.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ClockError {
    /// The new time lies before the present one. Timers have fired and records been written in the
    /// name of the present; going back would have them happen in the future.
    #[error("the clock stands at {now} and cannot go back to {asked}")]
    Backwards {
        /// What the clock shows.
        now: Timestamp,
        /// What was asked for.
        asked: Timestamp,
    },
    /// The new time is beyond what a timestamp can hold (year 9999).
    #[error("the clock stands at {now} and cannot advance by {by:#}")]
    OutOfRange {
        /// What the clock shows.
        now: Timestamp,
        /// The step that was asked for.
        by: SignedDuration,
    },
}

/// A clock that stands still until it is set.
///
/// Clones share one time. Setting it wakes every sleeper whose time has come, in one go: there are
/// no intermediate times, so code that has to see each deadline on the way must order its work by
/// due time, as it must after downtime.
#[derive(Clone, Debug)]
pub struct ManualClock {
    now: Arc<watch::Sender<Timestamp>>,
}

impl ManualClock {
    /// A clock that shows `start`, cut to the microsecond.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self { now: Arc::new(watch::Sender::new(to_micros(start))) }
    }

    /// Moves the clock to `to`, cut to the microsecond. Setting it to what it already shows is
    /// allowed, does nothing and wakes nobody.
    ///
    /// # Errors
    /// [`ClockError::Backwards`] if it already shows something later.
    pub fn set(&self, to: Timestamp) -> Result<(), ClockError> {
        self.step(|_| Ok(to)).map(drop)
    }

    /// Moves the clock forward by `by` and returns what it shows then. Concurrent steps add up.
    ///
    /// # Errors
    /// [`ClockError::Backwards`] if `by` is negative, [`ClockError::OutOfRange`] past year 9999.
    pub fn advance(&self, by: SignedDuration) -> Result<Timestamp, ClockError> {
        self.step(|now| now.checked_add(by).map_err(|_| ClockError::OutOfRange { now, by }))
    }

    /// Compares and sets under the channel's lock, so that two callers cannot interleave.
    fn step(
        &self,
        next: impl FnOnce(Timestamp) -> Result<Timestamp, ClockError>,
    ) -> Result<Timestamp, ClockError> {
        let mut outcome = Ok(Timestamp::UNIX_EPOCH);
        self.now.send_if_modified(|now| {
            outcome = next(*now).map(to_micros).and_then(|asked| {
                if asked < *now {
                    Err(ClockError::Backwards { now: *now, asked })
                } else {
                    Ok(asked)
                }
            });
            match outcome {
                Ok(asked) if asked != *now => {
                    *now = asked;
                    true
                }
                _ => false,
            }
        });
        outcome
    }

    fn wait(
        &self,
        reached: impl Fn(Timestamp) -> bool + Send + Sync + 'static,
    ) -> BoxFuture<'static, ()> {
        // The future keeps the sender alive, so `wait_for` ends only by the condition.
        let sender = Arc::clone(&self.now);
        Box::pin(async move {
            let _ = sender.subscribe().wait_for(|now| reached(*now)).await;
        })
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        self.wait(move |now| now >= at)
    }

    fn set_past(&self, seen: Timestamp) -> BoxFuture<'static, ()> {
        self.wait(move |now| now > seen)
    }
}
