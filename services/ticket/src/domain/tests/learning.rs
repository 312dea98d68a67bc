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
        reassignments: Vec::new(),
        earlier: Vec::new(),
        round: Round::until(hours(3)),
        cancelled: None,
        created_at: hours(0),
        updated_at: hours(0),
        revision: 1,
    }
}

#[test]
fn x08_t18_an_action_is_handed_on_only_as_often_as_there_is_room_for() {
    let give = |action: &CorrectiveAction, to: &str| {
        let command = ActionCommand::Reassign { owner: to.into(), reason: "left".into() };
        decide_action(action, command, (&"sun".into(), false), hours(1))
    };
    let mut action = action();
    for index in 0..50 {
        let to = if index % 2 == 0 { "zhao" } else { "wang" };
        action = give(&action, to).expect("there is room");
    }
    let refused = give(&action, "zhao").expect_err("there is none");
    let StepRefusal::IllegalState { missing, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(missing.iter().map(|need| need.code).collect::<Vec<_>>(), ["room"]);
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
        1 => select(&STAFF[..]).prop_map(|owner| ActionCommand::Reassign {
            owner: owner.into(),
            reason: "left".into()
        }),
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
    draft.learning.shifts = Some(ShiftRulesDraft {
        list_before_end: Some(Duration::from_secs(600)),
        ..ShiftRulesDraft::default()
    });
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
        pattern: None,
        crewed_by: None,
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

fn pattern(start: &str, end: &str) -> ShiftPattern {
    let mut draft = draft();
    let pattern = ShiftPatternDraft {
        code: "night".into(),
        title: Text::new("Night", "夜班"),
        team: "desk".into(),
        start: start.into(),
        end: end.into(),
        days: Vec::new(),
        working_days_only: false,
    };
    draft.learning.shifts = Some(ShiftRulesDraft {
        list_before_end: Some(Duration::from_secs(600)),
        patterns: vec![pattern],
        ..ShiftRulesDraft::default()
    });
    let policy = Policy::try_new(draft).expect("a sound policy");
    policy.learning().shifts.as_ref().expect("shifts").patterns[0].clone()
}

/// Open every day from nine to five somewhere.
fn calendar_of(zone: &str) -> Calendar {
    let day = |day| DayHours { day_of_week: day, intervals: vec![Hours::new("09:00", "17:00")] };
    Calendar::new(&CalendarDraft {
        time_zone: zone.into(),
        week: (1..=7).map(day).collect(),
        exceptions: Vec::new(),
        working_day: Duration::from_secs(8 * 3_600),
    })
    .expect("a sound calendar")
}

#[test]
fn t17_a_night_when_the_clocks_change_is_an_hour_longer_or_shorter() {
    let night = pattern("22:00", "06:00");
    let of = |from: &str| {
        let found = occurrences(&night, &calendar_of("Europe/Berlin"), at(from), at(from));
        let [shift] = &found[..] else { panic!("one shift: {found:?}") };
        (shift.starts.to_string(), shift.ends.duration_since(shift.starts).as_hours())
    };
    assert_eq!(of("2026-03-28T22:00:00Z"), ("2026-03-28T21:00:00Z".to_owned(), 7));
    assert_eq!(of("2026-10-24T22:00:00Z"), ("2026-10-24T20:00:00Z".to_owned(), 9));
    assert_eq!(of("2026-06-01T22:00:00Z"), ("2026-06-01T20:00:00Z".to_owned(), 8));
    // What the clocks leave out is that much later; nothing is left of one within the gap.
    let gap = occurrences(
        &pattern("02:15", "02:45"),
        &calendar_of("Europe/Berlin"),
        at("2026-03-28T23:30:00Z"),
        at("2026-03-29T12:00:00Z"),
    );
    assert_eq!(gap[0].starts, at("2026-03-29T01:15:00Z"));
}

#[test]
fn t17_days_are_those_of_the_wall_clock_and_make_up_days_work() {
    let working = ShiftPattern { working_days_only: true, ..pattern("20:00", "04:00") };
    let days = |from: &str, to: &str| {
        let found = occurrences(&working, &calendar(), at(from), at(to));
        found.iter().map(|shift| shift.starts.to_string()).collect::<Vec<_>>()
    };
    // Friday; Saturday is off; Sunday the 29th makes up for the holiday; Monday; from the first on nobody works.
    let found = days("2019-09-27T00:00:00Z", "2019-10-07T20:00:00Z");
    assert_eq!(found, ["2019-09-27T12:00:00Z", "2019-09-29T12:00:00Z", "2019-09-30T12:00:00Z"]);
    let sundays = ShiftPattern { days: [7].into(), ..pattern("00:30", "08:00") };
    let found =
        occurrences(&sundays, &calendar(), at("2019-09-28T16:29:00Z"), at("2019-09-28T16:30:00Z"));
    assert_eq!(found.len(), 1, "Sunday in Shanghai is Saturday in Greenwich");
}

proptest! {
    /// However a roster is: whoever leads is one of those longest there, nobody is named twice, and nobody who is not there.
    #[test]
    fn t17_a_crew_is_of_those_who_are_there(turns in vec((0..4_usize, -10..20_i64, 1..12_i64), 0..12)) {
        let shift = Occurrence { starts: hours(0), ends: hours(8) };
        let rostered: Vec<Rostered> = turns
            .iter()
            .map(|(who, from, length)| Rostered {
                staff: STAFF[*who].into(),
                from: hours(*from),
                to: hours(from + length),
            })
            .collect();
        let there = |staff: &Subject| -> i64 {
            let turns = rostered.iter().filter(|turn| turn.staff == *staff);
            let there = |turn: &Rostered| {
                let (from, to) = (turn.from.max(shift.starts), turn.to.min(shift.ends));
                to.duration_since(from).as_hours().max(0)
            };
            turns.map(there).sum()
        };
        let crew = crew(shift, &rostered);
        let longest = STAFF.iter().map(|staff| there(&(*staff).into())).max().unwrap_or(0);
        prop_assert_eq!(crew.is_empty(), longest == 0);
        if let Some(leader) = crew.first() {
            prop_assert_eq!(there(leader), longest);
        }
        for (place, member) in crew.iter().enumerate() {
            prop_assert!(there(member) > 0);
            prop_assert!(!crew[..place].contains(member));
            prop_assert!(longest < 4 || there(member) >= 4, "at least half where anybody is");
        }
    }
}
