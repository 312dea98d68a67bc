//! The journal's rows of one aggregate: the audit trail (X-04).

use jiff_sqlx::Timestamp;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

/// One change.
#[derive(Debug)]
pub(crate) struct HistoryRow {
    pub(crate) revision: i64,
    pub(crate) action: String,
    pub(crate) actor: String,
    pub(crate) origin: String,
    pub(crate) occurred_at: Timestamp,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

/// The changes of a ticket after a revision, oldest first.
pub(crate) async fn list(
    conn: &mut PgConnection,
    ticket: Uuid,
    after: i64,
    limit: i64,
) -> Result<Vec<HistoryRow>, StoreError> {
    Ok(sqlx::query_as!(
        HistoryRow,
        r#"SELECT revision, action, actor, origin, occurred_at AS "occurred_at: Timestamp", before, after
           FROM journal
           WHERE aggregate_type = 'ticket' AND aggregate_id = $1 AND revision > $2
           ORDER BY revision
           LIMIT $3"#,
        ticket,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// Whether the journal knows an aggregate.
pub(crate) async fn exists(
    conn: &mut PgConnection,
    aggregate_type: &str,
    aggregate_id: Uuid,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM journal WHERE aggregate_type = $1 AND aggregate_id = $2) AS "exists!""#,
        aggregate_type,
        aggregate_id,
    )
    .fetch_one(conn)
    .await?)
}
