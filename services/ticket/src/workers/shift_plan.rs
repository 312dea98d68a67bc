//! Shifts are planned without anybody opening them by hand (T-17), so that their lists are due.
//!
//! What is to be planned is found by how things are, policies, rosters and shifts, and not by what has happened; so whatever came
//! in between, and however often a process was restarted, the next look finds it. Only a shift that began and ended while no
//! process was up is not made up for: nobody could have handed it over.

use std::sync::Arc;
use std::time::Duration;

use kefu_service::Settle;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::app::{App, Error};

/// How long a change of a roster may stay unseen: shifts are planned hours before they begin.
const PERIOD: Duration = Duration::from_secs(10);

/// Plans shifts.
#[derive(Clone, Debug)]
pub struct ShiftPlanner {
    app: Arc<App>,
    /// Who waits until all is done waits here for the worker.
    turn: Arc<Mutex<()>>,
}

impl ShiftPlanner {
    /// Over the app.
    pub fn new(app: Arc<App>) -> Self {
        Self { app, turn: Arc::default() }
    }

    /// Worker: looks every ten seconds, and when the clock was moved, until `shutdown`. What fails is on the log and tried
    /// again at the next look.
    ///
    /// # Errors
    /// Never.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        while !shutdown.is_cancelled() {
            let seen = self.app.clock.now();
            let failed = match self.plan().await {
                Ok(()) => false,
                Err(error) => {
                    tracing::error!(%error, "not all shifts can be planned");
                    true
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.app.clock.set_past(seen), if !failed => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
        Ok(())
    }

    /// Plans what is to be planned at the clock's present.
    ///
    /// # Errors
    /// As [`App::plan_due_shifts`].
    pub async fn plan(&self) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        self.app.plan_due_shifts().await
    }
}

#[tonic::async_trait]
impl Settle for ShiftPlanner {
    async fn settle(&self) -> Result<(), Status> {
        self.plan().await.map_err(|error| match error {
            Error::Store(error) => kefu_service::store_status(&error),
            error => kefu_rpc::internal(&error),
        })
    }
}
