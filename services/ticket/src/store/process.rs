//! Tables `process`, `process_stage` and `process_change` (T-22).

use jiff_sqlx::{Timestamp, ToSqlx as _};
use serde_json::Value as Json;
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::violation::step;
use super::{known, read};
use crate::domain::{Process, ProcessChange, ProcessEnd, ProcessState, RunState, Said, StageRun};

/// Started, due, warn, warned, breached.
type RunTimes =
    (Timestamp, Option<Timestamp>, Option<Timestamp>, Option<Timestamp>, Option<Timestamp>);
/// Stage, state, times; ended by, ended at; record.
type RunRow = (String, String, RunTimes, (Option<String>, Option<Timestamp>), Json);
/// Attributes, reason, requested by, requested at, outcome, decision, decided by, decided at.
type ChangeRow =
    (Json, String, String, Timestamp, String, Option<String>, Option<String>, Option<Timestamp>);

/// Which processes, and from where on.
#[derive(Clone, Debug)]
pub(crate) struct ProcessQuery {
    /// At and below this org unit.
    pub(crate) org_unit: String,
    /// Of this ticket only.
    pub(crate) ticket: Option<Uuid>,
    /// Of this template only.
    pub(crate) template: Option<String>,
    /// With this stage under way only.
    pub(crate) stage: Option<String>,
    /// In one of these states; empty means any.
    pub(crate) states: Vec<ProcessState>,
    /// Only those past a deadline at `now`.
    pub(crate) overdue: bool,
    /// The present.
    pub(crate) now: jiff::Timestamp,
    /// Older than this one.
    pub(crate) after: Option<(jiff::Timestamp, Uuid)>,
    /// At most so many.
    pub(crate) limit: i64,
}

struct Row {
    id: Uuid,
    revision: i64,
    ticket_id: Uuid,
    customer_id: Option<Uuid>,
    org_unit: String,
    policy_version_id: Uuid,
    template: String,
    attributes: Json,
    state: String,
    started_by: String,
    ended_by: Option<String>,
    ended_at: Option<Timestamp>,
    end_reason: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
    runs: Vec<RunRow>,
    changes: Vec<ChangeRow>,
}

impl Row {
    fn into_process(self) -> Result<Process, StoreError> {
        let state: ProcessState = read("process.state", self.state.parse())?;
        let end = match self.ended_by.as_deref() {
            None => None,
            by => Some(ProcessEnd {
                taken: step("process.ended_at", self.ended_at, by)?,
                cancelled: self.end_reason,
            }),
        };
        let process = Process {
            id: self.id,
            ticket: self.ticket_id,
            customer: self.customer_id,
            org_unit: self.org_unit,
            policy_version: self.policy_version_id,
            template: self.template,
            agreed: read("process.attributes", serde_json::from_value(self.attributes))?,
            runs: self.runs.into_iter().map(run).collect::<Result<_, _>>()?,
            changes: self.changes.into_iter().map(change).collect::<Result<_, _>>()?,
            end,
            started_by: self.started_by.into(),
            created_at: self.created_at.to_jiff(),
            updated_at: self.updated_at.to_jiff(),
            revision: self.revision,
        };
        known("process.state", Some(process).filter(|process| process.state() == state))
    }
}

fn run(row: RunRow) -> Result<StageRun, StoreError> {
    let (stage, state, times, (ended_by, ended_at), record) = row;
    let (started, due, warn, warned, breached) = times;
    let state: RunState = read("process_stage.state", state.parse())?;
    let ended = match ended_by.as_deref() {
        None => None,
        by => Some(step("process_stage.ended_at", ended_at, by)?),
    };
    Ok(StageRun {
        stage,
        state,
        started_at: started.to_jiff(),
        due: due.map(Timestamp::to_jiff),
        warn_at: warn.map(Timestamp::to_jiff),
        warned_at: warned.map(Timestamp::to_jiff),
        breached_at: breached.map(Timestamp::to_jiff),
        ended,
        record: read("process_stage.record", serde_json::from_value(record))?,
    })
}

fn change(row: ChangeRow) -> Result<ProcessChange, StoreError> {
    let (values, reason, requested_by, requested_at, outcome, decision, by, at) = row;
    let decided = match decision {
        None => None,
        Some(decision) => Some((decision, step("process_change.decided_at", at, by.as_deref())?)),
    };
    Ok(ProcessChange {
        values: read("process_change.attributes", serde_json::from_value(values))?,
        reason,
        requested: step("process_change.requested_at", Some(requested_at), Some(&requested_by))?,
        outcome: read("process_change.outcome", outcome.parse())?,
        decided,
    })
}

fn json(column: &str, value: &impl serde::Serialize) -> Result<Json, StoreError> {
    read(column, serde_json::to_value(value))
}

/// The running stages, as the lists look for them.
fn current(process: &Process) -> Vec<String> {
    process.running().map(|run| run.stage.clone()).collect()
}

/// Puts a new process on record. False if another one is under way for the ticket.
pub(crate) async fn insert(conn: &mut PgConnection, process: &Process) -> Result<bool, StoreError> {
    let inserted = sqlx::query!(
        "INSERT INTO process
             (id, revision, ticket_id, customer_id, org_unit, policy_version_id, template, attributes, state,
              current_stages, due_at, next_fire_at, started_by, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
         ON CONFLICT (ticket_id) WHERE state = 'running' DO NOTHING",
        process.id,
        process.revision,
        process.ticket,
        process.customer,
        process.org_unit,
        process.policy_version,
        process.template,
        json("process.attributes", &process.agreed)?,
        process.state().code(),
        &current(process) as _,
        process.due().map(|at| at.to_sqlx()) as _,
        process.next_fire_at().map(|at| at.to_sqlx()) as _,
        &*process.started_by,
        process.created_at.to_sqlx() as _,
        process.updated_at.to_sqlx() as _,
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if inserted == 0 {
        return Ok(false);
    }
    save_parts(conn, None, process).await?;
    Ok(true)
}

/// Writes what changed of a process, which must still be at the revision before.
pub(crate) async fn update(
    conn: &mut PgConnection,
    before: &Process,
    process: &Process,
) -> Result<(), StoreError> {
    let end = process.end.as_ref();
    let updated = sqlx::query!(
        "UPDATE process SET
             revision = $2, attributes = $3, state = $4, current_stages = $5, due_at = $6, next_fire_at = $7, ended_by = $8,
             ended_at = $9, end_reason = $10, updated_at = $11
         WHERE id = $1 AND revision = $12",
        process.id,
        process.revision,
        json("process.attributes", &process.agreed)?,
        process.state().code(),
        &current(process) as _,
        process.due().map(|at| at.to_sqlx()) as _,
        process.next_fire_at().map(|at| at.to_sqlx()) as _,
        end.map(|end| &*end.taken.by),
        end.map(|end| end.taken.at.to_sqlx()) as _,
        end.and_then(|end| end.cancelled.as_deref()),
        process.updated_at.to_sqlx() as _,
        before.revision,
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if updated != 1 {
        return Err(StoreError::Corrupt("a process changed although it was locked".to_owned()));
    }
    save_parts(conn, Some(before), process).await
}

/// The runs and changes that are new or differ. What ended comes before what begins, so that a stage that is done again never
/// has two rows under way.
async fn save_parts(
    conn: &mut PgConnection,
    before: Option<&Process>,
    process: &Process,
) -> Result<(), StoreError> {
    let old = before.map(|before| &*before.runs).unwrap_or_default();
    for (place, run) in process.runs.iter().enumerate() {
        if old.get(place) != Some(run) {
            save_run(conn, process.id, place, run).await?;
        }
    }
    let old = before.map(|before| &*before.changes).unwrap_or_default();
    for (place, change) in process.changes.iter().enumerate() {
        if old.get(place) != Some(change) {
            save_change(conn, process.id, place, change).await?;
        }
    }
    Ok(())
}

async fn save_run(
    conn: &mut PgConnection,
    process: Uuid,
    place: usize,
    run: &StageRun,
) -> Result<(), StoreError> {
    let ended = run.ended.as_ref();
    sqlx::query!(
        "INSERT INTO process_stage
             (process_id, position, stage, state, started_at, due_at, warn_at, warned_at, breached_at, ended_by, ended_at,
              record)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (process_id, position) DO UPDATE SET
             state = excluded.state, warned_at = excluded.warned_at, breached_at = excluded.breached_at,
             ended_by = excluded.ended_by, ended_at = excluded.ended_at, record = excluded.record",
        process,
        read("process_stage.position", i16::try_from(place + 1))?,
        run.stage,
        run.state.code(),
        run.started_at.to_sqlx() as _,
        run.due.map(|at| at.to_sqlx()) as _,
        run.warn_at.map(|at| at.to_sqlx()) as _,
        run.warned_at.map(|at| at.to_sqlx()) as _,
        run.breached_at.map(|at| at.to_sqlx()) as _,
        ended.map(|ended| &*ended.by),
        ended.map(|ended| ended.at.to_sqlx()) as _,
        json("process_stage.record", &run.record)?,
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn save_change(
    conn: &mut PgConnection,
    process: Uuid,
    place: usize,
    change: &ProcessChange,
) -> Result<(), StoreError> {
    let decided = change.decided.as_ref();
    sqlx::query!(
        "INSERT INTO process_change
             (process_id, position, attributes, reason, requested_by, requested_at, outcome, decision, decided_by, decided_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (process_id, position) DO UPDATE SET
             outcome = excluded.outcome, decision = excluded.decision, decided_by = excluded.decided_by,
             decided_at = excluded.decided_at",
        process,
        read("process_change.position", i16::try_from(place + 1))?,
        json("process_change.attributes", &change.values)?,
        change.reason,
        &*change.requested.by,
        change.requested.at.to_sqlx() as _,
        change.outcome.code(),
        decided.map(|(decision, _)| decision.as_str()),
        decided.map(|(_, taken)| &*taken.by),
        decided.map(|(_, taken)| taken.at.to_sqlx()) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What of a ticket counts for its process.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) org_unit: String,
    pub(crate) is_cancelled: bool,
    /// Who answers for it: its owner, or whoever took it.
    pub(crate) answerable: String,
}

/// Locks the ticket of a process for this transaction, the first thing that every change of the process does.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    ticket: Uuid,
) -> Result<Option<Place>, StoreError> {
    Ok(sqlx::query_as!(
        Place,
        r#"SELECT org_unit, state = 'cancelled' AS "is_cancelled!", coalesce(owner, first_contact_owner) AS "answerable!"
           FROM ticket WHERE id = $1 FOR NO KEY UPDATE"#,
        ticket
    )
    .fetch_optional(conn)
    .await?)
}

/// The same for a worker that has something else to do if somebody is at it: none if so.
pub(crate) async fn try_lock(
    conn: &mut PgConnection,
    ticket: Uuid,
) -> Result<Option<Place>, StoreError> {
    Ok(sqlx::query_as!(
        Place,
        r#"SELECT org_unit, state = 'cancelled' AS "is_cancelled!", coalesce(owner, first_contact_owner) AS "answerable!"
           FROM ticket WHERE id = $1 FOR NO KEY UPDATE SKIP LOCKED"#,
        ticket
    )
    .fetch_optional(conn)
    .await?)
}

/// The ticket of a process, which never changes.
pub(crate) async fn ticket_of(
    conn: &mut PgConnection,
    id: Uuid,
) -> Result<Option<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!("SELECT ticket_id FROM process WHERE id = $1", id)
        .fetch_optional(conn)
        .await?)
}

/// The name of the process that is under way for a ticket.
pub(crate) async fn running_of(
    conn: &mut PgConnection,
    ticket: Uuid,
) -> Result<Option<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT id FROM process WHERE ticket_id = $1 AND state = 'running'",
        ticket
    )
    .fetch_optional(conn)
    .await?)
}

/// The processes of a ticket that this transaction has locked go where it goes (T-11).
pub(crate) async fn move_with_ticket(
    conn: &mut PgConnection,
    ticket: Uuid,
    org_unit: &str,
) -> Result<(), StoreError> {
    sqlx::query!("UPDATE process SET org_unit = $2 WHERE ticket_id = $1", ticket, org_unit)
        .execute(conn)
        .await?;
    Ok(())
}

/// The timers look at once at what is under way for a ticket that this transaction has locked.
pub(crate) async fn attend(
    conn: &mut PgConnection,
    ticket: Uuid,
    at: jiff::Timestamp,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE process SET next_fire_at = $2 WHERE ticket_id = $1 AND state = 'running'",
        ticket,
        at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A message on a ticket; what its delivery came to with it.
pub(crate) async fn said(
    conn: &mut PgConnection,
    ticket: Uuid,
    message: Uuid,
) -> Result<Option<Said>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT message.id, message.sent_at AS "sent_at: Timestamp",
                  coalesce(delivery.state IN ('parked', 'cancelled'), false) AS "is_void!"
           FROM message LEFT JOIN delivery ON delivery.message_id = message.id
           WHERE message.id = $2 AND message.ticket_id = $1"#,
        ticket,
        message,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Said {
        message: row.id,
        sent_at: row.sent_at.to_jiff(),
        is_void: row.is_void,
    }))
}

/// The process with this id.
pub(crate) async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<Process>, StoreError> {
    Ok(find_many(conn, &[id]).await?.pop())
}

/// The processes with these ids, newest first.
pub(crate) async fn find_many(
    conn: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<Process>, StoreError> {
    let rows = sqlx::query_file_as!(Row, "src/store/process_get.sql", ids).fetch_all(conn).await?;
    rows.into_iter().map(Row::into_process).collect()
}

/// The newest processes that the query asks for, newest first.
pub(crate) async fn list(
    conn: &mut PgConnection,
    query: &ProcessQuery,
) -> Result<Vec<Uuid>, StoreError> {
    let running = [ProcessState::Running];
    let only_running = query.states.is_empty() || query.states.contains(&running[0]);
    if query.stage.is_none() && !query.overdue && query.states != running {
        list_any(conn, query).await
    } else if only_running {
        list_running(conn, query).await
    } else {
        // What is over has no stage under way and is not overdue.
        Ok(Vec::new())
    }
}

async fn list_any(conn: &mut PgConnection, query: &ProcessQuery) -> Result<Vec<Uuid>, StoreError> {
    let (at, id) = query.after.unzip();
    let states: Vec<&str> = query.states.iter().map(|state| state.code()).collect();
    let ids = sqlx::query_file_scalar!(
        "src/store/process_list.sql",
        query.org_unit,
        at.map(|at| at.to_sqlx()) as _,
        id as _,
        query.limit,
        &states as _,
        query.template.as_deref(),
        query.ticket as _,
    );
    Ok(ids.fetch_all(conn).await?)
}

async fn list_running(
    conn: &mut PgConnection,
    query: &ProcessQuery,
) -> Result<Vec<Uuid>, StoreError> {
    let (at, id) = query.after.unzip();
    let ids = sqlx::query_file_scalar!(
        "src/store/process_list_running.sql",
        query.org_unit,
        at.map(|at| at.to_sqlx()) as _,
        id as _,
        query.limit,
        query.stage.as_deref(),
        query.template.as_deref(),
        query.ticket as _,
        query.overdue,
        query.now.to_sqlx() as _,
    );
    Ok(ids.fetch_all(conn).await?)
}
