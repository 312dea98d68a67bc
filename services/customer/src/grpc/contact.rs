//! The contacts in `CustomerService`.

use std::mem::take;

use jiff::Timestamp;
use kefu_api::customer::v1 as pb;
use kefu_rpc::{Fault, Mask, PageQuery, RequestContext, TextRule, Violations};
use tonic::{Request, Response, Status};

use super::{page_size, status::status, values};
use crate::{
    app::{App, Call},
    domain::contact::{Channel, ContactChanges, DecisionRole, DoNotContact},
    encode::contact::resource,
};

const MAX_WAYS: usize = 10;
const MAX_DO_NOT_CONTACT: usize = 8;
const CHANGEABLE: [&str; 9] = [
    "display_name",
    "title",
    "phones",
    "emails",
    "messengers",
    "birthday",
    "preferred_channel",
    "do_not_contact",
    "decision_role",
];

pub(super) async fn create(
    app: &App,
    request: Request<pb::CreateContactRequest>,
) -> Result<Response<pb::Contact>, Status> {
    const METHOD: &str = "kefu.customer.v1.CustomerService/CreateContact";
    let context = RequestContext::of(&request);
    let mut request = request.into_inner();
    let mut violations = context.violations();
    let id = take(&mut request.request_id);
    let call = Call::of(&context, &mut violations, METHOD, &id, &request);
    let customer = values::customer_name(&mut violations, "parent", &request.parent);
    let contact = violations.required("contact", request.contact);
    let details = contact.and_then(|contact| {
        violations.within("contact", |violations| {
            changes(violations, &contact, &Mask::All, app.now()).complete()
        })
    });
    let (customer, details) = violations.finish(customer.zip(details))?;
    let created = app.create_contact(&call, customer, details).await;
    created.map(Response::new).map_err(|error| status(&context, error))
}

pub(super) async fn get(
    app: &App,
    request: Request<pb::GetContactRequest>,
) -> Result<Response<pb::Contact>, Status> {
    let context = RequestContext::of(&request);
    let mut violations = context.violations();
    let ids = values::contact_name(&mut violations, "name", &request.get_ref().name);
    let (customer, id) = violations.finish(ids)?;
    let found = app.get_contact(context.caller(), customer, id).await;
    found.map(|found| Response::new(resource(&found))).map_err(|error| status(&context, error))
}

pub(super) async fn list(
    app: &App,
    request: Request<pb::ListContactsRequest>,
) -> Result<Response<pb::ListContactsResponse>, Status> {
    let context = RequestContext::of(&request);
    let request = request.into_inner();
    let mut violations = context.violations();
    let query = PageQuery::new("customer.ListContacts").field(&request.parent);
    let customer = values::customer_name(&mut violations, "parent", &request.parent);
    let size = page_size(&mut violations, request.page_size);
    let after = violations.page_token("page_token", &request.page_token, &query);
    let customer = violations.finish(customer)?;
    let page = app.list_contacts(context.caller(), customer, after, size).await;
    let page = page.map_err(|error| status(&context, error))?;
    Ok(Response::new(pb::ListContactsResponse {
        contacts: page.items.iter().map(resource).collect(),
        next_page_token: page.next.map(|next| query.token(&next)).unwrap_or_default(),
    }))
}

pub(super) async fn update(
    app: &App,
    request: Request<pb::UpdateContactRequest>,
) -> Result<Response<pb::Contact>, Status> {
    const METHOD: &str = "kefu.customer.v1.CustomerService/UpdateContact";
    let context = RequestContext::of(&request);
    let mut request = request.into_inner();
    let mut violations = context.violations();
    let id = take(&mut request.request_id);
    let call = Call::of(&context, &mut violations, METHOD, &id, &request);
    let mask = Mask::decode(&mut violations, request.update_mask, &CHANGEABLE);
    let contact = violations.required("contact", request.contact);
    let decoded = contact.and_then(|contact| {
        violations.within("contact", |violations| {
            let ids = values::contact_name(violations, "name", &contact.name);
            let etag = violations.etag("etag", &contact.etag);
            let changes = changes(violations, &contact, &mask, app.now());
            Some((ids?, changes, etag?))
        })
    });
    let ((customer, id), changes, etag) = violations.finish(decoded)?;
    let changed = app.update_contact(&call, customer, id, changes, etag).await;
    changed.map(Response::new).map_err(|error| status(&context, error))
}

/// The fields that `mask` wants; those that are wrong are `None`, and named.
pub(super) fn changes(
    violations: &mut Violations,
    contact: &pb::Contact,
    mask: &Mask,
    now: Timestamp,
) -> ContactChanges {
    let name = TextRule::line(100).required();
    ContactChanges {
        display_name: mask.take("display_name", !contact.display_name.is_empty(), || {
            values::text(violations, "display_name", &contact.display_name, name)
        }),
        title: mask.take("title", !contact.title.is_empty(), || {
            values::text(violations, "title", &contact.title, TextRule::line(100))
        }),
        phones: mask.take("phones", !contact.phones.is_empty(), || {
            values::list(violations, "phones", &contact.phones, MAX_WAYS, kefu_rpc::phone)
        }),
        emails: mask.take("emails", !contact.emails.is_empty(), || {
            values::list(violations, "emails", &contact.emails, MAX_WAYS, kefu_rpc::email)
        }),
        messengers: mask.take("messengers", !contact.messengers.is_empty(), || {
            values::list(violations, "messengers", &contact.messengers, MAX_WAYS, |id| {
                TextRule::line(100).required().apply(id)
            })
        }),
        birthday: mask.take("birthday", !contact.birthday.is_empty(), || {
            values::past_date(violations, "birthday", &contact.birthday, now)
        }),
        preferred_channel: mask.take("preferred_channel", contact.preferred_channel != 0, || {
            let preferred = contact.preferred_channel;
            let preferred = violations.optional_enumeration("preferred_channel", preferred)?;
            Some(preferred.and_then(channel))
        }),
        do_not_contact: mask.take("do_not_contact", !contact.do_not_contact.is_empty(), || {
            do_not_contact(violations, &contact.do_not_contact)
        }),
        decision_role: mask.take("decision_role", contact.decision_role != 0, || {
            let role = violations.optional_enumeration("decision_role", contact.decision_role)?;
            Some(role.and_then(decision_role))
        }),
    }
}

fn do_not_contact(
    violations: &mut Violations,
    given: &[pb::DoNotContact],
) -> Option<Vec<DoNotContact>> {
    if !violations.at_most("do_not_contact", given.len(), MAX_DO_NOT_CONTACT) {
        return None;
    }
    let mut kept: Vec<DoNotContact> = Vec::with_capacity(given.len());
    for (index, given) in given.iter().enumerate() {
        kept.extend(violations.item("do_not_contact", index, |violations| {
            let reason = TextRule::paragraphs(500).required();
            let reason = values::text(violations, "reason", &given.reason, reason);
            let channel = violations.enumeration("channel", given.channel).and_then(channel)?;
            if kept.iter().any(|other| other.channel == channel) {
                let fault = Fault::new("DUPLICATE", "is given twice", "渠道重复");
                violations.add("channel", fault);
                return None;
            }
            Some(DoNotContact { channel, reason: reason? })
        }));
    }
    (kept.len() == given.len()).then_some(kept)
}

fn channel(value: pb::ContactChannel) -> Option<Channel> {
    match value {
        pb::ContactChannel::Unspecified => None,
        pb::ContactChannel::Phone => Some(Channel::Phone),
        pb::ContactChannel::Sms => Some(Channel::Sms),
        pb::ContactChannel::Email => Some(Channel::Email),
        pb::ContactChannel::Messenger => Some(Channel::Messenger),
        pb::ContactChannel::Letter => Some(Channel::Letter),
        pb::ContactChannel::Visit => Some(Channel::Visit),
    }
}

fn decision_role(value: pb::DecisionRole) -> Option<DecisionRole> {
    match value {
        pb::DecisionRole::Unspecified => None,
        pb::DecisionRole::Decider => Some(DecisionRole::Decider),
        pb::DecisionRole::Influencer => Some(DecisionRole::Influencer),
        pb::DecisionRole::User => Some(DecisionRole::User),
        pb::DecisionRole::Gatekeeper => Some(DecisionRole::Gatekeeper),
        pb::DecisionRole::Technical => Some(DecisionRole::Technical),
        pb::DecisionRole::Finance => Some(DecisionRole::Finance),
    }
}
