//! Table `transfer`: tickets on their way to a receiver (T-11).

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::read;
use crate::domain::Transfer;

/// Puts a transfer on record.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    ticket: Uuid,
    customer: Option<Uuid>,
    transfer: &Transfer,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO transfer
             (ticket_id, number, customer_id, from_org_unit, to_org_unit, to_team, handover_note, sent_by, sent_at, state)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'pending')",
        ticket,
        read("transfer.number", i32::try_from(transfer.number))?,
        customer,
        transfer.from,
        transfer.to,
        transfer.team,
        transfer.note,
        &*transfer.by,
        transfer.at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Puts on record how it ended: the state, by whom, when, and what was said.
pub(crate) async fn end(
    conn: &mut PgConnection,
    ticket: Uuid,
    transfer: &Transfer,
    state: &str,
    (by, at, note): (&str, jiff::Timestamp, &str),
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE transfer SET state = $3, ended_by = $4, ended_at = $5, end_note = $6
         WHERE ticket_id = $1 AND number = $2 AND state = 'pending'",
        ticket,
        read("transfer.number", i32::try_from(transfer.number))?,
        state,
        by,
        at.to_sqlx() as _,
        note,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A transfer that waits for its receiver.
#[derive(Debug)]
pub(crate) struct IncomingRow {
    pub(crate) ticket_id: Uuid,
    number: i32,
    from_org_unit: String,
    to_org_unit: String,
    to_team: Option<String>,
    handover_note: String,
    sent_by: String,
    pub(crate) sent_at: Timestamp,
}

impl IncomingRow {
    /// What was sent.
    pub(crate) fn transfer(self) -> Result<(Uuid, Transfer), StoreError> {
        let transfer = Transfer {
            number: read("transfer.number", u32::try_from(self.number))?,
            from: self.from_org_unit,
            to: self.to_org_unit,
            team: self.to_team,
            note: self.handover_note,
            by: self.sent_by.into(),
            at: self.sent_at.to_jiff(),
        };
        Ok((self.ticket_id, transfer))
    }
}

/// What waits for a receiver at and below an org unit, longest waiting first. Only what waits is in the index, so the effort
/// depends on that and not on what was ever sent.
pub(crate) async fn incoming(
    conn: &mut PgConnection,
    org_unit: &str,
    after: Option<(jiff::Timestamp, Uuid)>,
    limit: i64,
) -> Result<Vec<IncomingRow>, StoreError> {
    let (at, id) = after.unzip();
    Ok(sqlx::query_as!(
        IncomingRow,
        r#"SELECT ticket_id, number, from_org_unit, to_org_unit, to_team, handover_note, sent_by,
                  sent_at AS "sent_at: Timestamp"
           FROM transfer
           WHERE state = 'pending' AND (to_org_unit = $1 OR (to_org_unit > $1 || '/' AND to_org_unit < $1 || '0'))
             AND ($2::timestamptz IS NULL OR (sent_at, ticket_id) > ($2, $3::uuid))
           ORDER BY sent_at, ticket_id
           LIMIT $4"#,
        org_unit,
        at.map(|at| at.to_sqlx()) as _,
        id as _,
        limit,
    )
    .fetch_all(conn)
    .await?)
}
