//! A work order as its columns, and back.

use jiff_sqlx::Timestamp;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::{known, read};
use crate::domain::{
    Brief, CalledBack, Decision, Dispute, Done, OrderState, OrderStateName, Progress, Reassignment,
    Signature, SignedOff, StepTaken, Unsigned, WorkOrder,
};

/// Note, next reply; reported by, at.
pub(super) type ProgressRecord = (String, Option<Timestamp>, String, Timestamp);
/// Reason; disputed by, at; outcome, decision, decided by, at.
pub(super) type DisputeRecord =
    (String, String, Timestamp, Option<String>, Option<String>, Option<String>, Option<Timestamp>);

/// From, accepted at; to; reason; reassigned by, at.
pub(super) type ReassignmentRecord =
    (Option<String>, Option<Timestamp>, String, String, String, Timestamp);

/// An order as it is stored.
#[derive(Debug)]
pub(super) struct OrderRow {
    pub(super) id: Uuid,
    pub(super) number: String,
    pub(super) dispatch_centre: String,
    pub(super) year: i16,
    pub(super) sequence: i64,
    pub(super) revision: i64,
    pub(super) policy_version_id: Uuid,
    pub(super) ticket_id: Option<Uuid>,
    pub(super) customer_id: Option<Uuid>,
    pub(super) task: String,
    pub(super) requirements: String,
    pub(super) place: String,
    pub(super) reply_by: Timestamp,
    pub(super) assignee: Option<String>,
    pub(super) assignee_team: Option<String>,
    pub(super) issuer: String,
    pub(super) dispatcher: String,
    pub(super) issued_at: Timestamp,
    pub(super) state: String,
    pub(super) accepted_at: Option<Timestamp>,
    pub(super) accepted_by: Option<String>,
    pub(super) result: Option<String>,
    pub(super) done_at: Option<Timestamp>,
    pub(super) done_by: Option<String>,
    pub(super) signed_name: Option<String>,
    pub(super) signed_at: Option<Timestamp>,
    pub(super) signature_image: Option<String>,
    pub(super) signature_code: Option<String>,
    pub(super) sign_off_at: Option<Timestamp>,
    pub(super) sign_off_by: Option<String>,
    pub(super) call_back_comment: Option<String>,
    pub(super) called_back_at: Option<Timestamp>,
    pub(super) called_back_by: Option<String>,
    pub(super) archived_at: Option<Timestamp>,
    pub(super) archived_by: Option<String>,
    pub(super) void_reason: Option<String>,
    pub(super) voided_at: Option<Timestamp>,
    pub(super) voided_by: Option<String>,
    pub(super) overdue_since: Option<Timestamp>,
    pub(super) missed_replies: i32,
    pub(super) next_fire_at: Option<Timestamp>,
    pub(super) updated_at: Timestamp,
    pub(super) accept_due_at: Option<Timestamp>,
    pub(super) refused_at: Option<Timestamp>,
    pub(super) progress: Vec<ProgressRecord>,
    pub(super) disputes: Vec<DisputeRecord>,
    pub(super) reassignments: Vec<ReassignmentRecord>,
}

impl OrderRow {
    /// The order.
    pub(super) fn into_order(self) -> Result<WorkOrder, StoreError> {
        let state = self.state()?;
        Ok(WorkOrder {
            id: self.id,
            number: self.number,
            year: self.year,
            sequence: self.sequence,
            policy_version: self.policy_version_id,
            brief: Brief {
                dispatch_centre: self.dispatch_centre,
                ticket: self.ticket_id,
                task: self.task,
                requirements: self.requirements,
                place: self.place,
                reply_by: self.reply_by.to_jiff(),
                team: self.assignee_team,
            },
            customer: self.customer_id,
            issuer: self.issuer.into(),
            dispatcher: self.dispatcher.into(),
            assignee: self.assignee.map(Into::into),
            issued_at: self.issued_at.to_jiff(),
            state,
            reassignments: self.reassignments.into_iter().map(reassignment).collect(),
            progress: self.progress.into_iter().map(progress).collect(),
            disputes: self.disputes.into_iter().map(dispute).collect::<Result<_, _>>()?,
            due: self.next_fire_at.map(Timestamp::to_jiff),
            overdue_since: self.overdue_since.map(Timestamp::to_jiff),
            missed: read("work_order.missed_replies", u32::try_from(self.missed_replies))?,
            accept_due: self.accept_due_at.map(Timestamp::to_jiff),
            refused: self.refused_at.map(Timestamp::to_jiff),
            revision: self.revision,
            updated_at: self.updated_at.to_jiff(),
        })
    }

    fn state(&self) -> Result<OrderState, StoreError> {
        let name: OrderStateName = read("work_order.state", self.state.parse())?;
        Ok(match name {
            OrderStateName::Issued | OrderStateName::Accepted | OrderStateName::Done => {
                OrderState::Unsigned(self.unsigned()?)
            }
            OrderStateName::SignedOff => OrderState::SignedOff(self.signed_off()?),
            OrderStateName::CalledBack => OrderState::CalledBack(self.called_back()?),
            OrderStateName::Archived => OrderState::Archived {
                called_back: self.called_back()?,
                archived: step("work_order.archived_at", self.archived_at, &self.archived_by)?,
            },
            OrderStateName::Voided => OrderState::Voided {
                was: self.unsigned()?,
                reason: known("work_order.void_reason", self.void_reason.clone())?,
                voided: step("work_order.voided_at", self.voided_at, &self.voided_by)?,
            },
        })
    }

    fn unsigned(&self) -> Result<Unsigned, StoreError> {
        if self.result.is_some() {
            return Ok(Unsigned::Done(self.done()?));
        }
        if self.accepted_at.is_none() {
            return Ok(Unsigned::Issued);
        }
        Ok(Unsigned::Accepted(self.accepted()?))
    }

    fn accepted(&self) -> Result<StepTaken, StoreError> {
        step("work_order.accepted_at", self.accepted_at, &self.accepted_by)
    }

    fn done(&self) -> Result<Done, StoreError> {
        Ok(Done {
            accepted: self.accepted()?,
            result: known("work_order.result", self.result.clone())?,
            done: step("work_order.done_at", self.done_at, &self.done_by)?,
        })
    }

    fn signed_off(&self) -> Result<SignedOff, StoreError> {
        let image = self.signature_image.clone().map(Signature::Image);
        let code = self.signature_code.clone().map(Signature::Code);
        Ok(SignedOff {
            done: self.done()?,
            customer: known("work_order.signed_name", self.signed_name.clone())?,
            signed_at: known("work_order.signed_at", self.signed_at)?.to_jiff(),
            signature: known("work_order.signature_image", image.or(code))?,
            recorded: step("work_order.sign_off_at", self.sign_off_at, &self.sign_off_by)?,
        })
    }

    fn called_back(&self) -> Result<CalledBack, StoreError> {
        Ok(CalledBack {
            signed_off: self.signed_off()?,
            comment: known("work_order.call_back_comment", self.call_back_comment.clone())?,
            called: step("work_order.called_back_at", self.called_back_at, &self.called_back_by)?,
        })
    }
}

fn step(column: &str, at: Option<Timestamp>, by: &Option<String>) -> Result<StepTaken, StoreError> {
    let by = known(column, by.as_deref())?;
    Ok(StepTaken { by: by.into(), at: known(column, at)?.to_jiff() })
}

fn progress((note, next, by, at): ProgressRecord) -> Progress {
    let reported = StepTaken { by: by.into(), at: at.to_jiff() };
    Progress { note, next: next.map(Timestamp::to_jiff), reported }
}

fn reassignment((from, accepted, to, reason, by, at): ReassignmentRecord) -> Reassignment {
    Reassignment {
        from: from.map(Into::into),
        accepted_at: accepted.map(Timestamp::to_jiff),
        to: to.into(),
        reason,
        reassigned: StepTaken { by: by.into(), at: at.to_jiff() },
    }
}

fn dispute(record: DisputeRecord) -> Result<Dispute, StoreError> {
    let (reason, by, at, outcome, text, decided_by, decided_at) = record;
    let decision = match outcome {
        None => None,
        Some(outcome) => Some(Decision {
            outcome: read("work_order_dispute.outcome", outcome.parse())?,
            text: known("work_order_dispute.decision", text)?,
            decided: step("work_order_dispute.decided_at", decided_at, &decided_by)?,
        }),
    };
    Ok(Dispute { reason, disputed: StepTaken { by: by.into(), at: at.to_jiff() }, decision })
}

/// What a state carries, by column.
#[derive(Default)]
pub(super) struct StateColumns<'a> {
    pub(super) accepted: Option<&'a StepTaken>,
    pub(super) result: Option<&'a str>,
    pub(super) done: Option<&'a StepTaken>,
    pub(super) signed_name: Option<&'a str>,
    pub(super) signed_at: Option<jiff::Timestamp>,
    pub(super) image: Option<&'a str>,
    pub(super) code: Option<&'a str>,
    pub(super) sign_off: Option<&'a StepTaken>,
    pub(super) comment: Option<&'a str>,
    pub(super) called_back: Option<&'a StepTaken>,
    pub(super) archived: Option<&'a StepTaken>,
    pub(super) void_reason: Option<&'a str>,
    pub(super) voided: Option<&'a StepTaken>,
}

/// The columns of an order's state.
pub(super) fn columns(order: &WorkOrder) -> StateColumns<'_> {
    let state = &order.state;
    let mut columns = StateColumns { accepted: state.accepted(), ..StateColumns::default() };
    if let Some(done) = state.done() {
        columns.result = Some(&done.result);
        columns.done = Some(&done.done);
    }
    if let Some(signed) = state.signed_off() {
        columns.signed_name = Some(&signed.customer);
        columns.signed_at = Some(signed.signed_at);
        match &signed.signature {
            Signature::Image(image) => columns.image = Some(image),
            Signature::Code(code) => columns.code = Some(code),
        }
        columns.sign_off = Some(&signed.recorded);
    }
    if let Some(called_back) = state.called_back() {
        columns.comment = Some(&called_back.comment);
        columns.called_back = Some(&called_back.called);
    }
    match state {
        OrderState::Archived { archived, .. } => columns.archived = Some(archived),
        OrderState::Voided { reason, voided, .. } => {
            columns.void_reason = Some(reason);
            columns.voided = Some(voided);
        }
        _ => {}
    }
    columns
}
