//! Tickets: reading them, and every command but the registration.

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_rpc::Etag;
use uuid::Uuid;

use super::correction::look_up_grade;
use super::error::check_etag;
use super::mass_answer::Speaker;
use super::transfer::look_up_team;
use super::{App, Call, Error, Page, change, one_more, placement, product_hold};
use crate::domain::{
    Actor, Command, Ticket, TicketFilter, apply, decide, explain, held_product, of_level,
};
use crate::encode::{clock, ticket as encode};
use crate::store;
use crate::store::history::HistoryRow;
use crate::store::ticket_list::TicketQuery;

/// Where a page of tickets ends: when the last one was registered, and its id.
pub type Cursor = (Timestamp, Uuid);

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    /// The org unit that answers for the ticket.
    Holder,
    /// The one to which it is on its way, if it is.
    Receiver,
}

impl App {
    /// One ticket with its clocks, verdicts and escalations: one statement.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn get_ticket(
        &self,
        caller: &Caller,
        action: &'static str,
        id: Uuid,
    ) -> Result<Ticket, Error> {
        let mut conn = self.read().await?;
        let row = store::ticket::find(&mut conn, id).await?.ok_or_else(|| not_found(id))?;
        self.allow_seen(caller, action, &row.org_unit, row.receiving_unit())?;
        Ok(self.judged(&mut conn, row).await?.0)
    }

    /// Those at and below an org unit, newest first.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn list_tickets(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        query: TicketQuery,
        size: u32,
    ) -> Result<Page<Ticket, Cursor>, Error> {
        self.allow(caller, "ticket.ListTickets", org_unit)?;
        let mut conn = self.read().await?;
        let query = TicketQuery { limit: one_more(size), ..query };
        let rows = store::ticket_list::list(&mut conn, &query).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            found.push(self.judged(&mut conn, row).await?.0);
        }
        Ok(Page::of(found, size, |last| (last.created_at, last.id)))
    }

    /// Those of them that pass a filter (T-23). A page may be short and not be the last: what is looked at is bounded.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn filter_tickets(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        query: TicketQuery,
        filter: &TicketFilter,
        size: u32,
    ) -> Result<Page<Ticket, Cursor>, Error> {
        self.allow(caller, "ticket.ListTickets", org_unit)?;
        let compiled = filter.compile(self.now(), caller.subject());
        let customer = query.customer.or_else(|| filter.customer());
        let query = TicketQuery { limit: one_more(size), customer, ..query };
        let mut conn = self.read().await?;
        let candidates = store::ticket_filter::candidates(&mut conn, &query, &compiled).await?;
        let room = usize::try_from(size).unwrap_or(usize::MAX);
        let (mut ids, mut next, mut looked_at) = (Vec::new(), None, None);
        for candidate in candidates {
            if ids.len() == room {
                // There is more; the page ends where it is full.
                next = looked_at;
                break;
            }
            looked_at = Some((candidate.created_at.to_jiff(), candidate.id));
            if candidate.passes {
                ids.push(candidate.id);
            }
            if candidate.last {
                next = looked_at;
                break;
            }
        }
        let mut tickets = self.tickets_within(&mut conn, org_unit, &ids).await?;
        let items = ids.iter().filter_map(|id| tickets.remove(id)).collect();
        Ok(Page { items, next })
    }

    /// The changes of a ticket after a revision, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub(crate) async fn list_ticket_history(
        &self,
        caller: &Caller,
        id: Uuid,
        after: i64,
        size: u32,
    ) -> Result<Page<HistoryRow, i64>, Error> {
        let mut conn = self.read().await?;
        self.allow_ticket(&mut conn, caller, "ticket.ListTicketHistory", id).await?;
        let rows = store::history::list(&mut conn, id, after, one_more(size)).await?;
        Ok(Page::of(rows, size, |last| last.revision))
    }

    /// How each deadline of a ticket came about (T-05).
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn explain_deadline(
        &self,
        caller: &Caller,
        id: Uuid,
    ) -> Result<Vec<pb::DeadlineExplanation>, Error> {
        let mut conn = self.read().await?;
        let row = store::ticket::find(&mut conn, id).await?.ok_or_else(|| not_found(id))?;
        let receiving = row.receiving_unit();
        self.allow_seen(caller, "ticket.ExplainDeadline", &row.org_unit, receiving)?;
        let (ticket, version) = self.judged(&mut conn, row).await?;
        let now = self.now();
        ticket
            .clocks
            .iter()
            .map(|entry| {
                let explained = explain(entry, &version.policy, now)
                    .map_err(|error| Error::Defect(format!("explaining a deadline: {error}")))?;
                Ok(clock::explanation(entry, version.id, &explained))
            })
            .collect()
    }

    /// Does what a command asks of a ticket, in one transaction. `command` may look at the ticket as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagStale`], [`Error::RequestIdReused`], [`Error::Refused`].
    pub async fn command(
        &self,
        call: &Call,
        action: &'static str,
        id: Uuid,
        etag: Option<Etag>,
        command: impl FnOnce(&Ticket) -> Command,
    ) -> Result<pb::Ticket, Error> {
        self.command_by(call, action, id, etag, Party::Holder, command).await
    }

    /// The same, by the org unit that has the ticket or by the one to which it is on its way (T-11).
    pub(crate) async fn command_by(
        &self,
        call: &Call,
        action: &'static str,
        id: Uuid,
        etag: Option<Etag>,
        party: Party,
        command: impl FnOnce(&Ticket) -> Command,
    ) -> Result<pb::Ticket, Error> {
        let mut work = self.begin(call).await?;
        let place = store::handling::lock(work.conn(), id).await?.ok_or_else(|| not_found(id))?;
        let org_unit = match (party, place.receiving) {
            (Party::Receiver, Some(receiving)) => receiving,
            _ => place.org_unit,
        };
        if let Err(denied) = self.allow_at(&call.caller, action, &org_unit) {
            return work.answered().await?.ok_or(denied);
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        // Read after the lock, by a statement of its own: what waited for the lock sees what it waited for.
        let row = store::ticket::find(work.conn(), id).await?.ok_or_else(|| not_found(id))?;
        let (ticket, version) = self.judged(work.conn(), row).await?;
        check_etag(etag, ticket.revision)?;
        let actor = Actor::staff(call.caller.subject());
        let now = work.now();
        let due = self.after_its_process(work.conn(), (ticket, version), now);
        let (ticket, version) = Box::pin(due).await?;
        let mut command = command(&ticket);
        look_up_team(work.conn(), &ticket, &mut command, call.caller.subject(), now).await?;
        look_up_grade(work.conn(), &ticket, &mut command).await?;
        let overriding = command.overrides_phrases();
        if overriding {
            self.allow_at(&call.caller, "ticket.OverrideForbiddenPhrases", &org_unit)?;
        }
        of_level(&ticket, &version.policy, &command, call.caller.roles())?;
        let mut changes = match decide(&ticket, &version.policy, command, &actor, now) {
            Ok(changes) => changes,
            Err(refusal) => return Err(self.refused(work.conn(), refusal).await),
        };
        if party == Party::Receiver {
            let conn = work.conn();
            self.follow_org_unit(conn, &ticket, &version.policy, &mut changes, &actor, now).await?;
        }
        let judged = (&ticket, &version.policy);
        changes.extend(placement::reroute(work.conn(), judged, &changes, now).await?);
        let held = held_product(&ticket, &version.policy).map(ToOwned::to_owned);
        let speaker = Speaker { caller: Some(&call.caller), overriding, wording: None };
        let ticket =
            change::record_said(work.conn(), &self.ids, ticket, &changes, &call.by, speaker)
                .await?;
        placement::take_turn(work.conn(), &changes).await?;
        let policy = &version.policy;
        product_hold::follow(work.conn(), &self.ids, held, &ticket, policy, now).await?;
        let answer = work.commit(encode::resource(&ticket)).await?;
        self.timers.expect(ticket.next_fire_at());
        self.outbox.wake();
        self.mass_answers.wake();
        Ok(answer)
    }

    /// What a command would make of a ticket. Nothing is written, and no request id is claimed.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagStale`], [`Error::Refused`].
    pub async fn preview(
        &self,
        caller: &Caller,
        action: &'static str,
        id: Uuid,
        etag: Option<Etag>,
        command: Command,
    ) -> Result<pb::Ticket, Error> {
        let mut conn = self.read().await?;
        let row = store::ticket::find(&mut conn, id).await?.ok_or_else(|| not_found(id))?;
        self.allow_at(caller, action, &row.org_unit)?;
        let (mut ticket, version) = self.judged(&mut conn, row).await?;
        check_etag(etag, ticket.revision)?;
        let actor = Actor::staff(caller.subject());
        let changes = match decide(&ticket, &version.policy, command, &actor, self.now()) {
            Ok(changes) => changes,
            Err(refusal) => return Err(self.refused(&mut conn, refusal).await),
        };
        let (revision, updated_at) = (ticket.revision, ticket.updated_at);
        changes.iter().for_each(|change| apply(&mut ticket, change));
        // It is still the ticket that it was.
        (ticket.revision, ticket.updated_at) = (revision, updated_at);
        Ok(encode::resource(&ticket))
    }
}

pub(crate) fn not_found(id: Uuid) -> Error {
    Error::NotFound { kind: "kefu.dev/Ticket", name: encode::name(id) }
}
