//! Policy versions that compute the promises of open tickets anew when they come into force (T-05).
//!
//! In bounded batches, one transaction each, which moves the rollout's place with the tickets: so a crash repeats nothing and
//! loses nothing, and of any number of replicas one is at a rollout. A ticket that somebody else has is waited for without
//! holding it up. Each ticket is computed once per version, because by the version that it has already nothing changes.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kefu_journal::Provenance;
use kefu_policy::{Snapshot, Version};
use kefu_postgres::StoreError;
use sqlx::PgConnection;
use uuid::Uuid;

use super::clock_ledger::{CLOCKS, Concerned, unit};
use super::{App, Error, change};
use crate::domain::{
    Actor, Change, Command, Issued, Outcome, Policy, Recompute, RecomputeCause, Ticket, apply,
    compare, decide,
};
use crate::store;
use crate::store::policy_rollout::{Advance, Met, RolloutRow};

/// When all open tickets are looked at again: longer than a registration that was under way can take to be committed.
const SECOND_SWEEP: Duration = Duration::from_secs(60);

/// What became of a step of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rolled {
    /// It came further.
    On,
    /// Somebody else is at it, or at a ticket that is next.
    Busy,
    /// None is due.
    Nothing,
}

/// A ticket that moves, and how.
type Moved = (Ticket, Vec<Change>);

impl App {
    /// Takes the next step of a rollout that is due: at most `batch` tickets, in one transaction.
    ///
    /// # Errors
    /// [`Error::Store`]; then nothing has happened to any of them.
    pub async fn roll_out(&self, batch: i64) -> Result<Rolled, Error> {
        let now = self.now();
        let mut conn = self.read().await?;
        if !store::policy_rollout::is_due(&mut conn, now).await? {
            return Ok(Rolled::Nothing);
        }
        drop(conn);
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        let Some(rollout) = store::policy_rollout::claim(&mut tx, now).await? else {
            return Ok(Rolled::Busy);
        };
        let met = self.next(&mut tx, &rollout, batch).await?;
        let Some(last) = met.last() else {
            let began = rollout.started_at.map_or(now, |at| at.to_jiff());
            let again = began.checked_add(SECOND_SWEEP).ok();
            let again = again.filter(|_| rollout.sweep == 1);
            let (version, id) = (rollout.version_id, rollout.version_id);
            store::policy_rollout::end_sweep(&mut tx, version, now, again).await?;
            tx.commit().await?;
            tracing::info!(version = %id, sweep = rollout.sweep, "all open tickets were looked at");
            return Ok(Rolled::On);
        };
        let policies = self.policies.current(&mut tx).await?;
        let version = known(&policies, rollout.version_id)?;
        let concerned = concerned(&policies, &version, &met, now)?;
        let free = store::ticket::lock_free(&mut tx, &concerned).await?;
        let busy = free.len() < concerned.len();
        let Batch { moved, failed } =
            self.judge_all(&mut tx, &policies, &version, &free, now).await?;
        let overdue = moved.iter().filter(|moved| overdue(moved)).count();
        let next_alarm = self.record_moved(&mut tx, &moved).await?;
        let passed = if busy { 0 } else { failed.len() };
        let (place, stays) = (last.place(), rollout.place());
        let advance = Advance {
            // Whoever is waited for is looked at again, and then finds the others done.
            place: if busy { stays.as_ref() } else { Some(&place) },
            seen: if rollout.sweep == 1 { count(moved.len() + passed) } else { 0 },
            recomputed: count(moved.len()),
            overdue: count(overdue),
            failed: &failed,
        };
        store::policy_rollout::advance(&mut tx, &rollout, now, &advance).await?;
        tx.commit().await?;
        self.tail.wake();
        self.timers.expect(next_alarm);
        Ok(if busy && moved.is_empty() { Rolled::Busy } else { Rolled::On })
    }

    /// Passes over the next ticket of a rollout, which cannot be written: it keeps its promises and stands among those that
    /// failed.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn pass_over(&self) -> Result<(), Error> {
        let now = self.now();
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        let Some(rollout) = store::policy_rollout::claim(&mut tx, now).await? else {
            return Ok(());
        };
        let met = self.next(&mut tx, &rollout, 1).await?;
        if let Some(last) = met.last() {
            let (place, failed) = (last.place(), [last.id]);
            let advance = Advance { place: Some(&place), failed: &failed, ..Advance::default() };
            store::policy_rollout::advance(&mut tx, &rollout, now, &advance).await?;
        }
        Ok(tx.commit().await?)
    }

    async fn next(
        &self,
        conn: &mut PgConnection,
        rollout: &RolloutRow,
        batch: i64,
    ) -> Result<Vec<Met>, Error> {
        let (org_unit, version) = (&rollout.org_unit, rollout.version_id);
        let place = rollout.place();
        let met =
            store::policy_rollout::next(conn, org_unit, place.as_ref(), version, batch).await?;
        Ok(met)
    }

    /// What becomes of tickets that this transaction has locked.
    async fn judge_all(
        &self,
        conn: &mut PgConnection,
        policies: &Snapshot<Policy>,
        version: &Arc<Version<Policy>>,
        tickets: &[Uuid],
        now: Timestamp,
    ) -> Result<Batch, Error> {
        let mut holds = Concerned::new(policies, now);
        let (mut moved, mut failed) = (Vec::new(), Vec::new());
        for row in store::ticket::find_many(conn, tickets).await? {
            let id = row.id;
            // As it is under the lock: it may have ended or gone elsewhere since.
            if holds.version(&row.org_unit)?.is_none_or(|holds| holds.id != version.id) {
                continue;
            }
            match self.rejudged(conn, row, version, now).await {
                Ok(None) => {}
                Ok(Some(one)) => moved.push(one),
                Err(error @ Error::Store(StoreError::Unavailable(_))) => return Err(error),
                Err(error) => {
                    tracing::error!(ticket = %id, %error, "promises cannot be computed anew");
                    failed.push(id);
                }
            }
        }
        Ok(Batch { moved, failed })
    }

    /// What a version makes of a ticket; none where nothing changes.
    async fn rejudged(
        &self,
        conn: &mut PgConnection,
        row: store::ticket::TicketRow,
        version: &Arc<Version<Policy>>,
        now: Timestamp,
    ) -> Result<Option<Moved>, Error> {
        let (ticket, judge) = self.judged(conn, row).await?;
        if ticket.state.is_final() || ticket.promise_version() == version.id {
            return Ok(None);
        }
        let changes = decide(&ticket, &judge.policy, in_force(version), &CLOCKS, now)?;
        Ok(Some((ticket, changes)))
    }

    /// Lets a ticket that was away since a time catch up with what was rolled out over the open tickets meanwhile: the last
    /// version that came into force for it. `changes` are those that bring it back, and get what comes of that.
    ///
    /// # Errors
    /// [`Error::Store`]. A ticket whose promises cannot be computed keeps them, as in a rollout.
    pub(super) async fn catch_up(
        &self,
        conn: &mut PgConnection,
        (ticket, policy): (&Ticket, &Policy),
        since: Timestamp,
        changes: &mut Vec<Change>,
        (actor, now): (&Actor, Timestamp),
    ) -> Result<(), Error> {
        let mut after = ticket.clone();
        changes.iter().for_each(|change| apply(&mut after, change));
        let org_unit = unit(&after.org_unit)?;
        let above = org_unit.ancestors().map(|above| above.to_string());
        let above: Vec<String> = above.chain([org_unit.to_string()]).collect();
        let missed = store::policy_rollout::since(conn, &above, since, now).await?;
        if missed.is_empty() {
            return Ok(());
        }
        let policies = self.policies.current(conn).await?;
        let held = |id: &Uuid| {
            let version = policies.version(*id)?;
            // None of a nearer org unit, and none that came with it.
            let holds = policies.effective(&org_unit, version.effective_at)?;
            (holds.id == *id).then_some(version)
        };
        let Some(version) = missed.iter().find_map(held) else { return Ok(()) };
        if after.state.is_final() || after.promise_version() == version.id {
            return Ok(());
        }
        match decide(&after, policy, in_force(version), actor, now) {
            Ok(following) => changes.extend(following),
            Err(refusal) => {
                let id = after.id;
                tracing::error!(ticket = %id, %refusal, "promises cannot be computed anew");
            }
        }
        Ok(())
    }

    /// Puts them on record; when one of them next has something to do.
    async fn record_moved(
        &self,
        conn: &mut PgConnection,
        moved: &[Moved],
    ) -> Result<Option<Timestamp>, Error> {
        if moved.is_empty() {
            return Ok(None);
        }
        let tickets = moved.iter().map(|(ticket, changes)| (ticket.clone(), changes.as_slice()));
        let by = Provenance::system("clocks");
        let now = change::record_all(conn, &self.ids, tickets.collect(), &by).await?;
        Ok(now.iter().filter_map(Ticket::next_fire_at).min())
    }
}

/// Asks for the promises of a version that came into force.
fn in_force(version: &Arc<Version<Policy>>) -> Command {
    let (org_unit, number) = (&version.org_unit, version.version);
    let reason = format!(
        "version {number} of the policy of {org_unit} came into force / {org_unit} \
         的制度第 {number} 版生效"
    );
    let version = Arc::clone(version) as Arc<dyn Issued>;
    Command::Recompute(Recompute { version, cause: RecomputeCause::NewVersion, reason })
}

/// What becomes of a batch.
struct Batch {
    moved: Vec<Moved>,
    failed: Vec<Uuid>,
}

fn known(policies: &Snapshot<Policy>, id: Uuid) -> Result<Arc<Version<Policy>>, StoreError> {
    let version = policies.version(id).cloned();
    version.ok_or_else(|| {
        StoreError::corrupt("policy_rollout.version_id", "there is no such policy version")
    })
}

/// Those that are open and for whose org unit the version is in force: none of its own nearer by, none that came after it.
fn concerned(
    policies: &Snapshot<Policy>,
    version: &Version<Policy>,
    met: &[Met],
    now: Timestamp,
) -> Result<Vec<Uuid>, Error> {
    let mut holds = Concerned::new(policies, now);
    let mut found = Vec::new();
    for met in met.iter().filter(|met| met.open) {
        if holds.version(&met.org_unit)?.is_some_and(|holds| holds.id == version.id) {
            found.push(met.id);
        }
    }
    Ok(found)
}

/// Whether that makes a promise overdue at once.
fn overdue((before, changes): &Moved) -> bool {
    let mut after = before.clone();
    changes.iter().for_each(|change| apply(&mut after, change));
    compare(before, &after).iter().any(|one| one.outcome == Outcome::Overdue)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
