//! Table `feed_cursor`.

use sqlx::{PgConnection, PgPool};

use kefu_postgres::StoreError;

use crate::{Cursor, Position};

/// How far a consumer has come; `None` before its first batch. Makes the row, so that it can be moved by compare-and-set.
pub(crate) async fn load(
    pool: &PgPool,
    consumer: &str,
    source: &str,
) -> Result<Option<Cursor>, StoreError> {
    sqlx::query!(
        "INSERT INTO feed_cursor (consumer, source) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        consumer,
        source,
    )
    .execute(pool)
    .await?;
    let row = sqlx::query!(
        r#"SELECT feed_id, xid::text::bigint AS "xid!", seq FROM feed_cursor
           WHERE consumer = $1 AND source = $2"#,
        consumer,
        source,
    )
    .fetch_one(pool)
    .await?;
    Ok(row.feed_id.map(|feed| Cursor { feed, position: Position { xid: row.xid, seq: row.seq } }))
}

/// Moves the cursor if it still stands at `from`. Waits for a replica that is moving it at this moment. False means that
/// somebody else has moved it.
pub(crate) async fn advance(
    conn: &mut PgConnection,
    consumer: &str,
    source: &str,
    from: Option<Cursor>,
    to: Cursor,
) -> Result<bool, StoreError> {
    let position = from.map_or(Position::START, |cursor| cursor.position);
    let moved = sqlx::query!(
        "UPDATE feed_cursor
         SET feed_id = $3, xid = $4::bigint::text::xid8, seq = $5, updated_at = now()
         WHERE consumer = $1 AND source = $2
           AND feed_id IS NOT DISTINCT FROM $6 AND xid = $7::bigint::text::xid8 AND seq = $8",
        consumer,
        source,
        to.feed,
        to.position.xid,
        to.position.seq,
        from.map(|cursor| cursor.feed) as _,
        position.xid,
        position.seq,
    )
    .execute(conn)
    .await?
    .rows_affected();
    Ok(moved == 1)
}

/// Puts a consumer back before its first batch.
pub(crate) async fn reset(pool: &PgPool, consumer: &str, source: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE feed_cursor SET feed_id = NULL, xid = '0', seq = 0, updated_at = now()
         WHERE consumer = $1 AND source = $2",
        consumer,
        source,
    )
    .execute(pool)
    .await?;
    Ok(())
}
