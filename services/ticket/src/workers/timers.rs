//! The timers: warnings and breaches at their time (T-07).
//!
//! Any number of replicas may run them: what is due is found without a lock, and then looked at again under the lock of its
//! ticket. Nothing is kept in memory, so a replica that dies loses nothing and one that starts is behind on nothing.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use kefu_service::Settle;
use kefu_telemetry::metrics::TimerLag;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::app::timer::{Fired, POLL_PERIOD};
use crate::app::{App, Error};
use crate::store;

/// Alarms that are looked at in one round.
const ROUND: i64 = 256;
/// Tickets that are worked on at once.
const AT_ONCE: usize = 4;
/// The wait for somebody else who is at a ticket.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// Does what clocks have to do.
#[derive(Clone, Debug)]
pub struct Timers {
    app: Arc<App>,
    lag: TimerLag,
    /// Who waits until all is done waits here for the worker, instead of getting in its way at every ticket.
    turn: Arc<Mutex<()>>,
}

impl Timers {
    /// Over the app.
    pub fn new(app: Arc<App>) -> Self {
        Self { app, lag: TimerLag::new("ticket"), turn: Arc::default() }
    }

    /// Worker: fires what is due until `shutdown`. Wakes at the next time that it knows of, when the clock is moved, when
    /// this process makes something due sooner, and every half second for what other replicas make.
    ///
    /// # Errors
    /// When the database is away or holds what nobody understands; started again, it goes on where it was.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        while !shutdown.is_cancelled() {
            let seen = self.app.clock.now();
            let next = self.fire_due().await?;
            self.lag.overdue(next.map_or(Duration::ZERO, |next| self.age(next)));
            let due = next.map(|next| self.app.clock.sleep_until(next));
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.app.clock.set_past(seen) => {}
                () = async { match due { Some(due) => due.await, None => std::future::pending().await } } => {}
                () = self.app.timers.sooner_than(next) => {}
                () = tokio::time::sleep(POLL_PERIOD) => {}
            }
        }
        Ok(())
    }

    /// Fires until nothing is due any more at the clock's present; returns when something will be.
    ///
    /// # Errors
    /// The first failure, if a whole round got nothing done.
    pub async fn fire_due(&self) -> Result<Option<Timestamp>, Error> {
        let _turn = self.turn.lock().await;
        loop {
            // Asked first: mostly there is nothing to do, and then this is all.
            let next = store::clock::next_due(&self.app.pool).await?;
            let now = self.app.now();
            if next.is_none_or(|next| next > now) {
                return Ok(next);
            }
            let due = store::clock::due(&self.app.pool, now, ROUND).await?;
            if due.is_empty() {
                continue;
            }
            let mut fired = futures::stream::iter(due)
                .map(|(ticket, due_at)| async move {
                    let outcome = self.app.fire_timers(ticket).await;
                    if let Err(error) = &outcome {
                        tracing::error!(%ticket, %error, "the timers of a ticket cannot fire");
                    }
                    (outcome, due_at)
                })
                .buffer_unordered(AT_ONCE);
            let (mut done, mut failure) = (false, None);
            while let Some((outcome, due_at)) = fired.next().await {
                match outcome {
                    Ok(Fired::Yes) => {
                        done = true;
                        self.lag.fired(self.age(due_at));
                    }
                    Ok(Fired::Nothing) => done = true,
                    Ok(Fired::Busy) => {}
                    Err(error) => failure = failure.or(Some(error)),
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
impl Settle for Timers {
    async fn settle(&self) -> Result<(), Status> {
        self.fire_due().await.map(drop).map_err(|error| kefu_rpc::internal(&error))
    }
}
