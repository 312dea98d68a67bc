//! What reports count: two statements in one snapshot.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgPool;

use kefu_postgres::StoreError;

use crate::domain::TicketKind;

/// Which tickets a report is about.
#[derive(Clone, Debug)]
pub(crate) struct ReportQuery {
    /// At and below this org unit.
    pub(crate) org_unit: String,
    /// Registered from then on.
    pub(crate) start: Timestamp,
    /// Registered before then.
    pub(crate) end: Timestamp,
    /// Of these kinds.
    pub(crate) kinds: Vec<TicketKind>,
    /// The present.
    pub(crate) now: Timestamp,
}

/// The middle and the slow end of durations, in seconds; `None` where there are none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Percentiles {
    pub(crate) median: f64,
    pub(crate) p90: f64,
}

/// How many tickets came how far, and how fast.
#[derive(Clone, Debug)]
pub(crate) struct Totals {
    pub(crate) received: i64,
    pub(crate) answered: i64,
    pub(crate) resolved: i64,
    pub(crate) closed: i64,
    pub(crate) cancelled: i64,
    pub(crate) overdue: i64,
    pub(crate) first_response: Option<Percentiles>,
    pub(crate) resolution: Option<Percentiles>,
}

/// One count of a section.
#[derive(Clone, Debug)]
pub(crate) struct CountRow {
    /// `severity`, `channel`, `org_unit`, `clock`, `verdict`, `escalation` or `violation`.
    pub(crate) section: String,
    pub(crate) label: String,
    /// Of a clock only.
    pub(crate) kind: Option<String>,
    pub(crate) count: i64,
    pub(crate) met: i64,
    pub(crate) breached: i64,
    pub(crate) running: i64,
}

/// Counts, as of one moment.
pub(crate) async fn count(
    pool: &PgPool,
    query: &ReportQuery,
) -> Result<(Totals, Vec<CountRow>), StoreError> {
    let kinds: Vec<&str> = query.kinds.iter().map(|kind| kind.code()).collect();
    let (start, end) = (query.start.to_sqlx(), query.end.to_sqlx());
    let mut tx = kefu_postgres::begin_snapshot(pool).await?;
    let totals = sqlx::query_file!(
        "src/store/report_totals.sql",
        query.org_unit,
        start as _,
        end as _,
        &kinds as _,
        query.now.to_sqlx() as _,
    )
    .fetch_one(&mut *tx)
    .await?;
    let rows = sqlx::query_file_as!(
        CountRow,
        "src/store/report_breakdown.sql",
        query.org_unit,
        start as _,
        end as _,
        &kinds as _,
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    let percentiles = |values: Option<Vec<f64>>| match values.as_deref() {
        Some([median, p90]) => Some(Percentiles { median: *median, p90: *p90 }),
        _ => None,
    };
    let totals = Totals {
        received: totals.received,
        answered: totals.answered,
        resolved: totals.resolved,
        closed: totals.closed,
        cancelled: totals.cancelled,
        overdue: totals.overdue,
        first_response: percentiles(totals.first_response),
        resolution: percentiles(totals.resolution),
    };
    Ok((totals, rows))
}
