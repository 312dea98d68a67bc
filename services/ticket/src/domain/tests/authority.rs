//! T-12: what a level may resolve by what the ticket is about in money.

use proptest::prelude::*;

use super::*;

fn cny(cents: i64) -> Amount {
    Amount { cents, currency: "CNY".into() }
}

/// Level 1 up to 5,000 yuan, and up to 20,000 where it is about service; level 2 up to 100,000.
fn desk(amount: Option<Amount>) -> Desk {
    let limit = |level, max_amount_cents| AuthorityDraft {
        level,
        max_amount_cents,
        currency: "CNY".into(),
        ..AuthorityDraft::default()
    };
    let service = AuthorityDraft { categories: vec!["service".into()], ..limit(1, 2_000_000) };
    let handling = HandlingDraft {
        authorities: vec![limit(1, 500_000), service, limit(2, 10_000_000)],
        ..HandlingDraft::default()
    };
    let policy = Policy::try_new(PolicyDraft { handling, ..draft() }).expect("a sound policy");
    let mut desk = Desk::with(policy, Severity::Ordinary);
    desk.ticket.amount = amount;
    desk
}

/// Which level it needs, and the limit that is in the way, if one is.
fn needed(desk: &Desk) -> Option<(u8, Option<Amount>)> {
    match desk.tries(HANDLER, hours(1), resolve()) {
        Ok(_) => None,
        Err(Refusal::Authority { needed, money, .. }) => {
            Some((needed.number(), money.map(|(_, limit)| limit)))
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn t12_a_level_resolves_up_to_its_amount() {
    assert_eq!(needed(&desk(None)), None, "not about money as far as is known");
    assert_eq!(needed(&desk(Some(cny(500_000)))), None, "up to it");
    assert_eq!(needed(&desk(Some(cny(500_001)))), Some((2, Some(cny(500_000)))));
    assert_eq!(needed(&desk(Some(cny(10_000_001)))), Some((3, Some(cny(500_000)))));
    // Nobody can tell what another currency is worth; the top decides about everything.
    let dollars = Amount { cents: 1, currency: "USD".into() };
    assert_eq!(needed(&desk(Some(dollars))), Some((3, None)));
    // The entry that covers it best counts.
    let mut service = desk(Some(cny(2_000_000)));
    service.ticket.details.category = "service".into();
    assert_eq!(needed(&service), None);
    service.ticket.amount = Some(cny(2_000_001));
    assert_eq!(needed(&service), Some((2, Some(cny(2_000_000)))));
    // It goes where it can be resolved, in one step.
    let mut large = desk(Some(cny(10_000_001)));
    let raise = Command::Escalate { reason: "超出限额".into(), by_manager: false };
    large.does(HANDLER, hours(1), raise);
    assert_eq!(large.level(), 3);
    assert_eq!(large.ticket.escalations[0].cause, EscalationCause::Authority);
    large.does(HANDLER, hours(2), resolve());
}

#[test]
fn t12_an_amount_is_written_as_people_write_it() {
    assert_eq!(cny(1_200_050).to_string(), "12000.50 CNY");
    assert_eq!(cny(5).to_string(), "0.05 CNY");
}

proptest! {
    /// More money never needs a lower level, and what is needed is enough.
    #[test]
    fn t12_more_money_needs_no_lower_level(one in 0..20_000_000_i64, more in 0..20_000_000_i64) {
        let level = |cents| needed(&desk(Some(cny(cents)))).map_or(1, |(level, _)| level);
        let (low, high) = (level(one), level(one.saturating_add(more)));
        prop_assert!(low <= high);
        let mut raised = desk(Some(cny(one)));
        if low > 1 {
            let raise = Command::Escalate { reason: "超出限额".into(), by_manager: false };
            raised.does(HANDLER, hours(1), raise);
        }
        prop_assert_eq!(raised.level(), low);
        prop_assert_eq!(needed(&raised), None);
    }
}
