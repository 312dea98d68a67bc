//! Tables `corrective_action` and `corrective_action_round`.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::violation::step;
use super::{known, read};
use crate::domain::{
    ActionState, CorrectiveAction, Reassignment, Round, StepTaken, Ticket, Verification,
};

/// Due, noticed, started; evidence, completed by, at.
type RoundRecord = (
    Timestamp,
    Option<Timestamp>,
    Option<Timestamp>,
    Option<String>,
    Option<String>,
    Option<Timestamp>,
);
/// Verdict, verification, verified by, at.
type VerificationRecord = (Option<String>, Option<String>, Option<String>, Option<Timestamp>);

/// From, begun at; to; reason; reassigned by, at.
type ReassignmentRecord = (String, Option<Timestamp>, String, String, String, Timestamp);

/// Which actions, and from where on.
#[derive(Clone, Debug)]
pub(crate) struct ActionQuery {
    /// At and below this org unit.
    pub(crate) org_unit: String,
    /// For this ticket only.
    pub(crate) ticket: Option<Uuid>,
    /// Of this owner only.
    pub(crate) owner: Option<String>,
    /// In one of these states; empty means any.
    pub(crate) states: Vec<ActionState>,
    /// Only those overdue at `now`.
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
    kind: String,
    description: String,
    owner: String,
    planned_by: String,
    state: String,
    cancel_reason: Option<String>,
    cancelled_by: Option<String>,
    cancelled_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
    rounds: Vec<RoundRecord>,
    verifications: Vec<VerificationRecord>,
    reassignments: Vec<ReassignmentRecord>,
}

impl Row {
    fn into_action(self) -> Result<CorrectiveAction, StoreError> {
        let state: ActionState = read("corrective_action.state", self.state.parse())?;
        let rounds = self.rounds.into_iter().zip(self.verifications);
        let mut earlier = rounds.map(round).collect::<Result<Vec<_>, _>>()?;
        let round = known("corrective_action_round.round", earlier.pop())?;
        let cancelled = match self.cancel_reason {
            None => None,
            Some(reason) => {
                let (at, by) = (self.cancelled_at, self.cancelled_by.as_deref());
                Some((step("corrective_action.cancelled_at", at, by)?, reason))
            }
        };
        let action = CorrectiveAction {
            id: self.id,
            ticket: self.ticket_id,
            customer: self.customer_id,
            org_unit: self.org_unit,
            kind: read("corrective_action.kind", self.kind.parse())?,
            description: self.description,
            owner: self.owner.into(),
            planned_by: self.planned_by.into(),
            reassignments: self.reassignments.into_iter().map(reassignment).collect(),
            earlier,
            round,
            cancelled,
            created_at: self.created_at.to_jiff(),
            updated_at: self.updated_at.to_jiff(),
            revision: self.revision,
        };
        known("corrective_action.state", Some(action).filter(|action| action.state() == state))
    }
}

fn reassignment((from, begun, to, reason, by, at): ReassignmentRecord) -> Reassignment {
    Reassignment {
        from: Some(from.into()),
        accepted_at: begun.map(Timestamp::to_jiff),
        to: to.into(),
        reason,
        reassigned: StepTaken { by: by.into(), at: at.to_jiff() },
    }
}

fn round(record: (RoundRecord, VerificationRecord)) -> Result<Round, StoreError> {
    let (due, noticed, started, evidence, done_by, done_at) = record.0;
    let (verdict, text, by, at) = record.1;
    let done = match evidence {
        None => None,
        Some(evidence) => {
            let column = "corrective_action_round.completed_at";
            Some((evidence, step(column, done_at, done_by.as_deref())?))
        }
    };
    let verified = match verdict {
        None => None,
        Some(verdict) => Some(Verification {
            verdict: read("corrective_action_round.verdict", verdict.parse())?,
            text: known("corrective_action_round.verification", text)?,
            verified: step("corrective_action_round.verified_at", at, by.as_deref())?,
        }),
    };
    Ok(Round {
        due: due.to_jiff(),
        noticed: noticed.map(Timestamp::to_jiff),
        started: started.map(Timestamp::to_jiff),
        done,
        verified,
    })
}

/// Puts a new action on record.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    action: &CorrectiveAction,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO corrective_action
             (id, revision, ticket_id, customer_id, org_unit, kind, description, owner, planned_by, state, due_at,
              next_fire_at, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        action.id,
        action.revision,
        action.ticket,
        action.customer,
        action.org_unit,
        action.kind.code(),
        action.description,
        &*action.owner,
        &*action.planned_by,
        action.state().code(),
        action.round.due.to_sqlx() as _,
        action.next_fire_at().map(|at| at.to_sqlx()) as _,
        action.created_at.to_sqlx() as _,
        action.updated_at.to_sqlx() as _,
    )
    .execute(&mut *conn)
    .await?;
    save_round(conn, action.id, 1, &action.round).await
}

/// Writes what a step changed of an action, which must still be at the revision before.
pub(crate) async fn update(
    conn: &mut PgConnection,
    before: &CorrectiveAction,
    action: &CorrectiveAction,
) -> Result<(), StoreError> {
    let cancelled = action.cancelled.as_ref();
    let updated = sqlx::query!(
        "UPDATE corrective_action SET
             revision = $2, state = $3, due_at = $4, next_fire_at = $5, cancel_reason = $6, cancelled_by = $7,
             cancelled_at = $8, updated_at = $9, owner = $11
         WHERE id = $1 AND revision = $10",
        action.id,
        action.revision,
        action.state().code(),
        action.round.due.to_sqlx() as _,
        action.next_fire_at().map(|at| at.to_sqlx()) as _,
        cancelled.map(|(_, reason)| reason.as_str()),
        cancelled.map(|(step, _)| &*step.by),
        cancelled.map(|(step, _)| step.at.to_sqlx()) as _,
        action.updated_at.to_sqlx() as _,
        before.revision,
        &*action.owner,
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if updated != 1 {
        return Err(StoreError::Corrupt("an action changed although it was locked".to_owned()));
    }
    let reassignments = action.reassignments.iter().enumerate();
    for (position, earlier) in reassignments.skip(before.reassignments.len()) {
        save_reassignment(conn, action.id, position, earlier).await?;
    }
    // A verification that ends a round and begins the next changes both.
    let rounds = action.earlier.iter().chain([&action.round]).zip(1..);
    for (round, number) in rounds.skip(before.earlier.len()) {
        save_round(conn, action.id, number, round).await?;
    }
    Ok(())
}

async fn save_reassignment(
    conn: &mut PgConnection,
    action: Uuid,
    position: usize,
    earlier: &Reassignment,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO corrective_action_reassignment
             (action_id, position, from_owner, started_at, to_owner, reason, reassigned_by, reassigned_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        action,
        read("corrective_action_reassignment.position", i16::try_from(position))?,
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

async fn save_round(
    conn: &mut PgConnection,
    action: Uuid,
    number: i16,
    round: &Round,
) -> Result<(), StoreError> {
    let (done, verified) = (round.done.as_ref(), round.verified.as_ref());
    sqlx::query!(
        "INSERT INTO corrective_action_round
             (action_id, round, due_at, noticed_at, started_at, evidence, completed_by, completed_at, verdict, verification,
              verified_by, verified_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (action_id, round) DO UPDATE SET
             noticed_at = excluded.noticed_at, started_at = excluded.started_at, evidence = excluded.evidence,
             completed_by = excluded.completed_by, completed_at = excluded.completed_at, verdict = excluded.verdict,
             verification = excluded.verification, verified_by = excluded.verified_by, verified_at = excluded.verified_at",
        action,
        number,
        round.due.to_sqlx() as _,
        round.noticed.map(|at| at.to_sqlx()) as _,
        round.started.map(|at| at.to_sqlx()) as _,
        done.map(|(evidence, _)| evidence.as_str()),
        done.map(|(_, step)| &*step.by),
        done.map(|(_, step)| step.at.to_sqlx()) as _,
        verified.map(|verified| verified.verdict.code()),
        verified.map(|verified| verified.text.as_str()),
        verified.map(|verified| &*verified.verified.by),
        verified.map(|verified| verified.verified.at.to_sqlx()) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Locks an action for this transaction, the first thing that every change does. False if there is none.
pub(crate) async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<bool, StoreError> {
    let locked =
        sqlx::query_scalar!("SELECT id FROM corrective_action WHERE id = $1 FOR NO KEY UPDATE", id)
            .fetch_optional(conn)
            .await?;
    Ok(locked.is_some())
}

/// The same for a worker that has something else to do if somebody is at it: false if so.
pub(crate) async fn try_lock(conn: &mut PgConnection, id: Uuid) -> Result<bool, StoreError> {
    let locked = sqlx::query_scalar!(
        "SELECT id FROM corrective_action WHERE id = $1 FOR NO KEY UPDATE SKIP LOCKED",
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(locked.is_some())
}

/// The action with this id.
pub(crate) async fn find(
    conn: &mut PgConnection,
    id: Uuid,
) -> Result<Option<CorrectiveAction>, StoreError> {
    Ok(by_id(conn, &[id]).await?.pop())
}

async fn by_id(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<CorrectiveAction>, StoreError> {
    let rows = sqlx::query_file_as!(Row, "src/store/corrective_action_get.sql", ids)
        .fetch_all(conn)
        .await?;
    rows.into_iter().map(Row::into_action).collect()
}

/// The newest actions that the query asks for, newest first.
pub(crate) async fn list(
    conn: &mut PgConnection,
    query: &ActionQuery,
) -> Result<Vec<CorrectiveAction>, StoreError> {
    let (at, id) = query.after.unzip();
    let states: Vec<&str> = query.states.iter().map(|state| state.code()).collect();
    let ids = sqlx::query_file_scalar!(
        "src/store/corrective_action_list.sql",
        query.org_unit,
        at.map(|at| at.to_sqlx()) as _,
        id as _,
        query.limit,
        &states as _,
        query.overdue,
        query.now.to_sqlx() as _,
        query.ticket as _,
        query.owner as _,
    )
    .fetch_all(&mut *conn)
    .await?;
    by_id(conn, &ids).await
}

/// Another org unit answers for the ticket and for what is done so that it does not happen again. As with the supervision's row, the ticket's
/// journal says so.
pub(crate) async fn hand_over(conn: &mut PgConnection, ticket: &Ticket) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE corrective_action SET org_unit = $2 WHERE ticket_id = $1 AND org_unit <> $2",
        ticket.id,
        ticket.org_unit,
    )
    .execute(conn)
    .await?;
    Ok(())
}
