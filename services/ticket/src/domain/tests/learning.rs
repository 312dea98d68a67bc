//! T-17 to T-21 as properties: whatever is asked by whomever, in whatever order.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

const STAFF: [&str; 4] = ["wang", "zhao", "qian", "sun"];

/// Of wang, reported by zhao; 30 to 100.
fn violation() -> Violation {
    let rule = ViolationRule {
        code: "broken-procedure".into(),
        description: Text::new("Broken procedure", "违反流程"),
        amount_cents: 3_000,
        max_amount_cents: 10_000,
        currency: Some("CNY".into()),
    };
    Violation {
        id: Uuid::from_u128(1),
        ticket: Some(Uuid::from_u128(2)),
        work_order: None,
        shift: None,
        customer: None,
        org_unit: "group/north".into(),
        proposed: rule.broken("wang".into(), "seen".into(), hours(0), Uuid::from_u128(3)),
        reporter: Some("zhao".into()),
        state: ViolationState::Proposed,
        created_at: hours(0),
        updated_at: hours(0),
        revision: 1,
    }
}

/// Appeals within a day.
fn penal() -> Policy {
    let mut draft = draft();
    draft.learning.appeal_within = elapsed(24);
    Policy::try_new(draft).expect("a sound policy")
}

fn violation_commands() -> impl Strategy<Value = ViolationCommand> {
    let outcome = select(AppealOutcome::ALL);
    prop_oneof![
        proptest::option::of(2_000..11_000_i64).prop_map(|amount_cents| {
            ViolationCommand::Confirm { amount_cents, reason: "because".into() }
        }),
        Just(ViolationCommand::Dismiss { reason: "nothing".into() }),
        Just(ViolationCommand::Appeal { reason: "no".into() }),
        outcome.prop_map(|outcome| ViolationCommand::DecideAppeal {
            outcome,
            decision: "decided".into()
        }),
    ]
}

/// Wang's.
fn action() -> CorrectiveAction {
    CorrectiveAction {
        id: Uuid::from_u128(1),
        ticket: Uuid::from_u128(2),
        customer: None,
        org_unit: "group/north".into(),
        kind: ActionKind::Preventive,
        description: "change the seal".into(),
        owner: "wang".into(),
        planned_by: "sun".into(),
        earlier: Vec::new(),
        round: Round::until(hours(3)),
        cancelled: None,
        created_at: hours(0),
        updated_at: hours(0),
        revision: 1,
    }
}

fn action_commands() -> impl Strategy<Value = ActionCommand> {
    prop_oneof![
        3 => Just(ActionCommand::Start),
        3 => Just(ActionCommand::Complete { evidence: "done".into() }),
        3 => (select(ActionVerdict::ALL), proptest::option::of(0..40_i64)).prop_map(
            |(verdict, next)| ActionCommand::Verify {
                verdict,
                text: "looked".into(),
                next_due: next.map(hours),
            }
        ),
        1 => Just(ActionCommand::Cancel { reason: "no more".into() }),
    ]
}

proptest! {
    #[test]
    fn t19_nothing_is_charged_without_a_confirmation_and_nobody_decides_about_itself(
        turns in vec((select(&STAFF), violation_commands(), 0..20_i64), 1..30)
    ) {
        let (policy, mut violation, mut hour) = (penal(), violation(), 0);
        for (actor, command, pause) in turns {
            hour += pause;
            let actor: Subject = actor.into();
            let Ok(next) = decide_violation(&violation, &policy, command, &actor, hours(hour)) else {
                continue;
            };
            prop_assert_eq!(next.revision, violation.revision + 1);
            prop_assert_eq!(&next.proposed, &violation.proposed);
            // What was confirmed stays as it was confirmed.
            if let Some(confirmed) = violation.state.confirmation() {
                prop_assert_eq!(next.state.confirmation(), Some(confirmed));
            }
            violation = next;
        }
        if let Some(confirmed) = violation.state.confirmation() {
            prop_assert!((3_000..=10_000).contains(&confirmed.amount_cents));
            prop_assert!(!["wang", "zhao"].contains(&&*confirmed.decided.by));
            if let Some(appeal) = violation.state.appeal() {
                prop_assert!(confirmed.appeal_until.is_some_and(|until| appeal.at <= until));
            }
            if let ViolationState::Settled { decided, .. } = &violation.state {
                prop_assert!(!["wang", "zhao", &confirmed.decided.by].contains(&&*decided.by));
            }
        }
        prop_assert!(violation.revision <= 4, "each step is taken once");
    }

    #[test]
    fn t18_an_action_is_closed_only_by_somebody_else_who_found_that_it_worked(
        turns in vec((select(&STAFF), action_commands(), 0..3_i64), 1..60)
    ) {
        let (mut action, mut hour) = (action(), 0);
        for (actor, command, pause) in turns {
            hour += pause;
            let now = hours(hour);
            if let Some(noticed) = notice_overdue(&action, now, true) {
                prop_assert!(action.round.due <= now && noticed.round.noticed.is_some());
                prop_assert_eq!(notice_overdue(&noticed, now, true), None, "once");
                action = noticed;
            }
            let Ok(next) = decide_action(&action, command, (&actor.into(), false), now) else { continue };
            prop_assert_eq!(next.revision, action.revision + 1);
            prop_assert!(next.earlier.starts_with(&action.earlier), "earlier rounds stay");
            prop_assert!(next.earlier.len() < 20);
            action = next;
        }
        let rounds = action.earlier.iter().chain([&action.round]);
        for verified in rounds.filter_map(|round| round.verified.as_ref()) {
            prop_assert_ne!(&*verified.verified.by, "wang");
        }
        if action.state() == ActionState::Closed {
            let verified = action.round.verified.as_ref().map(|verified| verified.verdict);
            prop_assert_eq!(verified, Some(ActionVerdict::Effective));
            prop_assert!(action.round.done.is_some());
        }
        let failed = |round: &Round| {
            let verdict = round.verified.as_ref().map(|verified| verified.verdict);
            verdict == Some(ActionVerdict::NotEffective)
        };
        prop_assert!(action.earlier.iter().all(failed));
    }
}

#[test]
fn t19_an_appeal_at_the_last_instant_is_in_time() {
    let (policy, violation) = (penal(), violation());
    let confirm = ViolationCommand::Confirm { amount_cents: None, reason: String::new() };
    let confirmed = decide_violation(&violation, &policy, confirm, &"sun".into(), hours(0));
    let confirmed = confirmed.expect("by a supervisor");
    let appeal = |at| {
        let command = ViolationCommand::Appeal { reason: "no".into() };
        decide_violation(&confirmed, &policy, command, &"wang".into(), at)
    };
    assert!(appeal(hours(24)).is_ok());
    let later = hours(24).checked_add(jiff::SignedDuration::from_micros(1)).expect("in range");
    assert!(matches!(appeal(later), Err(StepRefusal::IllegalState { .. })));
}

#[test]
fn t17_a_list_is_due_by_the_policys_lead_and_never_before_the_shift_begins() {
    let mut draft = draft();
    draft.learning.shifts = Some((Some(Duration::from_secs(600)), String::new()));
    let policy = Policy::try_new(draft).expect("a sound policy");
    let shift = |starts, ends| Shift {
        id: Uuid::from_u128(1),
        policy_version: Uuid::from_u128(2),
        centre: "group/north".into(),
        starts,
        ends,
        members: vec!["wang".into()],
        leader: "wang".into(),
        list_due: None,
        missed: None,
        listed: None,
        signed_out: None,
        signed_in: None,
        created_at: hours(0),
        updated_at: hours(0),
        revision: 1,
    };
    let due = |starts: Timestamp, ends: Timestamp| {
        plan_shift(shift(starts, ends), &policy, hours(0)).map(|shift| shift.list_due)
    };
    let minutes = |count: i64| hours(0).checked_add(count.minutes()).expect("in range");
    assert_eq!(due(hours(0), hours(8)), Ok(Some(minutes(470))));
    assert_eq!(due(minutes(60), minutes(65)), Ok(Some(minutes(60))));
    assert!(due(hours(0), minutes(24 * 60 + 1)).is_err(), "longer than a day");
    assert!(due(hours(-8), hours(0)).is_err(), "over");
    assert!(due(hours(2), hours(1)).is_err(), "ends before it begins");
}
