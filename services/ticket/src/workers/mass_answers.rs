//! Carries what is said on parents to their children (T-04).

use std::sync::Arc;
use std::time::Duration;

use kefu_postgres::StoreError;
use kefu_service::Settle;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::app::mass_carry::Carried;
use crate::app::timer::POLL_PERIOD;
use crate::app::{App, Error};
use crate::store;

/// So many are under way at once for one process, and each goes so many children far before the next one has its turn.
const AT_ONCE: i64 = 16;
const CHILDREN: usize = 50;

/// The wait of who settles for another replica.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// Carries them.
#[derive(Clone, Debug)]
pub struct MassAnswers {
    app: Arc<App>,
    /// Who waits until all are carried waits here for the worker.
    turn: Arc<Mutex<()>>,
}

impl MassAnswers {
    /// Over the app.
    pub fn new(app: Arc<App>) -> Self {
        Self { app, turn: Arc::default() }
    }

    /// Worker: carries until `shutdown`.
    ///
    /// # Errors
    /// None; what is away is asked again.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        while !shutdown.is_cancelled() {
            let more = match self.carry_some().await {
                Ok(more) => more,
                Err(error) => {
                    if !matches!(error, Error::Store(StoreError::Unavailable(_))) {
                        tracing::warn!(%error, "answers to children wait");
                    }
                    false
                }
            };
            if more {
                continue;
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.app.mass_answers.woken() => {}
                () = tokio::time::sleep(POLL_PERIOD) => {}
            }
        }
        Ok(())
    }

    /// Carries each that is under way some children further; true if one of them has more.
    async fn carry_some(&self) -> Result<bool, Error> {
        let _turn = self.turn.lock().await;
        let mut more = false;
        let mut broken = None;
        for id in store::mass_answer::running(&self.app.pool, AT_ONCE).await? {
            match self.carry(id).await {
                Ok(on) => more |= on,
                // The next one may be better off.
                Err(error) => broken = Some(error),
            }
        }
        broken.map_or(Ok(more), Err)
    }

    async fn carry(&self, id: uuid::Uuid) -> Result<bool, Error> {
        for _ in 0..CHILDREN {
            match self.app.carry(id).await? {
                Carried::On => {}
                Carried::Finished | Carried::Busy => return Ok(false),
            }
        }
        Ok(true)
    }
}

#[tonic::async_trait]
impl Settle for MassAnswers {
    async fn settle(&self) -> Result<(), Status> {
        let failed = |error| match error {
            Error::Store(error) => kefu_service::store_status(&error),
            error => kefu_rpc::internal(&error),
        };
        loop {
            let more = self.carry_some().await.map_err(failed)?;
            let under_way = store::mass_answer::running(&self.app.pool, 1).await;
            if under_way.map_err(|error| failed(error.into()))?.is_empty() {
                return Ok(());
            }
            if !more {
                // Another replica carries the rest.
                tokio::time::sleep(BUSY_PAUSE).await;
            }
        }
    }
}
