//! Lists of processes (T-22).

use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use crate::domain::ProcessState;

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

/// The newest processes that the query asks for, newest first.
pub(crate) async fn list(
    conn: &mut PgConnection,
    query: &ProcessQuery,
) -> Result<Vec<Uuid>, StoreError> {
    const RUNNING: [ProcessState; 1] = [ProcessState::Running];
    if let Some(ticket) = query.ticket {
        of_ticket(conn, query, ticket).await
    } else if query.stage.is_none() && !query.overdue && query.states != RUNNING {
        any(conn, query).await
    } else if query.states.is_empty() || query.states.contains(&ProcessState::Running) {
        running(conn, query).await
    } else {
        // What is over has no stage under way and is not overdue.
        Ok(Vec::new())
    }
}

impl ProcessQuery {
    fn states(&self) -> Vec<&'static str> {
        self.states.iter().map(|state| state.code()).collect()
    }
}

/// A ticket has few; they are looked at one by one.
async fn of_ticket(
    conn: &mut PgConnection,
    query: &ProcessQuery,
    ticket: Uuid,
) -> Result<Vec<Uuid>, StoreError> {
    let (at, id) = query.after.unzip();
    let ids = sqlx::query_file_scalar!(
        "src/store/process_list_ticket.sql",
        query.org_unit,
        at.map(|at| at.to_sqlx()) as _,
        id as _,
        query.limit,
        ticket,
        &query.states() as _,
        query.template.as_deref(),
        query.stage.as_deref(),
        query.overdue,
        query.now.to_sqlx() as _,
    );
    Ok(ids.fetch_all(conn).await?)
}

async fn any(conn: &mut PgConnection, query: &ProcessQuery) -> Result<Vec<Uuid>, StoreError> {
    let (at, id) = query.after.unzip();
    let ids = sqlx::query_file_scalar!(
        "src/store/process_list.sql",
        query.org_unit,
        at.map(|at| at.to_sqlx()) as _,
        id as _,
        query.limit,
        &query.states() as _,
        query.template.as_deref(),
    );
    Ok(ids.fetch_all(conn).await?)
}

async fn running(conn: &mut PgConnection, query: &ProcessQuery) -> Result<Vec<Uuid>, StoreError> {
    let (at, id) = query.after.unzip();
    let ids = sqlx::query_file_scalar!(
        "src/store/process_list_running.sql",
        query.org_unit,
        at.map(|at| at.to_sqlx()) as _,
        id as _,
        query.limit,
        query.stage.as_deref(),
        query.template.as_deref(),
        query.overdue,
        query.now.to_sqlx() as _,
    );
    Ok(ids.fetch_all(conn).await?)
}
