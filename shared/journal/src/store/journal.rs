//! Table `journal`.

use jiff_sqlx::ToSqlx as _;
use sqlx::{Connection as _, PgConnection, PgPool};

use kefu_postgres::StoreError;

use crate::{Entry, Position, Recorded};

pub(crate) async fn insert(
    conn: &mut PgConnection,
    entries: &[Entry<'_>],
) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    /// One array per column; `unnest` makes rows of them.
    macro_rules! column {
        ($value:expr) => {
            entries.iter().map($value).collect::<Vec<_>>()
        };
    }
    sqlx::query_file!(
        "src/store/journal_insert.sql",
        &column!(|e| e.event_id),
        &column!(|e| e.occurred_at.to_sqlx()) as _,
        &column!(|e| e.by.actor.as_str()) as _,
        &column!(|e| e.by.actor_org_unit.as_str()) as _,
        &column!(|e| e.by.origin.as_str()) as _,
        &column!(|e| e.by.request_id.as_str()) as _,
        &column!(|e| e.by.traceparent.as_str()) as _,
        &column!(|e| e.aggregate_type) as _,
        &column!(|e| e.aggregate_id),
        &column!(|e| e.revision),
        &column!(|e| e.action) as _,
        &column!(|e| e.org_unit) as _,
        &column!(|e| e.customer_id) as _,
        &column!(|e| e.before.as_ref()) as _,
        &column!(|e| e.after.as_ref()) as _,
        &column!(|e| e.event.as_ref().map(|event| event.type_name.as_str())) as _,
        &column!(|e| e.event.as_ref().map(|event| event.payload.as_slice())) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Rows after a position, oldest first.
pub(crate) struct Page {
    /// The public events among them.
    pub(crate) events: Vec<Recorded>,
    /// The last row read, with or without an event; the position asked for when there was none.
    pub(crate) end: Position,
    /// Whether the page was full, so that there may be more.
    pub(crate) full: bool,
    /// Whether there are committed rows that become visible without another commit, as soon as an older transaction ends.
    pub(crate) waiting: bool,
}

pub(crate) async fn read_after(
    pool: &PgPool,
    after: Position,
    limit: i64,
) -> Result<Page, StoreError> {
    let rows = sqlx::query_file!("src/store/journal_read.sql", after.xid, after.seq, limit)
        .fetch_all(pool)
        .await?;
    let mut page = Page { events: Vec::new(), end: after, full: false, waiting: false };
    let mut count = 0;
    for row in rows {
        page.waiting = row.waiting;
        // The one row of an empty page has nothing else.
        let Some((xid, seq)) = row.xid.zip(row.seq) else { break };
        page.end = Position { xid, seq };
        count += 1;
        let event = || {
            Some(Recorded {
                position: Position { xid, seq },
                event_id: row.event_id?,
                occurred_at: row.occurred_at?.to_jiff(),
                actor: row.actor?,
                traceparent: row.traceparent?,
                aggregate_type: row.aggregate_type?,
                aggregate_id: row.aggregate_id?,
                revision: row.revision?,
                org_unit: row.org_unit?,
                customer_id: row.customer_id,
                event_type: row.event_type?,
                payload: row.event?.into(),
            })
        };
        page.events.extend(event());
    }
    page.full = count == limit;
    Ok(page)
}

/// Where the journal ends.
pub(crate) struct Ends {
    /// The last committed row.
    pub(crate) committed: Position,
    /// The last row that readers may see: below every running transaction.
    pub(crate) visible: Position,
}

pub(crate) async fn ends(pool: &PgPool) -> Result<Ends, StoreError> {
    let row = sqlx::query_file!("src/store/journal_ends.sql").fetch_one(pool).await?;
    let position = |xid: Option<i64>, seq: Option<i64>| Position {
        xid: xid.unwrap_or_default(),
        seq: seq.unwrap_or_default(),
    };
    Ok(Ends {
        committed: position(row.committed_xid, row.committed_seq),
        visible: position(row.visible_xid, row.visible_seq),
    })
}

/// The highest transaction id that the cluster has given out so far; positions beyond it are from elsewhere.
pub(crate) async fn next_xid(pool: &PgPool) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS "xmax!""#
    )
    .fetch_one(pool)
    .await?)
}

/// Gives rows that another cluster numbered the transaction 0: before all of this one, in the order of insertion.
pub(crate) async fn rebase(conn: &mut PgConnection) -> Result<u64, StoreError> {
    let foreign = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM journal WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())) AS "foreign!""#
    )
    .fetch_one(&mut *conn)
    .await?;
    if !foreign {
        return Ok(0);
    }
    let mut tx = conn.begin().await?;
    // Waits for whoever does the same at the same time, and for all who write.
    sqlx::query!("ALTER TABLE journal DISABLE TRIGGER journal_append_only")
        .execute(&mut *tx)
        .await?;
    // Looks again: what another one has renumbered meanwhile, and was written and read after that, must stay as it is.
    let rows = sqlx::query!(
        "UPDATE journal SET xid = '0'
         WHERE EXISTS (SELECT FROM journal WHERE xid >= pg_snapshot_xmax(pg_current_snapshot()))"
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    sqlx::query!("ALTER TABLE journal ENABLE TRIGGER journal_append_only")
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(rows)
}
