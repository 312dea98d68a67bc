//! Tables `suggestion` and `suggestion_decision`.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::read;
use super::violation::step;
use crate::domain::{Suggestion, SuggestionDecision, SuggestionState};

/// Outcome, reason, deferred until, decided by, at.
type DecisionRecord = (String, String, Option<Timestamp>, String, Timestamp);

/// Which suggestions, and from where on.
#[derive(Clone, Debug)]
pub(crate) struct SuggestionQuery {
    /// At and below this org unit.
    pub(crate) org_unit: String,
    /// In one of these states; empty means any.
    pub(crate) states: Vec<SuggestionState>,
    /// Of this proposer only.
    pub(crate) proposer: Option<String>,
    /// For this decision maker only.
    pub(crate) decision_makers: Option<Vec<String>>,
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
    org_unit: String,
    tickets: Vec<Uuid>,
    title: String,
    body: String,
    proposer: String,
    decision_maker: String,
    due_at: Option<Timestamp>,
    reminded_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
    decisions: Vec<DecisionRecord>,
}

impl Row {
    fn into_suggestion(self) -> Result<Suggestion, StoreError> {
        Ok(Suggestion {
            id: self.id,
            org_unit: self.org_unit,
            tickets: self.tickets,
            title: self.title,
            body: self.body,
            proposer: self.proposer.into(),
            decision_maker: self.decision_maker.into(),
            decisions: self.decisions.into_iter().map(decision).collect::<Result<_, _>>()?,
            due: self.due_at.map(Timestamp::to_jiff),
            reminded: self.reminded_at.map(Timestamp::to_jiff),
            created_at: self.created_at.to_jiff(),
            updated_at: self.updated_at.to_jiff(),
            revision: self.revision,
        })
    }
}

fn decision(record: DecisionRecord) -> Result<SuggestionDecision, StoreError> {
    let (outcome, reason, until, by, at) = record;
    Ok(SuggestionDecision {
        outcome: read("suggestion_decision.outcome", outcome.parse())?,
        reason,
        until: until.map(Timestamp::to_jiff),
        decided: step("suggestion_decision.decided_at", Some(at), Some(&by))?,
    })
}

/// A ticket from which a suggestion is drawn.
#[derive(Debug)]
pub(crate) struct DrawnFrom {
    pub(crate) id: Uuid,
    pub(crate) org_unit: String,
    /// It is merged into another one, which is handled instead.
    pub(crate) merged: bool,
}

/// Those of the tickets that exist, which nobody merges until this transaction ends.
pub(crate) async fn tickets(
    conn: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<DrawnFrom>, StoreError> {
    // Shared with other suggestions, but not with whoever merges one of them (T-04); in the order in which merges lock, too.
    Ok(sqlx::query_as!(
        DrawnFrom,
        r#"SELECT id, org_unit, state = 'merged' AS "merged!" FROM ticket WHERE id = ANY ($1) ORDER BY id FOR SHARE"#,
        ids
    )
    .fetch_all(conn)
    .await?)
}

/// Puts a new suggestion on record.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    suggestion: &Suggestion,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO suggestion
             (id, revision, org_unit, tickets, title, body, proposer, decision_maker, state, due_at, first_due_at, next_fire_at,
              created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $12, $13)",
        suggestion.id,
        suggestion.revision,
        suggestion.org_unit,
        &suggestion.tickets,
        suggestion.title,
        suggestion.body,
        &*suggestion.proposer,
        &*suggestion.decision_maker,
        suggestion.state().code(),
        suggestion.due.map(|at| at.to_sqlx()) as _,
        suggestion.next_fire_at().map(|at| at.to_sqlx()) as _,
        suggestion.created_at.to_sqlx() as _,
        suggestion.updated_at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what a step changed of a suggestion, which must still be at the revision before.
pub(crate) async fn update(
    conn: &mut PgConnection,
    before: &Suggestion,
    suggestion: &Suggestion,
) -> Result<(), StoreError> {
    let updated = sqlx::query!(
        "UPDATE suggestion SET
             revision = $2, state = $3, due_at = $4, reminded_at = $5, next_fire_at = $6, updated_at = $7
         WHERE id = $1 AND revision = $8",
        suggestion.id,
        suggestion.revision,
        suggestion.state().code(),
        suggestion.due.map(|at| at.to_sqlx()) as _,
        suggestion.reminded.map(|at| at.to_sqlx()) as _,
        suggestion.next_fire_at().map(|at| at.to_sqlx()) as _,
        suggestion.updated_at.to_sqlx() as _,
        before.revision,
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if updated != 1 {
        return Err(StoreError::Corrupt("a suggestion changed although it was locked".to_owned()));
    }
    for (decision, position) in
        suggestion.decisions.iter().zip(1_i16..).skip(before.decisions.len())
    {
        sqlx::query!(
            "INSERT INTO suggestion_decision
                 (suggestion_id, position, outcome, reason, defer_until, decided_by, decided_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            suggestion.id,
            position,
            decision.outcome.code(),
            decision.reason,
            decision.until.map(|at| at.to_sqlx()) as _,
            &*decision.decided.by,
            decision.decided.at.to_sqlx() as _,
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// Locks a suggestion for this transaction, the first thing that every change does. False if there is none.
pub(crate) async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<bool, StoreError> {
    let locked =
        sqlx::query_scalar!("SELECT id FROM suggestion WHERE id = $1 FOR NO KEY UPDATE", id)
            .fetch_optional(conn)
            .await?;
    Ok(locked.is_some())
}

/// The same for a worker that has something else to do if somebody is at it: false if so.
pub(crate) async fn try_lock(conn: &mut PgConnection, id: Uuid) -> Result<bool, StoreError> {
    let locked = sqlx::query_scalar!(
        "SELECT id FROM suggestion WHERE id = $1 FOR NO KEY UPDATE SKIP LOCKED",
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(locked.is_some())
}

/// The suggestion with this id.
pub(crate) async fn find(
    conn: &mut PgConnection,
    id: Uuid,
) -> Result<Option<Suggestion>, StoreError> {
    Ok(by_id(conn, &[id]).await?.pop())
}

async fn by_id(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Suggestion>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id, revision, org_unit, tickets, title, body, proposer, decision_maker, due_at AS "due_at: Timestamp",
                  reminded_at AS "reminded_at: Timestamp", created_at AS "created_at: Timestamp",
                  updated_at AS "updated_at: Timestamp",
                  ARRAY(
                      SELECT ROW(outcome, reason, defer_until, decided_by, decided_at)
                      FROM suggestion_decision WHERE suggestion_id = suggestion.id ORDER BY position
                  ) AS "decisions!: Vec<DecisionRecord>"
           FROM suggestion WHERE id = ANY ($1::uuid[]) ORDER BY created_at DESC, id DESC"#,
        ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::into_suggestion).collect()
}

/// The newest suggestions that the query asks for, newest first.
pub(crate) async fn list(
    conn: &mut PgConnection,
    query: &SuggestionQuery,
) -> Result<Vec<Suggestion>, StoreError> {
    let (at, id) = query.after.unzip();
    let states: Vec<&str> = query.states.iter().map(|state| state.code()).collect();
    let ids = sqlx::query_file_scalar!(
        "src/store/suggestion_list.sql",
        query.org_unit,
        at.map(|at| at.to_sqlx()) as _,
        id as _,
        query.limit,
        &states as _,
        query.proposer as _,
        query.decision_makers.as_deref() as _,
        query.overdue,
        query.now.to_sqlx() as _,
    )
    .fetch_all(&mut *conn)
    .await?;
    by_id(conn, &ids).await
}
