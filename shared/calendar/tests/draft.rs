//! Checking a calendar as it is written down.
#![allow(clippy::expect_used, reason = "helpers of tests")]

mod common;

use std::time::Duration;

use common::{HOUR, closed, hours, open, shanghai_draft, weekdays};
use kefu_calendar::{
    Calendar, CalendarDraft, DayHours, ExceptionHours, Hours, Label, MAX_EXCEPTIONS, MAX_INTERVALS,
    WallTime,
};
use proptest::prelude::*;

fn faults(draft: &CalendarDraft) -> Vec<String> {
    let faults = Calendar::new(draft).map(drop).expect_err("a faulty calendar");
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn x06_all_faults_of_a_calendar_are_reported_at_once_with_their_paths() {
    let mut draft = CalendarDraft {
        time_zone: "Mars/Olympus".into(),
        week: weekdays(1..=2, &[("09:00", "12:00"), ("11:00", "18:00")]),
        exceptions: vec![
            closed("2019-02-29", "Leap", "闰"),
            closed("2019-10-01", " ", ""),
            closed("2019-10-01", "National Day", ""),
            open("2019-10-12", ExceptionHours::Like(6)),
            open("2019-10-13", ExceptionHours::Like(8)),
            open("2019-10-14", ExceptionHours::Open(Vec::new())),
            open("2019-10-15", ExceptionHours::Open(hours(&[("25:00", "9:00")]))),
        ],
        working_day: Duration::ZERO,
    };
    draft.week.push(DayHours { day_of_week: 0, intervals: hours(&[("22:00", "06:00")]) });
    draft.week.push(DayHours { day_of_week: 2, intervals: hours(&[("08:00", "08:00")]) });
    let time = "must be a time from 00:00 to 24:00, written HH:MM";
    let across = "hours across midnight belong to two days";
    assert_eq!(
        faults(&draft),
        [
            "time_zone: is not a time zone of the IANA database".to_owned(),
            "week[0].intervals[1]: overlaps week[0].intervals[0]".to_owned(),
            "week[1].intervals[1]: overlaps week[1].intervals[0]".to_owned(),
            format!(
                "week[2].intervals[0].close: must be later than the opening time 22:00; {across}"
            ),
            "week[2].day_of_week: must be 1 (Monday) to 7 (Sunday)".to_owned(),
            format!(
                "week[3].intervals[0].close: must be later than the opening time 08:00; {across}"
            ),
            "week[3].day_of_week: gives the same day as week[1]".to_owned(),
            "exceptions[0].date: must be a date from 1900-01-01 to 9998-12-31, written YYYY-MM-DD"
                .to_owned(),
            "exceptions[1].label: must have a text in English or Chinese".to_owned(),
            "exceptions[2].date: gives the same date as exceptions[1]".to_owned(),
            "exceptions[3].like: is a day off in the ordinary week".to_owned(),
            "exceptions[4].like: must be 1 (Monday) to 7 (Sunday)".to_owned(),
            "exceptions[5].intervals: must not be empty; close the day instead".to_owned(),
            format!("exceptions[6].intervals[0].open: {time}"),
            format!("exceptions[6].intervals[0].close: {time}"),
            "working_day: must be longer than zero and at most 24 hours".to_owned(),
        ]
    );
}

#[test]
fn x06_a_calendar_that_is_never_open_is_a_fault() {
    let mut draft = shanghai_draft();
    draft.week = weekdays(1..=7, &[]);
    draft.exceptions = vec![closed("2019-10-01", "National Day", "国庆节")];
    assert_eq!(faults(&draft), ["week: has no open hours, and no exception has any"]);
}

#[test]
fn x06_lists_and_labels_have_limits() {
    let mut draft = shanghai_draft();
    draft.week[0].intervals = vec![Hours::new("09:00", "10:00"); MAX_INTERVALS + 1];
    draft.exceptions[0].label = Label::new("x".repeat(101), "国\u{7}");
    assert_eq!(
        faults(&draft)[..3],
        [
            "week[0].intervals: must have at most 24 intervals",
            "exceptions[0].label.en: must have at most 100 characters",
            "exceptions[0].label.zh: must not contain control characters",
        ]
    );
    draft.exceptions = vec![draft.exceptions[0].clone(); MAX_EXCEPTIONS + 1];
    assert_eq!(faults(&draft)[1], "exceptions: must have at most 4000 exceptions");
}

#[test]
fn x06_a_hundred_characters_are_counted_as_characters() {
    let mut draft = shanghai_draft();
    draft.exceptions[0].label = Label::new("", "国".repeat(100));
    assert!(Calendar::new(&draft).is_ok());
}

#[test]
fn x05_intervals_may_touch_and_come_in_any_order() {
    let mut draft = shanghai_draft();
    draft.week = weekdays(1..=5, &[("14:00", "24:00"), ("00:00", "12:00"), ("12:00", "14:00")]);
    let calendar = Calendar::new(&draft).expect("a sound calendar");
    let (from, to) = ("2019-09-23T00:00:00+08:00", "2019-09-24T00:00:00+08:00");
    assert_eq!(calendar.consumed(common::at(from), common::at(to)).amount(), 24 * HOUR);
}

#[test]
fn x05_times_of_day_are_read_strictly_and_written_back() {
    for text in ["00:00", "09:05", "23:59", "24:00"] {
        assert_eq!(text.parse::<WallTime>().expect("a time").to_string(), text);
    }
    for text in ["24:01", "9:00", "09:60", "+9:00", "09:0", "0900", "09:00:00", "", ":", "０９:00"]
    {
        assert!(text.parse::<WallTime>().is_err(), "{text}");
    }
    assert_eq!(WallTime::from_minutes(1_440), Some(WallTime::MIDNIGHT));
    assert_eq!(WallTime::from_minutes(1_441), None);
}

#[test]
fn x06_dates_and_zones_are_read_strictly() {
    let sound = |date: &str, zone: &str| {
        let draft = CalendarDraft {
            time_zone: zone.into(),
            exceptions: vec![closed(date, "x", "")],
            ..shanghai_draft()
        };
        Calendar::new(&draft).is_ok()
    };
    assert!(sound("2020-02-29", "UTC"));
    for date in ["20200229", "2020-2-029", "2020-02-30", "+020-01-01", "1899-12-31", "9999-01-01"] {
        assert!(!sound(date, "UTC"), "{date}");
    }
    for zone in ["", "Etc/Unknown", "CST-8", "+08:00", "../../etc/passwd"] {
        assert!(!sound("2020-02-29", zone), "{zone}");
    }
}

proptest! {
    #[test]
    fn x06_no_draft_whatever_makes_it_panic(
        zone in ".{0,12}",
        date in ".{0,4}[0-9-]{0,10}",
        day in any::<i32>(),
        (open_at, close) in ("[0-9:]{0,6}|.{0,6}", "[0-9:]{0,6}|.{0,6}"),
        seconds in any::<u64>(),
    ) {
        let day_hours = vec![Hours::new(open_at, close)];
        let draft = CalendarDraft {
            time_zone: zone,
            week: vec![DayHours { day_of_week: day, intervals: day_hours.clone() }],
            exceptions: vec![
                open(&date, ExceptionHours::Open(day_hours)),
                open("2020-02-29", ExceptionHours::Like(day)),
            ],
            working_day: Duration::from_secs(seconds),
        };
        if let Err(faults) = Calendar::new(&draft) {
            prop_assert!(!faults.is_empty());
        }
    }
}
