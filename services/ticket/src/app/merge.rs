//! Merging tickets (T-04). Both tickets are locked in the order of their ids, so of two merges that meet one
//! waits for the other and sees what it left: there are no cycles and no deadlocks.

use std::sync::Arc;

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_identity::Caller;
use kefu_policy::Version;
use kefu_rpc::Etag;
use sqlx::PgConnection;
use uuid::Uuid;

use super::change::{self, customer_of};
use super::error::check_etag;
use super::link::check_other;
use super::placement::Hold;
use super::ticket::not_found;
use super::work::Work;
use super::{App, Call, Error, Page, one_more, placement};
use crate::domain::{
    Actor, Blocker, Change, Issued, LinkChange, MAX_CHAIN, Merging, Policy, Refusal, State,
    TakenPromise, Ticket, What, apply, bring_mark, merge, merge_chain_full, same_customer,
};
use crate::encode::ticket as encode;
use crate::store;
use crate::store::link::Locked;
use crate::store::merge::{MergeRow, NewMerge};
use crate::store::outbound::Carried;

impl App {
    /// Merges a ticket into another one, in one transaction.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagStale`], [`Error::RequestIdReused`], [`Error::StepRefused`],
    /// [`Error::Refused`] where one of the two is merged.
    pub async fn merge_ticket(
        &self,
        call: &Call,
        (source, etag): (Uuid, Option<Etag>),
        (target, into_etag): (Uuid, Option<Etag>),
        reason: String,
    ) -> Result<pb::Ticket, Error> {
        let mut work = self.begin(call).await?;
        let places = store::link::lock(work.conn(), &[source, target]).await?;
        let denied =
            self.both_allowed(&call.caller, "ticket.MergeTicket", &places, [source, target]);
        if let Err(denied) = denied {
            return work.answered().await?.ok_or(denied);
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        let ((merged, policy), (survivor, its_policy)) =
            self.both(&mut work, source, target).await?;
        check_etag(etag, merged.revision)?;
        check_other(into_etag, &survivor)?;
        for ticket in [&merged, &survivor] {
            if let State::Merged(other) = &ticket.state {
                let refusal = Refusal::Merged { command: "MergeTicket", into: other.into };
                return Err(named(work.conn(), refusal).await?);
            }
        }
        let height = store::merge::height(work.conn(), source).await?;
        if i64::from(height) > i64::from(MAX_CHAIN) {
            return Err(merge_chain_full(&merged).into());
        }
        let blockers = blockers(work.conn(), source).await?;
        let now = work.now();
        let actor = Actor::staff(call.caller.subject());
        let both = merging((&merged, &policy), (&survivor, &*its_policy));
        let (of_source, mut of_target) = merge(both, &blockers, reason.clone(), &actor, now)?;
        let judged = (&survivor, &its_policy.policy);
        of_target.extend(brings(work.conn(), &merged, judged, &of_target, &actor).await?);
        // It may weigh more by now.
        let hold = (now, Hold::Beside(&merged));
        of_target.extend(placement::reroute(work.conn(), judged, &of_target, hold).await?);
        let customer = customer_of(&merged);
        let tickets = vec![(merged, &*of_source), (survivor, &*of_target)];
        let tickets = change::record_all(work.conn(), &self.ids, tickets, &call.by).await?;
        let at = of_source.last().map_or(now, |change| change.at);
        let new = NewMerge {
            source,
            target,
            customer,
            height,
            reason: &reason,
            by: call.caller.subject(),
            at,
            promises: taken(&of_target),
        };
        store::merge::insert(work.conn(), &new).await?;
        placement::take_turn(work.conn(), &of_target).await?;
        self.answer(work, tickets, Some(target)).await
    }

    /// Stores the answer, which is the first ticket, and tells the timers.
    pub(super) async fn answer(
        &self,
        work: Work<'_>,
        tickets: Vec<Ticket>,
        survivor: Option<Uuid>,
    ) -> Result<pb::Ticket, Error> {
        let first = tickets.first();
        let first =
            first.ok_or_else(|| Error::Defect("a ticket was lost on its way".to_owned()))?;
        let mut answer = encode::resource(first);
        if let (Some(merge), Some(survivor)) = (&mut answer.merge, survivor) {
            merge.survivor = encode::name(survivor);
        }
        let answer = work.commit(answer).await?;
        tickets.iter().for_each(|ticket| self.timers.expect(ticket.next_fire_at()));
        self.outbox.wake();
        Ok(answer)
    }

    /// Passes if the caller may do this in the org units of both tickets, which both exist.
    pub(super) fn both_allowed(
        &self,
        caller: &Caller,
        action: &'static str,
        places: &[Locked],
        tickets: [Uuid; 2],
    ) -> Result<(), Error> {
        tickets.into_iter().try_for_each(|id| {
            let place = places.iter().find(|place| place.id == id).ok_or_else(|| not_found(id))?;
            self.allow_at(caller, action, &place.org_unit)
        })
    }

    /// Two tickets that are locked, each with the policy version that judges it; read by a statement of their own.
    pub(super) async fn both(
        &self,
        work: &mut Work<'_>,
        one: Uuid,
        other: Uuid,
    ) -> Result<(Judged, Judged), Error> {
        let mut judged = Vec::with_capacity(2);
        for id in [one, other] {
            let row = store::ticket::find(work.conn(), id).await?.ok_or_else(|| not_found(id))?;
            judged.push(self.judged(work.conn(), row).await?);
        }
        let second = judged.pop();
        let both = judged.pop().zip(second);
        both.ok_or_else(|| Error::Defect("a ticket was lost on its way".to_owned()))
    }

    /// Says of a merged ticket where the chain of merges ends.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn name_survivor(&self, id: Uuid, answer: &mut pb::Ticket) -> Result<(), Error> {
        if let Some(merge) = &mut answer.merge {
            let mut conn = self.read().await?;
            merge.survivor = encode::name(store::merge::survivor(&mut conn, id).await?);
        }
        Ok(())
    }

    /// What was merged into a ticket, newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub(crate) async fn list_ticket_merges(
        &self,
        caller: &Caller,
        id: Uuid,
        before: Option<store::merge::Cursor>,
        size: u32,
    ) -> Result<Page<MergeRow, store::merge::Cursor>, Error> {
        let mut conn = self.read().await?;
        self.allow_ticket(&mut conn, caller, "ticket.ListTicketMerges", id).await?;
        let rows = store::merge::list(&mut conn, id, before, one_more(size)).await?;
        Ok(Page::of(rows, size, cursor))
    }
}

pub(super) type Judged = (Ticket, Arc<Version<Policy>>);

fn merging<'a>(
    (source, policy): (&'a Ticket, &'a Arc<Version<Policy>>),
    (target, target_policy): (&'a Ticket, &'a Version<Policy>),
) -> Merging<'a> {
    Merging {
        source: (source, &policy.policy),
        target: (target, &target_policy.policy),
        version: Arc::clone(policy) as Arc<dyn Issued>,
    }
}

/// That a message of the merged ticket never left, which the survivor shows from now on: unless the customer has heard a later one
/// there. Whoever notes at this moment that one was taken there is waited for.
async fn brings(
    conn: &mut PgConnection,
    merged: &Ticket,
    (survivor, policy): (&Ticket, &Policy),
    changes: &[Change],
    actor: &Actor,
) -> Result<Vec<Change>, Error> {
    let Some(lost) = &merged.outbound.undelivered else { return Ok(Vec::new()) };
    let overtaken = heard_since(conn, merged, survivor, (lost.message, lost.sent_at)).await?;
    let mut after = survivor.clone();
    changes.iter().for_each(|change| apply(&mut after, change));
    let now = after.updated_at;
    Ok(bring_mark((&after, policy), merged, overtaken, (actor, now)))
}

/// Whether the customer of a ticket has heard something on another one after a message on the first.
pub(super) async fn heard_since(
    conn: &mut PgConnection,
    said_on: &Ticket,
    other: &Ticket,
    (message, sent_at): (Uuid, Timestamp),
) -> Result<bool, Error> {
    let there = Carried { ticket: other.id, message, sent_at };
    let heard = store::outbound::is_overtaken(conn, &there).await?;
    Ok(heard && same_customer(said_on, other))
}

fn cursor(last: &MergeRow) -> (Timestamp, Uuid, i32) {
    (last.merged_at.to_jiff(), last.source_id, last.number)
}

/// What else is under way of a ticket.
async fn blockers(conn: &mut PgConnection, id: Uuid) -> Result<Vec<Blocker>, Error> {
    let mut found = Vec::new();
    if store::merge::running_orders(conn, id).await? {
        found.push(Blocker::WorkOrders);
    }
    if store::link::has_children(conn, id).await? {
        found.push(Blocker::Children);
    }
    Ok(found)
}

fn taken(changes: &[Change]) -> &[TakenPromise] {
    let promises = changes.iter().find_map(|change| match &change.what {
        What::Link(link) => match &**link {
            LinkChange::Taken { promises, .. } => Some(promises.as_slice()),
            _ => None,
        },
        _ => None,
    });
    promises.unwrap_or_default()
}

/// A refusal that names the ticket that is handled in the end where this one is merged.
pub(super) async fn named(conn: &mut PgConnection, refusal: Refusal) -> Result<Error, Error> {
    Ok(Error::Refused(match refusal {
        Refusal::Merged { command, into } => {
            Refusal::Merged { command, into: store::merge::survivor(conn, into).await? }
        }
        other => other,
    }))
}

/// Passes unless a ticket is merged: what belongs to it is put on the ticket that is handled instead, which the refusal names.
/// Holds until the end of the transaction that has locked the ticket, against whoever merges it.
pub(super) async fn refuse_merged(
    conn: &mut PgConnection,
    ticket: Uuid,
    command: &'static str,
) -> Result<(), Error> {
    let into = store::merge::survivor(conn, ticket).await?;
    if into == ticket { Ok(()) } else { Err(Refusal::Merged { command, into }.into()) }
}

/// The same of what others made of it.
pub(super) async fn refused(conn: &mut PgConnection, refusal: Refusal) -> Error {
    named(conn, refusal).await.unwrap_or_else(|error| error)
}
