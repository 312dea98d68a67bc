//! Table `escalation`.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::read;
use super::ticket::level;
use crate::domain::Escalation;

/// A row as `ticket_get.sql` reads it: cause, from level, to level, cycle, reason, escalated at.
pub(crate) type EscalationRecord = (String, i16, i16, i32, String, Timestamp);

pub(super) fn escalation(record: EscalationRecord) -> Result<Escalation, StoreError> {
    let (cause, from, to, cycle, reason, at) = record;
    Ok(Escalation {
        cause: read("escalation.cause", cause.parse())?,
        from: level("escalation.from_level", from)?,
        to: level("escalation.to_level", to)?,
        cycle: read("escalation.cycle", u32::try_from(cycle))?,
        reason,
        at: at.to_jiff(),
    })
}

/// Puts a handling form on record, at its place among those of its ticket.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    ticket: Uuid,
    customer: Option<Uuid>,
    position: usize,
    escalation: &Escalation,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO escalation
             (ticket_id, position, customer_id, cause, from_level, to_level, cycle, reason, escalated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        ticket,
        read("escalation.position", i16::try_from(position))?,
        customer,
        escalation.cause.code(),
        i16::from(escalation.from.number()),
        i16::from(escalation.to.number()),
        read("escalation.cycle", i32::try_from(escalation.cycle))?,
        escalation.reason,
        escalation.at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}
