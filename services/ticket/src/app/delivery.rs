//! Deliveries: sending what is due, and what people do about what was parked (T-14, T-26).
//!
//! An attempt is three steps: lease, send, note what came of it. No transaction is open and no connection is held while it
//! is sent. Whoever dies in between leaves a lease that ends, and then somebody else sends: so what is sent may arrive twice,
//! under the same id, and never gets lost.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_journal::Provenance;
use kefu_policy::Version;
use kefu_postgres::StoreError;
use kefu_rpc::Etag;
use sqlx::PgConnection;
use uuid::Uuid;

use super::error::check_etag;
use super::{App, Call, Error, Page, change, merge, one_more, outbox};
use crate::channel::Parcel;
use crate::domain::{
    Actor, Attempted, Command, Delivery, DeliveryNote, DeliveryState, Policy, Ticket, decide,
    follow_mark,
};
use crate::encode::{delivery as encode, ticket};
use crate::store;
use crate::store::delivery::{Claimed, DeliveryQuery};
use crate::store::outbound::Carried;

/// Longer than an attempt may take: whoever is silent for so long in real time has died.
const LEASE_BEYOND_TIMEOUT: Duration = Duration::from_secs(30);
/// So many merges and unmerges of one ticket, each just when something is to be noted there, are waited for.
const MERGES_AWAITED: u32 = 8;

/// Where a page of deliveries ends: when the last one was made, and its id.
pub type Cursor = (Timestamp, Uuid);

/// What a person asks of a delivery.
#[derive(Clone, Debug)]
pub enum DeliveryCommand {
    /// Try it again.
    Retry,
    /// Do not send it.
    Cancel {
        /// Why.
        reason: String,
    },
}

impl App {
    /// One delivery.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn get_delivery(&self, caller: &Caller, id: Uuid) -> Result<Delivery, Error> {
        let mut conn = self.read().await?;
        let held = store::delivery::find(&mut conn, id).await?.ok_or_else(|| not_found(id))?;
        self.allow_at(caller, "ticket.GetDelivery", &held.delivery.org_unit)?;
        Ok(held.delivery)
    }

    /// Those of the tickets at and below an org unit, newest first.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn list_deliveries(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        query: DeliveryQuery,
        size: u32,
    ) -> Result<Page<Delivery, Cursor>, Error> {
        self.allow(caller, "ticket.ListDeliveries", org_unit)?;
        let mut conn = self.read().await?;
        let query = DeliveryQuery { limit: one_more(size), ..query };
        let found = store::delivery::list(&mut conn, &query).await?;
        Ok(Page::of(found, size, |last| (last.created_at, last.id)))
    }

    /// Does what a person asks of a delivery, in one transaction.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagStale`], [`Error::RequestIdReused`],
    /// [`Error::DeliveryRefused`].
    pub async fn delivery_command(
        &self,
        call: &Call,
        action: &'static str,
        id: Uuid,
        etag: Option<Etag>,
        command: DeliveryCommand,
    ) -> Result<pb::Delivery, Error> {
        let mut work = self.begin(call).await?;
        // The tickets first, as whatever changes one.
        let carried = store::outbound::carried(work.conn(), id).await?;
        let mut shown_on = Vec::new();
        if let Some(carried) = &carried {
            let locked = lock_chain(work.conn(), carried.ticket).await?;
            // Merged or unmerged at this very moment.
            shown_on = locked.ok_or(Error::Conflict)?;
        }
        let org_unit = store::delivery::lock(work.conn(), id).await?;
        let org_unit = org_unit.ok_or_else(|| not_found(id))?;
        if let Err(denied) = self.allow_at(&call.caller, action, &org_unit) {
            return work.answered().await?.ok_or(denied);
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        // Read after the lock, by a statement of its own.
        let held = store::delivery::find(work.conn(), id).await?.ok_or_else(|| not_found(id))?;
        check_etag(etag, held.delivery.revision)?;
        let now = work.now();
        let before = held.delivery;
        let mut delivery = before.clone();
        let (action, reason) = match command {
            // While it is being sent, that attempt is the one that was asked for.
            DeliveryCommand::Retry if held.in_flight => {
                return work.commit(encode::resource(&before)).await;
            }
            DeliveryCommand::Retry => delivery.retry(now).map(|()| ("RetryDelivery", None))?,
            DeliveryCommand::Cancel { reason } => {
                delivery.cancel(held.in_flight, now)?;
                ("CancelDelivery", Some(reason))
            }
        };
        let done = (action, reason.as_deref());
        outbox::save(work.conn(), &self.ids, &call.by, (&before, &delivery), done).await?;
        let alarm = match carried {
            Some(carried) => {
                let actor = Actor::staff(call.caller.subject());
                let by = (&actor, &call.by);
                self.note_message(work.conn(), &delivery, (&carried, &shown_on), by).await?
            }
            None => None,
        };
        let answer = work.commit(encode::resource(&delivery)).await?;
        self.outbox.wake();
        self.timers.expect(alarm);
        Ok(answer)
    }

    /// Leases what is due of an adapter.
    pub(crate) async fn claim(&self, adapter: &str, limit: i64) -> Result<Vec<Claimed>, Error> {
        let time = self.channels.timeout(adapter) + LEASE_BEYOND_TIMEOUT;
        let lease = (self.ids.uuid(), time);
        Ok(store::delivery::claim(&self.pool, adapter, self.now(), limit, lease).await?)
    }

    /// Sends what was leased, and notes what came of it.
    pub(crate) async fn attempt(&self, claimed: Claimed) -> Result<(), Error> {
        let (id, lease) = (claimed.id, claimed.lease);
        let outcome = if claimed.attempts > claimed.allowed_attempts {
            // Whoever made the last attempt was never heard of again. One more could go on for ever.
            let error = "nothing was heard of the last attempt".to_owned();
            Attempted::Refused { error }
        } else {
            let parcel = Parcel {
                id,
                ticket: ticket::name(claimed.ticket),
                ticket_number: claimed.ticket_number,
                content: claimed.content,
                recipient: claimed.recipient,
                subject: claimed.subject,
                body: claimed.body,
                created_at: claimed.created_at,
                automatic: claimed.created_by.starts_with("system/"),
                now: self.now(),
            };
            self.channels.send(&claimed.adapter, claimed.kind, &parcel).await
        };
        self.note_attempt(id, lease, outcome).await
    }

    async fn note_attempt(&self, id: Uuid, lease: Uuid, outcome: Attempted) -> Result<(), Error> {
        // What was taken concerns its ticket only where something was lost before: mostly nobody waits for the ticket.
        let taken = matches!(outcome, Attempted::Taken { .. });
        if taken && self.try_note(id, lease, outcome.clone(), false).await? {
            return Ok(());
        }
        for _ in 0..MERGES_AWAITED {
            if Box::pin(self.try_note(id, lease, outcome.clone(), true)).await? {
                return Ok(());
            }
        }
        Err(Error::Conflict)
    }

    /// Notes what came of an attempt. False if the tickets have to be locked for that and were not, or were merged or unmerged just
    /// then; then nothing has happened.
    async fn try_note(
        &self,
        id: Uuid,
        lease: Uuid,
        outcome: Attempted,
        with_ticket: bool,
    ) -> Result<bool, Error> {
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        let carried = store::outbound::carried(&mut tx, id).await?;
        let mut shown_on = Vec::new();
        if let Some(carried) = carried.as_ref().filter(|_| with_ticket) {
            let Some(locked) = lock_chain(&mut tx, carried.ticket).await? else {
                return Ok(false);
            };
            shown_on = locked;
        }
        if store::delivery::lock(&mut tx, id).await?.is_none() {
            return Ok(true);
        }
        let Some(held) = store::delivery::find(&mut tx, id).await? else { return Ok(true) };
        // Whoever was thought dead has nothing to say any more, but that it was taken is a fact.
        let taken = matches!(outcome, Attempted::Taken { .. });
        if held.lease != Some(lease) && !taken {
            return Ok(true);
        }
        let before = held.delivery;
        let mut delivery = before.clone();
        let chance = u64::from_ne_bytes(kefu_clock::random_bytes());
        if !delivery.attempted(outcome, self.now(), chance) {
            return Ok(true);
        }
        // After the delivery's lock: whoever marks the ticket has looked at this delivery under its lock, see `is_overtaken`.
        let marked = match carried.as_ref().filter(|_| !with_ticket) {
            Some(carried) => store::outbound::is_marked(&mut tx, carried.ticket).await?,
            None => false,
        };
        if marked {
            return Ok(false);
        }
        let by = Provenance::system("outbox");
        let done = ("AttemptDelivery", None);
        outbox::save(&mut tx, &self.ids, &by, (&before, &delivery), done).await?;
        let mut alarm = None;
        if let Some(carried) = carried.filter(|_| with_ticket && before.state != delivery.state) {
            let (by, on) = ((&Actor::OUTBOX, &by), (&carried, &*shown_on));
            alarm = Box::pin(self.note_message(&mut tx, &delivery, on, by)).await?;
        }
        tx.commit().await?;
        self.tail.wake();
        self.timers.expect(alarm);
        Ok(true)
    }

    /// Notes at the ticket, which this transaction has locked, what became of the delivery of a message: what never left is
    /// seen there until the customer hears something. Where the ticket is merged, `chain` has those after it that are handled
    /// instead, locked as well, and they show it too. Returns when the timers have to look at one of them.
    ///
    /// # Errors
    /// When the database is away or refuses. A ticket that nobody understands is only logged: that the message was sent is a
    /// fact all the same, and whoever forgets it sends it again.
    async fn note_message(
        &self,
        conn: &mut PgConnection,
        delivery: &Delivery,
        (carried, chain): (&Carried, &[Uuid]),
        (actor, by): (&Actor, &Provenance),
    ) -> Result<Option<Timestamp>, Error> {
        // Read after the lock.
        let marked = store::outbound::is_marked(conn, carried.ticket).await?;
        match delivery.state {
            DeliveryState::Sent if marked => {}
            DeliveryState::Parked | DeliveryState::Cancelled => {}
            DeliveryState::Sent | DeliveryState::Pending => return Ok(None),
        }
        let note = DeliveryNote {
            message: carried.message,
            delivery: delivery.id,
            sent_at: carried.sent_at,
            state: delivery.state,
            overtaken: store::outbound::is_overtaken(conn, carried).await?,
        };
        let now = self.now();
        let Some((ticket, version)) = self.known(conn, carried.ticket).await? else {
            return Ok(None);
        };
        let command = Command::NoteDelivery(note);
        let changes = match decide(&ticket, &version.policy, command, actor, now) {
            Ok(changes) => changes,
            Err(refusal) => {
                not_noted(ticket.id, &refusal.to_string());
                return Ok(None);
            }
        };
        let source = ticket.clone();
        let ticket = change::record(conn, &self.ids, ticket, &changes, by).await?;
        let mut alarm = ticket.next_fire_at();
        for id in chain.iter().copied().filter(|id| *id != source.id) {
            let Some((other, version)) = self.known(conn, id).await? else { continue };
            let said = (carried.message, carried.sent_at);
            let overtaken = merge::heard_since(conn, &source, &other, said).await?;
            let judged = (&other, &version.policy);
            let following = follow_mark(judged, &source, &changes, overtaken, (actor, now));
            let other = change::record(conn, &self.ids, other, &following, by).await?;
            alarm = alarm.into_iter().chain(other.next_fire_at()).min();
        }
        Ok(alarm)
    }

    /// A ticket and the policy that judges it; none where nobody understands it, which is logged.
    async fn known(
        &self,
        conn: &mut PgConnection,
        id: Uuid,
    ) -> Result<Option<(Ticket, Arc<Version<Policy>>)>, Error> {
        let Some(row) = store::ticket::find(conn, id).await? else { return Ok(None) };
        match self.judged(conn, row).await {
            Ok(known) => Ok(Some(known)),
            Err(StoreError::Corrupt(why)) => {
                not_noted(id, &why);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn not_noted(ticket: Uuid, why: &str) {
    tracing::error!(%ticket, why, "what became of a message cannot be noted at its ticket");
}

/// Locks a ticket, and where it is merged those into which it was, in the order of their ids as a merge does. None if that changed
/// before they were locked.
async fn lock_chain(
    conn: &mut PgConnection,
    ticket: Uuid,
) -> Result<Option<Vec<Uuid>>, StoreError> {
    let chain = store::merge::chain(conn, ticket).await?;
    store::link::lock(conn, &chain).await?;
    // With all of it locked nobody merges or unmerges any of them.
    let now = store::merge::chain(conn, ticket).await?;
    Ok((now == chain).then_some(chain))
}

fn not_found(id: Uuid) -> Error {
    Error::NotFound { kind: "kefu.dev/Delivery", name: encode::name(id) }
}
