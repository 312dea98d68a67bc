use std::time::Duration;

use crate::{Calendar, micros};

/// An amount of business time: what a calendar counts while it is open.
///
/// A type of its own, because "eight hours" of it may take three days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BusinessTime(Duration);

impl BusinessTime {
    /// None at all.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// So much of it. Counted to the microsecond, anything finer is cut off.
    #[must_use]
    pub const fn new(amount: Duration) -> Self {
        Self(amount)
    }

    /// So many open hours.
    #[must_use]
    pub const fn from_hours(hours: u32) -> Self {
        Self(Duration::from_secs(hours as u64 * 3_600))
    }

    /// So many open minutes.
    #[must_use]
    pub const fn from_minutes(minutes: u32) -> Self {
        Self(Duration::from_secs(minutes as u64 * 60))
    }

    /// The amount as a plain duration.
    #[must_use]
    pub const fn amount(self) -> Duration {
        self.0
    }
}

/// What was promised (T-05). The three are different promises: from Friday noon, 24 elapsed hours
/// end on Saturday, one working day ends on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// So much time on any clock, nights and holidays included.
    Elapsed(Duration),
    /// So much time while the calendar is open.
    Business(BusinessTime),
    /// So many times the calendar's [`working_day`](Calendar::working_day) of business time.
    WorkingDays(u32),
}

impl Target {
    /// How much has to be counted on `calendar` until the target is used up.
    #[must_use]
    pub fn amount(self, calendar: &Calendar) -> Duration {
        match self {
            Self::Elapsed(amount) => amount,
            Self::Business(amount) => amount.amount(),
            Self::WorkingDays(days) => calendar.working_day().amount().saturating_mul(days),
        }
    }

    pub(crate) fn micros(self, calendar: &Calendar) -> i64 {
        micros::of_duration(self.amount(calendar))
    }

    /// Whether only the calendar's open time counts.
    #[must_use]
    pub fn is_business(self) -> bool {
        !matches!(self, Self::Elapsed(_))
    }
}
