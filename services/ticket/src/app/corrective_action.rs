//! Root causes, corrective and preventive actions (T-18).

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_journal::{Entry, Provenance};
use kefu_rpc::{Etag, Fault};
use sqlx::PgConnection;
use uuid::Uuid;

use super::error::check_etag;
use super::ticket::not_found as no_ticket;
use super::timer::Fired;
use super::{App, Call, Error, Page, merge, one_more, resource_audit};
use crate::domain::{
    ActionCommand, ActionKind, CorrectiveAction, Round, Subject, decide_action, notice_overdue,
};
use crate::encode::corrective_action as encode;
use crate::store;
use crate::store::corrective_action::ActionQuery;
use crate::store::root_cause::RootCause;

/// The most root causes of one ticket.
const MAX_ROOT_CAUSES: i16 = 50;

/// What was found out.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Of which ticket.
    pub ticket: Uuid,
    /// Code of the root cause.
    pub cause: String,
    /// By which method.
    pub method: String,
    /// In words.
    pub finding: String,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// For which ticket.
    pub ticket: Uuid,
    /// Against what.
    pub kind: ActionKind,
    /// What.
    pub description: String,
    /// Who does it.
    pub owner: Subject,
    /// By when.
    pub due: Timestamp,
}

impl App {
    /// Puts a root cause on record.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Refused`] of a ticket that is merged, [`Error::Invalid`] for a cause
    /// that the policy does not know and for one too many, [`Error::RequestIdReused`].
    pub async fn record_root_cause(
        &self,
        call: &Call,
        new: Finding,
    ) -> Result<pb::RootCause, Error> {
        const ACTION: &str = "ticket.RecordRootCause";
        let mut work = self.begin(call).await?;
        // The ticket is the lock: positions are given one after the other.
        let org_unit = store::ticket::lock(work.conn(), new.ticket).await?;
        let org_unit = org_unit.ok_or_else(|| no_ticket(new.ticket))?;
        if let Err(denied) = self.allow_at(&call.caller, ACTION, &org_unit) {
            return work.answered().await?.ok_or(denied);
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        merge::refuse_merged(work.conn(), new.ticket, "RecordRootCause").await?;
        let place = store::judged::ticket(work.conn(), new.ticket).await?;
        let place = place.ok_or_else(|| no_ticket(new.ticket))?;
        let version = self.version(work.conn(), place.policy_version).await?;
        let version = version.ok_or_else(|| {
            Error::Defect("the policy version of a ticket does not exist".to_owned())
        })?;
        let causes = &version.policy.learning().root_causes;
        if !causes.is_empty() && !causes.contains_key(&new.cause) {
            let fault = "is not in the list `root_causes` of the ticket's policy";
            let fault = Fault::new("UNKNOWN", fault, "制度的根本原因清单中没有此代码");
            return Err(Error::Invalid("root_cause.cause", fault));
        }
        let position = store::root_cause::next_position(work.conn(), new.ticket).await?;
        if position > MAX_ROOT_CAUSES {
            let fault = format!("has {MAX_ROOT_CAUSES} root causes already");
            let fault = Fault::new("TOO_MANY", fault, "该工单的根本原因已达上限");
            return Err(Error::Invalid("root_cause.ticket", fault));
        }
        let now = work.now();
        let cause = RootCause {
            ticket_id: new.ticket,
            position,
            cause: new.cause,
            method: new.method,
            finding: new.finding,
            recorded_by: call.caller.subject().to_owned(),
            recorded_at: now,
        };
        store::root_cause::insert(work.conn(), &cause, place.customer, &org_unit).await?;
        let told = encode::root_cause(&cause);
        let (before, after) = resource_audit::changed(None, &told)?;
        let entry = Entry {
            by: work.by(),
            event_id: self.ids.uuid(),
            occurred_at: now,
            aggregate_type: "root_cause",
            aggregate_id: new.ticket,
            revision: position.into(),
            action: "RecordRootCause",
            org_unit: &org_unit,
            customer_id: place.customer,
            before,
            after,
            event: Some(encode::root_cause_recorded(&told)),
        };
        kefu_journal::append(work.conn(), &[entry]).await?;
        work.commit(told).await
    }

    /// The root causes of a ticket, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn list_root_causes(
        &self,
        caller: &Caller,
        ticket: Uuid,
    ) -> Result<Vec<pb::RootCause>, Error> {
        let mut conn = self.read().await?;
        self.allow_ticket(&mut conn, caller, "ticket.ListRootCauses", ticket).await?;
        let found = store::root_cause::list(&mut conn, ticket, MAX_ROOT_CAUSES.into()).await?;
        Ok(found.iter().map(encode::root_cause).collect())
    }

    /// Plans an action.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Refused`] for a ticket that is merged, [`Error::Invalid`] for a due
    /// time that is not after now, [`Error::RequestIdReused`].
    pub async fn plan_corrective_action(
        &self,
        call: &Call,
        plan: Plan,
    ) -> Result<pb::CorrectiveAction, Error> {
        const ACTION: &str = "ticket.PlanCorrectiveAction";
        let mut work = self.begin(call).await?;
        // Locked, so that it cannot go to another org unit, or be merged, without the action.
        store::ticket::lock(work.conn(), plan.ticket).await?;
        let place = store::judged::ticket(work.conn(), plan.ticket).await?;
        let place = place.ok_or_else(|| no_ticket(plan.ticket))?;
        if let Err(denied) = self.allow_at(&call.caller, ACTION, &place.org_unit) {
            return work.answered().await?.ok_or(denied);
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        merge::refuse_merged(work.conn(), plan.ticket, "PlanCorrectiveAction").await?;
        let now = work.now();
        if plan.due <= now {
            let fault = Fault::new("IN_THE_PAST", "must be after now", "必须晚于当前时间");
            return Err(Error::Invalid("corrective_action.due_time", fault));
        }
        let action = CorrectiveAction {
            id: self.ids.uuid(),
            ticket: plan.ticket,
            customer: place.customer,
            org_unit: place.org_unit,
            kind: plan.kind,
            description: plan.description,
            owner: plan.owner,
            planned_by: call.caller.subject().into(),
            reassignments: Vec::new(),
            earlier: Vec::new(),
            round: Round::until(plan.due),
            cancelled: None,
            created_at: now,
            updated_at: now,
            revision: 1,
        };
        store::corrective_action::insert(work.conn(), &action).await?;
        let by = work.by();
        let told =
            self.record_action(work.conn(), by, None, &action, "PlanCorrectiveAction").await?;
        let answer = work.commit(told).await?;
        self.learning_timers.expect(action.next_fire_at());
        Ok(answer)
    }

    /// One action.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn get_corrective_action(
        &self,
        caller: &Caller,
        id: Uuid,
    ) -> Result<pb::CorrectiveAction, Error> {
        let mut conn = self.read().await?;
        let found = store::corrective_action::find(&mut conn, id).await?;
        let action = found.ok_or_else(|| not_found(id))?;
        self.allow_at(caller, "ticket.GetCorrectiveAction", &action.org_unit)?;
        Ok(encode::resource(&action, self.now()))
    }

    /// Those at and below an org unit, newest first.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn list_corrective_actions(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        query: ActionQuery,
        size: u32,
    ) -> Result<Page<CorrectiveAction, (Timestamp, Uuid)>, Error> {
        self.allow(caller, "ticket.ListCorrectiveActions", org_unit)?;
        let mut conn = self.read().await?;
        let query = ActionQuery { limit: one_more(size), ..query };
        let found = store::corrective_action::list(&mut conn, &query).await?;
        Ok(Page::of(found, size, |last| (last.created_at, last.id)))
    }

    /// Does what a command asks of an action, in one transaction. That it is overdue is put on record first, so that it
    /// does not matter when a timer comes.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagStale`], [`Error::RequestIdReused`],
    /// [`Error::StepRefused`].
    pub async fn action_command(
        &self,
        call: &Call,
        permission: &'static str,
        id: Uuid,
        etag: Option<Etag>,
        command: ActionCommand,
    ) -> Result<pb::CorrectiveAction, Error> {
        let mut work = self.begin(call).await?;
        if !store::corrective_action::lock(work.conn(), id).await? {
            return Err(not_found(id));
        }
        // Read after the lock, by a statement of its own: what waited for the lock sees what it waited for.
        let found = store::corrective_action::find(work.conn(), id).await?;
        let mut before = found.ok_or_else(|| not_found(id))?;
        if let Err(denied) = self.allow_at(&call.caller, permission, &before.org_unit) {
            return work.answered().await?.ok_or(denied);
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        check_etag(etag, before.revision)?;
        let now = work.now();
        let name = command.name();
        let actor: Subject = call.caller.subject().into();
        if let Some(noticed) = notice_overdue(&before, now, false) {
            self.record_overdue(work.conn(), &before, &noticed).await?;
            before = noticed;
        }
        let stands_in =
            store::duty::stands_in(work.conn(), &before.owner, call.caller.subject(), now).await?;
        let after = decide_action(&before, command, (&actor, stands_in), now)?;
        store::corrective_action::update(work.conn(), &before, &after).await?;
        let by = work.by();
        let told = self.record_action(work.conn(), by, Some(&before), &after, name).await?;
        let answer = work.commit(told).await?;
        self.learning_timers.expect(after.next_fire_at());
        Ok(answer)
    }

    /// Puts on record that an action is overdue, in one transaction.
    ///
    /// # Errors
    /// [`Error::Store`] when the database is away or holds what nobody understands.
    pub(super) async fn fire_action_timer(&self, id: Uuid) -> Result<Fired, Error> {
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        if !store::corrective_action::try_lock(&mut tx, id).await? {
            return Ok(Fired::Busy);
        }
        let Some(action) = store::corrective_action::find(&mut tx, id).await? else {
            return Ok(Fired::Nothing);
        };
        let Some(noticed) = notice_overdue(&action, self.now(), true) else {
            return Ok(Fired::Nothing);
        };
        self.record_overdue(&mut tx, &action, &noticed).await?;
        tx.commit().await?;
        self.tail.wake();
        Ok(Fired::Yes)
    }

    async fn record_overdue(
        &self,
        conn: &mut PgConnection,
        before: &CorrectiveAction,
        noticed: &CorrectiveAction,
    ) -> Result<(), Error> {
        store::corrective_action::update(conn, before, noticed).await?;
        let by = Provenance::system("timers");
        self.record_action(conn, &by, Some(before), noticed, OVERDUE).await?;
        Ok(())
    }

    async fn record_action(
        &self,
        conn: &mut PgConnection,
        by: &Provenance,
        before: Option<&CorrectiveAction>,
        after: &CorrectiveAction,
        action: &'static str,
    ) -> Result<pb::CorrectiveAction, Error> {
        let at = after.updated_at;
        let told = encode::resource(after, at);
        let before = before.map(|before| encode::resource(before, before.updated_at));
        let (old, new) = resource_audit::changed(before.as_ref(), &told)?;
        let entry = Entry {
            by,
            event_id: self.ids.uuid(),
            occurred_at: at,
            aggregate_type: "corrective_action",
            aggregate_id: after.id,
            revision: after.revision,
            action,
            org_unit: &after.org_unit,
            customer_id: after.customer,
            before: old,
            after: new,
            event: Some(encode::changed(&told, action == OVERDUE)),
        };
        kefu_journal::append(conn, &[entry]).await?;
        Ok(told)
    }
}

/// What the timers do, in the journal.
const OVERDUE: &str = "NoticeOverdueCorrectiveAction";

fn not_found(id: Uuid) -> Error {
    Error::NotFound { kind: "kefu.dev/CorrectiveAction", name: encode::name(id) }
}
