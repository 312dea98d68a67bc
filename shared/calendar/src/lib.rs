//! Business time: when is "within one working day", and why then?
//!
//! Pure functions on values (X-05, T-05, T-06). There is no clock in here, no I/O and no
//! randomness: the same calendar, start and pauses give the same answer in every process, which is
//! what lets a timer, a test and an auditor agree. Time zones come from the database compiled in,
//! never from the machine.
//!
//! # The parts
//!
//! * [`CalendarDraft`] is a calendar as people write it; [`Calendar`] is one that was checked.
//!   Checking reports every [`Fault`] at once, each with the path of its field (X-06).
//! * [`Target`] is what was promised: elapsed time, business time or working days, three types
//!   that cannot be mistaken for each other.
//! * [`Timeline`] is one promise in the making: its start, its target and its pauses. It tells
//!   when it is due, how much of it is used up, and explains both [segment](Segment) by segment.
//!
//! # What is promised
//!
//! * **Open means what the clock on the wall says.** An instant counts if and only if the local
//!   date and time at that instant lie within the hours of that date. So where daylight saving
//!   skips an hour it does not count, and where it repeats one it counts twice.
//! * **Exact.** Counted in microseconds; [`consumed`](Calendar::consumed) from the start to the due
//!   time *is* the target; consumption is additive over any split; a later start is never due
//!   earlier. A due time is the earliest that satisfies this: work that fills a day is due at its
//!   close, not at the opening of the next.
//! * **A working day is an amount**, the calendar's [`working_day`](Calendar::working_day) of
//!   business time, not a number of dates: half days and make-up days count as what they are.
//! * **No pause is lost.** Changing the target or the calendar under a [`Timeline`] keeps its
//!   pauses.
//! * **Bounded.** The search ends after [`HORIZON_YEARS`] with an error, and costs well under
//!   a microsecond a day; nothing here panics.
//!
//! ```
//! use kefu_calendar::{Calendar, CalendarDraft, DayHours, Hours, Target};
//!
//! let day = Hours::new("09:00", "17:00");
//! let calendar = Calendar::new(&CalendarDraft {
//!     time_zone: "Asia/Shanghai".to_owned(),
//!     week: (1..=5).map(|n| DayHours { day_of_week: n, intervals: vec![day.clone()] }).collect(),
//!     exceptions: Vec::new(),
//!     working_day: std::time::Duration::from_secs(8 * 3600),
//! })
//! .expect("a sound calendar");
//!
//! let friday_at_four = "2019-09-20T16:00:00+08:00".parse().expect("a time");
//! let due = calendar.due_at(friday_at_four, Target::WorkingDays(1)).expect("a due time");
//! assert_eq!(due, "2019-09-23T16:00:00+08:00".parse().expect("a time"));
//! ```

mod calendar;
mod count;
mod draft;
mod explain;
mod fault;
mod micros;
mod target;
mod timeline;
mod validate;
mod walk;
mod wall;

pub use crate::{
    calendar::Calendar,
    count::{DueError, HORIZON_YEARS},
    draft::{
        CalendarDraft, DayHours, Exception, ExceptionHours, Hours, Label, MAX_EXCEPTIONS,
        MAX_INTERVALS, MAX_LABEL_CHARS,
    },
    explain::{Due, Explanation, Reason, Segment},
    fault::{Fault, Problem},
    target::{BusinessTime, Target},
    timeline::{Pause, Timeline, TimelineError},
    wall::WallTime,
};
