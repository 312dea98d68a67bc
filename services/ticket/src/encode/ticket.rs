//! Tickets as others see them.

use kefu_api::ticket::v1 as pb;
use kefu_rpc::Etag;
use uuid::Uuid;

use super::{clock, handling, link, number, optional_time, team, time};
use crate::app::listing::Listed;
use crate::domain::{
    Channel, Complainant, Escalation, EscalationCause, FollowUp, Priority, StateName, Ticket,
    TicketKind, Undelivered, Verdict, VerdictSource,
};
use crate::store::ticket_basic::BasicTicket;

/// `tickets/{uuid}`.
pub fn name(id: Uuid) -> String {
    format!("tickets/{id}")
}

/// `customers/{uuid}`, and `customers/{uuid}/contacts/{uuid}`; empty where there is none.
pub(super) fn customer_names(complainant: &Complainant) -> (String, String) {
    match complainant {
        Complainant::Customer { customer, contact } => {
            let customer = format!("customers/{customer}");
            let contact = contact.map(|contact| format!("{customer}/contacts/{contact}"));
            (customer, contact.unwrap_or_default())
        }
        _ => Default::default(),
    }
}

/// The resource.
pub fn resource(ticket: &Ticket) -> pb::Ticket {
    let (customer, contact) = customer_names(&ticket.complainant);
    let complainant = match &ticket.complainant {
        Complainant::Unregistered { name } => name.clone(),
        _ => String::new(),
    };
    let details = ticket.details.clone();
    let solution = ticket.solution();
    let handled = &ticket.handling;
    pb::Ticket {
        name: name(ticket.id),
        number: ticket.number.clone(),
        org_unit: ticket.org_unit.clone(),
        kind: kind(ticket.kind).into(),
        channel: channel(ticket.channel).into(),
        customer,
        contact,
        complainant,
        subject: details.subject,
        description: details.description,
        category: details.category,
        severity: ticket.severity.number().into(),
        occur_time: optional_time(ticket.occurred_at),
        tags: details.tags,
        custom_fields: details
            .fields
            .into_iter()
            .map(|(field, values)| pb::CustomFieldValue { field, values })
            .collect(),
        product: details.product,
        order_reference: details.order_reference,
        shop: details.shop,
        state: state(ticket.state.name()).into(),
        priority: priority(ticket.priority).into(),
        customer_grade: ticket.customer_grade.clone().unwrap_or_default(),
        receiver_level: ticket.receiver_level.number().into(),
        cycle: number(ticket.cycle),
        first_contact_owner: ticket.first_contact_owner.to_string(),
        handler: ticket.handler.as_deref().unwrap_or_default().to_owned(),
        solution: solution.map(|solution| solution.text.clone()).unwrap_or_default(),
        clocks: ticket
            .clocks
            .iter()
            .map(|entry| clock::resource(entry, ticket.policy_version))
            .collect(),
        verdicts: ticket.verdicts.iter().map(verdict).collect(),
        escalations: ticket.escalations.iter().map(escalation).collect(),
        policy_version: super::policy::name(ticket.policy_version),
        promise_version: super::policy::name(ticket.promise_version()),
        create_time: time(ticket.created_at),
        update_time: time(ticket.updated_at),
        first_response_time: optional_time(ticket.first_response_at),
        resolve_time: optional_time(solution.map(|solution| solution.at)),
        close_time: optional_time(ticket.closed_at()),
        etag: Etag::of_revision(ticket.revision).to_string(),
        follow_up: ticket.state.follow_up().map(follow_up),
        transfer: handled
            .transfer
            .as_ref()
            .map(|on_its_way| handling::pending(ticket.id, on_its_way)),
        received_by_team: handled.team.clone().unwrap_or_default(),
        receiver: handled.receiver.as_deref().unwrap_or_default().to_owned(),
        supervision: handled
            .supervision
            .as_ref()
            .map(|watched| handling::supervision(ticket.id, &ticket.org_unit, watched)),
        report_time: optional_time(handled.reported_at),
        close_reason: handled.close_reason.clone().unwrap_or_default(),
        team: ticket.team.map(team::name).unwrap_or_default(),
        owner: ticket.owner.as_deref().unwrap_or_default().to_owned(),
        amount_cents: ticket.amount.as_ref().map_or(0, |amount| amount.cents),
        currency: ticket.amount.as_ref().map(|amount| amount.currency.clone()).unwrap_or_default(),
        complainant_type: ticket.complainant_type.clone().unwrap_or_default(),
        merge: link::merge_of(ticket),
        parent: ticket.links.parent.map(name).unwrap_or_default(),
        leads_children: ticket.links.leads,
        undelivered: ticket.outbound.undelivered.as_ref().map(|lost| undelivered(ticket.id, lost)),
    }
}

/// A line of a list: the resource in the view BASIC.
fn basic(ticket: &BasicTicket) -> pb::Ticket {
    let customer = ticket.customer.map(|customer| format!("customers/{customer}"));
    let contact = customer.as_ref().zip(ticket.contact);
    let contact = contact.map(|(customer, contact)| format!("{customer}/contacts/{contact}"));
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    pb::Ticket {
        name: name(ticket.id),
        number: ticket.number.clone(),
        org_unit: ticket.org_unit.clone(),
        kind: kind(ticket.kind).into(),
        channel: channel(ticket.channel).into(),
        // As with the whole ticket, a name counts only where there is no customer.
        complainant: if customer.is_none() { text(&ticket.complainant) } else { String::new() },
        customer: customer.unwrap_or_default(),
        contact: contact.unwrap_or_default(),
        complainant_type: text(&ticket.complainant_type),
        subject: ticket.subject.clone(),
        category: ticket.category.clone(),
        severity: ticket.severity.into(),
        tags: ticket.tags.clone(),
        product: ticket.product.clone(),
        order_reference: ticket.order_reference.clone(),
        shop: ticket.shop.clone(),
        state: state(ticket.state).into(),
        priority: priority(ticket.priority).into(),
        customer_grade: text(&ticket.customer_grade),
        receiver_level: ticket.receiver_level.into(),
        cycle: ticket.cycle,
        first_contact_owner: ticket.first_contact_owner.clone(),
        handler: text(&ticket.handler),
        team: ticket.team.map(team::name).unwrap_or_default(),
        owner: text(&ticket.owner),
        amount_cents: ticket.amount_cents.unwrap_or_default(),
        currency: text(&ticket.currency),
        create_time: time(ticket.created_at),
        update_time: time(ticket.updated_at),
        etag: Etag::of_revision(ticket.revision).to_string(),
        ..pb::Ticket::default()
    }
}

/// The resource, as much of it as a list was asked for.
pub fn listed(ticket: &Listed) -> pb::Ticket {
    match ticket {
        Listed::Basic(ticket) => basic(ticket),
        Listed::Full(ticket) => resource(ticket),
    }
}

/// A message that never left.
pub(crate) fn undelivered(ticket: Uuid, lost: &Undelivered) -> pb::UndeliveredMessage {
    pb::UndeliveredMessage {
        message: super::message::name(lost.said_on.unwrap_or(ticket), lost.message),
        delivery: super::delivery::name(lost.delivery),
        send_time: time(lost.sent_at),
        fail_time: time(lost.failed_at),
        cancelled: lost.cancelled,
    }
}

fn follow_up(follow_up: &FollowUp) -> pb::FollowUp {
    pb::FollowUp {
        pause_reason: follow_up.reason.to_string(),
        remind_due_time: optional_time(follow_up.remind_at),
        remind_time: optional_time(follow_up.reminded_at.filter(|_| follow_up.told)),
        propose_close_due_time: optional_time(follow_up.propose_at),
        propose_close_time: optional_time(follow_up.proposed_at),
        reminder_noted_time: optional_time(follow_up.reminded_at.filter(|_| !follow_up.told)),
    }
}

/// What other contexts may keep of it.
pub fn summary(ticket: &Ticket) -> pb::TicketSummary {
    let (customer, contact) = customer_names(&ticket.complainant);
    pb::TicketSummary {
        ticket: name(ticket.id),
        number: ticket.number.clone(),
        org_unit: ticket.org_unit.clone(),
        customer,
        contact,
        kind: kind(ticket.kind).into(),
        state: state(ticket.state.name()).into(),
        priority: priority(ticket.priority).into(),
        severity: ticket.severity.number().into(),
        receiver_level: ticket.receiver_level.number().into(),
        cycle: number(ticket.cycle),
        handler: ticket.handler.as_deref().unwrap_or_default().to_owned(),
        first_contact_owner: ticket.first_contact_owner.to_string(),
        cycle_handlers: ticket.handlers().map(ToString::to_string).collect(),
        team: ticket.team.map(team::name).unwrap_or_default(),
        owner: ticket.owner.as_deref().unwrap_or_default().to_owned(),
    }
}

/// A verdict.
pub fn verdict(verdict: &Verdict) -> pb::Verdict {
    pb::Verdict {
        value: verdict.value.into(),
        cycle: number(verdict.cycle),
        source: match verdict.source {
            VerdictSource::Call => pb::VerdictSource::Call,
            VerdictSource::Survey => pb::VerdictSource::Survey,
        }
        .into(),
        recorded_by: verdict.recorded_by.to_string(),
        comment: verdict.comment.clone(),
        record_time: time(verdict.at),
        give_time: time(verdict.given_at),
    }
}

/// A handling form.
pub fn escalation(escalation: &Escalation) -> pb::Escalation {
    pb::Escalation {
        cause: cause(escalation.cause).into(),
        from_level: escalation.from.number().into(),
        to_level: escalation.to.number().into(),
        cycle: number(escalation.cycle),
        reason: escalation.reason.clone(),
        escalate_time: time(escalation.at),
    }
}

pub(crate) fn cause(cause: EscalationCause) -> pb::EscalationCause {
    match cause {
        EscalationCause::Breach => pb::EscalationCause::Breach,
        EscalationCause::Verdict => pb::EscalationCause::Verdict,
        EscalationCause::Manager => pb::EscalationCause::Manager,
        EscalationCause::Step => pb::EscalationCause::Step,
        EscalationCause::Authority => pb::EscalationCause::Authority,
        EscalationCause::Handler => pb::EscalationCause::Handler,
        EscalationCause::Trigger => pb::EscalationCause::Trigger,
        EscalationCause::Merge => pb::EscalationCause::Merge,
    }
}

fn kind(kind: TicketKind) -> pb::TicketKind {
    match kind {
        TicketKind::Complaint => pb::TicketKind::Complaint,
        TicketKind::Inquiry => pb::TicketKind::Inquiry,
        TicketKind::Request => pb::TicketKind::Request,
        TicketKind::Suggestion => pb::TicketKind::Suggestion,
    }
}

pub(crate) fn channel(channel: Channel) -> pb::TicketChannel {
    match channel {
        Channel::Phone => pb::TicketChannel::Phone,
        Channel::Sms => pb::TicketChannel::Sms,
        Channel::Letter => pb::TicketChannel::Letter,
        Channel::Fax => pb::TicketChannel::Fax,
        Channel::Mail => pb::TicketChannel::Mail,
        Channel::Chat => pb::TicketChannel::Chat,
        Channel::Web => pb::TicketChannel::Web,
        Channel::Messenger => pb::TicketChannel::Messenger,
        Channel::Visit => pb::TicketChannel::Visit,
        Channel::Counter => pb::TicketChannel::Counter,
    }
}

pub(crate) fn priority(priority: Priority) -> pb::TicketPriority {
    match priority {
        Priority::Low => pb::TicketPriority::Low,
        Priority::Normal => pb::TicketPriority::Normal,
        Priority::High => pb::TicketPriority::High,
        Priority::Urgent => pb::TicketPriority::Urgent,
    }
}

/// A state's name.
pub fn state(state: StateName) -> pb::TicketState {
    match state {
        StateName::Registered => pb::TicketState::Registered,
        StateName::InProgress => pb::TicketState::InProgress,
        StateName::Waiting => pb::TicketState::Waiting,
        StateName::Resolved => pb::TicketState::Resolved,
        StateName::ResultFedBack => pb::TicketState::ResultFedBack,
        StateName::Reopened => pb::TicketState::Reopened,
        StateName::ExecutiveReview => pb::TicketState::ExecutiveReview,
        StateName::Closed => pb::TicketState::Closed,
        StateName::Cancelled => pb::TicketState::Cancelled,
        StateName::Merged => pb::TicketState::Merged,
    }
}
