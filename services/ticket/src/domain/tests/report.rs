//! T-20: which time a report is about.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use proptest::prelude::*;

use crate::domain::{ReportWindow, iso_week, iso_week_of, pareto, week_from, week_of};

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn shown(week: Option<(Timestamp, Timestamp)>) -> (String, String) {
    let (start, end) = week.unwrap();
    (start.to_string(), end.to_string())
}

fn span(start: &str, end: &str) -> (String, String) {
    (start.to_owned(), end.to_owned())
}

#[test]
fn t20_a_week_is_monday_to_monday_on_the_wall_clock() {
    let shanghai = zone("Asia/Shanghai");
    let expected = span("2026-11-15T16:00:00Z", "2026-11-22T16:00:00Z");
    assert_eq!(shown(week_of(at("2026-11-15T16:00:00Z"), &shanghai)), expected);
    assert_eq!(shown(week_of(at("2026-11-22T15:59:59.999999Z"), &shanghai)), expected);
    // One hour longer: the clocks go back on that Sunday.
    let expected = span("2026-10-18T22:00:00Z", "2026-10-25T23:00:00Z");
    assert_eq!(shown(week_of(at("2026-10-21T12:00:00Z"), &zone("Europe/Berlin"))), expected);
    // One hour shorter.
    let expected = span("2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z");
    assert_eq!(shown(week_of(at("2026-03-25T12:00:00Z"), &zone("Europe/Berlin"))), expected);
}

#[test]
fn t20_an_iso_week_belongs_to_the_year_of_its_thursday() {
    let utc = TimeZone::UTC;
    for (week, monday) in [
        ("2026-W01", "2025-12-29T00:00:00Z"),
        ("2026-W53", "2026-12-28T00:00:00Z"),
        ("2027-W01", "2027-01-04T00:00:00Z"),
        ("2020-W53", "2020-12-28T00:00:00Z"),
        ("2026-W10", "2026-03-02T00:00:00Z"),
    ] {
        let (start, end) = week_from(iso_week(week).unwrap(), &utc).unwrap();
        assert_eq!(start, at(monday), "{week}");
        assert_eq!(iso_week_of(start, end, &utc).as_deref(), Some(week));
        assert_eq!(iso_week_of(start, end + SignedDuration::from_secs(1), &utc), None);
        assert_eq!(week_of(end - SignedDuration::from_micros(1), &utc), Some((start, end)));
    }
    for wrong in [
        "",
        "2026",
        "2026-10",
        "2026-W",
        "2026-W0",
        "2026-W00",
        "2025-W53",
        "2026-W54",
        "2026-w10",
        "2026-W1",
        "2026-W010",
        "26-W10",
        "+026-W10",
        "2026-W+1",
        "2026-W10-1",
        "0000-W10",
        "２０２６-W10",
        "-999-W10",
        "99999-W10",
        " 2026-W10",
    ] {
        assert_eq!(iso_week(wrong), None, "{wrong:?}");
    }
    // The last week that the calendar knows goes beyond what a timestamp can be.
    assert_eq!(iso_week("9999-W52").and_then(|monday| week_from(monday, &utc)), None);
}

#[test]
fn t20_the_week_before_and_the_year_before_have_the_same_weekdays_and_hours_of_the_wall_clock() {
    let berlin = zone("Europe/Berlin");
    let (start, end) = week_of(at("2026-10-28T09:30:00Z"), &berlin).unwrap();
    // Wednesday, half past ten in winter; a week before half past ten was in summer.
    let window = ReportWindow { start, end, as_of: at("2026-10-28T09:30:00Z") };
    let before = window.before(&berlin).unwrap();
    assert_eq!(Some((before.start, before.end)), week_of(at("2026-10-21T12:00:00Z"), &berlin));
    assert_eq!(before.as_of, at("2026-10-21T08:30:00Z"));
    let year = window.year_before(&berlin).unwrap();
    assert_eq!(year.start.to_string(), "2025-10-26T23:00:00Z", "Monday after the clocks went back");
    assert_eq!(year.as_of, at("2025-10-29T09:30:00Z"));
    assert_eq!(year.as_of.to_zoned(berlin.clone()).weekday(), jiff::civil::Weekday::Wednesday);
}

#[test]
fn t20_a_day_that_begins_at_one_o_clock_is_compared_with_whole_days() {
    // On 2018-11-04 the clocks of São Paulo went from 0:00 to 1:00.
    let zone = zone("America/Sao_Paulo");
    let (start, end) = (at("2018-11-04T03:00:00Z"), at("2018-11-05T02:00:00Z"));
    assert_eq!(start.to_zoned(zone.clone()).hour(), 1);
    let before = ReportWindow { start, end, as_of: end }.before(&zone).unwrap();
    assert_eq!(before.start, at("2018-10-28T03:00:00Z"), "midnight, not one o'clock");
    let after = ReportWindow {
        start: at("2018-11-11T02:00:00Z"),
        end: at("2018-11-12T02:00:00Z"),
        as_of: at("2018-11-12T02:00:00Z"),
    };
    assert_eq!(after.before(&zone).unwrap().start, start);
}

#[test]
fn t20_a_longer_period_is_compared_with_one_that_it_does_not_overlap() {
    let utc = TimeZone::UTC;
    let window =
        |start: &str, end: &str| ReportWindow { start: at(start), end: at(end), as_of: at(end) };
    let march = window("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z");
    let before = march.before(&utc).unwrap();
    assert_eq!(before.start, at("2026-01-25T00:00:00Z"), "five weeks");
    assert!(before.end <= march.start);
    let eight_days = window("2026-03-02T00:00:00Z", "2026-03-09T00:00:00.000001Z");
    assert_eq!(eight_days.before(&utc).unwrap().start, at("2026-02-16T00:00:00Z"));
    let hour = window("2026-03-02T08:00:00Z", "2026-03-02T09:00:00Z");
    assert_eq!(hour.before(&utc).unwrap().start, at("2026-02-23T08:00:00Z"));
    // What the calendar does not reach is left out.
    assert_eq!(window("0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z").before(&utc), None);
    assert_eq!(window("0001-01-01T00:00:00Z", "0001-01-02T00:00:00Z").year_before(&utc), None);
}

#[test]
fn t20_shares_add_up() {
    let shares = pareto(&[5, 3, 2], 20);
    let shares: Vec<_> = shares.iter().map(|share| (share.share, share.cumulative)).collect();
    assert_eq!(shares, [(0.25, 0.25), (0.15, 0.4), (0.1, 0.5)]);
    assert_eq!(pareto(&[0], 0)[0].share, 0.0, "nothing of nothing");
}

proptest! {
    /// Whatever the time and the zone: a week is seven dates, holds its time, and the one before ends where it begins.
    #[test]
    fn t20_weeks_follow_each_other_without_gap_or_overlap(
        seconds in -2_000_000_000_i64..4_000_000_000,
        zone in prop::sample::select(vec![
            "Asia/Shanghai", "Europe/Berlin", "America/Sao_Paulo", "Asia/Beirut", "Australia/Lord_Howe", "Africa/Cairo",
            "America/New_York", "Asia/Kathmandu", "Pacific/Chatham", "UTC",
        ]),
    ) {
        let zone = TimeZone::get(zone).unwrap();
        let at = Timestamp::from_second(seconds).unwrap();
        let (start, end) = week_of(at, &zone).unwrap();
        prop_assert!(start <= at && at < end);
        let dates = [start, end].map(|at| at.to_zoned(zone.clone()).date());
        prop_assert_eq!(dates[0].checked_add(7.days()).unwrap(), dates[1]);
        prop_assert_eq!(week_from(iso_week(&iso_week_of(start, end, &zone).unwrap()).unwrap(), &zone), Some((start, end)));
        let before = ReportWindow { start, end, as_of: at }.before(&zone).unwrap();
        prop_assert_eq!(before.end, start);
        prop_assert_eq!(week_of(before.start, &zone), Some((before.start, before.end)));
        let year = ReportWindow { start, end, as_of: at }.year_before(&zone).unwrap();
        prop_assert_eq!(week_of(year.start, &zone), Some((year.start, year.end)));
    }
}
