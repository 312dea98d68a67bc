//! Many registrations in one statement and one commit.
//!
//! Callers put their registrations into a bounded queue; [`WRITERS`] writers take whatever is in it, at most
//! `MAX_BATCH` at once, never waiting for more. So a lone registration goes alone and at once, and under load the cost of
//! a commit is shared. While one writer waits for its commit the other fills the next statement.
//!
//! A batch that fails as a whole is tried one by one, so that a bad member harms nobody but itself. A member whose caller
//! has given up before its batch starts is left out.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use kefu_clock::IdSource;
use kefu_journal::Tail;
use kefu_postgres::StoreError;
use sqlx::PgPool;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use unicode_normalization::UnicodeNormalization as _;
use uuid::Uuid;

use super::{Error, TimerSignal, product_hold};
use crate::domain::ProductHold;
use crate::store::registration::{self, Given, NewTicket};

/// How many write at once.
pub const WRITERS: usize = 2;
/// The most registrations in one statement.
const MAX_BATCH: usize = 128;
/// The most that wait; more are refused.
const QUEUE: usize = 2_048;

/// The most that one statement takes until its writer goes on to the next. A little more than Postgres gives a statement:
/// only a server that is gone without a word, with its host, is waited for so long.
const WRITE_LIMIT: Duration = Duration::from_secs(35);

/// The method by which registrations are remembered.
pub(crate) const METHOD: &str = "kefu.ticket.v1.TicketService/CreateTicket";
const EVENT_TYPE: &str = "kefu.ticket.v1.TicketRegistered";

/// What a registered ticket was given; `None` if it was not registered, because something was stale or missing or the
/// request id was used before.
type Outcome = Result<Option<Given>, Error>;

struct Waiting {
    entry: Box<NewTicket>,
    reply: oneshot::Sender<Outcome>,
}

/// The way in for registrations.
#[derive(Clone, Debug)]
pub struct Intake {
    pool: PgPool,
    queue: mpsc::Sender<Waiting>,
    waiting: Arc<Mutex<mpsc::Receiver<Waiting>>>,
    tail: Tail,
    timers: TimerSignal,
    ids: Arc<IdSource>,
}

impl Intake {
    /// Over the context's database; does nothing until somebody runs [`write`](Self::write).
    pub fn new(pool: PgPool, tail: Tail, timers: TimerSignal, ids: Arc<IdSource>) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        Self { pool, queue, waiting: Arc::new(Mutex::new(waiting)), tail, timers, ids }
    }

    /// Registers a ticket with others. Dropping the future before its batch has started leaves no trace.
    pub(crate) async fn register(&self, entry: NewTicket) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        let waiting = Waiting { entry: Box::new(entry), reply };
        self.queue.try_send(waiting).map_err(|_| Error::Overloaded)?;
        // The writer is gone only if it panicked; then nobody knows, and the request id tells.
        outcome.await.unwrap_or_else(|_| Err(Error::Defect("a registration was lost".to_owned())))
    }

    /// Worker: writes until `shutdown`, and then what is still in the queue.
    pub async fn write(self, shutdown: CancellationToken) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        loop {
            {
                let mut waiting = self.waiting.lock().await;
                tokio::select! {
                    biased;
                    _ = waiting.recv_many(&mut batch, MAX_BATCH) => {}
                    () = shutdown.cancelled() => return,
                }
            }
            self.write_batch(&mut batch).await;
        }
    }

    async fn write_batch(&self, batch: &mut Vec<Waiting>) {
        batch.retain(|waiting| !waiting.reply.is_closed());
        // Of equal requests one is enough: the others will find that it was done.
        let mut requests = HashSet::with_capacity(batch.len());
        let (first, again): (Vec<_>, Vec<_>) = batch.drain(..).partition(|waiting| {
            let by = &waiting.entry.by;
            requests.insert((by.actor.clone(), by.request_id.clone()))
        });
        let entries: Vec<&NewTicket> = first.iter().map(|waiting| &*waiting.entry).collect();
        match self.create(&entries).await {
            Ok(mut numbers) => {
                for Waiting { entry, reply } in first {
                    // Nobody listens where the caller gave up meanwhile; its request id will tell him.
                    _ = reply.send(Ok(numbers.remove(&entry.ticket.id)));
                }
            }
            Err(error) if first.len() > 1 && harms_one_only(&error) => {
                tracing::warn!(%error, members = first.len(), "a batch failed; trying one by one");
                for Waiting { entry, reply } in first {
                    let outcome = self.create(&[&entry]).await;
                    let outcome = outcome.map(|mut numbers| numbers.remove(&entry.ticket.id));
                    _ = reply.send(outcome.map_err(Error::from));
                }
            }
            Err(error) => {
                for Waiting { reply, .. } in first {
                    _ = reply.send(Err(same(&error)));
                }
            }
        }
        for Waiting { reply, .. } in again {
            _ = reply.send(Ok(None));
        }
    }

    async fn create(&self, entries: &[&NewTicket]) -> Result<HashMap<Uuid, Given>, StoreError> {
        let Some(first) = entries.first() else { return Ok(HashMap::new()) };
        // The writer runs outside of all calls. What it does for many is shown in the trace of the first.
        let span = kefu_telemetry::effect_span("intake.write", Some(&first.by.traceparent));
        let numbers = if entries.iter().any(|entry| entry.hold.is_some()) {
            let write = Box::pin(self.create_with_holds(entries)).instrument(span);
            in_time(WRITE_LIMIT, write).await?
        } else {
            let write = registration::create(&self.pool, METHOD, EVENT_TYPE, entries);
            in_time(WRITE_LIMIT, write.instrument(span)).await?
        };
        self.tail.wake();
        self.timers.expect(entries.iter().filter_map(|entry| entry.ticket.next_fire_at()).min());
        Ok(numbers)
    }
}

impl Intake {
    /// The same where the policy holds products because of some: in one transaction with the holds and their events.
    async fn create_with_holds(
        &self,
        entries: &[&NewTicket],
    ) -> Result<HashMap<Uuid, Given>, StoreError> {
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        let numbers = registration::create(&mut *tx, METHOD, EVENT_TYPE, entries).await?;
        // In one order everywhere, so that two batches never wait for each other.
        let registered = entries.iter().filter(|entry| numbers.contains_key(&entry.ticket.id));
        let mut holds: Vec<_> = registered.filter_map(|entry| entry.hold.as_deref()).collect();
        let product = |hold: &ProductHold| hold.product.nfkc().collect::<String>().to_lowercase();
        holds.sort_by_cached_key(|hold| (hold.org_unit.clone(), product(hold)));
        for hold in holds {
            let placed = product_hold::place_by_policy(&mut tx, &self.ids, hold).await;
            placed.map_err(|error| match error {
                Error::Store(error) => error,
                error => StoreError::Corrupt(error.to_string()),
            })?;
        }
        tx.commit().await?;
        Ok(numbers)
    }
}

/// Gives up a write that does not end; nobody knows then whether it was done, and the request ids tell.
async fn in_time<T>(
    limit: Duration,
    write: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(limit, write).await.unwrap_or_else(|_| {
        Err(StoreError::Unavailable(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
    })
}

/// Whether another batch may do better without the member that is to blame. A database that is away is to blame itself,
/// and asking it once per member would only make everybody wait.
fn harms_one_only(error: &StoreError) -> bool {
    !matches!(error, StoreError::Unavailable(_) | StoreError::Timeout(_))
}

/// The same failure for another member.
fn same(error: &StoreError) -> Error {
    let text = error.to_string();
    Error::Store(match error {
        StoreError::Unavailable(_) => StoreError::Unavailable(sqlx::Error::Protocol(text)),
        StoreError::Timeout(_) => StoreError::Timeout(sqlx::Error::Protocol(text)),
        StoreError::Conflict(_) => StoreError::Conflict(sqlx::Error::Protocol(text)),
        _ => StoreError::Corrupt(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn x08_a_write_that_never_ends_is_given_up() {
        let silent = std::future::pending::<Result<(), StoreError>>();
        let outcome = in_time(Duration::from_millis(1), silent).await;
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
        in_time(WRITE_LIMIT, async { Ok(()) }).await.unwrap();
    }
}
