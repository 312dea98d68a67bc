//! Carries what is said on parents to their children (T-04).

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kefu_postgres::StoreError;
use kefu_service::Settle;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use crate::app::mass_carry::Carried;
use crate::app::timer::POLL_PERIOD;
use crate::app::{App, Error};
use crate::store;

/// So many are looked up at once.
const LOOKED_UP: i64 = 64;
/// So many are under way at once: one that waits for a name, or for somebody who holds a child, holds up few others.
const AT_ONCE: usize = 4;
/// And each goes so many children far before the next one has its turn.
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

/// What came of having had a look at all that can go on.
#[derive(Debug, Default)]
struct Round {
    /// Something did go on: there may be more.
    moved: bool,
    /// Another replica was at something.
    busy: bool,
    /// Why something did not go on.
    broken: Option<Error>,
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
            let round = self.round(&shutdown).await;
            match &round.broken {
                None | Some(Error::Store(StoreError::Unavailable(_))) => {}
                Some(error) => tracing::warn!(%error, "answers to children wait"),
            }
            if round.moved {
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

    /// Carries all that can go on some children further. What cannot keeps none of the others, however many there are.
    async fn round(&self, shutdown: &CancellationToken) -> Round {
        let _turn = self.turn.lock().await;
        let (mut round, mut after) = (Round::default(), Uuid::nil());
        while !shutdown.is_cancelled() {
            let found = match store::mass_answer::running(&self.app.pool, after, LOOKED_UP).await {
                Ok(found) => found,
                Err(error) => {
                    round.broken = Some(error.into());
                    return round;
                }
            };
            let Some(last) = found.last().copied() else { return round };
            let carried = futures::stream::iter(found).map(|id| self.carry(id, shutdown));
            let mut carried = carried.buffer_unordered(AT_ONCE);
            while let Some(one) = carried.next().await {
                round.moved |= one.moved;
                round.busy |= one.busy;
                round.broken = one.broken.or(round.broken.take());
            }
            after = last;
        }
        round
    }

    /// Carries one of them some children further.
    async fn carry(&self, id: Uuid, shutdown: &CancellationToken) -> Round {
        let mut one = Round::default();
        for _ in 0..CHILDREN {
            if shutdown.is_cancelled() {
                break;
            }
            match self.app.carry(id).await {
                Ok(Carried::On) => one.moved = true,
                // The next one of the parent may have its turn.
                Ok(Carried::Finished) => return Round { moved: true, ..one },
                Ok(Carried::Busy) => return Round { busy: true, ..one },
                Err(error) => return Round { broken: Some(error), ..one },
            }
        }
        one
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
            let round = self.round(&CancellationToken::new()).await;
            let under_way = store::mass_answer::running(&self.app.pool, Uuid::nil(), 1).await;
            if under_way.map_err(|error| failed(error.into()))?.is_empty() {
                return Ok(());
            }
            match round {
                Round { moved: true, .. } => {}
                Round { busy: false, broken: Some(error), .. } => return Err(failed(error)),
                // Another replica carries the rest.
                _ => tokio::time::sleep(BUSY_PAUSE).await,
            }
        }
    }
}
