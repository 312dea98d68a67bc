//! Calls at a constant rate, whatever becomes of those before.
//!
//! A call's latency counts from when it was due, not from when it could be sent: if the mesh, or this program, falls behind,
//! every call that had to wait shows it (no coordinated omission).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::procfs::{Spent, Usage};
use crate::recorder::Recorder;
use crate::scenario::{Caller, Scenario};
use crate::schedule::Schedule;

/// Time for the first call to be prepared.
const LEAD: Duration = Duration::from_millis(50);

/// How much later than due a call may be sent, at the 99th percentile, before this program is suspected.
const TOLERABLE_LAG: Duration = Duration::from_millis(5);

/// The share of one processor from which on this program, which runs on one thread, is suspected.
const TOLERABLE_SHARE: f64 = 0.85;

/// How a run goes.
#[derive(Clone, Copy, Debug)]
pub struct OpenLoop {
    /// When calls are due.
    pub schedule: Schedule,
    /// Calls that are due before are made but not recorded.
    pub warm_up: Duration,
    /// More calls than this at once are not sent but counted as dropped.
    pub max_in_flight: usize,
}

/// What a run showed.
#[derive(Debug)]
pub struct Report {
    /// By kind of call.
    pub by_scenario: BTreeMap<Scenario, Recorder>,
    /// From when the first recorded call was due until the last one was answered.
    pub elapsed: Duration,
    /// Calls that were not sent, because too many were in flight.
    pub dropped: u64,
    /// How much later than due calls were sent.
    pub lag: Recorder,
    /// Processor time of the whole run.
    pub spent: Spent,
    /// How long the whole run took.
    pub wall: Duration,
}

#[derive(Debug)]
struct Records {
    by_scenario: BTreeMap<Scenario, Recorder>,
    lag: Recorder,
    last_answer: Option<Instant>,
}

impl OpenLoop {
    /// Makes the calls. Ends by itself: calls are bounded, and each has a deadline.
    ///
    /// # Errors
    /// When the dispatcher cannot be started or `/proc` not be read.
    pub async fn run(self, caller: Caller, scenario: Scenario) -> anyhow::Result<Report> {
        let records = Arc::new(Mutex::new(Records {
            by_scenario: BTreeMap::new(),
            lag: Recorder::new()?,
            last_answer: None,
        }));
        let empty = Recorder::new()?;
        let before = Usage::now()?;
        let began = kefu_clock::monotonic();
        let start = began + LEAD;
        let mut due = self.dispatch(start)?;
        let mut calls = JoinSet::new();
        let mut dropped = 0;
        while let Some(number) = due.recv().await {
            while calls.try_join_next().is_some() {}
            let due_after = self.schedule.due(number);
            let recorded = due_after >= self.warm_up;
            if calls.len() >= self.max_in_flight {
                dropped += u64::from(recorded);
                continue;
            }
            let (caller, records, empty) = (caller.clone(), Arc::clone(&records), empty.clone());
            calls.spawn(async move {
                let scenario = scenario.call(number);
                let due_at = start + due_after;
                let sent_at = kefu_clock::monotonic();
                let outcome = caller.call(scenario, number).await;
                let answered_at = kefu_clock::monotonic();
                if recorded {
                    let mut records = records.lock().unwrap_or_else(PoisonError::into_inner);
                    records.last_answer = Some(answered_at);
                    records.lag.record(sent_at.saturating_duration_since(due_at), Ok(()));
                    let latency = answered_at.saturating_duration_since(due_at);
                    let entry = records.by_scenario.entry(scenario);
                    entry.or_insert(empty).record(latency, outcome);
                }
            });
        }
        while calls.join_next().await.is_some() {}
        let spent = Usage::now()?.since(&before);
        let records = records.lock().unwrap_or_else(PoisonError::into_inner);
        let first_due = start + self.warm_up;
        Ok(Report {
            by_scenario: records.by_scenario.clone(),
            elapsed: records.last_answer.map_or(Duration::ZERO, |last| last - first_due),
            dropped,
            lag: records.lag.clone(),
            spent,
            wall: began.elapsed(),
        })
    }

    /// Tells the number of each call when it is due. From a thread of its own: the runtime's timers tell milliseconds
    /// apart, and at high rates calls would come in bursts.
    fn dispatch(self, start: Instant) -> std::io::Result<mpsc::UnboundedReceiver<u64>> {
        let (tell, due) = mpsc::unbounded_channel();
        thread::Builder::new().name("dispatcher".to_owned()).spawn(move || {
            for number in 0..self.schedule.total() {
                let due_at = start + self.schedule.due(number);
                thread::sleep(due_at.saturating_duration_since(kefu_clock::monotonic()));
                if tell.send(number).is_err() {
                    return;
                }
            }
        })?;
        Ok(due)
    }
}

impl Report {
    /// Calls that succeeded, per second.
    #[allow(clippy::cast_precision_loss, reason = "fewer calls than 2^52")]
    pub fn achieved(&self) -> f64 {
        let succeeded: u64 = self.by_scenario.values().map(Recorder::succeeded).sum();
        succeeded as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Why the figures may be this program's own and not the mesh's.
    #[allow(clippy::cast_precision_loss, reason = "microseconds of a benchmark")]
    pub fn suspicions(&self) -> Vec<String> {
        let mut suspicions = Vec::new();
        if self.dropped > 0 {
            suspicions.push(format!(
                "{} calls were not sent, because too many were in flight already: the mesh does not keep up",
                self.dropped
            ));
        }
        if let Some(lag) = self.lag.latencies().filter(|lag| lag.p99 > TOLERABLE_LAG) {
            suspicions.push(format!(
                "the generator sent 1 % of the calls more than {:.1} ms late: part of the latency is its own",
                lag.p99.as_secs_f64() * 1e3
            ));
        }
        let own = self.spent.by_group.get("generator").copied().unwrap_or_default() as f64;
        let share = own / 1e6 / self.wall.as_secs_f64().max(f64::MIN_POSITIVE);
        if share > TOLERABLE_SHARE {
            suspicions.push(format!(
                "the generator used {:.0} % of its one processor: it was the bottleneck",
                share * 100.0
            ));
        }
        suspicions
    }
}
