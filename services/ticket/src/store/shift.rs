//! Tables `shift`, `shift_reason` and `shift_line`.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::violation::step;
use super::{known, read};
use crate::domain::{OrderStateName, Shift, ShiftState};

/// Which shifts, and from where on.
#[derive(Clone, Debug)]
pub(crate) struct ShiftQuery {
    /// Of dispatch centres at and below this org unit.
    pub(crate) centre: String,
    /// In one of these states; empty means any.
    pub(crate) states: Vec<ShiftState>,
    /// Beginning before this one.
    pub(crate) after: Option<(jiff::Timestamp, Uuid)>,
    /// At most so many.
    pub(crate) limit: i64,
}

/// A work order on the list of a shift.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) work_order_id: Uuid,
    pub(crate) number: String,
    pub(crate) task: String,
    pub(crate) state: OrderStateName,
    pub(crate) assignee: Option<String>,
    pub(crate) issued_at: jiff::Timestamp,
    pub(crate) reply_by: jiff::Timestamp,
    /// Why it is not done, who said so, when.
    pub(crate) reason: Option<(String, String, jiff::Timestamp)>,
}

struct Row {
    id: Uuid,
    revision: i64,
    policy_version_id: Uuid,
    dispatch_centre: String,
    starts_at: Timestamp,
    ends_at: Timestamp,
    members: Vec<String>,
    leader: String,
    list_due_at: Option<Timestamp>,
    listed_at: Option<Timestamp>,
    listed_by: Option<String>,
    missed_at: Option<Timestamp>,
    out_signed_by: Option<String>,
    out_signed_at: Option<Timestamp>,
    unfinished: Option<i32>,
    incoming_id: Option<Uuid>,
    in_signed_by: Option<String>,
    in_signed_at: Option<Timestamp>,
    team_id: Option<Uuid>,
    pattern: Option<String>,
    crewed_by: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl Row {
    fn into_shift(self) -> Result<Shift, StoreError> {
        let taken = |column, at: Option<Timestamp>, by: &Option<String>| match at {
            None => Ok(None),
            Some(_) => step(column, at, by.as_deref()).map(Some),
        };
        let signed_out = taken("shift.out_signed_by", self.out_signed_at, &self.out_signed_by)?;
        let signed_out = match signed_out {
            None => None,
            Some(signed) => {
                let unfinished = known("shift.unfinished", self.unfinished)?;
                Some((signed, read("shift.unfinished", u32::try_from(unfinished))?))
            }
        };
        let signed_in = match taken("shift.in_signed_by", self.in_signed_at, &self.in_signed_by)? {
            None => None,
            Some(signed) => Some((known("shift.incoming_id", self.incoming_id)?, signed)),
        };
        Ok(Shift {
            id: self.id,
            policy_version: self.policy_version_id,
            centre: self.dispatch_centre,
            starts: self.starts_at.to_jiff(),
            ends: self.ends_at.to_jiff(),
            members: self.members.into_iter().map(Into::into).collect(),
            leader: self.leader.into(),
            list_due: self.list_due_at.map(Timestamp::to_jiff),
            missed: self.missed_at.map(Timestamp::to_jiff),
            listed: taken("shift.listed_by", self.listed_at, &self.listed_by)?,
            signed_out,
            signed_in,
            pattern: self.team_id.zip(self.pattern),
            crewed_by: self.crewed_by.map(Into::into),
            created_at: self.created_at.to_jiff(),
            updated_at: self.updated_at.to_jiff(),
            revision: self.revision,
        })
    }
}

/// Puts a new shift on record. False if its pattern has it already.
pub(crate) async fn insert(conn: &mut PgConnection, shift: &Shift) -> Result<bool, StoreError> {
    let members: Vec<&str> = shift.members.iter().map(|member| &**member).collect();
    let (team, pattern) = shift.pattern.as_ref().map(|(team, code)| (*team, &**code)).unzip();
    let inserted = sqlx::query!(
        "INSERT INTO shift
             (id, revision, policy_version_id, dispatch_centre, starts_at, ends_at, members, leader, state, list_due_at,
              next_fire_at, created_at, updated_at, team_id, pattern)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
         ON CONFLICT (team_id, pattern, starts_at) WHERE team_id IS NOT NULL DO NOTHING",
        shift.id,
        shift.revision,
        shift.policy_version,
        shift.centre,
        shift.starts.to_sqlx() as _,
        shift.ends.to_sqlx() as _,
        &members as _,
        &*shift.leader,
        shift.state().code(),
        shift.list_due.map(|at| at.to_sqlx()) as _,
        shift.next_fire_at().map(|at| at.to_sqlx()) as _,
        shift.created_at.to_sqlx() as _,
        shift.updated_at.to_sqlx() as _,
        team as _,
        pattern as _,
    )
    .execute(conn)
    .await?
    .rows_affected();
    Ok(inserted == 1)
}

/// Writes what may have changed of a shift, which must still be at `revision`.
pub(crate) async fn update(
    conn: &mut PgConnection,
    shift: &Shift,
    revision: i64,
) -> Result<(), StoreError> {
    let signed_out = shift.signed_out.as_ref();
    let unfinished = signed_out.map(|(_, unfinished)| i32::try_from(*unfinished)).transpose();
    let signed_in = shift.signed_in.as_ref();
    let members: Vec<&str> = shift.members.iter().map(|member| &**member).collect();
    let updated = sqlx::query!(
        "UPDATE shift SET
             revision = $2, state = $3, listed_at = $4, listed_by = $5, missed_at = $6, next_fire_at = $7,
             out_signed_by = $8, out_signed_at = $9, unfinished = $10, incoming_id = $11, in_signed_by = $12,
             in_signed_at = $13, updated_at = $14, members = $16, leader = $17, crewed_by = $18
         WHERE id = $1 AND revision = $15",
        shift.id,
        shift.revision,
        shift.state().code(),
        shift.listed.as_ref().map(|step| step.at.to_sqlx()) as _,
        shift.listed.as_ref().map(|step| &*step.by),
        shift.missed.map(|at| at.to_sqlx()) as _,
        shift.next_fire_at().map(|at| at.to_sqlx()) as _,
        signed_out.map(|(step, _)| &*step.by),
        signed_out.map(|(step, _)| step.at.to_sqlx()) as _,
        read("shift.unfinished", unfinished)?,
        signed_in.map(|(incoming, _)| *incoming),
        signed_in.map(|(_, step)| &*step.by),
        signed_in.map(|(_, step)| step.at.to_sqlx()) as _,
        shift.updated_at.to_sqlx() as _,
        revision,
        &members as _,
        &*shift.leader,
        shift.crewed_by.as_deref(),
    )
    .execute(conn)
    .await?
    .rows_affected();
    if updated == 1 {
        Ok(())
    } else {
        Err(StoreError::Corrupt("a shift changed although it was locked".to_owned()))
    }
}

/// Locks a shift for this transaction, the first thing that every change does. False if there is none.
pub(crate) async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<bool, StoreError> {
    let locked = sqlx::query_scalar!("SELECT id FROM shift WHERE id = $1 FOR NO KEY UPDATE", id)
        .fetch_optional(conn)
        .await?;
    Ok(locked.is_some())
}

/// The same for a worker that has something else to do if somebody is at it: false if so.
pub(crate) async fn try_lock(conn: &mut PgConnection, id: Uuid) -> Result<bool, StoreError> {
    let locked =
        sqlx::query_scalar!("SELECT id FROM shift WHERE id = $1 FOR NO KEY UPDATE SKIP LOCKED", id)
            .fetch_optional(conn)
            .await?;
    Ok(locked.is_some())
}

/// The shift with this id.
pub(crate) async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<Shift>, StoreError> {
    Ok(by_id(conn, &[id]).await?.pop())
}

/// The shifts with these ids.
pub(crate) async fn by_id(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Shift>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id, revision, policy_version_id, dispatch_centre, starts_at AS "starts_at: Timestamp",
                  ends_at AS "ends_at: Timestamp", members, leader, list_due_at AS "list_due_at: Timestamp",
                  listed_at AS "listed_at: Timestamp", listed_by, missed_at AS "missed_at: Timestamp", out_signed_by,
                  out_signed_at AS "out_signed_at: Timestamp", unfinished, incoming_id, in_signed_by,
                  in_signed_at AS "in_signed_at: Timestamp", team_id, pattern, crewed_by, created_at AS "created_at: Timestamp",
                  updated_at AS "updated_at: Timestamp"
           FROM shift WHERE id = ANY ($1::uuid[]) ORDER BY starts_at DESC, id DESC"#,
        ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::into_shift).collect()
}

/// The shifts that the query asks for, those that begin last first.
pub(crate) async fn list(
    conn: &mut PgConnection,
    query: &ShiftQuery,
) -> Result<Vec<Shift>, StoreError> {
    let (at, id) = query.after.unzip();
    let states: Vec<&str> = query.states.iter().map(|state| state.code()).collect();
    let ids = sqlx::query_file_scalar!(
        "src/store/shift_list.sql",
        query.centre,
        at.map(|at| at.to_sqlx()) as _,
        id as _,
        query.limit,
        &states as _,
    )
    .fetch_all(&mut *conn)
    .await?;
    by_id(conn, &ids).await
}

/// Some unfinished orders of the shift's centre that have no reason, by number, oldest first.
pub(crate) async fn without_reason(
    conn: &mut PgConnection,
    shift: &Shift,
) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT number FROM work_order
         WHERE dispatch_centre = $2 AND state IN ('issued', 'accepted')
           AND NOT EXISTS (
               SELECT FROM shift_reason WHERE shift_id = $1 AND work_order_id = work_order.id)
         ORDER BY issued_at, id LIMIT 20",
        shift.id,
        shift.centre,
    )
    .fetch_all(conn)
    .await?)
}

/// Freezes the list of a shift; tells how much is unfinished and some of it that has no reason.
pub(crate) async fn freeze(
    conn: &mut PgConnection,
    shift: &Shift,
) -> Result<(u32, Vec<String>), StoreError> {
    let frozen = sqlx::query_file!("src/store/shift_freeze.sql", shift.id, shift.centre)
        .fetch_one(conn)
        .await?;
    Ok((read("shift.unfinished", u32::try_from(frozen.unfinished))?, frozen.without_reason))
}

/// Says why an order is not done; what was said before is replaced, and told.
pub(crate) async fn set_reason(
    conn: &mut PgConnection,
    shift: Uuid,
    order: Uuid,
    (reason, by, at): (&str, &str, jiff::Timestamp),
) -> Result<Option<String>, StoreError> {
    let before = sqlx::query_scalar!(
        "SELECT reason FROM shift_reason WHERE shift_id = $1 AND work_order_id = $2",
        shift,
        order,
    )
    .fetch_optional(&mut *conn)
    .await?;
    sqlx::query!(
        "INSERT INTO shift_reason (shift_id, work_order_id, reason, given_by, given_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (shift_id, work_order_id) DO UPDATE SET
             reason = excluded.reason, given_by = excluded.given_by, given_at = excluded.given_at",
        shift,
        order,
        reason,
        by,
        at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(before)
}

struct LineRow {
    work_order_id: Uuid,
    number: String,
    task: String,
    state: String,
    assignee: Option<String>,
    issued_at: Timestamp,
    reply_by: Timestamp,
    reason: Option<String>,
    given_by: Option<String>,
    given_at: Option<Timestamp>,
}

impl LineRow {
    fn into_line(self) -> Result<Line, StoreError> {
        let reason = match self.reason {
            None => None,
            Some(reason) => {
                let at = known("shift_reason.given_at", self.given_at)?.to_jiff();
                Some((reason, known("shift_reason.given_by", self.given_by)?, at))
            }
        };
        Ok(Line {
            work_order_id: self.work_order_id,
            number: self.number,
            task: self.task,
            state: read("work_order.state", self.state.parse())?,
            assignee: self.assignee,
            issued_at: self.issued_at.to_jiff(),
            reply_by: self.reply_by.to_jiff(),
            reason,
        })
    }
}

/// What is unfinished now at the shift's centre after `after`, oldest first; only this order where one is named.
pub(crate) async fn unfinished(
    conn: &mut PgConnection,
    shift: &Shift,
    order: Option<Uuid>,
    after: Option<(jiff::Timestamp, Uuid)>,
    limit: i64,
) -> Result<Vec<Line>, StoreError> {
    let (at, id) = after.unzip();
    let rows = sqlx::query_as!(
        LineRow,
        r#"SELECT id AS work_order_id, number, task, state, assignee, issued_at AS "issued_at: Timestamp",
                  reply_by AS "reply_by: Timestamp", given.reason AS "reason?", given.given_by AS "given_by?",
                  given.given_at AS "given_at?: Timestamp"
           FROM work_order LEFT JOIN shift_reason AS given ON given.shift_id = $1 AND given.work_order_id = work_order.id
           WHERE dispatch_centre = $2 AND state IN ('issued', 'accepted')
             AND ($3::timestamptz IS NULL OR (issued_at, id) > ($3, $4::uuid))
             AND ($6::uuid IS NULL OR id = $6)
           ORDER BY issued_at, id LIMIT $5"#,
        shift.id,
        shift.centre,
        at.map(|at| at.to_sqlx()) as _,
        id as _,
        limit,
        order as _,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(LineRow::into_line).collect()
}

/// What was unfinished when the outgoing shift signed, after `after`, oldest first.
pub(crate) async fn lines(
    conn: &mut PgConnection,
    shift: Uuid,
    after: Option<(jiff::Timestamp, Uuid)>,
    limit: i64,
) -> Result<Vec<Line>, StoreError> {
    let (at, id) = after.unzip();
    let rows = sqlx::query_as!(
        LineRow,
        r#"SELECT work_order_id, number, task, state, assignee, issued_at AS "issued_at: Timestamp",
                  reply_by AS "reply_by: Timestamp", reason AS "reason?", given_by AS "given_by?",
                  given_at AS "given_at?: Timestamp"
           FROM shift_line
           WHERE shift_id = $1 AND ($2::timestamptz IS NULL OR (issued_at, work_order_id) > ($2, $3::uuid))
           ORDER BY issued_at, work_order_id LIMIT $4"#,
        shift,
        at.map(|at| at.to_sqlx()) as _,
        id as _,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(LineRow::into_line).collect()
}
