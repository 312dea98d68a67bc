use std::fmt;

use thiserror::Error;

use crate::{MAX_EXCEPTIONS, MAX_INTERVALS, MAX_LABEL_CHARS, WallTime};

/// One thing that is wrong with a calendar, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field, in the words of [`CalendarDraft`](crate::CalendarDraft):
    /// `week[2].intervals[1].open`. Indexes count from zero in the order given.
    pub path: String,
    /// What is wrong with it.
    pub problem: Problem,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

/// What can be wrong with a field of a calendar. The text is a sentence for whoever wrote it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Problem {
    /// No such zone in the IANA database.
    #[error("is not a time zone of the IANA database")]
    UnknownTimeZone,
    /// The length of a working day is zero or longer than a day.
    #[error("must be longer than zero and at most 24 hours")]
    WorkingDayLength,
    /// Neither the week nor an exception has any hours.
    #[error("has no open hours, and no exception has any")]
    NeverOpens,
    /// Not 1 to 7.
    #[error("must be 1 (Monday) to 7 (Sunday)")]
    NotADayOfWeek,
    /// A day of the week for the second time.
    #[error("gives the same day as {first}")]
    DayTwice {
        /// The path of the first one.
        first: String,
    },
    /// A date for the second time.
    #[error("gives the same date as {first}")]
    DateTwice {
        /// The path of the first one.
        first: String,
    },
    /// Not a time of day.
    #[error("must be a time from 00:00 to 24:00, written HH:MM")]
    NotATime,
    /// Not a date of the calendar, or beyond the years that are supported.
    #[error("must be a date from 1900-01-01 to 9998-12-31, written YYYY-MM-DD")]
    NotADate,
    /// An interval that ends before or when it starts.
    #[error("must be later than the opening time {open}; hours across midnight belong to two days")]
    ClosesBeforeOpening {
        /// When it opens.
        open: WallTime,
    },
    /// Two intervals of one day that share time.
    #[error("overlaps {with}")]
    Overlaps {
        /// The path of the other.
        with: String,
    },
    /// Open, but at no time.
    #[error("must not be empty; close the day instead")]
    NoHours,
    /// Open like a day of the week that is itself off.
    #[error("is a day off in the ordinary week")]
    LikeADayOff,
    /// A label in neither language.
    #[error("must have a text in English or Chinese")]
    NoLabel,
    /// A label that is too long.
    #[error("must have at most {MAX_LABEL_CHARS} characters")]
    LabelTooLong,
    /// A label with a control character.
    #[error("must not contain control characters")]
    ControlCharacter,
    /// Too many intervals in a day.
    #[error("must have at most {MAX_INTERVALS} intervals")]
    TooManyIntervals,
    /// Too many exceptions.
    #[error("must have at most {MAX_EXCEPTIONS} exceptions")]
    TooManyExceptions,
}
