//! Contacts as others see them.

use kefu_api::customer::v1 as pb;
use kefu_journal::PublicEvent;
use kefu_rpc::to_proto_timestamp;
use uuid::Uuid;

use super::customer;
use crate::domain::contact::{Channel, Contact, DecisionRole, DoNotContact};

/// `customers/{uuid}/contacts/{uuid}`.
pub fn name(customer_id: Uuid, id: Uuid) -> String {
    format!("{}/contacts/{id}", customer::name(customer_id))
}

/// The resource.
pub fn resource(contact: &Contact) -> pb::Contact {
    let details = contact.details.clone();
    pb::Contact {
        name: name(contact.customer_id, contact.id),
        display_name: details.display_name,
        title: details.title,
        phones: details.phones,
        emails: details.emails,
        messengers: details.messengers,
        birthday: super::date(details.birthday),
        preferred_channel: details
            .preferred_channel
            .map_or(pb::ContactChannel::Unspecified, channel)
            .into(),
        do_not_contact: details.do_not_contact.into_iter().map(do_not_contact).collect(),
        decision_role: details
            .decision_role
            .map_or(pb::DecisionRole::Unspecified, decision_role)
            .into(),
        create_time: Some(to_proto_timestamp(contact.created_at)),
        update_time: Some(to_proto_timestamp(contact.updated_at)),
        etag: super::etag(contact.revision),
    }
}

/// What the other contexts learn of it: the name, and by which channels, but not under which numbers.
pub fn event(contact: &Contact) -> PublicEvent {
    let word = |channel: Channel| channel.as_str().to_ascii_uppercase();
    let details = &contact.details;
    PublicEvent::of(&pb::ContactChanged {
        contact: name(contact.customer_id, contact.id),
        customer: customer::name(contact.customer_id),
        display_name: details.display_name.clone(),
        preferred_channel: details.preferred_channel.map(word).unwrap_or_default(),
        do_not_contact_channels: details.do_not_contact.iter().map(|d| word(d.channel)).collect(),
    })
}

fn do_not_contact(value: DoNotContact) -> pb::DoNotContact {
    pb::DoNotContact { channel: channel(value.channel).into(), reason: value.reason }
}

fn channel(value: Channel) -> pb::ContactChannel {
    match value {
        Channel::Phone => pb::ContactChannel::Phone,
        Channel::Sms => pb::ContactChannel::Sms,
        Channel::Email => pb::ContactChannel::Email,
        Channel::Messenger => pb::ContactChannel::Messenger,
        Channel::Letter => pb::ContactChannel::Letter,
        Channel::Visit => pb::ContactChannel::Visit,
    }
}

fn decision_role(value: DecisionRole) -> pb::DecisionRole {
    match value {
        DecisionRole::Decider => pb::DecisionRole::Decider,
        DecisionRole::Influencer => pb::DecisionRole::Influencer,
        DecisionRole::User => pb::DecisionRole::User,
        DecisionRole::Gatekeeper => pb::DecisionRole::Gatekeeper,
        DecisionRole::Technical => pb::DecisionRole::Technical,
        DecisionRole::Finance => pb::DecisionRole::Finance,
    }
}
