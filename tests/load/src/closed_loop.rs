//! A constant number of calls in flight, each followed by the next: what pgbench does, and so what is compared with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinSet;

use crate::procfs::{Spent, Usage};
use crate::recorder::Recorder;
use crate::scenario::{Caller, Scenario};

/// Calls made before anything is measured, as a share of the measured time.
const WARM_UP: f64 = 0.2;

/// What a round showed.
#[derive(Clone, Debug)]
pub struct Round {
    /// Operations that succeeded within the measured time.
    pub operations: u64,
    /// How long was measured.
    pub wall: Duration,
    /// Processor time within it, of all processes that take part.
    pub spent: Spent,
    /// Latencies and failures; pgbench's are not kept.
    pub recorder: Option<Recorder>,
}

impl Round {
    /// Operations per second.
    #[allow(clippy::cast_precision_loss, reason = "fewer operations than 2^52")]
    pub fn rate(&self) -> f64 {
        self.operations as f64 / self.wall.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Processor time per operation in µs, over all processes.
    #[allow(clippy::cast_precision_loss, reason = "microseconds of a benchmark")]
    pub fn cpu_us(&self) -> f64 {
        self.spent.total() as f64 / (self.operations.max(1)) as f64
    }
}

/// Makes calls for `time`, `in_flight` at once. Numbers them from `first`, so that no two rounds ask the same.
///
/// # Errors
/// When `/proc` cannot be read.
pub async fn run(
    caller: &Caller,
    scenario: Scenario,
    in_flight: usize,
    time: Duration,
    first: u64,
) -> anyhow::Result<Round> {
    let next = Arc::new(AtomicU64::new(first));
    let began = kefu_clock::monotonic();
    let measured_from = began + time.mul_f64(WARM_UP);
    let measured_to = measured_from + time;
    let mut workers = JoinSet::new();
    for _ in 0..in_flight {
        let (caller, next) = (caller.clone(), Arc::clone(&next));
        let mut recorder = Recorder::new()?;
        workers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let sent_at = kefu_clock::monotonic();
                if sent_at >= measured_to {
                    return recorder;
                }
                let outcome = caller.call(scenario.call(number), number).await;
                let answered_at = kefu_clock::monotonic();
                if answered_at >= measured_from && answered_at < measured_to {
                    recorder.record(answered_at - sent_at, outcome);
                }
                if outcome.is_err() {
                    // Who is refused at once shall not spin.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        });
    }
    tokio::time::sleep_until(measured_from.into()).await;
    let before = Usage::now()?;
    tokio::time::sleep_until(measured_to.into()).await;
    let spent = Usage::now()?.since(&before);
    let mut all = Recorder::new()?;
    while let Some(recorder) = workers.join_next().await {
        all.merge(&recorder.context("a caller panicked")?)?;
    }
    Ok(Round { operations: all.succeeded(), wall: time, spent, recorder: Some(all) })
}
