//! Corrections of tickets on the wire (T-01).

use kefu_api::ticket::v1 as pb;
use kefu_rpc::{Fault, Mask, RequestContext, TextRule, Violations};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::status::status;
use super::{Grpc, text, values};
use crate::app::Call;
use crate::domain::{Correction, Fix};

const CHANGEABLE: [&str; 8] = [
    "customer",
    "contact",
    "complainant",
    "complainant_type",
    "occur_time",
    "product",
    "order_reference",
    "shop",
];

pub(super) async fn correct(
    grpc: &Grpc,
    request: Request<pb::CorrectTicketRequest>,
) -> Result<Response<pb::Ticket>, Status> {
    const METHOD: &str = "kefu.ticket.v1.TicketService/CorrectTicket";
    let context = RequestContext::of(&request);
    let mut message = request.into_inner();
    let request_id = std::mem::take(&mut message.request_id);
    let mut violations = context.violations();
    let call = Call::of(&context, &mut violations, METHOD, &request_id, &message);
    let mask = Mask::decode(&mut violations, message.update_mask.take(), &CHANGEABLE);
    let reason = text(&mut violations, "reason", &message.reason, values::REASON);
    let decoded = violations.required("ticket", message.ticket.as_ref()).and_then(|ticket| {
        let (id, etag, correction) = violations.within("ticket", |violations| {
            let id = violations.resource_id("name", &ticket.name, "tickets");
            if ticket.etag.is_empty() {
                let fault = "is required: a correction is of what was seen";
                violations.add("etag", Fault::new("REQUIRED", fault, "更正时必须提供 etag"));
            }
            let etag = violations.etag("etag", &ticket.etag);
            (id, etag, decode(violations, ticket, &mask))
        });
        if correction == Correction::default() {
            let fault = Fault::new("REQUIRED", "names nothing to correct", "未指明要更正的内容");
            violations.add("update_mask", fault);
        }
        Some((id?, etag?, correction))
    });
    let ((id, etag, correction), reason) = violations.finish(decoded.zip(reason))?;
    let correction = Correction { reason, ..correction };
    let answer = grpc.app.correct_ticket(&call, id, etag, correction).await;
    answer.map(Response::new).map_err(|error| status(&context, error))
}

/// The fields that `mask` wants; those that are wrong stay, and are named.
fn decode(violations: &mut Violations, ticket: &pb::Ticket, mask: &Mask) -> Correction {
    let mut line = |field: &str, value: &str, rule: TextRule| {
        let is_set = !value.is_empty();
        let text = mask.take(field, is_set, || Some(violations.text(field, value, rule)));
        match text {
            None => Fix::Keep,
            Some(text) if text.is_empty() => Fix::Empty,
            Some(text) => Fix::To(text),
        }
    };
    let complainant = line("complainant", &ticket.complainant, values::COMPLAINANT);
    let complainant_type = line("complainant_type", &ticket.complainant_type, values::CODE);
    let product = line("product", &ticket.product, values::LINE);
    let order_reference = line("order_reference", &ticket.order_reference, values::LINE);
    let shop = line("shop", &ticket.shop, values::LINE);
    let occurred_at = mask.take("occur_time", ticket.occur_time.is_some(), || {
        let at = violations.optional_time("occur_time", ticket.occur_time)?;
        Some(at.map_or(Fix::Empty, Fix::To))
    });
    let customer = mask.take("customer", !ticket.customer.is_empty(), || {
        let id = values::optional_id(violations, "customer", &ticket.customer, "customers")?;
        Some(id.map_or(Fix::Empty, Fix::To))
    });
    let contact = mask.take("contact", !ticket.contact.is_empty(), || {
        if ticket.contact.is_empty() {
            return Some(Fix::Empty);
        }
        contact(violations, &ticket.contact).map(Fix::To)
    });
    Correction {
        reason: String::new(),
        customer: customer.unwrap_or_default(),
        contact: contact.unwrap_or_default(),
        complainant,
        complainant_type,
        occurred_at: occurred_at.unwrap_or_default(),
        product,
        order_reference,
        shop,
        grade: Fix::Keep,
        unknown: Vec::new(),
    }
}

/// A contact behind the customer whose it is.
fn contact(violations: &mut Violations, name: &str) -> Option<(Uuid, Uuid)> {
    let Some((owner, _)) = name.split_once("/contacts/") else {
        violations.add(
            "contact",
            Fault::malformed(
                "a name of the form customers/UUID/contacts/UUID",
                "形如 customers/UUID/contacts/UUID 的名称",
            ),
        );
        return None;
    };
    let customer = violations.resource_id("contact", owner, "customers")?;
    let contact = violations.resource_id("contact", name, &format!("{owner}/contacts"))?;
    Some((customer, contact))
}
