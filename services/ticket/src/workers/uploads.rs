//! The sweeper of uploads that broke off (T-01): what they have left in the object store is deleted.

use std::sync::Arc;
use std::time::Duration;

use kefu_service::Settle;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::app::App;

/// How often it looks.
const PERIOD: Duration = Duration::from_secs(600);
/// So many rounds in one look; what is left then waits for the next.
const ROUNDS: usize = 100;

/// Clears away what uploads have left that broke off.
#[derive(Clone, Debug)]
pub struct UploadSweeper {
    app: Arc<App>,
}

impl UploadSweeper {
    /// Over the app.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    /// Worker: looks every ten minutes until `shutdown`. In several replicas each takes what the others do not have.
    ///
    /// # Errors
    /// Never.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        while !shutdown.is_cancelled() {
            self.sweep().await;
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
        Ok(())
    }

    async fn sweep(&self) {
        for _ in 0..ROUNDS {
            match self.app.sweep_uploads().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, "uploads that broke off cannot be cleared away");
                    return;
                }
            }
        }
    }
}

#[tonic::async_trait]
impl Settle for UploadSweeper {
    async fn settle(&self) -> Result<(), Status> {
        // Whether the object store answers is nobody's business who only moves the clock.
        self.sweep().await;
        Ok(())
    }
}
