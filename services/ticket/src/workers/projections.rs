//! The workers that keep queues and search up to date (T-23).

use std::sync::Arc;
use std::time::Duration;

use kefu_service::Settle;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::app::App;
use crate::app::projection::Projected;
use crate::store::projection::Projection;

/// How soon a change is seen at the latest.
const POLL_PERIOD: Duration = Duration::from_millis(200);
/// The wait of who settles for another replica or for an older transaction.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// Keeps one of them up to date.
#[derive(Clone, Debug)]
pub struct Projections {
    app: Arc<App>,
    projection: Projection,
}

impl Projections {
    /// Queues, and search.
    pub fn of(app: &Arc<App>) -> [Self; 2] {
        [Projection::Queue, Projection::Search]
            .map(|projection| Self { app: Arc::clone(app), projection })
    }

    /// Worker: follows the journal until `shutdown`. While there is more to do than it gets done it rests as long as it
    /// works, so that it takes half of one connection at most from those who wait for answers.
    ///
    /// # Errors
    /// When the database is away; started again, it goes on where it was.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        while !shutdown.is_cancelled() {
            let began = kefu_clock::monotonic();
            let pause = match self.app.project(self.projection).await? {
                Projected::Up { more: true, .. } => began.elapsed().min(POLL_PERIOD),
                Projected::Up { more: false, .. } | Projected::Busy => POLL_PERIOD,
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl Settle for Projections {
    async fn settle(&self) -> Result<(), Status> {
        let head = self.app.tail.head().await.map_err(|error| kefu_rpc::internal(&error))?;
        loop {
            let projected = self.app.project(self.projection).await;
            match projected.map_err(|error| kefu_rpc::internal(&error))? {
                Projected::Up { to, .. } if to >= head.position => return Ok(()),
                Projected::Up { more: true, .. } => {}
                Projected::Up { more: false, .. } | Projected::Busy => {
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
            }
        }
    }
}
