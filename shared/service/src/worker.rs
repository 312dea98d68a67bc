//! Work that goes on without being called: timers, subscribers, projections.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The wait before a restart doubles from the first value to the second.
const BACK_OFF: (Duration, Duration) = if cfg!(test) {
    (Duration::from_millis(1), Duration::from_millis(2))
} else {
    (Duration::from_millis(100), Duration::from_secs(30))
};

/// Who has worked this long has recovered: the next wait is short again.
const RECOVERED_AFTER: Duration = Duration::from_secs(60);

type Start = dyn Fn(CancellationToken) -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync;

/// A task that runs as long as its service and is started again when it fails.
///
/// It gets a token and ends at its next safe point after that is cancelled. An error or a panic before is logged and
/// answered by a restart, with a growing pause; what it was doing must therefore be safe to begin anew.
#[derive(Clone)]
pub struct Worker {
    name: &'static str,
    start: Arc<Start>,
    serves_calls: bool,
}

impl Worker {
    /// A worker that stops as soon as the service is told to stop.
    pub fn new<F, W>(name: &'static str, start: F) -> Worker
    where
        F: Fn(CancellationToken) -> W + Send + Sync + 'static,
        W: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let start =
            Arc::new(move |shutdown| -> BoxFuture<'static, _> { Box::pin(start(shutdown)) });
        Worker { name, start, serves_calls: false }
    }

    /// The same, but running until the last call has been answered, because calls need it: a writer that batches.
    #[must_use]
    pub fn until_drained(self) -> Worker {
        Worker { serves_calls: true, ..self }
    }

    /// Its name, for the log.
    pub fn name(&self) -> &'static str {
        self.name
    }

    async fn supervise(self, shutdown: CancellationToken) {
        let mut pause = BACK_OFF.0;
        loop {
            let began = kefu_clock::monotonic();
            // A task of its own, so that a panic ends this attempt and nothing else; aborted if we are dropped.
            let mut attempt = JoinSet::new();
            attempt.spawn((self.start)(shutdown.clone()));
            let outcome = attempt.join_next().await;
            if shutdown.is_cancelled() {
                tracing::debug!(worker = self.name, "a worker has stopped");
                return;
            }
            if began.elapsed() >= RECOVERED_AFTER {
                pause = BACK_OFF.0;
            }
            let retry_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            let worker = self.name;
            match outcome {
                Some(Ok(Err(error))) => {
                    // `{:#}` shows the whole chain of causes.
                    let error = format!("{error:#}");
                    tracing::error!(worker, error, retry_in_ms, "a worker failed");
                }
                Some(Err(error)) => {
                    tracing::error!(worker, %error, retry_in_ms, "a worker panicked");
                }
                Some(Ok(Ok(()))) | None => {
                    tracing::error!(worker, retry_in_ms, "a worker ended before its time");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => return,
            }
            pause = (pause * 2).min(BACK_OFF.1);
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Worker").field(&self.name).finish()
    }
}

/// The running workers of a service.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    background: Group,
    serving: Group,
}

#[derive(Debug, Default)]
struct Group {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Workers {
    /// Starts the workers; each runs until its group is stopped.
    pub(crate) fn start(&mut self, workers: impl IntoIterator<Item = Worker>) {
        for worker in workers {
            let group = if worker.serves_calls { &mut self.serving } else { &mut self.background };
            group.tasks.spawn(worker.supervise(group.stop.clone()));
        }
    }

    /// Tells the background workers to stop, without waiting.
    pub(crate) fn stop_background(&self) {
        self.background.stop.cancel();
    }

    /// Stops all and waits until each has come to a safe point; ends those that take longer than `patience`, for which
    /// that is no worse than a crash.
    pub(crate) async fn stop(mut self, patience: Duration) {
        self.background.stop.cancel();
        self.serving.stop.cancel();
        let all = async {
            while self.background.tasks.join_next().await.is_some() {}
            while self.serving.tasks.join_next().await.is_some() {}
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            tracing::warn!("some workers did not stop in time and were ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn x01_a_worker_that_fails_or_panics_or_ends_is_started_again() {
        let (started, mut starts) = mpsc::unbounded_channel();
        let count = AtomicUsize::new(0);
        let worker = Worker::new("stumbling", move |shutdown| {
            let attempt = count.fetch_add(1, Ordering::SeqCst);
            let started = started.clone();
            async move {
                started.send(attempt)?;
                match attempt {
                    0 => anyhow::bail!("no database"),
                    1 => panic!("a fault"),
                    2 => Ok(()),
                    _ => {
                        shutdown.cancelled().await;
                        started.send(100)?;
                        Ok(())
                    }
                }
            }
        });
        let mut workers = Workers::default();
        workers.start([worker]);
        for attempt in 0..4 {
            assert_eq!(starts.recv().await, Some(attempt));
        }
        workers.stop(Duration::from_secs(1)).await;
        assert_eq!(starts.recv().await, Some(100), "it came to its safe point");
        assert_eq!(starts.recv().await, None, "and was not started again");
    }

    #[tokio::test]
    async fn a_worker_that_serves_calls_outlives_the_others_and_a_deaf_one_is_ended() {
        let (events, mut seen) = mpsc::unbounded_channel();
        let tell = |name: &'static str| {
            let events = events.clone();
            Worker::new(name, move |shutdown| {
                let events = events.clone();
                async move {
                    shutdown.cancelled().await;
                    events.send(name)?;
                    Ok(())
                }
            })
        };
        let deaf = Worker::new("deaf", |_| std::future::pending());
        let mut workers = Workers::default();
        workers.start([tell("writer").until_drained(), tell("timer"), deaf]);
        workers.stop_background();
        assert_eq!(seen.recv().await, Some("timer"));
        assert!(seen.try_recv().is_err());
        workers.stop(Duration::from_millis(50)).await;
        assert_eq!(seen.recv().await, Some("writer"));
    }
}
