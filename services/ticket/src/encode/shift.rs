//! Shifts as others see them (T-17).

use kefu_api::ticket::v1 as pb;
use kefu_journal::PublicEvent;
use kefu_rpc::Etag;
use uuid::Uuid;

use super::{number, optional_time, time, work_order};
use crate::domain::{Shift, ShiftState, Violation};
use crate::store::shift::Line;

/// `shifts/{uuid}`.
pub fn name(id: Uuid) -> String {
    format!("shifts/{id}")
}

/// The resource.
pub fn resource(shift: &Shift) -> pb::Shift {
    let state = match shift.state() {
        ShiftState::Planned => pb::ShiftState::Planned,
        ShiftState::Listed => pb::ShiftState::Listed,
        ShiftState::SignedOut => pb::ShiftState::SignedOut,
        ShiftState::HandedOver => pb::ShiftState::HandedOver,
    };
    let listed = shift.listed.as_ref();
    pb::Shift {
        name: name(shift.id),
        dispatch_centre: shift.centre.clone(),
        start_time: time(shift.starts),
        end_time: time(shift.ends),
        members: shift.members.iter().map(ToString::to_string).collect(),
        leader: shift.leader.to_string(),
        state: state.into(),
        list_due_time: optional_time(shift.list_due),
        list_submit_time: optional_time(listed.map(|step| step.at)),
        list_submitter: listed.map(|step| step.by.to_string()).unwrap_or_default(),
        list_missed_time: optional_time(shift.missed),
        handover: handover(shift),
        create_time: time(shift.created_at),
        update_time: time(shift.updated_at),
        etag: Etag::of_revision(shift.revision).to_string(),
        team: shift.pattern.as_ref().map(|(team, _)| super::team::name(*team)).unwrap_or_default(),
        pattern: shift.pattern.as_ref().map(|(_, code)| code.clone()).unwrap_or_default(),
        crewed_by: shift.crewed_by.as_deref().unwrap_or_default().to_owned(),
    }
}

fn handover(shift: &Shift) -> Option<pb::ShiftHandover> {
    let (outgoing, unfinished) = shift.signed_out.as_ref()?;
    let incoming = shift.signed_in.as_ref();
    Some(pb::ShiftHandover {
        outgoing_signer: outgoing.by.to_string(),
        outgoing_sign_time: time(outgoing.at),
        incoming_shift: incoming.map(|(shift, _)| name(*shift)).unwrap_or_default(),
        incoming_signer: incoming.map(|(_, step)| step.by.to_string()).unwrap_or_default(),
        incoming_sign_time: optional_time(incoming.map(|(_, step)| step.at)),
        unfinished_count: number(*unfinished),
    })
}

/// A work order on a list.
pub(crate) fn line(line: &Line) -> pb::UnfinishedWorkOrder {
    let (reason, author, at) = match &line.reason {
        None => (String::new(), String::new(), None),
        Some((reason, author, at)) => (reason.clone(), author.clone(), Some(*at)),
    };
    pb::UnfinishedWorkOrder {
        work_order: work_order::name(line.work_order_id),
        number: line.number.clone(),
        task: line.task.clone(),
        state: work_order::state(line.state).into(),
        assignee: line.assignee.clone().unwrap_or_default(),
        issue_time: time(line.issued_at),
        reply_by_time: time(line.reply_by),
        reason,
        reason_author: author,
        reason_time: optional_time(at),
    }
}

/// That a list did not come in time.
pub(crate) fn list_missed(shift: &pb::Shift, violation: Option<&Violation>) -> PublicEvent {
    PublicEvent::of(&pb::ShiftListMissed {
        shift: Some(shift.clone()),
        violation: violation.map(super::violation::resource),
    })
}

/// That both shifts have signed.
pub(crate) fn handed_over(shift: &pb::Shift) -> PublicEvent {
    PublicEvent::of(&pb::ShiftHandedOver { shift: Some(shift.clone()) })
}
