//! Deliveries as others see them (T-14).

use kefu_api::ticket::v1 as pb;
use kefu_journal::PublicEvent;
use kefu_rpc::Etag;
use uuid::Uuid;

use super::{number, optional_time, ticket, time};
use crate::domain::{AdapterKind, Delivery, DeliveryContent, DeliveryState};

/// The resource name.
pub(crate) fn name(id: Uuid) -> String {
    format!("deliveries/{id}")
}

/// The resource.
pub(crate) fn resource(delivery: &Delivery) -> pb::Delivery {
    pb::Delivery {
        name: name(delivery.id),
        ticket: ticket::name(delivery.ticket),
        message: message(delivery),
        org_unit: delivery.org_unit.clone(),
        content: match delivery.content {
            DeliveryContent::Message => pb::DeliveryContent::Message,
            DeliveryContent::Notice => pb::DeliveryContent::Notice,
            DeliveryContent::Event => pb::DeliveryContent::Event,
        }
        .into(),
        trigger: delivery.rule.clone().unwrap_or_default(),
        adapter: delivery.adapter.clone(),
        adapter_kind: match delivery.kind {
            AdapterKind::Mail => pb::ChannelAdapterKind::Mail,
            AdapterKind::Webhook => pb::ChannelAdapterKind::Webhook,
        }
        .into(),
        recipient: delivery.recipient.clone(),
        state: state(delivery.state).into(),
        attempts: number(delivery.attempts),
        max_attempts: number(delivery.allowed_attempts),
        next_attempt_time: optional_time(delivery.next_attempt_at),
        last_error: delivery.last_error.clone().unwrap_or_default(),
        provider_id: delivery.provider_id.clone().unwrap_or_default(),
        sent_time: optional_time(delivery.sent_at),
        created_by: delivery.created_by.to_string(),
        create_time: time(delivery.created_at),
        update_time: time(delivery.updated_at),
        etag: Etag::of_revision(delivery.revision).to_string(),
    }
}

/// What others learn of it.
pub(crate) fn event(delivery: &Delivery) -> PublicEvent {
    PublicEvent::of(&pb::DeliveryChanged {
        delivery: name(delivery.id),
        ticket: ticket::name(delivery.ticket),
        message: message(delivery),
        adapter: delivery.adapter.clone(),
        state: state(delivery.state).into(),
    })
}

fn message(delivery: &Delivery) -> String {
    let ticket = ticket::name(delivery.ticket);
    delivery.message.map(|id| format!("{ticket}/messages/{id}")).unwrap_or_default()
}

fn state(state: DeliveryState) -> pb::DeliveryState {
    match state {
        DeliveryState::Pending => pb::DeliveryState::Pending,
        DeliveryState::Sent => pb::DeliveryState::Sent,
        DeliveryState::Parked => pb::DeliveryState::Parked,
        DeliveryState::Cancelled => pb::DeliveryState::Cancelled,
    }
}
