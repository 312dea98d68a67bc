//! T-13: what is closed and opened again, by example.

use super::*;

pub fn reopen(dissatisfied: bool) -> Command {
    Command::Handle(HandlingCommand::Reopen { reason: "又漏水了".into(), dissatisfied })
}

fn answered(cycle: u32, value: i32, hour: i64) -> Command {
    let comment = "还是漏".to_owned();
    Command::TakeSurveyVerdict { cycle, value, comment, at: Some(hours(hour)) }
}

/// Closed by a verdict at hour 2, under a policy that lets it be reopened for so long.
fn closed(severity: Severity, within: Option<Target>) -> Desk {
    let mut draft = draft();
    draft.handling.reopen_within = Some(within);
    let mut desk = Desk::with(Policy::try_new(draft).expect("a sound policy"), severity);
    desk.is_handled(hours(1));
    desk.does(QUALITY, hours(2), verdict(3));
    assert_eq!(desk.state(), StateName::Closed);
    desk
}

#[test]
fn t13_a_reopening_begins_a_cycle_as_a_dissatisfied_verdict_does() {
    let mut reopened = closed(Severity::Ordinary, elapsed(48));
    reopened.does(HANDLER, hours(20), reopen(true));
    let mut judged = Desk::new(Severity::Ordinary);
    judged.is_handled(hours(1));
    judged.does(QUALITY, hours(20), verdict(5));
    let second = |desk: &Desk| desk.ticket.current_clocks().cloned().collect::<Vec<_>>();
    assert_eq!(second(&reopened), second(&judged));
    assert_eq!((reopened.state(), reopened.level()), (StateName::Reopened, 2));
    assert_eq!((judged.state(), judged.level()), (StateName::Reopened, 2));
    assert_eq!(reopened.ticket.rejected_solution, judged.ticket.rejected_solution);
    assert!(reopened.ticket.cycle_handlers.is_empty());
    assert_eq!(reopened.ticket.escalations.len(), 1);
    assert_eq!(reopened.ticket.verdicts.len(), 1, "what closed it stays on record");
}

#[test]
fn t13_who_is_not_dissatisfied_raises_nothing() {
    let mut desk = closed(Severity::Ordinary, elapsed(48));
    let changes = desk.does(HANDLER, hours(20), reopen(false));
    assert_eq!(actions(&changes), ["ReopenTicket"]);
    assert_eq!((desk.state(), desk.level(), desk.ticket.cycle), (StateName::Reopened, 1, 2));
    assert!(desk.ticket.escalations.is_empty());
}

#[test]
fn t12_a_very_serious_one_at_the_top_goes_to_the_executives() {
    let mut desk = closed(Severity::VerySerious, elapsed(200));
    desk.does(HANDLER, hours(20), reopen(true));
    assert_eq!((desk.state(), desk.level()), (StateName::Reopened, 3));
    desk.is_handled(hours(21));
    desk.does(QUALITY, hours(23), verdict(1));
    desk.does(HANDLER, hours(24), reopen(true));
    assert_eq!((desk.state(), desk.level()), (StateName::ExecutiveReview, 3));
}

#[test]
fn t13_only_what_is_closed_is_reopened_and_only_in_the_policys_time() {
    let mut open = Desk::new(Severity::Ordinary);
    assert_eq!(missing(open.tries(HANDLER, hours(1), reopen(true))), [Missing::Closed]);
    open.is_handled(hours(1));
    open.does(QUALITY, hours(2), verdict(3));
    assert_eq!(missing(open.tries(HANDLER, hours(3), reopen(true))), [Missing::Reopening]);
    let desk = closed(Severity::Ordinary, elapsed(48));
    assert!(desk.tries(HANDLER, hours(50), reopen(true)).is_ok());
    let later = hours(50).checked_add(jiff::SignedDuration::from_micros(1)).expect("in range");
    assert_eq!(missing(desk.tries(HANDLER, later, reopen(true))), [Missing::ReopeningTime]);
}

/// Closed on Wednesday at noon in Shanghai. Four working days, over the make-up Sunday, are the last before the holidays.
#[test]
fn t13_working_days_to_reopen_are_those_of_the_calendar() {
    let desk = closed(Severity::Ordinary, Some(Target::WorkingDays(4)));
    let until = at("2019-09-30T12:00:00+08:00");
    assert!(desk.tries(HANDLER, until, reopen(false)).is_ok());
    let later = at("2019-09-30T12:00:01+08:00");
    assert_eq!(missing(desk.tries(HANDLER, later, reopen(false))), [Missing::ReopeningTime]);
}

#[test]
fn t13_a_dissatisfied_answer_given_in_time_reopens_however_late_it_is_heard_of() {
    let mut desk = closed(Severity::Ordinary, elapsed(48));
    let changes = desk.does(QUALITY, hours(300), answered(1, 4, 50));
    assert_eq!(actions(&changes), ["NoteLateAnswer", "ReopenTicket"]);
    assert_eq!((desk.state(), desk.level(), desk.ticket.cycle), (StateName::Reopened, 2, 2));
    assert_eq!(desk.ticket.verdicts.len(), 1, "it is no verdict");
    let late = closed(Severity::Ordinary, elapsed(48));
    let noted = late.tries(QUALITY, hours(300), answered(1, 4, 51)).expect("noted");
    assert_eq!(actions(&noted), ["NoteLateAnswer"]);
}

#[test]
fn t13_late_answers_that_reopen_nothing_are_on_record() {
    let noted_at = |hour, desk: &Desk, command| {
        actions(&desk.tries(QUALITY, hours(hour), command).expect("no error"))
    };
    let noted = |desk: &Desk, command| noted_at(40, desk, command);
    let desk = closed(Severity::Ordinary, elapsed(48));
    assert_eq!(noted(&desk, answered(1, 2, 40)), ["NoteLateAnswer"], "content");
    assert!(noted(&desk, answered(2, 5, 40)).is_empty(), "nobody asked about what has not been");
    assert!(noted(&desk, answered(0, 5, 40)).is_empty());
    let never = {
        let mut desk = Desk::new(Severity::Ordinary);
        desk.is_handled(hours(1));
        desk.does(QUALITY, hours(2), verdict(3));
        desk
    };
    assert_eq!(noted(&never, answered(1, 5, 3)), ["NoteLateAnswer"], "the policy reopens nothing");
    let mut second = closed(Severity::Ordinary, elapsed(48));
    second.does(HANDLER, hours(3), reopen(false));
    assert_eq!(noted_at(4, &second, answered(1, 5, 4)), ["NoteLateAnswer"], "it is open already");
    second.is_handled(hours(4));
    second.does(QUALITY, hours(6), verdict(1));
    assert_eq!(noted(&second, answered(1, 5, 40)), ["NoteLateAnswer"], "the second cycle answers");
    let wrong = desk.tries(QUALITY, hours(40), answered(1, 9, 40));
    assert_eq!(wrong_fields(wrong), ["value"]);
}

#[test]
fn t13_how_long_is_checked_when_the_policy_is_applied() {
    for (within, path) in [
        (None, "reopening.within"),
        (elapsed(0), "reopening.within.elapsed"),
        (Some(Target::WorkingDays(367)), "reopening.within.working_days"),
    ] {
        let mut draft = draft();
        draft.handling.reopen_within = Some(within);
        let faults = Policy::try_new(draft).expect_err("refused");
        assert_eq!(faults.iter().map(|fault| &*fault.path).collect::<Vec<_>>(), [path]);
    }
}
