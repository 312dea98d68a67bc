//! What passes by without a command on a work order: nobody accepts it, or a reply does not come (T-16, T-19).

use jiff::Timestamp;

use super::{
    explain,
    policy::Policy,
    violation::ProposedViolation,
    word::Actor,
    work_order::{OrderChange, OrderEvent, WorkOrder},
};

/// That nobody accepted the order or objected to it in time, as of `accepted_at` where it is accepted. A command at that very
/// instant is still in time.
pub(super) fn refused(
    order: &WorkOrder,
    policy: &Policy,
    (now, accepted_at): (Timestamp, Timestamp),
    is_timer: bool,
) -> Option<OrderChange> {
    let passed = |due: &Timestamp| *due < accepted_at || (is_timer && *due == now);
    let due = order.accept_alarm().filter(passed)?;
    let rule = policy.learning().refused_order.as_ref();
    let rule = rule.and_then(|rule| policy.violation(&rule.violation));
    let stamp = |at| explain::stamp(policy.calendar(), at);
    let (number, issued, by) = (&order.number, stamp(order.issued_at), stamp(due));
    let evidence = format!(
        "Work order {number}: issued {issued}, to be accepted by {by}, neither accepted nor objected to by then. An order \
         cannot be refused. / 派工单 {number}：{issued} 派发，应于 {by} 前接单，逾期既未接单也未申诉。派工单不得拒接。"
    );
    let staff = order.answerable().clone();
    let violation = rule.map(|rule| rule.broken(staff, evidence, due, order.policy_version));
    let what = OrderEvent::Refused { due, violation: violation.map(Box::new) };
    Some(OrderChange { actor: Actor::TIMERS, at: now, what })
}

/// That the reply which was due has not come. A command at that very instant is still in time.
pub(super) fn missed(
    order: &WorkOrder,
    policy: &Policy,
    now: Timestamp,
    is_timer: bool,
) -> Option<OrderChange> {
    let due = order.due.filter(|due| *due < now || (is_timer && *due == now))?;
    let violation = violation(order, policy, due).map(Box::new);
    let what = OrderEvent::ReplyMissed { due, violation };
    Some(OrderChange { actor: Actor::TIMERS, at: now, what })
}

fn violation(order: &WorkOrder, policy: &Policy, due: Timestamp) -> Option<ProposedViolation> {
    let rule = policy.violation(policy.learning().late_work_order.as_deref()?)?;
    let stamp = |at| explain::stamp(policy.calendar(), at);
    let (number, issued, by) = (&order.number, stamp(order.issued_at), stamp(due));
    let evidence = format!(
        "Work order {number}: issued {issued}, reply due {by}, neither result nor progress report by then. / \
         派工单 {number}：{issued} 派发，应于 {by} 前反馈，逾期未反馈结果或进度。"
    );
    Some(rule.broken(order.answerable().clone(), evidence, due, order.policy_version))
}
