//! Nothing waits for somebody who is away (T-25): tickets without an owner get one as soon as somebody is on duty, those of
//! whoever is absent go to whoever stands in, those of whoever left go back to the team.
//!
//! Like the timers, see [`timers`](super::timers): what is to be done is found without a lock, by how things are and not by
//! what has happened, and looked at again under the lock of its ticket. So whatever came in between, and however often a
//! process was restarted, the next look finds it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kefu_service::Settle;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use crate::app::timer::{Fired, POLL_PERIOD};
use crate::app::{App, Error};
use crate::store;
use crate::store::routing::Stranded;

/// Tickets that are looked at in one round.
const ROUND: i64 = 256;
/// The wait for somebody else who is at a ticket, and how often it is waited for before the next period.
const BUSY: (Duration, u32) = (Duration::from_millis(10), 100);

/// Sees to it that what can be worked on has somebody who works on it.
#[derive(Clone, Debug)]
pub struct DutyKeeper {
    app: Arc<App>,
    /// Who waits until all is done waits here for the worker.
    turn: Arc<Mutex<()>>,
}

/// What is to be done about a ticket.
enum Task {
    HandOver(Stranded),
    StandIn(Uuid),
    Distribute(Uuid),
}

impl DutyKeeper {
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
            self.keep().await?;
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.app.clock.set_past(seen) => {}
                () = tokio::time::sleep(POLL_PERIOD) => {}
            }
        }
        Ok(())
    }

    /// Works until nothing is left to do at the clock's present, but for tickets that failed.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn keep(&self) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        let (mut failed, mut busy) = (Vec::new(), 0);
        loop {
            let tasks = self.tasks(self.app.now(), &failed).await?;
            if tasks.is_empty() {
                return Ok(());
            }
            let mut done = false;
            for task in tasks {
                let (ticket, outcome) = match task {
                    Task::HandOver(stranded) => {
                        (stranded.ticket, self.app.hand_over(&stranded).await)
                    }
                    Task::StandIn(ticket) => (ticket, self.app.stand_in(ticket).await),
                    Task::Distribute(ticket) => (ticket, self.app.distribute(ticket).await),
                };
                match outcome {
                    Ok(Fired::Yes) => done = true,
                    Ok(Fired::Nothing | Fired::Busy) => {}
                    Err(Error::Store(error @ kefu_postgres::StoreError::Unavailable(_))) => {
                        return Err(error.into());
                    }
                    Err(Error::Store(kefu_postgres::StoreError::Conflict(_))) => {}
                    Err(error) => {
                        tracing::error!(%ticket, %error, "a ticket finds nobody who works on it");
                        failed.push(ticket);
                        done = true;
                    }
                }
            }
            if !done {
                // Somebody else is at them, or was faster; whatever is left is found in the next period.
                busy += 1;
                if busy > BUSY.1 {
                    return Ok(());
                }
                tokio::time::sleep(BUSY.0).await;
            }
        }
    }

    /// First what lies with somebody who is away, for it may have to be distributed then.
    async fn tasks(&self, now: Timestamp, skip: &[Uuid]) -> Result<Vec<Task>, Error> {
        let pool = &self.app.pool;
        let stranded = store::routing::stranded(pool, now, skip, ROUND).await?;
        if !stranded.is_empty() {
            return Ok(stranded.into_iter().map(Task::HandOver).collect());
        }
        let received = store::routing::received(pool, now, skip, ROUND).await?;
        if !received.is_empty() {
            return Ok(received.into_iter().map(Task::StandIn).collect());
        }
        let waiting = store::routing::waiting(pool, now, skip, ROUND).await?;
        Ok(waiting.into_iter().map(Task::Distribute).collect())
    }
}

#[tonic::async_trait]
impl Settle for DutyKeeper {
    async fn settle(&self) -> Result<(), Status> {
        self.keep().await.map_err(|error| match error {
            Error::Store(error) => kefu_service::store_status(&error),
            error => kefu_rpc::internal(&error),
        })
    }
}
