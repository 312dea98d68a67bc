//! What clocks do when their time comes (T-07).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use kefu_journal::Provenance;
use kefu_postgres::StoreError;
use sqlx::PgConnection;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{App, Error, change, placement};
use crate::domain::{Actor, Change, Command, Due, Ticket, apply, decide};
use crate::store;
use crate::store::ticket::TicketRow;

/// What became of a look at a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fired {
    /// Something happened.
    Yes,
    /// There was nothing to do any more: somebody else was faster.
    Nothing,
    /// Somebody else is at the ticket.
    Busy,
}

impl App {
    /// Does what the clocks of some tickets have to do by now, in one transaction: breach, violation, escalation and events
    /// together or not at all. Safe in any number of replicas at once: whoever has a ticket does it, and who comes later
    /// finds it done. Says of each ticket what became of it; one that nobody understands keeps the others from nothing.
    ///
    /// # Errors
    /// [`Error::Store`] when the database is away or refuses; then nothing has happened to any of them.
    pub async fn fire_timers(&self, tickets: &[Uuid]) -> Result<Vec<(Uuid, Outcome)>, Error> {
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        let free = store::ticket::lock_free(&mut tx, tickets).await?;
        let mut outcomes: Vec<_> = tickets
            .iter()
            .filter(|ticket| !free.contains(ticket))
            .map(|ticket| (*ticket, Ok(Fired::Busy)))
            .collect();
        let mut due = Vec::with_capacity(free.len());
        let mut alone = Vec::new();
        for row in store::ticket::find_many(&mut tx, &free).await? {
            let id = row.id;
            match self.fire(&mut tx, row).await {
                Ok(None) => outcomes.push((id, Ok(Fired::Nothing))),
                Ok(Some(Found { to_route: true, .. })) => alone.push(id),
                Ok(Some(Found { ticket, changes, .. })) => due.push((ticket, changes)),
                Err(error @ Error::Store(StoreError::Unavailable(_))) => return Err(error),
                Err(error) => outcomes.push((id, Err(error))),
            }
        }
        if due.is_empty() {
            tx.commit().await?;
            self.fire_each(&alone, &mut outcomes).await;
            return Ok(outcomes);
        }
        outcomes.extend(due.iter().map(|(ticket, _)| (ticket.id, Ok(Fired::Yes))));
        let (tickets, changes): (Vec<_>, Vec<_>) = due.into_iter().unzip();
        let changes = changes.iter().map(Vec::as_slice);
        let tickets = tickets.into_iter().zip(changes).collect();
        let by = Provenance::system("timers");
        change::record_all(&mut tx, &self.ids, tickets, &by).await?;
        tx.commit().await?;
        self.tail.wake();
        // A reminder may be among it (T-06).
        self.outbox.wake();
        self.fire_each(&alone, &mut outcomes).await;
        Ok(outcomes)
    }

    /// Does what the clocks of tickets have to do that go to another team with it, each in a transaction of its own: a team is
    /// locked after its ticket and before no other one.
    async fn fire_each(&self, tickets: &[Uuid], outcomes: &mut Vec<(Uuid, Outcome)>) {
        for ticket in tickets {
            let outcome = Box::pin(self.fire_alone(*ticket)).await;
            outcomes.push((*ticket, outcome));
        }
    }

    async fn fire_alone(&self, id: Uuid) -> Outcome {
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        if store::ticket::lock_free(&mut tx, &[id]).await?.is_empty() {
            return Ok(Fired::Busy);
        }
        let Some(row) = store::ticket::find(&mut tx, id).await? else { return Ok(Fired::Nothing) };
        let (ticket, version) = self.judged(&mut tx, row).await?;
        let (policy, now) = (&version.policy, self.now());
        let mut changes = decide(&ticket, policy, Command::FireTimers, &Actor::TIMERS, now)?;
        if changes.is_empty() {
            return Ok(Fired::Nothing);
        }
        changes.extend(placement::reroute(&mut tx, (&ticket, policy), &changes, now).await?);
        let by = Provenance::system("timers");
        change::record(&mut tx, &self.ids, ticket, &changes, &by).await?;
        placement::take_turn(&mut tx, &changes).await?;
        tx.commit().await?;
        self.tail.wake();
        self.outbox.wake();
        Ok(Fired::Yes)
    }

    /// What the clocks of a ticket have to do by now; `None` where that is nothing.
    async fn fire(&self, conn: &mut PgConnection, row: TicketRow) -> Result<Option<Found>, Error> {
        let (ticket, version) = self.judged(conn, row).await?;
        let now = self.now();
        let changes = decide(&ticket, &version.policy, Command::FireTimers, &Actor::TIMERS, now)?;
        if changes.is_empty() {
            // A registration that was to be looked at and goes nowhere is not to be looked at for ever.
            store::handling::rearm(conn, &ticket).await?;
            return Ok(None);
        }
        let mut after = ticket.clone();
        changes.iter().for_each(|change| apply(&mut after, change));
        let to_route = version.policy.routing().rises_to_rules(&ticket, &after);
        Ok(Some(Found { ticket, changes, to_route }))
    }
}

/// A ticket with something to do, and whether it may go to another team with it.
struct Found {
    ticket: Ticket,
    changes: Vec<Change>,
    to_route: bool,
}

/// What became of a look at a ticket, or why nobody could look.
pub type Outcome = Result<Fired, Error>;

/// Tells the timers of this process that something will be due sooner than they expect. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TimerSignal(Arc<Signal>);

#[derive(Debug)]
struct Signal {
    /// Microseconds: until when the timers sleep.
    sleeps_until: AtomicI64,
    sooner: Notify,
}

impl Default for TimerSignal {
    fn default() -> Self {
        let sleeps_until = AtomicI64::new(i64::MAX);
        Self(Arc::new(Signal { sleeps_until, sooner: Notify::new() }))
    }
}

impl TimerSignal {
    /// Something is due at `at`.
    pub fn expect(&self, at: Option<Timestamp>) {
        let Some(at) = at else { return };
        if at.as_microsecond() < self.0.sleeps_until.load(Ordering::Acquire) {
            self.0.sooner.notify_one();
        }
    }

    /// Waits until somebody expects something before `until`. Call it with the time that was looked up before: what was
    /// expected in between is not missed, because the next look comes soon anyhow.
    pub(crate) async fn sooner_than(&self, until: Option<Timestamp>) {
        let until = until.map_or(i64::MAX, Timestamp::as_microsecond);
        self.0.sleeps_until.store(until, Ordering::Release);
        self.0.sooner.notified().await;
    }
}

/// How long what another replica wrote may stay unseen. A quarter of what T-07 allows.
pub(crate) const POLL_PERIOD: Duration = Duration::from_millis(500);

impl App {
    /// Does what is due of a corrective action, a suggestion, a shift or a process, in one transaction. Safe in any number of
    /// replicas at once: whoever has the row does it, and who comes later finds it done.
    ///
    /// # Errors
    /// [`Error::Store`] when the database is away or holds what nobody understands.
    pub async fn fire_learning_timer(&self, what: Due, id: Uuid) -> Result<Fired, Error> {
        match what {
            Due::CorrectiveAction => self.fire_action_timer(id).await,
            Due::Suggestion => self.fire_suggestion_timer(id).await,
            Due::Shift => self.fire_shift_timer(id).await,
            Due::Process => self.fire_process_timer(id).await,
        }
    }
}
