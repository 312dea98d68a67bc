//! Invitations as others see them.

use kefu_api::survey::v1 as pb;
use kefu_journal::PublicEvent;
use kefu_rpc::{Etag, to_proto_timestamp};
use uuid::Uuid;

use super::policy;
use crate::domain::invitation::{Invitation, Matter, Revocation, State};

/// `invitations/{uuid}`.
pub fn name(id: Uuid) -> String {
    format!("invitations/{id}")
}

/// The resource.
pub fn resource(invitation: &Invitation) -> pb::Invitation {
    let (state, answered_at) = match &invitation.state {
        State::Created => (pb::InvitationState::Created, None),
        State::Issued { .. } => (pb::InvitationState::Issued, None),
        State::Answered { at, .. } => (pb::InvitationState::Answered, Some(*at)),
        State::Expired { .. } => (pb::InvitationState::Expired, None),
        State::Revoked { .. } => (pb::InvitationState::Revoked, None),
    };
    let matter = &invitation.matter;
    pb::Invitation {
        name: name(invitation.id),
        org_unit: invitation.org_unit.to_string(),
        campaign: invitation.campaign.clone(),
        customer: matter.customer.map(super::customer_name).unwrap_or_default(),
        contact: contact(matter),
        ticket: super::ticket_name(matter.ticket),
        ticket_number: matter.number.clone(),
        ticket_cycle: matter.cycle,
        state: state.into(),
        create_time: Some(to_proto_timestamp(invitation.created_at)),
        expire_time: Some(to_proto_timestamp(invitation.expires_at)),
        answer_time: answered_at.map(to_proto_timestamp),
        etag: Etag::of_revision(invitation.revision).to_string(),
        policy_version: policy::name(invitation.policy_version),
        revocation: revocation(invitation).into(),
    }
}

/// What others learn of a new one.
pub fn created(invitation: &Invitation) -> PublicEvent {
    PublicEvent::of(&pb::InvitationCreated {
        invitation: name(invitation.id),
        ticket: super::ticket_name(invitation.matter.ticket),
        ticket_cycle: invitation.matter.cycle,
        contact: contact(&invitation.matter),
    })
}

/// What others learn of one that was taken back or has expired.
pub fn ended(invitation: &Invitation) -> PublicEvent {
    PublicEvent::of(&pb::InvitationEnded {
        invitation: name(invitation.id),
        ticket: super::ticket_name(invitation.matter.ticket),
        state: invitation.state.as_str().to_ascii_uppercase(),
        revocation: revocation(invitation).into(),
    })
}

fn revocation(invitation: &Invitation) -> pb::InvitationRevocation {
    let State::Revoked { why, .. } = &invitation.state else {
        return pb::InvitationRevocation::Unspecified;
    };
    match why {
        Revocation::Staff => pb::InvitationRevocation::Staff,
        Revocation::VerdictGiven => pb::InvitationRevocation::VerdictGiven,
        Revocation::ClosedWithoutVerdict => pb::InvitationRevocation::ClosedWithoutVerdict,
        Revocation::TicketCancelled => pb::InvitationRevocation::TicketCancelled,
        Revocation::DoNotContact => pb::InvitationRevocation::DoNotContact,
    }
}

fn contact(matter: &Matter) -> String {
    let ids = matter.customer.zip(matter.contact);
    ids.map(|(customer, contact)| super::contact_name(customer, contact)).unwrap_or_default()
}
