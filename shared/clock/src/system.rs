use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::{BoxFuture, Clock, to_micros};

/// The machine's wall clock.
///
/// It is read afresh each time, so it follows corrections by the operator or NTP in both
/// directions. Order within a process is the business of [`IdSource`](crate::IdSource) and of
/// revisions, never of this clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// The longest nap before the wall clock is looked at again. Timers of the runtime count elapsed
/// time; this bounds how late a sleeper notices that the wall clock was corrected or the machine
/// was suspended.
const LONGEST_NAP: Duration = Duration::from_secs(1);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[allow(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
        to_micros(Timestamp::now())
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let clock = *self;
        Box::pin(async move {
            while let Ok(left) = Duration::try_from(at.duration_since(clock.now())) {
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LONGEST_NAP)).await;
            }
        })
    }
}

/// The monotonic clock, for measuring how long something took: latencies, time-outs, back-off.
///
/// It never stands still, whatever the [`Clock`] of the process does, and says nothing about the
/// date.
#[must_use]
pub fn monotonic() -> Instant {
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
    Instant::now()
}
