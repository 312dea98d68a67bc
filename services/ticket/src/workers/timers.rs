//! The timers: warnings and breaches at their time (T-07).
//!
//! Any number of replicas may run them: what is due is found without a lock, and then looked at again under the lock of its
//! ticket. What is due is kept nowhere else, so a replica that dies loses nothing and one that starts is behind on nothing.
//!
//! A ticket that cannot be worked on, because its row holds what nobody understands, keeps no other ticket waiting: it is
//! left out, and tried again less and less often.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use kefu_postgres::StoreError;
use kefu_service::Settle;
use kefu_telemetry::metrics::TimerLag;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use crate::app::timer::{Fired, Outcome, POLL_PERIOD};
use crate::app::{App, Error};
use crate::store;

/// Alarms that are looked at in one round.
const ROUND: i64 = 256;
/// Tickets that one transaction takes: so many share the cost of a commit and of each statement.
const TOGETHER: usize = 64;
/// Transactions at once.
const AT_ONCE: usize = 2;
/// The wait for somebody else who is at a ticket.
const BUSY_PAUSE: Duration = Duration::from_millis(10);
/// The wait before a ticket that failed is tried again doubles from the first value to the second. The first is half of
/// what T-07 allows.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// Does what clocks have to do.
#[derive(Clone, Debug)]
pub struct Timers {
    app: Arc<App>,
    lag: TimerLag,
    /// Who waits until all is done waits here for the worker, instead of getting in its way at every ticket.
    failed: Arc<Mutex<Failed>>,
}

/// Tickets whose timers cannot fire, as far as this process knows.
type Failed = HashMap<Uuid, Failure>;

#[derive(Clone, Copy, Debug)]
struct Failure {
    due_at: Timestamp,
    pause: Duration,
    again_at: Instant,
}

/// What came of firing all that was due.
#[derive(Debug)]
struct Pass {
    /// When something else will be due.
    next: Option<Timestamp>,
    /// The oldest time at which something was due that did not fire.
    overdue: Option<Timestamp>,
    /// The first failure, if there were any.
    failure: Option<Error>,
}

impl Timers {
    /// Over the app.
    pub fn new(app: Arc<App>) -> Self {
        Self { app, lag: TimerLag::new("ticket"), failed: Arc::default() }
    }

    /// Worker: fires what is due until `shutdown`. Wakes at the next time that it knows of, when the clock is moved, when
    /// this process makes something due sooner, and every half second for what other replicas make, for what has failed,
    /// and for a database that was away.
    pub async fn run(self, shutdown: CancellationToken) {
        let (mut next, mut overdue, mut away) = (None, None, false);
        while !shutdown.is_cancelled() {
            let seen = self.app.clock.now();
            match self.fire_due(false).await {
                Ok(pass) => (next, overdue, away) = (pass.next, pass.overdue, false),
                Err(error) => {
                    if !away {
                        tracing::error!(%error, "the timers cannot see what is due");
                    }
                    // What was known to come may be due by now, and the pause below is all that it waits.
                    (next, overdue, away) = (None, overdue.or(next), true);
                }
            }
            self.lag.overdue(overdue.map_or(Duration::ZERO, |due_at| self.age(due_at)));
            let due = next.map(|next| self.app.clock.sleep_until(next));
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.app.clock.set_past(seen), if !away => {}
                () = async { match due { Some(due) => due.await, None => std::future::pending().await } } => {}
                () = self.app.timers.sooner_than(next), if !away => {}
                () = tokio::time::sleep(POLL_PERIOD) => {}
            }
        }
    }

    /// Fires until nothing is due any more at the clock's present, but for tickets that failed: those of a moment ago
    /// are left out unless `all` is asked for, and those that fail now are not tried twice.
    ///
    /// # Errors
    /// When the database is away.
    async fn fire_due(&self, all: bool) -> Result<Pass, Error> {
        let mut failed = self.failed.lock().await;
        let began = kefu_clock::monotonic();
        let waits = |failure: &Failure| !all && failure.again_at > began;
        let mut skip: Vec<Uuid> =
            failed.iter().filter(|(_, failure)| waits(failure)).map(|(id, _)| *id).collect();
        let mut first_failure = None;
        loop {
            // Asked first: mostly there is nothing to do, and then this is all.
            let next = store::clock::next_due(&self.app.pool, &skip).await?;
            let now = self.app.now();
            if next.is_none_or(|next| next > now) {
                // Whatever else had failed was tried again, or somebody else was faster.
                failed.retain(|ticket, _| skip.contains(ticket));
                let overdue = failed.values().map(|failure| failure.due_at).min();
                return Ok(Pass { next, overdue, failure: first_failure });
            }
            let due = store::clock::due(&self.app.pool, now, &skip, ROUND).await?;
            let mut busy = !due.is_empty();
            let due_at: HashMap<Uuid, Timestamp> = due.iter().copied().collect();
            let tickets: Vec<Uuid> = due.into_iter().map(|(ticket, _)| ticket).collect();
            let parts: Vec<_> = tickets.chunks(TOGETHER).map(<[Uuid]>::to_vec).collect();
            let mut fired = futures::stream::iter(parts)
                .map(|tickets| self.fire(tickets))
                .buffer_unordered(AT_ONCE);
            while let Some(outcomes) = fired.next().await {
                for (ticket, outcome) in outcomes? {
                    let due_at = due_at.get(&ticket).copied().unwrap_or(now);
                    match outcome {
                        Ok(Fired::Yes) => {
                            busy = false;
                            self.lag.fired(self.age(due_at));
                        }
                        Ok(Fired::Nothing) => busy = false,
                        Ok(Fired::Busy) | Err(Error::Store(StoreError::Conflict(_))) => {}
                        Err(error) => {
                            tracing::error!(%ticket, %error, "the timers of a ticket cannot fire");
                            busy = false;
                            skip.push(ticket);
                            let failure = Failure::after(failed.get(&ticket), due_at);
                            failed.insert(ticket, failure);
                            first_failure = first_failure.or(Some(error));
                        }
                    }
                }
            }
            if busy {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
        }
    }

    /// Fires the timers of some tickets, together if that is possible: where the database refuses that, it may be because of a
    /// single one.
    ///
    /// # Errors
    /// When the database is away.
    async fn fire(&self, tickets: Vec<Uuid>) -> Result<Vec<(Uuid, Outcome)>, Error> {
        match self.app.fire_timers(&tickets).await {
            Err(error) if !is_away(&error) => {
                tracing::warn!(%error, tickets = tickets.len(), "timers cannot fire together");
            }
            outcomes => return outcomes,
        }
        let mut outcomes = Vec::with_capacity(tickets.len());
        for ticket in tickets {
            match self.app.fire_timers(&[ticket]).await {
                Err(error) if is_away(&error) => return Err(error),
                Err(error) => outcomes.push((ticket, Err(error))),
                Ok(fired) => outcomes.extend(fired),
            }
        }
        Ok(outcomes)
    }

    fn age(&self, due_at: Timestamp) -> Duration {
        self.app.now().duration_since(due_at).max(SignedDuration::ZERO).unsigned_abs()
    }
}

impl Failure {
    fn after(last: Option<&Self>, due_at: Timestamp) -> Self {
        let pause = last.map_or(BACK_OFF.0, |last| (last.pause * 2).min(BACK_OFF.1));
        Self { due_at, pause, again_at: kefu_clock::monotonic() + pause }
    }
}

#[tonic::async_trait]
impl Settle for Timers {
    async fn settle(&self) -> Result<(), Status> {
        let failure = match self.fire_due(true).await {
            Ok(Pass { failure: None, .. }) => return Ok(()),
            Ok(Pass { failure: Some(error), .. }) | Err(error) => error,
        };
        Err(told(&failure))
    }
}

fn is_away(error: &Error) -> bool {
    matches!(error, Error::Store(StoreError::Unavailable(_)))
}

/// A database that is away is nobody's fault and will be back.
fn told(error: &Error) -> Status {
    match error {
        Error::Store(error) => kefu_service::store_status(error),
        error => kefu_rpc::internal(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x06_who_settles_without_a_database_may_try_again() {
        let away = StoreError::Unavailable(sqlx::Error::PoolTimedOut);
        assert_eq!(told(&Error::Store(away)).code(), tonic::Code::Unavailable);
        let corrupt = StoreError::corrupt("ticket.state", "is not a state");
        assert_eq!(told(&Error::Store(corrupt)).code(), tonic::Code::Internal);
    }

    #[test]
    fn t07_a_ticket_that_fails_is_tried_again_less_and_less_often() {
        let mut failure = Failure::after(None, Timestamp::UNIX_EPOCH);
        assert_eq!(failure.pause, Duration::from_secs(1));
        for _ in 0..20 {
            failure = Failure::after(Some(&failure), Timestamp::UNIX_EPOCH);
        }
        assert_eq!(failure.pause, Duration::from_secs(300));
    }
}
