//! When each call is due.

use std::time::Duration;

use anyhow::ensure;

/// The fastest rate that can be asked for, in calls per second.
const MAX_RATE: f64 = 1_000_000.0;

/// A constant arrival rate, bounded in time and count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    rate: f64,
    total: u64,
}

impl Schedule {
    /// `rate` calls per second for `duration`, and no more than `count`.
    ///
    /// # Errors
    /// When the rate is not positive or above a million, or when no call would be made.
    pub fn new(rate: f64, duration: Duration, count: Option<u64>) -> anyhow::Result<Self> {
        ensure!(rate > 0.0 && rate <= MAX_RATE, "the rate must be above 0 and at most {MAX_RATE}");
        let arrivals = rate * duration.as_secs_f64();
        ensure!(arrivals < 1e12, "that are too many calls");
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be positive and small just before"
        )]
        let total = (arrivals.ceil() as u64).min(count.unwrap_or(u64::MAX));
        ensure!(total > 0, "no call would be made");
        Ok(Self { rate, total })
    }

    /// How many calls there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The rate asked for, in calls per second.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// When the call with this number, counted from 0, is due after the start. Computed from the number and not from the
    /// call before, so that no error adds up, and whatever happened to the calls before.
    pub fn due(&self, number: u64) -> Duration {
        #[allow(clippy::cast_precision_loss, reason = "fewer calls than 2^52")]
        Duration::from_secs_f64(number as f64 / self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn arrivals_are_evenly_spaced_and_do_not_drift() {
        let schedule = Schedule::new(3.0, 100 * SECOND, None).unwrap();
        assert_eq!((schedule.total(), schedule.due(0)), (300, Duration::ZERO));
        assert_eq!(schedule.due(1), Duration::from_secs_f64(1.0 / 3.0));
        for second in [1_u32, 17, 1_000_000] {
            assert_eq!(schedule.due(u64::from(second) * 3), second * SECOND);
        }
    }

    #[test]
    fn a_schedule_ends_by_time_or_by_count_whichever_is_first() {
        assert_eq!(Schedule::new(50.0, 2 * SECOND, None).unwrap().total(), 100);
        assert_eq!(Schedule::new(50.0, 2 * SECOND, Some(7)).unwrap().total(), 7);
        assert_eq!(Schedule::new(0.1, SECOND, None).unwrap().total(), 1);
    }

    #[test]
    fn nonsense_is_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 2e6] {
            assert!(Schedule::new(rate, SECOND, None).is_err(), "{rate}");
        }
        assert!(Schedule::new(1.0, Duration::ZERO, None).is_err());
        assert!(Schedule::new(1.0, SECOND, Some(0)).is_err());
    }
}
