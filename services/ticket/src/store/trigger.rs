//! Tables `trigger_cursor` and `trigger_run`: how far triggers have come, and what they did.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::read;
use crate::domain::TriggerOutcome;

/// How far the journal has been read; empty before the first event. Makes the row, so that it can be moved by
/// compare-and-set.
pub(crate) async fn position(pool: &PgPool) -> Result<String, StoreError> {
    sqlx::query!("INSERT INTO trigger_cursor (position) VALUES ('') ON CONFLICT DO NOTHING")
        .execute(pool)
        .await?;
    Ok(sqlx::query_scalar!("SELECT position FROM trigger_cursor").fetch_one(pool).await?)
}

/// Moves the cursor if it still stands at `from`; waits for a replica that is moving it at this moment. False means that
/// somebody else has moved it.
pub(crate) async fn advance(
    conn: &mut PgConnection,
    from: &str,
    to: &str,
) -> Result<bool, StoreError> {
    let moved =
        sqlx::query!("UPDATE trigger_cursor SET position = $2 WHERE position = $1", from, to)
            .execute(conn)
            .await?
            .rows_affected();
    Ok(moved == 1)
}

/// The policy versions that judge these tickets.
pub(crate) async fn versions(
    conn: &mut PgConnection,
    tickets: &[Uuid],
) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    let rows =
        sqlx::query!("SELECT id, policy_version_id FROM ticket WHERE id = ANY ($1)", tickets)
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.policy_version_id)).collect())
}

/// The chain that a change of a ticket belongs to, where a trigger made it: its first event, and how many ran before.
pub(crate) async fn cause(
    conn: &mut PgConnection,
    ticket: Uuid,
    revision: i64,
) -> Result<Option<(Uuid, u32)>, StoreError> {
    let row = sqlx::query!(
        "SELECT root_event, depth FROM trigger_run
         WHERE ticket_id = $1 AND from_revision < $2 AND to_revision >= $2",
        ticket,
        revision,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| Ok((row.root_event, read("trigger_run.depth", u32::try_from(row.depth))?)))
        .transpose()
}

/// The triggers that have run in a chain.
pub(crate) async fn ran(conn: &mut PgConnection, root: Uuid) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar!("SELECT rule FROM trigger_run WHERE root_event = $1", root)
        .fetch_all(conn)
        .await?)
}

/// How often a trigger has acted on a ticket since a time, counted no further than `most`.
pub(crate) async fn acted_since(
    conn: &mut PgConnection,
    ticket: Uuid,
    rule: &str,
    since: jiff::Timestamp,
    most: u32,
) -> Result<u32, StoreError> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM (
               SELECT FROM trigger_run
               WHERE ticket_id = $1 AND run_at > $3 AND rule = $2 AND outcome = 'acted'
               LIMIT $4
           ) AS acted"#,
        ticket,
        rule,
        since.to_sqlx() as _,
        i64::from(most),
    )
    .fetch_one(conn)
    .await?;
    read("trigger_run", u32::try_from(count))
}

/// That a trigger ran.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) root_event: Uuid,
    pub(crate) rule: String,
    pub(crate) event: Uuid,
    pub(crate) ticket: Uuid,
    pub(crate) customer: Option<Uuid>,
    /// The ticket's then.
    pub(crate) org_unit: String,
    pub(crate) depth: u32,
    pub(crate) outcome: TriggerOutcome,
    pub(crate) detail: String,
    /// What it caused are the revisions after the first up to the second.
    pub(crate) revisions: (i64, i64),
    pub(crate) at: jiff::Timestamp,
}

/// Puts a run on record. One that is there already stays what it is.
pub(crate) async fn insert(conn: &mut PgConnection, run: &Run) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO trigger_run
             (root_event, rule, event_id, ticket_id, customer_id, depth, outcome, detail, from_revision, to_revision, run_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT DO NOTHING",
        run.root_event,
        run.rule,
        run.event,
        run.ticket,
        run.customer,
        read("trigger_run.depth", i32::try_from(run.depth))?,
        run.outcome.code(),
        run.detail,
        run.revisions.0,
        run.revisions.1,
        run.at.to_sqlx() as _,
    )
    .execute(&mut *conn)
    .await?;
    if run.outcome == TriggerOutcome::Acted {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO trigger_trouble (root_event, rule, org_unit, outcome, run_at)
         SELECT root_event, rule, $3, outcome, run_at FROM trigger_run WHERE root_event = $1 AND rule = $2 AND outcome <> 'acted'
         ON CONFLICT DO NOTHING",
        run.root_event,
        run.rule,
        run.org_unit,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Which triggers that did not act, and from where on.
#[derive(Clone, Debug)]
pub(crate) struct TroubleQuery {
    /// At and below this org unit.
    pub(crate) org_unit: String,
    /// With one of these outcomes, each once.
    pub(crate) outcomes: Vec<TriggerOutcome>,
    /// Then or later.
    pub(crate) from: Option<jiff::Timestamp>,
    /// Before.
    pub(crate) before: Option<jiff::Timestamp>,
    /// After this one.
    pub(crate) after: Option<RunCursor>,
    /// At most so many.
    pub(crate) limit: i64,
}

/// A page of triggers that did not act, newest first.
pub(crate) async fn troubled(
    conn: &mut PgConnection,
    query: &TroubleQuery,
) -> Result<Vec<Run>, StoreError> {
    let outcomes: Vec<&str> = query.outcomes.iter().map(|outcome| outcome.code()).collect();
    let (at, root, rule) = match &query.after {
        Some((at, root, rule)) => (Some(*at), Some(*root), Some(&**rule)),
        None => (None, None, None),
    };
    let rows = sqlx::query_file_as!(
        RunRow,
        "src/store/trigger_trouble_list.sql",
        query.org_unit,
        &outcomes as _,
        at.map(|at| at.to_sqlx()) as _,
        root as _,
        rule as _,
        query.limit,
        query.from.map(|from| from.to_sqlx()) as _,
        query.before.map(|before| before.to_sqlx()) as _,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Run::try_from).collect()
}

/// Where a page of runs ends: when the last one was, the beginning of its chain, and the trigger.
pub(crate) type RunCursor = (jiff::Timestamp, Uuid, String);

/// What triggers did to a ticket after one of them, oldest first.
pub(crate) async fn list(
    conn: &mut PgConnection,
    ticket: Uuid,
    after: Option<RunCursor>,
    limit: i64,
) -> Result<Vec<Run>, StoreError> {
    let (at, root, rule) = match after {
        Some((at, root, rule)) => (Some(at), Some(root), Some(rule)),
        None => (None, None, None),
    };
    let rows = sqlx::query_as!(
        RunRow,
        r#"SELECT root_event, rule, event_id, ticket_id, customer_id, '' AS "org_unit!", depth, outcome, detail,
                  from_revision, to_revision, run_at AS "run_at: Timestamp"
           FROM trigger_run
           WHERE ticket_id = $1 AND ($2::timestamptz IS NULL OR (run_at, root_event, rule) > ($2, $3::uuid, $4::text))
           ORDER BY run_at, root_event, rule
           LIMIT $5"#,
        ticket,
        at.map(|at| at.to_sqlx()) as _,
        root as _,
        rule.as_deref() as _,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Run::try_from).collect()
}

/// As it is stored.
struct RunRow {
    root_event: Uuid,
    rule: String,
    event_id: Uuid,
    ticket_id: Uuid,
    customer_id: Option<Uuid>,
    org_unit: String,
    depth: i32,
    outcome: String,
    detail: String,
    from_revision: i64,
    to_revision: i64,
    run_at: Timestamp,
}

impl TryFrom<RunRow> for Run {
    type Error = StoreError;

    fn try_from(row: RunRow) -> Result<Self, StoreError> {
        Ok(Self {
            root_event: row.root_event,
            rule: row.rule,
            event: row.event_id,
            ticket: row.ticket_id,
            customer: row.customer_id,
            org_unit: row.org_unit,
            depth: read("trigger_run.depth", u32::try_from(row.depth))?,
            outcome: read("trigger_run.outcome", row.outcome.parse())?,
            detail: row.detail,
            revisions: (row.from_revision, row.to_revision),
            at: row.run_at.to_jiff(),
        })
    }
}
