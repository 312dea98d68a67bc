//! Table `message`: what was said to the customer.

use std::sync::Arc;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::read;
use crate::domain::{DeliveryState, MessagePurpose, Ticket};

/// Something that was said.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) id: Uuid,
    pub(crate) purpose: MessagePurpose,
    pub(crate) body: &'a str,
    pub(crate) overridden: &'a [Arc<str>],
    pub(crate) sent_at: Timestamp,
    pub(crate) sent_by: &'a str,
    pub(crate) created_at: Timestamp,
}

/// Puts a message of the ticket's present cycle on record.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    ticket: &Ticket,
    customer: Option<Uuid>,
    message: &Message<'_>,
) -> Result<(), StoreError> {
    let overridden: Vec<&str> = message.overridden.iter().map(|phrase| &**phrase).collect();
    sqlx::query!(
        "INSERT INTO message
             (id, ticket_id, customer_id, cycle, purpose, body, overridden_phrases, sent_at, sent_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        message.id,
        ticket.id,
        customer,
        read("message.cycle", i32::try_from(ticket.cycle))?,
        message.purpose.code(),
        message.body,
        &overridden as _,
        message.sent_at.to_sqlx() as _,
        message.sent_by,
        message.created_at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A message as it is stored.
#[derive(Debug)]
pub(crate) struct MessageRow {
    pub(crate) id: Uuid,
    pub(crate) cycle: i32,
    pub(crate) purpose: String,
    pub(crate) body: String,
    pub(crate) overridden_phrases: Vec<String>,
    pub(crate) sent_at: jiff_sqlx::Timestamp,
    pub(crate) sent_by: String,
    pub(crate) created_at: jiff_sqlx::Timestamp,
    pub(crate) delivery_id: Option<Uuid>,
    pub(crate) delivery_state: Option<String>,
}

impl MessageRow {
    /// The delivery that carries it, and where that stands.
    pub(crate) fn delivery(&self) -> Result<Option<(Uuid, DeliveryState)>, StoreError> {
        let stands = |state: &str| read("delivery.state", state.parse());
        let state = self.delivery_state.as_deref().map(stands).transpose()?;
        Ok(self.delivery_id.zip(state))
    }

    /// What it was for.
    pub(crate) fn purpose(&self) -> Result<MessagePurpose, StoreError> {
        read("message.purpose", self.purpose.parse())
    }
}

/// The messages of a ticket after one of them, oldest first by when they were sent.
pub(crate) async fn list(
    conn: &mut PgConnection,
    ticket: Uuid,
    after: Option<(Timestamp, Uuid)>,
    limit: i64,
) -> Result<Vec<MessageRow>, StoreError> {
    let (at, id) = after.unzip();
    Ok(sqlx::query_as!(
        MessageRow,
        r#"SELECT message.id, message.cycle, message.purpose, message.body, message.overridden_phrases,
                  message.sent_at AS "sent_at: jiff_sqlx::Timestamp", message.sent_by,
                  message.created_at AS "created_at: jiff_sqlx::Timestamp", delivery.id AS "delivery_id?",
                  delivery.state AS "delivery_state?"
           FROM message LEFT JOIN delivery ON delivery.message_id = message.id
           WHERE message.ticket_id = $1 AND ($2::timestamptz IS NULL OR (message.sent_at, message.id) > ($2, $3::uuid))
           ORDER BY message.sent_at, message.id
           LIMIT $4"#,
        ticket,
        at.map(|at| at.to_sqlx()) as _,
        id as _,
        limit,
    )
    .fetch_all(conn)
    .await?)
}
