//! Undoing a merge (T-04). Its whole chain is locked in the order of the tickets' ids, as far up as it leads: what came with the
//! ticket that goes its own way goes with it from all of them.

use std::sync::Arc;

use kefu_api::ticket::v1 as pb;
use kefu_rpc::Etag;
use sqlx::PgConnection;
use uuid::Uuid;

use super::error::check_etag;
use super::link::check_other;
use super::merge::{Judged, heard_since};
use super::ticket::not_found;
use super::{App, Call, Error, change};
use crate::domain::{
    Above, Actor, Issued, OtherMerge, State, TakenPromise, Ticket, Undelivered, mark_of, unmerge,
};
use crate::store;
use crate::store::outbound::Carried;

/// A ticket above the one that was merged, as it is stored.
struct Stored {
    judged: Judged,
    promises: Vec<TakenPromise>,
    others: Vec<OtherMerge>,
    lost: Option<Undelivered>,
}

/// A ticket that stays merged into one of the chain, and what it shows as never delivered.
struct Below {
    ticket: Ticket,
    lost: Undelivered,
}

impl App {
    /// Undoes a merge, in one transaction.
    ///
    /// # Errors
    /// As for a merge; [`Error::Conflict`] where somebody merged or unmerged a ticket of the chain meanwhile.
    pub async fn unmerge_ticket(
        &self,
        call: &Call,
        (source, etag): (Uuid, Option<Etag>),
        into_etag: Option<Etag>,
        reason: String,
    ) -> Result<pb::Ticket, Error> {
        let mut conn = self.read().await?;
        let place = store::handling::place(&mut conn, source).await?;
        place.ok_or_else(|| not_found(source))?;
        // Which other tickets there are to lock. It is looked up again once all are.
        let chain = store::merge::chain(&mut conn, source).await?;
        drop(conn);
        let mut work = self.begin(call).await?;
        let places = store::link::lock(work.conn(), &chain).await?;
        let both = [source, chain.get(1).copied().unwrap_or(source)];
        let denied = self.both_allowed(&call.caller, "ticket.UnmergeTicket", &places, both);
        if let Err(denied) = denied {
            return work.answered().await?.ok_or(denied);
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        if store::merge::chain(work.conn(), source).await? != chain {
            // Undone, and perhaps merged again, in between.
            return Err(Error::Conflict);
        }
        let row = store::ticket::find(work.conn(), source).await?;
        let row = row.ok_or_else(|| not_found(source))?;
        let (merged, policy) = self.judged(work.conn(), row).await?;
        let above = self.above(work.conn(), &merged, &chain).await?;
        check_etag(etag, merged.revision)?;
        if let Some(survivor) = above.first() {
            check_other(into_etag, &survivor.judged.0)?;
        }
        let now = work.now();
        let actor = Actor::staff(call.caller.subject());
        let tickets: Vec<Above<'_>> = above.iter().map(Stored::above).collect();
        let judged = (&merged, &policy.policy);
        let mut undone = unmerge(judged, &tickets, reason.clone(), &actor, now)?;
        let at = undone.source.first().map_or(now, |change| change.at);
        if let State::Merged(merge) = &merged.state {
            let done = (&actor, now);
            self.catch_up(work.conn(), judged, merge.at, &mut undone.source, done).await?;
        }
        let mut tickets = vec![(merged, &*undone.source)];
        let changed = above.into_iter().map(|stored| stored.judged.0).zip(&undone.above);
        tickets.extend(
            changed
                .filter(|(_, changes)| !changes.is_empty())
                .map(|(ticket, changes)| (ticket, &**changes)),
        );
        let tickets = change::record_all(work.conn(), &self.ids, tickets, &call.by).await?;
        let by = call.caller.subject();
        store::merge::undo(work.conn(), source, (by, at, &reason)).await?;
        for merge in &undone.taken {
            store::merge::take(work.conn(), merge).await?;
        }
        self.answer(work, tickets, None).await
    }

    /// The tickets above the first of a chain, which are all locked.
    async fn above(
        &self,
        conn: &mut PgConnection,
        source: &Ticket,
        chain: &[Uuid],
    ) -> Result<Vec<Stored>, Error> {
        let (mut above, mut under) = (Vec::new(), None);
        for (below, id) in chain.iter().zip(chain.iter().skip(1)) {
            let row = store::ticket::find(conn, *id).await?.ok_or_else(|| not_found(*id))?;
            let judged = self.judged(conn, row).await?;
            let (from, others): (Vec<_>, Vec<_>) = store::merge::present(conn, *id)
                .await?
                .into_iter()
                .partition(|merge| merge.source == *below);
            let promises = from.into_iter().flat_map(|merge| merge.promises).collect();
            let lost = match mark_of(source, &judged.0) {
                Some(_) => self.lost_beside(conn, &judged.0, &others, under.take()).await?,
                None => None,
            };
            under = lost.clone().map(|lost| Below { ticket: judged.0.clone(), lost });
            above.push(Stored { judged, promises, others, lost });
        }
        Ok(above)
    }

    /// What a ticket shows as never delivered without what came with one that was merged into it: the latest message of its own
    /// or of a ticket that stays merged into it, unless that one's customer has heard a later one.
    async fn lost_beside(
        &self,
        conn: &mut PgConnection,
        ticket: &Ticket,
        others: &[OtherMerge],
        below: Option<Below>,
    ) -> Result<Option<Undelivered>, Error> {
        let mut lost = Vec::new();
        if let Some(own) = store::outbound::last_lost(conn, ticket.id).await? {
            let Undelivered { message, sent_at, .. } = own;
            let carried = Carried { ticket: ticket.id, message, sent_at };
            if !store::outbound::is_overtaken(conn, &carried).await? {
                lost.push(own);
            }
        }
        let mut marks: Vec<Below> = below.into_iter().collect();
        for OtherMerge { source, .. } in others {
            let row = store::ticket::find(conn, *source).await?;
            let (ticket, _) = self.judged(conn, row.ok_or_else(|| not_found(*source))?).await?;
            let lost = ticket.outbound.undelivered.clone();
            marks.extend(lost.map(|lost| Below { ticket, lost }));
        }
        for Below { ticket: merged, lost: theirs } in marks {
            let said = (theirs.message, theirs.sent_at);
            if !heard_since(conn, &merged, ticket, said).await? {
                let said_on = Some(theirs.said_on.unwrap_or(merged.id));
                lost.push(Undelivered { said_on, ..theirs });
            }
        }
        Ok(lost.into_iter().max_by_key(|lost| (lost.sent_at, lost.message)))
    }
}

impl Stored {
    fn above(&self) -> Above<'_> {
        let (ticket, version) = &self.judged;
        Above {
            ticket,
            version: Arc::clone(version) as Arc<dyn Issued>,
            promises: &self.promises,
            others: &self.others,
            lost: self.lost.clone(),
        }
    }
}
