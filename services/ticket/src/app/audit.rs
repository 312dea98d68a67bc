//! What the audit trail says of a change: the fields that changed, before and after.

use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::handling_record;
use crate::domain::{Change, ClockEntry, Complainant, State, Ticket, What};
use crate::store::clock::pauses_json;
use crate::store::clock_note::{announcements_json, revisions_json, steps_json};
use crate::store::clock_terms::eras_json;
use crate::store::custom_field::fields_json;
use crate::store::follow_up::follow_up_json;
use crate::store::handling::handling_json;
use crate::store::links::{link_json, links_json};
use crate::store::outbound::outbound_json;

/// The fields of a ticket that a registration sets, but for the number, which only the statement knows.
#[derive(Serialize)]
struct Registered<'a> {
    org_unit: &'a str,
    kind: &'a str,
    channel: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    complainant: Option<&'a str>,
    subject: &'a str,
    description: &'a str,
    category: &'a str,
    product: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    order_reference: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    shop: &'a str,
    tags: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_fields: Option<Value>,
    severity: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_at: Option<jiff::Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount_cents: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    complainant_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_grade: Option<&'a str>,
    priority: &'a str,
    first_contact_owner: &'a str,
    receiver_level: u8,
    cycle: u32,
    state: &'a str,
    policy_version: Uuid,
    clocks: Map<String, Value>,
}

/// All fields of a new ticket but its number, as JSON text.
pub(crate) fn registered(ticket: &Ticket) -> Result<String, serde_json::Error> {
    let (customer, contact, complainant) = parties(&ticket.complainant);
    serde_json::to_string(&Registered {
        org_unit: &ticket.org_unit,
        kind: ticket.kind.code(),
        channel: ticket.channel.code(),
        customer,
        contact,
        complainant,
        subject: &ticket.details.subject,
        description: &ticket.details.description,
        category: &ticket.details.category,
        product: &ticket.details.product,
        order_reference: &ticket.details.order_reference,
        shop: &ticket.details.shop,
        tags: &ticket.details.tags,
        custom_fields: fields_json(&ticket.details.fields),
        severity: ticket.severity.number(),
        occurred_at: ticket.occurred_at,
        amount_cents: ticket.amount.as_ref().map(|amount| amount.cents),
        currency: ticket.amount.as_ref().map(|amount| amount.currency.as_str()),
        complainant_type: ticket.complainant_type.as_deref(),
        customer_grade: ticket.customer_grade.as_deref(),
        priority: ticket.priority.code(),
        first_contact_owner: &ticket.first_contact_owner,
        receiver_level: ticket.receiver_level.number(),
        cycle: ticket.cycle,
        state: ticket.state.name().code(),
        policy_version: ticket.policy_version,
        clocks: clocks(ticket),
    })
}

/// The customer, the contact, the name of whoever is no customer.
fn parties(complainant: &Complainant) -> (Option<Uuid>, Option<Uuid>, Option<&str>) {
    match complainant {
        Complainant::Customer { customer, contact } => (Some(*customer), *contact, None),
        Complainant::Unregistered { name } => (None, None, Some(name.as_str())),
        Complainant::Anonymous => (None, None, None),
    }
}

/// The fields that a change made different, before and after it, and what it put on record beside them.
pub(crate) fn changed(before: &Ticket, after: &Ticket, change: &Change) -> (Value, Value) {
    let after_ticket = after;
    let (mut before, mut after) = (fields(before), fields(after));
    keep_different(&mut before, &mut after);
    if let (Some(Value::Object(b)), Some(Value::Object(a))) =
        (before.get_mut("clocks"), after.get_mut("clocks"))
    {
        keep_different(b, a);
    }
    match &change.what {
        What::Responded { message, overridden, .. }
        | What::ResultFedBack { message, overridden, .. } => {
            after.insert("message".to_owned(), message.as_str().into());
            if !overridden.is_empty() {
                let phrases: Vec<&str> = overridden.iter().map(|phrase| &**phrase).collect();
                after.insert("overridden_phrases".to_owned(), phrases.into());
            }
        }
        What::DelayAnnounced { .. } | What::ReminderDue { told: Ok(_), .. } => {
            if let Some(spoken) = change.spoken() {
                after.insert("message".to_owned(), spoken.message.into());
                if !spoken.overridden.is_empty() {
                    let phrases: Vec<&str> = spoken.overridden.iter().map(|one| &**one).collect();
                    after.insert("overridden_phrases".to_owned(), phrases.into());
                }
            }
        }
        What::ReminderDue { told: Err(why), .. } => {
            after.insert("unsent_reason".to_owned(), why.code().into());
        }
        What::Noted { note } => {
            after.insert("note".to_owned(), note.as_str().into());
        }
        What::Assigned(assignment) => {
            after.insert("assign_cause".to_owned(), assignment.cause.code().into());
            if !assignment.reason.is_empty() {
                after.insert("assign_reason".to_owned(), assignment.reason.as_str().into());
            }
        }
        _ => {}
    }
    if let What::Handling(what) = &change.what {
        handling_record::audit(after_ticket, what, &mut after);
    }
    if let What::Link(what) = &change.what {
        after.insert("link".to_owned(), link_json(what));
    }
    if let What::Corrected(corrected) = &change.what {
        after.insert("correct_reason".to_owned(), corrected.reason.as_str().into());
    }
    if let What::ReopenedAgain(reopening) = &change.what {
        after.insert("reopen_reason".to_owned(), reopening.reason.as_str().into());
    }
    if let What::AnsweredLate(late) = &change.what {
        let answer = json!({
            "value": late.value, "cycle": late.cycle, "comment": late.comment, "dissatisfied": late.dissatisfied,
        });
        after.insert("late_answer".to_owned(), answer);
    }
    if let What::Assessed { reason, .. } = &change.what {
        after.insert("assess_reason".to_owned(), reason.as_str().into());
    }
    if let What::Recomputed { cause, reason, .. } = &change.what {
        after.insert("recompute_cause".to_owned(), cause.code().into());
        after.insert("recompute_reason".to_owned(), reason.as_str().into());
    }
    if let What::ClockBreached { notify, .. } = &change.what {
        after.insert("notify_level".to_owned(), notify.number().into());
    }
    if let What::ClockEscalated { step, notify, .. } = &change.what {
        after.insert("step".to_owned(), (&**step).into());
        after.insert("notify_level".to_owned(), notify.map(|level| level.number()).into());
    }
    if let Some(verdict) = change.verdict() {
        let verdict = json!({
            "value": verdict.value, "cycle": verdict.cycle, "source": verdict.source.code(),
            "recorded_by": &*verdict.recorded_by, "comment": verdict.comment,
            "given_at": verdict.given_at.to_string(),
        });
        after.insert("verdict".to_owned(), verdict);
    }
    if let Some(escalation) = change.escalation() {
        let escalation = json!({
            "cause": escalation.cause.code(), "from_level": escalation.from.number(),
            "to_level": escalation.to.number(), "cycle": escalation.cycle, "reason": escalation.reason,
        });
        after.insert("escalation".to_owned(), escalation);
    }
    if let Some(violation) = change.violation() {
        let violation = json!({
            "code": violation.code, "staff": &*violation.staff, "evidence": violation.evidence,
            "amount_cents": violation.amount_cents, "currency": violation.currency,
        });
        after.insert("violation".to_owned(), violation);
    }
    (Value::Object(before), Value::Object(after))
}

/// What was different before or after.
fn keep_different(before: &mut Map<String, Value>, after: &mut Map<String, Value>) {
    let same: Vec<String> = before
        .iter()
        .filter(|(field, value)| after.get(*field) == Some(*value))
        .map(|(field, _)| field.clone())
        .collect();
    for field in same {
        before.remove(&field);
        after.remove(&field);
    }
}

/// Everything about a ticket that can change.
fn fields(ticket: &Ticket) -> Map<String, Value> {
    let (reason, by) = match &ticket.state {
        State::Waiting { reason, .. } => (Some(reason), None),
        State::ResultFedBack { by, .. } => (None, Some(by)),
        State::Cancelled { reason, by, .. } => (Some(reason), Some(by)),
        State::Merged(merged) => (Some(&merged.reason), Some(&merged.by)),
        _ => (None, None),
    };
    let solution = ticket.solution();
    let details = &ticket.details;
    let (customer, contact, complainant) = parties(&ticket.complainant);
    let values = [
        ("customer", customer.map(|id| id.to_string()).into()),
        ("contact", contact.map(|id| id.to_string()).into()),
        ("complainant", complainant.into()),
        ("complainant_type", ticket.complainant_type.as_deref().into()),
        ("customer_grade", ticket.customer_grade.as_deref().into()),
        ("occurred_at", time(ticket.occurred_at)),
        ("subject", details.subject.as_str().into()),
        ("description", details.description.as_str().into()),
        ("category", details.category.as_str().into()),
        ("product", details.product.as_str().into()),
        ("order_reference", details.order_reference.as_str().into()),
        ("shop", details.shop.as_str().into()),
        ("tags", details.tags.as_slice().into()),
        ("custom_fields", fields_json(&details.fields).into()),
        ("org_unit", ticket.org_unit.as_str().into()),
        ("promise_version", ticket.promise_version().to_string().into()),
        ("severity", ticket.severity.number().into()),
        ("outbound", outbound_json(&ticket.outbound).into()),
        ("handling", handling_json(&ticket.handling).ok().flatten().unwrap_or_default()),
        ("priority", ticket.priority.code().into()),
        ("follow_up", ticket.state.follow_up().map(follow_up_json).into()),
        ("team", ticket.team.map(|team| team.to_string()).into()),
        ("owner", ticket.owner.as_deref().into()),
        ("distribution", ticket.distribution.map(|by| by.code()).into()),
        ("handler", ticket.handler.as_deref().into()),
        ("receiver_level", ticket.receiver_level.number().into()),
        ("cycle", ticket.cycle.into()),
        ("state", ticket.state.name().code().into()),
        ("state_reason", reason.map(String::as_str).into()),
        ("state_by", by.map(|by| &**by).into()),
        ("solution", solution.map(|solution| solution.text.as_str()).into()),
        ("solved_by", solution.map(|solution| &*solution.by).into()),
        ("first_responded_at", time(ticket.first_response_at)),
        ("resolved_at", time(solution.map(|solution| solution.at))),
        ("links", links_json(ticket).unwrap_or_default()),
        ("clocks", Value::Object(clocks(ticket))),
    ];
    values.into_iter().map(|(field, value)| (field.to_owned(), value)).collect()
}

/// The ledger by rule, cycle and, from the second on, round, e.g. `first-response/1`, `progress/1/2`.
fn clocks(ticket: &Ticket) -> Map<String, Value> {
    let entry = |clock: &ClockEntry| {
        let mut fields = Map::new();
        let mut add = |field: &str, value: Value| {
            if !value.is_null() {
                fields.insert(field.to_owned(), value);
            }
        };
        add("state", clock.state().code().into());
        add("started_at", time(Some(clock.timeline.started())));
        add("due_at", time(clock.due));
        add("warned_at", time(clock.warned_at));
        add("breached_at", time(clock.breached_at));
        add("answerable", clock.answerable.as_deref().into());
        add("fulfilled_at", time(clock.fulfilled.as_ref().map(|fulfilled| fulfilled.at)));
        add("fulfilled_by", clock.fulfilled.as_ref().map(|fulfilled| &*fulfilled.by).into());
        add("cancelled_at", time(clock.cancelled_at));
        add("pauses", pauses_json(clock.timeline.pauses()).unwrap_or_default());
        add("steps", steps_json(&clock.steps).unwrap_or_default());
        add("announcements", announcements_json(clock).unwrap_or_default());
        add("revisions", revisions_json(clock).unwrap_or_default());
        add("policy_version", clock.terms.version().map(|version| version.to_string()).into());
        add("eras", eras_json(clock).unwrap_or_default());
        let name = match clock.round {
            1 => format!("{}/{}", clock.rule, clock.cycle),
            round => format!("{}/{}/{round}", clock.rule, clock.cycle),
        };
        (name, Value::Object(fields))
    };
    ticket.clocks.iter().map(entry).collect()
}

fn time(at: Option<jiff::Timestamp>) -> Value {
    at.map(|at| at.to_string()).into()
}
