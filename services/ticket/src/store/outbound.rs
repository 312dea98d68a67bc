//! What became of what was said to the customer: column `outbound` of table `ticket`, and the messages of deliveries (T-14).

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::read;
use crate::domain::{Outbound, Ticket, Undelivered};

/// As it is stored. What is not there never was.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Stored {
    #[serde(skip_serializing_if = "Option::is_none")]
    undelivered: Option<StoredUndelivered>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    recipients: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct StoredUndelivered {
    message: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    said_on: Option<Uuid>,
    delivery: Uuid,
    sent_at: Timestamp,
    failed_at: Timestamp,
    cancelled: bool,
}

/// As it is stored; none where nothing was sent.
pub(crate) fn outbound_json(outbound: &Outbound) -> Option<Value> {
    let Outbound { undelivered, recipients } = outbound.clone();
    if undelivered.is_none() && recipients.is_empty() {
        return None;
    }
    let undelivered = undelivered.map(|lost| StoredUndelivered {
        message: lost.message,
        said_on: lost.said_on,
        delivery: lost.delivery,
        sent_at: lost.sent_at,
        failed_at: lost.failed_at,
        cancelled: lost.cancelled,
    });
    // Text and times are always JSON.
    serde_json::to_value(Stored { undelivered, recipients }).ok()
}

pub(super) fn outbound(stored: Option<Value>) -> Result<Outbound, StoreError> {
    let stored = stored.map(serde_json::from_value::<Stored>).transpose();
    let Stored { undelivered, recipients } = read("ticket.outbound", stored)?.unwrap_or_default();
    let undelivered = undelivered.map(|lost| Undelivered {
        message: lost.message,
        said_on: lost.said_on,
        delivery: lost.delivery,
        sent_at: lost.sent_at,
        failed_at: lost.failed_at,
        cancelled: lost.cancelled,
    });
    Ok(Outbound { undelivered, recipients })
}

/// Writes it.
pub(crate) async fn save(conn: &mut PgConnection, ticket: &Ticket) -> Result<(), StoreError> {
    let outbound = outbound_json(&ticket.outbound);
    sqlx::query!("UPDATE ticket SET outbound = $2 WHERE id = $1", ticket.id, outbound)
        .execute(conn)
        .await?;
    Ok(())
}

/// A message that a delivery carries.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) ticket: Uuid,
    pub(crate) message: Uuid,
    pub(crate) sent_at: Timestamp,
}

/// The message that a delivery carries, if it does. Neither of the two ever changes.
pub(crate) async fn carried(
    conn: &mut PgConnection,
    delivery: Uuid,
) -> Result<Option<Carried>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT message.ticket_id, message.id, message.sent_at AS "sent_at: jiff_sqlx::Timestamp"
           FROM delivery JOIN message ON message.id = delivery.message_id WHERE delivery.id = $1"#,
        delivery,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Carried {
        ticket: row.ticket_id,
        message: row.id,
        sent_at: row.sent_at.to_jiff(),
    }))
}

/// The latest message on a ticket whose delivery was given up or cancelled, if there is one.
pub(crate) async fn last_lost(
    conn: &mut PgConnection,
    ticket: Uuid,
) -> Result<Option<Undelivered>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT message.id, message.sent_at AS "sent_at: jiff_sqlx::Timestamp", delivery.id AS delivery,
                  delivery.state = 'cancelled' AS "cancelled!", delivery.updated_at AS "failed_at: jiff_sqlx::Timestamp"
           FROM delivery JOIN message ON message.id = delivery.message_id
           WHERE delivery.ticket_id = $1 AND delivery.state IN ('parked', 'cancelled')
           ORDER BY message.sent_at DESC, message.id DESC LIMIT 1"#,
        ticket,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Undelivered {
        message: row.id,
        said_on: None,
        delivery: row.delivery,
        sent_at: row.sent_at.to_jiff(),
        failed_at: row.failed_at.to_jiff(),
        cancelled: row.cancelled,
    }))
}

/// Whether a message of the ticket is known to have never left.
pub(crate) async fn is_marked(conn: &mut PgConnection, ticket: Uuid) -> Result<bool, StoreError> {
    let marked = sqlx::query_scalar!(
        r#"SELECT outbound -> 'undelivered' IS NOT NULL AS "marked!" FROM ticket WHERE id = $1"#,
        ticket,
    )
    .fetch_optional(conn)
    .await?;
    Ok(marked.unwrap_or(false))
}

/// Whether the customer has heard a later message than this one: one that was taken, or that somebody said himself. Waits for
/// whoever is noting at this moment that a later one was taken, and lets nobody note that before this transaction is over.
pub(crate) async fn is_overtaken(
    conn: &mut PgConnection,
    carried: &Carried,
) -> Result<bool, StoreError> {
    sqlx::query!(
        "SELECT delivery.id FROM delivery JOIN message ON message.id = delivery.message_id
         WHERE message.ticket_id = $1 AND (message.sent_at, message.id) > ($2, $3) AND delivery.state <> 'sent'
         ORDER BY delivery.id FOR SHARE OF delivery",
        carried.ticket,
        carried.sent_at.to_sqlx() as _,
        carried.message,
    )
    .fetch_all(&mut *conn)
    .await?;
    // A statement of its own, which sees what the one before it waited for.
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM message LEFT JOIN delivery ON delivery.message_id = message.id
               WHERE message.ticket_id = $1 AND (message.sent_at, message.id) > ($2, $3)
                 AND (delivery.id IS NULL OR delivery.state = 'sent')
           ) AS "overtaken!""#,
        carried.ticket,
        carried.sent_at.to_sqlx() as _,
        carried.message,
    )
    .fetch_one(conn)
    .await?)
}
