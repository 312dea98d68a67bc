//! The timer of work orders: a reply that does not come is on record once (T-16, T-19).
//!
//! Like the timers of tickets, see [`timers`](super::timers): what is due is found without a lock and looked at again under
//! the lock of its order; nothing is kept in memory.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kefu_service::Settle;
use kefu_telemetry::metrics::TimerLag;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::app::timer::{Fired, POLL_PERIOD};
use crate::app::{App, Error};
use crate::store;

/// Orders that are looked at in one round.
const ROUND: i64 = 256;
/// The wait for somebody else who is at an order.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// Records the replies that did not come.
#[derive(Clone, Debug)]
pub struct OrderTimers {
    app: Arc<App>,
    lag: TimerLag,
    /// Who waits until all is done waits here for the worker.
    turn: Arc<Mutex<()>>,
}

impl OrderTimers {
    /// Over the app.
    pub fn new(app: Arc<App>) -> Self {
        Self { app, lag: TimerLag::new("work_order"), turn: Arc::default() }
    }

    /// Worker: fires what is due until `shutdown`.
    ///
    /// # Errors
    /// When the database is away or holds what nobody understands; started again, it goes on where it was.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        while !shutdown.is_cancelled() {
            let seen = self.app.clock.now();
            self.fire_due().await?;
            let next = store::work_order::next_due(&self.app.pool).await?;
            self.lag.overdue(next.map_or(Duration::ZERO, |next| self.age(next)));
            let due = next.map(|next| self.app.clock.sleep_until(next));
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.app.clock.set_past(seen) => {}
                () = async { match due { Some(due) => due.await, None => std::future::pending().await } } => {}
                () = self.app.order_timers.sooner_than(next) => {}
                () = tokio::time::sleep(POLL_PERIOD) => {}
            }
        }
        Ok(())
    }

    /// Fires until nothing is due any more at the clock's present.
    ///
    /// # Errors
    /// The first failure, if a whole round got nothing done.
    pub async fn fire_due(&self) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        loop {
            let due = store::work_order::due(&self.app.pool, self.app.now(), ROUND).await?;
            if due.is_empty() {
                return Ok(());
            }
            let (mut done, mut failure) = (false, None);
            for (order, due_at) in due {
                match self.app.fire_order_timer(order).await {
                    Ok(Fired::Yes) => {
                        done = true;
                        self.lag.fired(self.age(due_at));
                    }
                    Ok(Fired::Nothing) => done = true,
                    Ok(Fired::Busy) => {}
                    Err(error) => {
                        tracing::error!(%order, %error, "the timer of a work order cannot fire");
                        failure = failure.or(Some(error));
                    }
                }
            }
            match failure {
                Some(error) if !done => return Err(error),
                _ if !done => tokio::time::sleep(BUSY_PAUSE).await,
                _ => {}
            }
        }
    }

    fn age(&self, due_at: Timestamp) -> Duration {
        self.app.now().duration_since(due_at).max(SignedDuration::ZERO).unsigned_abs()
    }
}

#[tonic::async_trait]
impl Settle for OrderTimers {
    async fn settle(&self) -> Result<(), Status> {
        self.fire_due().await.map_err(|error| kefu_rpc::internal(&error))
    }
}
