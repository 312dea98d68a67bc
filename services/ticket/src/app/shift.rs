//! Shifts (T-17): planned, their list of what is unfinished, and the handover that both sign.

use std::sync::Arc;

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_journal::{Entry, Provenance, PublicEvent};
use kefu_policy::Version;
use kefu_rpc::{Etag, Fault};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::error::check_etag;
use super::timer::Fired;
use super::{App, Call, Error, Page, one_more, resource_audit};
use crate::domain::{
    Policy, Shift, ShiftCommand, Subject, Violation, ViolationState, allow_reason, decide_shift,
    miss_list, plan_shift,
};
use crate::encode::shift as encode;
use crate::store;
use crate::store::shift::{Line, ShiftQuery};

/// What is to be planned.
#[derive(Clone, Debug)]
pub struct NewShift {
    /// The dispatch centre.
    pub centre: OrgUnit,
    /// From when.
    pub starts: Timestamp,
    /// Until when.
    pub ends: Timestamp,
    /// Who is on it, each once.
    pub members: Vec<Subject>,
    /// Who answers for its list.
    pub leader: Subject,
}

/// What is asked of a shift.
#[derive(Clone, Debug)]
pub enum ShiftStep {
    /// Change who is on it: the members and the leader.
    Crew(Vec<Subject>, Subject),
    /// Submit its list.
    Submit,
    /// Sign for the outgoing shift.
    SignOut,
    /// Sign for the incoming shift, which is named.
    SignIn(Uuid),
}

impl App {
    /// Plans a shift.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::OrgUnitUnknown`], [`Error::PolicyMissing`], [`Error::StepRefused`] with every wrong
    /// field, [`Error::RequestIdReused`].
    pub async fn plan_shift(&self, call: &Call, new: NewShift) -> Result<pb::Shift, Error> {
        if let Err(lacking) = self.allow_in(call, "ticket.PlanShift", &new.centre).await {
            return self.or_answered(call, lacking).await;
        }
        let mut work = self.begin(call).await?;
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        let now = work.now();
        let policies = self.policies.current(work.conn()).await?;
        let version = policies.effective(&new.centre, now);
        let version = version.ok_or_else(|| Error::PolicyMissing(new.centre.clone()))?;
        let shift = Shift {
            id: self.ids.uuid(),
            policy_version: version.id,
            centre: new.centre.to_string(),
            starts: new.starts,
            ends: new.ends,
            members: new.members,
            leader: new.leader,
            list_due: None,
            missed: None,
            listed: None,
            signed_out: None,
            signed_in: None,
            pattern: None,
            crewed_by: None,
            created_at: now,
            updated_at: now,
            revision: 1,
        };
        let shift = plan_shift(shift, &version.policy, now)?;
        store::shift::insert(work.conn(), &shift).await?;
        let told = encode::resource(&shift);
        let audit = resource_audit::changed(None, &told)?;
        let by = work.by();
        self.record_shift(work.conn(), by, &shift, ("PlanShift", audit, None)).await?;
        let answer = work.commit(told).await?;
        self.learning_timers.expect(shift.next_fire_at());
        Ok(answer)
    }

    /// One shift.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn get_shift(&self, caller: &Caller, id: Uuid) -> Result<pb::Shift, Error> {
        let mut conn = self.read().await?;
        let shift = self.readable_shift(&mut conn, caller, "ticket.GetShift", id).await?;
        Ok(encode::resource(&shift))
    }

    pub(super) async fn readable_shift(
        &self,
        conn: &mut PgConnection,
        caller: &Caller,
        action: &'static str,
        id: Uuid,
    ) -> Result<Shift, Error> {
        let shift = store::shift::find(conn, id).await?.ok_or_else(|| not_found(id))?;
        self.allow_at(caller, action, &shift.centre)?;
        Ok(shift)
    }

    /// Those of the dispatch centres at and below an org unit, those that begin last first.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn list_shifts(
        &self,
        caller: &Caller,
        centre: &OrgUnit,
        query: ShiftQuery,
        size: u32,
    ) -> Result<Page<Shift, (Timestamp, Uuid)>, Error> {
        self.allow(caller, "ticket.ListShifts", centre)?;
        let mut conn = self.read().await?;
        let query = ShiftQuery { limit: one_more(size), ..query };
        let found = store::shift::list(&mut conn, &query).await?;
        Ok(Page::of(found, size, |last| (last.starts, last.id)))
    }

    /// What is unfinished, oldest first; whether it is frozen.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub(crate) async fn shift_list(
        &self,
        caller: &Caller,
        id: Uuid,
        after: Option<(Timestamp, Uuid)>,
        size: u32,
    ) -> Result<(Page<Line, (Timestamp, Uuid)>, bool), Error> {
        // State and list as of one moment.
        let mut tx = kefu_postgres::begin_snapshot(&self.pool).await?;
        let shift = self.readable_shift(&mut tx, caller, "ticket.GetShiftList", id).await?;
        let frozen = shift.signed_out.is_some();
        let limit = one_more(size);
        let lines = if frozen {
            store::shift::lines(&mut tx, id, after, limit).await?
        } else {
            store::shift::unfinished(&mut tx, &shift, None, after, limit).await?
        };
        tx.commit().await?;
        Ok((Page::of(lines, size, |last| (last.issued_at, last.work_order_id)), frozen))
    }

    /// Says why a work order is not done.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Invalid`] for an order that is not on the list,
    /// [`Error::StepRefused`], [`Error::EtagStale`], [`Error::RequestIdReused`].
    pub async fn set_unfinished_reason(
        &self,
        call: &Call,
        (id, etag): (Uuid, Option<Etag>),
        order: Uuid,
        reason: &str,
    ) -> Result<pb::UnfinishedWorkOrder, Error> {
        const ACTION: &str = "ticket.SetUnfinishedReason";
        let mut work = self.begin(call).await?;
        if !store::shift::lock(work.conn(), id).await? {
            return Err(not_found(id));
        }
        let before = match self.readable_shift(work.conn(), &call.caller, ACTION, id).await {
            Ok(before) => before,
            Err(denied) => return work.answered().await?.ok_or(denied),
        };
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        check_etag(etag, before.revision)?;
        let actor: Subject = call.caller.subject().into();
        allow_reason(&before, &actor)?;
        let found = store::shift::unfinished(work.conn(), &before, Some(order), None, 1).await?;
        let mut line = found.into_iter().next().ok_or_else(|| {
            let fault = "is no unfinished work order of the dispatch centre";
            let fault = Fault::new("NOT_FOUND", fault, "不是该派工中心的未完成派工单");
            Error::Invalid("work_order", fault)
        })?;
        let now = work.now().max(before.updated_at);
        let given = (reason, &*actor, now);
        let earlier = store::shift::set_reason(work.conn(), id, order, given).await?;
        line.reason = Some((reason.to_owned(), actor.to_string(), now));
        let shift = Shift { revision: before.revision + 1, updated_at: now, ..before.clone() };
        store::shift::update(work.conn(), &shift, before.revision).await?;
        let said = |reason: &str| json!({ "workOrder": line.number, "reason": reason });
        let audit = (earlier.as_deref().map(said), Some(said(reason)));
        let by = work.by();
        let change = ("SetUnfinishedReason", audit, None);
        self.record_shift(work.conn(), by, &shift, change).await?;
        work.commit(encode::line(&line)).await
    }

    /// Takes a step of a shift, in one transaction. That the list did not come in time is put on record first, so that it
    /// does not matter when a timer comes.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Invalid`] for an incoming shift that does not exist,
    /// [`Error::EtagStale`], [`Error::RequestIdReused`], [`Error::StepRefused`].
    pub async fn shift_step(
        &self,
        call: &Call,
        id: Uuid,
        etag: Option<Etag>,
        step: ShiftStep,
    ) -> Result<pb::Shift, Error> {
        let permission = match &step {
            ShiftStep::Crew(..) => "ticket.UpdateShift",
            ShiftStep::Submit => "ticket.SubmitShiftList",
            ShiftStep::SignOut | ShiftStep::SignIn(_) => "ticket.SignShiftHandover",
        };
        let mut work = self.begin(call).await?;
        if !store::shift::lock(work.conn(), id).await? {
            return Err(not_found(id));
        }
        // Read after the lock, by a statement of its own: what waited for the lock sees what it waited for.
        let readable = self.readable_shift(work.conn(), &call.caller, permission, id);
        let mut before = match readable.await {
            Ok(before) => before,
            Err(denied) => return work.answered().await?.ok_or(denied),
        };
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        check_etag(etag, before.revision)?;
        let version = self.version_of_shift(work.conn(), &before).await?;
        let now = work.now();
        if let Some(missed) = miss_list(&before, &version.policy, now, false) {
            self.record_miss(work.conn(), &before, &missed).await?;
            before = missed.0;
        }
        let command = self.shift_command(work.conn(), &before, step).await?;
        let actor: Subject = call.caller.subject().into();
        let after = decide_shift(&before, command, &actor, now)?;
        store::shift::update(work.conn(), &after, before.revision).await?;
        let told = encode::resource(&after);
        let audit = resource_audit::changed(Some(&encode::resource(&before)), &told)?;
        let event = after.signed_in.as_ref().map(|_| encode::handed_over(&told));
        let name = permission.trim_start_matches("ticket.");
        let by = work.by();
        self.record_shift(work.conn(), by, &after, (name, audit, event)).await?;
        work.commit(told).await
    }

    /// What a step asks, with what only the tables know. A list that is frozen in vain is taken back with the transaction.
    async fn shift_command(
        &self,
        conn: &mut PgConnection,
        shift: &Shift,
        step: ShiftStep,
    ) -> Result<ShiftCommand, Error> {
        Ok(match step {
            ShiftStep::Crew(members, leader) => ShiftCommand::Crew { members, leader },
            ShiftStep::Submit => {
                let without_reason = store::shift::without_reason(conn, shift).await?;
                ShiftCommand::Submit { without_reason }
            }
            ShiftStep::SignOut if shift.signed_out.is_some() => {
                ShiftCommand::SignOut { without_reason: Vec::new(), unfinished: 0 }
            }
            ShiftStep::SignOut => {
                let (unfinished, without_reason) = store::shift::freeze(conn, shift).await?;
                ShiftCommand::SignOut { without_reason, unfinished }
            }
            ShiftStep::SignIn(incoming) => {
                let found = store::shift::find(conn, incoming).await?;
                let incoming = found.ok_or_else(|| {
                    let fault = Fault::new("NOT_FOUND", "names no shift", "班次不存在");
                    Error::Invalid("incoming_shift", fault)
                })?;
                ShiftCommand::SignIn { incoming: Box::new(incoming) }
            }
        })
    }

    /// Puts on record that a list did not come in time, in one transaction with the violation.
    ///
    /// # Errors
    /// [`Error::Store`] when the database is away or holds what nobody understands.
    pub(super) async fn fire_shift_timer(&self, id: Uuid) -> Result<Fired, Error> {
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        if !store::shift::try_lock(&mut tx, id).await? {
            return Ok(Fired::Busy);
        }
        let Some(shift) = store::shift::find(&mut tx, id).await? else {
            return Ok(Fired::Nothing);
        };
        let version = self.version_of_shift(&mut tx, &shift).await?;
        let Some(missed) = miss_list(&shift, &version.policy, self.now(), true) else {
            return Ok(Fired::Nothing);
        };
        self.record_miss(&mut tx, &shift, &missed).await?;
        tx.commit().await?;
        self.tail.wake();
        Ok(Fired::Yes)
    }

    pub(super) async fn version_of_shift(
        &self,
        conn: &mut PgConnection,
        shift: &Shift,
    ) -> Result<Arc<Version<Policy>>, Error> {
        let version = self.version(conn, shift.policy_version).await?;
        version
            .ok_or_else(|| Error::Defect("the policy version of a shift does not exist".to_owned()))
    }

    async fn record_miss(
        &self,
        conn: &mut PgConnection,
        before: &Shift,
        (shift, proposed): &(Shift, Option<crate::domain::ProposedViolation>),
    ) -> Result<(), Error> {
        store::shift::update(conn, shift, before.revision).await?;
        let violation = proposed.as_ref().map(|proposed| Violation {
            id: self.ids.uuid(),
            ticket: None,
            work_order: None,
            shift: Some(shift.id),
            customer: None,
            org_unit: shift.centre.clone(),
            proposed: proposed.clone(),
            reporter: None,
            state: ViolationState::Proposed,
            created_at: shift.updated_at,
            updated_at: shift.updated_at,
            revision: 1,
        });
        if let Some(violation) = &violation {
            store::violation::insert(conn, violation).await?;
        }
        let told = encode::resource(shift);
        let audit = resource_audit::changed(Some(&encode::resource(before)), &told)?;
        let event = Some(encode::list_missed(&told, violation.as_ref()));
        let by = Provenance::system("timers");
        self.record_shift(conn, &by, shift, ("MissShiftList", audit, event)).await
    }

    pub(super) async fn record_shift(
        &self,
        conn: &mut PgConnection,
        by: &Provenance,
        shift: &Shift,
        (action, (before, after), event): (&str, Audit, Option<PublicEvent>),
    ) -> Result<(), Error> {
        let entry = Entry {
            by,
            event_id: self.ids.uuid(),
            occurred_at: shift.updated_at,
            aggregate_type: "shift",
            aggregate_id: shift.id,
            revision: shift.revision,
            action,
            org_unit: &shift.centre,
            customer_id: None,
            before,
            after,
            event,
        };
        Ok(kefu_journal::append(conn, &[entry]).await?)
    }
}

/// Before and after.
pub(super) type Audit = (Option<Value>, Option<Value>);

fn not_found(id: Uuid) -> Error {
    Error::NotFound { kind: "kefu.dev/Shift", name: encode::name(id) }
}
