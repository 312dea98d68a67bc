//! Calendars that the tests share.
#![allow(dead_code, clippy::expect_used, reason = "each test file uses its part")]

use std::time::Duration;

use jiff::Timestamp;
use kefu_calendar::{Calendar, CalendarDraft, DayHours, Exception, ExceptionHours, Hours, Label};

pub const HOUR: Duration = Duration::from_secs(3_600);

pub fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

pub fn hours(times: &[(&str, &str)]) -> Vec<Hours> {
    times.iter().map(|(open, close)| Hours::new(*open, *close)).collect()
}

pub fn weekdays(days: std::ops::RangeInclusive<i32>, times: &[(&str, &str)]) -> Vec<DayHours> {
    days.map(|day_of_week| DayHours { day_of_week, intervals: hours(times) }).collect()
}

pub fn closed(date: &str, en: &str, zh: &str) -> Exception {
    Exception { date: date.into(), label: Label::new(en, zh), hours: ExceptionHours::Closed }
}

pub fn open(date: &str, hours: ExceptionHours) -> Exception {
    Exception { date: date.into(), label: Label::new("Make-up working day", "调休"), hours }
}

/// Monday to Friday 9 to 12 and 14 to 18 in Shanghai; a working day is those seven hours; with the
/// public holidays and make-up days around the National Day of 2019 and in the year after.
pub fn shanghai_draft() -> CalendarDraft {
    let mut exceptions = Vec::new();
    let mut holiday = |month: &str, days: std::ops::RangeInclusive<u8>, en: &str, zh: &str| {
        exceptions.extend(days.map(|day| closed(&format!("{month}-{day:02}"), en, zh)));
    };
    holiday("2019-10", 1..=7, "National Day", "国庆节");
    holiday("2020-01", 1..=1, "New Year", "元旦");
    holiday("2020-01", 24..=31, "Spring Festival", "春节");
    holiday("2020-02", 1..=2, "Spring Festival", "春节");
    holiday("2020-05", 1..=5, "Labour Day", "劳动节");
    for date in ["2019-09-29", "2019-10-12", "2020-01-19", "2020-04-26", "2020-05-09"] {
        exceptions.push(open(date, ExceptionHours::Like(1)));
    }
    CalendarDraft {
        time_zone: "Asia/Shanghai".into(),
        week: weekdays(1..=5, &[("09:00", "12:00"), ("14:00", "18:00")]),
        exceptions,
        working_day: 7 * HOUR,
    }
}

pub fn shanghai() -> Calendar {
    Calendar::new(&shanghai_draft()).expect("a sound calendar")
}

/// Every day at these hours in this zone.
pub fn daily(zone: &str, times: &[(&str, &str)]) -> Calendar {
    Calendar::new(&CalendarDraft {
        time_zone: zone.into(),
        week: weekdays(1..=7, times),
        exceptions: Vec::new(),
        working_day: 8 * HOUR,
    })
    .expect("a sound calendar")
}
