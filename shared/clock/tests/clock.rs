//! What the clock and the ids promise.

#![allow(clippy::expect_used, reason = "helpers of tests")]

use std::{
    collections::HashSet,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use kefu_clock::{
    Clock, ClockError, IdSource, ManualClock, SharedClock, SystemClock, monotonic, random_bytes,
    to_micros,
};
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn start() -> ManualClock {
    ManualClock::new(at("2019-10-01T00:00:00Z"))
}

fn ready(future: impl Future<Output = ()>) -> bool {
    pin!(future).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
}

#[test]
fn x05_every_time_is_a_whole_microsecond() {
    assert_eq!(SystemClock.now().as_nanosecond() % 1_000, 0);
    let clock = ManualClock::new(at("2019-10-01T00:00:00.123456789Z"));
    assert_eq!(clock.now(), at("2019-10-01T00:00:00.123456Z"));
    clock.set(at("2019-10-01T00:00:01.000001999Z")).expect("forwards");
    assert_eq!(clock.now(), at("2019-10-01T00:00:01.000001Z"));
}

#[test]
fn x05_times_before_1970_are_cut_towards_the_past_as_well() {
    assert_eq!(to_micros(at("1969-12-31T23:59:59.9999995Z")), at("1969-12-31T23:59:59.999999Z"));
}

#[test]
fn x05_a_manual_clock_stands_still_and_never_goes_back() {
    let clock = start();
    let (now, earlier) = (clock.now(), at("2019-09-30T23:59:59Z"));
    assert_eq!(clock.set(earlier), Err(ClockError::Backwards { now, asked: earlier }));
    assert_eq!(clock.now(), now);
    assert_eq!(clock.set(now), Ok(()), "the same time again is no step back");

    let by = SignedDuration::from_secs(-1);
    assert!(matches!(clock.advance(by), Err(ClockError::Backwards { .. })));
    let by = SignedDuration::MAX;
    assert_eq!(clock.advance(by), Err(ClockError::OutOfRange { now, by }));
    assert_eq!(clock.advance(SignedDuration::from_hours(24)), Ok(at("2019-10-02T00:00:00Z")));
}

#[test]
fn x05_clones_of_a_manual_clock_share_one_time() {
    let (clock, shared) = (start(), start());
    let other = clock.clone();
    clock.set(at("2019-12-31T00:00:00Z")).expect("forwards");
    assert_eq!(other.now(), clock.now());
    assert_ne!(shared.now(), clock.now(), "but not across clocks");
}

#[tokio::test]
async fn x05_setting_the_clock_wakes_all_whose_time_has_come_and_nobody_else() {
    let clock = start();
    let sleepers: Vec<_> = ["2019-10-01T08:00:00Z", "2019-10-01T09:00:00Z"]
        .map(|due| tokio::spawn(clock.sleep_until(at(due))))
        .into();
    let mut late = pin!(clock.sleep_until(at("2019-10-01T09:00:00.000001Z")));
    let mut context = Context::from_waker(Waker::noop());
    assert!(late.as_mut().poll(&mut context).is_pending());

    clock.set(at("2019-10-01T09:00:00Z")).expect("forwards");
    for sleeper in sleepers {
        sleeper.await.expect("woken");
    }
    assert!(late.as_mut().poll(&mut context).is_pending());
    clock.advance(SignedDuration::from_micros(1)).expect("forwards");
    assert!(late.as_mut().poll(&mut context).is_ready());
}

#[test]
fn x05_a_move_between_making_and_polling_a_sleep_is_not_missed() {
    let clock = start();
    let (seen, sleep) = (clock.now(), clock.sleep_until(at("2019-10-02T00:00:00Z")));
    assert!(!ready(clock.set_past(seen)));
    let moved = clock.set_past(seen);
    clock.set(at("2019-10-03T00:00:00Z")).expect("forwards");
    assert!(ready(sleep));
    assert!(ready(moved));
    assert!(ready(clock.set_past(seen)), "nor one before the wait was made");
    assert!(!ready(clock.set_past(clock.now())));
}

#[test]
fn x05_a_sleeper_outlives_the_handles_of_its_clock() {
    let sleep = start().sleep_until(at("2019-10-02T00:00:00Z"));
    assert!(!ready(sleep), "a clock nobody can move any more is not one that has arrived");
}

#[tokio::test]
async fn x05_the_system_clock_sleeps_until_the_time_and_not_for_the_past() {
    let due = SystemClock.now() + Duration::from_millis(20);
    let begun = monotonic();
    SystemClock.sleep_until(due).await;
    assert!(SystemClock.now() >= due);
    assert!(monotonic() > begun);
    assert!(ready(SystemClock.sleep_until(at("1970-01-01T00:00:00Z"))));
    assert!(!ready(SystemClock.set_past(at("1970-01-01T00:00:00Z"))), "it flows, it is not set");
}

#[test]
fn x05_ids_carry_the_time_of_the_clock() {
    let clock = start();
    let id = IdSource::new(Arc::new(clock.clone())).uuid();
    let (seconds, nanos) = id.get_timestamp().expect("version 7").to_unix();
    assert_eq!((seconds, nanos), (u64::try_from(clock.now().as_second()).unwrap(), 0));
}

#[test]
fn x05_ids_of_many_threads_are_unique_and_increase_in_each() {
    let source = IdSource::new(Arc::new(start()));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let source = source.clone();
            std::thread::spawn(move || (0..2_000).map(|_| source.uuid()).collect::<Vec<_>>())
        })
        .collect();
    let mut seen = HashSet::new();
    for thread in threads {
        let ids = thread.join().expect("a thread");
        assert!(ids.is_sorted_by(|a, b| a < b));
        seen.extend(ids);
    }
    assert_eq!(seen.len(), 8_000);
}

#[test]
fn x05_neighbouring_ids_differ_in_bits_of_chance() {
    let source = IdSource::new(Arc::new(start()));
    let steps: HashSet<u128> =
        (0..500).map(|_| source.uuid().as_u128().abs_diff(source.uuid().as_u128())).collect();
    assert_eq!(steps.len(), 500, "steps must not repeat");
    assert_ne!(random_bytes::<32>(), random_bytes::<32>());
}

proptest! {
    #[test]
    fn x05_ids_increase_however_the_clock_moves(steps in prop::collection::vec(0_i64..3_000, 1..200)) {
        let clock = start();
        let shared: SharedClock = Arc::new(clock.clone());
        let source = IdSource::new(shared);
        let mut last = source.uuid();
        for step in steps {
            clock.advance(SignedDuration::from_micros(step)).expect("forwards");
            let next = source.uuid();
            prop_assert!(next > last);
            last = next;
        }
    }
}
