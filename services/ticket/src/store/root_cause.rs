//! Table `root_cause`.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

/// A root cause on record.
#[derive(Clone, Debug)]
pub(crate) struct RootCause {
    pub(crate) ticket_id: Uuid,
    /// From 1.
    pub(crate) position: i16,
    pub(crate) cause: String,
    pub(crate) method: String,
    pub(crate) finding: String,
    pub(crate) recorded_by: String,
    pub(crate) recorded_at: jiff::Timestamp,
}

/// The position after the last of a ticket that this transaction has locked.
pub(crate) async fn next_position(
    conn: &mut PgConnection,
    ticket: Uuid,
) -> Result<i16, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT (coalesce(max(position), 0) + 1)::smallint AS "position!" FROM root_cause WHERE ticket_id = $1"#,
        ticket
    )
    .fetch_one(conn)
    .await?)
}

/// Puts one on record.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    cause: &RootCause,
    customer: Option<Uuid>,
    org_unit: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO root_cause
             (ticket_id, position, customer_id, org_unit, cause, method, finding, recorded_by, recorded_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        cause.ticket_id,
        cause.position,
        customer,
        org_unit,
        cause.cause,
        cause.method,
        cause.finding,
        cause.recorded_by,
        cause.recorded_at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Those of a ticket, oldest first.
pub(crate) async fn list(
    conn: &mut PgConnection,
    ticket: Uuid,
    limit: i64,
) -> Result<Vec<RootCause>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT ticket_id, position, cause, method, finding, recorded_by, recorded_at AS "recorded_at: Timestamp"
           FROM root_cause WHERE ticket_id = $1 ORDER BY position LIMIT $2"#,
        ticket,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let cause = rows.into_iter().map(|row| RootCause {
        ticket_id: row.ticket_id,
        position: row.position,
        cause: row.cause,
        method: row.method,
        finding: row.finding,
        recorded_by: row.recorded_by,
        recorded_at: row.recorded_at.to_jiff(),
    });
    Ok(cause.collect())
}
