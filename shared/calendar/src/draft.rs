use std::time::Duration;

/// The most intervals that one day may have.
pub const MAX_INTERVALS: usize = 24;
/// The most exceptions that one calendar may have: decades of public holidays.
pub const MAX_EXCEPTIONS: usize = 4_000;
/// The longest label, in characters.
pub const MAX_LABEL_CHARS: usize = 100;

/// A business calendar as it is written down, with nothing checked yet.
///
/// The shape of the policy message and of a policy file. [`Calendar::new`](crate::Calendar::new)
/// checks it; paths in [`Fault`](crate::Fault)s are made of the field names here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CalendarDraft {
    /// An IANA name, `Asia/Shanghai`.
    pub time_zone: String,
    /// The hours of an ordinary week. A day that is not mentioned is a day off.
    pub week: Vec<DayHours>,
    /// Dates that are not like their day of the week, in any order, each date once.
    pub exceptions: Vec<Exception>,
    /// The business time in "one working day", above zero and at most 24 hours.
    pub working_day: Duration,
}

/// The ordinary hours of one day of the week.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayHours {
    /// 1 Monday … 7 Sunday, as in ISO 8601 and `google.type.DayOfWeek`.
    pub day_of_week: i32,
    /// When it is open, in any order, without overlap; empty is a day off.
    pub intervals: Vec<Hours>,
}

/// From opening to closing on one local date. Hours across midnight are two intervals on two days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hours {
    /// `HH:MM`, counted from then.
    pub open: String,
    /// `HH:MM` up to `24:00`, later than `open`, not counted any more from then.
    pub close: String,
}

impl Hours {
    /// From `open` to `close`.
    #[must_use]
    pub fn new(open: impl Into<String>, close: impl Into<String>) -> Self {
        Self { open: open.into(), close: close.into() }
    }
}

/// A date with hours of its own, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The local date, `YYYY-MM-DD`.
    pub date: String,
    /// What people call it; at least one language.
    pub label: Label,
    /// What holds on that date instead of the week's hours.
    pub hours: ExceptionHours,
}

/// What holds on an exceptional date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExceptionHours {
    /// A public holiday: closed all day.
    Closed,
    /// Open at these hours: a half day, or a make-up working day (调休) with hours of its own.
    Open(Vec<Hours>),
    /// Open like this day of the week, 1 Monday … 7 Sunday: the usual make-up working day (调休).
    Like(i32),
}

/// A name in the two languages of the product. Either may be empty, not both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Label {
    /// English.
    pub en: String,
    /// Chinese.
    pub zh: String,
}

impl Label {
    /// A label in English and Chinese.
    #[must_use]
    pub fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { en: en.into(), zh: zh.into() }
    }
}
