//! What reports count: statements over one snapshot, each bounded by what the period and the backlog hold.

use std::collections::HashMap;
use std::time::Duration;

use jiff::SignedDuration;
use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::report_suggestion::{self, SuggestionCounts};
use crate::domain::{AGE_BOUNDS_DAYS, ReportWindow, TicketKind};

/// The most customers that complained again who are named.
const MOST_REPEATERS: i64 = 10;

/// Which tickets a report is about.
#[derive(Clone, Debug)]
pub(crate) struct ReportQuery {
    /// At and below this org unit.
    pub(crate) org_unit: String,
    /// When they were registered, and as of when it is told what happened to them.
    pub(crate) window: ReportWindow,
    /// Of these kinds.
    pub(crate) kinds: Vec<TicketKind>,
    /// How many categories, products and shops are told apart.
    pub(crate) top: i64,
    /// How long before a complaint an earlier one makes it a repeat.
    pub(crate) repeat_window: Duration,
}

/// The middle and the slow end of durations, in seconds; `None` where there are none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Percentiles {
    pub(crate) median: f64,
    pub(crate) p90: f64,
}

/// How many tickets came how far, and how fast.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) received: i64,
    pub(crate) answered: i64,
    pub(crate) resolved: i64,
    pub(crate) closed: i64,
    pub(crate) cancelled: i64,
    pub(crate) merged: i64,
    pub(crate) overdue: i64,
    pub(crate) first_response: Option<Percentiles>,
    pub(crate) resolution: Option<Percentiles>,
}

/// One count of a section.
#[derive(Clone, Debug)]
pub(crate) struct CountRow {
    /// `severity`, `channel`, `org_unit`, `category`, `node`, `product`, `shop`, `clock`, `verdict`, `escalation` or `violation`;
    /// `cause` or `found` for root causes, with their totals in `cause_total` and `found_total`.
    pub(crate) section: String,
    pub(crate) label: String,
    /// Of a clock only.
    pub(crate) kind: Option<String>,
    pub(crate) count: i64,
    pub(crate) met: i64,
    pub(crate) breached: i64,
    pub(crate) running: i64,
}

/// One count of what is open.
#[derive(Clone, Debug)]
pub(crate) struct OpenRow {
    /// `age` with a bucket, or `closed` or `cancelled` in the period.
    pub(crate) section: String,
    /// Counts the ages from 0, as [`AGE_BOUNDS_DAYS`] divides them.
    pub(crate) bucket: i32,
    pub(crate) count: i64,
    pub(crate) overdue: i64,
    /// The oldest of an age, oldest first.
    pub(crate) oldest: Option<Vec<Uuid>>,
}

/// A customer who complained again.
#[derive(Clone, Debug)]
pub(crate) struct RepeatRow {
    pub(crate) customer: Uuid,
    pub(crate) count: i64,
    pub(crate) tickets: Vec<Uuid>,
    /// Of all customers, the same in each row.
    pub(crate) total: i64,
    /// How many customers there are, the same in each row.
    pub(crate) customers: i64,
}

/// A ticket that a report points to.
#[derive(Clone, Debug)]
pub(crate) struct TicketLine {
    pub(crate) id: Uuid,
    pub(crate) number: String,
    pub(crate) subject: String,
    pub(crate) org_unit: String,
    pub(crate) severity: i16,
    pub(crate) state: String,
    pub(crate) created_at: Timestamp,
}

/// All that was counted for one window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) totals: Totals,
    pub(crate) rows: Vec<CountRow>,
    pub(crate) open: Vec<OpenRow>,
    /// Open when the period began and when it ended.
    pub(crate) stock: [i64; 2],
    /// Registered in the period, by where they were when it ended.
    pub(crate) arrived: i64,
    pub(crate) repeats: Vec<RepeatRow>,
    pub(crate) suggestions: SuggestionCounts,
    pub(crate) tickets: HashMap<Uuid, TicketLine>,
}

/// Bounds what the statements of this transaction may take; spares them the compiler, which costs more here than it saves;
/// and lets them sort a week in memory.
pub(crate) async fn bound(conn: &mut PgConnection, limit: Duration) -> Result<(), StoreError> {
    let limit = limit.as_millis().max(1).to_string();
    sqlx::query!(
        "SELECT set_config('statement_timeout', $1, true) AS timeout, set_config('jit', 'off', true) AS jit,
                set_config('work_mem', '16MB', true) AS memory",
        limit
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}

/// Counts. In a snapshot, as of one moment.
pub(crate) async fn count(
    conn: &mut PgConnection,
    query: &ReportQuery,
) -> Result<Counted, StoreError> {
    let mut counted = Counted {
        totals: totals(conn, query).await?,
        rows: breakdown(conn, query).await?,
        open: open(conn, query).await?,
        stock: [
            stock(conn, query, query.window.start).await?,
            stock(conn, query, query.window.end).await?,
        ],
        arrived: arrived(conn, query).await?,
        repeats: repeats(conn, query).await?,
        suggestions: report_suggestion::count(conn, &query.org_unit, query.window).await?,
        tickets: HashMap::new(),
    };
    let oldest = counted.open.iter().filter_map(|row| row.oldest.as_ref()).flatten();
    let repeated = counted.repeats.iter().flat_map(|row| &row.tickets);
    let named: Vec<Uuid> = oldest.chain(repeated).copied().collect();
    counted.tickets = lines(conn, &named).await?;
    Ok(counted)
}

/// What org units are called, in English and in Chinese.
pub(crate) async fn titles(
    conn: &mut PgConnection,
    org_units: &[String],
) -> Result<HashMap<String, (String, String)>, StoreError> {
    let rows = sqlx::query!(
        "SELECT path, title_en, title_zh FROM org_unit WHERE path = ANY ($1)",
        org_units
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.path, (row.title_en, row.title_zh))).collect())
}

async fn totals(conn: &mut PgConnection, query: &ReportQuery) -> Result<Totals, StoreError> {
    let totals = sqlx::query_file!(
        "src/store/report_totals.sql",
        query.org_unit,
        query.window.start.to_sqlx() as _,
        query.window.end.to_sqlx() as _,
        &kinds(query) as _,
        query.window.as_of.to_sqlx() as _,
    )
    .fetch_one(conn)
    .await?;
    let percentiles = |values: Option<Vec<f64>>| match values.as_deref() {
        Some([median, p90]) => Some(Percentiles { median: *median, p90: *p90 }),
        _ => None,
    };
    Ok(Totals {
        received: totals.received,
        answered: totals.answered,
        resolved: totals.resolved,
        closed: totals.closed,
        cancelled: totals.cancelled,
        merged: totals.merged,
        overdue: totals.overdue,
        first_response: percentiles(totals.first_response),
        resolution: percentiles(totals.resolution),
    })
}

async fn breakdown(
    conn: &mut PgConnection,
    query: &ReportQuery,
) -> Result<Vec<CountRow>, StoreError> {
    Ok(sqlx::query_file_as!(
        CountRow,
        "src/store/report_breakdown.sql",
        query.org_unit,
        query.window.start.to_sqlx() as _,
        query.window.end.to_sqlx() as _,
        &kinds(query) as _,
        query.window.as_of.to_sqlx() as _,
        query.top,
    )
    .fetch_all(conn)
    .await?)
}

async fn open(conn: &mut PgConnection, query: &ReportQuery) -> Result<Vec<OpenRow>, StoreError> {
    let bounds = AGE_BOUNDS_DAYS.map(|days| Duration::from_secs(days * 86_400).as_secs_f64());
    Ok(sqlx::query_file_as!(
        OpenRow,
        "src/store/report_open.sql",
        query.org_unit,
        query.window.start.to_sqlx() as _,
        query.window.end.to_sqlx() as _,
        &kinds(query) as _,
        query.window.as_of.to_sqlx() as _,
        &bounds[..],
    )
    .fetch_all(conn)
    .await?)
}

/// How many were open just before `at`, or by the moment as of which everything is told if that is earlier.
async fn stock(
    conn: &mut PgConnection,
    query: &ReportQuery,
    at: jiff::Timestamp,
) -> Result<i64, StoreError> {
    Ok(sqlx::query_file_scalar!(
        "src/store/report_stock.sql",
        query.org_unit,
        &kinds(query) as _,
        told_before(query, at).to_sqlx() as _,
    )
    .fetch_one(conn)
    .await?)
}

/// How many of those registered in the period were there when it ended, or by then as well.
async fn arrived(conn: &mut PgConnection, query: &ReportQuery) -> Result<i64, StoreError> {
    Ok(sqlx::query_file_scalar!(
        "src/store/report_arrived.sql",
        query.org_unit,
        &kinds(query) as _,
        query.window.start.to_sqlx() as _,
        told_before(query, query.window.end).to_sqlx() as _,
    )
    .fetch_one(conn)
    .await?)
}

/// `at`, or just after the moment as of which everything is told if that is earlier.
fn told_before(query: &ReportQuery, at: jiff::Timestamp) -> jiff::Timestamp {
    let told = query.window.as_of.checked_add(SignedDuration::from_micros(1));
    told.map_or(at, |told| told.min(at))
}

async fn repeats(
    conn: &mut PgConnection,
    query: &ReportQuery,
) -> Result<Vec<RepeatRow>, StoreError> {
    Ok(sqlx::query_file_as!(
        RepeatRow,
        "src/store/report_repeat.sql",
        query.org_unit,
        query.window.start.to_sqlx() as _,
        query.window.end.to_sqlx() as _,
        &kinds(query) as _,
        query.window.as_of.to_sqlx() as _,
        query.repeat_window.as_secs_f64(),
        MOST_REPEATERS,
    )
    .fetch_all(conn)
    .await?)
}

async fn lines(
    conn: &mut PgConnection,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, TicketLine>, StoreError> {
    let rows = sqlx::query_as!(
        TicketLine,
        r#"SELECT id, number, subject, org_unit, severity, state, created_at AS "created_at: Timestamp"
           FROM ticket WHERE id = ANY ($1)"#,
        ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

fn kinds(query: &ReportQuery) -> Vec<&'static str> {
    query.kinds.iter().map(|kind| kind.code()).collect()
}
