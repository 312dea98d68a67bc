//! T-02, T-03, T-09, T-12 and T-13 by example.

use super::*;

#[test]
fn t02_the_first_contact_owner_is_whoever_took_it_to_the_end() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.is_handled(hours(1));
    desk.does(QUALITY, hours(2), verdict(5));
    desk.is_handled(hours(3));
    desk.does(QUALITY, hours(4), verdict(1));
    assert_eq!(desk.state(), StateName::Closed);
    assert_eq!(&*desk.ticket.first_contact_owner, CLERK);
    assert_eq!(desk.ticket.handler.as_deref(), Some(HANDLER));
}

#[test]
fn t03_severity_decides_the_level_and_the_grade_decides_the_priority() {
    for (severity, level) in [(Severity::Ordinary, 1), (Severity::VerySerious, 2)] {
        assert_eq!(Desk::new(severity).level(), level);
    }
    for (grade, priority) in [
        (None, Priority::Normal),
        (Some("bronze"), Priority::Normal),
        (Some("vip"), Priority::Urgent),
    ] {
        let intake = Intake { grade: grade.map(Into::into), ..intake(Severity::Serious) };
        let made = register(intake, identity(), &policy(), &Actor::staff(CLERK), hours(0));
        let Registration { ticket, changes, .. } = made.expect("registered");
        assert_eq!((ticket.priority, ticket.customer_grade.as_deref()), (priority, grade));
        assert_eq!((actions(&changes), ticket.revision), (vec!["CreateTicket"], 1));
    }
}

#[test]
fn t01_what_happened_in_the_future_is_refused() {
    let intake = Intake { occurred_at: Some(hours(1)), ..intake(Severity::Ordinary) };
    let made = register(intake, identity(), &policy(), &Actor::staff(CLERK), hours(0));
    assert_eq!(wrong_fields(made.map(|made| made.changes)), ["occur_time"]);
}

#[test]
fn t09_a_ticket_goes_from_registered_to_closed() {
    let mut desk = Desk::new(Severity::Ordinary);
    let mut seen = vec![desk.state()];
    let steps = [
        (HANDLER, respond()),
        (HANDLER, pause()),
        (HANDLER, Command::Resume),
        (HANDLER, resolve()),
        (HANDLER, feed_back()),
        (QUALITY, verdict(3)),
    ];
    for ((staff, command), hour) in steps.into_iter().zip(1..) {
        let action = command.name();
        let changes = desk.does(staff, hours(hour), command);
        assert_eq!(actions(&changes), [action]);
        assert_eq!(desk.ticket.revision, hour + 1);
        seen.push(desk.state());
    }
    use StateName::*;
    assert_eq!(
        seen,
        [Registered, InProgress, Waiting, InProgress, Resolved, ResultFedBack, Closed]
    );
    assert_eq!(desk.ticket.first_response_at, Some(hours(1)));
    assert_eq!(desk.ticket.first_resolved_at, Some(hours(4)));
    assert_eq!(desk.ticket.solution().map(|solution| &*solution.text), Some("已更换窗框"));
    assert_eq!(desk.ticket.closed_at(), Some(hours(6)));
    assert_eq!(desk.ticket.next_fire_at(), None);
}

#[test]
fn t09_an_illegal_move_names_the_state_the_command_and_all_that_is_missing() {
    let desk = Desk::new(Severity::Ordinary);
    let refused = desk.tries(QUALITY, hours(1), verdict(1));
    assert_eq!(
        refused,
        Err(Refusal::IllegalState {
            state: StateName::Registered,
            command: "RecordVerdict",
            missing: vec![Missing::Solution, Missing::ResultFedBack],
        })
    );
    assert_eq!(missing(desk.tries(HANDLER, hours(1), feed_back())), [Missing::Solution]);
    assert_eq!(missing(desk.tries(HANDLER, hours(1), Command::Resume)), [Missing::Waiting]);
}

#[test]
fn t09_no_resolution_without_a_solution() {
    let desk = Desk::new(Severity::Ordinary);
    let empty = Command::Resolve { solution: " \n".into() };
    assert_eq!(wrong_fields(desk.tries(HANDLER, hours(1), empty)), ["solution"]);
}

#[test]
fn t09_what_has_ended_takes_no_command_but_the_clocks() {
    let mut closed = Desk::new(Severity::Ordinary);
    closed.is_handled(hours(1));
    closed.does(QUALITY, hours(2), verdict(1));
    let mut cancelled = Desk::new(Severity::Ordinary);
    cancelled.does(CLERK, hours(1), Command::Cancel { reason: "重复".into() });
    for desk in [closed, cancelled] {
        let details = Details { subject: "other".into(), ..Details::default() };
        for command in [
            respond(),
            pause(),
            Command::Resume,
            resolve(),
            feed_back(),
            verdict(1),
            Command::Escalate { reason: "x".into() },
            Command::Cancel { reason: "x".into() },
            Command::UpdateDetails { details },
        ] {
            let refused = missing(desk.tries("another", hours(3), command));
            assert_eq!(refused[0], Missing::NotEnded);
        }
        assert_eq!(desk.tries(CLERK, hours(9_000), Command::FireTimers), Ok(Vec::new()));
    }
}

#[test]
fn t09_only_a_verdict_ends_what_was_solved_once() {
    let cancel = || Command::Cancel { reason: "no answer".into() };
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does(HANDLER, hours(1), resolve());
    assert_eq!(missing(desk.tries(HANDLER, hours(1), cancel())), [Missing::Verdict]);
    desk.does(HANDLER, hours(2), feed_back());
    desk.does(QUALITY, hours(3), verdict(4));
    assert_eq!(missing(desk.tries(HANDLER, hours(3), cancel())), [Missing::Verdict]);
}

#[test]
fn t09_waiting_goes_on_where_it_began_and_an_answer_meanwhile_counts() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does(HANDLER, hours(1), pause());
    assert_eq!(missing(desk.tries(HANDLER, hours(1), pause())), [Missing::NotWaiting]);
    let mut unanswered = desk.clone();
    unanswered.does(HANDLER, hours(2), Command::Resume);
    assert_eq!(unanswered.state(), StateName::Registered);
    desk.does(HANDLER, hours(2), respond());
    assert_eq!(desk.state(), StateName::Waiting);
    desk.does(HANDLER, hours(3), Command::Resume);
    assert_eq!(desk.state(), StateName::InProgress);
}

#[test]
fn t09_details_change_while_it_lives_and_nothing_changes_without_a_difference() {
    let mut desk = Desk::new(Severity::Ordinary);
    let same = Command::UpdateDetails { details: desk.ticket.details.clone() };
    assert_eq!(desk.tries(CLERK, hours(1), same), Ok(Vec::new()));
    let before = desk.ticket.details.clone();
    let details = Details { category: "service/attitude".into(), ..before.clone() };
    let changes = desk.does(CLERK, hours(1), Command::UpdateDetails { details });
    assert_eq!(actions(&changes), ["UpdateTicket"]);
    assert_eq!(before.differences(&desk.ticket.details), ["category"]);
}

#[test]
fn t12_a_manager_raises_it_until_the_top() {
    let raise = || Command::Escalate { reason: "press is asking".into() };
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does("manager", hours(1), raise());
    desk.does("manager", hours(1), raise());
    assert_eq!(desk.level(), 3);
    let causes: Vec<_> = desk.ticket.escalations.iter().map(|form| form.cause).collect();
    assert_eq!(causes, [EscalationCause::Manager; 2]);
    let refused = desk.tries("manager", hours(1), raise());
    assert_eq!(missing(refused), [Missing::HigherLevel]);
}

#[test]
fn t12_severity_3_still_unsatisfactory_at_the_top_goes_to_the_executives() {
    let mut desk = Desk::new(Severity::VerySerious);
    desk.is_handled(hours(1));
    desk.does(QUALITY, hours(2), verdict(5));
    assert_eq!((desk.state(), desk.level()), (StateName::Reopened, 3));
    desk.is_handled(hours(3));
    desk.does(QUALITY, hours(4), verdict(4));
    assert_eq!((desk.state(), desk.level()), (StateName::ExecutiveReview, 3));
    assert_eq!(desk.ticket.cycle, 3);
    let form = desk.ticket.escalations.last().expect("a handling form");
    assert_eq!(form.from, form.to);

    // An answer and waiting leave it with the executives; their decision is the solution.
    desk.does("director", hours(5), respond());
    desk.does("director", hours(5), pause());
    desk.does("director", hours(6), Command::Resume);
    assert_eq!(desk.state(), StateName::ExecutiveReview);
    assert_eq!(missing(desk.tries("director", hours(7), resolve())), [Missing::ExecutiveDecision]);
    desk.does("director", hours(7), review(ExecutiveOutcome::Solution));
    desk.does("director", hours(8), feed_back());
    desk.does(QUALITY, hours(9), verdict(2));
    assert_eq!(desk.state(), StateName::Closed);
}

#[test]
fn t12_severity_1_at_the_top_reopens_there() {
    let mut desk = Desk::new(Severity::Ordinary);
    for (round, level) in [(0, 2), (1, 3), (2, 3), (3, 3)] {
        desk.is_handled(hours(1 + 2 * round));
        desk.does(QUALITY, hours(2 + 2 * round), verdict(4));
        assert_eq!((desk.state(), desk.level()), (StateName::Reopened, level));
    }
    assert_eq!(desk.ticket.cycle, 5);
}

#[test]
fn t13_a_bad_verdict_reopens_one_level_up_with_new_clocks_and_the_old_ones_stay() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.is_handled(hours(1));
    let changes = desk.does(QUALITY, hours(2), verdict(4));
    assert_eq!(actions(&changes), ["RecordVerdict"]);
    assert_eq!((desk.state(), desk.level(), desk.ticket.cycle), (StateName::Reopened, 2, 2));
    let old: Vec<_> = desk.ticket.clocks.iter().filter(|clock| clock.cycle == 1).collect();
    assert_eq!(old.len(), 4);
    assert!(old.iter().all(|clock| clock.state() == ClockState::Met));
    let new: Vec<_> = desk.ticket.current_clocks().collect();
    assert_eq!(new.len(), 2);
    assert!(new.iter().all(|clock| clock.timeline.started() == hours(2)));
    let escalation = &desk.ticket.escalations[0];
    assert_eq!((escalation.cause, escalation.cycle), (EscalationCause::Verdict, 1));
    assert_eq!(
        escalation.reason,
        "Verdict 4 (value 4) on cycle 1. / 第 1 轮满意度评价：4（评价 4）。"
    );
    assert_eq!(
        desk.ticket.solution().map(|solution| solution.at),
        Some(at("2019-09-25T11:20:00+08:00"))
    );
}

#[test]
fn t13_nobody_judges_its_own_work() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does("helper", hours(1), respond());
    desk.does(HANDLER, hours(1), resolve());
    desk.does(CLERK, hours(1), feed_back());
    for staff in ["helper", HANDLER] {
        let refused = desk.tries(staff, hours(2), verdict(1));
        assert!(matches!(refused, Err(Refusal::SeparationOfDuties { .. })), "{refused:?}");
    }
    // Neither does whoever is to handle it, whatever others did in the meantime.
    desk.ticket.owner = Some("owner".into());
    let refused = desk.tries("owner", hours(2), verdict(1));
    assert!(matches!(refused, Err(Refusal::SeparationOfDuties { .. })), "{refused:?}");
    // Having handled another cycle is no hindrance.
    desk.does(QUALITY, hours(2), verdict(5));
    desk.does("another", hours(3), resolve());
    desk.does("another", hours(3), feed_back());
    desk.does(HANDLER, hours(4), verdict(1));
    assert_eq!(desk.state(), StateName::Closed);
}

#[test]
fn t13_a_verdict_off_the_scale_names_the_field() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.is_handled(hours(1));
    for value in [0, 6, -1, i32::MAX] {
        assert_eq!(wrong_fields(desk.tries(QUALITY, hours(2), verdict(value))), ["value"]);
    }
}

#[test]
fn t13_a_survey_answer_counts_once_and_only_for_its_cycle() {
    let mut desk = Desk::new(Severity::Ordinary);
    let take = |desk: &mut Desk, hour, cycle, value| {
        let answer = survey(cycle, value);
        let changes = decide(&desk.ticket, &desk.policy, answer, &Actor::SURVEY, hours(hour));
        let changes = changes.expect("not refused");
        desk.take(&changes);
        changes.len()
    };
    assert_eq!(take(&mut desk, 0, 1, 5), 0, "nothing was told yet");
    desk.is_handled(hours(1));
    assert_eq!(take(&mut desk, 2, 1, 4), 1);
    assert_eq!(&*desk.ticket.verdicts[0].recorded_by, "system/survey");
    assert_eq!(desk.ticket.verdicts[0].source, VerdictSource::Survey);
    // What comes too late is noted, and moves nothing.
    assert_eq!(take(&mut desk, 3, 1, 1), 1, "the same cycle again");
    desk.is_handled(hours(3));
    assert_eq!(take(&mut desk, 4, 1, 1), 1, "an older cycle");
    desk.does(QUALITY, hours(5), verdict(2));
    assert_eq!(take(&mut desk, 6, 2, 5), 1, "after the call");
    assert_eq!(desk.state(), StateName::Closed);
    assert_eq!(desk.ticket.verdicts.len(), 2);
}
