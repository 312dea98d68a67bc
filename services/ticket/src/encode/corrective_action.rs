//! Root causes, corrective actions and product holds as others see them (T-18).

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_journal::PublicEvent;
use kefu_rpc::Etag;
use uuid::Uuid;

use super::{optional_time, ticket, time};
use crate::domain::{
    ActionKind, ActionState, ActionVerdict, CorrectiveAction, ProductHold, Reassignment, Round,
};
use crate::store::root_cause::RootCause;

/// `correctiveActions/{uuid}`.
pub fn name(id: Uuid) -> String {
    format!("correctiveActions/{id}")
}

/// `productHolds/{uuid}`.
pub fn hold_name(id: Uuid) -> String {
    format!("productHolds/{id}")
}

/// The resource as of `now`.
pub fn resource(action: &CorrectiveAction, now: Timestamp) -> pb::CorrectiveAction {
    let kind = match action.kind {
        ActionKind::Corrective => pb::CorrectiveActionKind::Corrective,
        ActionKind::Preventive => pb::CorrectiveActionKind::Preventive,
    };
    let rounds = action.earlier.iter().chain([&action.round]).zip(1..);
    pb::CorrectiveAction {
        name: name(action.id),
        ticket: ticket::name(action.ticket),
        org_unit: action.org_unit.clone(),
        kind: kind.into(),
        description: action.description.clone(),
        owner: action.owner.to_string(),
        due_time: time(action.round.due),
        state: state(action.state()).into(),
        rounds: rounds.map(|(done, number)| round(done, number)).collect(),
        planner: action.planned_by.to_string(),
        create_time: time(action.created_at),
        update_time: time(action.updated_at),
        cancel_reason: action.cancelled.as_ref().map(|(_, why)| why.clone()).unwrap_or_default(),
        overdue_time: optional_time(action.overdue_since(now)),
        etag: Etag::of_revision(action.revision).to_string(),
        reassignments: action.reassignments.iter().map(reassignment).collect(),
    }
}

fn reassignment(earlier: &Reassignment) -> pb::CorrectiveActionReassignment {
    pb::CorrectiveActionReassignment {
        previous_owner: earlier.from.as_deref().unwrap_or_default().to_owned(),
        start_time: optional_time(earlier.accepted_at),
        owner: earlier.to.to_string(),
        reason: earlier.reason.clone(),
        reassigner: earlier.reassigned.by.to_string(),
        reassign_time: time(earlier.reassigned.at),
    }
}

fn state(state: ActionState) -> pb::CorrectiveActionState {
    match state {
        ActionState::Planned => pb::CorrectiveActionState::Planned,
        ActionState::Started => pb::CorrectiveActionState::Started,
        ActionState::Completed => pb::CorrectiveActionState::Completed,
        ActionState::Closed => pb::CorrectiveActionState::Closed,
        ActionState::Cancelled => pb::CorrectiveActionState::Cancelled,
    }
}

fn round(round: &Round, number: i32) -> pb::CorrectiveActionRound {
    let mut told = pb::CorrectiveActionRound {
        round: number,
        due_time: time(round.due),
        start_time: optional_time(round.started),
        overdue_notice_time: optional_time(round.noticed),
        ..pb::CorrectiveActionRound::default()
    };
    if let Some((evidence, done)) = &round.done {
        told.evidence = evidence.clone();
        told.completer = done.by.to_string();
        told.complete_time = time(done.at);
    }
    if let Some(verified) = &round.verified {
        told.set_verdict(match verified.verdict {
            ActionVerdict::Effective => pb::CorrectiveActionVerdict::Effective,
            ActionVerdict::NotEffective => pb::CorrectiveActionVerdict::NotEffective,
        });
        told.verification = verified.text.clone();
        told.verifier = verified.verified.by.to_string();
        told.verify_time = time(verified.verified.at);
    }
    told
}

/// That an action changed; `overdue` where that is all.
pub(crate) fn changed(action: &pb::CorrectiveAction, overdue: bool) -> PublicEvent {
    let corrective_action = Some(action.clone());
    if overdue {
        PublicEvent::of(&pb::CorrectiveActionOverdue { corrective_action })
    } else {
        PublicEvent::of(&pb::CorrectiveActionChanged { corrective_action })
    }
}

/// A root cause.
pub(crate) fn root_cause(cause: &RootCause) -> pb::RootCause {
    pb::RootCause {
        ticket: ticket::name(cause.ticket_id),
        position: cause.position.into(),
        cause: cause.cause.clone(),
        method: cause.method.clone(),
        finding: cause.finding.clone(),
        recorder: cause.recorded_by.clone(),
        record_time: time(cause.recorded_at),
    }
}

/// A hold.
pub fn hold(hold: &ProductHold) -> pb::ProductHold {
    let lifted = hold.lifted.as_ref();
    pb::ProductHold {
        name: hold_name(hold.id),
        org_unit: hold.org_unit.clone(),
        product: hold.product.clone(),
        ticket: hold.ticket.map(ticket::name).unwrap_or_default(),
        reason: hold.reason.clone(),
        placer: hold.placed.by.to_string(),
        place_time: time(hold.placed.at),
        lift_reason: lifted.map(|(reason, _)| reason.clone()).unwrap_or_default(),
        lifter: lifted.map(|(_, lifted)| lifted.by.to_string()).unwrap_or_default(),
        lift_time: optional_time(lifted.map(|(_, lifted)| lifted.at)),
        etag: Etag::of_revision(hold.revision).to_string(),
    }
}

/// That a hold was placed or lifted.
pub(crate) fn hold_changed(hold: &pb::ProductHold) -> PublicEvent {
    let product_hold = Some(hold.clone());
    if hold.lift_time.is_some() {
        PublicEvent::of(&pb::ProductHoldLifted { product_hold })
    } else {
        PublicEvent::of(&pb::ProductHoldPlaced { product_hold })
    }
}

/// That a root cause was put on record.
pub(crate) fn root_cause_recorded(cause: &pb::RootCause) -> PublicEvent {
    PublicEvent::of(&pb::RootCauseRecorded { root_cause: Some(cause.clone()) })
}
