//! Tables `work_order`, `work_order_progress` and `work_order_dispute`.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::read;
use super::work_order_row::{DisputeRecord, OrderRow, ProgressRecord, ReassignmentRecord, columns};
use crate::domain::{OrderStateName, Progress, Reassignment, WorkOrder};

/// Which orders, and from where on.
#[derive(Clone, Debug)]
pub(crate) struct OrderQuery {
    /// Of dispatch centres at and below this org unit.
    pub(crate) centre: String,
    /// In one of these states; empty means any.
    pub(crate) states: Vec<OrderStateName>,
    /// Only those of which a reply is overdue at `now`.
    pub(crate) overdue: bool,
    /// The present.
    pub(crate) now: jiff::Timestamp,
    /// For this ticket only.
    pub(crate) ticket: Option<Uuid>,
    /// Only what these people have to do; none means whoever.
    pub(crate) assignees: Option<Vec<String>>,
    /// Older than this one.
    pub(crate) after: Option<(jiff::Timestamp, Uuid)>,
    /// At most so many.
    pub(crate) limit: i64,
}

/// The org unit and the customer of a ticket, and whether it is merged.
pub(crate) async fn ticket(
    conn: &mut PgConnection,
    id: Uuid,
) -> Result<Option<(String, Option<Uuid>, bool)>, StoreError> {
    // Shared with other orders, but not with whoever merges the ticket and has made sure that no order runs (T-04).
    let row = sqlx::query!(
        r#"SELECT org_unit, customer_id, state = 'merged' AS "merged!" FROM ticket WHERE id = $1 FOR SHARE"#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.org_unit, row.customer_id, row.merged)))
}

/// Whether somebody works or has worked on an order for a ticket since a cycle began, also one that was issued before and ran on,
/// and also where somebody else has it now. One that was voided before anybody accepted it was nobody's work.
///
/// Whoever asks has locked the ticket; no order is locked, so nothing waits for nothing.
pub(crate) async fn worked(
    conn: &mut PgConnection,
    ticket: Uuid,
    staff: &str,
    since: jiff::Timestamp,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM work_order
               WHERE ticket_id = $1
                 AND (state <> 'voided' OR accepted_at IS NOT NULL)
                 AND (coalesce(done_at, voided_at) >= $3) IS NOT FALSE
                 AND ($2 IN (assignee, accepted_by, done_by) OR EXISTS (
                     SELECT FROM work_order_reassignment AS earlier
                     WHERE earlier.work_order_id = work_order.id AND earlier.from_assignee = $2
                       AND earlier.reassigned_at >= $3))) AS "worked!""#,
        ticket,
        staff,
        since.to_sqlx() as _,
    )
    .fetch_one(conn)
    .await?)
}

/// Puts a new order on record, as issued.
pub(crate) async fn insert(conn: &mut PgConnection, order: &WorkOrder) -> Result<(), StoreError> {
    let brief = &order.brief;
    sqlx::query!(
        "INSERT INTO work_order
             (id, number, dispatch_centre, year, sequence, revision, policy_version_id, ticket_id, customer_id, task,
              requirements, place, reply_by, assignee, assignee_team, issuer, dispatcher, issued_at, state,
              missed_replies, next_fire_at, updated_at, accept_due_at, accept_fire_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 'issued', 0, $19, $18, $20,
                 $21)",
        order.id,
        order.number,
        brief.dispatch_centre,
        order.year,
        order.sequence,
        order.revision,
        order.policy_version,
        brief.ticket,
        order.customer,
        brief.task,
        brief.requirements,
        brief.place,
        brief.reply_by.to_sqlx() as _,
        order.assignee.as_deref(),
        brief.team,
        &*order.issuer,
        &*order.dispatcher,
        order.issued_at.to_sqlx() as _,
        order.due.map(|at| at.to_sqlx()) as _,
        order.accept_due.map(|at| at.to_sqlx()) as _,
        order.accept_alarm().map(|at| at.to_sqlx()) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Locks an order for this transaction, the first thing that every change does, and tells its dispatch centre.
pub(crate) async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT dispatch_centre FROM work_order WHERE id = $1 FOR NO KEY UPDATE",
        id
    )
    .fetch_optional(conn)
    .await?)
}

/// The same for a worker that has something else to do if somebody is at it: false if so.
pub(crate) async fn try_lock(conn: &mut PgConnection, id: Uuid) -> Result<bool, StoreError> {
    let locked = sqlx::query_scalar!(
        "SELECT id FROM work_order WHERE id = $1 FOR NO KEY UPDATE SKIP LOCKED",
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(locked.is_some())
}

/// The order with this id: one statement.
pub(crate) async fn find(
    conn: &mut PgConnection,
    id: Uuid,
) -> Result<Option<WorkOrder>, StoreError> {
    let row = sqlx::query_file_as!(OrderRow, "src/store/work_order_get.sql", id);
    row.fetch_optional(conn).await?.map(OrderRow::into_order).transpose()
}

/// The newest orders that the query asks for, newest first: one statement.
pub(crate) async fn list(
    conn: &mut PgConnection,
    query: &OrderQuery,
) -> Result<Vec<WorkOrder>, StoreError> {
    let states: Vec<&str> = query.states.iter().map(|state| state.code()).collect();
    let (at, id) = query.after.unzip();
    if let Some(assignees) = &query.assignees {
        let rows = sqlx::query_file_as!(
            OrderRow,
            "src/store/work_order_list_assignee.sql",
            assignees,
            at.map(|at| at.to_sqlx()) as _,
            id as _,
            &states as _,
            query.limit,
            query.overdue,
            query.now.to_sqlx() as _,
            query.ticket as _,
            query.centre,
        )
        .fetch_all(conn)
        .await?;
        return rows.into_iter().map(OrderRow::into_order).collect();
    }
    let rows = sqlx::query_file_as!(
        OrderRow,
        "src/store/work_order_list.sql",
        query.centre,
        at.map(|at| at.to_sqlx()) as _,
        id as _,
        &states as _,
        query.limit,
        query.overdue,
        query.now.to_sqlx() as _,
        query.ticket as _,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(OrderRow::into_order).collect()
}

/// Writes what may have changed of the order's own row, which must still be at `revision`.
pub(crate) async fn update(
    conn: &mut PgConnection,
    order: &WorkOrder,
    revision: i64,
) -> Result<(), StoreError> {
    let state = columns(order);
    let updated = sqlx::query!(
        "UPDATE work_order SET
             revision = $3, assignee = $4, dispatcher = $5, state = $6, accepted_at = $7, accepted_by = $8, result = $9,
             done_at = $10, done_by = $11, signed_name = $12, signed_at = $13, signature_image = $14,
             signature_code = $15, sign_off_at = $16, sign_off_by = $17, call_back_comment = $18, called_back_at = $19,
             called_back_by = $20, archived_at = $21, archived_by = $22, void_reason = $23, voided_at = $24,
             voided_by = $25, overdue_since = $26, missed_replies = $27, next_fire_at = $28, updated_at = $29,
             accept_due_at = $30, refused_at = $31, accept_fire_at = $32
         WHERE id = $1 AND revision = $2",
        order.id,
        revision,
        order.revision,
        order.assignee.as_deref(),
        &*order.dispatcher,
        order.state.name().code(),
        state.accepted.map(|step| step.at.to_sqlx()) as _,
        state.accepted.map(|step| &*step.by),
        state.result,
        state.done.map(|step| step.at.to_sqlx()) as _,
        state.done.map(|step| &*step.by),
        state.signed_name,
        state.signed_at.map(|at| at.to_sqlx()) as _,
        state.image,
        state.code,
        state.sign_off.map(|step| step.at.to_sqlx()) as _,
        state.sign_off.map(|step| &*step.by),
        state.comment,
        state.called_back.map(|step| step.at.to_sqlx()) as _,
        state.called_back.map(|step| &*step.by),
        state.archived.map(|step| step.at.to_sqlx()) as _,
        state.archived.map(|step| &*step.by),
        state.void_reason,
        state.voided.map(|step| step.at.to_sqlx()) as _,
        state.voided.map(|step| &*step.by),
        order.overdue_since.map(|at| at.to_sqlx()) as _,
        read("work_order.missed_replies", i32::try_from(order.missed))?,
        order.due.map(|at| at.to_sqlx()) as _,
        order.updated_at.to_sqlx() as _,
        order.accept_due.map(|at| at.to_sqlx()) as _,
        order.refused.map(|at| at.to_sqlx()) as _,
        order.accept_alarm().map(|at| at.to_sqlx()) as _,
    )
    .execute(conn)
    .await?
    .rows_affected();
    if updated == 1 {
        Ok(())
    } else {
        Err(StoreError::Corrupt("a work order changed although it was locked".to_owned()))
    }
}

/// Adds a report.
pub(crate) async fn insert_progress(
    conn: &mut PgConnection,
    order: Uuid,
    position: usize,
    progress: &Progress,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO work_order_progress (work_order_id, position, note, next_reply_at, reported_by, reported_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        order,
        read("work_order_progress.position", i16::try_from(position))?,
        progress.note,
        progress.next.map(|at| at.to_sqlx()) as _,
        &*progress.reported.by,
        progress.reported.at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds that somebody else got it.
pub(crate) async fn insert_reassignment(
    conn: &mut PgConnection,
    order: Uuid,
    position: usize,
    earlier: &Reassignment,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO work_order_reassignment
             (work_order_id, position, from_assignee, accepted_at, to_assignee, reason, reassigned_by, reassigned_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        order,
        read("work_order_reassignment.position", i16::try_from(position))?,
        earlier.from.as_deref(),
        earlier.accepted_at.map(|at| at.to_sqlx()) as _,
        &*earlier.to,
        earlier.reason,
        &*earlier.reassigned.by,
        earlier.reassigned.at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds an objection, or what was decided about it. What was objected never changes.
pub(crate) async fn upsert_dispute(
    conn: &mut PgConnection,
    order: Uuid,
    position: usize,
    dispute: &crate::domain::Dispute,
) -> Result<(), StoreError> {
    let decision = dispute.decision.as_ref();
    sqlx::query!(
        "INSERT INTO work_order_dispute
             (work_order_id, position, reason, disputed_by, disputed_at, outcome, decision, decided_by, decided_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (work_order_id, position) DO UPDATE SET
             outcome = excluded.outcome, decision = excluded.decision, decided_by = excluded.decided_by,
             decided_at = excluded.decided_at",
        order,
        read("work_order_dispute.position", i16::try_from(position))?,
        dispute.reason,
        &*dispute.disputed.by,
        dispute.disputed.at.to_sqlx() as _,
        decision.map(|decision| decision.outcome.code()),
        decision.map(|decision| decision.text.as_str()),
        decision.map(|decision| &*decision.decided.by),
        decision.map(|decision| decision.decided.at.to_sqlx()) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Orders with a reply or an acceptance that is due at `now`, the longest due first, with the time at which it was due.
pub(crate) async fn due(
    pool: &PgPool,
    now: jiff::Timestamp,
    limit: i64,
) -> Result<Vec<(Uuid, jiff::Timestamp)>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT id AS "id!", min(at) AS "due_at!: Timestamp"
           FROM (
               (SELECT id, next_fire_at AS at FROM work_order
                WHERE next_fire_at <= $1 ORDER BY next_fire_at LIMIT $2)
               UNION ALL
               (SELECT id, accept_fire_at FROM work_order
                WHERE accept_fire_at <= $1 ORDER BY accept_fire_at LIMIT $2)
           ) AS due
           GROUP BY id ORDER BY min(at) LIMIT $2"#,
        now.to_sqlx() as _,
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.due_at.to_jiff())).collect())
}

/// When the next reply or acceptance is due.
pub(crate) async fn next_due(pool: &PgPool) -> Result<Option<jiff::Timestamp>, StoreError> {
    let at = sqlx::query_scalar!(
        r#"SELECT least(
               (SELECT min(next_fire_at) FROM work_order WHERE next_fire_at IS NOT NULL),
               (SELECT min(accept_fire_at) FROM work_order WHERE accept_fire_at IS NOT NULL)
           ) AS "at: Timestamp""#
    )
    .fetch_one(pool)
    .await?;
    Ok(at.map(Timestamp::to_jiff))
}
