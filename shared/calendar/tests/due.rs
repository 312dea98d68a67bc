//! Due times by example.
#![allow(clippy::expect_used, reason = "helpers of tests")]

mod common;

use std::time::Duration;

use common::{HOUR, at, closed, daily, hours, open, shanghai, weekdays};
use kefu_calendar::{
    BusinessTime, Calendar, CalendarDraft, DueError, ExceptionHours, HORIZON_YEARS, Label, Reason,
    Target,
};

fn due(calendar: &Calendar, start: &str, target: Target) -> String {
    let due = calendar.due_at(at(start), target).expect("a due time");
    due.to_zoned(calendar.time_zone().clone()).strftime("%a %F %T").to_string()
}

#[test]
fn x05_one_working_day_and_24_hours_are_different_things() {
    let calendar = shanghai();
    // The Monday before the National Day, an hour before closing.
    let start = "2019-09-30T17:00:00+08:00";
    assert_eq!(due(&calendar, start, Target::Elapsed(24 * HOUR)), "Tue 2019-10-01 17:00:00");
    assert_eq!(due(&calendar, start, Target::WorkingDays(1)), "Tue 2019-10-08 17:00:00");
    let week = Target::Business(BusinessTime::from_hours(24));
    assert_eq!(due(&calendar, start, week), "Fri 2019-10-11 11:00:00");
}

#[test]
fn x05_a_make_up_saturday_is_a_working_day() {
    let calendar = shanghai();
    let friday = "2019-10-11T17:00:00+08:00";
    assert_eq!(due(&calendar, friday, Target::WorkingDays(1)), "Sat 2019-10-12 17:00:00");
    assert_eq!(due(&calendar, friday, Target::WorkingDays(2)), "Mon 2019-10-14 17:00:00");
    // The Sunday worked before the National Day, and one Saturday later, which is not.
    assert!(calendar.is_open(at("2019-09-29T10:00:00+08:00")));
    assert!(!calendar.is_open(at("2019-10-19T10:00:00+08:00")));
}

#[test]
fn x05_a_complaint_during_the_spring_festival_starts_to_count_after_it() {
    let calendar = shanghai();
    let start = "2020-01-25T08:30:00+08:00";
    assert_eq!(due(&calendar, start, Target::WorkingDays(1)), "Mon 2020-02-03 18:00:00");
}

#[test]
fn x05_work_that_fills_a_day_is_due_at_its_close() {
    let calendar = shanghai();
    for start in ["2019-09-23T09:00:00+08:00", "2019-09-22T23:00:00+08:00"] {
        assert_eq!(due(&calendar, start, Target::WorkingDays(1)), "Mon 2019-09-23 18:00:00");
    }
    let morning = Target::Business(BusinessTime::from_hours(3));
    assert_eq!(due(&calendar, "2019-09-23T09:00:00+08:00", morning), "Mon 2019-09-23 12:00:00");
    // From the moment of closing on, nothing is left of the day.
    let closing = "2019-09-23T18:00:00+08:00";
    assert_eq!(due(&calendar, closing, Target::WorkingDays(1)), "Tue 2019-09-24 18:00:00");
}

#[test]
fn x05_half_days_count_as_what_they_are() {
    let draft = CalendarDraft {
        time_zone: "Europe/Berlin".into(),
        week: weekdays(1..=5, &[("09:00", "17:00")]),
        exceptions: vec![
            closed("2019-12-25", "Christmas Day", ""),
            closed("2019-12-26", "Boxing Day", ""),
            open("2019-12-24", ExceptionHours::Open(hours(&[("09:00", "13:00")]))),
        ],
        working_day: 8 * HOUR,
    };
    let calendar = Calendar::new(&draft).expect("a sound calendar");
    let start = "2019-12-24T09:00:00+01:00";
    assert_eq!(due(&calendar, start, Target::WorkingDays(1)), "Fri 2019-12-27 13:00:00");
    let segments = calendar.due(at(start), Target::WorkingDays(1)).expect("due").segments;
    let special = Label::new("Make-up working day", "调休");
    assert_eq!(segments[0].reason, Reason::SpecialHours(special), "a Tuesday is no make-up day");
}

#[test]
fn x05_a_skipped_hour_does_not_count_and_a_repeated_one_counts_twice() {
    let night = [("01:00", "04:00")];
    for (zone, spring, autumn) in [
        ("Europe/Berlin", "2020-03-29T00:00:00+01:00", "2020-10-25T00:00:00+02:00"),
        ("America/New_York", "2020-03-08T00:00:00-05:00", "2020-11-01T00:00:00-04:00"),
    ] {
        let calendar = daily(zone, &night);
        for (midnight, open) in [(spring, 2), (autumn, 4)] {
            let noon = at(midnight) + 12 * HOUR;
            let open = BusinessTime::from_hours(open);
            assert_eq!(calendar.consumed(at(midnight), noon), open, "{zone} {midnight}");
        }
    }
}

#[test]
fn x05_24_elapsed_hours_do_not_care_for_daylight_saving() {
    let calendar = daily("Europe/Berlin", &[("00:00", "24:00")]);
    let start = "2020-03-28T12:00:00+01:00";
    assert_eq!(due(&calendar, start, Target::Elapsed(24 * HOUR)), "Sun 2020-03-29 13:00:00");
    // Nor does business time that never closes.
    let always = Target::Business(BusinessTime::from_hours(24));
    assert_eq!(due(&calendar, start, always), "Sun 2020-03-29 13:00:00");
}

#[test]
fn x05_hours_up_to_24_00_join_the_next_day() {
    let calendar = daily("Asia/Shanghai", &[("00:00", "02:00"), ("22:00", "24:00")]);
    let shift = Target::Business(BusinessTime::from_hours(4));
    assert_eq!(due(&calendar, "2019-09-23T22:00:00+08:00", shift), "Tue 2019-09-24 02:00:00");
    let due = calendar.due(at("2019-09-23T22:00:00+08:00"), shift).expect("due");
    assert_eq!(due.segments.len(), 1, "midnight does not divide what is one stretch");
}

#[test]
fn x05_a_date_that_a_zone_skipped_has_no_hours() {
    // Samoa went from the 29th to the 31st of December 2011.
    let calendar = daily("Pacific/Apia", &[("09:00", "17:00")]);
    let consumed = calendar.consumed(at("2011-12-29T10:00:00Z"), at("2012-01-01T10:00:00Z"));
    // Local midnight to local midnight: the 29th, the 31st and the 1st.
    assert_eq!(consumed, BusinessTime::from_hours(8 * 3));
}

#[test]
fn x05_nothing_promised_is_due_at_once() {
    let calendar = shanghai();
    let night = "2019-10-03T03:00:00+08:00";
    for target in [
        Target::Elapsed(Duration::ZERO),
        Target::Business(BusinessTime::ZERO),
        Target::WorkingDays(0),
    ] {
        assert_eq!(calendar.due_at(at(night), target), Ok(at(night)));
    }
}

#[test]
fn x05_a_clock_running_backwards_consumes_nothing() {
    let calendar = shanghai();
    let (early, late) = (at("2019-09-23T09:00:00+08:00"), at("2019-09-24T09:00:00+08:00"));
    assert_eq!(calendar.consumed(late, early), BusinessTime::ZERO);
    assert_eq!(calendar.consumed(early, early), BusinessTime::ZERO);
}

#[test]
fn x05_a_calendar_that_is_over_never_opens() {
    let draft = CalendarDraft {
        time_zone: "Asia/Shanghai".into(),
        exceptions: vec![open("2019-10-12", ExceptionHours::Open(hours(&[("09:00", "17:00")])))],
        working_day: 8 * HOUR,
        ..CalendarDraft::default()
    };
    let fair = Calendar::new(&draft).expect("open once is open");
    let before = at("2019-10-01T00:00:00+08:00");
    assert_eq!(fair.due_at(before, Target::WorkingDays(1)), Ok(at("2019-10-12T17:00:00+08:00")));

    let after = at("2019-10-12T17:00:00+08:00");
    let never = Err(DueError::NeverOpens { after });
    assert_eq!(fair.due_at(after, Target::WorkingDays(1)), never);
    let too_far = Err(DueError::TooFar { start: before });
    assert_eq!(fair.due_at(before, Target::WorkingDays(2)), too_far);
}

#[test]
fn x05_the_search_is_bounded_and_does_not_overflow() {
    let calendar = shanghai();
    let start = at("2019-09-23T09:00:00+08:00");
    let too_far = Err(DueError::TooFar { start });
    for target in [
        Target::Elapsed(Duration::MAX),
        Target::Business(BusinessTime::new(Duration::MAX)),
        Target::WorkingDays(u32::MAX),
    ] {
        assert_eq!(calendar.due_at(start, target), too_far);
        assert_eq!(calendar.due(start, target).map(drop), too_far.map(drop));
    }
    let years = Target::Elapsed(u32::from(HORIZON_YEARS) * 365 * 24 * HOUR);
    assert!(calendar.due_at(start, years).is_ok());

    let end = jiff::Timestamp::MAX;
    assert!(calendar.due_at(end, Target::WorkingDays(1)).is_err());
    assert!(calendar.due_at(end, Target::Elapsed(HOUR)).is_err());
    assert!(calendar.due_at(jiff::Timestamp::MIN, Target::WorkingDays(1)).is_ok());
}

#[test]
fn x05_a_calendar_that_is_always_open_counts_all_time() {
    let calendar = Calendar::always_open();
    let start = at("2020-02-28T23:00:00Z");
    let end = Ok(at("2020-03-01T23:00:00Z"));
    assert_eq!(calendar.due_at(start, Target::Elapsed(48 * HOUR)), end);
    assert_eq!(calendar.due_at(start, Target::WorkingDays(2)), end);
}

#[test]
fn t05_a_due_time_is_explained_segment_by_segment() {
    let calendar = shanghai();
    let due = calendar.due(at("2019-09-30T17:00:00+08:00"), Target::WorkingDays(1)).expect("due");
    let told: Vec<_> = due
        .segments
        .iter()
        .map(|segment| {
            let zone = calendar.time_zone().clone();
            let from = segment.from.to_zoned(zone).strftime("%d %H:%M").to_string();
            (from, segment.counted.as_secs() / 3_600, segment.reason.words().zh)
        })
        .collect();
    let expected = [
        ("30 17:00", 1, "工作时间"),
        ("30 18:00", 0, "非工作时间"),
        ("01 00:00", 0, "节假日：国庆节"),
        ("08 00:00", 0, "非工作时间"),
        ("08 09:00", 3, "工作时间"),
        ("08 12:00", 0, "非工作时间"),
        ("08 14:00", 3, "工作时间"),
    ];
    let expected = expected.map(|(from, counted, why)| (from.to_owned(), counted, why.to_owned()));
    assert_eq!(told, expected);
    assert_eq!(due.segments.last().map(|last| last.to), Some(due.at));
}

#[test]
fn t05_make_up_days_and_days_off_explain_themselves() {
    let calendar = shanghai();
    let due = calendar.due(at("2019-10-11T18:00:00+08:00"), Target::WorkingDays(2)).expect("due");
    let words: Vec<_> = due.segments.iter().map(|segment| segment.reason.words().en).collect();
    let make_up = "make-up working day: Make-up working day";
    let off = "outside working hours";
    let work = "working hours";
    assert_eq!(words, [off, make_up, off, make_up, off, "day off", off, work, off, work]);
}

#[test]
fn t05_a_label_in_one_language_stands_in_both() {
    let words = Reason::Holiday(Label::new("", "中秋节")).words();
    assert_eq!(words, Label::new("public holiday: 中秋节", "节假日：中秋节"));
}
