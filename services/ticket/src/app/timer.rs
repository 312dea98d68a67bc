//! What clocks do when their time comes (T-07).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use kefu_journal::Provenance;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{App, Error, change};
use crate::domain::{Actor, Command, Due, decide};
use crate::store;

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
    /// Does what the clocks of a ticket have to do by now, in one transaction: breach, violation, escalation and events
    /// together or not at all. Safe in any number of replicas at once: whoever has the ticket does it, and who comes
    /// later finds it done.
    ///
    /// # Errors
    /// [`Error::Store`] when the database is away or holds what nobody understands.
    pub async fn fire_timers(&self, ticket: Uuid) -> Result<Fired, Error> {
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        if !store::ticket::try_lock(&mut tx, ticket).await? {
            return Ok(Fired::Busy);
        }
        let Some(row) = store::ticket::find(&mut tx, ticket).await? else {
            return Ok(Fired::Nothing);
        };
        let (ticket, version) = self.judged(&mut tx, row).await?;
        let now = self.now();
        let changes = decide(&ticket, &version.policy, Command::FireTimers, &Actor::TIMERS, now)?;
        if changes.is_empty() {
            return Ok(Fired::Nothing);
        }
        let by = Provenance::system("timers");
        change::record(&mut tx, &self.ids, ticket, &changes, &by).await?;
        tx.commit().await?;
        self.tail.wake();
        Ok(Fired::Yes)
    }
}

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
    /// Does what is due of a corrective action, a suggestion or a shift, in one transaction. Safe in any number of
    /// replicas at once: whoever has the row does it, and who comes later finds it done.
    ///
    /// # Errors
    /// [`Error::Store`] when the database is away or holds what nobody understands.
    pub async fn fire_learning_timer(&self, what: Due, id: Uuid) -> Result<Fired, Error> {
        match what {
            Due::CorrectiveAction => self.fire_action_timer(id).await,
            Due::Suggestion => self.fire_suggestion_timer(id).await,
            Due::Shift => self.fire_shift_timer(id).await,
        }
    }
}
