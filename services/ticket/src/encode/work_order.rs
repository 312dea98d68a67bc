//! Work orders as others see them (T-16).

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::work_order_sign_off::Signature as SignatureKind;
use kefu_journal::PublicEvent;
use kefu_rpc::Etag;
use uuid::Uuid;

use super::{number, optional_time, ticket, time};
use crate::domain::{
    CalledBack, Dispute, DisputeOutcome, Done, OrderChange, OrderEvent, OrderState, OrderStateName,
    Progress, Reassignment, Signature, SignedOff, WorkOrder,
};

/// `workOrders/{uuid}`.
pub fn name(id: Uuid) -> String {
    format!("workOrders/{id}")
}

/// The resource.
pub fn resource(order: &WorkOrder) -> pb::WorkOrder {
    let brief = order.brief.clone();
    let (archived, voiding) = match &order.state {
        OrderState::Archived { archived, .. } => (Some(archived.at), None),
        OrderState::Voided { reason, voided, .. } => {
            let (reason, voider) = (reason.clone(), voided.by.to_string());
            (None, Some(pb::WorkOrderVoid { reason, voider, void_time: time(voided.at) }))
        }
        _ => (None, None),
    };
    pb::WorkOrder {
        name: name(order.id),
        number: order.number.clone(),
        year: order.year.into(),
        sequence: order.sequence,
        dispatch_centre: brief.dispatch_centre,
        ticket: brief.ticket.map(ticket::name).unwrap_or_default(),
        task: brief.task,
        requirements: brief.requirements,
        place: brief.place,
        reply_by_time: time(brief.reply_by),
        assignee: order.assignee.as_deref().unwrap_or_default().to_owned(),
        assignee_team: brief.team.unwrap_or_default(),
        state: state(order.state.name()).into(),
        issuer: order.issuer.to_string(),
        dispatcher: order.dispatcher.to_string(),
        issue_time: time(order.issued_at),
        accept_time: optional_time(order.state.accepted().map(|step| step.at)),
        progress: order.progress.iter().map(progress).collect(),
        disputes: order.disputes.iter().map(dispute).collect(),
        result: order.state.done().map(result),
        sign_off: order.state.signed_off().map(sign_off),
        call_back: order.state.called_back().map(call_back),
        archive_time: optional_time(archived),
        voiding,
        next_reply_time: optional_time(order.due),
        overdue_time: optional_time(order.overdue_since),
        missed_replies: number(order.missed),
        policy_version: super::policy::name(order.policy_version),
        update_time: time(order.updated_at),
        etag: Etag::of_revision(order.revision).to_string(),
        accept_by_time: optional_time(order.accept_due),
        refuse_time: optional_time(order.refused),
        reassignments: order.reassignments.iter().map(reassignment).collect(),
    }
}

/// A state's name.
pub fn state(state: OrderStateName) -> pb::WorkOrderState {
    match state {
        OrderStateName::Issued => pb::WorkOrderState::Issued,
        OrderStateName::Accepted => pb::WorkOrderState::Accepted,
        OrderStateName::Done => pb::WorkOrderState::Done,
        OrderStateName::SignedOff => pb::WorkOrderState::SignedOff,
        OrderStateName::CalledBack => pb::WorkOrderState::CalledBack,
        OrderStateName::Archived => pb::WorkOrderState::Archived,
        OrderStateName::Voided => pb::WorkOrderState::Voided,
    }
}

fn progress(progress: &Progress) -> pb::WorkOrderProgress {
    pb::WorkOrderProgress {
        note: progress.note.clone(),
        next_reply_time: optional_time(progress.next),
        reporter: progress.reported.by.to_string(),
        report_time: time(progress.reported.at),
    }
}

fn reassignment(earlier: &Reassignment) -> pb::WorkOrderReassignment {
    pb::WorkOrderReassignment {
        previous_assignee: earlier.from.as_deref().unwrap_or_default().to_owned(),
        accept_time: optional_time(earlier.accepted_at),
        assignee: earlier.to.to_string(),
        reason: earlier.reason.clone(),
        dispatcher: earlier.reassigned.by.to_string(),
        reassign_time: time(earlier.reassigned.at),
    }
}

fn dispute(dispute: &Dispute) -> pb::WorkOrderDispute {
    let decision = dispute.decision.as_ref();
    let outcome = match decision.map(|decision| decision.outcome) {
        None => pb::WorkOrderDisputeOutcome::Unspecified,
        Some(DisputeOutcome::Stands) => pb::WorkOrderDisputeOutcome::Stands,
        Some(DisputeOutcome::Withdrawn) => pb::WorkOrderDisputeOutcome::Withdrawn,
    };
    pb::WorkOrderDispute {
        reason: dispute.reason.clone(),
        disputer: dispute.disputed.by.to_string(),
        dispute_time: time(dispute.disputed.at),
        outcome: outcome.into(),
        decision: decision.map(|decision| decision.text.clone()).unwrap_or_default(),
        decider: decision.map(|decision| decision.decided.by.to_string()).unwrap_or_default(),
        decide_time: optional_time(decision.map(|decision| decision.decided.at)),
    }
}

fn result(done: &Done) -> pb::WorkOrderResult {
    pb::WorkOrderResult {
        text: done.result.clone(),
        doer: done.done.by.to_string(),
        complete_time: time(done.done.at),
    }
}

fn sign_off(signed: &SignedOff) -> pb::WorkOrderSignOff {
    pb::WorkOrderSignOff {
        customer_name: signed.customer.clone(),
        sign_time: time(signed.signed_at),
        signature: Some(match &signed.signature {
            Signature::Image(image) => SignatureKind::Image(image.clone()),
            Signature::Code(code) => SignatureKind::Code(code.clone()),
        }),
        recorder: signed.recorded.by.to_string(),
        record_time: time(signed.recorded.at),
    }
}

fn call_back(called_back: &CalledBack) -> pb::WorkOrderCallBack {
    pb::WorkOrderCallBack {
        comment: called_back.comment.clone(),
        caller: called_back.called.by.to_string(),
        call_time: time(called_back.called.at),
    }
}

/// That it was issued.
pub(crate) fn issued(order: &WorkOrder) -> PublicEvent {
    PublicEvent::of(&pb::WorkOrderIssued { work_order: Some(summary(order)) })
}

/// What others learn of a change that made `order` what it is; only who has it and its end concern them.
pub(crate) fn event(order: &WorkOrder, change: &OrderChange) -> Option<PublicEvent> {
    if let OrderEvent::Reassigned { reason, .. } = &change.what {
        let previous = order.reassignments.last().and_then(|earlier| earlier.from.as_deref());
        return Some(PublicEvent::of(&pb::WorkOrderReassigned {
            work_order: Some(summary(order)),
            previous_assignee: previous.unwrap_or_default().to_owned(),
            reason: reason.clone(),
        }));
    }
    let void_reason = match &change.what {
        OrderEvent::Archived => String::new(),
        OrderEvent::Voided { reason } => reason.clone(),
        _ => return None,
    };
    let work_order = Some(summary(order));
    Some(PublicEvent::of(&pb::WorkOrderClosed { work_order, void_reason }))
}

fn summary(order: &WorkOrder) -> pb::WorkOrderSummary {
    let brief = order.brief.clone();
    pb::WorkOrderSummary {
        work_order: name(order.id),
        number: order.number.clone(),
        dispatch_centre: brief.dispatch_centre,
        ticket: brief.ticket.map(ticket::name).unwrap_or_default(),
        customer: order.customer.map(|id| format!("customers/{id}")).unwrap_or_default(),
        state: state(order.state.name()).into(),
        assignee: order.assignee.as_deref().unwrap_or_default().to_owned(),
        assignee_team: brief.team.unwrap_or_default(),
        reply_by_time: time(brief.reply_by),
    }
}
