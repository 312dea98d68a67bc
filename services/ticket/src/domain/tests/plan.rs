//! T-10: the handling plan.

use super::handling::{handle, plan, with};
use super::*;

#[test]
fn t10_no_resolution_without_the_plan_that_the_customer_agreed_with() {
    let draft = HandlingDraft { plan: Some((vec![2], true)), ..HandlingDraft::default() };
    with(draft.clone(), Severity::Ordinary).does(HANDLER, hours(1), resolve());
    let mut desk = with(draft, Severity::Serious);
    assert_eq!(missing(desk.tries(HANDLER, hours(1), resolve())), [Missing::Plan]);
    let agree = || handle(HandlingCommand::AgreePlan { how: "电话确认".into(), at: None });
    assert_eq!(missing(desk.tries(HANDLER, hours(1), agree())), [Missing::Plan]);
    assert_eq!(wrong_fields(desk.tries(HANDLER, hours(1), plan(hours(1)))), ["items[0].due_time"]);
    desk.does(HANDLER, hours(1), plan(hours(20)));
    assert_eq!(missing(desk.tries(HANDLER, hours(1), resolve())), [Missing::PlanAgreement]);
    desk.does(HANDLER, hours(2), agree());
    assert_eq!(missing(desk.tries(HANDLER, hours(2), agree())), [Missing::UnagreedPlan]);
    let done = |item| handle(HandlingCommand::CompleteItem { item });
    for wrong in [0, 2, u32::MAX] {
        assert_eq!(wrong_fields(desk.tries(HANDLER, hours(2), done(wrong))), ["item"]);
    }
    desk.does(HANDLER, hours(3), done(1));
    assert_eq!(missing(desk.tries(HANDLER, hours(3), done(1))), [Missing::OpenItem]);
    desk.does(HANDLER, hours(4), resolve());
    // A new plan is to be agreed anew.
    let mut again = desk.clone();
    again.does(HANDLER, hours(5), plan(hours(20)));
    assert_eq!(again.ticket.handling.plan.as_ref().map(|plan| plan.version), Some(2));
    assert_eq!(again.ticket.handling.plan.and_then(|plan| plan.agreement), None);
}

#[test]
fn t10_what_the_customer_did_not_accept_is_planned_and_agreed_anew() {
    let draft = HandlingDraft { plan: Some((vec![], true)), ..HandlingDraft::default() };
    let mut desk = with(draft, Severity::Ordinary);
    let agree = || handle(HandlingCommand::AgreePlan { how: "电话确认".into(), at: None });
    desk.does(HANDLER, hours(1), plan(hours(20)));
    desk.does(HANDLER, hours(1), agree());
    desk.is_handled(hours(2));
    desk.does(QUALITY, hours(4), verdict(5));
    // The old plan is there to be seen, and what is left of it can be done; but it solves nothing any more.
    assert_eq!(missing(desk.tries(HANDLER, hours(5), resolve())), [Missing::Plan]);
    assert_eq!(missing(desk.tries(HANDLER, hours(5), agree())), [Missing::Plan]);
    desk.does(HANDLER, hours(5), handle(HandlingCommand::CompleteItem { item: 1 }));
    assert_eq!(missing(desk.tries(HANDLER, hours(5), resolve())), [Missing::Plan]);
    desk.does(HANDLER, hours(6), plan(hours(30)));
    assert_eq!(missing(desk.tries(HANDLER, hours(6), resolve())), [Missing::PlanAgreement]);
    desk.does(HANDLER, hours(6), agree());
    let made = desk.ticket.handling.plan.as_ref().map(|plan| (plan.version, plan.cycle));
    assert_eq!(made, Some((2, 2)));
    desk.does(HANDLER, hours(6), resolve());
}
