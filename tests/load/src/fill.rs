//! Many tickets with all that hangs on them, written by SQL: through the API a million would take hours.
//!
//! The rows are those that the ticket context writes, so that its statements meet the same indexes and sizes. What its
//! workers would make of them is made here by the same statements, and the workers go on from there.

use anyhow::Context as _;
use kefu_ticket::domain::SearchText;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use uuid::Uuid;

use crate::site::{DATABASE, Site};

const TICKETS: &str = include_str!("../sql/tickets.sql");
const QUEUE: &str = include_str!("../../../services/ticket/src/store/queue_refresh.sql");
const TEXTS: &str = include_str!("../../../services/ticket/src/store/search_source.sql");
const DOCUMENTS: &str = include_str!("../../../services/ticket/src/store/search_save.sql");

/// Tickets written by one statement.
const CHUNK: i64 = 20_000;
/// Documents written by one statement.
const DOCUMENT_CHUNK: i64 = 2_000;
/// The index of documents is made at the end: entry by entry it takes ten times as long.
const INDEX: &str = "search_document_token_idx";

/// The name of the ticket with a number from 1.
pub fn name(number: u64) -> String {
    format!("tickets/{}", id(number))
}

fn id(number: u64) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::from(number))
}

/// How many tickets an earlier [`fill`] wrote; none if there was none.
///
/// # Errors
/// When Postgres refuses.
pub async fn filled(site: &Site) -> anyhow::Result<Option<u64>> {
    let mut admin = PgConnection::connect(&site.admin_url(DATABASE)).await?;
    let last: Option<Uuid> =
        sqlx::query_scalar("SELECT id FROM ticket.ticket WHERE id < $1 ORDER BY id DESC LIMIT 1")
            .bind(id(1 << 40))
            .fetch_optional(&mut admin)
            .await?;
    admin.close().await?;
    Ok(last.and_then(|last| u64::try_from(last.as_u128() - id(0).as_u128()).ok()))
}

/// Writes `count` tickets of the org units under the policy that is in force, with five messages, three clocks and four
/// rows of history each, and looks after statistics as autovacuum would.
///
/// # Errors
/// When Postgres refuses.
pub async fn fill(site: &Site, count: i64, org_units: &[String]) -> anyhow::Result<()> {
    let mut admin = PgConnection::connect(&site.admin_url(DATABASE)).await?;
    let conn = &mut admin;
    for setting in [
        "SET search_path = ticket",
        "SET maintenance_work_mem = '1GB'",
        // The rows come in order, each ticket's revisions in one statement.
        "ALTER TABLE journal DISABLE TRIGGER journal_follow_revision",
    ] {
        sqlx::raw_sql(setting).execute(&mut *conn).await?;
    }
    let policy: Uuid =
        sqlx::query_scalar("SELECT id FROM policy_version ORDER BY seq DESC LIMIT 1")
            .fetch_one(&mut *conn)
            .await?;
    let now: String = sqlx::query_scalar("SELECT now()::text").fetch_one(&mut *conn).await?;
    for first in (1..=count).step_by(usize::try_from(CHUNK)?) {
        let last = (first + CHUNK - 1).min(count);
        sqlx::query(TICKETS)
            .bind(first)
            .bind(last)
            .bind(count)
            .bind(&now)
            .bind(org_units)
            .bind(policy)
            .execute(&mut *conn)
            .await
            .with_context(|| format!("tickets {first} to {last}"))?;
        println!("  {last} tickets");
    }
    sqlx::raw_sql("ALTER TABLE journal ENABLE TRIGGER journal_follow_revision")
        .execute(&mut *conn)
        .await?;
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut *conn).await?;
    queue(conn).await?;
    documents(conn, count).await?;
    // The workers go on where this ends.
    sqlx::raw_sql(
        "UPDATE projection SET turn = turn + 1, feed_id = (SELECT feed_id FROM feed_identity LIMIT 1),
             (xid, seq) = (SELECT xid, seq FROM journal ORDER BY xid DESC, seq DESC LIMIT 1)",
    )
    .execute(&mut *conn)
    .await?;
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut *conn).await?;
    sqlx::raw_sql("CHECKPOINT").execute(&mut *conn).await?;
    admin.close().await?;
    Ok(())
}

async fn queue(conn: &mut PgConnection) -> anyhow::Result<()> {
    let open: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM ticket WHERE state NOT IN ('closed', 'cancelled') ORDER BY id",
    )
    .fetch_all(&mut *conn)
    .await?;
    for ids in open.chunks(5_000) {
        sqlx::query(QUEUE).bind(ids).bind(0_i64).execute(&mut *conn).await?;
    }
    println!("  {} open tickets in queues", open.len());
    Ok(())
}

async fn documents(conn: &mut PgConnection, count: i64) -> anyhow::Result<()> {
    let index: String = sqlx::query_scalar("SELECT pg_get_indexdef(to_regclass($1)::oid)")
        .bind(INDEX)
        .fetch_one(&mut *conn)
        .await?;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP INDEX {INDEX}"))).execute(&mut *conn).await?;
    for first in (1..=count).step_by(usize::try_from(DOCUMENT_CHUNK)?) {
        let last = (first + DOCUMENT_CHUNK - 1).min(count);
        let ids: Vec<Uuid> = (first..=last).filter_map(|n| u64::try_from(n).ok()).map(id).collect();
        let rows = sqlx::query(TEXTS).bind(&ids).fetch_all(&mut *conn).await?;
        let (mut tickets, mut tokens) = (Vec::new(), Vec::new());
        let (mut bodies, mut digests) = (Vec::new(), Vec::new());
        for row in rows {
            let text = SearchText::of(&row.try_get::<String, _>(2)?, &row.try_get::<String, _>(1)?);
            tickets.push(row.try_get::<Uuid, _>(0)?);
            tokens.push(text.tokens.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
            bodies.push(text.body);
            digests.push(row.try_get::<String, _>(3)?);
        }
        sqlx::query(DOCUMENTS)
            .bind(vec![None::<i64>; tickets.len()])
            .bind(&tickets)
            .bind(&tokens)
            .bind(&bodies)
            .bind(&digests)
            .execute(&mut *conn)
            .await?;
        if last % 100_000 == 0 || last == count {
            println!("  {last} documents");
        }
    }
    sqlx::raw_sql(AssertSqlSafe(index)).execute(&mut *conn).await?;
    Ok(())
}
