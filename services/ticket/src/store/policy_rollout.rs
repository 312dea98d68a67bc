//! Table `policy_rollout`, and the open tickets that a rollout goes over.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use kefu_policy::Version;
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use crate::domain::Policy;

/// How many tickets that failed are remembered.
const MOST_FAILED: i32 = 100;
/// How many versions are looked at for one that concerns a ticket which was away meanwhile.
const MOST_MISSED: i64 = 1_000;

/// Where a sweep over the tickets of org units ends: the order of `ticket_org_unit_idx`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) org_unit: String,
    pub(crate) created_at: jiff::Timestamp,
    pub(crate) id: Uuid,
}

/// A ticket on the way of a sweep.
#[derive(Debug)]
pub(crate) struct Met {
    pub(crate) org_unit: String,
    pub(crate) created_at: Timestamp,
    pub(crate) id: Uuid,
    pub(crate) open: bool,
}

impl Met {
    pub(crate) fn place(&self) -> Place {
        let created_at = self.created_at.to_jiff();
        Place { org_unit: self.org_unit.clone(), created_at, id: self.id }
    }
}

/// A rollout as it is stored.
#[derive(Debug)]
pub(crate) struct RolloutRow {
    pub(crate) version_id: Uuid,
    pub(crate) org_unit: String,
    pub(crate) effective_at: Timestamp,
    pub(crate) sweep: i16,
    after_unit: Option<String>,
    after_created: Option<Timestamp>,
    after_id: Option<Uuid>,
    pub(crate) seen: i64,
    pub(crate) recomputed: i64,
    pub(crate) overdue: i64,
    pub(crate) failed: Vec<Uuid>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
}

impl RolloutRow {
    /// How far this sweep has come; none at its beginning.
    pub(crate) fn place(&self) -> Option<Place> {
        let (org_unit, created_at) = self.after_unit.clone().zip(self.after_created)?;
        Some(Place { org_unit, created_at: created_at.to_jiff(), id: self.after_id? })
    }
}

/// What a step of a rollout has come to.
#[derive(Debug, Default)]
pub(crate) struct Advance<'a> {
    pub(crate) place: Option<&'a Place>,
    pub(crate) seen: i64,
    pub(crate) recomputed: i64,
    pub(crate) overdue: i64,
    pub(crate) failed: &'a [Uuid],
}

/// Plans that a version goes over the open tickets when it takes effect.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    version: &Version<Policy>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO policy_rollout (version_id, org_unit, effective_at, due_at) VALUES ($1, $2, $3, $3)",
        version.id,
        version.org_unit.as_str(),
        version.effective_at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether any is due, by one look at an index.
pub(crate) async fn is_due(
    conn: &mut PgConnection,
    now: jiff::Timestamp,
) -> Result<bool, StoreError> {
    let due = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM policy_rollout WHERE due_at <= $1) AS "due!""#,
        now.to_sqlx() as _,
    );
    Ok(due.fetch_one(conn).await?)
}

/// Takes the rollout that has been due longest and that nobody else is at, for this transaction.
pub(crate) async fn claim(
    conn: &mut PgConnection,
    now: jiff::Timestamp,
) -> Result<Option<RolloutRow>, StoreError> {
    Ok(sqlx::query_as!(
        RolloutRow,
        r#"SELECT version_id, org_unit, effective_at AS "effective_at: Timestamp", sweep, after_unit,
                  after_created AS "after_created: Timestamp", after_id, seen, recomputed, overdue, failed,
                  started_at AS "started_at: Timestamp", finished_at AS "finished_at: Timestamp"
           FROM policy_rollout WHERE due_at <= $1
           ORDER BY due_at, version_id LIMIT 1
           FOR UPDATE SKIP LOCKED"#,
        now.to_sqlx() as _,
    )
    .fetch_optional(conn)
    .await?)
}

/// The next tickets at and below an org unit after a place, open or not: an index is read from there on, and the effort is bounded
/// by `limit` however many have ended. Those that a version promises already count as ended.
pub(crate) async fn next(
    conn: &mut PgConnection,
    org_unit: &str,
    after: Option<&Place>,
    version: Uuid,
    limit: i64,
) -> Result<Vec<Met>, StoreError> {
    Ok(sqlx::query_as!(
        Met,
        r#"SELECT org_unit, created_at AS "created_at: Timestamp", id,
                  (state NOT IN ('closed', 'cancelled') AND coalesce(promise_version_id, policy_version_id) <> $5)
                      AS "open!"
           FROM ticket
           WHERE (org_unit, created_at, id) > ($2, $3, $4)
             AND org_unit >= $1 AND org_unit < $1 || '0' AND (org_unit = $1 OR starts_with(org_unit, $1 || '/'))
           ORDER BY org_unit, created_at, id
           LIMIT $6"#,
        org_unit,
        after.map_or("", |place| place.org_unit.as_str()),
        after.map_or(jiff::Timestamp::UNIX_EPOCH, |place| place.created_at).to_sqlx() as _,
        after.map_or(Uuid::nil(), |place| place.id),
        version,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// Writes how far a rollout has come that this transaction has taken.
pub(crate) async fn advance(
    conn: &mut PgConnection,
    rollout: &RolloutRow,
    now: jiff::Timestamp,
    step: &Advance<'_>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE policy_rollout SET
             after_unit = $2, after_created = $3, after_id = $4, seen = seen + $5, recomputed = recomputed + $6,
             overdue = overdue + $7,
             failed = (ARRAY(SELECT DISTINCT id FROM unnest(failed || $8::uuid[]) AS id))[1:$9],
             started_at = coalesce(started_at, $10)
         WHERE version_id = $1",
        rollout.version_id,
        step.place.map(|place| place.org_unit.as_str()),
        step.place.map(|place| place.created_at.to_sqlx()) as _,
        step.place.map(|place| place.id),
        step.seen,
        step.recomputed,
        step.overdue,
        step.failed,
        MOST_FAILED,
        now.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends a sweep: the second one begins at `again`, or the rollout is finished.
pub(crate) async fn end_sweep(
    conn: &mut PgConnection,
    version: Uuid,
    now: jiff::Timestamp,
    again: Option<jiff::Timestamp>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE policy_rollout SET
             sweep = 2, after_unit = NULL, after_created = NULL, after_id = NULL,
             due_at = $3::timestamptz, started_at = coalesce(started_at, $2),
             finished_at = CASE WHEN $3::timestamptz IS NULL THEN $2 END
         WHERE version_id = $1",
        version,
        now.to_sqlx() as _,
        again.map(|at| at.to_sqlx()) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The versions that were being rolled out at `since` or since then at these org units, the one that took effect last first.
pub(crate) async fn since(
    conn: &mut PgConnection,
    org_units: &[String],
    since: jiff::Timestamp,
    now: jiff::Timestamp,
) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT version_id FROM policy_rollout
         WHERE org_unit = ANY ($1) AND effective_at <= $3 AND (finished_at IS NULL OR finished_at > $2)
         ORDER BY effective_at DESC, version_id DESC LIMIT $4",
        org_units,
        since.to_sqlx() as _,
        now.to_sqlx() as _,
        MOST_MISSED,
    )
    .fetch_all(conn)
    .await?)
}

/// Those of an org unit and below, the one that takes effect last first.
pub(crate) async fn list(
    conn: &mut PgConnection,
    org_unit: &str,
    after: Option<(jiff::Timestamp, Uuid)>,
    limit: i64,
) -> Result<Vec<RolloutRow>, StoreError> {
    let (at, id) = after.unzip();
    Ok(sqlx::query_as!(
        RolloutRow,
        r#"SELECT version_id, org_unit, effective_at AS "effective_at: Timestamp", sweep, after_unit,
                  after_created AS "after_created: Timestamp", after_id, seen, recomputed, overdue, failed,
                  started_at AS "started_at: Timestamp", finished_at AS "finished_at: Timestamp"
           FROM policy_rollout
           WHERE (org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0'))
             AND ($2::timestamptz IS NULL OR (effective_at, version_id) < ($2, $3::uuid))
           ORDER BY effective_at DESC, version_id DESC
           LIMIT $4"#,
        org_unit,
        at.map(|at| at.to_sqlx()) as _,
        id as _,
        limit,
    )
    .fetch_all(conn)
    .await?)
}
