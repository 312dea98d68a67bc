//! The clock ledger by example: T-05 progress, T-06 reopening, reasons and severity, T-07 steps, T-08.

use super::*;

fn with(change: impl FnOnce(&mut PolicyDraft)) -> Policy {
    let mut draft = draft();
    change(&mut draft);
    Policy::try_new(draft).expect("a sound policy")
}

fn minutes(hour: i64, minutes: i64) -> Timestamp {
    hours(hour).checked_add(minutes.minutes()).expect("a time in range")
}

#[test]
fn t08_an_announced_delay_is_on_record_and_the_deadline_stays() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does(HANDLER, hours(1), respond());
    let changes = desk.does(HANDLER, hours(10), announce("resolution", hours(100)));
    assert_eq!(actions(&changes), ["AnnounceDelay"]);
    let clock = desk.clock("resolution", 1);
    assert_eq!((clock.due, clock.state()), (Some(hours(72)), ClockState::Running));
    let said = &clock.announcements[0];
    assert_eq!((said.at, said.new_due, &*said.by), (hours(10), hours(100), HANDLER));
    let told = explain(clock, &desk.policy, hours(10)).expect("explained").summary;
    assert!(
        told.en.contains("; delay to 2019-09-29 14:00 announced at 2019-09-25 20:00"),
        "{told:?}"
    );
    assert!(told.zh.contains("告知延期至 2019-09-29 14:00：配件缺货"), "{told:?}");
    // Kept as announced, and late all the same.
    desk.does(HANDLER, hours(90), resolve());
    let clock = desk.clock("resolution", 1);
    assert_eq!((clock.state(), clock.breached_at), (ClockState::Breached, Some(hours(72))));
    assert_eq!(clock.announcements.len(), 1);
}

#[test]
fn t08_a_delay_is_announced_before_the_deadline_of_a_clock_that_runs() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does(HANDLER, hours(1), respond());
    let late = desk.tries(HANDLER, hours(72), announce("resolution", hours(100)));
    assert_eq!(missing(late), [Missing::RunningClock]);
    let kept = desk.tries(HANDLER, hours(2), announce("first-response", hours(100)));
    assert_eq!(missing(kept), [Missing::RunningClock]);
    let never = desk.tries(HANDLER, hours(2), announce("call-back", hours(100)));
    assert_eq!(missing(never), [Missing::RunningClock]);
    desk.does(HANDLER, hours(3), pause());
    let paused = desk.tries(HANDLER, hours(4), announce("resolution", hours(100)));
    assert_eq!(missing(paused), [Missing::RunningClock]);
    desk.does(HANDLER, hours(4), Command::Resume);
    let sooner = desk.tries(HANDLER, hours(5), announce("resolution", hours(73)));
    assert_eq!(wrong_fields(sooner), ["new_due_time"], "the deadline itself");
    let empty = Command::AnnounceDelay {
        rule: "x".into(),
        new_due: hours(5),
        reason: " ".into(),
        message: None,
    };
    let refused = desk.tries(HANDLER, hours(5), empty);
    assert_eq!(wrong_fields(refused), ["reason", "rule", "new_due_time"]);
}

#[test]
fn t06_reopening_resumes_where_the_solution_left_it_unless_the_policy_says_otherwise() {
    let policy = with(|draft| draft.clocks[1].on_reopen = None);
    let mut desk = Desk::with(policy, Severity::Ordinary);
    desk.does(HANDLER, hours(1), pause());
    desk.does(HANDLER, hours(3), Command::Resume);
    desk.is_handled(hours(5));
    let first = desk.clock("resolution", 1).clone();
    desk.does(QUALITY, hours(10), verdict(5));
    let clock = desk.clock("resolution", 2);
    assert_eq!((clock.timeline.started(), clock.timeline.pauses().len()), (hours(0), 2));
    // Three hours and twenty minutes of 72 hours were used up.
    assert_eq!(clock.due, Some(minutes(10 + 72 - 4, 40)));
    assert_eq!(clock.paused_at(hours(10)), Duration::from_secs(2 * 3_600 + 280 * 60));
    assert_eq!(desk.clock("resolution", 1), &first, "the evidence stays");
    let answer = desk.clock("first-response", 2);
    assert_eq!(answer.timeline.started(), hours(10), "an answer is promised anew");
}

#[test]
fn t06_what_was_broken_before_reopening_begins_anew() {
    let policy = with(|draft| draft.clocks[1].on_reopen = None);
    let mut desk = Desk::with(policy, Severity::Ordinary);
    desk.is_handled(hours(73));
    assert_eq!(desk.clock("resolution", 1).state(), ClockState::Breached);
    desk.does(QUALITY, hours(80), verdict(5));
    let clock = desk.clock("resolution", 2);
    assert_eq!((clock.timeline.started(), clock.due), (hours(80), Some(hours(152))));
}

fn reasons(draft: &mut PolicyDraft) {
    draft.pause_reasons = vec![PauseReasonDraft {
        code: "documents".into(),
        title: Text::new("Waits for documents", "等待客户资料"),
        remind_after: elapsed(48),
        propose_close_after: Some(Target::WorkingDays(5)),
        reminder: None,
    }];
}

#[test]
fn t06_a_reason_asks_for_a_reminder_and_proposes_to_close_each_once() {
    let mut desk = Desk::with(with(reasons), Severity::Ordinary);
    desk.does(HANDLER, hours(1), respond());
    for code in ["", "holiday"] {
        let refused = desk.tries(HANDLER, hours(2), pause_for(code));
        assert_eq!(wrong_fields(refused), ["pause_reason"]);
    }
    desk.does(HANDLER, hours(2), pause_for("documents"));
    assert_eq!(desk.ticket.next_fire_at(), Some(hours(50)));
    assert_eq!(actions(&desk.fires(hours(60))), ["NoteReminderDue"], "nobody was told");
    assert_eq!(desk.fires(hours(60)), [], "once");
    // Five working days from Wednesday noon, over National Day: until Wednesday in a fortnight.
    let propose = at("2019-10-08T12:00:00+08:00");
    assert_eq!(desk.ticket.next_fire_at(), Some(propose));
    let changes = desk.fires(at("2019-10-20T00:00:00+08:00"));
    assert_eq!(actions(&changes), ["ProposeClose"]);
    assert_eq!(changes[0].effective_at, propose);
    assert_eq!(desk.state(), StateName::Waiting, "nothing closes by itself");
    assert_eq!(desk.ticket.next_fire_at(), None);
}

#[test]
fn t06_who_goes_on_reminds_nobody() {
    let mut desk = Desk::with(with(reasons), Severity::Ordinary);
    desk.does(HANDLER, hours(1), respond());
    desk.does(HANDLER, hours(2), pause_for("documents"));
    desk.does(HANDLER, hours(40), Command::Resume);
    assert_eq!(desk.fires(hours(73)), []);
    assert_eq!(actions(&desk.fires(hours(74))), ["WarnClock"], "the resolution, and no more");
}

#[test]
fn t05_each_progress_update_starts_the_next_until_the_result_is_told() {
    let policy = with(|draft| {
        draft.clocks.push(clock("progress", ClockKind::ProgressUpdate, elapsed(7 * 24)));
    });
    let mut desk = Desk::with(policy, Severity::Ordinary);
    let rounds = |desk: &Desk| -> Vec<_> {
        let clocks = desk.ticket.clocks.iter().filter(|clock| &*clock.rule == "progress");
        clocks.map(|clock| (clock.round, clock.state(), clock.due)).collect()
    };
    desk.does(HANDLER, hours(10), respond());
    let first = (1, ClockState::Met, Some(hours(168)));
    assert_eq!(rounds(&desk), [first, (2, ClockState::Running, Some(hours(178)))]);
    desk.does(HANDLER, hours(20), resolve());
    desk.does(HANDLER, hours(200), respond());
    let second = (2, ClockState::Breached, Some(hours(178)));
    assert_eq!(rounds(&desk), [first, second, (3, ClockState::Running, Some(hours(368)))]);
    desk.does(HANDLER, hours(210), feed_back());
    let third = (3, ClockState::Met, Some(hours(368)));
    assert_eq!(rounds(&desk), [first, second, third]);
    desk.does(HANDLER, hours(211), respond());
    assert_eq!(rounds(&desk), [first, second, third], "the result was told");
    desk.does(QUALITY, hours(212), verdict(5));
    assert_eq!(desk.clock("progress", 2).due, Some(hours(212 + 168)));
}

fn ladder(draft: &mut PolicyDraft) {
    let time = |hours: u64| Duration::from_secs(hours * 3_600);
    let step = |name: &str, when, notify_level, raise_to_level| StepDraft {
        name: name.into(),
        when: Some(when),
        notify_level,
        raise_to_level,
    };
    draft.clocks[1].warn_percent = 0;
    draft.clocks[1].steps = vec![
        step("half-time", StepTime::Percent(50), 1, 0),
        step("last-call", StepTime::Before(time(4)), 2, 2),
        step("a-day-late", StepTime::After(time(24)), 3, 3),
    ];
}

#[test]
fn t07_steps_before_and_after_the_deadline_are_taken_once_each_at_its_time() {
    let mut desk = Desk::with(with(ladder), Severity::Ordinary);
    desk.does(HANDLER, hours(1), respond());
    assert_eq!(desk.ticket.next_fire_at(), Some(hours(36)));
    let changes = desk.fires(hours(70));
    let told: Vec<_> =
        changes.iter().map(|change| (change.action(), change.effective_at)).collect();
    assert_eq!(told, [("EscalateClock", hours(36)), ("EscalateClock", hours(68))]);
    assert_eq!((desk.level(), changes[0].escalation()), (2, None));
    let form = changes[1].escalation().expect("a handling form");
    assert_eq!((form.cause, form.at), (EscalationCause::Step, hours(68)));
    let changes = desk.fires(hours(400));
    assert_eq!(actions(&changes), ["BreachClock", "EscalateClock"]);
    assert_eq!((changes[1].effective_at, desk.level()), (hours(96), 3));
    assert_eq!(desk.fires(hours(900)), []);
}

#[test]
fn t07_a_pause_moves_the_steps_and_a_late_solution_ends_them() {
    let mut desk = Desk::with(with(ladder), Severity::Ordinary);
    desk.does(HANDLER, hours(1), respond());
    desk.fires(hours(40));
    desk.does(HANDLER, hours(50), pause());
    assert_eq!(desk.ticket.next_fire_at(), None);
    desk.does(HANDLER, hours(60), Command::Resume);
    let steps: Vec<_> = desk.clock("resolution", 1).steps.iter().map(|step| step.at).collect();
    assert_eq!(steps, [Some(hours(36)), Some(hours(78)), Some(hours(106))]);
    let changes = desk.does(HANDLER, hours(90), resolve());
    assert_eq!(actions(&changes), ["EscalateClock", "BreachClock", "ResolveTicket"]);
    assert_eq!(desk.fires(hours(130)), [], "there is nothing left to push");
}

#[test]
fn t07_cancelling_ends_the_steps_after_a_breach() {
    let mut desk = Desk::with(with(ladder), Severity::Ordinary);
    desk.does(HANDLER, hours(1), respond());
    desk.fires(hours(80));
    desk.does(CLERK, hours(81), Command::Cancel { reason: "重复".into() });
    assert_eq!(desk.clock("resolution", 1).state(), ClockState::Breached);
    assert_eq!(desk.fires(hours(200)), []);
}

fn by_severity(draft: &mut PolicyDraft) {
    draft.clocks[1].severities = vec![1, 2];
    draft.clocks.push(ClockRuleDraft {
        severities: vec![3],
        warn_percent: 50,
        ..clock("resolution-grave", ClockKind::Resolution, elapsed(24))
    });
    draft.clocks.push(ClockRuleDraft {
        severities: vec![2, 3],
        ..clock("progress", ClockKind::ProgressUpdate, elapsed(48))
    });
}

#[test]
fn t06_another_severity_keeps_what_was_used_up_and_every_pause() {
    let mut desk = Desk::with(with(by_severity), Severity::Ordinary);
    desk.does(HANDLER, hours(1), respond());
    desk.does(HANDLER, hours(4), pause());
    desk.does(HANDLER, hours(8), Command::Resume);
    let changes = desk.does(HANDLER, hours(10), assess(Severity::VerySerious));
    assert_eq!(actions(&changes), ["AssessTicket"]);
    assert_eq!((desk.ticket.severity, desk.level()), (Severity::VerySerious, 2));
    assert_eq!(desk.clock("resolution", 1).state(), ClockState::Cancelled);
    let clock = desk.clock("resolution-grave", 1);
    assert_eq!((clock.timeline.started(), clock.due), (hours(0), Some(hours(28))));
    assert_eq!(clock.paused_at(hours(10)), Duration::from_secs(4 * 3_600));
    assert_eq!(clock.revisions[0].previous_due, Some(hours(76)));
    assert_eq!(desk.clock("progress", 1).due, Some(hours(58)), "promised from now on");
    let told = explain(clock, &desk.policy, hours(10)).expect("explained").summary;
    assert!(told.en.contains("severity 1 became 3"), "{told:?}");
    assert!(told.zh.contains("将级别由 1 调整为 3（原截止于 2019-09-28 14:00）"), "{told:?}");
    // And back: the same deadline as before.
    desk.does(HANDLER, hours(11), assess(Severity::Ordinary));
    let clock = desk.clock("resolution", 1);
    assert_eq!((clock.round, clock.due), (2, Some(hours(76))));
    assert_eq!((clock.revisions.len(), desk.level()), (2, 2));
    assert_eq!(desk.clock("progress", 1).state(), ClockState::Cancelled);
}

#[test]
fn t06_a_new_target_that_is_used_up_is_due_at_once_and_no_breach_is_unmade() {
    let mut desk = Desk::with(with(by_severity), Severity::Ordinary);
    desk.does(HANDLER, hours(1), respond());
    let changes = desk.does(HANDLER, hours(30), assess(Severity::VerySerious));
    assert_eq!(actions(&changes), ["AssessTicket", "WarnClock", "BreachClock"]);
    let clock = desk.clock("resolution-grave", 1).clone();
    assert_eq!(clock.breached_at, Some(hours(30)), "not before it was set");
    let explained = explain(&clock, &desk.policy, hours(30)).expect("explained");
    assert_eq!(explained.segments.last().map(|segment| segment.to), Some(hours(30)));
    desk.does(HANDLER, hours(31), assess(Severity::Ordinary));
    assert_eq!(desk.clock("resolution-grave", 1), &clock);
    let same = desk.tries(HANDLER, hours(31), assess(Severity::Ordinary));
    assert_eq!(same, Ok(Vec::new()), "no difference is no change");
}

#[test]
fn t06_severity_changes_while_it_waits_and_after_it_ended_not_at_all() {
    let mut desk = Desk::with(with(by_severity), Severity::Ordinary);
    desk.does(HANDLER, hours(1), respond());
    desk.does(HANDLER, hours(20), pause());
    desk.does(HANDLER, hours(30), assess(Severity::VerySerious));
    let clock = desk.clock("resolution-grave", 1);
    assert_eq!((clock.state(), clock.due), (ClockState::Paused, None));
    desk.does(HANDLER, hours(40), Command::Resume);
    assert_eq!(desk.clock("resolution-grave", 1).due, Some(hours(44)));
    desk.does(CLERK, hours(41), Command::Cancel { reason: "重复".into() });
    let refused = desk.tries(HANDLER, hours(42), assess(Severity::Ordinary));
    assert_eq!(missing(refused), [Missing::NotEnded]);
}

#[test]
fn x06_every_fault_of_steps_reopening_and_reasons_is_named() {
    let mut faulty = draft();
    faulty.clocks[0].on_reopen = Some(ReopenMode::Resume);
    let step = |name: &str, when, raise_to_level| StepDraft {
        name: name.into(),
        when,
        notify_level: 0,
        raise_to_level,
    };
    faulty.clocks[0].steps = vec![
        step("a", Some(StepTime::Percent(0)), 1),
        step("a", Some(StepTime::Before(Duration::from_secs(24 * 3_600))), 9),
        step("B", Some(StepTime::After(Duration::ZERO)), 0),
        step("c", None, 3),
    ];
    faulty.pause_reasons = vec![
        PauseReasonDraft { code: "x".into(), title: Text::new("x", ""), ..Default::default() },
        PauseReasonDraft {
            code: "x".into(),
            remind_after: Some(Target::WorkingDays(0)),
            ..Default::default()
        },
    ];
    let faults = Policy::try_new(faulty).expect_err("faults");
    let mut paths: Vec<_> = faults.into_iter().map(|fault| fault.path).collect();
    paths.sort();
    assert_eq!(
        paths,
        [
            "clocks[0].on_reopen",
            "clocks[0].steps[0].percent",
            "clocks[0].steps[1].before",
            "clocks[0].steps[1].name",
            "clocks[0].steps[1].raise_to_level",
            "clocks[0].steps[2].after",
            "clocks[0].steps[2].name",
            "clocks[0].steps[2].notify_level",
            "clocks[0].steps[3].when",
            "pause_reasons[1].code",
            "pause_reasons[1].remind_after.working_days",
            "pause_reasons[1].title",
        ]
    );
}
