//! Triggers: reads the journal and runs what the policies say (T-26).

use std::sync::Arc;

use kefu_journal::{Batch, Cursor, FeedError, Follow, Start};
use kefu_service::Settle;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::app::timer::POLL_PERIOD;
use crate::app::{App, Error};
use crate::store;

/// Events that are read at once.
const BATCH: usize = 64;
/// After so many events without a trigger the place is stored all the same, so that whoever starts does not read for long.
/// Not after each: reading them again does nothing, and storing costs a commit.
const STORE_EVERY: usize = 5_000;

/// Runs the triggers of what happens.
#[derive(Clone, Debug)]
pub struct Triggers {
    app: Arc<App>,
    /// Who waits until all triggers have run waits here for the worker.
    turn: Arc<Mutex<()>>,
}

/// Why reading broke off.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Feed(#[from] FeedError),
    #[error(transparent)]
    App(#[from] Error),
}

/// A place in the journal: how far triggers have run as it is stored, and a reader that goes on from there.
struct Reading {
    stored: String,
    follow: Follow,
    /// Events since the stored place.
    beyond: usize,
}

impl Triggers {
    /// Over the app.
    pub fn new(app: Arc<App>) -> Self {
        Self { app, turn: Arc::default() }
    }

    /// Worker: runs triggers until `shutdown`.
    ///
    /// # Errors
    /// None; what broke off begins again where it stood.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        while !shutdown.is_cancelled() {
            let broken = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                followed = self.go_on() => followed.err(),
            };
            match broken {
                // Another replica is at it: go on from where it has come to.
                None => {}
                Some(Broken::Feed(FeedError::Closed)) => return Ok(()),
                Some(error) => tracing::warn!(%error, "triggers wait"),
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(POLL_PERIOD) => {}
            }
        }
        Ok(())
    }

    async fn go_on(&self) -> Result<(), Broken> {
        let mut reading = self.begin().await?;
        loop {
            let batch = reading.follow.next().await?;
            let _turn = self.turn.lock().await;
            if !self.take(&mut reading, &batch).await? {
                return Ok(());
            }
        }
    }

    async fn begin(&self) -> Result<Reading, Broken> {
        let position = store::trigger::position(&self.app.pool).await.map_err(Error::from)?;
        let start = match position.parse() {
            Ok(cursor) => Start::After(cursor),
            // Before the first event; the tickets of that time have policies without triggers.
            Err(_) => Start::Oldest,
        };
        let follow = match self.app.tail.follow(start, BATCH).await {
            Err(FeedError::ForeignCursor { .. }) => {
                // A restored database: what was done is on record there, and is not done again.
                tracing::warn!("the triggers' place is of another database; they go on from now");
                let follow = self.app.tail.follow(Start::Now, BATCH).await?;
                let now = follow.cursor().to_string();
                self.app.skip_events(&position, &now).await?;
                return Ok(Reading { stored: now, follow, beyond: 0 });
            }
            other => other?,
        };
        Ok(Reading { stored: position, follow, beyond: 0 })
    }

    /// Runs the triggers of a batch, each with the stored place moved to its event. False means that somebody else has moved
    /// it.
    async fn take(&self, reading: &mut Reading, batch: &Batch) -> Result<bool, Error> {
        let app = &self.app;
        reading.beyond += batch.events.len();
        for happened in app.triggering(&batch.events).await? {
            let place = Cursor { feed: batch.cursor.feed, position: happened.recorded.position };
            let place = place.to_string();
            if !Box::pin(app.run_triggers(&reading.stored, &place, &happened)).await? {
                return Ok(false);
            }
            (reading.stored, reading.beyond) = (place, 0);
        }
        if reading.beyond >= STORE_EVERY {
            let end = batch.cursor.to_string();
            if !app.skip_events(&reading.stored, &end).await? {
                return Ok(false);
            }
            (reading.stored, reading.beyond) = (end, 0);
        }
        Ok(true)
    }

    /// Runs what there was to run when this was called.
    async fn catch_up(&self) -> Result<(), Broken> {
        let _turn = self.turn.lock().await;
        let head = self.app.tail.head().await?.position;
        loop {
            let mut reading = self.begin().await?;
            loop {
                if reading.follow.cursor().position >= head {
                    return Ok(());
                }
                let batch = reading.follow.next().await?;
                if !self.take(&mut reading, &batch).await? {
                    break;
                }
            }
        }
    }
}

#[tonic::async_trait]
impl Settle for Triggers {
    async fn settle(&self) -> Result<(), Status> {
        self.catch_up().await.map_err(|broken| match broken {
            Broken::Feed(error) => error.into(),
            Broken::App(Error::Store(error)) => kefu_service::store_status(&error),
            Broken::App(error) => kefu_rpc::internal(&error),
        })
    }
}
