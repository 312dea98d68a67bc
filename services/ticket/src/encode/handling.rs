//! The handling of tickets as others see it (T-09 to T-13, T-15).

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::handling_record::Content as Kind;
use kefu_journal::PublicEvent;
use kefu_postgres::StoreError;
use uuid::Uuid;

use super::{number, optional_time, ticket as encode, time, violation};
use crate::domain::{
    Change, Channel, ExecutiveOutcome, HandlingChange, Plan, RequiredField, RequiredMoment,
    Supervision, Ticket, Transfer, UnknownCode, Violation,
};
use crate::store::handling_record::{Content, RecordRow};
use crate::store::plan::ItemRow;

/// A transfer that waits for its receiver.
pub fn pending(ticket: Uuid, transfer: &Transfer) -> pb::Transfer {
    pb::Transfer {
        ticket: encode::name(ticket),
        number: number(transfer.number),
        from_org_unit: transfer.from.clone(),
        to_org_unit: transfer.to.clone(),
        to_team: transfer.team.clone().unwrap_or_default(),
        handover_note: transfer.note.clone(),
        sent_by: transfer.by.to_string(),
        send_time: time(transfer.at),
        state: pb::TransferState::Pending.into(),
        ended_by: String::new(),
        end_time: None,
        end_note: String::new(),
    }
}

/// A supervision that goes on.
pub fn supervision(ticket: Uuid, org_unit: &str, supervision: &Supervision) -> pb::Supervision {
    pb::Supervision {
        ticket: encode::name(ticket),
        number: number(supervision.number),
        instruction: supervision.instruction.clone(),
        supervised_by: supervision.by.to_string(),
        supervise_time: time(supervision.at),
        answer_due_time: time(supervision.answer_by),
        answer_time: optional_time(supervision.answered_at),
        missed_time: optional_time(supervision.missed_at),
        urgings: number(supervision.urgings),
        end_time: None,
        org_unit: org_unit.to_owned(),
    }
}

/// The plan of a ticket; one that was never made has no items and version 0.
pub(crate) fn plan(ticket: &Ticket, items: &[ItemRow], now: Timestamp) -> pb::HandlingPlan {
    let plan = ticket.handling.plan.as_ref();
    let agreement = plan.and_then(|plan| plan.agreement.as_ref());
    pb::HandlingPlan {
        ticket: encode::name(ticket.id),
        version: plan.map_or(0, |plan| number(plan.version)),
        cycle: plan.map_or(0, |plan| number(plan.cycle)),
        items: items.iter().map(|row| item(row, now)).collect(),
        agreement: agreement.map(|agreement| pb::PlanAgreement {
            how: agreement.how.clone(),
            agree_time: time(agreement.at),
        }),
    }
}

/// An item of a plan.
pub(crate) fn item(row: &ItemRow, now: Timestamp) -> pb::PlanItem {
    let due = row.due_at.to_jiff();
    pb::PlanItem {
        number: row.position.into(),
        who: row.who.clone(),
        what: row.what.clone(),
        due_time: time(due),
        done_time: optional_time(row.done_at.map(jiff_sqlx::Timestamp::to_jiff)),
        done_by: row.done_by.clone().unwrap_or_default(),
        overdue: row.done_at.is_none() && due < now,
        ticket: encode::name(row.ticket_id),
    }
}

/// What was put on record.
///
/// # Errors
/// If the row holds what no version of this program wrote.
pub(crate) fn record(ticket: Uuid, row: &RecordRow) -> Result<pb::HandlingRecord, StoreError> {
    Ok(pb::HandlingRecord {
        id: row.id.to_string(),
        ticket: encode::name(ticket),
        cycle: row.cycle,
        recorded_by: row.recorded_by.clone(),
        record_time: time(row.recorded_at.to_jiff()),
        content: Some(content(row.content()?)?),
    })
}

fn content(content: Content) -> Result<Kind, StoreError> {
    let known = |error: UnknownCode| StoreError::corrupt("handling_record.content", error);
    Ok(match content {
        Content::ContactAttempt { channel, at, reached, note, counts } => {
            let channel = channel.parse::<Channel>().map_err(known)?;
            Kind::ContactAttempt(pb::ContactAttempt {
                channel: encode::channel(channel).into(),
                attempt_time: time(at),
                reached,
                note,
                counts,
            })
        }
        Content::Meeting { at, participants, decisions } => {
            Kind::Meeting(pb::Meeting { meet_time: time(at), participants, decisions })
        }
        Content::Finding { finding } => Kind::Finding(pb::Finding { finding }),
        Content::HandlingForm { form, opinion, decision } => {
            Kind::HandlingForm(pb::HandlingForm { form: number(form), opinion, decision })
        }
        Content::ExecutiveDecision { decision, outcome } => {
            let outcome = match outcome.parse::<ExecutiveOutcome>().map_err(known)? {
                ExecutiveOutcome::Handle => pb::ExecutiveOutcome::Handle,
                ExecutiveOutcome::Solution => pb::ExecutiveOutcome::Solution,
            };
            Kind::ExecutiveDecision(pb::ExecutiveDecision { decision, outcome: outcome.into() })
        }
        Content::SupervisionNote { supervision, note, text, urging, answer_by } => {
            let kind = match &*note {
                "instruction" => pb::SupervisionNoteKind::Instruction,
                "urging" => pb::SupervisionNoteKind::Urging,
                "answer" => pb::SupervisionNoteKind::Answer,
                _ => pb::SupervisionNoteKind::Conclusion,
            };
            Kind::SupervisionNote(pb::SupervisionNote {
                supervision: number(supervision),
                kind: kind.into(),
                text,
                urging: number(urging),
                answer_due_time: optional_time(answer_by),
            })
        }
    })
}

/// What others learn of a change of the handling; `None` where it is none of their business.
pub(super) fn event(
    ticket: &Ticket,
    change: &Change,
    what: &HandlingChange,
    proposed: Option<&Violation>,
) -> Option<PublicEvent> {
    let summary = Some(encode::summary(ticket));
    let watched = || {
        let watched = ticket.handling.supervision.as_ref();
        watched.map(|watched| supervision(ticket.id, &ticket.org_unit, watched))
    };
    let ended = |transfer: &Transfer, state: pb::TransferState, note: &str| {
        Some(pb::Transfer {
            state: state.into(),
            ended_by: change.actor.subject().to_string(),
            end_time: time(change.effective_at),
            end_note: note.to_owned(),
            ..pending(ticket.id, transfer)
        })
    };
    let plan = || {
        let plan = ticket.handling.plan.as_ref();
        PublicEvent::of(&pb::TicketHandlingPlanChanged {
            ticket: Some(encode::summary(ticket)),
            version: plan.map_or(0, |plan| number(plan.version)),
            open_items: i32::try_from(plan.map_or(0, Plan::open)).unwrap_or(i32::MAX),
            agreed: plan.is_some_and(|plan| plan.agreement.is_some()),
        })
    };
    Some(match what {
        HandlingChange::Attempted(attempt) => PublicEvent::of(&pb::TicketContactAttempted {
            ticket: summary,
            reached: attempt.reached,
            attempt_time: time(attempt.at),
        }),
        HandlingChange::ClosedUnreached { reason, reopen_until } => {
            PublicEvent::of(&pb::TicketClosed {
                ticket: summary,
                verdict: None,
                reason: reason.clone(),
                reopen_until_time: optional_time(*reopen_until),
            })
        }
        HandlingChange::Sent(transfer) => PublicEvent::of(&pb::TicketTransferRequested {
            ticket: summary,
            transfer: Some(pending(ticket.id, transfer)),
        }),
        HandlingChange::Accepted { transfer, message, .. } => {
            let transfer = ended(transfer, pb::TransferState::Accepted, message);
            PublicEvent::of(&pb::TicketTransferAccepted { ticket: summary, transfer })
        }
        HandlingChange::Returned { transfer, reason } => {
            let transfer = ended(transfer, pb::TransferState::Returned, reason);
            PublicEvent::of(&pb::TicketTransferReturned { ticket: summary, transfer })
        }
        HandlingChange::Withdrawn { transfer, reason } => {
            let transfer = ended(transfer, pb::TransferState::Withdrawn, reason);
            PublicEvent::of(&pb::TicketTransferWithdrawn { ticket: summary, transfer })
        }
        HandlingChange::FormCompleted { form, .. } => {
            let form = number(*form);
            PublicEvent::of(&pb::TicketHandlingFormCompleted { ticket: summary, form })
        }
        HandlingChange::ExecutivesDecided { outcome, .. } => {
            let solution = *outcome == ExecutiveOutcome::Solution;
            PublicEvent::of(&pb::TicketExecutiveReviewDecided { ticket: summary, solution })
        }
        HandlingChange::Planned { .. }
        | HandlingChange::PlanAgreed(_)
        | HandlingChange::ItemDone { .. } => plan(),
        // What is said among ourselves never leaves.
        HandlingChange::Met { .. } | HandlingChange::Found { .. } => return None,
        HandlingChange::Supervised(_) => {
            PublicEvent::of(&pb::TicketSupervised { ticket: summary, supervision: watched() })
        }
        HandlingChange::Urged { .. } | HandlingChange::Pushed { .. } => {
            PublicEvent::of(&pb::TicketUrged { ticket: summary, supervision: watched() })
        }
        HandlingChange::Answered { .. } => PublicEvent::of(&pb::TicketSupervisionAnswered {
            ticket: summary,
            supervision: watched(),
        }),
        HandlingChange::AnswerMissed { .. } => {
            PublicEvent::of(&pb::TicketSupervisionAnswerMissed {
                ticket: summary,
                supervision: watched(),
                violation: proposed.map(violation::resource),
            })
        }
        HandlingChange::FieldMissing { field, moment, .. } => {
            PublicEvent::of(&pb::TicketFieldMissing {
                ticket: summary,
                field: required_field(*field).into(),
                moment: required_moment(*moment).into(),
                violation: proposed.map(violation::resource),
            })
        }
        HandlingChange::SupervisionEnded { supervision: ended, .. } => {
            let ended = pb::Supervision {
                end_time: time(change.effective_at),
                ..supervision(ticket.id, &ticket.org_unit, ended)
            };
            PublicEvent::of(&pb::TicketSupervisionEnded {
                ticket: summary,
                supervision: Some(ended),
            })
        }
        HandlingChange::Reported { criterion, supervision: begun } => {
            PublicEvent::of(&pb::TicketReportedToHeadquarters {
                ticket: summary,
                criterion: criterion.clone(),
                supervision: begun.as_ref().and_then(|_| watched()),
            })
        }
    })
}

fn required_field(field: RequiredField) -> pb::RequiredField {
    match field {
        RequiredField::Complainant => pb::RequiredField::Complainant,
        RequiredField::Customer => pb::RequiredField::Customer,
        RequiredField::Contact => pb::RequiredField::Contact,
        RequiredField::ComplainantType => pb::RequiredField::ComplainantType,
        RequiredField::Category => pb::RequiredField::Category,
        RequiredField::Product => pb::RequiredField::Product,
        RequiredField::Description => pb::RequiredField::Description,
        RequiredField::OccurTime => pb::RequiredField::OccurTime,
        RequiredField::Amount => pb::RequiredField::Amount,
    }
}

fn required_moment(moment: RequiredMoment) -> pb::RequiredFieldsMoment {
    match moment {
        RequiredMoment::Registered => pb::RequiredFieldsMoment::Registered,
        RequiredMoment::Answered => pb::RequiredFieldsMoment::Answered,
        RequiredMoment::Resolved => pb::RequiredFieldsMoment::Resolved,
        RequiredMoment::ResultFedBack => pb::RequiredFieldsMoment::ResultFedBack,
        RequiredMoment::Closed => pb::RequiredFieldsMoment::Closed,
    }
}
