//! T-14, T-26: how patiently something is tried, and what ends it.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn patience() -> Patience {
    Patience { attempts: 4, first: Duration::from_secs(60), longest: Duration::from_secs(600) }
}

fn delivery() -> Delivery {
    Delivery {
        id: Uuid::from_u128(1),
        revision: 1,
        ticket: Uuid::from_u128(2),
        customer: None,
        org_unit: "group".into(),
        message: None,
        content: DeliveryContent::Notice,
        rule: None,
        adapter: "mail".into(),
        kind: AdapterKind::Mail,
        recipient: "night-shift".into(),
        subject: "工单".into(),
        body: Some("请处理".into()),
        state: DeliveryState::Pending,
        attempts: 0,
        allowed_attempts: 4,
        patience: patience(),
        next_attempt_at: Some(hours(0)),
        last_error: None,
        provider_id: None,
        sent_at: None,
        created_by: CLERK.into(),
        created_at: hours(0),
        updated_at: hours(0),
    }
}

fn failed() -> Attempted {
    Attempted::Failed { error: "忙".into(), after: None }
}

proptest! {
    #[test]
    fn t26_waits_double_up_to_the_longest_with_a_part_by_chance(
        failures in 0_u32..1_000, chance: u64, first in 1_u64..86_400, more in 0_u64..604_800,
    ) {
        let (first, longest) = (Duration::from_secs(first), Duration::from_secs(first + more));
        let patience = Patience { attempts: 5, first, longest };
        let wait = patience.wait(failures, chance);
        let whole = first.saturating_mul(1 << failures.saturating_sub(1).min(31)).min(longest);
        prop_assert!(wait <= whole && wait >= whole / 2, "{wait:?} of {whole:?}");
    }

    /// Whatever happens in whatever order: what was sent or cancelled stays so, what is pending has a time, and nothing is
    /// tried more often than it may be.
    #[test]
    fn t14_a_delivery_ends_once_and_is_never_forgotten(
        steps in prop::collection::vec((0_u8..5, any::<u64>()), 0..40),
    ) {
        let mut one = delivery();
        let mut now = hours(0);
        for (step, chance) in steps {
            let before = one.clone();
            now = one.next_attempt_at.unwrap_or(now).max(now);
            let attempting = step < 3 && one.state == DeliveryState::Pending && !one.is_exhausted();
            one.attempts += u32::from(attempting);
            match step {
                _ if step < 3 && !attempting => {}
                0 => _ = one.attempted(failed(), now, chance),
                1 => _ = one.attempted(Attempted::Taken { provider_id: None }, now, chance),
                2 => _ = one.attempted(Attempted::Refused { error: "不".into() }, now, chance),
                3 => _ = one.retry(now),
                _ => _ = one.cancel(chance % 2 == 0, now),
            }
            if matches!(before.state, DeliveryState::Sent | DeliveryState::Cancelled) {
                prop_assert_eq!(&one, &before);
            }
            prop_assert_eq!(one.state == DeliveryState::Pending, one.next_attempt_at.is_some());
            prop_assert_eq!(one.state == DeliveryState::Sent, one.sent_at.is_some());
            prop_assert!(one.attempts <= one.allowed_attempts);
            prop_assert!(one.next_attempt_at.is_none_or(|next| next >= now));
            prop_assert!(one.revision - before.revision <= 1);
        }
    }
}

#[test]
fn t26_the_other_side_may_ask_for_a_longer_wait_but_not_for_patience_without_end() {
    for (asked, waits) in [(300, 300), (1, 45), (1_000_000, 600)] {
        let mut one = delivery();
        one.attempts = 1;
        let after = Some(Duration::from_secs(asked));
        let half = 15_000_000;
        assert!(one.attempted(Attempted::Failed { error: "503".into(), after }, hours(0), half));
        let waited = one.next_attempt_at.unwrap().duration_since(hours(0));
        assert_eq!(waited.as_secs(), waits, "{asked}");
    }
}

#[test]
fn t14_what_is_heard_late_is_a_fact_if_it_was_taken_and_nothing_otherwise() {
    for state in [DeliveryState::Parked, DeliveryState::Cancelled, DeliveryState::Sent] {
        let mut one = Delivery { state, next_attempt_at: None, ..delivery() };
        assert!(!one.attempted(failed(), hours(1), 0), "{state}");
        let taken = one.attempted(Attempted::Taken { provider_id: None }, hours(1), 0);
        assert_eq!((taken, one.state), (state != DeliveryState::Sent, DeliveryState::Sent));
    }
}

#[test]
fn t26_a_retry_by_a_person_begins_with_short_waits_again() {
    let mut one = delivery();
    for attempt in 1..=4 {
        one.attempts = attempt;
        one.attempted(failed(), hours(0), 0);
    }
    assert_eq!(one.state, DeliveryState::Parked);
    one.retry(hours(1)).unwrap();
    assert_eq!((one.state, one.allowed_attempts), (DeliveryState::Pending, 8));
    one.attempts = 5;
    one.attempted(failed(), hours(1), 0);
    let waited = one.next_attempt_at.unwrap().duration_since(hours(1));
    assert_eq!(waited.as_secs(), 60);
}

#[test]
fn t14_what_is_taken_back_is_not_tried_again_and_that_it_was_taken_stays_a_fact() {
    let mut on_its_way = delivery();
    assert_eq!(on_its_way.clone().cancel(true, hours(1)), Err(DeliveryRefusal::InFlight));
    assert!(on_its_way.withdraw(hours(1)), "also while it is being sent");
    assert_eq!((on_its_way.state, on_its_way.next_attempt_at), (DeliveryState::Cancelled, None));
    assert!(!on_its_way.attempted(failed(), hours(2), 0), "that was the last attempt");
    assert!(!on_its_way.clone().withdraw(hours(2)), "once");
    assert!(on_its_way.attempted(Attempted::Taken { provider_id: None }, hours(2), 0));
    assert!(!on_its_way.withdraw(hours(3)), "it is there");
    assert_eq!(on_its_way.state, DeliveryState::Sent);
}
