//! What the audit trail says of a work order's change: the fields that changed, before and after.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::domain::{OrderChange, OrderEvent, OrderState, Signature, WorkOrder};

/// All fields of a new order.
pub(super) fn issued(order: &WorkOrder) -> Value {
    let brief = &order.brief;
    let fixed = json!({
        "number": order.number,
        "year": order.year,
        "sequence": order.sequence,
        "dispatch_centre": brief.dispatch_centre,
        "ticket": brief.ticket,
        "customer": order.customer,
        "task": brief.task,
        "requirements": brief.requirements,
        "place": brief.place,
        "reply_by": time(Some(brief.reply_by)),
        "assignee_team": brief.team,
        "issuer": &*order.issuer,
        "policy_version": order.policy_version,
    });
    let mut all = fields(order);
    if let Value::Object(fixed) = fixed {
        all.extend(fixed);
    }
    all.retain(|_, value| !value.is_null());
    Value::Object(all)
}

/// The fields that a change made different, before and after it, and what it put on record beside them.
pub(super) fn changed(
    before: &WorkOrder,
    after: &WorkOrder,
    change: &OrderChange,
) -> (Value, Value) {
    let (mut old, mut new) = (fields(before), fields(after));
    old.retain(|field, value| {
        let same = new.get(field) == Some(value);
        if same {
            new.remove(field);
        }
        !same
    });
    let beside = match &change.what {
        OrderEvent::Reported(progress) => {
            Some(("progress", json!({ "note": progress.note, "next_reply": time(progress.next) })))
        }
        OrderEvent::Reassigned { reason, .. } => {
            Some(("reassignment", json!({ "reason": reason })))
        }
        OrderEvent::Disputed { reason } => Some(("dispute", json!({ "reason": reason }))),
        OrderEvent::DisputeDecided(decision) => {
            Some(("decision", json!({ "outcome": decision.outcome.code(), "text": decision.text })))
        }
        OrderEvent::ReplyMissed { due, violation: None }
        | OrderEvent::Refused { due, violation: None } => {
            Some(("missed", json!({ "due": time(Some(*due)) })))
        }
        OrderEvent::ReplyMissed { due, violation: Some(violation) }
        | OrderEvent::Refused { due, violation: Some(violation) } => Some((
            "violation",
            json!({
                "code": violation.code, "staff": &*violation.staff, "evidence": violation.evidence,
                "amount_cents": violation.amount_cents, "currency": violation.currency,
                "due": time(Some(*due)),
            }),
        )),
        _ => None,
    };
    new.extend(beside.map(|(field, value)| (field.to_owned(), value)));
    (Value::Object(old), Value::Object(new))
}

/// Everything about an order that can change.
fn fields(order: &WorkOrder) -> Map<String, Value> {
    let state = &order.state;
    let signed = state.signed_off();
    let called_back = state.called_back();
    let void_reason = match state {
        OrderState::Voided { reason, .. } => Some(reason.as_str()),
        _ => None,
    };
    let signature = signed.map(|signed| match &signed.signature {
        Signature::Image(image) => json!({ "image": image }),
        Signature::Code(code) => json!({ "code": code }),
    });
    let values = [
        ("state", state.name().code().into()),
        ("dispatcher", (&*order.dispatcher).into()),
        ("assignee", order.assignee.as_deref().into()),
        ("accepted_at", time(state.accepted().map(|step| step.at))),
        ("result", state.done().map(|done| done.result.as_str()).into()),
        ("signed_name", signed.map(|signed| signed.customer.as_str()).into()),
        ("signed_at", time(signed.map(|signed| signed.signed_at))),
        ("signature", signature.unwrap_or_default()),
        ("call_back", called_back.map(|back| back.comment.as_str()).into()),
        ("void_reason", void_reason.into()),
        ("next_reply", time(order.due)),
        ("overdue_since", time(order.overdue_since)),
        ("missed_replies", order.missed.into()),
        ("accept_by", time(order.accept_due)),
        ("refused_at", time(order.refused)),
    ];
    values.into_iter().map(|(field, value)| (field.to_owned(), value)).collect()
}

fn time(at: Option<Timestamp>) -> Value {
    at.map(|at| at.to_string()).into()
}
