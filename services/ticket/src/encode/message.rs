//! Messages to the customer as others see them (T-14).

use kefu_api::ticket::v1 as pb;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::time;
use crate::domain::MessagePurpose;
use crate::store::message::MessageRow;

/// The resource.
pub(crate) fn resource(ticket: Uuid, row: &MessageRow) -> Result<pb::TicketMessage, StoreError> {
    Ok(pb::TicketMessage {
        name: format!("{}/messages/{}", super::ticket::name(ticket), row.id),
        purpose: purpose(row.purpose()?).into(),
        body: row.body.clone(),
        cycle: row.cycle,
        send_time: time(row.sent_at.to_jiff()),
        sent_by: row.sent_by.clone(),
        delivery_state: pb::MessageDeliveryState::Recorded.into(),
        create_time: time(row.created_at.to_jiff()),
        overridden_phrases: row.overridden_phrases.clone(),
    })
}

fn purpose(purpose: MessagePurpose) -> pb::TicketMessagePurpose {
    match purpose {
        MessagePurpose::Answer => pb::TicketMessagePurpose::Answer,
        MessagePurpose::Result => pb::TicketMessagePurpose::Result,
    }
}
