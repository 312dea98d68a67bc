//! Promises computed anew: by a manager, by the org unit that takes a ticket, and what would come of it (T-05, T-06, T-11). The
//! rules stand in [`domain`](crate::domain), in `recompute.rs`.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_policy::{Snapshot, Version};
use kefu_postgres::StoreError;
use kefu_rpc::{Etag, Fault};
use sqlx::PgConnection;
use uuid::Uuid;

use super::error::check_etag;
use super::ticket::not_found;
use super::{App, Call, Error, Page, change, one_more};
use crate::domain::{
    Actor, Change, Command, Comparison, Given, Issued, Outcome, Policy, Recompute, RecomputeCause,
    Ticket, apply, compare, decide,
};
use crate::encode::{clock_ledger as encode, policy as policy_name, ticket as ticket_encode};
use crate::store;
use crate::store::policy_rollout::{Place, RolloutRow};

const ACTION: &str = "ticket.RecomputeClocks";
/// How many overdue tickets a preview names.
const EXAMPLES: usize = 100;

impl Issued for Version<Policy> {
    fn id(&self) -> Uuid {
        self.id
    }

    fn policy(&self) -> &Policy {
        &self.policy
    }
}

/// A policy that was not attached yet.
#[derive(Debug)]
struct Proposed(Policy);

impl Issued for Proposed {
    fn id(&self) -> Uuid {
        Uuid::nil()
    }

    fn policy(&self) -> &Policy {
        &self.0
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct RecomputeCall {
    pub(crate) id: Uuid,
    pub(crate) etag: Option<Etag>,
    pub(crate) version: Option<Uuid>,
    pub(crate) reason: String,
    pub(crate) validate_only: bool,
}

/// Which policy a preview is about.
#[derive(Debug)]
pub(crate) enum Previewed {
    /// One that was not attached yet.
    Proposed(Box<Policy>),
    /// One that was.
    Version(Uuid),
}

/// Where a page of a preview ends.
pub(crate) type PreviewCursor = (String, Timestamp, Uuid);

impl App {
    /// Computes what a ticket is promised anew, in one transaction, or shows what would come of it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagStale`], [`Error::RequestIdReused`], [`Error::Refused`],
    /// [`Error::PolicyMissing`], [`Error::Invalid`] for a version that cannot hold for the ticket.
    pub(crate) async fn recompute_clocks(
        &self,
        call: &Call,
        asked: RecomputeCall,
    ) -> Result<pb::RecomputeClocksResponse, Error> {
        let RecomputeCall { id, etag, .. } = asked;
        let actor = Actor::staff(call.caller.subject());
        if asked.validate_only {
            let mut conn = self.read().await?;
            let row = store::ticket::find(&mut conn, id).await?.ok_or_else(|| not_found(id))?;
            self.allow_at(&call.caller, ACTION, &row.org_unit)?;
            let (before, judge) = self.judged(&mut conn, row).await?;
            check_etag(etag, before.revision)?;
            let now = self.now();
            let command = self.recompute_of(&mut conn, &before, asked, now).await?;
            let changes = decide(&before, &judge.policy, command, &actor, now)?;
            let mut after = before.clone();
            changes.iter().for_each(|change| apply(&mut after, change));
            let comparisons = compare(&before, &after);
            // It is still the ticket that it was.
            (after.revision, after.updated_at) = (before.revision, before.updated_at);
            return Ok(answer(&after, &comparisons));
        }
        let mut work = self.begin(call).await?;
        let org_unit = store::ticket::lock(work.conn(), id).await?.ok_or_else(|| not_found(id))?;
        if let Err(denied) = self.allow_at(&call.caller, ACTION, &org_unit) {
            return work.answered().await?.ok_or(denied);
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        let row = store::ticket::find(work.conn(), id).await?.ok_or_else(|| not_found(id))?;
        let (before, judge) = self.judged(work.conn(), row).await?;
        check_etag(etag, before.revision)?;
        let now = work.now();
        let command = self.recompute_of(work.conn(), &before, asked, now).await?;
        let changes = decide(&before, &judge.policy, command, &actor, now)?;
        let earlier = before.clone();
        let after = change::record(work.conn(), &self.ids, before, &changes, &call.by).await?;
        let answer = work.commit(answer(&after, &compare(&earlier, &after))).await?;
        self.timers.expect(after.next_fire_at());
        Ok(answer)
    }

    /// The command, by the version that is in force for the ticket's org unit or another one that may hold for it.
    async fn recompute_of(
        &self,
        conn: &mut PgConnection,
        ticket: &Ticket,
        asked: RecomputeCall,
        now: Timestamp,
    ) -> Result<Command, Error> {
        let org_unit = unit(&ticket.org_unit)?;
        let policies = self.policies.current(conn).await?;
        let version =
            match asked.version {
                None => policies.effective(&org_unit, now).cloned(),
                Some(id) => {
                    let holds = |version: &&Arc<Version<Policy>>| {
                        version.org_unit.contains(&org_unit) && version.effective_at <= now
                    };
                    Some(
                        policies.version(id).filter(holds).cloned().ok_or_else(|| {
                            Error::Invalid("policy_version", cannot_hold(&org_unit))
                        })?,
                    )
                }
            };
        let version = version.ok_or(Error::PolicyMissing(org_unit))?;
        let (cause, reason) = (RecomputeCause::Manager, asked.reason);
        Ok(Command::Recompute(Recompute { version, cause, reason }))
    }

    /// Lets the promises of a ticket that `changes` give to another org unit follow it there (T-11).
    pub(super) async fn follow_org_unit(
        &self,
        conn: &mut PgConnection,
        ticket: &Ticket,
        policy: &Policy,
        changes: &mut Vec<Change>,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut after = ticket.clone();
        changes.iter().for_each(|change| apply(&mut after, change));
        if after.org_unit == ticket.org_unit {
            return Ok(());
        }
        let receiving = unit(&after.org_unit)?;
        if let Some(command) = self.transfer_of(conn, &after, &receiving, now).await? {
            changes.extend(decide(&after, policy, command, actor, now)?);
        }
        Ok(())
    }

    /// What acceptance by an org unit does to the promises of a ticket; none where they stay as they are: the same regulation
    /// holds there, or the one that holds there leaves them as they were given.
    async fn transfer_of(
        &self,
        conn: &mut PgConnection,
        ticket: &Ticket,
        receiving: &OrgUnit,
        now: Timestamp,
    ) -> Result<Option<Command>, Error> {
        let policies = self.policies.current(conn).await?;
        let Some(next) = policies.effective(receiving, now) else { return Ok(None) };
        let held = policies.version(ticket.promise_version());
        // A regulation that is inherited by both stays in the version in which it was promised.
        let same = held.is_some_and(|held| held.org_unit == next.org_unit);
        if same || next.policy.clock_changes().transferred == Given::Keep {
            return Ok(None);
        }
        let version = Arc::clone(next) as Arc<dyn Issued>;
        let reason = format!("accepted by {receiving} / 由 {receiving} 接收");
        Ok(Some(Command::Recompute(Recompute { version, cause: RecomputeCause::Transfer, reason })))
    }

    /// What acceptance by an org unit would make of the promises of a ticket.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::OrgUnitUnknown`], [`Error::Refused`].
    pub(crate) async fn simulate_transfer(
        &self,
        call: &Call,
        id: Uuid,
        receiving: &OrgUnit,
    ) -> Result<pb::SimulateTransferResponse, Error> {
        const ACTION: &str = "ticket.SimulateTransfer";
        let mut conn = self.read().await?;
        let row = store::ticket::find(&mut conn, id).await?.ok_or_else(|| not_found(id))?;
        self.allow_seen(&call.caller, ACTION, &row.org_unit, row.receiving_unit())?;
        drop(conn);
        self.org_units.require(receiving, call.deadline).await?;
        let mut conn = self.read().await?;
        let (before, judge) = self.judged(&mut conn, row).await?;
        let now = self.now();
        let Some(command) = self.transfer_of(&mut conn, &before, receiving, now).await? else {
            return Ok(pb::SimulateTransferResponse::default());
        };
        let mut after = before.clone();
        let actor = Actor::staff(call.caller.subject());
        let changes = decide(&before, &judge.policy, command, &actor, now)?;
        changes.iter().for_each(|change| apply(&mut after, change));
        Ok(pb::SimulateTransferResponse {
            policy_version: policy_name::name(after.promise_version()),
            comparisons: comparisons(&after, &compare(&before, &after)),
        })
    }

    /// What a policy would make of a page of the open tickets of an org unit and below.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Invalid`] for a version that does not exist.
    pub(crate) async fn preview_policy_change(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        asked: Previewed,
        after: Option<PreviewCursor>,
        size: u32,
    ) -> Result<(pb::PreviewPolicyChangeResponse, Option<PreviewCursor>), Error> {
        self.allow(caller, "ticket.PreviewPolicyChange", org_unit)?;
        let mut conn = self.read().await?;
        let policies = self.policies.current(&mut conn).await?;
        let version: Arc<dyn Issued> = match asked {
            Previewed::Proposed(policy) => Arc::new(Proposed(*policy)),
            Previewed::Version(id) => {
                let found = policies.version(id).filter(|version| version.org_unit == *org_unit);
                let missing = || Error::Invalid("policy_version", not_attached(org_unit));
                Arc::clone(found.ok_or_else(missing)?) as Arc<dyn Issued>
            }
        };
        let after = after.map(|(org_unit, created_at, id)| Place { org_unit, created_at, id });
        let limit = i64::from(size);
        let unit_path = org_unit.as_str();
        let met =
            store::policy_rollout::next(&mut conn, unit_path, after.as_ref(), version.id(), limit);
        let met = met.await?;
        let next = (met.len() == size as usize).then(|| met.last().map(|last| last.place()));
        let now = self.now();
        let mut concerned = Concerned::new(&policies, now);
        let mut open = Vec::new();
        for met in met.iter().filter(|met| met.open) {
            // An org unit below that has a policy of its own is not concerned.
            let holds = concerned.holder(&met.org_unit)?;
            if holds.is_none_or(|holder| holder.contains(org_unit)) {
                open.push(met.id);
            }
        }
        let mut impact = pb::PreviewPolicyChangeResponse::default();
        for row in store::ticket::find_many(&mut conn, &open).await? {
            let (before, judge) = self.judged(&mut conn, row).await?;
            if before.state.is_final() {
                continue;
            }
            let (cause, reason) = (RecomputeCause::NewVersion, "preview".to_owned());
            let command =
                Command::Recompute(Recompute { version: Arc::clone(&version), cause, reason });
            impact.open_tickets += 1;
            let Ok(changes) = decide(&before, &judge.policy, command, &CLOCKS, now) else {
                impact.failed_tickets += 1;
                continue;
            };
            let mut after = before.clone();
            changes.iter().for_each(|change| apply(&mut after, change));
            count(&mut impact, &after, &compare(&before, &after));
            // Many tickets must not keep others from their turn.
            tokio::task::yield_now().await;
        }
        let next = next.flatten().map(|place| (place.org_unit, place.created_at, place.id));
        Ok((impact, next))
    }

    /// The rollouts of an org unit and below.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn list_policy_rollouts(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        after: Option<(Timestamp, Uuid)>,
        size: u32,
    ) -> Result<Page<RolloutRow, (Timestamp, Uuid)>, Error> {
        self.allow(caller, "ticket.ListPolicyRollouts", org_unit)?;
        let mut conn = self.read().await?;
        let (unit, limit) = (org_unit.as_str(), one_more(size));
        let rows = store::policy_rollout::list(&mut conn, unit, after, limit).await?;
        Ok(Page::of(rows, size, |last| (last.effective_at.to_jiff(), last.version_id)))
    }
}

/// Who recomputes when a version comes into force.
pub(super) const CLOCKS: Actor = Actor::System("clocks");

/// Which org unit's policy holds where, each looked up once.
pub(super) struct Concerned<'a> {
    policies: &'a Snapshot<Policy>,
    now: Timestamp,
    known: HashMap<String, Option<Arc<Version<Policy>>>>,
}

impl<'a> Concerned<'a> {
    pub(super) fn new(policies: &'a Snapshot<Policy>, now: Timestamp) -> Self {
        Self { policies, now, known: HashMap::new() }
    }

    /// The version in force for an org unit.
    pub(super) fn version(&mut self, org_unit: &str) -> Result<Option<&Version<Policy>>, Error> {
        if !self.known.contains_key(org_unit) {
            let found = self.policies.effective(&unit(org_unit)?, self.now).cloned();
            self.known.insert(org_unit.to_owned(), found);
        }
        Ok(self.known.get(org_unit).and_then(Option::as_deref))
    }

    /// The org unit to which that version is attached.
    fn holder(&mut self, org_unit: &str) -> Result<Option<&OrgUnit>, Error> {
        Ok(self.version(org_unit)?.map(|version| &version.org_unit))
    }
}

pub(super) fn unit(path: &str) -> Result<OrgUnit, Error> {
    Ok(path.parse().map_err(|error| StoreError::corrupt("ticket.org_unit", error))?)
}

fn answer(ticket: &Ticket, compared: &[Comparison]) -> pb::RecomputeClocksResponse {
    pb::RecomputeClocksResponse {
        ticket: Some(ticket_encode::resource(ticket)),
        comparisons: comparisons(ticket, compared),
    }
}

fn comparisons(ticket: &Ticket, compared: &[Comparison]) -> Vec<pb::ClockComparison> {
    compared.iter().map(|one| encode::comparison(one, ticket.policy_version)).collect()
}

/// Adds what became of a ticket.
fn count(impact: &mut pb::PreviewPolicyChangeResponse, ticket: &Ticket, compared: &[Comparison]) {
    let many = |outcome| {
        let found = compared.iter().filter(|one| one.outcome == outcome).count();
        i32::try_from(found).unwrap_or(i32::MAX)
    };
    let changed = compared.iter().any(|one| one.outcome != Outcome::Kept);
    impact.changed_tickets += i32::from(changed);
    impact.sooner_clocks += many(Outcome::Sooner);
    impact.later_clocks += many(Outcome::Later);
    impact.begun_clocks += many(Outcome::Begun);
    if many(Outcome::Overdue) > 0 {
        impact.overdue_tickets += 1;
        if impact.overdue_examples.len() < EXAMPLES {
            impact.overdue_examples.push(ticket_encode::name(ticket.id));
        }
    }
}

fn cannot_hold(org_unit: &OrgUnit) -> Fault {
    Fault::new(
        "NOT_IN_FORCE",
        format!("is no version of {org_unit} or above that is in effect by now"),
        format!("不是 {org_unit} 或其上级已生效的制度版本"),
    )
}

fn not_attached(org_unit: &OrgUnit) -> Fault {
    Fault::new(
        "NOT_ATTACHED",
        format!("is no version that is attached to {org_unit}"),
        format!("不是 {org_unit} 的制度版本"),
    )
}
