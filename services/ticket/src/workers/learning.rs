//! The timers of corrective actions, suggestions, shifts and processes: what is overdue is on record once (T-17, T-18, T-21,
//! T-22).
//!
//! Like the timers of tickets, see [`timers`](super::timers): what is due is found without a lock and looked at again under
//! the lock of its row; nothing is kept in memory but what failed in this look, so that it keeps nothing else waiting.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kefu_postgres::StoreError;
use kefu_service::Settle;
use kefu_telemetry::metrics::TimerLag;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::app::timer::{Fired, POLL_PERIOD};
use crate::app::{App, Error};
use crate::store;

/// Rows that are looked at in one round.
const ROUND: i64 = 256;
/// The wait for somebody else who is at a row.
const BUSY_PAUSE: Duration = Duration::from_millis(10);
/// More failures than that in one look are the database's.
const MOST_FAILURES: usize = 1_000;

/// Records what is overdue.
#[derive(Clone, Debug)]
pub struct LearningTimers {
    app: Arc<App>,
    lag: TimerLag,
    /// Who waits until all is done waits here for the worker.
    turn: Arc<Mutex<()>>,
}

impl LearningTimers {
    /// Over the app.
    pub fn new(app: Arc<App>) -> Self {
        Self { app, lag: TimerLag::new("learning"), turn: Arc::default() }
    }

    /// Worker: fires what is due until `shutdown`. What fails is on the log and tried again at the next look.
    ///
    /// # Errors
    /// Never.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        while !shutdown.is_cancelled() {
            let seen = self.app.clock.now();
            let (next, failed) = match self.fire_due().await {
                Ok(next) => (next, false),
                Err(error) => {
                    tracing::error!(%error, "the timers of learning cannot do all that is due");
                    (None, true)
                }
            };
            self.lag.overdue(next.map_or(Duration::ZERO, |next| self.age(next)));
            let due = next.map(|next| self.app.clock.sleep_until(next));
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.app.clock.set_past(seen), if !failed => {}
                () = async { match due { Some(due) => due.await, None => std::future::pending().await } } => {}
                () = self.app.learning_timers.sooner_than(next), if !failed => {}
                () = tokio::time::sleep(POLL_PERIOD) => {}
            }
        }
        Ok(())
    }

    /// Fires until nothing is due any more at the clock's present, and tells when the next is.
    ///
    /// # Errors
    /// When the database is away; otherwise the first failure, after everything else was done.
    pub async fn fire_due(&self) -> Result<Option<Timestamp>, Error> {
        let _turn = self.turn.lock().await;
        let (mut skip, mut failure) = (Vec::new(), None);
        loop {
            let due = store::learning_timer::due(&self.app.pool, self.app.now(), &skip, ROUND);
            let due = due.await?;
            if due.is_empty() {
                let next = store::learning_timer::next_due(&self.app.pool, &skip).await?;
                return failure.map_or(Ok(next), Err);
            }
            let mut busy = true;
            for (what, id, due_at) in due {
                match self.app.fire_learning_timer(what, id).await {
                    Ok(Fired::Yes) => {
                        busy = false;
                        self.lag.fired(self.age(due_at));
                    }
                    Ok(Fired::Nothing) => busy = false,
                    Ok(Fired::Busy) | Err(Error::Store(StoreError::Conflict(_))) => {}
                    Err(error @ Error::Store(StoreError::Unavailable(_))) => return Err(error),
                    Err(error) => {
                        tracing::error!(%what, %id, %error, "a timer of learning cannot fire");
                        busy = false;
                        skip.push(id);
                        if skip.len() > MOST_FAILURES {
                            return Err(error);
                        }
                        failure = failure.or(Some(error));
                    }
                }
            }
            if busy {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
        }
    }

    fn age(&self, due_at: Timestamp) -> Duration {
        self.app.now().duration_since(due_at).max(SignedDuration::ZERO).unsigned_abs()
    }
}

#[tonic::async_trait]
impl Settle for LearningTimers {
    async fn settle(&self) -> Result<(), Status> {
        self.fire_due().await.map(|_| ()).map_err(|error| match error {
            Error::Store(error) => kefu_service::store_status(&error),
            error => kefu_rpc::internal(&error),
        })
    }
}
