//! What a change of the handling puts on record beside the ticket's row and the journal (T-10 to T-15), and what the audit
//! trail says of it.

use kefu_clock::IdSource;
use serde_json::{Map, Value, json};
use sqlx::PgConnection;

use super::{Error, change::customer_of};
use crate::domain::{Change, HandlingChange, Ticket};
use crate::store;
use crate::store::handling_record::Content;

/// Writes what hangs in tables of its own. `ticket` is as the change left it.
pub(super) async fn save(
    conn: &mut PgConnection,
    ids: &IdSource,
    ticket: &Ticket,
    change: &Change,
    what: &HandlingChange,
) -> Result<(), Error> {
    let customer = customer_of(ticket);
    let by = change.actor.subject();
    let at = change.effective_at;
    if let Some(content) = Content::of(ticket, what) {
        let about = (ticket, customer);
        store::handling_record::insert(conn, ids.uuid(), about, &content, (&by, at)).await?;
    }
    match what {
        HandlingChange::Sent(transfer) => {
            store::transfer::insert(conn, ticket.id, customer, transfer).await?;
        }
        HandlingChange::Accepted { transfer, message, .. } => {
            let end = (&*by, at, message.as_str());
            store::transfer::end(conn, ticket.id, transfer, "accepted", end).await?;
            store::plan::hand_over(conn, ticket).await?;
            store::delivery::hand_over(conn, ticket).await?;
            store::corrective_action::hand_over(conn, ticket).await?;
        }
        HandlingChange::Returned { transfer, reason } => {
            let end = (&*by, at, reason.as_str());
            store::transfer::end(conn, ticket.id, transfer, "returned", end).await?;
        }
        HandlingChange::Withdrawn { transfer, reason } => {
            let end = (&*by, at, reason.as_str());
            store::transfer::end(conn, ticket.id, transfer, "withdrawn", end).await?;
        }
        HandlingChange::Planned { version, items, .. } => {
            store::plan::insert(conn, ticket, customer, *version, items).await?;
        }
        HandlingChange::ItemDone { item } => {
            if let Some(plan) = &ticket.handling.plan {
                let which = (plan.version, *item);
                store::plan::done(conn, ticket.id, which, (&by, at)).await?;
            }
        }
        HandlingChange::SupervisionEnded { supervision, .. } => {
            store::supervision::save(conn, ticket, customer, supervision, Some(at)).await?;
        }
        _ => {}
    }
    // Its row follows the ticket, to another org unit as well.
    if let Some(supervision) = &ticket.handling.supervision {
        store::supervision::save(conn, ticket, customer, supervision, None).await?;
    }
    Ok(())
}

/// What the audit trail says beside the fields that changed.
pub(super) fn audit(ticket: &Ticket, what: &HandlingChange, after: &mut Map<String, Value>) {
    let mut add = |field: &str, value: Value| _ = after.insert(field.to_owned(), value);
    if let Some(record) = Content::of(ticket, what).and_then(|content| content.json().ok()) {
        add("record", record);
    }
    match what {
        HandlingChange::Accepted { message, overridden, .. } => {
            add("message", message.as_str().into());
            if !overridden.is_empty() {
                let phrases: Vec<&str> = overridden.iter().map(|phrase| &**phrase).collect();
                add("overridden_phrases", phrases.into());
            }
        }
        HandlingChange::Returned { reason, .. } | HandlingChange::Withdrawn { reason, .. } => {
            add("transfer_reason", reason.as_str().into());
        }
        HandlingChange::Planned { items, .. } => {
            let items = items.iter().map(
                |item| json!({ "who": item.who, "what": item.what, "due": item.due.to_string() }),
            );
            add("plan_items", items.collect());
        }
        HandlingChange::ItemDone { item } => add("plan_item", (*item).into()),
        HandlingChange::Reported { criterion, .. } => add("criterion", criterion.as_str().into()),
        _ => {}
    }
}
