//! Regulations of the [simulation](super::simulation), twice: as somebody reads them off the wall every minute, and as policies.

use std::sync::OnceLock;

use jiff::{civil::Weekday, tz::TimeZone};

use super::*;

/// How many minutes are watched at most.
pub const MINUTES: u32 = 48_000;

/// One promise: of so many minutes, all of them or those in working hours.
#[derive(Clone, Copy, PartialEq)]
pub struct Promise {
    pub name: &'static str,
    pub kind: ClockKind,
    pub minutes: u32,
    pub working: bool,
    pub warn_percent: u32,
    pub raises: bool,
    /// At which share somebody else is told.
    pub step_percent: u32,
    /// Only for this severity.
    pub only: Option<u8>,
    pub resumes: bool,
}

const PROMISES: [Promise; 7] = [
    promise("first", ClockKind::FirstResponse, 24 * 60, false, 80, true),
    Promise {
        only: Some(1),
        step_percent: 60,
        ..promise("solve-soon", ClockKind::Resolution, 8 * 60, true, 50, true)
    },
    Promise {
        resumes: true,
        step_percent: 150,
        ..promise("solve-ever", ClockKind::Resolution, 72 * 60, false, 25, false)
    },
    Promise {
        only: Some(3),
        resumes: true,
        step_percent: 120,
        ..promise("solve-now", ClockKind::Resolution, 24 * 60, false, 50, false)
    },
    promise("tell", ClockKind::ResultFeedback, 48 * 60, false, 0, false),
    promise("ask", ClockKind::CallBack, 8 * 60, true, 10, true),
    promise("report", ClockKind::ProgressUpdate, 40 * 60, false, 90, false),
];

/// In Berlin, where the clocks go back on the last Sunday of October: other numbers, nothing about
/// asking, and what was one resolution for any severity is two.
const GERMAN: [Promise; 6] = [
    promise("first", ClockKind::FirstResponse, 9 * 60, true, 40, true),
    Promise {
        only: Some(1),
        step_percent: 60,
        ..promise("solve-slowly", ClockKind::Resolution, 30 * 60, true, 50, false)
    },
    Promise {
        resumes: true,
        step_percent: 130,
        ..promise("solve-ever", ClockKind::Resolution, 10 * 60, true, 25, true)
    },
    promise("tell", ClockKind::ResultFeedback, 12 * 60, true, 50, true),
    promise("report", ClockKind::ProgressUpdate, 90 * 60, false, 90, false),
    Promise {
        step_percent: 90,
        ..promise("report-too", ClockKind::ProgressUpdate, 20 * 60, true, 0, true)
    },
];

/// The same promises as at first, on a calendar with other hours and a half day.
const SHORTER: [Promise; 7] = PROMISES;

const fn promise(
    name: &'static str,
    kind: ClockKind,
    minutes: u32,
    working: bool,
    warn_percent: u32,
    raises: bool,
) -> Promise {
    let (step_percent, only, resumes) = (0, None, false);
    Promise { name, kind, minutes, working, warn_percent, raises, step_percent, only, resumes }
}

pub fn minute(number: u32) -> Timestamp {
    hours(0).checked_add(i64::from(number).minutes()).expect("a time in range")
}

/// What each regulation promises.
pub fn promises(regulation: usize) -> &'static [Promise] {
    [&PROMISES[..], &GERMAN, &SHORTER, &PROMISES][regulation]
}

/// By which clock on the wall each counts: the last is worded anew and says the same as the first.
pub fn walls(regulation: usize) -> usize {
    [0, 1, 2, 0][regulation]
}

/// Whether each minute lies in working hours.
pub fn working_hours(regulation: usize) -> &'static [bool] {
    static WATCHED: OnceLock<[Vec<bool>; 3]> = OnceLock::new();
    let minutes = WATCHED.get_or_init(|| {
        let all = |open: fn(&jiff::Zoned) -> bool, zone: &str| -> Vec<bool> {
            let zone = TimeZone::get(zone).expect("a zone");
            let open = |number| open(&minute(number).to_zoned(zone.clone()));
            (0..MINUTES).map(open).collect()
        };
        [all(chinese, "Asia/Shanghai"), all(german, "Europe/Berlin"), all(short, "Asia/Shanghai")]
    });
    &minutes[walls(regulation)]
}

fn weekend(now: &jiff::Zoned) -> bool {
    matches!(now.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// Monday to Friday and on the make-up days, nine to five, but not in the first week of October.
fn chinese(now: &jiff::Zoned) -> bool {
    let open = match (now.month(), now.day()) {
        (10, 1..=7) => false,
        (9, 29) | (10, 12) => true,
        _ => !weekend(now),
    };
    open && (9..17).contains(&now.hour())
}

/// Every day from one in the night to nine: on the last Sunday of October an hour comes twice.
fn german(now: &jiff::Zoned) -> bool {
    (1..9).contains(&now.hour())
}

/// From ten to three, on Saturdays until noon; a make-up day that was announced, and no holidays.
fn short(now: &jiff::Zoned) -> bool {
    match now.weekday() {
        Weekday::Saturday => (10..12).contains(&now.hour()),
        Weekday::Sunday => (now.month(), now.day()) == (9, 29) && (10..15).contains(&now.hour()),
        _ => (10..15).contains(&now.hour()),
    }
}

/// The same calendars as people write them down.
fn calendar_of(regulation: usize) -> Calendar {
    let day = |n, open: &str, close: &str| DayHours {
        day_of_week: n,
        intervals: vec![Hours::new(open, close)],
    };
    let draft = match walls(regulation) {
        0 => return calendar(),
        1 => CalendarDraft {
            time_zone: "Europe/Berlin".into(),
            week: (1..=7).map(|n| day(n, "01:00", "09:00")).collect(),
            exceptions: Vec::new(),
            working_day: Duration::from_secs(8 * 3_600),
        },
        _ => CalendarDraft {
            time_zone: "Asia/Shanghai".into(),
            week: (1..=5)
                .map(|n| day(n, "10:00", "15:00"))
                .chain([day(6, "10:00", "12:00")])
                .collect(),
            exceptions: vec![Exception {
                date: "2019-09-29".into(),
                label: Label::new("Make-up working day", "调休"),
                hours: ExceptionHours::Open(vec![Hours::new("10:00", "15:00")]),
            }],
            working_day: Duration::from_secs(5 * 3_600),
        },
    };
    Calendar::new(&draft).expect("a sound calendar")
}

pub fn policy_of(regulation: usize) -> Policy {
    let mut draft = draft();
    draft.calendar = Some(calendar_of(regulation));
    draft.clocks = promises(regulation)
        .iter()
        .map(|promise| {
            let time = Duration::from_secs(u64::from(promise.minutes) * 60);
            let target = match promise.working {
                true => Target::Business(BusinessTime::new(time)),
                false => Target::Elapsed(time),
            };
            let step = StepDraft {
                name: "step".into(),
                when: Some(StepTime::Percent(promise.step_percent)),
                notify_level: 2,
                raise_to_level: 0,
            };
            let resolution = promise.kind == ClockKind::Resolution;
            ClockRuleDraft {
                severities: promise.only.into_iter().map(i32::from).collect(),
                steps: (promise.step_percent > 0).then_some(step).into_iter().collect(),
                on_reopen: (resolution && !promise.resumes).then_some(ReopenMode::Restart),
                warn_percent: i32::try_from(promise.warn_percent).expect("a percentage"),
                breach_raises_level: promise.raises,
                ..clock(promise.name, promise.kind, Some(target))
            }
        })
        .collect();
    Policy::try_new(draft).expect("a sound policy")
}
