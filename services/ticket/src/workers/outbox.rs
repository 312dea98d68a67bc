//! The senders: what is due goes out (T-14, T-26).
//!
//! Each adapter has a lane of its own, so that an endpoint that hangs keeps nothing else waiting; a lane sends so many at
//! once and no more. What waits for an adapter that this process does not know is noted as failed attempts by a lane of
//! their own, and parked in the end. Any number of replicas may run: a row is leased to one of them.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use kefu_postgres::StoreError;
use kefu_service::Settle;
use kefu_telemetry::metrics::OutboxBacklog;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::app::timer::POLL_PERIOD;
use crate::app::{App, Error};
use crate::store;

/// Deliveries that one adapter sends at once.
const AT_ONCE: usize = 8;
/// How often the operators are told; metrics are sent every 15 s.
const WATCH_PERIOD: Duration = Duration::from_secs(10);

/// Sends what is due.
#[derive(Clone, Debug)]
pub struct Outbox {
    app: Arc<App>,
    lanes: Arc<[Lane]>,
    backlog: OutboxBacklog,
}

#[derive(Debug)]
struct Lane {
    /// `None` for what waits for adapters that this process does not know.
    adapter: Option<String>,
    /// Who waits until all is sent waits here for the worker.
    turn: Mutex<()>,
}

impl Outbox {
    /// Over the app and its channels.
    pub fn new(app: Arc<App>) -> Self {
        let known = app.channels.codes().map(|code| Some(code.to_owned()));
        let lanes = known.chain([None]);
        let lanes = lanes.map(|adapter| Lane { adapter, turn: Mutex::default() }).collect();
        Self { app, lanes, backlog: OutboxBacklog::new("ticket") }
    }

    /// Worker: sends what is due until `shutdown`.
    ///
    /// # Errors
    /// None; a database that is away is asked again.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let lanes = self.lanes.iter().map(|lane| self.run_lane(lane, &shutdown));
        futures::future::join(futures::future::join_all(lanes), self.watch(&shutdown)).await;
        Ok(())
    }

    /// Tells the operators what waits and what was given up.
    async fn watch(&self, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            // A database that is away shows in the age, which grows meanwhile.
            if let Ok((parked, oldest)) = store::delivery::backlog(&self.app.pool).await {
                let age = oldest.map(|oldest| self.app.now().duration_since(oldest));
                let age = age.unwrap_or_default().max(SignedDuration::ZERO).unsigned_abs();
                self.backlog.know(parked, age);
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(WATCH_PERIOD) => {}
            }
        }
    }

    async fn run_lane(&self, lane: &Lane, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            let seen = self.app.clock.now();
            let next = match self.send_due(lane).await {
                Ok(next) => next,
                Err(error) => {
                    if !matches!(error, Error::Store(StoreError::Unavailable(_))) {
                        tracing::error!(adapter = lane.adapter, %error, "what is due cannot be sent");
                    }
                    tokio::select! {
                        () = shutdown.cancelled() => return,
                        () = tokio::time::sleep(POLL_PERIOD) => continue,
                    }
                }
            };
            let due = next.map(|next| self.app.clock.sleep_until(next));
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.app.clock.set_past(seen) => {}
                () = async { match due { Some(due) => due.await, None => std::future::pending().await } } => {}
                () = self.app.outbox.woken() => {}
                () = tokio::time::sleep(POLL_PERIOD) => {}
            }
        }
    }

    /// Sends until nothing of a lane is due any more at the clock's present that nobody else is sending; tells when
    /// something will be, as far as known.
    async fn send_due(&self, lane: &Lane) -> Result<Option<Timestamp>, Error> {
        let _turn = lane.turn.lock().await;
        if let Some(adapter) = &lane.adapter {
            return self.send_all(adapter).await;
        }
        let known: Vec<String> = self.app.channels.codes().map(ToOwned::to_owned).collect();
        for adapter in store::delivery::strangers(&self.app.pool, &known).await? {
            self.send_all(&adapter).await?;
        }
        Ok(None)
    }

    async fn send_all(&self, adapter: &str) -> Result<Option<Timestamp>, Error> {
        let limit = i64::try_from(AT_ONCE).unwrap_or(i64::MAX);
        loop {
            // Asked first: mostly there is nothing to do, and then this is all.
            let next = store::delivery::next_due(&self.app.pool, adapter).await?;
            if next.is_none_or(|next| next > self.app.now()) {
                return Ok(next);
            }
            // None where others were faster.
            let claimed = self.app.claim(adapter, limit).await?;
            // All of them, also if the first cannot be noted: its lease ends, and then it is sent again.
            let attempts = futures::stream::iter(claimed).map(|claimed| self.app.attempt(claimed));
            let noted: Vec<_> = attempts.buffer_unordered(AT_ONCE).collect().await;
            noted.into_iter().collect::<Result<(), Error>>()?;
        }
    }
}

#[tonic::async_trait]
impl Settle for Outbox {
    async fn settle(&self) -> Result<(), Status> {
        let lanes = futures::future::join_all(self.lanes.iter().map(|lane| self.send_due(lane)));
        for sent in lanes.await {
            sent.map_err(|error| match error {
                Error::Store(error) => kefu_service::store_status(&error),
                error => kefu_rpc::internal(&error),
            })?;
        }
        Ok(())
    }
}
