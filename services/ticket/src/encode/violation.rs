//! Violations as others see them.

use kefu_api::ticket::v1 as pb;
use kefu_policy::decode::to_localized_text;
use uuid::Uuid;

use super::time;
use crate::store::violation::RecordedViolation;

/// `violations/{uuid}`.
pub fn name(id: Uuid) -> String {
    format!("violations/{id}")
}

/// The resource.
pub(crate) fn resource(violation: &RecordedViolation) -> pb::Violation {
    let proposed = &violation.proposed;
    pb::Violation {
        name: name(violation.id),
        ticket: violation.ticket.map(super::ticket::name).unwrap_or_default(),
        org_unit: violation.org_unit.clone(),
        code: proposed.code.clone(),
        description: Some(to_localized_text(&proposed.description)),
        staff: proposed.staff.to_string(),
        evidence: proposed.evidence.clone(),
        amount_cents: proposed.amount_cents,
        currency: proposed.currency.clone().unwrap_or_default(),
        state: pb::ViolationState::Proposed.into(),
        create_time: time(violation.created_at),
        work_order: violation.work_order.map(super::work_order::name).unwrap_or_default(),
    }
}
