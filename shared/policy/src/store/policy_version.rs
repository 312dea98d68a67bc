//! Tables `policy_version` and `policy_head`.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use kefu_postgres::StoreError;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::NewVersion;

pub(crate) struct Row {
    pub(crate) seq: i64,
    pub(crate) id: Uuid,
    pub(crate) org_unit: String,
    pub(crate) version: i32,
    pub(crate) effective_at: Timestamp,
    pub(crate) body: Vec<u8>,
    pub(crate) created_at: Timestamp,
    pub(crate) created_by: String,
}

pub(crate) async fn newest_seq(conn: &mut PgConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT coalesce(max(seq), 0) AS "seq!" FROM policy_version"#)
        .fetch_one(conn)
        .await?)
}

pub(crate) async fn after(conn: &mut PgConnection, seq: i64) -> Result<Vec<Row>, StoreError> {
    Ok(sqlx::query_as!(
        Row,
        r#"SELECT seq, id, org_unit, version, effective_at AS "effective_at: Timestamp", body,
                  created_at AS "created_at: Timestamp", created_by
           FROM policy_version WHERE seq > $1 ORDER BY seq"#,
        seq,
    )
    .fetch_all(conn)
    .await?)
}

/// The next seq. Holds the row's lock until the transaction ends, so that versions commit in this order.
pub(crate) async fn advance_head(conn: &mut PgConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!("UPDATE policy_head SET seq = seq + 1 RETURNING seq")
        .fetch_one(conn)
        .await?)
}

/// The version's number. The head's lock is held, so that counting is safe.
pub(crate) async fn insert<M>(
    conn: &mut PgConnection,
    seq: i64,
    new: &NewVersion<'_, M>,
    body: &[u8],
    body_json: &Value,
) -> Result<i32, StoreError> {
    Ok(sqlx::query_scalar!(
        "INSERT INTO policy_version
             (seq, id, org_unit, version, effective_at, body, body_json, created_at, created_by)
         SELECT $1, $2, $3, coalesce(max(version), 0) + 1, $4, $5, $6, $7, $8
         FROM policy_version WHERE org_unit = $3
         RETURNING version",
        seq,
        new.id,
        new.org_unit.as_str(),
        new.effective_at.to_sqlx() as _,
        body,
        body_json,
        new.created_at.to_sqlx() as _,
        new.created_by,
    )
    .fetch_one(conn)
    .await?)
}
