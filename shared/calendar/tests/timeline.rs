//! Promises with pauses, by example.
#![allow(clippy::expect_used, reason = "helpers of tests")]

mod common;

use std::time::Duration;

use common::{HOUR, at, shanghai};
use jiff::Timestamp;
use kefu_calendar::{BusinessTime, Pause, Reason, Target, Timeline, TimelineError};

/// A weekday in September 2019, in Shanghai. The 23rd is a Monday.
fn on(day: u8, time: &str) -> Timestamp {
    at(&format!("2019-09-{day}T{time}:00+08:00"))
}

fn business(hours: u32) -> Target {
    Target::Business(BusinessTime::from_hours(hours))
}

#[test]
fn t06_a_pause_moves_the_due_time_by_the_business_time_in_it() {
    let calendar = shanghai();
    let mut clock = Timeline::new(on(23, "09:00"), Target::WorkingDays(1));
    assert_eq!(clock.due(&calendar), Ok(Some(on(23, "18:00"))));

    clock.pause(on(23, "10:00"), "waiting for the customer").expect("running");
    assert!(clock.is_paused());
    assert_eq!(clock.due(&calendar), Ok(None), "nobody knows when the customer answers");
    assert_eq!(clock.consumed_at(&calendar, on(26, "12:00")), HOUR);

    clock.resume(on(24, "11:00")).expect("paused");
    assert_eq!(clock.due(&calendar), Ok(Some(on(25, "10:00"))));
    assert_eq!(clock.paused_at(on(30, "00:00")), 25 * HOUR);
}

#[test]
fn t06_an_elapsed_clock_is_moved_by_the_whole_pause() {
    let calendar = shanghai();
    let mut clock = Timeline::new(on(23, "09:00"), Target::Elapsed(24 * HOUR));
    clock.pause(on(23, "20:00"), "").expect("running");
    clock.resume(on(24, "08:00")).expect("paused");
    assert_eq!(clock.due(&calendar), Ok(Some(on(24, "21:00"))));
}

#[test]
fn t06_a_pause_after_the_due_time_does_not_unmake_the_breach() {
    let calendar = shanghai();
    let mut clock = Timeline::new(on(23, "09:00"), business(3));
    let due = Ok(Some(on(23, "12:00")));
    for paused in [on(23, "12:00"), on(23, "17:00")] {
        let mut clock = clock.clone();
        clock.pause(paused, "too late").expect("running");
        assert_eq!(clock.due(&calendar), due);
        clock.resume(on(24, "09:00")).expect("paused");
        assert_eq!(clock.due(&calendar), due);
    }
    clock.pause(on(23, "11:59"), "just in time").expect("running");
    assert_eq!(clock.due(&calendar), Ok(None));
}

#[test]
fn t06_a_change_of_target_or_calendar_keeps_the_pauses() {
    let (calendar, always) = (shanghai(), kefu_calendar::Calendar::always_open());
    let mut clock = Timeline::new(on(23, "09:00"), business(10));
    clock.pause(on(23, "10:00"), "parts").expect("running");
    clock.resume(on(23, "15:00")).expect("paused");
    let pauses = clock.pauses().to_vec();

    let mut severe = clock.clone();
    severe.retarget(business(2));
    assert_eq!(severe.due(&calendar), Ok(Some(on(23, "16:00"))));
    assert_eq!(severe.due(&always), Ok(Some(on(23, "16:00"))));
    severe.retarget(Target::Elapsed(5 * HOUR));
    assert_eq!(severe.due(&calendar), Ok(Some(on(23, "19:00"))));
    assert_eq!(severe.pauses(), pauses);
    assert_eq!(clock.due(&calendar), Ok(Some(on(24, "17:00"))), "the original is not touched");
}

#[test]
fn t06_pauses_come_in_order_and_one_at_a_time() {
    let mut clock = Timeline::new(on(23, "09:00"), business(1));
    let refused = |at, last| Err(TimelineError::OutOfOrder { at, last });
    assert_eq!(clock.resume(on(23, "10:00")), Err(TimelineError::NotPaused));
    assert_eq!(clock.pause(on(23, "08:59"), ""), refused(on(23, "08:59"), on(23, "09:00")));
    assert_eq!(clock.pause(on(23, "10:00"), ""), Ok(()));
    let already = Err(TimelineError::AlreadyPaused { since: on(23, "10:00") });
    assert_eq!(clock.pause(on(23, "11:00"), ""), already);
    assert_eq!(clock.resume(on(23, "09:30")), refused(on(23, "09:30"), on(23, "10:00")));
    assert_eq!(clock.resume(on(23, "10:00")), Ok(()), "a pause may end when it began");
    assert_eq!(clock.pause(on(23, "09:59"), ""), refused(on(23, "09:59"), on(23, "10:00")));
    assert_eq!(clock.pauses().len(), 1);
}

#[test]
fn t06_a_stored_history_is_checked_when_it_comes_back() {
    let pause = |from, to| Pause { from, to, reason: "parts".into() };
    let first = pause(on(23, "10:00"), Some(on(23, "11:00")));
    let restore = |pauses: Vec<Pause>| Timeline::restore(on(23, "09:00"), business(1), pauses);

    let whole = restore(vec![first.clone(), pause(on(24, "10:00"), None)]).expect("in order");
    assert!(whole.is_paused());
    assert_eq!(whole.pauses()[0], first);
    assert!(restore(vec![pause(on(24, "10:00"), None), first.clone()]).is_err());
    assert!(restore(vec![first, pause(on(23, "10:59"), None)]).is_err());
}

#[test]
fn t07_shares_of_the_target_have_their_time_too() {
    let calendar = shanghai();
    let mut clock = Timeline::new(on(23, "09:00"), business(10));
    assert_eq!(clock.at_share(&calendar, 0), Ok(Some(on(23, "09:00"))));
    assert_eq!(clock.at_share(&calendar, 80), Ok(Some(on(24, "10:00"))));
    assert_eq!(clock.at_share(&calendar, 100), clock.due(&calendar));
    assert_eq!(clock.at_share(&calendar, 150), Ok(Some(on(25, "10:00"))));
    assert_eq!(clock.reaches(&calendar, 7 * HOUR), Ok(Some(on(23, "18:00"))));
    clock.pause(on(24, "10:00"), "").expect("running");
    assert_eq!(clock.at_share(&calendar, 80), Ok(Some(on(24, "10:00"))), "used up before it");
    assert_eq!(clock.at_share(&calendar, 81), Ok(None));
}

#[test]
fn t05_consumed_and_remaining_are_the_target_until_it_is_overdue() {
    let calendar = shanghai();
    let clock = Timeline::new(on(23, "09:00"), business(4));
    for (now, consumed, remaining) in [
        (on(22, "09:00"), 0, 4),
        (on(23, "09:00"), 0, 4),
        (on(23, "13:00"), 3, 1),
        (on(23, "15:00"), 4, 0),
        (on(23, "18:00"), 7, 0),
    ] {
        assert_eq!(clock.consumed_at(&calendar, now), consumed * HOUR);
        assert_eq!(clock.remaining_at(&calendar, now), remaining * HOUR);
    }
}

#[test]
fn t05_pauses_stand_in_the_explanation() {
    let calendar = shanghai();
    let mut clock = Timeline::new(on(23, "11:00"), business(2));
    clock.pause(on(23, "11:30"), "waiting for the supplier").expect("running");
    let paused = Reason::Pause("waiting for the supplier".into());
    let told = |clock: &Timeline, now| {
        let explanation = clock.explain(&calendar, now).expect("an explanation");
        let told = explanation.segments.into_iter().map(|s| (s.to, s.counted.as_secs(), s.reason));
        (explanation.due, told.collect::<Vec<_>>())
    };

    let first = (on(23, "11:30"), 1_800, Reason::WorkingHours);
    let open = vec![first.clone(), (on(23, "16:00"), 0, paused.clone())];
    assert_eq!(told(&clock, on(23, "16:00")), (None, open));
    let early = vec![first.clone(), (on(23, "11:30"), 0, paused.clone())];
    assert_eq!(told(&clock, on(23, "09:00")), (None, early), "not before the pause began");

    clock.resume(on(23, "13:00")).expect("paused");
    let whole = vec![
        first,
        (on(23, "13:00"), 0, paused),
        (on(23, "14:00"), 0, Reason::OffHours),
        (on(23, "15:30"), 5_400, Reason::WorkingHours),
    ];
    assert_eq!(told(&clock, on(23, "13:00")), (Some(on(23, "15:30")), whole));
}

#[test]
fn x05_times_are_cut_to_the_microsecond_that_is_stored() {
    let calendar = shanghai();
    let started = on(23, "09:00") + Duration::from_nanos(1_999);
    let clock = Timeline::new(started, Target::Elapsed(Duration::from_nanos(2_500)));
    assert_eq!(clock.started(), on(23, "09:00") + Duration::from_micros(1));
    assert_eq!(clock.due(&calendar), Ok(Some(on(23, "09:00") + Duration::from_micros(3))));
}
