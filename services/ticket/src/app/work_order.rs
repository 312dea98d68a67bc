//! Work orders (T-16): issuing them with numbers that leave no gap, and every step after that.

use std::sync::Arc;

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_journal::{Entry, Provenance};
use kefu_policy::Version;
use kefu_rpc::{Etag, Fault, Language};
use uuid::Uuid;

use super::addressee::Addressee;
use super::error::check_etag;
use super::timer::Fired;
use super::work_order_record::record;
use super::{App, Call, Error, Page, one_more, work_order_audit};
use crate::domain::{
    Actor, Brief, OrderCommand, OrderIdentity, Policy, Refusal, Subject, WorkOrder, decide_order,
    expecting_acceptance, issue_order,
};
use crate::encode::work_order as encode;
use crate::encode::work_order_form as form;
use crate::store;
use crate::store::work_order::OrderQuery;

/// How often an issue is tried where the year or the policy changes under it.
const ATTEMPTS: usize = 4;
/// Who may decide disputes may stand in for the dispatcher.
const SUPERVISE: &str = "ticket.DecideWorkOrderDispute";

/// What is to be ordered.
#[derive(Clone, Debug)]
pub struct NewOrder {
    /// The org unit that dispatches.
    pub centre: OrgUnit,
    /// What is ordered.
    pub brief: Brief,
    /// By whom it has to be done, where a person is named.
    pub assignee: Option<Subject>,
}

impl App {
    /// Issues an order. Its number is read under a lock on the counter that lasts to the end of the transaction which
    /// inserts the order, so there is an order for every number whatever happens to this call or to others.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::OrgUnitUnknown`], [`Error::PolicyMissing`], [`Error::Invalid`] for a ticket that the
    /// caller does not see, [`Error::OrderRefused`], [`Error::RequestIdReused`].
    pub async fn issue_work_order(
        &self,
        call: &Call,
        new: NewOrder,
    ) -> Result<pb::WorkOrder, Error> {
        if let Err(lacking) = self.allow_in(call, "ticket.IssueWorkOrder", &new.centre).await {
            return self.or_answered(call, lacking).await;
        }
        for _ in 0..ATTEMPTS {
            if let Some(answer) = self.try_issue(call, &new).await? {
                return Ok(answer);
            }
        }
        Err(Error::Conflict)
    }

    /// None if the year or the policy changed while this waited for the counter: then nothing has happened.
    async fn try_issue(&self, call: &Call, new: &NewOrder) -> Result<Option<pb::WorkOrder>, Error> {
        let mut work = self.begin(call).await?;
        let now = work.now();
        let version = self.order_policy(work.conn(), &new.centre, now).await?;
        let year = year(&version, now);
        let counter = store::work_order_number::lock(work.conn(), &new.centre, year).await?;
        let Some(counter) = counter else {
            drop(work);
            store::work_order_number::ensure(&self.pool, &new.centre, year).await?;
            return Ok(None);
        };
        if let Some(answer) = work.replay().await? {
            return Ok(Some(answer));
        }
        // What waited is judged by what is true now, and numbers follow the times of issue.
        let now = work.now();
        let current = self.order_policy(work.conn(), &new.centre, now).await?;
        if current.id != version.id || self::year(&current, now) != year {
            return Ok(None);
        }
        let customer = match new.brief.ticket {
            None => None,
            Some(id) => {
                let found = store::work_order::ticket(work.conn(), id).await?;
                let merged = found.as_ref().is_some_and(|(_, _, merged)| *merged);
                let found = found.map(|(unit, customer, _)| (unit, customer));
                let customer = self.visible_customer(&call.caller, found)?;
                if merged {
                    let refusal = Refusal::Merged { command: "IssueWorkOrder", into: id };
                    return Err(super::merge::refused(work.conn(), refusal).await);
                }
                customer
            }
        };
        let (sequence, number) = counter.next(year);
        let identity = OrderIdentity {
            id: self.ids.uuid(),
            number,
            year,
            sequence,
            policy_version: version.id,
        };
        let actor = Actor::staff(call.caller.subject());
        let (brief, assignee) = (new.brief.clone(), new.assignee.clone());
        let order = issue_order(brief, assignee, customer, identity, &actor, now)?;
        let order = expecting_acceptance(order, &version.policy);
        let centre = new.centre.as_str();
        store::work_order_number::take(work.conn(), centre, year, sequence).await?;
        store::work_order::insert(work.conn(), &order).await?;
        let entry = Entry {
            by: &call.by,
            event_id: self.ids.uuid(),
            occurred_at: now,
            aggregate_type: "work_order",
            aggregate_id: order.id,
            revision: order.revision,
            action: "IssueWorkOrder",
            org_unit: centre,
            customer_id: order.customer,
            before: None,
            after: Some(work_order_audit::issued(&order)),
            event: Some(encode::issued(&order)),
        };
        kefu_journal::append(work.conn(), &[entry]).await?;
        let answer = work.commit(encode::resource(&order)).await?;
        self.order_timers.expect(order.next_alarm());
        Ok(Some(answer))
    }

    async fn order_policy(
        &self,
        conn: &mut sqlx::PgConnection,
        centre: &OrgUnit,
        now: Timestamp,
    ) -> Result<Arc<Version<Policy>>, Error> {
        let policies = self.policies.current(conn).await?;
        let version = policies.effective(centre, now).cloned();
        version.ok_or_else(|| Error::PolicyMissing(centre.clone()))
    }

    /// The customer of a ticket that the caller may see; whether one exists that he may not see is not told.
    fn visible_customer(
        &self,
        caller: &Caller,
        found: Option<(String, Option<Uuid>)>,
    ) -> Result<Option<Uuid>, Error> {
        let visible =
            found.filter(|(unit, _)| self.allow_at(caller, "ticket.GetTicket", unit).is_ok());
        visible.map(|(_, customer)| customer).ok_or_else(|| {
            let fault = Fault::new(
                "NOT_FOUND",
                "names no ticket that the caller may see",
                "工单不存在或无权查看",
            );
            Error::Invalid("work_order.ticket", fault)
        })
    }

    /// One order.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn get_work_order(&self, caller: &Caller, id: Uuid) -> Result<WorkOrder, Error> {
        self.read_order(caller, "ticket.GetWorkOrder", id).await
    }

    async fn read_order(
        &self,
        caller: &Caller,
        action: &'static str,
        id: Uuid,
    ) -> Result<WorkOrder, Error> {
        let mut conn = self.read().await?;
        let order = store::work_order::find(&mut conn, id).await?.ok_or_else(|| not_found(id))?;
        self.allow_at(caller, action, &order.brief.dispatch_centre)?;
        Ok(order)
    }

    /// The order as a page to print, with times in the time zone of its dispatch centre.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn render_work_order(
        &self,
        caller: &Caller,
        id: Uuid,
        language: Language,
    ) -> Result<String, Error> {
        let order = self.read_order(caller, "ticket.RenderWorkOrder", id).await?;
        let mut conn = self.read().await?;
        let version = self.version_of_order(&mut conn, &order).await?;
        Ok(form::render(&order, language, version.policy.calendar().time_zone()))
    }

    /// Those of the dispatch centres at and below an org unit, newest first.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn list_work_orders(
        &self,
        caller: &Caller,
        centre: &OrgUnit,
        (query, whose): (OrderQuery, Addressee),
        size: u32,
    ) -> Result<Page<WorkOrder, (Timestamp, Uuid)>, Error> {
        self.allow_addressed(caller, "ticket.ListWorkOrders", centre, &whose)?;
        let mut conn = self.read().await?;
        let assignees = whose.names(&mut conn, caller, query.now).await?;
        let query = OrderQuery { limit: one_more(size), assignees, ..query };
        let found = store::work_order::list(&mut conn, &query).await?;
        Ok(Page::of(found, size, |last| (last.issued_at, last.id)))
    }

    /// Does what a command asks of an order, in one transaction.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagStale`], [`Error::RequestIdReused`],
    /// [`Error::OrderRefused`].
    pub async fn order_command(
        &self,
        call: &Call,
        action: &'static str,
        id: Uuid,
        etag: Option<Etag>,
        mut command: OrderCommand,
    ) -> Result<pb::WorkOrder, Error> {
        let mut work = self.begin(call).await?;
        let centre = store::work_order::lock(work.conn(), id).await?;
        let centre = centre.ok_or_else(|| not_found(id))?;
        if let Err(denied) = self.allow_at(&call.caller, action, &centre) {
            return work.answered().await?.ok_or(denied);
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        // Read after the lock, by a statement of its own: what waited for the lock sees what it waited for.
        let order = store::work_order::find(work.conn(), id).await?.ok_or_else(|| not_found(id))?;
        check_etag(etag, order.revision)?;
        if let OrderCommand::CallBack { supervisor, .. }
        | OrderCommand::Reassign { supervisor, .. } = &mut command
        {
            // Only asked where it matters, for a denial is logged.
            *supervisor = *order.dispatcher != *call.caller.subject()
                && self.allow_at(&call.caller, SUPERVISE, &centre).is_ok();
        }
        let version = self.version_of_order(work.conn(), &order).await?;
        let actor = Actor::staff(call.caller.subject());
        let now = work.now();
        if let (OrderCommand::Accept { stands_in, .. }, Some(assignee)) =
            (&mut command, &order.assignee)
        {
            let acting = call.caller.subject();
            *stands_in = store::duty::stands_in(work.conn(), assignee, acting, now).await?;
        }
        if let OrderCommand::Report { in_place, .. } | OrderCommand::Complete { in_place, .. } =
            &mut command
        {
            *in_place = self.works_in_place(work.conn(), &call.caller, &order, now).await?;
        }
        let changes = decide_order(&order, &version.policy, command, &actor, now)?;
        let order = record(work.conn(), &self.ids, order, &changes, &call.by).await?;
        let answer = work.commit(encode::resource(&order)).await?;
        self.order_timers.expect(order.next_alarm());
        Ok(answer)
    }

    /// Records that an order's reply did not come, in one transaction, with the violation. Safe in any number of replicas
    /// at once: whoever has the order does it, and who comes later finds it done.
    ///
    /// # Errors
    /// [`Error::Store`] when the database is away or holds what nobody understands.
    pub async fn fire_order_timer(&self, id: Uuid) -> Result<Fired, Error> {
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        if !store::work_order::try_lock(&mut tx, id).await? {
            return Ok(Fired::Busy);
        }
        let Some(order) = store::work_order::find(&mut tx, id).await? else {
            return Ok(Fired::Nothing);
        };
        let version = self.version_of_order(&mut tx, &order).await?;
        let (command, now) = (OrderCommand::FireTimer, self.now());
        let changes = decide_order(&order, &version.policy, command, &Actor::TIMERS, now)?;
        if changes.is_empty() {
            return Ok(Fired::Nothing);
        }
        record(&mut tx, &self.ids, order, &changes, &Provenance::system("timers")).await?;
        tx.commit().await?;
        self.tail.wake();
        Ok(Fired::Yes)
    }

    /// Whether somebody may do what whoever has an order does: stands in for him, or supervises. Whoever has it needs neither,
    /// and only asks what matters, for a denial is logged.
    async fn works_in_place(
        &self,
        conn: &mut sqlx::PgConnection,
        caller: &Caller,
        order: &WorkOrder,
        now: Timestamp,
    ) -> Result<bool, Error> {
        if order.is_with(caller.subject()) {
            return Ok(false);
        }
        let accepted = order.state.accepted().map(|accepted| &accepted.by);
        for who in order.assignee.iter().chain(accepted) {
            if store::duty::stands_in(conn, who, caller.subject(), now).await? {
                return Ok(true);
            }
        }
        Ok(self.allow_at(caller, SUPERVISE, &order.brief.dispatch_centre).is_ok())
    }

    async fn version_of_order(
        &self,
        conn: &mut sqlx::PgConnection,
        order: &WorkOrder,
    ) -> Result<Arc<Version<Policy>>, Error> {
        let version = self.version(conn, order.policy_version).await?;
        version.ok_or_else(|| {
            Error::Defect("the policy version of a work order does not exist".to_owned())
        })
    }
}

/// The calendar year in which an order of now is counted.
fn year(version: &Version<Policy>, now: Timestamp) -> i16 {
    now.to_zoned(version.policy.calendar().time_zone().clone()).year()
}

pub(super) fn not_found(id: Uuid) -> Error {
    Error::NotFound { kind: "kefu.dev/WorkOrder", name: encode::name(id) }
}
