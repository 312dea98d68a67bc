use jiff::{Timestamp, tz::TimeZone};

use crate::{
    BusinessTime, CalendarDraft, Due, DueError, Fault, Label, Target, Timeline, count::Counting,
    micros, validate,
};

/// A business calendar that was checked: a week of hours in a time zone, with its exceptions.
///
/// Immutable; share it in an `Arc`. See the [crate](crate) for what it promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    pub(crate) zone: TimeZone,
    /// Monday first.
    pub(crate) week: [Day; 7],
    /// By day number, ascending, each once.
    pub(crate) exceptions: Vec<(i64, Day)>,
    pub(crate) labels: Vec<Label>,
    pub(crate) working_day: BusinessTime,
}

/// What holds on one local date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Day {
    pub kind: DayKind,
    /// Microseconds from local midnight, ascending, disjoint.
    pub open: Box<[OpenHours]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenHours {
    pub from: i64,
    pub to: i64,
}

/// Why a date has the hours that it has. The numbers are places in [`Calendar::labels`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DayKind {
    Ordinary,
    DayOff,
    Holiday(u16),
    /// Hours of its own on a day of the week that is open anyhow.
    Special(u16),
    /// Open on a day of the week that is otherwise off.
    MakeUp(u16),
}

impl Calendar {
    /// Checks a draft.
    ///
    /// # Errors
    /// Every fault there is, in the order of the fields, never an empty list.
    pub fn new(draft: &CalendarDraft) -> Result<Self, Vec<Fault>> {
        validate::calendar(draft)
    }

    /// A calendar that is always open, in UTC, with a working day of 24 hours: on it the three
    /// kinds of [`Target`] mean the same. For those who only promise elapsed time.
    #[must_use]
    pub fn always_open() -> Self {
        let all_day = Day {
            kind: DayKind::Ordinary,
            open: Box::new([OpenHours { from: 0, to: micros::DAY }]),
        };
        Self {
            zone: TimeZone::UTC,
            week: std::array::from_fn(|_| all_day.clone()),
            exceptions: Vec::new(),
            labels: Vec::new(),
            working_day: BusinessTime::from_hours(24),
        }
    }

    /// The zone in which dates and hours are meant.
    #[must_use]
    pub fn time_zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The business time in one working day.
    #[must_use]
    pub fn working_day(&self) -> BusinessTime {
        self.working_day
    }

    /// When a promise made at `start` is due, and how that comes about, segment by segment.
    ///
    /// The segments grow with the target, some five for each date; where nobody will read them,
    /// [`due_at`](Self::due_at) saves making them.
    ///
    /// # Errors
    /// [`DueError`] if that is not within the horizon.
    pub fn due(&self, start: Timestamp, target: Target) -> Result<Due, DueError> {
        Timeline::new(start, target).explain_running(self)
    }

    /// When a promise made at `start` is due: the earliest instant at which the target is used up.
    ///
    /// # Errors
    /// [`DueError`] if that is not within the horizon.
    pub fn due_at(&self, start: Timestamp, target: Target) -> Result<Timestamp, DueError> {
        let need = target.micros(self);
        Counting::new(self, target).reach(micros::of(start), &[], need, &mut |_| ())?.due(start)
    }

    /// The business time between two instants; none if `to` is not after `from`.
    #[must_use]
    pub fn consumed(&self, from: Timestamp, to: Timestamp) -> BusinessTime {
        let counted = Counting::business(self).all(micros::of(from), micros::of(to), &mut |_| ());
        BusinessTime::new(micros::duration(counted))
    }

    /// Whether `at` lies in open hours.
    #[must_use]
    pub fn is_open(&self, at: Timestamp) -> bool {
        let at = micros::of(at);
        Counting::business(self).all(at, at + 1, &mut |_| ()) > 0
    }

    /// The day with this number, counted from 1970-01-01.
    pub(crate) fn day(&self, number: i64) -> &Day {
        match self.exceptions.binary_search_by_key(&number, |(date, _)| *date) {
            Ok(at) => &self.exceptions[at].1,
            Err(_) => &self.week[validate::week_index(number)],
        }
    }
}
