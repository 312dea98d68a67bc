//! The timer of the invitations: durable, for it is nothing but their rows, and shared by all replicas.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use kefu_service::Settle;
use kefu_telemetry::metrics::TimerLag;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::app::{App, Error};

/// How often to look for what other replicas have made or left behind. A token does not work a moment longer for it: calls
/// look at the time themselves.
const POLL_PERIOD: Duration = Duration::from_secs(1);
/// How soon to look again for what another replica is working on.
const BUSY_PERIOD: Duration = Duration::from_millis(20);

/// Expires invitations when their time is over.
#[derive(Clone, Debug)]
pub struct Expiry {
    app: Arc<App>,
    lag: TimerLag,
}

impl Expiry {
    /// For this app.
    pub fn new(app: Arc<App>) -> Self {
        Self { app, lag: TimerLag::new("survey") }
    }

    /// Worker: expires what is due until `shutdown`; a transaction that has begun is finished.
    ///
    /// # Errors
    /// When the database is away; to be started again.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<(), Error> {
        while !shutdown.is_cancelled() {
            // Before the work, so that no move of the clock and no invitation made meanwhile is missed.
            let now = self.app.now();
            let invited = self.app.invited.notified();
            let next = self.pass().await?;
            let due = next.map_or_else(
                || -> kefu_clock::BoxFuture<'static, ()> { Box::pin(std::future::pending()) },
                // What is still due is being worked on elsewhere.
                |next| match next <= now {
                    true => Box::pin(tokio::time::sleep(BUSY_PERIOD)),
                    false => self.app.clock.sleep_until(next),
                },
            );
            tokio::select! {
                () = due => {}
                () = self.app.clock.set_past(now) => {}
                () = invited => {}
                () = tokio::time::sleep(POLL_PERIOD) => {}
                () = shutdown.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Expires all that is due and free; returns when the next one is due.
    async fn pass(&self) -> Result<Option<jiff::Timestamp>, Error> {
        loop {
            // Asked first: mostly there is nothing to do, and then this is one round trip and no transaction.
            let (next, now) = (self.app.next_expiry().await?, self.app.now());
            let late = next.map_or(SignedDuration::ZERO, |next| now.duration_since(next));
            self.lag.overdue(late.max(SignedDuration::ZERO).unsigned_abs());
            if next.is_none_or(|next| next > now) {
                return Ok(next);
            }
            let expired = self.app.expire_due().await?;
            if expired.is_empty() {
                return Ok(next);
            }
            for due in expired {
                self.lag.fired(now.duration_since(due).unsigned_abs());
            }
        }
    }
}

#[async_trait]
impl Settle for Expiry {
    async fn settle(&self) -> Result<(), Status> {
        let now = self.app.now();
        loop {
            let next = self.pass().await.map_err(|error| match error {
                Error::Store(error) => kefu_service::store_status(&error),
                error => kefu_rpc::internal(&error),
            })?;
            if next.is_none_or(|next| next > now) {
                return Ok(());
            }
            tokio::time::sleep(BUSY_PERIOD).await;
        }
    }
}
