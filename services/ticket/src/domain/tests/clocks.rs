//! T-05, T-06, T-07 and T-19 by example.

use super::*;

#[test]
fn t05_elapsed_hours_and_a_working_day_are_different_promises() {
    let mut draft = draft();
    draft.clocks[1].target = Some(Target::WorkingDays(1));
    let policy = Policy::try_new(draft).expect("a sound policy");
    // The afternoon before National Day: the next working morning is eight days away.
    let now = at("2019-09-30T16:00:00+08:00");
    let made = register(intake(Severity::Ordinary), identity(), &policy, &Actor::staff(CLERK), now);
    let ticket = made.expect("registered").ticket;
    let due = |rule| ticket.clock(rule, 1).and_then(|clock| clock.due);
    assert_eq!(due("first-response"), Some(at("2019-10-01T16:00:00+08:00")));
    assert_eq!(due("resolution"), Some(at("2019-10-08T16:00:00+08:00")));
}

#[test]
fn t05_a_rule_promises_only_to_whom_it_covers() {
    let mut draft = draft();
    draft.clocks[0].channels = vec![Some(Channel::Letter)];
    draft.clocks[1].severities = vec![2, 3];
    let policy = Policy::try_new(draft).expect("a sound policy");
    assert!(Desk::with(policy.clone(), Severity::Ordinary).ticket.clocks.is_empty());
    let serious = Desk::with(policy, Severity::Serious);
    assert_eq!(serious.ticket.clocks.len(), 1);
    assert_eq!(serious.clock("resolution", 1).state(), ClockState::Running);
}

#[test]
fn t05_a_rule_may_promise_only_to_what_comes_in_when_nobody_works() {
    let mut draft = draft();
    draft.clocks[0].intake_hours = Some(IntakeHours::Open);
    draft.clocks[1].intake_hours = Some(IntakeHours::Closed);
    let policy = Policy::try_new(draft).expect("a sound policy");
    let rules = |time: &str| -> Vec<String> {
        let actor = Actor::staff(CLERK);
        let made = register(intake(Severity::Ordinary), identity(), &policy, &actor, at(time));
        let ticket = made.expect("registered").ticket;
        ticket.clocks.iter().map(|clock| clock.rule.to_string()).collect()
    };
    // A Wednesday: the moment of opening is open, the moment of closing is not.
    assert_eq!(rules("2019-09-25T08:59:59.999999+08:00"), ["resolution"]);
    assert_eq!(rules("2019-09-25T09:00:00+08:00"), ["first-response"]);
    assert_eq!(rules("2019-09-25T16:59:59.999999+08:00"), ["first-response"]);
    assert_eq!(rules("2019-09-25T17:00:00+08:00"), ["resolution"]);
    // National Day is a Tuesday on which nobody works, and a Sunday makes up for it.
    assert_eq!(rules("2019-09-29T10:00:00+08:00"), ["first-response"]);
    assert_eq!(rules("2019-10-01T10:00:00+08:00"), ["resolution"]);
}

#[test]
fn t05_a_deadline_is_explained_in_both_languages() {
    let mut draft = draft();
    draft.clocks[1].target = Some(Target::WorkingDays(2));
    let policy = Policy::try_new(draft).expect("a sound policy");
    let mut desk = Desk::with(policy, Severity::Ordinary);
    desk.does(HANDLER, at("2019-09-26T10:00:00+08:00"), pause());
    desk.does(HANDLER, at("2019-09-30T11:00:00+08:00"), Command::Resume);
    let told = explain(desk.clock("resolution", 1), &desk.policy, hours(200)).expect("explained");
    assert_eq!(told.due, Some(at("2019-10-08T11:00:00+08:00")));
    assert_eq!(told.time_zone, "Asia/Shanghai");
    assert_eq!(told.segments.first().map(|segment| segment.from), Some(hours(0)));
    assert_eq!(told.segments.last().map(|segment| segment.to), told.due);
    assert_eq!(
        told.summary,
        Text::new(
            "resolution (resolution, cycle 1): 2 working days of 8 h from 2019-09-25 10:00 \
             (Asia/Shanghai), due at 2019-10-08 11:00, not counting National Day, after pauses \
             of 4 d 1 h; running.",
            "resolution（处理完成，第 1 轮）：自 2019-09-25 10:00（Asia/Shanghai）起 2 个工作日\
             （每日 8 小时），截止于 2019-10-08 11:00，不计国庆节，已顺延暂停 4 天 1 小时；计时中。"
        )
    );
}

#[test]
fn t06_the_pause_of_a_clock_that_was_cancelled_ends_with_it() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does(HANDLER, hours(1), pause());
    let cancel = Command::Cancel { reason: "a duplicate".into() };
    desk.does(HANDLER, hours(3), cancel);
    let resolution = desk.clock("resolution", 1);
    assert_eq!((resolution.state(), resolution.due), (ClockState::Cancelled, None));
    let explained = |now| explain(resolution, &desk.policy, now).expect("explained");
    assert_eq!(explained(hours(500)), explained(hours(3)));
    assert_eq!(explained(hours(500)).segments.last().map(|last| last.to), Some(hours(3)));
    assert!(explained(hours(500)).summary.en.contains("after pauses of 2 h;"));
    assert_eq!(resolution.paused_at(hours(500)), Duration::from_secs(2 * 3_600));
}

#[test]
fn t06_the_resolution_pauses_and_the_first_response_does_not() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does(HANDLER, hours(10), pause());
    assert_eq!(desk.clock("first-response", 1).state(), ClockState::Running);
    let resolution = desk.clock("resolution", 1);
    assert_eq!((resolution.state(), resolution.due), (ClockState::Paused, None));
    desk.does(HANDLER, hours(15), Command::Resume);
    assert_eq!(desk.clock("resolution", 1).due, Some(hours(77)));
    desk.does(HANDLER, hours(20), pause());
    desk.does(HANDLER, hours(30), resolve());
    let resolution = desk.clock("resolution", 1);
    assert_eq!(resolution.state(), ClockState::Met);
    assert_eq!(resolution.paused_at(hours(99)), Duration::from_secs(15 * 3_600));
    let used = resolution.consumed_at(&desk.policy, hours(99));
    assert_eq!(used, Duration::from_secs(15 * 3_600));
}

#[test]
fn t06_waiting_at_the_deadline_does_not_save_it() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does(HANDLER, hours(1), respond());
    let changes = desk.does(HANDLER, hours(72), pause());
    assert_eq!(actions(&changes), ["WarnClock", "BreachClock", "PauseTicket"]);
}

#[test]
fn t07_warns_breaches_and_escalates_each_as_of_its_time() {
    let mut desk = Desk::new(Severity::Ordinary);
    assert_eq!(desk.ticket.next_fire_at(), Some(at("2019-09-26T05:12:00+08:00")));
    assert_eq!(desk.fires(hours(19)), []);
    // After a downtime of two days everything is as if it had never happened.
    let changes = desk.fires(hours(48));
    assert_eq!(actions(&changes), ["WarnClock", "BreachClock", "WarnClock"]);
    let times: Vec<_> = changes.iter().map(|change| change.effective_at).collect();
    assert_eq!(times, [at("2019-09-26T05:12:00+08:00"), hours(24), hours(36)]);
    assert!(changes.iter().all(|change| change.actor == Actor::TIMERS && change.at == hours(48)));

    let breach = desk.clock("first-response", 1);
    assert_eq!((breach.state(), breach.breached_at), (ClockState::Breached, Some(hours(24))));
    assert_eq!(desk.level(), 2);
    let form = changes[1].escalation().expect("a handling form");
    assert_eq!((form.cause, form.at), (EscalationCause::Breach, hours(24)));
    assert_eq!(desk.fires(hours(48)), [], "once");
}

#[test]
fn t07_a_late_answer_fulfils_and_the_breach_stays() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.fires(hours(25));
    desk.does(HANDLER, hours(26), respond());
    let clock = desk.clock("first-response", 1);
    assert_eq!((clock.state(), clock.breached_at), (ClockState::Breached, Some(hours(24))));
    assert_eq!(clock.fulfilled.as_ref().map(|fulfilled| fulfilled.at), Some(hours(26)));
}

#[test]
fn t07_a_command_settles_what_was_due_before_it() {
    let mut desk = Desk::new(Severity::Ordinary);
    let changes = desk.does(HANDLER, hours(26), respond());
    assert_eq!(actions(&changes), ["WarnClock", "BreachClock", "RespondTicket"]);
    assert_eq!(desk.clock("first-response", 1).state(), ClockState::Breached);
}

#[test]
fn t07_an_answer_in_time_stops_the_clock_as_of_when_it_was_sent() {
    // Entered before any worker came to the deadline: there is no breach.
    let mut desk = Desk::new(Severity::Ordinary);
    let changes = desk.does(HANDLER, hours(26), respond_sent(hours(10)));
    assert_eq!(actions(&changes), ["RespondTicket"]);
    let clock = desk.clock("first-response", 1);
    assert_eq!((clock.state(), clock.breached_at), (ClockState::Met, None));
    assert_eq!(desk.ticket.first_response_at, Some(hours(10)));

    // Entered after: the promise was kept, and what happened meanwhile stays on record.
    let mut desk = Desk::new(Severity::Ordinary);
    desk.fires(hours(25));
    desk.does(HANDLER, hours(26), respond_sent(hours(10)));
    let clock = desk.clock("first-response", 1);
    assert_eq!((clock.state(), clock.breached_at), (ClockState::Met, Some(hours(24))));
    let fulfilled = clock.fulfilled.as_ref().expect("fulfilled");
    assert_eq!((fulfilled.at, fulfilled.recorded_at), (hours(10), hours(26)));
    let told = explain(clock, &desk.policy, hours(30)).expect("explained").summary.en;
    assert!(
        told.contains("kept at 2019-09-25 20:00 by")
            && told.contains("entered at 2019-09-26 12:00 when the breach was on record"),
        "{told}"
    );
    assert_eq!((desk.level(), desk.ticket.escalations.len()), (2, 1));
}

#[test]
fn t07_of_two_answers_the_one_sent_first_counts() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does(HANDLER, hours(10), respond());
    desk.does("helper", hours(11), respond_sent(hours(9)));
    desk.does("helper", hours(12), respond());
    let fulfilled = desk.clock("first-response", 1).fulfilled.clone().expect("fulfilled");
    assert_eq!((fulfilled.at, &*fulfilled.by), (hours(9), "helper"));
    assert_eq!(desk.ticket.first_response_at, Some(hours(9)));
}

#[test]
fn t07_at_the_very_deadline_whoever_comes_first_is_right() {
    let mut answered = Desk::new(Severity::Ordinary);
    answered.does(HANDLER, hours(24), respond());
    assert_eq!(answered.clock("first-response", 1).state(), ClockState::Met);
    let mut fired = Desk::new(Severity::Ordinary);
    fired.fires(hours(24));
    fired.does(HANDLER, hours(24), respond());
    assert_eq!(fired.clock("first-response", 1).state(), ClockState::Breached);
}

#[test]
fn t07_an_answer_from_the_future_or_from_before_the_round_is_refused() {
    let mut desk = Desk::new(Severity::Ordinary);
    for sent_at in [hours(2), hours(-1)] {
        let refused = desk.tries(HANDLER, hours(1), respond_sent(sent_at));
        assert_eq!(wrong_fields(refused), ["send_time"]);
    }
    let empty = Command::Respond { message: String::new(), sent_at: Some(hours(2)) };
    let refused = desk.tries(HANDLER, hours(1), empty);
    assert_eq!(wrong_fields(refused), ["message", "send_time"]);
    desk.is_handled(hours(1));
    desk.does(QUALITY, hours(3), verdict(5));
    let refused = desk.tries(HANDLER, hours(4), respond_sent(hours(2)));
    assert_eq!(wrong_fields(refused), ["send_time"]);
}

#[test]
fn t07_a_solution_is_no_answer_but_telling_the_result_is() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does(HANDLER, hours(1), resolve());
    assert_eq!(desk.clock("first-response", 1).state(), ClockState::Running);
    assert_eq!(desk.ticket.first_response_at, None);
    desk.does(HANDLER, hours(2), feed_back());
    assert_eq!(desk.clock("first-response", 1).state(), ClockState::Met);
    assert_eq!(desk.ticket.first_response_at, Some(hours(2)));
}

#[test]
fn t07_a_breach_at_the_top_still_writes_its_form() {
    let mut desk = Desk::new(Severity::Ordinary);
    let raise = || Command::Escalate { reason: "x".into() };
    desk.does("manager", hours(1), raise());
    desk.does("manager", hours(1), raise());
    desk.fires(hours(24));
    let form = desk.ticket.escalations.last().expect("a handling form");
    assert_eq!((form.cause, form.from), (EscalationCause::Breach, form.to));
    assert_eq!(desk.level(), 3);
}

#[test]
fn t07_a_clock_that_goes_back_a_little_moves_nothing_back() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does(HANDLER, hours(5), pause());
    let changes = desk.does(HANDLER, hours(4), Command::Resume);
    assert_eq!(changes[0].at, hours(5));
    assert_eq!(desk.clock("resolution", 1).due, Some(hours(72)));
}

#[test]
fn t05_cancelling_ends_every_clock() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does(HANDLER, hours(1), pause());
    desk.does(CLERK, hours(2), Command::Cancel { reason: "重复".into() });
    assert!(desk.ticket.clocks.iter().all(|clock| clock.state() == ClockState::Cancelled));
    assert_eq!(desk.ticket.next_fire_at(), None);
}

#[test]
fn t19_a_breach_proposes_the_violation_of_its_rule_to_whoever_is_answerable() {
    let mut desk = Desk::new(Severity::Ordinary);
    let changes = desk.fires(hours(72));
    let proposed: Vec<_> = changes.iter().filter_map(Change::violation).collect();
    assert_eq!(proposed.len(), 1, "the resolution proposes none");
    let violation = proposed[0];
    assert_eq!((&*violation.code, &*violation.staff), ("late-first-response", CLERK));
    assert_eq!((violation.amount_cents, violation.currency.as_deref()), (20_000, Some("CNY")));
    assert_eq!(violation.at, hours(24));
    assert_eq!(
        violation.evidence,
        "first-response (first response, cycle 1): started 2019-09-25 10:00 +08:00, due 2019-09-26 \
         10:00 +08:00 (Asia/Shanghai), not fulfilled by then. / first-response（首次回复，第 1 轮）：自 2019-09-25 \
         10:00 +08:00 起计，应于 2019-09-26 10:00 +08:00（Asia/Shanghai）前完成，逾期未完成。"
    );
}

#[test]
fn t19_the_work_is_the_handlers_and_the_answer_the_first_contact_owners() {
    let mut draft = draft();
    draft.clocks[1].breach_violation = "late-first-response".into();
    let mut desk = Desk::with(Policy::try_new(draft).expect("a sound policy"), Severity::Ordinary);
    desk.does(HANDLER, hours(25), respond());
    let changes = desk.fires(hours(72));
    let staff = changes.iter().filter_map(Change::violation).map(|violation| &*violation.staff);
    assert_eq!(staff.collect::<Vec<_>>(), [HANDLER]);
}
