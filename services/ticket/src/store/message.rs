//! Table `message`: what was said to the customer.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::read;
use crate::domain::Ticket;

/// What a message was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// An answer on the way.
    Answer,
    /// The result.
    Result,
}

/// Something that was said.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) id: Uuid,
    pub(crate) purpose: Purpose,
    pub(crate) body: &'a str,
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
    let purpose = match message.purpose {
        Purpose::Answer => "answer",
        Purpose::Result => "result",
    };
    sqlx::query!(
        "INSERT INTO message (id, ticket_id, customer_id, cycle, purpose, body, sent_at, sent_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        message.id,
        ticket.id,
        customer,
        read("message.cycle", i32::try_from(ticket.cycle))?,
        purpose,
        message.body,
        message.sent_at.to_sqlx() as _,
        message.sent_by,
        message.created_at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}
