//! Violations as others see them (T-19).

use kefu_api::ticket::v1 as pb;
use kefu_journal::PublicEvent;
use kefu_policy::decode::to_localized_text;
use kefu_rpc::Etag;
use uuid::Uuid;

use super::{optional_time, time};
use crate::domain::{AppealOutcome, Text, Violation, ViolationState, ViolationStateName};
use crate::store::violation::{StatementLine, StatementQuery, StatementTotal};

/// `violations/{uuid}`.
pub fn name(id: Uuid) -> String {
    format!("violations/{id}")
}

/// The resource.
pub fn resource(violation: &Violation) -> pb::Violation {
    let proposed = &violation.proposed;
    let source = match violation.reporter {
        None => pb::ViolationSource::System,
        Some(_) => pb::ViolationSource::Report,
    };
    let until = violation.state.confirmation().and_then(|confirmed| confirmed.appeal_until);
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
        state: state(violation.state.name()).into(),
        create_time: time(violation.created_at),
        work_order: violation.work_order.map(super::work_order::name).unwrap_or_default(),
        max_amount_cents: proposed.max_amount_cents,
        source: source.into(),
        reporter: violation.reporter.as_deref().unwrap_or_default().to_owned(),
        occur_time: time(proposed.at),
        decision: decision(&violation.state),
        appeal: appeal(&violation.state),
        appeal_until_time: optional_time(until),
        update_time: time(violation.updated_at),
        etag: Etag::of_revision(violation.revision).to_string(),
        shift: violation.shift.map(super::shift::name).unwrap_or_default(),
    }
}

/// A state's name.
pub fn state(state: ViolationStateName) -> pb::ViolationState {
    match state {
        ViolationStateName::Proposed => pb::ViolationState::Proposed,
        ViolationStateName::Confirmed => pb::ViolationState::Confirmed,
        ViolationStateName::Dismissed => pb::ViolationState::Dismissed,
        ViolationStateName::Appealed => pb::ViolationState::Appealed,
        ViolationStateName::Upheld => pb::ViolationState::Upheld,
        ViolationStateName::Overturned => pb::ViolationState::Overturned,
    }
}

fn decision(state: &ViolationState) -> Option<pb::ViolationDecision> {
    let (decided, reason, amount_cents) = match state {
        ViolationState::Dismissed { decided, reason } => (decided, reason, 0),
        other => {
            let confirmed = other.confirmation()?;
            (&confirmed.decided, &confirmed.reason, confirmed.amount_cents)
        }
    };
    Some(pb::ViolationDecision {
        decider: decided.by.to_string(),
        decide_time: time(decided.at),
        reason: reason.clone(),
        amount_cents,
    })
}

fn appeal(state: &ViolationState) -> Option<pb::ViolationAppeal> {
    let appeal = state.appeal()?;
    let mut told = pb::ViolationAppeal {
        reason: appeal.reason.clone(),
        appeal_time: time(appeal.at),
        ..pb::ViolationAppeal::default()
    };
    if let ViolationState::Settled { outcome, decision, decided, .. } = state {
        told.set_outcome(match outcome {
            AppealOutcome::Upheld => pb::ViolationAppealOutcome::Upheld,
            AppealOutcome::Overturned => pb::ViolationAppealOutcome::Overturned,
        });
        told.decision = decision.clone();
        told.decider = decided.by.to_string();
        told.decide_time = time(decided.at);
    }
    Some(told)
}

/// That it changed.
pub(crate) fn changed(violation: &pb::Violation) -> PublicEvent {
    PublicEvent::of(&pb::ViolationChanged { violation: Some(violation.clone()) })
}

/// A monthly statement.
pub(crate) fn statement(
    query: &StatementQuery,
    (year, month): (i32, i32),
    lines: Vec<StatementLine>,
    totals: Vec<StatementTotal>,
) -> pb::ViolationStatement {
    let count = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
    let line_count = totals.iter().map(|total| total.confirmed + total.overturned).sum();
    pb::ViolationStatement {
        staff: query.staff.clone(),
        org_unit: query.org_unit.clone(),
        year,
        month,
        start_time: time(query.start),
        end_time: time(query.end),
        lines: lines.into_iter().map(line).collect(),
        line_count: count(line_count),
        totals: totals
            .into_iter()
            .map(|total| pb::ViolationStatementTotal {
                currency: total.currency,
                amount_cents: total.cents,
                confirmed_count: count(total.confirmed),
                overturned_count: count(total.overturned),
            })
            .collect(),
    }
}

fn line(line: StatementLine) -> pb::ViolationStatementLine {
    let known = line.state.parse().map(state).unwrap_or_default();
    pb::ViolationStatementLine {
        violation: name(line.id),
        code: line.code,
        description: Some(to_localized_text(&Text::new(line.description_en, line.description_zh))),
        occur_time: time(line.proposed_at.to_jiff()),
        time: time(line.at.to_jiff()),
        amount_cents: line.cents,
        currency: line.currency.unwrap_or_default(),
        state: known.into(),
        credit: line.credit,
    }
}
