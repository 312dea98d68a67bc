//! Who is looking at which ticket (T-24), see [`app::viewer`](crate::app::viewer).

use std::sync::Arc;
use std::time::Duration;

use kefu_service::Settle;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::app::viewer::LOOK_PERIOD;
use crate::app::{App, Error};

/// How long what happens at once is collected.
const COLLECTION: Duration = Duration::from_millis(20);

/// Keeps those who look informed of each other.
#[derive(Clone, Debug)]
pub struct ViewerKeeper {
    app: Arc<App>,
}

impl ViewerKeeper {
    /// Over the app.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    /// Worker: tells and asks until `shutdown`, and then ends the streams. While the database is away, nobody sees anybody
    /// come or go; that is no reason to rest longer and longer, as restarts do, until all leases are over.
    ///
    /// # Errors
    /// None.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut everything = true;
        while !shutdown.is_cancelled() {
            let seen = self.app.clock.now();
            if let Err(error) = self.app.viewer_round(everything).await {
                tracing::warn!(%error, "who is looking cannot be kept");
            }
            let poll = async {
                if self.app.is_watched() {
                    tokio::time::sleep(LOOK_PERIOD).await;
                } else {
                    std::future::pending::<()>().await;
                }
            };
            everything = tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.app.viewers.changed() => false,
                () = self.app.clock.set_past(seen) => true,
                () = poll => true,
            };
            tokio::time::sleep(COLLECTION).await;
        }
        if let Err(error) = self.app.viewers_leave().await {
            tracing::debug!(%error, "the others learn it when the lease is over");
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl Settle for ViewerKeeper {
    async fn settle(&self) -> Result<(), Status> {
        self.app.viewer_round(true).await.map_err(|error| match error {
            Error::Store(error) => kefu_service::store_status(&error),
            error => kefu_rpc::internal(&error),
        })
    }
}
