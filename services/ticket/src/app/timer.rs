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

use super::{App, Error, change};
use crate::domain::{Actor, Change, Command, Due, Ticket, decide};
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
        for row in store::ticket::find_many(&mut tx, &free).await? {
            let id = row.id;
            match self.fire(&mut tx, row).await {
                Ok(None) => outcomes.push((id, Ok(Fired::Nothing))),
                Ok(Some(found)) => due.push(found),
                Err(error @ Error::Store(StoreError::Unavailable(_))) => return Err(error),
                Err(error) => outcomes.push((id, Err(error))),
            }
        }
        if due.is_empty() {
            tx.commit().await?;
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
        Ok(outcomes)
    }

    /// What the clocks of a ticket have to do by now; `None` where that is nothing.
    async fn fire(
        &self,
        conn: &mut PgConnection,
        row: TicketRow,
    ) -> Result<Option<(Ticket, Vec<Change>)>, Error> {
        let (ticket, version) = self.judged(conn, row).await?;
        let now = self.now();
        let changes = decide(&ticket, &version.policy, Command::FireTimers, &Actor::TIMERS, now)?;
        if changes.is_empty() {
            // A registration that was to be looked at and goes nowhere is not to be looked at for ever.
            store::handling::rearm(conn, &ticket).await?;
            return Ok(None);
        }
        Ok(Some((ticket, changes)))
    }
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
