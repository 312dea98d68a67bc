//! Parents and children (T-04). Both tickets are locked in the order of their ids, as for a merge.

use kefu_api::ticket::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_rpc::{Etag, Fault};
use uuid::Uuid;

use super::change::{self, customer_of};
use super::error::check_etag;
use super::ticket::not_found;
use super::{App, Call, Error, Page, one_more};
use crate::domain::{Actor, Blocker, Policy, Route, Ticket, link, unlink};
use crate::encode::ticket as encode;
use crate::store;
use crate::store::link::NewLink;

impl App {
    /// Puts a ticket under a parent, in one transaction.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagStale`], [`Error::RequestIdReused`], [`Error::StepRefused`],
    /// [`Error::Invalid`] for a way to the customer that the child's policy does not have.
    pub async fn link_ticket(
        &self,
        call: &Call,
        (child, etag): (Uuid, Option<Etag>),
        (parent, parent_etag): (Uuid, Option<Etag>),
        route: Option<Route>,
    ) -> Result<pb::Ticket, Error> {
        let mut work = self.begin(call).await?;
        let places = store::link::lock(work.conn(), &[child, parent]).await?;
        let denied = self.both_allowed(&call.caller, "ticket.LinkTicket", &places, [child, parent]);
        if let Err(denied) = denied {
            return work.answered().await?.ok_or(denied);
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        let ((of_child, policy), (leader, its_policy)) =
            self.both(&mut work, child, parent).await?;
        check_etag(etag, of_child.revision)?;
        check_other(parent_etag, &leader)?;
        if let Some(route) = &route {
            known_way(route, &policy.policy)?;
        }
        let blockers = match store::link::has_children(work.conn(), child).await? {
            true => vec![Blocker::Children],
            false => Vec::new(),
        };
        let given = store::mass_answer::last(work.conn(), parent).await?;
        let answers_before = given.map_or(0, |last| last.number);
        let missed = u32::try_from(answers_before).unwrap_or_default();
        let now = work.now();
        let actor = Actor::staff(call.caller.subject());
        let (one, other) = ((&of_child, &policy.policy), (&leader, &its_policy.policy));
        let (changes, leads) = link(one, other, &blockers, missed, &actor, now)?;
        let new = NewLink {
            child,
            parent,
            customer: customer_of(&of_child),
            answers_before,
            route: route.as_ref(),
            by: call.caller.subject(),
            at: now,
        };
        store::link::insert(work.conn(), &new).await?;
        // A parent that leads already is not changed: its journal does not count its children.
        change::record(work.conn(), &self.ids, leader, &leads, &call.by).await?;
        let ticket = change::record(work.conn(), &self.ids, of_child, &changes, &call.by).await?;
        let answer = work.commit(encode::resource(&ticket)).await?;
        self.timers.expect(ticket.next_fire_at());
        Ok(answer)
    }

    /// Takes a ticket from under its parent, in one transaction.
    ///
    /// # Errors
    /// As for linking it; [`Error::Conflict`] where it changed parents meanwhile.
    pub async fn unlink_ticket(
        &self,
        call: &Call,
        (child, etag): (Uuid, Option<Etag>),
        parent_etag: Option<Etag>,
        reason: String,
    ) -> Result<pb::Ticket, Error> {
        // Which other ticket there is to lock. It is looked up again once both are.
        let mut conn = self.read().await?;
        let seen = store::link::parent(&mut conn, child).await?;
        drop(conn);
        let mut work = self.begin(call).await?;
        let both = [child, seen.unwrap_or(child)];
        let places = store::link::lock(work.conn(), &both).await?;
        let denied = self.both_allowed(&call.caller, "ticket.UnlinkTicket", &places, both);
        if let Err(denied) = denied {
            return work.answered().await?.ok_or(denied);
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        if store::link::parent(work.conn(), child).await? != seen {
            return Err(Error::Conflict);
        }
        let [child, parent] = both;
        let ((ticket, version), (leader, _)) = self.both(&mut work, child, parent).await?;
        check_etag(etag, ticket.revision)?;
        if seen.is_some() {
            check_other(parent_etag, &leader)?;
        }
        let now = work.now();
        let actor = Actor::staff(call.caller.subject());
        let changes = unlink(&ticket, &version.policy, reason.clone(), &actor, now)?;
        let by = call.caller.subject();
        store::link::end(work.conn(), child, (by, now, &reason)).await?;
        let ticket = change::record(work.conn(), &self.ids, ticket, &changes, &call.by).await?;
        let answer = work.commit(encode::resource(&ticket)).await?;
        self.timers.expect(ticket.next_fire_at());
        Ok(answer)
    }

    /// The children of a ticket at and below an org unit, in the order of their ids.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub(crate) async fn list_child_tickets(
        &self,
        caller: &Caller,
        parent: Uuid,
        org_unit: &OrgUnit,
        after: Option<Uuid>,
        size: u32,
    ) -> Result<Page<Ticket, Uuid>, Error> {
        self.allow(caller, "ticket.ListChildTickets", org_unit)?;
        let mut conn = self.read().await?;
        let place = store::handling::place(&mut conn, parent).await?;
        let place = place.ok_or_else(|| not_found(parent))?;
        let receiving = place.receiving.as_deref();
        self.allow_seen(caller, "ticket.ListChildTickets", &place.org_unit, receiving)?;
        // Most children are where their parent is.
        let above = place.org_unit.parse().is_ok_and(|at: OrgUnit| org_unit.contains(&at));
        let (limit, scope) = (one_more(size), (org_unit.as_str(), above));
        let ids = store::link::children(&mut conn, parent, scope, after, limit).await?;
        let mut found = self.tickets_within(&mut conn, org_unit, &ids).await?;
        let tickets = ids.iter().filter_map(|id| found.remove(id)).collect();
        Ok(Page::of(tickets, size, |last| last.id))
    }
}

/// The same of the etag that a caller sent of another ticket than the one that is named.
pub(super) fn check_other(seen: Option<Etag>, other: &Ticket) -> Result<(), Error> {
    check_etag(seen, other.revision).map_err(|_| Error::OtherEtagStale {
        name: encode::name(other.id),
        current: other.revision,
    })
}

fn known_way(route: &Route, policy: &Policy) -> Result<(), Error> {
    let Some(fault) = route.faults(policy).into_iter().next() else { return Ok(()) };
    let told = Fault::new(fault.reason, fault.description, fault.chinese);
    let field = match fault.path.as_str() {
        "delivery.recipient" => "delivery.recipient",
        _ => "delivery.adapter",
    };
    Err(Error::Invalid(field, told))
}
