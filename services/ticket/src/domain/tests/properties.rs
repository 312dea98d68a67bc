//! What holds for any commands at any times.

use jiff::SignedDuration;
use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

/// A command, by whom, and how long after the one before.
#[derive(Clone, Debug)]
struct Step {
    gap_minutes: i64,
    staff: &'static str,
    command: Command,
    /// An answer that was sent so many minutes before it is entered.
    sent_before: Option<i64>,
}

fn commands() -> impl Strategy<Value = Command> {
    prop_oneof![
        4 => Just(respond()),
        3 => Just(pause()),
        2 => Just(pause_for("documents")),
        3 => severities().prop_map(assess),
        1 => select(vec!["resolution", "more-0", "more-1"])
            .prop_flat_map(|rule| (0..400_i64).prop_map(move |hour| announce(rule, hours(hour)))),
        3 => Just(Command::Resume),
        4 => Just(resolve()),
        5 => Just(feed_back()),
        5 => (0..7).prop_map(verdict),
        2 => (1..4_u32, 0..7).prop_map(|(cycle, value)| survey(cycle, value)),
        1 => Just(Command::Escalate { reason: "a manager's reason".into(), by_manager: true }),
        1 => Just(Command::Cancel { reason: "registered twice".into() }),
        1 => Just(Command::Resolve { solution: String::new() }),
        1 => "[a-z]{0,3}".prop_map(|subject| {
            Command::UpdateDetails { details: Details { subject, ..Details::default() } }
        }),
        1 => Just(Command::AddNote { note: "to be seen by nobody else".into() }),
        1 => (0..4_u128, 0..400_i64, select(DeliveryState::ALL), any::<bool>())
            .prop_map(|(message, hour, state, heard)| told::note(message, hours(hour), state, heard)),
        2 => Just(Command::FireTimers),
        8 => handling_commands(),
        // Two versions never have one number.
        4 => (1..usize::MAX / 4, policies()).prop_map(|(number, policy)| under(&regulation(number, policy))),
    ]
}

fn handling_commands() -> impl Strategy<Value = Command> {
    prop_oneof![
        any::<bool>().prop_map(handling::attempt),
        Just(handling::close()),
        select(vec!["group/south", "group/north/riverside"]).prop_map(handling::send),
        Just(handling::accept()),
        Just(handling::give_back()),
        Just(handling::withdraw()),
        select(ExecutiveOutcome::ALL).prop_map(review),
        (0..400_i64).prop_map(|hour| handling::plan(hours(hour))),
        (0..400_i64).prop_map(|hour| handling::supervise(hours(hour))),
        proptest::option::of(0..400_i64).prop_map(|hour| handling::urge(hour.map(hours))),
        Just(handling::answer()),
        any::<bool>().prop_map(reopen::reopen),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let gap = prop_oneof![Just(0_i64), 1..120_i64, 1..6_000_i64];
    let staff = select(&[CLERK, HANDLER, QUALITY][..]);
    let sent_before = proptest::option::weighted(0.4, -10..3_000_i64);
    let step = (gap, staff, commands(), sent_before).prop_map(|parts| {
        let (gap_minutes, staff, command, sent_before) = parts;
        Step { gap_minutes, staff, command, sent_before }
    });
    vec(step, 0..14)
}

/// Elapsed and business time, several promises of one kind, most of which raise the level.
fn policies() -> impl Strategy<Value = Policy> {
    let target =
        || select(vec![elapsed(1), elapsed(24), business(4), Some(Target::WorkingDays(2))]);
    let weights = select(vec![vec![], vec![], vec![1], vec![2, 3], vec![3]]);
    let parts = (0..100_i32, any::<bool>(), any::<bool>());
    let clocks = vec((select(ClockKind::ALL), target(), weights, ladder(), parts), 0..6);
    (clocks, any::<bool>(), any::<bool>()).prop_map(|(clocks, resumes, reasons)| {
        let mut draft = draft();
        if resumes {
            draft.clocks[1].on_reopen = None;
        }
        if reasons {
            draft.handling.attempts = Some(AttemptDraft { failed: 1, ..handling::attempts() });
            draft.handling.reporting = Some(handling::reporting());
            draft.handling.reopen_within = Some(elapsed(200));
            draft.pause_reasons.push(PauseReasonDraft {
                code: "documents".into(),
                title: Text::new("Documents", "资料"),
                remind_after: elapsed(24),
                propose_close_after: Some(Target::WorkingDays(2)),
                reminder: None,
            });
        }
        draft.clocks.extend(clocks.into_iter().enumerate().map(|(index, parts)| {
            let (kind, target, severities, steps, parts) = parts;
            let (warn_percent, breach_raises_level, restarts) = parts;
            ClockRuleDraft {
                severities,
                steps,
                warn_percent,
                breach_raises_level,
                on_reopen: restarts.then_some(ReopenMode::Restart),
                ..clock(&format!("more-{index}"), kind, target)
            }
        }));
        Policy::try_new(draft).expect("a sound policy")
    })
}

/// Steps before, at and after the deadline.
fn ladder() -> impl Strategy<Value = Vec<StepDraft>> {
    let time = |minutes: u64| Duration::from_secs(minutes * 60);
    let when = select(vec![
        StepTime::Percent(50),
        StepTime::Percent(100),
        StepTime::Percent(130),
        StepTime::Before(time(20)),
        StepTime::After(time(90)),
    ]);
    vec((when, 0..=3_i32), 0..3).prop_map(|steps| {
        let step = |(index, (when, raise_to_level))| StepDraft {
            name: format!("step-{index}"),
            when: Some(when),
            notify_level: 1,
            raise_to_level,
        };
        steps.into_iter().enumerate().map(step).collect()
    })
}

fn severities() -> impl Strategy<Value = Severity> {
    select(Severity::ALL)
}

/// The time of each step, with a part below the minute that no sum of others can make up: what
/// happens at the very deadline has a test of its own.
fn times(steps: &[Step]) -> Vec<Timestamp> {
    let mut minutes = 0;
    let mut odd = 1;
    let mut time = |step: &Step| {
        minutes += step.gap_minutes;
        odd *= 3;
        let since = SignedDuration::from_mins(minutes) + SignedDuration::from_micros(odd);
        hours(0).checked_add(since).expect("a time in range")
    };
    steps.iter().map(&mut time).collect()
}

fn actor(step: &Step) -> Actor {
    match step.command {
        Command::TakeSurveyVerdict { .. } => Actor::SURVEY,
        Command::FireTimers => Actor::TIMERS,
        _ => Actor::staff(step.staff),
    }
}

fn check_change(before: &Ticket, after: &Ticket, change: &Change) -> Result<(), TestCaseError> {
    prop_assert_eq!(after.revision, before.revision + 1);
    prop_assert!(after.cycle == before.cycle || after.cycle == before.cycle + 1);
    prop_assert!(after.receiver_level >= before.receiver_level);
    prop_assert_eq!(&after.first_contact_owner, &before.first_contact_owner);
    prop_assert!(after.updated_at >= before.updated_at && change.at >= before.updated_at);
    prop_assert!(change.effective_at <= change.at);
    if matches!(change.what, What::Undelivered(_) | What::Delivered { .. }) {
        prop_assert!(before.clocks == after.clocks && before.state == after.state, "only seen");
    }
    if let What::Handling(what) = &change.what {
        let closes = matches!(**what, HandlingChange::ClosedUnreached { .. });
        prop_assert!(closes || before.clocks == after.clocks, "no clock notices");
        let moves = matches!(**what, HandlingChange::Accepted { .. });
        prop_assert!(moves || before.org_unit == after.org_unit);
    } else {
        prop_assert_eq!(&before.org_unit, &after.org_unit);
        let review = |ticket: &Ticket| ticket.state.name() == StateName::ExecutiveReview;
        let leaves = review(before) && !review(after);
        prop_assert!(!leaves || matches!(change.what, What::Paused { .. }), "undecided");
    }
    let (old, new) = (&before.handling, &after.handling);
    prop_assert_eq!(&before.number, &after.number);
    prop_assert_eq!(before.policy_version, after.policy_version);
    prop_assert!(old.reported_at.is_none() || old.reported_at == new.reported_at);
    for (old, new) in before.clocks.iter().zip(&after.clocks) {
        prop_assert_eq!((&old.rule, old.cycle, old.round), (&new.rule, new.cycle, new.round));
        prop_assert!(new.announcements.starts_with(&old.announcements));
        for (before, after) in old.steps.iter().zip(&new.steps) {
            prop_assert!(before.taken_at.is_none() || before == after, "no step is untaken");
        }
        if old.cycle < before.cycle {
            prop_assert_eq!(old, new, "what an ended cycle shows never changes");
        }
        if old.breached_at.is_some() {
            prop_assert_eq!(old.breached_at, new.breached_at, "no breach is unmade");
        }
        prop_assert!(new.timeline.pauses().len() >= old.timeline.pauses().len());
        prop_assert!(new.paused_at(change.at) >= old.paused_at(before.updated_at));
    }
    prop_assert!(after.clocks.len() >= before.clocks.len());
    Ok(())
}

fn check_ticket(desk: &Desk, now: Timestamp) -> Result<(), TestCaseError> {
    let Desk { ticket, policy } = desk;
    let waits = matches!(ticket.state, State::Waiting { .. });
    for clock in &ticket.clocks {
        let named = |other: &&ClockEntry| (&other.rule, other.kind) == (&clock.rule, clock.kind);
        let same = ticket.clocks.iter().filter(named);
        prop_assert!(same.filter(|other| other.is_live()).count() <= 1);
        prop_assert!(clock.fulfilled.is_none() || clock.cancelled_at.is_none());
        prop_assert!(!clock.is_live() || clock.cycle == ticket.cycle);
        let paused = clock.state() == ClockState::Paused;
        prop_assert_eq!(paused, clock.is_live() && waits && clock.kind.pauses());
        prop_assert!(!ticket.state.is_final() || !clock.is_live());

        let target = clock.timeline.target().amount(clock.terms.policy(policy).calendar());
        let used = clock.consumed_at(policy, now);
        prop_assert_eq!(used.min(target) + clock.remaining_at(policy, now), target);
        if let Some(due) = clock.due {
            let used = clock.counting(policy).consumed_at(due);
            // A new target that was used up already is due when it was set.
            prop_assert!(used == target || used > target && !clock.revisions.is_empty());
        }
        let explained = explain(clock, policy, now).expect("explained");
        prop_assert_eq!(explained.due, clock.due);
        let first = explained.segments.first().map(|segment| segment.from);
        prop_assert_eq!(first, Some(clock.timeline.started()));
        let gapless = explained.segments.windows(2).all(|pair| pair[0].to == pair[1].from);
        prop_assert!(gapless);
    }
    prop_assert!(ticket.next_fire_at().is_none_or(|at| at > now), "nothing due is left");
    if ticket.handling.transfer.is_some() {
        let goes_on =
            matches!(ticket.state, State::Open(_) | State::Waiting { .. } | State::Resolved(_));
        prop_assert!(goes_on, "nothing ends on its way");
    }
    let unjudged =
        ticket.state.name() == StateName::Closed && ticket.handling.close_reason.is_none();
    prop_assert!(
        !unjudged || ticket.verdicts.last().is_some_and(|last| last.cycle == ticket.cycle)
    );
    prop_assert_eq!(
        policy.handling.criterion(ticket).is_some() && !ticket.state.is_final(),
        policy.handling.criterion(ticket).is_some()
            && !ticket.state.is_final()
            && ticket.handling.reported_at.is_some(),
        "what headquarters is to know, it knows"
    );
    let judged: Vec<u32> = ticket.verdicts.iter().map(|verdict| verdict.cycle).collect();
    prop_assert!(judged.is_sorted_by(|a, b| a < b), "each cycle is judged once");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn t05_t06_t07_the_ledger_holds_for_any_commands(
        policy in policies(),
        severity in severities(),
        steps in steps(),
    ) {
        let mut desk = Desk::with(policy, severity);
        for (step, now) in steps.iter().zip(times(&steps)) {
            let mut command = step.command.clone();
            if let (Command::Respond { sent_at, .. }, Some(minutes)) = (&mut command, step.sent_before) {
                *sent_at = now.checked_sub(minutes.minutes()).ok();
            }
            let Ok(changes) = decide(&desk.ticket, &desk.policy, command, &actor(step), now) else {
                continue;
            };
            for change in changes {
                let before = desk.ticket.clone();
                apply(&mut desk.ticket, &change);
                check_change(&before, &desk.ticket, &change)?;
            }
            check_ticket(&desk, now)?;
            let again = decide(&desk.ticket, &desk.policy, Command::FireTimers, &Actor::TIMERS, now);
            prop_assert_eq!(again, Ok(Vec::new()), "nothing fires twice");
        }
    }

    #[test]
    fn t07_late_in_one_go_is_the_same_as_each_at_its_moment(
        policy in policies(),
        severity in severities(),
        steps in steps(),
    ) {
        let mut punctual = Desk::with(policy, severity);
        let mut late = punctual.clone();
        let (mut told_in_time, mut told_late) = (Vec::new(), Vec::new());
        for (step, now) in steps.iter().zip(times(&steps)) {
            while let Some(due) = punctual.ticket.next_fire_at().filter(|due| *due <= now) {
                let fired = punctual.fires(due);
                prop_assert!(!fired.is_empty(), "an alarm that never rings");
                told_in_time.extend(fired);
            }
            for (desk, told) in [(&mut punctual, &mut told_in_time), (&mut late, &mut told_late)] {
                let command = step.command.clone();
                let decided = decide(&desk.ticket, &desk.policy, command, &actor(step), now);
                let changes = decided.unwrap_or_default();
                desk.take(&changes);
                told.extend(changes);
            }
        }
        told_in_time.extend(punctual.fires(hours(5_000)));
        told_late.extend(late.fires(hours(5_000)));
        // When a change was recorded is the one thing that punctuality changes.
        for change in told_in_time.iter_mut().chain(&mut told_late) {
            change.at = hours(0);
        }
        prop_assert_eq!(told_in_time, told_late);
        late.ticket.updated_at = punctual.ticket.updated_at;
        prop_assert_eq!(punctual.ticket, late.ticket);
    }
}
