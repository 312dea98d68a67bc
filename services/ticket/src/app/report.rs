//! Reports (T-20): counted, not kept. All of a report, its comparisons with it, is read in one snapshot.

use std::sync::Arc;
use std::time::Duration;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use kefu_api::ticket::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_policy::Version;
use kefu_rpc::{Deadline, Fault, Language};
use sqlx::PgConnection;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{App, Error};
use crate::domain::{
    DEFAULT_REPEAT_WINDOW_DAYS, Policy, ReportWindow, TicketKind, week_from, week_of,
};
use crate::encode::report_document::Names;
use crate::encode::{report as encode, report_compare, report_html, report_sections, report_xlsx};
use crate::store::report::{self as store, ReportQuery};

/// Reports drawn up at a time: however many are asked for, commands keep most of the connections.
const AT_ONCE: usize = 2;
/// The longest wait for a turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest run of one statement of a report.
const STATEMENT_LIMIT: Duration = Duration::from_secs(10);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Lets a few reports at a time to the database, in the order in which they came.
#[derive(Debug)]
pub struct ReportGate(Semaphore);

impl Default for ReportGate {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl ReportGate {
    async fn enter(&self, deadline: Deadline) -> Result<SemaphorePermit<'_>, Error> {
        let patience = deadline.at_most(PATIENCE).remaining().unwrap_or(PATIENCE);
        match tokio::time::timeout(patience, self.0.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(Error::Overloaded),
        }
    }
}

/// Which period a report is about.
#[derive(Clone, Copy, Debug)]
pub enum ReportPeriod {
    /// The week of now.
    ThisWeek,
    /// The week that begins on this Monday.
    Week(Date),
    /// From, inclusive, to, exclusive.
    Between(Timestamp, Timestamp),
}

/// Which report is asked for.
#[derive(Clone, Debug)]
pub struct ReportOrder {
    /// At and below this org unit.
    pub org_unit: OrgUnit,
    /// Tickets registered in this period.
    pub period: ReportPeriod,
    /// As of when it is told what happened to them; none means now.
    pub as_of: Option<Timestamp>,
    /// Of these kinds.
    pub kinds: Vec<TicketKind>,
    /// How many categories, products and shops are told apart.
    pub top: u32,
    /// With the week before and the year before.
    pub compare: bool,
}

/// As what a report is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFormat {
    /// A workbook.
    Xlsx,
    /// A page to print.
    Html,
}

/// What a report is about, once time zone and policy are known.
struct Framed {
    zone: TimeZone,
    window: ReportWindow,
    now: Timestamp,
    version: Option<Arc<Version<Policy>>>,
}

impl App {
    /// The complaint report of an org unit and all below.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Invalid`], [`Error::Overloaded`].
    pub async fn complaint_report(
        &self,
        caller: &Caller,
        order: &ReportOrder,
        deadline: Deadline,
    ) -> Result<pb::ComplaintReport, Error> {
        self.allow(caller, "ticket.GetComplaintReport", &order.org_unit)?;
        let framed = self.frame(order).await?;
        let _turn = self.reports.enter(deadline).await?;
        let mut tx = kefu_postgres::begin_snapshot(&self.pool).await?;
        let report = compared(&mut tx, order, &framed, deadline).await?;
        tx.commit().await?;
        Ok(report)
    }

    /// The same with both comparisons as a document.
    ///
    /// # Errors
    /// As [`App::complaint_report`].
    pub async fn render_complaint_report(
        &self,
        caller: &Caller,
        order: &ReportOrder,
        format: ReportFormat,
        language: Language,
        deadline: Deadline,
    ) -> Result<pb::RenderComplaintReportResponse, Error> {
        self.allow(caller, "ticket.RenderComplaintReport", &order.org_unit)?;
        let framed = self.frame(order).await?;
        // Kept until the document is made: that costs a processor, and memory.
        let _turn = self.reports.enter(deadline).await?;
        let mut tx = kefu_postgres::begin_snapshot(&self.pool).await?;
        let report = compared(&mut tx, order, &framed, deadline).await?;
        let paths: Vec<String> = report_sections::org_units(&report);
        let titles = store::titles(&mut tx, &paths).await?;
        tx.commit().await?;
        let Framed { zone, version, .. } = framed;
        let rendered = tokio::task::spawn_blocking(move || {
            let policy = version.as_ref().map(|version| &version.policy);
            let names = Names { language, zone: &zone, titles: &titles, policy };
            let document = report_sections::document(&report, &names);
            let (content, content_type) = match format {
                ReportFormat::Html => (report_html::render(&document).into_bytes(), HTML),
                ReportFormat::Xlsx => (report_xlsx::render(&document)?, XLSX),
            };
            Ok::<_, rust_xlsxwriter::XlsxError>(pb::RenderComplaintReportResponse {
                content,
                content_type: content_type.to_owned(),
                file_name: file_name(&report, &zone, format),
            })
        });
        let rendered = rendered.await.map_err(|error| defect(&error))?;
        rendered.map_err(|error| defect(&error))
    }

    async fn frame(&self, order: &ReportOrder) -> Result<Framed, Error> {
        let now = self.now();
        let policies = self.policies.refresh().await?;
        let version = policies.effective(&order.org_unit, now).cloned();
        let zone = version
            .as_ref()
            .map_or(TimeZone::UTC, |version| version.policy.calendar().time_zone().clone());
        let as_of = order.as_of.unwrap_or(now);
        if as_of > now {
            let fault =
                Fault::new("IN_THE_FUTURE", "must not be in the future", "不得晚于当前时间");
            return Err(Error::Invalid("as_of_time", fault));
        }
        let period = match order.period {
            ReportPeriod::ThisWeek => week_of(as_of, &zone),
            ReportPeriod::Week(monday) => week_from(monday, &zone),
            ReportPeriod::Between(start, end) => Some((start, end)),
        };
        let Some((start, end)) = period else {
            return Err(Error::Invalid(
                "week",
                Fault::malformed("a week that there is", "存在的周"),
            ));
        };
        Ok(Framed { zone, window: ReportWindow { start, end, as_of }, now, version })
    }
}

const HTML: &str = "text/html; charset=utf-8";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// The report and, where they are asked for, its comparisons.
async fn compared(
    conn: &mut PgConnection,
    order: &ReportOrder,
    framed: &Framed,
    deadline: Deadline,
) -> Result<pb::ComplaintReport, Error> {
    let mut report = counted(conn, order, framed, framed.window, deadline).await?;
    if !order.compare {
        return Ok(report);
    }
    let (zone, window) = (&framed.zone, framed.window);
    let earlier = [window.before(zone), window.year_before(zone)];
    let mut comparisons = [None, None];
    for (window, comparison) in earlier.into_iter().zip(&mut comparisons) {
        let Some(window) = window else { continue };
        let then = counted(conn, order, framed, window, deadline).await?;
        *comparison = report_compare::comparison(&report, then);
    }
    [report.week_before, report.year_before] = comparisons;
    Ok(report)
}

async fn counted(
    conn: &mut PgConnection,
    order: &ReportOrder,
    framed: &Framed,
    window: ReportWindow,
    deadline: Deadline,
) -> Result<pb::ComplaintReport, Error> {
    let limit = deadline.at_most(STATEMENT_LIMIT).remaining().unwrap_or(STATEMENT_LIMIT);
    store::bound(conn, limit).await?;
    let policy = framed.version.as_ref().map(|version| &version.policy);
    let days = policy.map_or(DEFAULT_REPEAT_WINDOW_DAYS, Policy::repeat_window_days);
    let query = ReportQuery {
        org_unit: order.org_unit.to_string(),
        window,
        kinds: order.kinds.clone(),
        top: i64::from(order.top),
        repeat_window: DAY * days,
    };
    let counted = store::count(conn, &query).await?;
    Ok(encode::resource(&query, &counted, &framed.zone, framed.now)?)
}

/// Of ASCII only: it stands in a header.
fn file_name(report: &pb::ComplaintReport, zone: &TimeZone, format: ReportFormat) -> String {
    let unit: String = report
        .org_unit
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(100)
        .collect();
    let period = if report.iso_week.is_empty() {
        encode::day(report.start_time.as_ref(), zone)
    } else {
        report.iso_week.clone()
    };
    let ending = match format {
        ReportFormat::Xlsx => "xlsx",
        ReportFormat::Html => "html",
    };
    format!("complaints-{unit}-{period}.{ending}")
}

fn defect(error: &dyn std::error::Error) -> Error {
    Error::Defect(format!("rendering a report: {error}"))
}
