//! Table `request`.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use kefu_postgres::StoreError;

use crate::requests::RequestKey;

/// The most rows that one statement deletes, so that pruning never holds many locks for long.
const PRUNE_BATCH: i64 = 5_000;

pub(crate) struct Stored {
    pub(crate) method: String,
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) response: Option<Vec<u8>>,
}

/// Whether the row is new.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    key: &RequestKey<'_>,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query!(
        "INSERT INTO request (caller, request_id, method, fingerprint) VALUES ($1, $2, $3, $4)
         ON CONFLICT (caller, request_id) DO NOTHING",
        key.caller,
        key.request_id,
        key.method,
        &key.fingerprint[..],
    )
    .execute(conn)
    .await?
    .rows_affected();
    Ok(inserted == 1)
}

pub(crate) async fn find(
    conn: &mut PgConnection,
    key: &RequestKey<'_>,
) -> Result<Option<Stored>, StoreError> {
    Ok(sqlx::query_as!(
        Stored,
        "SELECT method, fingerprint, response FROM request WHERE caller = $1 AND request_id = $2",
        key.caller,
        key.request_id,
    )
    .fetch_optional(conn)
    .await?)
}

/// Whether there was a claimed row to complete.
pub(crate) async fn set_response(
    conn: &mut PgConnection,
    key: &RequestKey<'_>,
    response: &[u8],
) -> Result<bool, StoreError> {
    let updated = sqlx::query!(
        "UPDATE request SET response = $3
         WHERE caller = $1 AND request_id = $2 AND response IS NULL",
        key.caller,
        key.request_id,
        response,
    )
    .execute(conn)
    .await?
    .rows_affected();
    Ok(updated == 1)
}

pub(crate) async fn prune(pool: &PgPool, older_than: Duration) -> Result<u64, StoreError> {
    let mut total = 0;
    loop {
        let deleted = sqlx::query!(
            "DELETE FROM request WHERE (caller, request_id) IN (
                 SELECT caller, request_id FROM request
                 WHERE created_at < now() - make_interval(secs => $1) LIMIT $2)",
            older_than.as_secs_f64(),
            PRUNE_BATCH,
        )
        .execute(pool)
        .await?
        .rows_affected();
        total += deleted;
        if i64::try_from(deleted).is_ok_and(|rows| rows < PRUNE_BATCH) {
            return Ok(total);
        }
    }
}
