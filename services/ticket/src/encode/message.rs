//! Messages to the customer as others see them (T-14).

use kefu_api::ticket::v1 as pb;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::time;
use crate::domain::{DeliveryState, MessagePurpose};
use crate::store::message::MessageRow;

/// The resource name.
pub(crate) fn name(ticket: Uuid, id: Uuid) -> String {
    format!("{}/messages/{id}", super::ticket::name(ticket))
}

/// The resource.
pub(crate) fn resource(ticket: Uuid, row: &MessageRow) -> Result<pb::TicketMessage, StoreError> {
    let delivery = row.delivery()?;
    Ok(pb::TicketMessage {
        name: name(ticket, row.id),
        purpose: purpose(row.purpose()?).into(),
        body: row.body.clone(),
        cycle: row.cycle,
        send_time: time(row.sent_at.to_jiff()),
        sent_by: row.sent_by.clone(),
        delivery_state: delivery_state(delivery.map(|(_, state)| state)).into(),
        create_time: time(row.created_at.to_jiff()),
        overridden_phrases: row.overridden_phrases.clone(),
        delivery: delivery.map(|(id, _)| super::delivery::name(id)).unwrap_or_default(),
    })
}

/// What became of a message; one that this system did not send is on record as said.
fn delivery_state(state: Option<DeliveryState>) -> pb::MessageDeliveryState {
    match state {
        None => pb::MessageDeliveryState::Recorded,
        Some(DeliveryState::Pending) => pb::MessageDeliveryState::Pending,
        Some(DeliveryState::Sent) => pb::MessageDeliveryState::Sent,
        Some(DeliveryState::Parked) => pb::MessageDeliveryState::Parked,
        Some(DeliveryState::Cancelled) => pb::MessageDeliveryState::Cancelled,
    }
}

fn purpose(purpose: MessagePurpose) -> pb::TicketMessagePurpose {
    match purpose {
        MessagePurpose::Answer => pb::TicketMessagePurpose::Answer,
        MessagePurpose::Result => pb::TicketMessagePurpose::Result,
        MessagePurpose::Delay => pb::TicketMessagePurpose::Delay,
        MessagePurpose::Reminder => pb::TicketMessagePurpose::Reminder,
    }
}
