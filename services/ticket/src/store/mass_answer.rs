//! Tables `mass_answer` and `mass_answer_result`: what goes from parents to their children (T-04).

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use kefu_journal::Provenance;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::read;
use crate::domain::{MassOutcome, MassPurpose, Subject, Ticket};

/// Something that is to reach the children.
#[derive(Debug)]
pub(crate) struct NewMassAnswer<'a> {
    pub(crate) id: Uuid,
    pub(crate) parent: &'a Ticket,
    pub(crate) customer: Option<Uuid>,
    pub(crate) purpose: MassPurpose,
    pub(crate) body: &'a str,
    pub(crate) personal: bool,
    pub(crate) demanded: bool,
    /// Of whoever gives it.
    pub(crate) roles: &'a [String],
    pub(crate) overriding: bool,
    pub(crate) adapter: Option<&'a str>,
    pub(crate) sent_at: Timestamp,
    pub(crate) answered_by: &'a Subject,
    pub(crate) by: &'a Provenance,
    pub(crate) at: Timestamp,
}

/// Puts it on its way, the next of its parent, which this transaction has locked.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    new: &NewMassAnswer<'_>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO mass_answer
             (id, parent_id, number, customer_id, org_unit, purpose, body, personal, demanded, adapter, sent_at, answered_by,
              actor_org_unit, origin, traceparent, created_at, position, roles, overriding)
         SELECT $1, $2, coalesce(max(number), 0) + 1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18
         FROM mass_answer WHERE parent_id = $2",
        new.id,
        new.parent.id,
        new.customer as _,
        new.parent.org_unit,
        new.purpose.code(),
        new.body,
        new.personal,
        new.demanded,
        new.adapter,
        new.sent_at.to_sqlx() as _,
        &**new.answered_by,
        new.by.actor_org_unit,
        new.by.origin,
        new.by.traceparent,
        new.at.to_sqlx() as _,
        Uuid::nil(),
        new.roles,
        new.overriding,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// As it is stored.
#[derive(Clone, Debug)]
pub(crate) struct MassAnswerRow {
    pub(crate) id: Uuid,
    pub(crate) parent_id: Uuid,
    pub(crate) number: i32,
    pub(crate) customer_id: Option<Uuid>,
    pub(crate) org_unit: String,
    pub(crate) purpose: String,
    pub(crate) body: String,
    pub(crate) personal: bool,
    pub(crate) demanded: bool,
    pub(crate) roles: Vec<String>,
    pub(crate) overriding: bool,
    pub(crate) adapter: Option<String>,
    pub(crate) sent_at: jiff_sqlx::Timestamp,
    pub(crate) answered_by: String,
    pub(crate) actor_org_unit: String,
    pub(crate) origin: String,
    pub(crate) traceparent: String,
    pub(crate) created_at: jiff_sqlx::Timestamp,
    pub(crate) position: Uuid,
    pub(crate) reached: i32,
    pub(crate) unreached: i32,
    pub(crate) finished_at: Option<jiff_sqlx::Timestamp>,
}

impl MassAnswerRow {
    /// What it is.
    pub(crate) fn purpose(&self) -> Result<MassPurpose, StoreError> {
        read("mass_answer.purpose", self.purpose.parse())
    }
}

/// Those with these ids or of this parent with smaller numbers, newest first.
macro_rules! rows {
    ($condition:literal, $($argument:expr),+) => {
        sqlx::query_as!(
            MassAnswerRow,
            r#"SELECT id, parent_id, number, customer_id, org_unit, purpose, body, personal, demanded, roles, overriding, adapter,
                      sent_at AS "sent_at: jiff_sqlx::Timestamp", answered_by, actor_org_unit, origin, traceparent,
                      created_at AS "created_at: jiff_sqlx::Timestamp", position, reached, unreached,
                      finished_at AS "finished_at: jiff_sqlx::Timestamp"
               FROM mass_answer WHERE "# + $condition,
            $($argument),+
        )
    };
}

/// One of them.
pub(crate) async fn find(
    conn: &mut PgConnection,
    id: Uuid,
) -> Result<Option<MassAnswerRow>, StoreError> {
    Ok(rows!("id = $1", id).fetch_optional(conn).await?)
}

/// The last one of a parent.
pub(crate) async fn last(
    conn: &mut PgConnection,
    parent: Uuid,
) -> Result<Option<MassAnswerRow>, StoreError> {
    Ok(rows!("parent_id = $1 ORDER BY number DESC LIMIT 1", parent).fetch_optional(conn).await?)
}

/// Those of a parent before a number, newest first.
pub(crate) async fn list(
    conn: &mut PgConnection,
    parent: Uuid,
    before: i32,
    limit: i64,
) -> Result<Vec<MassAnswerRow>, StoreError> {
    Ok(rows!("parent_id = $1 AND number < $2 ORDER BY number DESC LIMIT $3", parent, before, limit)
        .fetch_all(conn)
        .await?)
}

/// Those of a parent before a number that a child has not heard, newest first: given before it was linked, or not put on record
/// there.
pub(crate) async fn missed(
    conn: &mut PgConnection,
    child: Uuid,
    (parent, given_before): (Uuid, i32),
    before: i32,
    limit: i64,
) -> Result<Vec<MassAnswerRow>, StoreError> {
    let rows = rows!(
        "parent_id = $1 AND number < $2
         AND (number <= $3 OR EXISTS (
             SELECT FROM mass_answer_result AS result WHERE result.mass_answer_id = mass_answer.id AND result.child_id = $4))
         AND NOT EXISTS (
             SELECT FROM mass_answer_result AS result
             WHERE result.mass_answer_id = mass_answer.id AND result.child_id = $4 AND result.outcome = 'reached')
         ORDER BY number DESC LIMIT $5",
        parent,
        before,
        given_before,
        child,
        limit
    );
    Ok(rows.fetch_all(conn).await?)
}

/// What can go on, after a place, oldest first: of each parent the answer with the lowest number that is under way, so that
/// no child hears the second before the first. It stays that: numbers are given under the parent's lock, and what is finished
/// stays finished.
pub(crate) async fn running(
    pool: &PgPool,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT id FROM mass_answer AS answer
         WHERE finished_at IS NULL AND id > $1 AND NOT EXISTS (
             SELECT FROM mass_answer AS earlier
             WHERE earlier.parent_id = answer.parent_id AND earlier.number < answer.number
               AND earlier.finished_at IS NULL)
         ORDER BY id LIMIT $2",
        after,
        limit
    )
    .fetch_all(pool)
    .await?)
}

/// Locks one for whoever carries it on; none where somebody else does.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    id: Uuid,
) -> Result<Option<MassAnswerRow>, StoreError> {
    Ok(rows!("id = $1 AND finished_at IS NULL FOR UPDATE SKIP LOCKED", id)
        .fetch_optional(conn)
        .await?)
}

/// The next child that it is for.
pub(crate) async fn next_child(
    conn: &mut PgConnection,
    answer: &MassAnswerRow,
) -> Result<Option<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT child_id FROM ticket_link
         WHERE parent_id = $1 AND unlinked_at IS NULL AND child_id > $2 AND answers_before < $3
         ORDER BY child_id LIMIT 1",
        answer.parent_id,
        answer.position,
        answer.number,
    )
    .fetch_optional(conn)
    .await?)
}

/// Whether a child that this transaction has locked is still under the parent.
pub(crate) async fn concerns(
    conn: &mut PgConnection,
    answer: &MassAnswerRow,
    child: Uuid,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM ticket_link
               WHERE child_id = $1 AND parent_id = $2 AND unlinked_at IS NULL AND answers_before < $3) AS "is!""#,
        child,
        answer.parent_id,
        answer.number,
    )
    .fetch_one(conn)
    .await?)
}

/// Puts on record what became of it on a child, and moves its place; without an outcome the child is none of its any more.
pub(crate) async fn advance(
    conn: &mut PgConnection,
    answer: &MassAnswerRow,
    child: Uuid,
    outcome: Option<(MassOutcome, &str)>,
    at: Timestamp,
) -> Result<(), StoreError> {
    let reached = outcome.is_some_and(|(outcome, _)| outcome == MassOutcome::Reached);
    sqlx::query!(
        "UPDATE mass_answer SET position = $2, reached = reached + $3, unreached = unreached + $4 WHERE id = $1",
        answer.id,
        child,
        i32::from(reached),
        i32::from(outcome.is_some() && !reached),
    )
    .execute(&mut *conn)
    .await?;
    if let Some((outcome, detail)) = outcome {
        sqlx::query!(
            "INSERT INTO mass_answer_result (mass_answer_id, child_id, outcome, detail, settled_at)
             VALUES ($1, $2, $3, $4, $5)",
            answer.id,
            child,
            outcome.code(),
            detail,
            at.to_sqlx() as _,
        )
        .execute(conn)
        .await?;
    }
    Ok(())
}

/// Puts on record that the last child was seen to.
pub(crate) async fn finish(
    conn: &mut PgConnection,
    id: Uuid,
    at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query!("UPDATE mass_answer SET finished_at = $2 WHERE id = $1", id, at.to_sqlx() as _)
        .execute(conn)
        .await?;
    Ok(())
}

/// What became of one on a child.
#[derive(Debug)]
pub(crate) struct ResultRow {
    pub(crate) child_id: Uuid,
    pub(crate) outcome: String,
    pub(crate) detail: String,
    pub(crate) settled_at: jiff_sqlx::Timestamp,
    /// Whether the child is where it was asked for.
    pub(crate) is_within: bool,
    /// Whether those after it were not looked at.
    pub(crate) is_last: bool,
}

impl ResultRow {
    /// What became of it.
    pub(crate) fn outcome(&self) -> Result<MassOutcome, StoreError> {
        read("mass_answer_result.outcome", self.outcome.parse())
    }
}

/// The most results that a page looks at, whether the children are where they are asked for or not. More than a page has.
const CANDIDATES: i64 = 2_000;

/// What became of one on the children at and below an org unit, after one of them; and the last one that was looked at, if
/// there may be more.
pub(crate) async fn results(
    conn: &mut PgConnection,
    answer: Uuid,
    org_unit: &str,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<ResultRow>, StoreError> {
    Ok(sqlx::query_as!(
        ResultRow,
        r#"WITH candidate AS MATERIALIZED (
               SELECT child_id, outcome, detail, settled_at, row_number() OVER (ORDER BY child_id) AS place
               FROM mass_answer_result
               WHERE mass_answer_id = $1 AND child_id > $3
               ORDER BY child_id LIMIT $5
           ),
           -- Each by its own, so that no plan reads all tickets up to them.
           looked AS MATERIALIZED (
               SELECT candidate.*, (
                   SELECT ticket.org_unit = $2 OR (ticket.org_unit > $2 || '/' AND ticket.org_unit < $2 || '0')
                   FROM ticket WHERE ticket.id = candidate.child_id) AS is_within
               FROM candidate
           )
           SELECT child_id, outcome, detail, settled_at AS "settled_at: jiff_sqlx::Timestamp",
                  is_within AS "is_within!", place = $5 AS "is_last!"
           FROM looked WHERE is_within OR place = $5
           ORDER BY child_id LIMIT $4"#,
        answer,
        org_unit,
        after.unwrap_or_default(),
        limit,
        CANDIDATES,
    )
    .fetch_all(conn)
    .await?)
}
