//! Tables `process`, `process_stage` and `process_change` (T-22).

use jiff_sqlx::{Timestamp, ToSqlx as _};
use kefu_calendar::{Target, Timeline};
use serde_json::Value as Json;
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::clock::{pauses_json, read_pauses};
use super::clock_note::{steps, steps_json};
use super::ticket::level;
use super::violation::step;
use super::{known, read};
use crate::domain::{
    Hold, Process, ProcessChange, ProcessEnd, ProcessState, ReceiverLevel, RunState, Said,
    StageRun, Standing, StateName,
};

/// Started, due, warn, warned, breached.
type RunTimes =
    (Timestamp, Option<Timestamp>, Option<Timestamp>, Option<Timestamp>, Option<Timestamp>);
/// Stage, state, times; ended by, ended at; record; pauses, steps.
type RunRow = (
    String,
    String,
    RunTimes,
    (Option<String>, Option<Timestamp>),
    Json,
    (Option<Json>, Option<Json>),
);
/// Attributes, reason, requested by, requested at, outcome, decision, decided by, decided at.
type ChangeRow =
    (Json, String, String, Timestamp, String, Option<String>, Option<String>, Option<Timestamp>);

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
    held_at: Option<Timestamp>,
    held_reason: Option<String>,
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
        let held = self.held_at.zip(self.held_reason);
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
            held: held.map(|(since, reason)| Hold { since: since.to_jiff(), reason }),
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
    let (stage, state, times, (ended_by, ended_at), record, (pauses, taken)) = row;
    let (started, due, warn, warned, breached) = times;
    let started_at = started.to_jiff();
    let pauses = match pauses {
        None => Vec::new(),
        Some(pauses) => {
            const COLUMN: &str = "process_stage.pauses";
            // How long is promised stands in the policy; the pauses are in order whatever it is.
            let pauses = read_pauses(COLUMN, &pauses)?;
            let promise = Target::Elapsed(std::time::Duration::ZERO);
            read(COLUMN, Timeline::restore(started_at, promise, pauses))?.pauses().to_vec()
        }
    };
    let state: RunState = read("process_stage.state", state.parse())?;
    let ended = match ended_by.as_deref() {
        None => None,
        by => Some(step("process_stage.ended_at", ended_at, by)?),
    };
    Ok(StageRun {
        stage,
        state,
        started_at,
        due: due.map(Timestamp::to_jiff),
        warn_at: warn.map(Timestamp::to_jiff),
        warned_at: warned.map(Timestamp::to_jiff),
        breached_at: breached.map(Timestamp::to_jiff),
        steps: steps("process_stage.steps", taken.as_ref())?,
        pauses,
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
              current_stages, due_at, next_fire_at, started_by, created_at, updated_at, held_at, held_reason)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
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
        process.held.as_ref().map(|held| held.since.to_sqlx()) as _,
        process.held.as_ref().map(|held| held.reason.as_str()),
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
             ended_at = $9, end_reason = $10, updated_at = $11, held_at = $13, held_reason = $14
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
        process.held.as_ref().map(|held| held.since.to_sqlx()) as _,
        process.held.as_ref().map(|held| held.reason.as_str()),
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
              record, pauses, steps)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         ON CONFLICT (process_id, position) DO UPDATE SET
             state = excluded.state, due_at = excluded.due_at, warn_at = excluded.warn_at, warned_at = excluded.warned_at,
             breached_at = excluded.breached_at, ended_by = excluded.ended_by, ended_at = excluded.ended_at,
             record = excluded.record, pauses = excluded.pauses, steps = excluded.steps",
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
        pauses_json(&run.pauses),
        steps_json(&run.steps),
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
    /// Who answers for it: its owner, or whoever took it.
    pub(crate) answerable: String,
    receiver_level: i16,
    state: String,
    since: Timestamp,
    reason: String,
}

impl Place {
    /// Whether it is merged into another ticket.
    pub(crate) fn is_merged(&self) -> bool {
        self.state == StateName::Merged.code()
    }

    /// Since when it is in its state.
    pub(crate) fn since(&self) -> jiff::Timestamp {
        self.since.to_jiff()
    }

    /// Who may handle it.
    pub(crate) fn receiver_level(&self) -> Result<ReceiverLevel, StoreError> {
        level("ticket.receiver_level", self.receiver_level)
    }

    /// What its state means for its process.
    pub(crate) fn standing(&self) -> Result<Standing, StoreError> {
        let state = read("ticket.state", self.state.parse())?;
        Ok(Standing::by(state, self.since.to_jiff(), &self.reason))
    }
}

/// A ticket as its process sees it, locked for this transaction.
macro_rules! place {
    ($conn:ident, $ticket:ident, $lock:tt) => {
        Ok(sqlx::query_as!(
            Place,
            r#"SELECT org_unit, coalesce(owner, first_contact_owner) AS "answerable!", receiver_level, state,
                      coalesce(state_since, updated_at) AS "since!: Timestamp", coalesce(state_reason, '') AS "reason!"
               FROM ticket WHERE id = $1 "# + $lock,
            $ticket
        )
        .fetch_optional($conn)
        .await?)
    };
}

/// Locks the ticket of a process for this transaction, the first thing that every change of the process does.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    ticket: Uuid,
) -> Result<Option<Place>, StoreError> {
    place!(conn, ticket, "FOR NO KEY UPDATE")
}

/// The same for a worker that has something else to do if somebody is at it: none if so.
pub(crate) async fn try_lock(
    conn: &mut PgConnection,
    ticket: Uuid,
) -> Result<Option<Place>, StoreError> {
    place!(conn, ticket, "FOR NO KEY UPDATE SKIP LOCKED")
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

/// Writes when the timers have to look at a process next, as it is.
pub(crate) async fn rearm(conn: &mut PgConnection, process: &Process) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE process SET next_fire_at = $2 WHERE id = $1",
        process.id,
        process.next_fire_at().map(|at| at.to_sqlx()) as _,
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
