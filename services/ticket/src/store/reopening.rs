//! Table `ticket_reopening`: what was closed and is open again (T-13).

use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::{known, read};
use crate::domain::{Change, Reopening, Ticket};

/// Puts a reopening on record, from the ticket before and after it.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    (closed, open): (&Ticket, &Ticket),
    customer: Option<Uuid>,
    reopening: &Reopening,
    change: &Change,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO ticket_reopening (ticket_id, cycle, customer_id, closed_at, reopened_at, reopened_by, reason)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        open.id,
        read("ticket_reopening.cycle", i32::try_from(closed.cycle))?,
        customer,
        known("ticket_reopening.closed_at", closed.closed_at())?.to_sqlx() as _,
        open.cycle_started_at.to_sqlx() as _,
        &*change.actor.subject(),
        reopening.reason,
    )
    .execute(conn)
    .await?;
    Ok(())
}
