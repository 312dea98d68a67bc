//! Reports as others see them.

use std::time::Duration;

use kefu_api::ticket::v1 as pb;
use kefu_postgres::StoreError;

use super::{clock, ticket, time};
use crate::domain::{Channel, ClockKind, EscalationCause};
use crate::store::report::{CountRow, Percentiles, ReportQuery, Totals};

/// The resource.
///
/// # Errors
/// [`StoreError::Corrupt`] if something was counted that nobody knows.
pub(crate) fn resource(
    query: &ReportQuery,
    totals: &Totals,
    rows: &[CountRow],
) -> Result<pb::ComplaintReport, StoreError> {
    let mut report = pb::ComplaintReport {
        org_unit: query.org_unit.clone(),
        start_time: time(query.start),
        end_time: time(query.end),
        report_time: time(query.now),
        received: totals.received,
        answered: totals.answered,
        resolved: totals.resolved,
        closed: totals.closed,
        cancelled: totals.cancelled,
        overdue: totals.overdue,
        first_response: Some(durations(totals.answered, totals.first_response)),
        resolution: Some(durations(totals.resolved, totals.resolution)),
        ..pb::ComplaintReport::default()
    };
    for row in rows {
        add(&mut report, row)?;
    }
    report.verdicts.sort_by_key(|verdict| verdict.value);
    report.channels.sort_by_key(|channel| channel.channel);
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
        "clock" => {
            let kind: ClockKind =
                row.kind.as_deref().unwrap_or_default().parse().map_err(|_| corrupt())?;
            report.compliance.push(pb::ClockCompliance {
                rule: text,
                kind: clock::kind(kind).into(),
                met: row.met,
                breached: row.breached,
                running: row.running,
            });
        }
        "verdict" => report.verdicts.push(pb::VerdictCount { value: number()?, count }),
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

fn durations(count: i64, percentiles: Option<Percentiles>) -> pb::DurationStatistics {
    let duration = |seconds: f64| {
        // An answer may have been sent a moment before the registration was stored.
        let duration = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default();
        prost_types::Duration::try_from(duration).ok()
    };
    pb::DurationStatistics {
        count,
        median: percentiles.and_then(|percentiles| duration(percentiles.median)),
        p90: percentiles.and_then(|percentiles| duration(percentiles.p90)),
    }
}
