//! Giving a work order to somebody else (T-16): of somebody who left, or cannot do it. It cannot be refused, so nobody hands on
//! what he has himself.

use jiff::Timestamp;

use super::{
    order_duty::Duty,
    policy::Policy,
    word::{Fault, Subject},
    work_order::{OrderEvent, OrderState, Reassignment, StepTaken, Unsigned, WorkOrder},
    work_order_decide::{Desk, OrderMissing, OrderRefusal, accept_due},
};

impl Desk<'_> {
    /// Whoever gets it has to accept it, in the time that the policy gives from now on. The reply stays due when it was; where it
    /// was missed, the next one is set, for an order is under a deadline until it is done.
    pub(super) fn reassign(
        &self,
        (to, reason): (Subject, String),
        next: Option<Timestamp>,
        supervisor: bool,
        policy: &Policy,
    ) -> Result<Vec<OrderEvent>, OrderRefusal> {
        let mut missing = self.missing_between(0, 1);
        missing.extend(self.order.open_dispute().map(|_| OrderMissing::NoOpenDispute));
        self.allow(missing)?;
        let has_it = self.order.assignee.as_ref().is_some_and(|present| self.is(present));
        self.duty(!has_it, Duty::NotWorker)?;
        self.duty(supervisor || self.is(&self.order.dispatcher), Duty::Dispatcher)?;
        let mut faults = Vec::new();
        if self.order.assignee.as_ref() == Some(&to) {
            let words = ("has the order already", "该承办人已持有此派工单");
            faults.push(Fault::new("assignee", words));
        }
        // What passed before now counts as missed, whether a timer has come to it or not.
        let waits = self.order.due.is_some_and(|due| due > self.now);
        match next {
            Some(next) => faults.extend(self.reply_fault(next, policy)),
            None if waits => {}
            None => {
                let words = (
                    "is required: the reply that was due was missed",
                    "已逾期未反馈，须另定反馈时间",
                );
                faults.push(Fault::new("next_reply_time", words));
            }
        }
        if !faults.is_empty() {
            return Err(OrderRefusal::Fields(faults));
        }
        let accept_due = accept_due(policy, self.now);
        Ok(vec![OrderEvent::Reassigned { to, reason, due: next, accept_due }])
    }
}

/// What somebody else has now is accepted by nobody, and its time begins anew; that it was refused before is in its history.
pub(super) fn apply(
    order: &mut WorkOrder,
    (to, reason): (&Subject, &str),
    (due, accept_due): (Option<Timestamp>, Option<Timestamp>),
    reassigned: StepTaken,
) {
    let accepted_at = order.state.accepted().map(|accepted| accepted.at);
    order.reassignments.push(Reassignment {
        from: order.assignee.replace(to.clone()),
        accepted_at,
        to: to.clone(),
        reason: reason.to_owned(),
        reassigned,
    });
    order.state = OrderState::Unsigned(Unsigned::Issued);
    order.accept_due = accept_due;
    order.refused = None;
    if let Some(due) = due {
        order.due = Some(due);
        order.overdue_since = None;
    }
}
