//! T-03, T-11, T-19, T-25: in whose hands a ticket is, and who answers for it.

use super::handling::{accept, send};
use super::*;

const DIRECTOR: &str = "director-zhou";
const RECEIVER: &str = "receiver-sun";

fn give(owner: Option<&str>, cause: AssignCause) -> Command {
    Command::Assign(Assignment {
        team: Uuid::from_u128(7),
        owner: owner.map(Into::into),
        cause,
        reason: "熟悉情况".into(),
        candidates: Vec::new(),
        routed: None,
    })
}

#[test]
fn t19_a_breach_is_the_present_owners_and_never_whoever_worked_on_it_before() {
    let mut draft = draft();
    draft.clocks[1].breach_violation = "late-first-response".into();
    let policy = Policy::try_new(draft).expect("a sound policy");
    let mut desk = Desk::with(policy, Severity::Ordinary);
    desk.does(HANDLER, hours(1), respond());
    desk.does(HANDLER, hours(2), send("group/south"));
    desk.does(RECEIVER, hours(3), accept());
    desk.does(RECEIVER, hours(4), give(Some("owner-chen"), AssignCause::Manual));
    assert_eq!(desk.ticket.handling.receiver, None);
    let breached = desk.fires(hours(72));
    let staff = breached.iter().filter_map(Change::violation).map(|violation| &*violation.staff);
    assert_eq!(staff.collect::<Vec<_>>(), ["owner-chen"]);
}

#[test]
fn t19_whoever_is_absent_or_has_left_answers_for_nothing_more() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does(HANDLER, hours(1), give(Some(HANDLER), AssignCause::Manual));
    desk.does(HANDLER, hours(2), respond());
    desk.does(DIRECTOR, hours(3), give(Some("substitute-bo"), AssignCause::Absence));
    assert_eq!(&**desk.ticket.answerable(), "substitute-bo");
    desk.does(DIRECTOR, hours(4), give(None, AssignCause::Left));
    assert_eq!(&**desk.ticket.answerable(), CLERK, "nobody has it, so it is whoever took it");
    assert!(desk.ticket.distribution.is_some(), "nobody chose that it lies there");
    desk.does(DIRECTOR, hours(5), give(Some("owner-chen"), AssignCause::Duty));
    assert_eq!(&**desk.ticket.answerable(), "owner-chen");
    desk.does("colleague-du", hours(6), respond());
    assert_eq!(&**desk.ticket.answerable(), "colleague-du", "who handles it answers for it");
}

#[test]
fn t11_whoever_accepts_for_a_team_owns_it_if_he_may_and_answers_for_it_until_somebody_does() {
    for may_own in [true, false] {
        let mut desk = Desk::new(Severity::Ordinary);
        desk.does(HANDLER, hours(1), send("group/south"));
        let team = Some(Uuid::from_u128(8));
        let receiving = Receiving { team, may_own, ..Receiving::default() };
        let message = Some("已转交".into());
        let accepts =
            Command::Handle(HandlingCommand::AcceptTransfer { message, route: None, receiving });
        desk.does(RECEIVER, hours(2), accepts);
        let ticket = &desk.ticket;
        assert_eq!((ticket.team, ticket.owner.is_some()), (team, may_own));
        assert_eq!(ticket.handling.receiver.is_none(), may_own);
        assert_eq!(&**ticket.answerable(), RECEIVER);
        assert_eq!(ticket.distribution.is_some(), !may_own, "or else it waits for somebody");
    }
}

#[test]
fn t25_what_is_resolved_may_change_hands_and_what_was_told_may_not() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does(HANDLER, hours(1), give(Some(HANDLER), AssignCause::Manual));
    desk.does(HANDLER, hours(2), respond());
    desk.does(HANDLER, hours(3), resolve());
    assert!(desk.ticket.burden().is_some(), "the customer has to be told yet");
    desk.does(DIRECTOR, hours(4), give(Some("substitute-bo"), AssignCause::Absence));
    assert_eq!(&**desk.ticket.answerable(), "substitute-bo");
    desk.does("substitute-bo", hours(5), feed_back());
    assert_eq!(desk.ticket.burden(), None);
    let late = give(Some(HANDLER), AssignCause::Manual);
    let missing = missing(desk.tries(DIRECTOR, hours(6), late));
    assert_eq!(missing, [Missing::ResultNotFedBackYet]);
}

#[test]
fn t25_whoever_stands_in_for_a_receiver_answers_for_the_ticket_until_somebody_has_it() {
    let stand_in = || Command::StandIn { by: "substitute-bo".into() };
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does(HANDLER, hours(1), respond());
    assert_eq!(desk.tries(DIRECTOR, hours(1), stand_in()), Ok(Vec::new()), "nobody received it");
    desk.does(HANDLER, hours(1), send("group/south"));
    desk.does(RECEIVER, hours(2), accept());
    desk.does(DIRECTOR, hours(3), stand_in());
    assert_eq!(&**desk.ticket.answerable(), "substitute-bo");
    assert_eq!(desk.tries(DIRECTOR, hours(4), stand_in()), Ok(Vec::new()), "he has it already");
    desk.does(RECEIVER, hours(5), respond());
    assert_eq!(&**desk.ticket.answerable(), RECEIVER);
    assert_eq!(desk.tries(DIRECTOR, hours(6), stand_in()), Ok(Vec::new()), "it is handled");
}
