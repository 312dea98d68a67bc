//! What is due of corrective actions, suggestions, shifts and processes: one look at four tables.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::PgPool;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::read;
use crate::domain::Due;

/// What is due at `now` but for `skip`, the longest due first, with the time at which it was due.
pub(crate) async fn due(
    pool: &PgPool,
    now: jiff::Timestamp,
    skip: &[Uuid],
    limit: i64,
) -> Result<Vec<(Due, Uuid, jiff::Timestamp)>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT what AS "what!", id AS "id!", at AS "at!: Timestamp"
           FROM (
               (SELECT 'corrective_action' AS what, id, next_fire_at AS at FROM corrective_action
                WHERE next_fire_at <= $1 AND id <> ALL ($2::uuid[]) ORDER BY next_fire_at LIMIT $3)
               UNION ALL
               (SELECT 'suggestion', id, next_fire_at FROM suggestion
                WHERE next_fire_at <= $1 AND id <> ALL ($2::uuid[]) ORDER BY next_fire_at LIMIT $3)
               UNION ALL
               (SELECT 'shift', id, next_fire_at FROM shift
                WHERE next_fire_at <= $1 AND id <> ALL ($2::uuid[]) ORDER BY next_fire_at LIMIT $3)
               UNION ALL
               (SELECT 'process', id, next_fire_at FROM process
                WHERE next_fire_at <= $1 AND id <> ALL ($2::uuid[]) ORDER BY next_fire_at LIMIT $3)
           ) AS due
           ORDER BY at LIMIT $3"#,
        now.to_sqlx() as _,
        skip,
        limit,
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| Ok((read("what", row.what.parse())?, row.id, row.at.to_jiff())))
        .collect()
}

/// When the next of them is due.
pub(crate) async fn next_due(
    pool: &PgPool,
    skip: &[Uuid],
) -> Result<Option<jiff::Timestamp>, StoreError> {
    let at = sqlx::query_scalar!(
        r#"SELECT least(
               (SELECT min(next_fire_at) FROM corrective_action WHERE next_fire_at IS NOT NULL AND id <> ALL ($1::uuid[])),
               (SELECT min(next_fire_at) FROM suggestion WHERE next_fire_at IS NOT NULL AND id <> ALL ($1::uuid[])),
               (SELECT min(next_fire_at) FROM shift WHERE next_fire_at IS NOT NULL AND id <> ALL ($1::uuid[])),
               (SELECT min(next_fire_at) FROM process WHERE next_fire_at IS NOT NULL AND id <> ALL ($1::uuid[]))
           ) AS "at: Timestamp""#,
        skip,
    )
    .fetch_one(pool)
    .await?;
    Ok(at.map(Timestamp::to_jiff))
}
