//! Putting things in the outbox, in the transaction of what caused them (X-01, T-14).

use std::sync::Arc;

use jiff::Timestamp;
use kefu_clock::IdSource;
use kefu_journal::{Entry, Provenance};
use serde_json::{Map, Value, json};
use sqlx::PgConnection;
use tokio::sync::Notify;
use uuid::Uuid;

use super::Error;
use super::change::customer_of;
use crate::domain::{
    Change, ChannelAdapter, Delivery, DeliveryContent, DeliveryState, Dispatch, Subject, Ticket,
};
use crate::encode::delivery as encode;
use crate::store;

/// Tells the senders of this process that there is something new. Nothing but latency depends on it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct OutboxSignal(Arc<Notify>);

impl OutboxSignal {
    /// There is something new.
    pub fn wake(&self) {
        self.0.notify_waiters();
    }

    /// Waits for that.
    pub(crate) async fn woken(&self) {
        self.0.notified().await;
    }
}

/// What leaves this system because of a ticket.
pub(super) struct Letter {
    pub(super) content: DeliveryContent,
    pub(super) message: Option<Uuid>,
    pub(super) rule: Option<String>,
    pub(super) recipient: String,
    pub(super) body: Option<String>,
}

/// A letter as a delivery that is due at once.
pub(super) fn delivery(
    id: Uuid,
    ticket: &Ticket,
    adapter: &ChannelAdapter,
    letter: Letter,
    (by, at): (Subject, Timestamp),
) -> Delivery {
    Delivery {
        id,
        revision: 1,
        ticket: ticket.id,
        customer: customer_of(ticket),
        org_unit: ticket.org_unit.clone(),
        message: letter.message,
        content: letter.content,
        rule: letter.rule,
        adapter: adapter.code.to_string(),
        kind: adapter.kind,
        recipient: letter.recipient,
        subject: format!("[{}] {}", ticket.number, ticket.details.subject),
        body: letter.body,
        state: DeliveryState::Pending,
        attempts: 0,
        allowed_attempts: adapter.patience.attempts,
        patience: adapter.patience,
        next_attempt_at: Some(at),
        last_error: None,
        provider_id: None,
        sent_at: None,
        created_by: by,
        created_at: at,
        updated_at: at,
    }
}

/// The delivery of a message to the customer.
pub(super) fn message(
    id: Uuid,
    ticket: &Ticket,
    message: Uuid,
    dispatch: &Dispatch,
    change: &Change,
) -> Delivery {
    let letter = Letter {
        content: DeliveryContent::Message,
        message: Some(message),
        rule: None,
        recipient: dispatch.recipient.clone(),
        body: None,
    };
    delivery(id, ticket, &dispatch.adapter, letter, (change.actor.subject(), change.at))
}

/// Puts it in the outbox, and on record.
pub(super) async fn put(
    conn: &mut PgConnection,
    ids: &IdSource,
    by: &Provenance,
    delivery: &Delivery,
) -> Result<(), Error> {
    store::delivery::insert(conn, delivery).await?;
    let after = json!({
        "ticket": delivery.ticket, "message": delivery.message, "content": delivery.content.code(),
        "rule": delivery.rule, "adapter": delivery.adapter, "recipient": delivery.recipient,
        "state": delivery.state.code(),
    });
    let entry = entry(ids, by, delivery, "CreateDelivery", None, after);
    Ok(kefu_journal::append(conn, &[entry]).await?)
}

/// Writes what became of a delivery that this transaction has locked, and what was done.
pub(super) async fn save(
    conn: &mut PgConnection,
    ids: &IdSource,
    by: &Provenance,
    (before, now): (&Delivery, &Delivery),
    (action, note): (&str, Option<&str>),
) -> Result<(), Error> {
    store::delivery::update(conn, now, true).await?;
    let (mut old, mut new) = (fields(before), fields(now));
    let same: Vec<String> = old
        .iter()
        .filter(|(key, value)| new.get(*key) == Some(*value))
        .map(|(k, _)| k.clone())
        .collect();
    for key in same {
        old.remove(&key);
        new.remove(&key);
    }
    if let Some(note) = note {
        new.insert("reason".to_owned(), note.into());
    }
    let mut entry = entry(ids, by, now, action, Some(Value::Object(old)), Value::Object(new));
    // That an attempt failed is nobody else's business as long as there will be another.
    let told = before.state != now.state || action == "RetryDelivery";
    entry.event = told.then(|| encode::event(now));
    Ok(kefu_journal::append(conn, &[entry]).await?)
}

fn entry<'a>(
    ids: &IdSource,
    by: &'a Provenance,
    delivery: &'a Delivery,
    action: &'a str,
    before: Option<Value>,
    after: Value,
) -> Entry<'a> {
    Entry {
        by,
        event_id: ids.uuid(),
        occurred_at: delivery.updated_at,
        aggregate_type: "delivery",
        aggregate_id: delivery.id,
        revision: delivery.revision,
        action,
        org_unit: &delivery.org_unit,
        customer_id: delivery.customer,
        before,
        after: Some(after),
        event: None,
    }
}

fn fields(delivery: &Delivery) -> Map<String, Value> {
    let time = |at: Option<Timestamp>| Value::from(at.map(|at| at.to_string()));
    let values = [
        ("state", delivery.state.code().into()),
        ("attempts", delivery.attempts.into()),
        ("allowed_attempts", delivery.allowed_attempts.into()),
        ("next_attempt_at", time(delivery.next_attempt_at)),
        ("last_error", delivery.last_error.as_deref().into()),
        ("provider_id", delivery.provider_id.as_deref().into()),
        ("sent_at", time(delivery.sent_at)),
    ];
    values.into_iter().map(|(field, value)| (field.to_owned(), value)).collect()
}
