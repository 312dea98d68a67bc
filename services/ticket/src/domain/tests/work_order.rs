//! T-16: work orders by example and as properties.

use jiff::SignedDuration;
use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

const DISPATCHER: &str = "dispatcher-sun";
const MANAGER: &str = "manager-qian";

/// One that has a violation for a missed reply.
fn sound() -> Policy {
    let mut draft = draft();
    draft.violations.push(ViolationDraft {
        code: "late-work-order".into(),
        description: Text::new("No reply in time", "逾期未反馈"),
        ..ViolationDraft::default()
    });
    Policy::try_new(draft).expect("a sound policy")
}

fn issued(due_hours: i64) -> WorkOrder {
    let brief = Brief {
        dispatch_centre: "group/north".into(),
        ticket: None,
        task: "change the seal".into(),
        requirements: "bring a spare".into(),
        place: String::new(),
        reply_by: hours(due_hours),
        team: None,
    };
    let identity = OrderIdentity {
        id: Uuid::from_u128(1),
        number: "W-2019-north-000001".into(),
        year: 2019,
        sequence: 1,
        policy_version: Uuid::from_u128(2),
    };
    let actor = Actor::staff(DISPATCHER);
    issue_order(brief, Some(HANDLER.into()), None, identity, &actor, hours(0)).expect("in time")
}

fn signature() -> OrderCommand {
    let signature = Signature::Code("8042".into());
    OrderCommand::SignOff { customer: "Zhang".into(), at: None, signature }
}

fn call_back() -> OrderCommand {
    OrderCommand::CallBack { comment: "dry".into(), supervisor: false }
}

fn void() -> OrderCommand {
    OrderCommand::Void { reason: "twice".into() }
}

fn complete() -> OrderCommand {
    OrderCommand::Complete { result: "changed".into() }
}

/// The order after a command, by whom it should be done.
fn after(order: &WorkOrder, command: OrderCommand, staff: &str, now: Timestamp) -> WorkOrder {
    let actor = Actor::staff(staff);
    let changes = decide_order(order, &sound(), command, &actor, now).expect("possible");
    with_changes(order, &changes)
}

#[test]
fn t16_a_reply_at_the_very_instant_is_in_time_and_later_it_is_missed_first() {
    let order =
        after(&issued(2), OrderCommand::Accept { at: None, stands_in: false }, HANDLER, hours(0));
    let in_time = after(&order, complete(), HANDLER, hours(2));
    assert_eq!(in_time.missed, 0);
    let just_late = hours(2).checked_add(SignedDuration::from_micros(1)).expect("in range");
    let late = after(&order, complete(), HANDLER, just_late);
    assert_eq!((late.missed, late.revision), (1, order.revision + 2));
    let fired = decide_order(&order, &sound(), OrderCommand::FireTimer, &Actor::TIMERS, hours(2));
    let fired = fired.expect("never refused");
    assert_eq!(fired[0].violation().map(|violation| violation.at), Some(hours(2)));
}

#[test]
fn t16_a_minute_is_cut_off_also_before_1970() {
    assert_eq!(to_minute(at("2026-03-02T02:03:59.999Z")), at("2026-03-02T02:03:00Z"));
    assert_eq!(to_minute(at("1969-12-31T23:59:59Z")), at("1969-12-31T23:59:00Z"));
    assert_eq!(to_minute(Timestamp::MIN), Timestamp::MIN);
}

#[test]
fn x08_t16_what_an_order_has_on_record_is_bounded() {
    let room = |order: &WorkOrder, command: OrderCommand, staff: &str| {
        let actor = Actor::staff(staff);
        match decide_order(order, &sound(), command, &actor, hours(1)) {
            Err(OrderRefusal::IllegalState { missing, .. }) => missing,
            other => panic!("{other:?}"),
        }
    };
    let give = |to: &str| OrderCommand::Reassign {
        assignee: to.into(),
        reason: "left".into(),
        next: None,
        supervisor: false,
    };
    let mut order = issued(2);
    for index in 0..50 {
        let to = if index % 2 == 0 { "handler-wu" } else { HANDLER };
        order = after(&order, give(to), DISPATCHER, hours(0));
    }
    assert_eq!(room(&order, give("handler-wu"), DISPATCHER), [OrderMissing::Room]);
    let accept = OrderCommand::Accept { at: None, stands_in: false };
    order = after(&order, accept, HANDLER, hours(0));
    let report = || OrderCommand::Report { note: "parts".into(), next: hours(2) };
    order = after(&order, report(), HANDLER, hours(0));
    order.progress = vec![order.progress[0].clone(); 1_000];
    assert_eq!(room(&order, report(), HANDLER), [OrderMissing::Room]);
    for _ in 0..50 {
        order =
            after(&order, OrderCommand::Dispute { reason: "not ours".into() }, HANDLER, hours(1));
        let (outcome, decision) = (DisputeOutcome::Stands, "so be it".into());
        order = after(&order, OrderCommand::DecideDispute { outcome, decision }, MANAGER, hours(1));
    }
    let dispute = OrderCommand::Dispute { reason: "not ours".into() };
    assert_eq!(room(&order, dispute, HANDLER), [OrderMissing::Room]);
}

/// A command, by whom, and how long after the one before.
#[derive(Clone, Debug)]
struct Turn {
    gap_minutes: i64,
    staff: &'static str,
    command: OrderCommand,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let commands = prop_oneof![
        3 => Just(OrderCommand::Accept { at: None, stands_in: false }),
        3 => (1..500_i64).prop_map(|next| OrderCommand::Report {
            note: "parts".into(),
            // Minutes from the start; in the past it is refused.
            next: minute(next),
        }),
        2 => Just(OrderCommand::Dispute { reason: "not ours".into() }),
        2 => select(DisputeOutcome::ALL).prop_map(|outcome| {
            OrderCommand::DecideDispute { outcome, decision: "so be it".into() }
        }),
        2 => (select(&[HANDLER, "handler-wu"][..]), proptest::option::of(1..500_i64)).prop_map(
            |(assignee, next)| OrderCommand::Reassign {
                assignee: assignee.into(),
                reason: "left".into(),
                next: next.map(minute),
                supervisor: false,
            }
        ),
        3 => Just(complete()),
        3 => Just(signature()),
        3 => Just(call_back()),
        3 => Just(OrderCommand::Archive),
        1 => Just(void()),
        2 => Just(OrderCommand::FireTimer),
    ];
    let staff = select(&[DISPATCHER, HANDLER, MANAGER][..]);
    let turn = (0..90_i64, staff, commands).prop_map(|(gap_minutes, staff, command)| Turn {
        gap_minutes,
        staff,
        command,
    });
    vec(turn, 0..30)
}

/// A time on a whole minute: when replies are due.
fn minute(minutes: i64) -> Timestamp {
    hours(0).checked_add(SignedDuration::from_mins(minutes)).expect("in range")
}

/// How far an order has come; what is voided came nowhere else.
fn stage(order: &WorkOrder) -> usize {
    let name = order.state.name();
    OrderStateName::ALL.iter().position(|other| *other == name).expect("a state")
}

/// Plays the turns half a minute past their minutes, so that nothing happens at the instant of a deadline; `punctual`
/// lets the timers look every minute in between. Tells the order and when each missed reply was due.
fn play(turns: &[Turn], punctual: bool) -> (WorkOrder, Vec<Timestamp>) {
    let policy = sound();
    let mut order = issued(2);
    let (mut minutes, mut missed) = (0, Vec::new());
    let mut make = |order: &mut WorkOrder, command, actor: &Actor, at: Timestamp| {
        if let Ok(changes) = decide_order(order, &policy, command, actor, at) {
            missed.extend(changes.iter().filter_map(OrderChange::violation).map(|found| found.at));
            *order = with_changes(order, &changes);
        }
    };
    let late = |minutes| minute(minutes).checked_add(SignedDuration::from_secs(30)).expect("time");
    for turn in turns {
        for _ in 0..turn.gap_minutes {
            minutes += 1;
            if punctual {
                make(&mut order, OrderCommand::FireTimer, &Actor::TIMERS, minute(minutes));
            }
        }
        make(&mut order, turn.command.clone(), &Actor::staff(turn.staff), late(minutes));
    }
    make(&mut order, OrderCommand::FireTimer, &Actor::TIMERS, late(minutes));
    (order, missed)
}

proptest! {
    #[test]
    fn t16_no_sequence_of_commands_skips_a_step_or_loses_what_is_on_record(turns in turns()) {
        let policy = sound();
        let mut order = issued(2);
        let mut minutes = 0;
        for turn in &turns {
            minutes += turn.gap_minutes;
            let actor = Actor::staff(turn.staff);
            let before = order.clone();
            let decided = decide_order(&order, &policy, turn.command.clone(), &actor, minute(minutes));
            let changes = match decided {
                Ok(changes) => changes,
                Err(OrderRefusal::IllegalState { missing, command, .. }) => {
                    prop_assert!(!missing.is_empty());
                    prop_assert_eq!(command, turn.command.name());
                    continue;
                }
                Err(_) => continue,
            };
            for change in &changes {
                let earlier = order.clone();
                apply_order(&mut order, change);
                prop_assert_eq!(order.revision, earlier.revision + 1);
                if let OrderEvent::Reassigned { to, .. } = &change.what {
                    prop_assert!(earlier.state.runs() && earlier.assignee.as_ref() != Some(to));
                    prop_assert!(order.state.accepted().is_none(), "it is for whoever has it now");
                    prop_assert_eq!(order.reassignments.len(), earlier.reassignments.len() + 1);
                    continue;
                }
                let voided = order.state.name() == OrderStateName::Voided;
                prop_assert!(voided || stage(&order) <= stage(&earlier) + 1);
                prop_assert!(stage(&order) >= stage(&earlier));
                prop_assert!(earlier.state.accepted().is_none_or(|a| order.state.accepted() == Some(a)));
                prop_assert!(earlier.state.done().is_none_or(|d| order.state.done() == Some(d)));
            }
            prop_assert_eq!(&order.brief, &before.brief);
            prop_assert_eq!((order.sequence, &order.number), (before.sequence, &before.number));
            prop_assert!(order.due.is_none() || order.state.runs());
            let waits = order.due.is_some() || order.overdue_since.is_some();
            prop_assert!(waits || !order.state.runs(), "what runs is under a deadline or overdue");
            prop_assert!(order.overdue_since.is_none() || order.due.is_none());
            let open = order.disputes.iter().filter(|dispute| dispute.decision.is_none()).count();
            prop_assert!(open <= 1);
            if matches!(turn.command, OrderCommand::Dispute { .. }) {
                prop_assert_eq!(&order.state, &before.state, "a disputed order goes on running");
            }
            if before.state.is_final() {
                prop_assert_eq!(&order.state, &before.state);
            }
        }
    }

    #[test]
    fn t16_a_reply_is_missed_once_however_late_the_timers_are(turns in turns()) {
        let (punctual, missed) = play(&turns, true);
        let (late, missed_late) = play(&turns, false);
        prop_assert_eq!(&missed, &missed_late);
        prop_assert_eq!(missed.len(), usize::try_from(punctual.missed).expect("small"));
        prop_assert_eq!(punctual.state.name(), late.state.name());
        prop_assert_eq!((punctual.due, punctual.overdue_since), (late.due, late.overdue_since));
        // Each promise is broken once: the order's own, or one of a report.
        let mut promised = vec![punctual.brief.reply_by];
        promised.extend(punctual.progress.iter().filter_map(|progress| progress.next));
        promised.extend(turns.iter().filter_map(|turn| match &turn.command {
            OrderCommand::Reassign { next, .. } => *next,
            _ => None,
        }));
        for due in &missed {
            let at = promised.iter().position(|promise| promise == due);
            prop_assert!(at.is_some(), "{due} was not promised, or was counted twice");
            promised.remove(at.expect("just found"));
        }
    }
}
