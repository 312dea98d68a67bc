//! Table `ticket_merge`: which ticket was merged into which (T-04).

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::links::{promises, promises_json};
use super::read;
use crate::domain::{MAX_CHAIN, OtherMerge, TakenPromise};

/// A merge.
#[derive(Debug)]
pub(crate) struct NewMerge<'a> {
    pub(crate) source: Uuid,
    pub(crate) target: Uuid,
    pub(crate) customer: Option<Uuid>,
    pub(crate) height: i16,
    pub(crate) reason: &'a str,
    pub(crate) by: &'a str,
    pub(crate) at: Timestamp,
    pub(crate) promises: &'a [TakenPromise],
}

/// How long the longest chain would be that leads through a merge of this ticket.
pub(crate) async fn height(conn: &mut PgConnection, source: Uuid) -> Result<i16, StoreError> {
    let longest = sqlx::query_scalar!(
        "SELECT height FROM ticket_merge WHERE target_id = $1 AND undone_at IS NULL ORDER BY height DESC LIMIT 1",
        source
    )
    .fetch_optional(conn)
    .await?;
    Ok(longest.unwrap_or(0) + 1)
}

/// Puts a merge on record, of tickets that this transaction has locked.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    merge: &NewMerge<'_>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO ticket_merge
             (source_id, number, target_id, customer_id, height, reason, merged_by, merged_at, promises)
         SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6, $7, $8 FROM ticket_merge WHERE source_id = $1",
        merge.source,
        merge.target,
        merge.customer as _,
        merge.height,
        merge.reason,
        merge.by,
        merge.at.to_sqlx() as _,
        promises_json(merge.promises),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What is merged into a ticket, with what that took over of each.
pub(crate) async fn present(
    conn: &mut PgConnection,
    target: Uuid,
) -> Result<Vec<OtherMerge>, StoreError> {
    let rows = sqlx::query!(
        "SELECT source_id, promises FROM ticket_merge WHERE target_id = $1 AND undone_at IS NULL
         ORDER BY merged_at, source_id",
        target
    )
    .fetch_all(conn)
    .await?;
    let merge = |source, stored| Ok(OtherMerge { source, promises: promises(stored)? });
    rows.iter().map(|row| merge(row.source_id, &row.promises)).collect()
}

/// Writes what is taken over of a merged ticket from now on.
pub(crate) async fn take(conn: &mut PgConnection, merge: &OtherMerge) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE ticket_merge SET promises = $2 WHERE source_id = $1 AND undone_at IS NULL",
        merge.source,
        promises_json(&merge.promises),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Puts on record that it was undone.
pub(crate) async fn undo(
    conn: &mut PgConnection,
    source: Uuid,
    (by, at, reason): (&str, Timestamp, &str),
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE ticket_merge SET undone_by = $2, undone_at = $3, undo_reason = $4
         WHERE source_id = $1 AND undone_at IS NULL",
        source,
        by,
        at.to_sqlx() as _,
        reason,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Where the chain of merges ends that begins with this ticket.
pub(crate) async fn survivor(conn: &mut PgConnection, ticket: Uuid) -> Result<Uuid, StoreError> {
    Ok(chain(conn, ticket).await?.pop().unwrap_or(ticket))
}

/// The chain of merges that begins with this ticket, itself first: one statement, no longer than the longest chain.
pub(crate) async fn chain(conn: &mut PgConnection, ticket: Uuid) -> Result<Vec<Uuid>, StoreError> {
    let most = read("ticket_merge.height", i32::try_from(MAX_CHAIN))?;
    Ok(sqlx::query_scalar!(
        r#"WITH RECURSIVE chain (id, step) AS (
               SELECT $1::uuid, 0
               UNION ALL
               SELECT merge.target_id, chain.step + 1
               FROM chain JOIN ticket_merge AS merge ON merge.source_id = chain.id AND merge.undone_at IS NULL
               WHERE chain.step < $2
           )
           SELECT id AS "id!" FROM chain ORDER BY step"#,
        ticket,
        most,
    )
    .fetch_all(conn)
    .await?)
}

/// A merge as it is stored.
#[derive(Debug)]
pub(crate) struct MergeRow {
    pub(crate) source_id: Uuid,
    pub(crate) number: i32,
    pub(crate) target_id: Uuid,
    pub(crate) reason: String,
    pub(crate) merged_by: String,
    pub(crate) merged_at: jiff_sqlx::Timestamp,
    pub(crate) undone_by: Option<String>,
    pub(crate) undone_at: Option<jiff_sqlx::Timestamp>,
    pub(crate) undo_reason: Option<String>,
}

/// Where a page of them ends.
pub(crate) type Cursor = (Timestamp, Uuid, i32);

/// What was merged into a ticket before one of them, newest first.
pub(crate) async fn list(
    conn: &mut PgConnection,
    target: Uuid,
    before: Option<Cursor>,
    limit: i64,
) -> Result<Vec<MergeRow>, StoreError> {
    let (at, source, number) = match before {
        Some((at, source, number)) => (Some(at.to_sqlx()), Some(source), Some(number)),
        None => (None, None, None),
    };
    Ok(sqlx::query_as!(
        MergeRow,
        r#"SELECT source_id, number, target_id, reason, merged_by, merged_at AS "merged_at: jiff_sqlx::Timestamp",
                  undone_by, undone_at AS "undone_at: jiff_sqlx::Timestamp", undo_reason
           FROM ticket_merge
           WHERE target_id = $1
             AND ($2::timestamptz IS NULL OR (merged_at, source_id, number) < ($2, $3::uuid, $4::integer))
           ORDER BY merged_at DESC, source_id DESC, number DESC
           LIMIT $5"#,
        target,
        at as _,
        source as _,
        number as _,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// Whether there is anything left to do of work orders for a ticket.
pub(crate) async fn running_orders(
    conn: &mut PgConnection,
    ticket: Uuid,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM work_order
               WHERE ticket_id = $1 AND state NOT IN ('archived', 'voided', 'called_back')) AS "runs!""#,
        ticket
    )
    .fetch_one(conn)
    .await?)
}
