//! Instants and durations as whole microseconds, the unit everything is counted in.

use std::time::Duration;

use jiff::Timestamp;

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const DAY: i64 = 24 * 60 * MINUTE;

/// The whole microsecond at or before `at`.
pub(crate) fn of(at: Timestamp) -> i64 {
    // Within ±2.6 × 10¹⁷ for every timestamp there is.
    i64::try_from(at.as_nanosecond().div_euclid(1_000)).unwrap_or(i64::MAX)
}

/// The instant at `us`; beyond what a timestamp can hold, the nearest that it can.
pub(crate) fn instant(us: i64) -> Timestamp {
    let limit = if us < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(us).unwrap_or(limit)
}

/// A duration in microseconds, cut down to whole ones and to what can be counted.
pub(crate) fn of_duration(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// An amount that was counted; amounts are never negative.
pub(crate) fn duration(us: i64) -> Duration {
    Duration::from_micros(us.try_into().unwrap_or(0))
}
