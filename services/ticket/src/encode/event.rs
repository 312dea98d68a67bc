//! Public events: on the feed each change is its own message, on the live stream a `TicketEvent` (T-24).

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::ticket_event::Change as Kind;
use kefu_journal::{PublicEvent, Recorded};
use kefu_rpc::to_proto_timestamp;
use prost::{DecodeError, Message as _, Name as _};

use super::{clock, clock_ledger as ledger, handling, link, policy, ticket as encode, violation};
use crate::domain::{AssignCause, Change, Corrected, Facts, Ticket, Violation, What};

/// What others learn of a change that made `ticket` what it is; `None` where it is none of their business.
pub(crate) fn of(
    ticket: &Ticket,
    change: &Change,
    proposed: Option<&Violation>,
) -> Option<PublicEvent> {
    let summary = Some(encode::summary(ticket));
    let named = |rule: &str, cycle| {
        ticket.clock(rule, cycle).map(|entry| clock::resource(entry, ticket.policy_version))
    };
    Some(match &change.what {
        What::Registered => registered(ticket),
        // Internal notes never leave (T-14).
        What::Noted { .. } => return None,
        What::Responded { sent_at, .. } => PublicEvent::of(&pb::TicketResponded {
            ticket: summary,
            send_time: Some(to_proto_timestamp(*sent_at)),
        }),
        What::Paused { reason, .. } => {
            PublicEvent::of(&pb::TicketPaused { ticket: summary, reason: reason.clone() })
        }
        What::Resumed => PublicEvent::of(&pb::TicketResumed { ticket: summary }),
        What::Resolved(_) => PublicEvent::of(&pb::TicketResolved { ticket: summary }),
        What::ResultFedBack { .. } => PublicEvent::of(&pb::TicketResultFedBack { ticket: summary }),
        What::Closed(verdict) => PublicEvent::of(&pb::TicketClosed {
            ticket: summary,
            verdict: Some(encode::verdict(verdict)),
            reason: String::new(),
            reopen_until_time: None,
        }),
        What::Reopened { verdict, .. } => PublicEvent::of(&pb::TicketReopened {
            ticket: summary,
            verdict: Some(encode::verdict(verdict)),
            reason: String::new(),
        }),
        What::ReopenedAgain(reopening) => PublicEvent::of(&pb::TicketReopened {
            ticket: summary,
            verdict: None,
            reason: reopening.reason.clone(),
        }),
        What::AnsweredLate(late) => PublicEvent::of(&pb::TicketAnsweredLate {
            ticket: encode::name(ticket.id),
            number: ticket.number.clone(),
            org_unit: ticket.org_unit.clone(),
            cycle: i32::try_from(late.cycle).unwrap_or(i32::MAX),
            value: late.value.into(),
            comment: late.comment.clone(),
            dissatisfied: late.dissatisfied,
        }),
        What::Escalated(escalation) => PublicEvent::of(&pb::TicketEscalated {
            ticket: summary,
            escalation: Some(encode::escalation(escalation)),
        }),
        What::Cancelled { reason } => {
            PublicEvent::of(&pb::TicketCancelled { ticket: summary, reason: reason.clone() })
        }
        What::Updated { .. } => PublicEvent::of(&pb::TicketUpdated {
            ticket: summary,
            // Which ones is known where the change was made, see `app::change`.
            fields: Vec::new(),
        }),
        // What it was before is known where the change was made, see `app::change`.
        What::Corrected(right) => corrected(ticket, ticket, right),
        What::Assigned(assignment) => PublicEvent::of(&pb::TicketAssigned {
            ticket: summary,
            cause: super::routing::cause(assignment.cause).into(),
            // Whose it was is known where the change was made, see `app::change`.
            previous_owner: String::new(),
        }),
        What::StoodInFor { .. } => PublicEvent::of(&pb::TicketAssigned {
            ticket: summary,
            cause: pb::RoutingCause::Absence.into(),
            previous_owner: String::new(),
        }),
        What::ClockWarned { rule, cycle } => {
            PublicEvent::of(&pb::TicketClockWarned { ticket: summary, clock: named(rule, *cycle) })
        }
        What::ClockEscalated { rule, cycle, step, notify, escalation } => {
            PublicEvent::of(&pb::TicketClockEscalated {
                ticket: summary,
                clock: named(rule, *cycle),
                step: step.to_string(),
                notify_level: notify.map_or(0, |level| level.number().into()),
                escalation: escalation.as_ref().map(encode::escalation),
            })
        }
        What::DelayAnnounced { rule, cycle, .. } => PublicEvent::of(&pb::TicketDelayAnnounced {
            ticket: summary,
            clock: named(rule, *cycle),
        }),
        What::Assessed { from, reason, .. } => PublicEvent::of(&pb::TicketAssessed {
            ticket: summary,
            from_severity: from.number().into(),
            reason: reason.clone(),
        }),
        What::Recomputed { cause, from, to, reason, .. } => {
            let live = ticket.current_clocks().filter(|entry| entry.is_live());
            PublicEvent::of(&pb::TicketClocksRecomputed {
                ticket: summary,
                cause: ledger::cause(*cause).into(),
                from_policy_version: policy::name(*from),
                policy_version: policy::name(*to),
                clocks: live.map(|entry| clock::resource(entry, ticket.policy_version)).collect(),
                reason: reason.clone(),
            })
        }
        What::PriorityRaised { from, .. } => PublicEvent::of(&pb::TicketPriorityRaised {
            ticket: summary,
            from_priority: encode::priority(*from).into(),
        }),
        What::ReminderDue { reason, told } => PublicEvent::of(&pb::TicketReminderDue {
            ticket: summary,
            pause_reason: reason.to_string(),
            sent: told.is_ok(),
            unsent_reason: told.as_ref().err().map(|why| why.code().to_owned()).unwrap_or_default(),
        }),
        What::Undelivered(lost) => PublicEvent::of(&pb::TicketAnswerUndelivered {
            ticket: summary,
            undelivered: Some(encode::undelivered(ticket.id, lost)),
        }),
        What::Delivered { message, said_on } => PublicEvent::of(&pb::TicketAnswerDelivered {
            ticket: summary,
            message: super::message::name(said_on.unwrap_or(ticket.id), *message),
        }),
        What::CloseProposed { reason } => PublicEvent::of(&pb::TicketCloseProposed {
            ticket: summary,
            pause_reason: reason.to_string(),
        }),
        What::Link(what) => return link::event(ticket, what),
        What::Handling(what) => return handling::event(ticket, change, what, proposed),
        What::ClockBreached { rule, cycle, notify, escalation, .. } => {
            PublicEvent::of(&pb::TicketClockBreached {
                ticket: summary,
                clock: named(rule, *cycle),
                violation: proposed.map(violation::resource),
                escalation: escalation.as_ref().map(encode::escalation),
                notify_level: notify.number().into(),
            })
        }
    })
}

/// That a ticket was registered.
pub(crate) fn registered(ticket: &Ticket) -> PublicEvent {
    PublicEvent::of(&pb::TicketRegistered { ticket: Some(encode::summary(ticket)) })
}

/// That fields noted at intake were corrected.
pub(crate) fn updated(ticket: &Ticket, fields: Vec<String>) -> PublicEvent {
    PublicEvent::of(&pb::TicketUpdated { ticket: Some(encode::summary(ticket)), fields })
}

/// That of whom or about what it was registered was put right.
pub(crate) fn corrected(ticket: &Ticket, before: &Ticket, corrected: &Corrected) -> PublicEvent {
    let (customer, contact) = encode::customer_names(&before.complainant);
    let fields = corrected.facts.differences(&Facts::of(before));
    PublicEvent::of(&pb::TicketCorrected {
        ticket: Some(encode::summary(ticket)),
        fields: fields.into_iter().map(ToOwned::to_owned).collect(),
        previous_customer: customer,
        previous_contact: contact,
        previous_priority: encode::priority(before.priority).into(),
        reason: corrected.reason.clone(),
    })
}

/// That it was given to somebody.
pub(crate) fn assigned(ticket: &Ticket, cause: AssignCause, before: &Ticket) -> PublicEvent {
    PublicEvent::of(&pb::TicketAssigned {
        ticket: Some(encode::summary(ticket)),
        cause: super::routing::cause(cause).into(),
        previous_owner: before.owner.as_deref().unwrap_or_default().to_owned(),
    })
}

/// Whether an event is about a transfer, which concerns two org units.
pub(crate) fn is_transfer(event: &Recorded) -> bool {
    event.event_type.starts_with("kefu.ticket.v1.TicketTransfer")
}

/// The org units from and to which a ticket was sent, where that is what an event is about.
pub(crate) fn transfer_ends(event: &pb::TicketEvent) -> Option<[&str; 2]> {
    let transfer = match event.change.as_ref()? {
        Kind::TransferRequested(sent) => sent.transfer.as_ref(),
        Kind::TransferAccepted(accepted) => accepted.transfer.as_ref(),
        Kind::TransferReturned(returned) => returned.transfer.as_ref(),
        Kind::TransferWithdrawn(withdrawn) => withdrawn.transfer.as_ref(),
        _ => None,
    };
    transfer.map(|transfer| [&*transfer.from_org_unit, &*transfer.to_org_unit])
}

/// An event of the journal for the live stream; `None` for one that is no ticket's.
///
/// # Errors
/// If what the journal holds is not the message that it names.
pub(crate) fn live(event: &Recorded) -> Result<Option<pb::TicketEvent>, DecodeError> {
    let payload = event.payload.clone();
    macro_rules! by_name {
        ($($message:ident => $kind:ident,)+) => {
            match event.event_type.strip_prefix("kefu.ticket.v1.") {
                $(Some(name) if name == pb::$message::NAME => {
                    Kind::$kind(pb::$message::decode(payload)?)
                })+
                _ => return Ok(None),
            }
        };
    }
    let change = by_name! {
        TicketRegistered => Registered,
        TicketUpdated => Updated,
        TicketCorrected => Corrected,
        TicketResponded => Responded,
        TicketPaused => Paused,
        TicketResumed => Resumed,
        TicketResolved => Resolved,
        TicketResultFedBack => ResultFedBack,
        TicketClosed => Closed,
        TicketReopened => Reopened,
        TicketAnsweredLate => AnsweredLate,
        TicketEscalated => Escalated,
        TicketCancelled => Cancelled,
        TicketClockBreached => ClockBreached,
        TicketClockWarned => ClockWarned,
        TicketDelayAnnounced => DelayAnnounced,
        TicketAssessed => Assessed,
        TicketClockEscalated => ClockEscalated,
        TicketReminderDue => ReminderDue,
        TicketCloseProposed => CloseProposed,
        TicketContactAttempted => ContactAttempted,
        TicketTransferRequested => TransferRequested,
        TicketTransferAccepted => TransferAccepted,
        TicketTransferReturned => TransferReturned,
        TicketTransferWithdrawn => TransferWithdrawn,
        TicketHandlingFormCompleted => HandlingFormCompleted,
        TicketExecutiveReviewDecided => ExecutiveReviewDecided,
        TicketHandlingPlanChanged => HandlingPlanChanged,
        TicketSupervised => Supervised,
        TicketUrged => Urged,
        TicketSupervisionAnswered => SupervisionAnswered,
        TicketSupervisionAnswerMissed => SupervisionAnswerMissed,
        TicketFieldMissing => FieldMissing,
        TicketSupervisionEnded => SupervisionEnded,
        TicketReportedToHeadquarters => ReportedToHeadquarters,
        TicketAssigned => Assigned,
        TicketPriorityRaised => PriorityRaised,
        DeliveryChanged => DeliveryChanged,
        TicketAnswerUndelivered => AnswerUndelivered,
        TicketAnswerDelivered => AnswerDelivered,
        TicketClocksRecomputed => ClocksRecomputed,
        TicketMerged => Merged,
        TicketUnmerged => Unmerged,
        TicketDuplicateTaken => DuplicateTaken,
        TicketDuplicateReturned => DuplicateReturned,
        TicketLinked => Linked,
        TicketUnlinked => Unlinked,
        ProcessChanged => ProcessChanged,
        ProcessStageWarned => ProcessStageWarned,
        ProcessStageBreached => ProcessStageBreached,
        ProcessStageEscalated => ProcessStageEscalated,
        AttachmentChanged => AttachmentChanged,
    };
    // A delivery, a process and an attachment are aggregates of their own, and leave their ticket as it is.
    let of = |process: Option<&pb::Process>| {
        (process.map(|process| process.ticket.clone()).unwrap_or_default(), 0)
    };
    let (ticket, revision) = match &change {
        Kind::ProcessChanged(changed) => of(changed.process.as_ref()),
        Kind::ProcessStageWarned(warned) => of(warned.process.as_ref()),
        Kind::ProcessStageBreached(breached) => of(breached.process.as_ref()),
        Kind::ProcessStageEscalated(escalated) => of(escalated.process.as_ref()),
        Kind::DeliveryChanged(delivery) => (delivery.ticket.clone(), 0),
        Kind::AttachmentChanged(changed) => (changed.ticket.clone(), 0),
        _ => (encode::name(event.aggregate_id), event.revision),
    };
    Ok(Some(pb::TicketEvent {
        id: event.event_id.to_string(),
        ticket,
        org_unit: event.org_unit.clone(),
        revision,
        actor: event.actor.clone(),
        occur_time: Some(to_proto_timestamp(event.occurred_at)),
        change: Some(change),
    }))
}
