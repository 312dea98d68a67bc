//! Promises computed anew by another version: new numbers, a new calendar, another org unit (T-05, T-06).

use super::*;

/// The usual policy with resolution in working time.
fn working(hours: u32, calendar: Calendar) -> Policy {
    let mut draft = draft();
    draft.calendar = Some(calendar);
    draft.clocks[1].target = business(hours);
    Policy::try_new(draft).expect("a sound policy")
}

fn changed(change: impl FnOnce(&mut PolicyDraft)) -> Policy {
    let mut draft = draft();
    change(&mut draft);
    Policy::try_new(draft).expect("a sound policy")
}

/// Every day of the week, with half days on the weekend.
fn open_daily(zone: &str, open: &str, close: &str) -> Calendar {
    let day = |n| {
        let close = if n > 5 { "12:00" } else { close };
        DayHours { day_of_week: n, intervals: vec![Hours::new(open, close)] }
    };
    Calendar::new(&CalendarDraft {
        time_zone: zone.into(),
        week: (1..=7).map(day).collect(),
        exceptions: Vec::new(),
        working_day: Duration::from_secs(8 * 3_600),
    })
    .expect("a sound calendar")
}

fn compared(desk: &Desk, now: Timestamp, regulation: &Arc<Regulation>) -> Vec<Comparison> {
    let changes = desk.tries("manager", now, under(regulation)).expect("not refused");
    let mut after = desk.ticket.clone();
    changes.iter().for_each(|change| apply(&mut after, change));
    compare(&desk.ticket, &after)
}

#[test]
fn t05_x10_promises_move_with_what_was_used_up_and_every_pause_and_nothing_else_does() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does(HANDLER, hours(1), respond());
    desk.does(HANDLER, hours(4), pause());
    desk.does(HANDLER, hours(8), Command::Resume);
    let answered = desk.clock("first-response", 1).clone();
    let shorter = regulation(1, changed(|draft| draft.clocks[1].target = elapsed(48)));
    let outcomes: Vec<_> =
        compared(&desk, hours(10), &shorter).into_iter().map(|one| one.outcome).collect();
    assert_eq!(outcomes, [Outcome::Sooner]);
    let changes = desk.does("manager", hours(10), under(&shorter));
    assert_eq!(actions(&changes), ["RecomputeClocks"]);
    assert_eq!(desk.clock("first-response", 1), &answered, "what was kept stays as it is");
    let entries: Vec<_> =
        desk.ticket.clocks.iter().filter(|clock| &*clock.rule == "resolution").collect();
    assert_eq!(entries[0].state(), ClockState::Cancelled);
    assert_eq!(entries[0].due, Some(hours(76)), "the old promise is evidence");
    assert_eq!((entries[1].round, entries[1].due), (2, Some(hours(52))));
    assert_eq!(entries[1].paused_at(hours(10)), Duration::from_secs(4 * 3_600));
    assert_eq!(entries[1].revisions[0].previous_due, Some(hours(76)));
    assert_eq!(entries[1].terms.version(), Some(shorter.id()));
    assert_eq!(desk.ticket.policy_version, identity().policy_version, "judged as ever");
    assert_eq!(desk.ticket.promise_version(), shorter.id());
    let again = desk.tries("manager", hours(11), under(&shorter));
    assert_eq!(again, Ok(Vec::new()), "once per version");
    let told = explain(entries[1], &desk.policy, hours(10)).expect("explained");
    assert!(
        told.summary.zh.contains("按另一版制度重新计算（原截止于 2019-09-28 14:00）"),
        "{told:?}"
    );
    assert_eq!(told.stretches.len(), 1);
}

#[test]
fn t06_what_a_new_version_makes_overdue_is_due_now_and_no_breach_is_unmade() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does(HANDLER, hours(1), respond());
    let short = regulation(1, changed(|draft| draft.clocks[1].target = elapsed(12)));
    let outcomes = compared(&desk, hours(30), &short);
    assert_eq!(outcomes[0].outcome, Outcome::Overdue);
    let changes = desk.does("manager", hours(30), under(&short));
    assert_eq!(actions(&changes), ["RecomputeClocks", "WarnClock", "BreachClock"]);
    let broken = desk.clock("resolution", 1).clone();
    assert_eq!(broken.breached_at, Some(hours(30)), "nobody is late before it was promised");
    assert_eq!(broken.revisions[0].previous_due, Some(hours(72)));
    let explained = explain(&broken, &desk.policy, hours(31)).expect("explained");
    assert_eq!(explained.segments.last().map(|segment| segment.to), Some(hours(30)));
    let long = regulation(2, changed(|draft| draft.clocks[1].target = elapsed(1_000)));
    desk.does("manager", hours(40), under(&long));
    assert_eq!(desk.clock("resolution", 1), &broken, "a later deadline unmakes nothing");
    desk.does(HANDLER, hours(50), resolve());
    desk.does(HANDLER, hours(50), feed_back());
    desk.does(QUALITY, hours(51), verdict(5));
    let next = desk.clock("resolution", 2);
    assert_eq!(next.due, Some(hours(1_051)), "what comes later is promised by the new version");
    assert_eq!(next.terms.version(), Some(long.id()));
}

#[test]
fn t07_who_was_warned_is_not_warned_again_and_no_step_is_taken_twice() {
    let ladder = |target: u64, late: u64| {
        changed(move |draft| {
            let step = |name: &str, when| StepDraft {
                name: name.into(),
                when: Some(when),
                notify_level: 2,
                raise_to_level: 0,
            };
            draft.clocks[1].target = elapsed(target);
            draft.clocks[1].steps = vec![
                step("half", StepTime::Percent(50)),
                step("late", StepTime::After(Duration::from_secs(late * 3_600))),
            ];
        })
    };
    let mut desk = Desk::with(ladder(72, 24), Severity::Ordinary);
    desk.does(HANDLER, hours(1), respond());
    assert_eq!(actions(&desk.fires(hours(36))), ["WarnClock", "EscalateClock"]);
    desk.does("manager", hours(40), under(&regulation(1, ladder(200, 5))));
    let clock = desk.clock("resolution", 1);
    assert_eq!((clock.warned_at, clock.steps[0].taken_at), (Some(hours(36)), Some(hours(36))));
    assert_eq!((clock.due, clock.steps[1].at), (Some(hours(200)), Some(hours(205))));
    assert_eq!(desk.fires(hours(199)), []);
    assert_eq!(actions(&desk.fires(hours(205))), ["BreachClock", "EscalateClock"]);
    assert_eq!(desk.fires(hours(900)), []);
}

#[test]
fn t05_each_stretch_counts_on_the_calendar_that_was_valid_in_it() {
    // Wednesday ten o'clock: seven of twenty working hours until five, and one on Thursday morning.
    let mut desk = Desk::with(working(20, calendar()), Severity::Ordinary);
    desk.does(HANDLER, hours(0), respond());
    // Announced on Thursday at ten: from now on it is worked from nine to noon, on weekends as well.
    let announced = open_daily("Asia/Shanghai", "09:00", "12:00");
    let half = regulation(1, working(20, announced));
    desk.does("manager", hours(24), under(&half));
    let clock = desk.clock("resolution", 1);
    assert_eq!(clock.consumed_at(&desk.policy, hours(24)), Duration::from_secs(8 * 3_600));
    // Twelve are left: two on Thursday, three each on Friday, Saturday, Sunday, and one on Monday.
    assert_eq!(clock.due, Some(at("2019-09-30T10:00:00+08:00")));
    let explained = explain(clock, &desk.policy, hours(24)).expect("explained");
    assert_eq!(explained.due, clock.due);
    let counted: Duration = explained.segments.iter().map(|segment| segment.counted).sum();
    assert_eq!(counted, Duration::from_secs(20 * 3_600));
    assert_eq!((explained.stretches[0].version, explained.stretches[0].until), (None, hours(24)));
    // Back again on Saturday at noon: eight more were used up, and on Sunday there is the make-up day.
    let before = regulation(0, working(20, calendar()));
    desk.does("manager", at("2019-09-28T12:00:00+08:00"), under(&before));
    let clock = desk.clock("resolution", 1);
    assert_eq!((clock.terms.version(), clock.eras.len()), (None, 2));
    // The other four on the make-up day from nine to one.
    assert_eq!(clock.due, Some(at("2019-09-29T13:00:00+08:00")));
    assert_eq!(explain(clock, &desk.policy, hours(80)).expect("explained").due, clock.due);
}

#[test]
fn t11_a_ticket_goes_to_berlin_over_the_end_of_daylight_saving_and_back() {
    let berlin = open_daily("Europe/Berlin", "01:00", "09:00");
    let mut desk = Desk::with(working(40, calendar()), Severity::Ordinary);
    desk.does(HANDLER, hours(0), respond());
    // Saturday, 26 October, two in the afternoon in Berlin; paused since the first evening.
    desk.does(HANDLER, at("2019-09-25T17:00:00+08:00"), pause());
    let accepted = at("2019-10-26T14:00:00+02:00");
    desk.does("manager", accepted, under(&regulation(1, working(20, berlin))));
    let clock = desk.clock("resolution", 1);
    assert_eq!((clock.state(), clock.due), (ClockState::Paused, None));
    let explained = explain(clock, &desk.policy, accepted).expect("explained");
    let paused = explained.segments.last().expect("a segment");
    assert_eq!((paused.counted, paused.to), (Duration::ZERO, accepted));
    desk.does(HANDLER, at("2019-10-27T00:00:00+02:00"), Command::Resume);
    let clock = desk.clock("resolution", 1);
    // Seven hours of twenty were used up in Shanghai. On Sunday it is worked from one to noon, and the hour from two to three
    // comes twice: twelve of thirteen. The last one is on Monday from one to two.
    assert_eq!(clock.due, Some(at("2019-10-28T02:00:00+01:00")));
    assert_eq!(clock.timeline.pauses().len(), 1);
    let explained = explain(clock, &desk.policy, accepted).expect("explained");
    assert_eq!((explained.due, &*explained.time_zone), (clock.due, "Europe/Berlin"));
    assert_eq!(explained.stretches[0].time_zone, "Asia/Shanghai");
    let counted: Duration = explained.segments.iter().map(|segment| segment.counted).sum();
    assert_eq!(counted, Duration::from_secs(20 * 3_600));
}

#[test]
fn t05_what_no_rule_takes_up_goes_on_and_what_is_new_begins_if_it_is_owed() {
    let mut desk = Desk::new(Severity::Ordinary);
    let other = regulation(
        1,
        changed(|draft| {
            draft.clocks.remove(1);
            draft.clocks[0].target = elapsed(20);
            draft.clocks.push(clock("weekly", ClockKind::ProgressUpdate, elapsed(168)));
        }),
    );
    let outcomes: Vec<_> =
        compared(&desk, hours(2), &other).into_iter().map(|one| one.outcome).collect();
    assert_eq!(outcomes, [Outcome::Sooner, Outcome::Kept, Outcome::Begun]);
    desk.does("manager", hours(2), under(&other));
    assert_eq!(desk.clock("first-response", 1).due, Some(hours(20)));
    assert_eq!(desk.clock("weekly", 1).due, Some(hours(170)), "from now on");
    let resolution = desk.clock("resolution", 1);
    assert_eq!((resolution.round, resolution.due), (1, Some(hours(72))));
    // It still warns, pauses and breaks by its own rule.
    desk.does(HANDLER, hours(3), pause());
    desk.does(HANDLER, hours(5), Command::Resume);
    assert_eq!(desk.clock("resolution", 1).due, Some(hours(74)));
    let changes = desk.fires(hours(74));
    assert_eq!(actions(&changes), ["WarnClock", "BreachClock", "WarnClock", "BreachClock"]);
}

#[test]
fn t05_the_violation_of_a_breach_is_that_of_the_version_that_promised() {
    let mut desk = Desk::new(Severity::Ordinary);
    let dearer = regulation(
        1,
        changed(|draft| {
            draft.clocks[0].target = elapsed(10);
            draft.violations[0].amount_cents = 70_000;
        }),
    );
    desk.does("manager", hours(2), under(&dearer));
    let changes = desk.fires(hours(10));
    let proposed = changes.iter().find_map(Change::violation).expect("a violation");
    assert_eq!((proposed.amount_cents, proposed.policy_version), (70_000, Some(dearer.id())));
}

#[test]
fn t05_the_same_promise_on_the_same_calendar_is_not_given_twice() {
    let mut desk = Desk::new(Severity::Ordinary);
    let reworded =
        regulation(1, changed(|draft| draft.title = Text::new("Complaints, 2nd ed.", "")));
    let before = desk.ticket.clocks.clone();
    let changes = desk.does("manager", hours(2), under(&reworded));
    assert_eq!((actions(&changes), &desk.ticket.clocks), (vec!["RecomputeClocks"], &before));
    assert_eq!(desk.ticket.promise_version(), reworded.id());
}

#[test]
fn t05_nothing_is_computed_anew_after_the_end_or_without_a_reason() {
    let mut desk = Desk::new(Severity::Ordinary);
    let other = regulation(1, changed(|draft| draft.clocks[1].target = elapsed(48)));
    let unfounded = Command::Recompute(Recompute {
        version: Arc::clone(&other) as Arc<dyn Issued>,
        cause: RecomputeCause::Manager,
        reason: "  ".into(),
    });
    assert_eq!(wrong_fields(desk.tries("manager", hours(1), unfounded)), ["reason"]);
    desk.does(CLERK, hours(1), Command::Cancel { reason: "重复".into() });
    assert_eq!(missing(desk.tries("manager", hours(2), under(&other))), [Missing::NotEnded]);
}
