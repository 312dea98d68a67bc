//! Reports as others see them.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use kefu_api::ticket::v1 as pb;
use kefu_postgres::StoreError;
use kefu_rpc::{timestamp, to_proto_timestamp};
use uuid::Uuid;

use super::{clock, report_learning, ticket, time};
use crate::domain::{
    AGE_BOUNDS_DAYS, Channel, ClockKind, EscalationCause, StateName, iso_week_of, pareto, ratio,
};
use crate::store::report::{CountRow, Counted, Percentiles, ReportQuery};

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// The most of the oldest open tickets that are named.
const OLDEST: usize = 10;

/// The resource, without comparisons.
///
/// # Errors
/// [`StoreError::Corrupt`] if something was counted that nobody knows.
pub(crate) fn resource(
    query: &ReportQuery,
    counted: &Counted,
    zone: &TimeZone,
    now: Timestamp,
) -> Result<pb::ComplaintReport, StoreError> {
    let (totals, window) = (&counted.totals, query.window);
    let mut report = pb::ComplaintReport {
        org_unit: query.org_unit.clone(),
        start_time: time(window.start),
        end_time: time(window.end),
        report_time: time(now),
        as_of_time: time(window.as_of),
        time_zone: zone.iana_name().unwrap_or("UTC").to_owned(),
        iso_week: iso_week_of(window.start, window.end, zone).unwrap_or_default(),
        received: totals.received,
        answered: totals.answered,
        resolved: totals.resolved,
        closed: totals.closed,
        cancelled: totals.cancelled,
        merged: totals.merged,
        overdue: totals.overdue,
        first_response: Some(durations(totals.answered, totals.first_response)),
        resolution: Some(durations(totals.resolved, totals.resolution)),
        ..pb::ComplaintReport::default()
    };
    for row in &counted.rows {
        add(&mut report, row)?;
    }
    for rule in &mut report.compliance {
        let announced = counted.rows.iter().filter(|row| row.section == "announced");
        let found = announced.filter(|row| row.label == rule.rule).find(|row| {
            let kind: Result<ClockKind, _> = row.kind.as_deref().unwrap_or_default().parse();
            kind.is_ok_and(|kind| clock::kind(kind) == rule.kind())
        });
        rule.announced = found.map_or(0, |row| row.count);
    }
    report.verdicts.sort_by_key(|verdict| verdict.value);
    report.channels.sort_by_key(|channel| channel.channel);
    report.category_tree.sort_by(|a, b| a.category.split('/').cmp(b.category.split('/')));
    report.categories = Some(section(&counted.rows, "category", totals.received));
    report.products = Some(section(&counted.rows, "product", totals.received));
    report.shops = Some(section(&counted.rows, "shop", totals.received));
    report.verdict_summary = Some(verdict_summary(&report.verdicts));
    report.open = Some(open(counted)?);
    report.backlog = Some(backlog(counted));
    report.repeats = Some(repeats(query, counted)?);
    report.root_causes = Some(report_learning::root_causes(&counted.rows));
    report.suggestions = Some(report_learning::suggestions(&counted.suggestions));
    Ok(report)
}

fn add(report: &mut pb::ComplaintReport, row: &CountRow) -> Result<(), StoreError> {
    let CountRow { label, count, .. } = row;
    let (text, count) = (label.clone(), *count);
    let corrupt = || StoreError::corrupt("report", format_args!("{} {label}", row.section));
    let number = || label.parse::<i32>().map_err(|_| corrupt());
    match row.section.as_str() {
        "severity" => {
            report.severities.push(pb::SeverityCount { severity: number()?, count });
        }
        "channel" => {
            let known: Channel = label.parse().map_err(|_| corrupt())?;
            let channel = ticket::channel(known).into();
            report.channels.push(pb::ChannelCount { channel, count });
        }
        "org_unit" => report.org_units.push(pb::OrgUnitCount { org_unit: text, count }),
        "category" | "product" | "shop" | "cause" | "cause_total" | "found" | "found_total" => {}
        "node" => report.category_tree.push(pb::CategoryNode {
            category: text,
            count,
            own_count: row.met,
        }),
        "clock" => {
            let kind: ClockKind =
                row.kind.as_deref().unwrap_or_default().parse().map_err(|_| corrupt())?;
            let judged = row.met + row.breached;
            report.compliance.push(pb::ClockCompliance {
                rule: text,
                kind: clock::kind(kind).into(),
                met: row.met,
                breached: row.breached,
                running: row.running,
                announced: 0,
                rate: (judged > 0).then(|| ratio(row.met, judged)),
            });
        }
        "announced" => {}
        "verdict" => {
            let value = number()?;
            report.verdicts.push(pb::VerdictCount { value, count, closing: row.met });
        }
        "escalation" => {
            let known: EscalationCause = label.parse().map_err(|_| corrupt())?;
            let cause = ticket::cause(known).into();
            report.escalations.push(pb::EscalationCount { cause, count });
        }
        "violation" => report.violations.push(pb::ViolationCount { code: text, count }),
        _ => return Err(corrupt()),
    }
    Ok(())
}

/// The counts of a section from the most frequent down; what the statement cut off is the rest of the total.
pub(crate) fn section(rows: &[CountRow], name: &str, total: i64) -> pb::Pareto {
    let mut rows: Vec<&CountRow> = rows.iter().filter(|row| row.section == name).collect();
    rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.label.cmp(&b.label)));
    let counts: Vec<i64> = rows.iter().map(|row| row.count).collect();
    let entries = rows.iter().zip(pareto(&counts, total)).map(|(row, share)| pb::ParetoEntry {
        label: row.label.clone(),
        count: row.count,
        share: share.share,
        cumulative_share: share.cumulative,
    });
    pb::Pareto { entries: entries.collect(), others: total - counts.iter().sum::<i64>(), total }
}

fn verdict_summary(verdicts: &[pb::VerdictCount]) -> pb::VerdictSummary {
    let count = verdicts.iter().map(|verdict| verdict.count).sum();
    let satisfied = verdicts.iter().map(|verdict| verdict.closing).sum();
    let sum: i64 = verdicts.iter().map(|verdict| i64::from(verdict.value) * verdict.count).sum();
    pb::VerdictSummary {
        count,
        average: (count > 0).then(|| ratio(sum, count)),
        satisfied,
        satisfied_share: (count > 0).then(|| ratio(satisfied, count)),
    }
}

fn open(counted: &Counted) -> Result<pb::OpenTickets, StoreError> {
    let mut lower = None;
    let uppers = AGE_BOUNDS_DAYS.map(Some).into_iter().chain([None]);
    let mut buckets: Vec<pb::AgeBucket> = uppers
        .map(|upper| {
            let days = |days: u64| duration(Duration::from_secs(days * DAY.as_secs()));
            pb::AgeBucket {
                min_age: days(std::mem::replace(&mut lower, upper).unwrap_or_default()),
                max_age: upper.and_then(days),
                ..pb::AgeBucket::default()
            }
        })
        .collect();
    let mut oldest = Vec::new();
    for row in counted.open.iter().filter(|row| row.section == "age") {
        let bucket = usize::try_from(row.bucket).ok().and_then(|place| buckets.get_mut(place));
        let bucket = bucket.ok_or_else(|| StoreError::corrupt("report", "an unknown age"))?;
        (bucket.count, bucket.overdue) = (row.count, row.overdue);
        oldest.push((row.bucket, row.oldest.as_deref().unwrap_or_default()));
    }
    // The oldest age first.
    oldest.sort_by_key(|(bucket, _)| std::cmp::Reverse(*bucket));
    let oldest = oldest.into_iter().flat_map(|(_, tickets)| tickets).take(OLDEST);
    Ok(pb::OpenTickets {
        count: buckets.iter().map(|bucket| bucket.count).sum(),
        overdue: buckets.iter().map(|bucket| bucket.overdue).sum(),
        buckets,
        oldest: oldest.map(|id| line(counted, *id)).collect::<Result<_, _>>()?,
    })
}

fn backlog(counted: &Counted) -> pb::Backlog {
    let of = |section: &str| {
        counted.open.iter().filter(|row| row.section == section).map(|row| row.count).sum::<i64>()
    };
    let (closed, cancelled, received) = (of("closed"), of("cancelled"), counted.arrived);
    let [open_at_start, open_at_end] = counted.stock;
    let other_changes = open_at_end + closed + cancelled - open_at_start - received;
    pb::Backlog { open_at_start, received, closed, cancelled, open_at_end, other_changes }
}

fn repeats(query: &ReportQuery, counted: &Counted) -> Result<pb::RepeatComplaints, StoreError> {
    let first = counted.repeats.first();
    let count = first.map_or(0, |row| row.total);
    let top = counted.repeats.iter().map(|row| {
        let tickets = row.tickets.iter().map(|id| line(counted, *id));
        Ok(pb::RepeatCustomer {
            customer: format!("customers/{}", row.customer),
            count: row.count,
            tickets: tickets.collect::<Result<_, StoreError>>()?,
        })
    });
    Ok(pb::RepeatComplaints {
        window: duration(query.repeat_window),
        count,
        share: ratio(count, counted.totals.received),
        customers: first.map_or(0, |row| row.customers),
        top: top.collect::<Result<_, StoreError>>()?,
    })
}

fn line(counted: &Counted, id: Uuid) -> Result<pb::ReportTicket, StoreError> {
    let line = counted.tickets.get(&id);
    let line = line.ok_or_else(|| StoreError::corrupt("report", "a ticket is not there"))?;
    let state: StateName =
        line.state.parse().map_err(|error| StoreError::corrupt("ticket.state", error))?;
    Ok(pb::ReportTicket {
        ticket: ticket::name(line.id),
        number: line.number.clone(),
        subject: line.subject.clone(),
        org_unit: line.org_unit.clone(),
        severity: line.severity.into(),
        state: ticket::state(state).into(),
        create_time: Some(to_proto_timestamp(line.created_at.to_jiff())),
    })
}

fn durations(count: i64, percentiles: Option<Percentiles>) -> pb::DurationStatistics {
    // An answer may have been sent a moment before the registration was stored.
    let seconds =
        |seconds: f64| duration(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default());
    pb::DurationStatistics {
        count,
        median: percentiles.and_then(|percentiles| seconds(percentiles.median)),
        p90: percentiles.and_then(|percentiles| seconds(percentiles.p90)),
    }
}

fn duration(duration: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(duration).ok()
}

/// The date of a time, e.g. `2026-03-02`.
pub(crate) fn day(at: Option<&prost_types::Timestamp>, zone: &TimeZone) -> String {
    moment(at, zone, "%Y-%m-%d")
}

/// A time in a zone.
pub(crate) fn moment(at: Option<&prost_types::Timestamp>, zone: &TimeZone, how: &str) -> String {
    let at = at.and_then(|at| timestamp(at).ok());
    at.map(|at| at.to_zoned(zone.clone()).strftime(how).to_string()).unwrap_or_default()
}
