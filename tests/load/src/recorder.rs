//! What became of the calls: latencies of those that succeeded, and a count by status of those that did not.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use tonic::Code;

/// The longest latency that is told apart from longer ones: an hour, in nanoseconds.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// Latencies and failures of one kind of call.
#[derive(Clone, Debug)]
pub struct Recorder {
    latencies: Histogram<u64>,
    failures: BTreeMap<&'static str, u64>,
}

/// One line of a latency table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latencies {
    /// Half are below.
    pub p50: Duration,
    /// 90 of 100 are below.
    pub p90: Duration,
    /// 99 of 100 are below.
    pub p99: Duration,
    /// 999 of 1000 are below.
    pub p999: Duration,
    /// The longest.
    pub max: Duration,
}

impl Recorder {
    /// Nothing recorded yet. Latencies are kept with three significant digits from 1 µs to an hour.
    ///
    /// # Errors
    /// Never: the bounds are sound.
    pub fn new() -> anyhow::Result<Self> {
        let latencies = Histogram::new_with_bounds(1_000, LONGEST_NS, 3)?;
        Ok(Self { latencies, failures: BTreeMap::new() })
    }

    /// Records one call. A failure is counted and does not enter the latencies: a fast refusal would flatter them.
    pub fn record(&mut self, latency: Duration, outcome: Result<(), Code>) {
        match outcome {
            Ok(()) => {
                let nanos = u64::try_from(latency.as_nanos()).unwrap_or(LONGEST_NS);
                self.latencies.saturating_record(nanos);
            }
            Err(code) => *self.failures.entry(code_name(code)).or_default() += 1,
        }
    }

    /// Adds what another one has recorded.
    ///
    /// # Errors
    /// Never: all have the same bounds.
    pub fn merge(&mut self, other: &Self) -> anyhow::Result<()> {
        self.latencies.add(&other.latencies)?;
        for (code, count) in &other.failures {
            *self.failures.entry(code).or_default() += count;
        }
        Ok(())
    }

    /// How many succeeded.
    pub fn succeeded(&self) -> u64 {
        self.latencies.len()
    }

    /// How many failed, by status.
    pub fn failures(&self) -> &BTreeMap<&'static str, u64> {
        &self.failures
    }

    /// The latencies of those that succeeded; `None` if none did.
    pub fn latencies(&self) -> Option<Latencies> {
        let at = |q| Duration::from_nanos(self.latencies.value_at_quantile(q));
        (!self.latencies.is_empty()).then(|| Latencies {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: Duration::from_nanos(self.latencies.max()),
        })
    }
}

/// The name of a status as the specification writes it.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: Duration, expected: Duration) -> bool {
        found.abs_diff(expected) <= expected / 500
    }

    #[test]
    fn percentiles_of_merged_recorders_are_those_of_all_calls() {
        let (mut even, mut odd) = (Recorder::new().unwrap(), Recorder::new().unwrap());
        for n in 1..=1000 {
            let recorder = if n % 2 == 0 { &mut even } else { &mut odd };
            recorder.record(Duration::from_millis(n), Ok(()));
        }
        even.merge(&odd).unwrap();
        assert_eq!(even.succeeded(), 1000);
        let found = even.latencies().unwrap();
        assert!(near(found.p50, Duration::from_millis(500)), "{found:?}");
        assert!(near(found.p90, Duration::from_millis(900)), "{found:?}");
        assert!(near(found.p99, Duration::from_millis(990)), "{found:?}");
        assert!(near(found.p999, Duration::from_millis(999)), "{found:?}");
        assert!(near(found.max, Duration::from_millis(1000)), "{found:?}");
    }

    #[test]
    fn failures_are_counted_by_status_and_do_not_flatter_the_latencies() {
        let mut one = Recorder::new().unwrap();
        one.record(Duration::from_millis(1), Err(Code::Unavailable));
        assert_eq!(one.latencies(), None);
        let mut other = one.clone();
        other.record(Duration::from_millis(1), Err(Code::ResourceExhausted));
        one.merge(&other).unwrap();
        let counts: Vec<_> = one.failures().iter().map(|(code, count)| (*code, *count)).collect();
        assert_eq!(counts, [("RESOURCE_EXHAUSTED", 1), ("UNAVAILABLE", 2)]);
    }

    #[test]
    fn what_is_out_of_range_is_recorded_at_its_edge() {
        let mut recorder = Recorder::new().unwrap();
        recorder.record(Duration::ZERO, Ok(()));
        recorder.record(Duration::from_secs(86_400), Ok(()));
        assert_eq!(recorder.succeeded(), 2);
        assert!(near(recorder.latencies().unwrap().max, Duration::from_secs(3_600)));
    }
}
