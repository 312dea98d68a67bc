//! What reports tell of suggestions (T-20, T-21): one statement.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::read;
use crate::domain::{ReportWindow, SuggestionState};

/// The most that moved and that are named.
const MOST_MOVED: i64 = 20;
/// The most that waited and are named.
const MOST_WAITING: i64 = 10;

/// How many suggestions there were, and some of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct SuggestionCounts {
    pub(crate) submitted: i64,
    pub(crate) accepted: i64,
    pub(crate) rejected: i64,
    pub(crate) deferred: i64,
    pub(crate) open: i64,
    pub(crate) overdue: i64,
    /// Those that moved in the period, the last first.
    pub(crate) moved: Vec<SuggestionLine>,
    /// Those that waited, the first first.
    pub(crate) waiting: Vec<SuggestionLine>,
}

/// A suggestion as it stood.
#[derive(Clone, Debug)]
pub(crate) struct SuggestionLine {
    pub(crate) id: Uuid,
    pub(crate) title: String,
    pub(crate) state: SuggestionState,
    pub(crate) proposer: String,
    pub(crate) decision_maker: String,
    pub(crate) created_at: jiff::Timestamp,
    pub(crate) due_at: Option<jiff::Timestamp>,
    pub(crate) decided_at: Option<jiff::Timestamp>,
    pub(crate) reason: Option<String>,
}

/// Id, title, state, proposer, decision maker, created, due, decided, reason.
type SuggestionRecord = (
    Uuid,
    String,
    String,
    String,
    String,
    Timestamp,
    Option<Timestamp>,
    Option<Timestamp>,
    Option<String>,
);

/// Counts those at and below an org unit. In a snapshot, as of one moment.
pub(crate) async fn count(
    conn: &mut PgConnection,
    org_unit: &str,
    window: ReportWindow,
) -> Result<SuggestionCounts, StoreError> {
    let found = sqlx::query_file!(
        "src/store/report_suggestion.sql",
        org_unit,
        window.start.to_sqlx() as _,
        window.end.to_sqlx() as _,
        window.as_of.to_sqlx() as _,
        MOST_MOVED,
        MOST_WAITING,
    )
    .fetch_one(conn)
    .await?;
    let lines = |records: Vec<SuggestionRecord>| {
        records.into_iter().map(line).collect::<Result<Vec<_>, StoreError>>()
    };
    Ok(SuggestionCounts {
        submitted: found.submitted,
        accepted: found.accepted,
        rejected: found.rejected,
        deferred: found.deferred,
        open: found.open,
        overdue: found.overdue,
        moved: lines(found.moved)?,
        waiting: lines(found.waiting)?,
    })
}

fn line(record: SuggestionRecord) -> Result<SuggestionLine, StoreError> {
    let (id, title, state, proposer, decision_maker, created, due, decided, reason) = record;
    Ok(SuggestionLine {
        id,
        title,
        state: read("suggestion.state", state.parse())?,
        proposer,
        decision_maker,
        created_at: created.to_jiff(),
        due_at: due.map(Timestamp::to_jiff),
        decided_at: decided.map(Timestamp::to_jiff),
        reason,
    })
}
