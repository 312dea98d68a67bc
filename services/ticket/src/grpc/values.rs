//! Words of the trade from their numbers on the wire, and the fields that several requests share.

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_identity::OrgUnit;
use kefu_rpc::{Fault, Mask, TextRule, Violations};
use uuid::Uuid;

use super::content;
use crate::domain::{
    Amount, Channel, Complainant, Details, MAX_TAGS, Severity, StateName, TicketKind, is_currency,
};

const SUBJECT: TextRule = TextRule::line(500).required();
const DESCRIPTION: TextRule = TextRule::paragraphs(20_000);
const TAG: TextRule = TextRule::line(50).required();

/// A category, a product, an order, a shop.
pub(super) const LINE: TextRule = TextRule::line(200);
/// Somebody who is no customer.
pub(super) const COMPLAINANT: TextRule = TextRule::line(100);
/// A code of the policy, or free where the policy has none.
pub(super) const CODE: TextRule = TextRule::line(63);
/// What is said to or about a customer at length.
pub(super) const LONG_TEXT: TextRule = TextRule::paragraphs(20_000).required();
/// A reason.
pub(super) const REASON: TextRule = TextRule::paragraphs(500).required();
/// What the customer said at call-back.
pub(super) const COMMENT: TextRule = TextRule::paragraphs(2_000);

pub(super) fn org_unit(violations: &mut Violations, field: &str, value: &str) -> Option<OrgUnit> {
    violations.parse(field, value)
}

pub(super) fn kind(violations: &mut Violations, field: &str, value: i32) -> Option<TicketKind> {
    ticket_kind(violations.enumeration(field, value)?)
}

pub(super) fn ticket_kind(kind: pb::TicketKind) -> Option<TicketKind> {
    Some(match kind {
        pb::TicketKind::Unspecified => return None,
        pb::TicketKind::Complaint => TicketKind::Complaint,
        pb::TicketKind::Inquiry => TicketKind::Inquiry,
        pb::TicketKind::Request => TicketKind::Request,
        pb::TicketKind::Suggestion => TicketKind::Suggestion,
    })
}

pub(super) fn channel(violations: &mut Violations, field: &str, value: i32) -> Option<Channel> {
    ticket_channel(violations.enumeration(field, value)?)
}

pub(super) fn ticket_channel(channel: pb::TicketChannel) -> Option<Channel> {
    Some(match channel {
        pb::TicketChannel::Unspecified => return None,
        pb::TicketChannel::Phone => Channel::Phone,
        pb::TicketChannel::Sms => Channel::Sms,
        pb::TicketChannel::Letter => Channel::Letter,
        pb::TicketChannel::Fax => Channel::Fax,
        pb::TicketChannel::Mail => Channel::Mail,
        pb::TicketChannel::Chat => Channel::Chat,
        pb::TicketChannel::Web => Channel::Web,
        pb::TicketChannel::Messenger => Channel::Messenger,
        pb::TicketChannel::Visit => Channel::Visit,
        pb::TicketChannel::Counter => Channel::Counter,
    })
}

pub(super) fn state(state: pb::TicketState) -> Option<StateName> {
    Some(match state {
        pb::TicketState::Unspecified => return None,
        pb::TicketState::Registered => StateName::Registered,
        pb::TicketState::InProgress => StateName::InProgress,
        pb::TicketState::Waiting => StateName::Waiting,
        pb::TicketState::Resolved => StateName::Resolved,
        pb::TicketState::ResultFedBack => StateName::ResultFedBack,
        pb::TicketState::Reopened => StateName::Reopened,
        pb::TicketState::ExecutiveReview => StateName::ExecutiveReview,
        pb::TicketState::Closed => StateName::Closed,
        pb::TicketState::Cancelled => StateName::Cancelled,
        pb::TicketState::Merged => StateName::Merged,
    })
}

/// 0 stands for ordinary.
pub(super) fn severity(violations: &mut Violations, field: &str, value: i32) -> Option<Severity> {
    let value = if value == 0 { 1 } else { value };
    violations.range(field, value, 1, 3).and_then(Severity::from_number)
}

/// What was noted at intake; empty where it is wrong.
pub(super) fn details(violations: &mut Violations, ticket: &pb::Ticket) -> Details {
    DetailChanges::decode(violations, ticket, &Mask::All).onto(&Details::default())
}

/// What of it is to be noted differently; `None` stays as it is.
pub(super) struct DetailChanges {
    subject: Option<String>,
    description: Option<String>,
    category: Option<String>,
    product: Option<String>,
    order_reference: Option<String>,
    shop: Option<String>,
    tags: Option<Vec<String>>,
    fields: Option<content::AskedFields>,
}

impl DetailChanges {
    /// The fields' names in the message.
    pub(super) const CHANGEABLE: [&str; 8] = [
        "subject",
        "description",
        "category",
        "product",
        "order_reference",
        "shop",
        "tags",
        "custom_fields",
    ];

    /// The fields that `mask` wants; those that are wrong are empty, and named.
    pub(super) fn decode(violations: &mut Violations, ticket: &pb::Ticket, mask: &Mask) -> Self {
        let mut text = |field: &str, value: &str, rule: TextRule| {
            mask.take(field, !value.is_empty(), || Some(violations.text(field, value, rule)))
        };
        Self {
            subject: text("subject", &ticket.subject, SUBJECT),
            description: text("description", &ticket.description, DESCRIPTION),
            category: text("category", &ticket.category, LINE),
            product: text("product", &ticket.product, LINE),
            order_reference: text("order_reference", &ticket.order_reference, LINE),
            shop: text("shop", &ticket.shop, LINE),
            tags: mask.take("tags", !ticket.tags.is_empty(), || {
                Some(tags(violations, "tags", &ticket.tags))
            }),
            fields: mask.take("custom_fields", !ticket.custom_fields.is_empty(), || {
                Some(content::fields(violations, &ticket.custom_fields))
            }),
        }
    }

    /// The details with these changes.
    pub(super) fn onto(self, present: &Details) -> Details {
        let present = present.clone();
        Details {
            subject: self.subject.unwrap_or(present.subject),
            description: self.description.unwrap_or(present.description),
            category: self.category.unwrap_or(present.category),
            product: self.product.unwrap_or(present.product),
            order_reference: self.order_reference.unwrap_or(present.order_reference),
            shop: self.shop.unwrap_or(present.shop),
            tags: self.tags.unwrap_or(present.tags),
            fields: content::with(present.fields, self.fields),
        }
    }
}

/// Each once, however often it is given.
pub(super) fn tags(violations: &mut Violations, field: &str, tags: &[String]) -> Vec<String> {
    if !violations.at_most(field, tags.len(), MAX_TAGS) {
        return Vec::new();
    }
    let mut each = Vec::new();
    for (index, tag) in tags.iter().enumerate() {
        let tag = violations.text(&format!("{field}[{index}]"), tag, TAG);
        if !each.contains(&tag) {
            each.push(tag);
        }
    }
    each
}

/// What it is about in money; a currency goes with an amount, also of nothing.
#[allow(clippy::option_option, reason = "absent and wrong are different answers")]
pub(super) fn amount(violations: &mut Violations, ticket: &pb::Ticket) -> Option<Option<Amount>> {
    let pb::Ticket { amount_cents: cents, currency, .. } = ticket;
    if *cents == 0 && currency.is_empty() {
        return Some(None);
    }
    let cents = violations.range("amount_cents", *cents, 0, i64::MAX);
    if !is_currency(currency) {
        let description = "must be three capital letters as in ISO 4217, set with an amount";
        let fault =
            Fault::new("MALFORMED", description, "必须为 ISO 4217 的三个大写字母，与金额一并填写");
        violations.add("currency", fault);
        return None;
    }
    cents.map(|cents| Some(Amount { cents, currency: currency.clone() }))
}

/// Who complains: a customer, somebody by name, or nobody knows.
pub(super) fn complainant(violations: &mut Violations, ticket: &pb::Ticket) -> Option<Complainant> {
    let name = violations.text("complainant", &ticket.complainant, COMPLAINANT);
    if ticket.customer.is_empty() {
        if !ticket.contact.is_empty() {
            let fault = "is required with a contact";
            violations.add("customer", Fault::new("REQUIRED", fault, "填写联系人时必须填写客户"));
            return None;
        }
        return Some(if name.is_empty() {
            Complainant::Anonymous
        } else {
            Complainant::Unregistered { name }
        });
    }
    if !name.is_empty() {
        let fault = "must be empty for a registered customer";
        violations.add("complainant", Fault::new("NOT_ALLOWED", fault, "已登记客户无须填写投诉人"));
    }
    let customer = violations.resource_id("customer", &ticket.customer, "customers");
    let contact = contact(violations, &ticket.contact, &ticket.customer);
    Some(Complainant::Customer { customer: customer?, contact: contact? })
}

#[allow(clippy::option_option, reason = "absent and wrong are different answers")]
fn contact(violations: &mut Violations, contact: &str, customer: &str) -> Option<Option<Uuid>> {
    if contact.is_empty() {
        return Some(None);
    }
    let Some((owner, _)) = contact.split_once("/contacts/") else {
        violations.add(
            "contact",
            Fault::malformed(
                "a name of the form customers/UUID/contacts/UUID",
                "形如 customers/UUID/contacts/UUID 的名称",
            ),
        );
        return None;
    };
    if owner != customer {
        let fault = Fault::new(
            "FOREIGN_CONTACT",
            "is not a contact of that customer",
            "联系人不属于该客户",
        );
        violations.add("contact", fault);
        return None;
    }
    violations.resource_id("contact", contact, &format!("{owner}/contacts")).map(Some)
}

/// A time that may be absent and, if not, is not in the future.
#[allow(clippy::option_option, reason = "absent and wrong are different answers")]
pub(super) fn past_time(
    violations: &mut Violations,
    field: &str,
    value: Option<prost_types::Timestamp>,
    now: Timestamp,
) -> Option<Option<Timestamp>> {
    if value.is_none() {
        return Some(None);
    }
    violations.past_time(field, value, now).map(Some)
}

/// A resource that may be absent.
#[allow(clippy::option_option, reason = "absent and wrong are different answers")]
pub(super) fn optional_id(
    violations: &mut Violations,
    field: &str,
    name: &str,
    collection: &str,
) -> Option<Option<Uuid>> {
    if name.is_empty() {
        return Some(None);
    }
    violations.resource_id(field, name, collection).map(Some)
}
