//! How a report differs from an earlier one (T-20).

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::ReportMetric as Metric;

use crate::domain::ratio;

/// What is compared, in the order in which it is told.
pub(crate) const METRICS: [Metric; 20] = [
    Metric::Received,
    Metric::Answered,
    Metric::Resolved,
    Metric::Closed,
    Metric::Cancelled,
    Metric::Merged,
    Metric::Overdue,
    Metric::FirstResponseMedian,
    Metric::FirstResponseP90,
    Metric::ResolutionMedian,
    Metric::ResolutionP90,
    Metric::Compliance,
    Metric::VerdictAverage,
    Metric::SatisfiedShare,
    Metric::Repeats,
    Metric::Open,
    Metric::OpenOverdue,
    Metric::RootCausesFound,
    Metric::SuggestionsSubmitted,
    Metric::SuggestionsOpen,
];

/// The earlier report with the differences; none where there was nothing then.
pub(crate) fn comparison(
    now: &pb::ComplaintReport,
    then: pb::ComplaintReport,
) -> Option<Box<pb::ReportComparison>> {
    let backlog = then.backlog.unwrap_or_default();
    let open = then.open.as_ref().map_or(0, |open| open.count);
    if then.received == 0 && backlog.open_at_start == 0 && open == 0 {
        return None;
    }
    let differences = METRICS.map(|metric| {
        let (value, earlier) = (figure(now, metric), figure(&then, metric));
        let difference = value.zip(earlier).map(|(value, earlier)| value - earlier);
        let change = difference.zip(earlier.filter(|earlier| *earlier != 0.0));
        pb::MetricDifference {
            metric: metric.into(),
            value,
            earlier,
            difference,
            change: change.map(|(difference, earlier)| difference / earlier),
        }
    });
    let report = Some(Box::new(then));
    Some(Box::new(pb::ReportComparison { report, differences: differences.into() }))
}

/// A figure of a report; durations in seconds.
pub(crate) fn figure(report: &pb::ComplaintReport, metric: Metric) -> Option<f64> {
    let count = |count: i64| Some(ratio(count, 1));
    let open = report.open.as_ref();
    let verdicts = report.verdict_summary.as_ref();
    match metric {
        Metric::Unspecified => None,
        Metric::Received => count(report.received),
        Metric::Answered => count(report.answered),
        Metric::Resolved => count(report.resolved),
        Metric::Closed => count(report.closed),
        Metric::Cancelled => count(report.cancelled),
        Metric::Merged => count(report.merged),
        Metric::Overdue => count(report.overdue),
        Metric::FirstResponseMedian => seconds(report.first_response.as_ref()?.median),
        Metric::FirstResponseP90 => seconds(report.first_response.as_ref()?.p90),
        Metric::ResolutionMedian => seconds(report.resolution.as_ref()?.median),
        Metric::ResolutionP90 => seconds(report.resolution.as_ref()?.p90),
        Metric::Compliance => {
            let met: i64 = report.compliance.iter().map(|rule| rule.met).sum();
            let breached: i64 = report.compliance.iter().map(|rule| rule.breached).sum();
            (met + breached > 0).then(|| ratio(met, met + breached))
        }
        Metric::VerdictAverage => verdicts?.average,
        Metric::SatisfiedShare => verdicts?.satisfied_share,
        Metric::Repeats => count(report.repeats.as_ref()?.count),
        Metric::Open => count(open?.count),
        Metric::OpenOverdue => count(open?.overdue),
        Metric::RootCausesFound => count(report.root_causes.as_ref()?.found.as_ref()?.total),
        Metric::SuggestionsSubmitted => count(report.suggestions.as_ref()?.submitted),
        Metric::SuggestionsOpen => count(report.suggestions.as_ref()?.open),
    }
}

#[allow(clippy::cast_precision_loss, reason = "seconds of a ticket's life are far below 2^52")]
fn seconds(duration: Option<prost_types::Duration>) -> Option<f64> {
    duration.map(|duration| duration.seconds as f64 + f64::from(duration.nanos) / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t20_a_difference_is_told_where_there_are_both_figures_and_a_change_never_of_nothing() {
        let report = |received: i64, cancelled: i64, median: Option<i64>| pb::ComplaintReport {
            received,
            cancelled,
            first_response: Some(pb::DurationStatistics {
                median: median.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let found = comparison(&report(5, 2, Some(60)), report(4, 0, None)).unwrap();
        let of = |metric: Metric| {
            let found = found.differences.iter().find(|found| found.metric() == metric).unwrap();
            (found.value, found.earlier, found.difference, found.change)
        };
        assert_eq!(of(Metric::Received), (Some(5.0), Some(4.0), Some(1.0), Some(0.25)));
        assert_eq!(of(Metric::Cancelled), (Some(2.0), Some(0.0), Some(2.0), None));
        assert_eq!(of(Metric::FirstResponseMedian), (Some(60.0), None, None, None));
        assert_eq!(of(Metric::Compliance), (None, None, None, None));
        assert_eq!(found.differences.len(), METRICS.len());
        assert_eq!(comparison(&report(5, 0, None), report(0, 0, None)), None, "nothing then");
    }
}
