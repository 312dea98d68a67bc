//! What a correction of a ticket changes (T-01).

use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use crate::domain::{Complainant, Ticket};

/// Writes of whom a ticket is that this transaction has locked. What it is about is written with the details.
pub(crate) async fn save(conn: &mut PgConnection, ticket: &Ticket) -> Result<(), StoreError> {
    let (customer, contact, complainant) = match &ticket.complainant {
        Complainant::Customer { customer, contact } => (Some(*customer), *contact, None),
        Complainant::Unregistered { name } => (None, None, Some(name.as_str())),
        Complainant::Anonymous => (None, None, None),
    };
    sqlx::query!(
        "UPDATE ticket SET
             customer_id = $2, contact_id = $3, complainant = $4, complainant_type = $5, occurred_at = $6, customer_grade = $7
         WHERE id = $1",
        ticket.id,
        customer,
        contact,
        complainant,
        ticket.complainant_type.as_deref(),
        ticket.occurred_at.map(|at| at.to_sqlx()) as _,
        ticket.customer_grade.as_deref(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives all that hangs on a ticket, which this transaction has locked, to the customer whose it is. As where a ticket goes to
/// another org unit, the ticket's journal says so; the revisions of what hangs on it stay.
pub(crate) async fn move_records(
    conn: &mut PgConnection,
    ticket: Uuid,
    customer: Option<Uuid>,
) -> Result<(), StoreError> {
    // Whoever is at one of its work orders puts things on record with the customer that the order has: what he has put there is
    // seen by the statement after this one.
    sqlx::query!(
        "SELECT id FROM work_order WHERE ticket_id = $1 ORDER BY id FOR NO KEY UPDATE",
        ticket
    )
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query_file!("src/store/correction_move.sql", ticket, customer).execute(conn).await?;
    Ok(())
}
