//! T-07, T-13: what is entered later than it happened counts as of when it happened.

use super::*;

/// Solved an hour after it was registered; nobody has told the customer anything.
fn solved() -> Desk {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does(HANDLER, hours(1), resolve());
    desk
}

/// Told the result two hours after it was registered: the call-back is due on the next working day at the same time.
fn told() -> Desk {
    let mut desk = solved();
    desk.does(HANDLER, hours(2), feed_back());
    desk
}

fn kept(clock: &ClockEntry) -> (ClockState, Option<Timestamp>, Timestamp) {
    let fulfilled = clock.fulfilled.as_ref().expect("fulfilled");
    (clock.state(), clock.breached_at, fulfilled.at)
}

#[test]
fn t07_a_result_that_was_told_in_time_keeps_its_promises_as_of_then() {
    // Entered before any worker came to the deadlines, of which the first answer's was 24 and the feedback's 49.
    let mut desk = solved();
    let changes = desk.does(HANDLER, hours(60), feed_back_sent(hours(20)));
    for rule in ["first-response", "feedback"] {
        let clock = desk.clock(rule, 1);
        assert_eq!(kept(clock), (ClockState::Met, None, hours(20)), "{rule}");
        let recorded = clock.fulfilled.as_ref().map(|fulfilled| fulfilled.recorded_at);
        assert_eq!(recorded, Some(hours(60)), "{rule}");
    }
    assert_eq!(desk.ticket.first_response_at, Some(hours(20)));
    assert_eq!(desk.ticket.told_at(), Some(hours(20)));
    let said = changes.iter().find_map(Change::spoken).expect("said");
    assert_eq!(said.at, hours(20));
    // From then on somebody should have asked, and nobody has by then.
    let call_back = desk.clock("call-back", 1);
    assert_eq!(call_back.timeline.started(), hours(20));
    assert_eq!(call_back.state(), ClockState::Breached);
    assert_eq!(actions(&changes), ["WarnClock", "FeedBackTicket", "BreachClock"]);

    // Entered after: the promises were kept, and what happened meanwhile stays on record.
    let mut desk = solved();
    desk.fires(hours(50));
    desk.does(HANDLER, hours(60), feed_back_sent(hours(20)));
    let first = (ClockState::Met, Some(hours(24)), hours(20));
    assert_eq!(kept(desk.clock("first-response", 1)), first);
    assert_eq!(kept(desk.clock("feedback", 1)), (ClockState::Met, Some(hours(49)), hours(20)));
    assert_eq!(desk.ticket.escalations.len(), 1);
}

#[test]
fn t07_a_result_that_was_told_late_is_late_whenever_it_is_entered() {
    let mut desk = solved();
    desk.does(HANDLER, hours(60), feed_back_sent(hours(50)));
    let first = (ClockState::Breached, Some(hours(24)), hours(50));
    assert_eq!(kept(desk.clock("first-response", 1)), first);
    assert_eq!(kept(desk.clock("feedback", 1)), (ClockState::Breached, Some(hours(49)), hours(50)));
}

#[test]
fn t07_a_result_is_told_neither_in_the_future_nor_before_its_solution() {
    let desk = solved();
    for sent_at in [hours(0), hours(4), hours(-1)] {
        let refused = desk.tries(HANDLER, hours(3), feed_back_sent(sent_at));
        assert_eq!(wrong_fields(refused), ["send_time"]);
    }
    let empty = Command::FeedBack { message: " ".into(), sent_at: Some(hours(0)) };
    assert_eq!(wrong_fields(desk.tries(HANDLER, hours(3), empty)), ["message", "send_time"]);
    desk.tries(HANDLER, hours(3), feed_back_sent(hours(1))).expect("at the very moment");
}

#[test]
fn t07_no_progress_is_owed_from_when_the_result_was_told() {
    let mut draft = draft();
    draft.clocks.push(clock("progress", ClockKind::ProgressUpdate, elapsed(48)));
    let mut desk = Desk::with(Policy::try_new(draft).expect("a sound policy"), Severity::Ordinary);
    desk.does(HANDLER, hours(1), respond());
    desk.does(HANDLER, hours(2), resolve());
    // Somebody who did not know promised it once more.
    desk.does("helper", hours(40), respond());
    desk.does(HANDLER, hours(41), feed_back_sent(hours(10)));
    let rounds: Vec<_> = desk.ticket.clocks.iter().filter(|c| &*c.rule == "progress").collect();
    let states: Vec<_> = rounds.iter().map(|clock| clock.state()).collect();
    assert_eq!(states, [ClockState::Met, ClockState::Met, ClockState::Cancelled]);
    assert_eq!(kept(rounds[1]), (ClockState::Met, None, hours(10)));
    assert!(desk.fires(hours(500)).iter().all(|change| change.action() != "WarnClock"));
    assert_eq!(desk.ticket.clock("progress", 1).expect("a clock").breached_at, None);
}

#[test]
fn t13_whoever_asked_in_time_kept_the_promise_however_late_it_is_entered() {
    // Told on Wednesday at noon, Shanghai time; due on Thursday at noon.
    let mut desk = told();
    assert_eq!(desk.clock("call-back", 1).due, Some(hours(26)));
    let changes = desk.does(QUALITY, hours(40), verdict_of(2, hours(25)));
    assert_eq!(actions(&changes), ["RecordVerdict"], "nothing was broken");
    assert_eq!(kept(desk.clock("call-back", 1)), (ClockState::Met, None, hours(25)));
    let given = &desk.ticket.verdicts[0];
    assert_eq!((given.given_at, given.at), (hours(25), hours(40)));
    assert_eq!(desk.ticket.closed_at(), Some(hours(40)), "it was open until then");

    let mut desk = told();
    desk.fires(hours(30));
    desk.does(QUALITY, hours(40), verdict_of(5, hours(25)));
    let call_back = (ClockState::Met, Some(hours(26)), hours(25));
    assert_eq!(kept(desk.clock("call-back", 1)), call_back);
    // What is promised anew is promised from when it is known.
    assert_eq!((desk.ticket.cycle, desk.ticket.cycle_started_at), (2, hours(40)));
    assert_eq!(desk.clock("first-response", 2).timeline.started(), hours(40));

    let mut desk = told();
    desk.does(QUALITY, hours(40), verdict(1));
    assert_eq!(desk.clock("call-back", 1).state(), ClockState::Breached, "asked only then");
}

#[test]
fn t13_nobody_was_asked_before_the_result_was_told_or_in_the_future() {
    let desk = told();
    for asked_at in [hours(1), hours(4)] {
        let refused = desk.tries(QUALITY, hours(3), verdict_of(1, asked_at));
        assert_eq!(wrong_fields(refused), ["call_time"]);
    }
    let refused = desk.tries(QUALITY, hours(3), verdict_of(9, hours(4)));
    assert_eq!(wrong_fields(refused), ["value", "call_time"]);
    desk.tries(QUALITY, hours(3), verdict_of(1, hours(2))).expect("at the very moment");
}

#[test]
fn t13_whoever_worked_on_an_order_for_it_judges_nothing() {
    let desk = told();
    let as_worker = |command| Command::AsWorker(Box::new(command));
    for command in [verdict(1), verdict(5), handling::close()] {
        let refused = desk.tries("worker", hours(3), as_worker(command));
        assert!(matches!(refused, Err(Refusal::SeparationOfDuties { .. })), "{refused:?}");
    }
    // Where there is nothing to judge yet, that is said first.
    let early = solved().tries("worker", hours(3), as_worker(verdict(1)));
    assert_eq!(missing(early), [Missing::ResultFedBack]);
    // Calls in vain count for nobody who would not be asked.
    let counts = |command| {
        let changes = desk.tries("worker", hours(3), command).expect("on record");
        let What::Handling(what) = &changes[0].what else { panic!("{changes:?}") };
        let HandlingChange::Attempted(attempt) = &**what else { panic!("{what:?}") };
        attempt.counts
    };
    assert!(counts(handling::attempt(false)));
    assert!(!counts(as_worker(handling::attempt(false))));
}

#[test]
fn t13_a_survey_answer_counts_as_of_when_the_customer_gave_it() {
    let take = |submitted_at: Timestamp| {
        let mut desk = told();
        let command = survey_of(1, 1, submitted_at);
        let changes = decide(&desk.ticket, &desk.policy, command, &Actor::SURVEY, hours(40));
        desk.take(&changes.expect("never refused"));
        (kept(desk.clock("call-back", 1)), desk.ticket.verdicts[0].given_at)
    };
    // Before the deadline at 26, though this context heard of it long after: no breach, and so no violation.
    assert_eq!(take(hours(25)), ((ClockState::Met, None, hours(25)), hours(25)));
    let late = (ClockState::Breached, Some(hours(26)), hours(30));
    assert_eq!(take(hours(30)), (late, hours(30)));
    // The clocks of two services differ a little.
    assert_eq!(take(hours(1)), ((ClockState::Met, None, hours(2)), hours(2)));
    let ahead = (ClockState::Breached, Some(hours(26)), hours(40));
    assert_eq!(take(hours(41)), (ahead, hours(40)));
}

#[test]
fn t07_what_is_carried_from_a_parent_was_said_when_it_was_said_there() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does(HANDLER, hours(90), carried(respond(), hours(23)));
    assert_eq!(kept(desk.clock("first-response", 1)), (ClockState::Met, None, hours(23)));
    // Also where it is sent on from here, and where the clocks of two replicas differ a little.
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does(HANDLER, hours(1), carried(respond(), hours(2)));
    assert_eq!(kept(desk.clock("first-response", 1)).2, hours(1));
    // A result that was told before the child had the solution was heard then, and is the child's from its solution on.
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does(HANDLER, hours(90), resolve());
    desk.does(HANDLER, hours(91), carried(feed_back(), hours(20)));
    let first = (ClockState::Met, Some(hours(24)), hours(20));
    assert_eq!(kept(desk.clock("first-response", 1)), first);
    assert_eq!(kept(desk.clock("feedback", 1)), (ClockState::Met, None, hours(90)));
    assert_eq!(desk.ticket.first_response_at, Some(hours(20)));
    assert_eq!(desk.ticket.told_at(), Some(hours(90)));
    // What was said before the child came back is no answer to why it did.
    let mut desk = told();
    desk.does(QUALITY, hours(3), verdict(5));
    let refused = desk.tries(HANDLER, hours(5), carried(respond(), hours(2)));
    assert_eq!(wrong_fields(refused), ["send_time"]);
}

#[test]
fn t14_what_is_sent_is_said_when_it_is_sent_though_it_answers_as_of_when_it_was_said_on_the_parent()
{
    let mut draft = draft();
    draft.automation.adapters = vec![AdapterDraft {
        code: "mail".into(),
        kind: Some(AdapterKind::Mail),
        title: Text::new("Mail", "邮件"),
        max_attempts: 3,
        first_retry: Some(Duration::from_secs(60)),
        longest_retry: Some(Duration::from_secs(3_600)),
    }];
    let policy = Policy::try_new(draft).expect("a sound policy");
    let by_mail = |command| Command::Send {
        command: Box::new(command),
        route: Route { adapter: "mail".into(), recipient: "wang@example.cn".into() },
    };
    let mut desk = Desk::with(policy, Severity::Ordinary);
    let mut said = Vec::new();
    for (at, command) in [(30, respond()), (31, resolve()), (32, feed_back())] {
        let command = match command {
            Command::Resolve { .. } => command,
            other => carried(by_mail(other), hours(20)),
        };
        let changes = desk.does(HANDLER, hours(at), command);
        said.extend(changes.iter().filter_map(Change::spoken).map(|spoken| spoken.at));
    }
    // What was said by somebody in between is not the last word where this never leaves.
    assert_eq!(said, [hours(30), hours(32)]);
    assert_eq!(kept(desk.clock("first-response", 1)), (ClockState::Met, None, hours(20)));
    assert_eq!(desk.ticket.first_response_at, Some(hours(20)));
}
