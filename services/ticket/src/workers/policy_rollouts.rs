//! New policy versions over open tickets (T-05), see [`app::policy_rollout`](crate::app::policy_rollout).

use std::sync::Arc;
use std::time::Duration;

use kefu_postgres::StoreError;
use kefu_service::Settle;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::app::policy_rollout::Rolled;
use crate::app::timer::POLL_PERIOD;
use crate::app::{App, Error};

/// Tickets that are passed in one transaction, open or not: few enough that nobody waits long for one of them.
const BATCH: i64 = 64;
/// The wait for somebody else who is at a ticket, and how often it is waited for before the next period.
const BUSY: (Duration, u32) = (Duration::from_millis(10), 100);

/// Rolls new policy versions out.
#[derive(Clone, Debug)]
pub struct PolicyRollouts {
    app: Arc<App>,
    /// Who waits until all is done waits here for the worker.
    turn: Arc<Mutex<()>>,
}

impl PolicyRollouts {
    /// Over the app.
    pub fn new(app: Arc<App>) -> Self {
        Self { app, turn: Arc::default() }
    }

    /// Worker: looks every half second, and when the clock was moved, until `shutdown`.
    ///
    /// # Errors
    /// When the database is away; started again, it goes on where it was.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        while !shutdown.is_cancelled() {
            let seen = self.app.clock.now();
            self.roll_out(&shutdown).await?;
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.app.clock.set_past(seen) => {}
                () = tokio::time::sleep(POLL_PERIOD) => {}
            }
        }
        Ok(())
    }

    /// Goes on until nothing is due at the clock's present.
    async fn roll_out(&self, shutdown: &CancellationToken) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        let mut waited = 0;
        while !shutdown.is_cancelled() {
            match self.step().await? {
                Rolled::On => waited = 0,
                Rolled::Busy if waited < BUSY.1 => {
                    waited += 1;
                    tokio::time::sleep(BUSY.0).await;
                }
                Rolled::Busy | Rolled::Nothing => return Ok(()),
            }
        }
        Ok(())
    }

    /// One step; where a batch cannot be written, ticket by ticket past the one that is in the way.
    async fn step(&self) -> Result<Rolled, Error> {
        match self.app.roll_out(BATCH).await {
            Err(error) if !may_pass(&error) => {
                tracing::warn!(%error, "promises cannot be computed anew together");
            }
            rolled => return rolled.or_else(later),
        }
        match self.app.roll_out(1).await {
            Err(error) if !may_pass(&error) => {
                tracing::error!(%error, "promises of a ticket cannot be computed anew");
                self.app.pass_over().await?;
                Ok(Rolled::On)
            }
            rolled => rolled.or_else(later),
        }
    }
}

/// What may be over at the next try.
fn may_pass(error: &Error) -> bool {
    matches!(
        error,
        Error::Store(StoreError::Unavailable(_) | StoreError::Timeout(_) | StoreError::Conflict(_))
    )
}

/// Others were faster: again in a moment.
fn later(error: Error) -> Result<Rolled, Error> {
    match error {
        Error::Store(StoreError::Conflict(_)) => Ok(Rolled::Busy),
        error => Err(error),
    }
}

#[tonic::async_trait]
impl Settle for PolicyRollouts {
    async fn settle(&self) -> Result<(), Status> {
        self.roll_out(&CancellationToken::new()).await.map_err(|error| match error {
            Error::Store(error) => kefu_service::store_status(&error),
            error => kefu_rpc::internal(&error),
        })
    }
}
