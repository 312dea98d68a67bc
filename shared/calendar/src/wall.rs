use std::{fmt, str::FromStr};

use crate::{Problem, micros};

/// A time of day on a wall clock in whole minutes, from 00:00 to 24:00.
///
/// 24:00 is the end of the day and only makes sense as a closing time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(u16);

impl WallTime {
    /// 24:00, the end of a day.
    pub const MIDNIGHT: Self = Self(24 * 60);

    /// The time so many minutes after local midnight; none beyond 1440.
    #[must_use]
    pub fn from_minutes(minutes: u16) -> Option<Self> {
        (minutes <= Self::MIDNIGHT.0).then_some(Self(minutes))
    }

    /// Minutes after local midnight, 0 to 1440.
    #[must_use]
    pub fn minutes(self) -> u16 {
        self.0
    }

    pub(crate) fn micros(self) -> i64 {
        i64::from(self.0) * micros::MINUTE
    }
}

impl FromStr for WallTime {
    type Err = Problem;

    /// Reads `HH:MM` and nothing else.
    fn from_str(text: &str) -> Result<Self, Problem> {
        let read = || {
            let (hours, minutes) = text.split_once(':')?;
            let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
            (minutes < 60).then_some(hours * 60 + minutes)
        };
        read().and_then(Self::from_minutes).ok_or(Problem::NotATime)
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// Exactly two ASCII digits: `parse` alone would take a sign.
fn two_digits(text: &str) -> Option<u16> {
    match text.as_bytes() {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
            Some(u16::from(tens - b'0') * 10 + u16::from(ones - b'0'))
        }
        _ => None,
    }
}
