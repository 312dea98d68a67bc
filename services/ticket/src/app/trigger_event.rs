//! What an event of the journal is to triggers (T-26).

use std::sync::Arc;

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::ticket_event::Change as Kind;
use kefu_journal::Recorded;
use prost::{Message as _, Name as _};
use uuid::Uuid;

use super::Error;
use crate::domain::{EventTold, ReceiverLevel, TransferEnds, TriggerEvent};
use crate::encode::{event, trigger_fact};

/// An event that triggers may run after.
#[derive(Clone, Debug)]
pub(crate) struct Happened {
    pub(crate) recorded: Arc<Recorded>,
    /// The ticket concerned.
    pub(crate) ticket: Uuid,
    /// What it is; several at once where a change is more than one thing.
    pub(crate) events: Vec<TriggerEvent>,
}

impl Happened {
    /// What a public event of the journal is to triggers; `None` where it is nothing to them.
    pub(super) fn of(recorded: &Arc<Recorded>) -> Option<Self> {
        let name = recorded.event_type.strip_prefix("kefu.ticket.v1.")?;
        let (ticket, events) = match &*recorded.aggregate_type {
            "ticket" => (recorded.aggregate_id, of_ticket(name, recorded)?),
            "delivery" => of_delivery(name, recorded)?,
            "process" => of_process(name, recorded)?,
            _ => return None,
        };
        let recorded = Arc::clone(recorded);
        (!events.is_empty()).then_some(Self { ticket, events, recorded })
    }

    /// What it says.
    ///
    /// # Errors
    /// If the journal holds what is not the message that it names.
    pub(super) fn told(&self) -> Result<Told, Error> {
        let defect =
            |error| Error::Defect(format!("an event of the journal is unreadable: {error}"));
        let change = event::live(&self.recorded).map_err(defect)?.and_then(|live| live.change);
        let occurred = change.as_ref().map(occurrence).unwrap_or_default();
        let facts = change.as_ref().map(trigger_fact::facts).unwrap_or_default();
        Ok(Told { occurred, facts })
    }
}

/// What an event says.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// To conditions and notices.
    pub(super) occurred: EventTold,
    /// To another system.
    pub(super) facts: serde_json::Map<String, serde_json::Value>,
}

fn of_ticket(name: &str, recorded: &Recorded) -> Option<Vec<TriggerEvent>> {
    let event = name.parse().ok()?;
    let mut events = vec![event];
    if event == TriggerEvent::Reopened {
        let reopened = pb::TicketReopened::decode(recorded.payload.clone()).ok()?;
        let reviewed = reopened
            .ticket
            .is_some_and(|ticket| ticket.state() == pb::TicketState::ExecutiveReview);
        events.extend(reviewed.then_some(TriggerEvent::ExecutiveReviewStarted));
    }
    Some(events)
}

/// Only what was said to the customer: a notice that cannot be sent causes no other.
fn of_delivery(name: &str, recorded: &Recorded) -> Option<(Uuid, Vec<TriggerEvent>)> {
    if name != pb::DeliveryChanged::NAME {
        return None;
    }
    let delivery = pb::DeliveryChanged::decode(recorded.payload.clone()).ok()?;
    let parked = delivery.state() == pb::DeliveryState::Parked && !delivery.message.is_empty();
    let ticket = delivery.ticket.strip_prefix("tickets/")?.parse().ok()?;
    parked.then_some((ticket, vec![TriggerEvent::MessageParked]))
}

/// A process leaves its ticket as it is, and its events are of an aggregate of its own.
fn of_process(name: &str, recorded: &Recorded) -> Option<(Uuid, Vec<TriggerEvent>)> {
    let payload = recorded.payload.clone();
    let ticket = |process: Option<pb::Process>| {
        process?.ticket.strip_prefix("tickets/")?.parse::<Uuid>().ok()
    };
    if name != pb::ProcessChanged::NAME {
        let process = match name.parse().ok()? {
            TriggerEvent::ProcessStageWarned => {
                pb::ProcessStageWarned::decode(payload).ok()?.process
            }
            TriggerEvent::ProcessStageBreached => {
                pb::ProcessStageBreached::decode(payload).ok()?.process
            }
            TriggerEvent::ProcessStageEscalated => {
                pb::ProcessStageEscalated::decode(payload).ok()?.process
            }
            _ => return None,
        };
        return Some((ticket(process)?, vec![name.parse().ok()?]));
    }
    let changed = pb::ProcessChanged::decode(payload).ok()?;
    let mut events = Vec::new();
    if changed.method == "StartProcess" {
        events.push(TriggerEvent::ProcessStarted);
    }
    if !changed.started_stages.is_empty() {
        events.push(TriggerEvent::ProcessStageStarted);
    }
    // Once: what is completed changes no more.
    if changed.process.as_ref()?.state() == pb::ProcessState::Completed {
        events.push(TriggerEvent::ProcessCompleted);
    }
    Some((ticket(changed.process)?, events))
}

fn occurrence(change: &Kind) -> EventTold {
    let rule = |clock: Option<&pb::Clock>| clock.map(|clock| clock.rule.clone());
    let sent = |transfer: Option<&pb::Transfer>| {
        transfer.map(|transfer| TransferEnds {
            to: transfer.to_org_unit.clone(),
            by: transfer.sent_by.as_str().into(),
        })
    };
    let raised = |form: Option<&pb::Escalation>| form.map_or(0, |form| form.to_level);
    let mut told = EventTold::default();
    let level = match change {
        Kind::ClockBreached(breached) => {
            told.clock = rule(breached.clock.as_ref());
            breached.notify_level
        }
        Kind::ClockEscalated(escalated) => {
            told.clock = rule(escalated.clock.as_ref());
            match escalated.notify_level {
                0 => raised(escalated.escalation.as_ref()),
                level => level,
            }
        }
        Kind::ClockWarned(warned) => {
            told.clock = rule(warned.clock.as_ref());
            0
        }
        Kind::DelayAnnounced(delay) => {
            told.clock = rule(delay.clock.as_ref());
            0
        }
        Kind::Escalated(escalated) => raised(escalated.escalation.as_ref()),
        Kind::ProcessChanged(changed) => {
            told.stages.clone_from(&changed.started_stages);
            0
        }
        Kind::ProcessStageWarned(warned) => {
            told.stages = vec![warned.stage.clone()];
            0
        }
        Kind::ProcessStageBreached(breached) => {
            told.stages = vec![breached.stage.clone()];
            breached.notify_level
        }
        Kind::ProcessStageEscalated(escalated) => {
            told.stages = vec![escalated.stage.clone()];
            match escalated.notify_level {
                0 => escalated.raised_to_level,
                level => level,
            }
        }
        Kind::TransferRequested(asked) => {
            told.transfer = sent(asked.transfer.as_ref());
            0
        }
        Kind::TransferAccepted(accepted) => {
            told.transfer = sent(accepted.transfer.as_ref());
            0
        }
        Kind::TransferReturned(returned) => {
            told.transfer = sent(returned.transfer.as_ref());
            0
        }
        Kind::TransferWithdrawn(withdrawn) => {
            told.transfer = sent(withdrawn.transfer.as_ref());
            0
        }
        _ => 0,
    };
    told.told_level = ReceiverLevel::from_number(level);
    told
}
