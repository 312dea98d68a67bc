//! Putting right of whom and about what a ticket was registered (T-01).

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_clock::IdSource;
use kefu_journal::Provenance;
use kefu_rpc::{Deadline, Etag};
use sqlx::PgConnection;
use uuid::Uuid;

use super::ticket::not_found;
use super::{App, Call, Error, customer, outbox};
use crate::domain::{
    Actor, Change, Command, Correction, Delivery, DeliveryNote, Fault, Fix, Policy, Ticket, What,
    apply, decide,
};
use crate::store;
use crate::store::outbound::Carried;

/// Why what has not left is taken back.
const NOT_THEIRS: &str = "the ticket was put right: it is somebody else's / 工单已更正为他人的工单";

impl App {
    /// Puts it right, in one transaction. Whom it names anew must be known, as at registration; the customer context is asked
    /// only for whoever may correct, and while no connection is held.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::CustomerUnavailable`], [`Error::EtagStale`], [`Error::RequestIdReused`],
    /// [`Error::Refused`], also for an unknown customer or contact.
    pub async fn correct_ticket(
        &self,
        call: &Call,
        id: Uuid,
        etag: Option<Etag>,
        mut correction: Correction,
    ) -> Result<pb::Ticket, Error> {
        const ACTION: &str = "ticket.CorrectTicket";
        let mut conn = self.read().await?;
        let place = store::handling::place(&mut conn, id).await?.ok_or_else(|| not_found(id))?;
        drop(conn);
        let unknown = match self.allow_at(&call.caller, ACTION, &place.org_unit) {
            Ok(()) => self.unknown(&correction, call.deadline).await,
            Err(denied) => Err(denied),
        };
        correction.unknown = match unknown {
            Ok(unknown) => unknown,
            Err(lacking) => return self.or_answered(call, lacking).await,
        };
        self.command(call, ACTION, id, etag, |_| Command::Correct(Box::new(correction))).await
    }

    /// Whom it names and nobody knows: the customer, and the contact, whichever of that and its customer it is.
    async fn unknown(
        &self,
        correction: &Correction,
        deadline: Deadline,
    ) -> Result<Vec<Fault>, Error> {
        let mut unknown = Vec::new();
        if let Fix::To(customer) = correction.customer
            && !is_known(self.customers.get(customer, deadline).await)?
        {
            let told = ("names no customer that exists", "客户不存在");
            unknown.push(fault("ticket.customer", "UNKNOWN_CUSTOMER", told));
        }
        if let Fix::To((customer, contact)) = correction.contact {
            let customers = &self.customers;
            let known = is_known(customers.get(customer, deadline).await)?
                && is_known(customers.require_contact(customer, contact, deadline).await)?;
            if !known {
                let told = ("names no contact of a customer that exists", "联系人不属于任何客户");
                unknown.push(fault("ticket.contact", "UNKNOWN_CONTACT", told));
            }
        }
        Ok(unknown)
    }
}

/// Whether what was asked for is there, if anybody can tell.
fn is_known<T>(asked: Result<T, Error>) -> Result<bool, Error> {
    match asked {
        Ok(_) => Ok(true),
        Err(Error::Invalid(..)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn fault(path: &str, reason: &'static str, (english, chinese): (&str, &str)) -> Fault {
    Fault { reason, ..Fault::new(path, (english, chinese)) }
}

/// Looks the grade up that a correction of a ticket, which this transaction has locked, gives it.
pub(super) async fn look_up_grade(
    conn: &mut PgConnection,
    ticket: &Ticket,
    command: &mut Command,
) -> Result<(), Error> {
    let Command::Correct(correction) = command else { return Ok(()) };
    let Some((customer, product)) = correction.to_grade(ticket) else { return Ok(()) };
    let grade = match customer {
        Some(customer) => customer::grade(conn, customer, &ticket.org_unit, &product).await?,
        None => None,
    };
    correction.grade = grade.map_or(Fix::Empty, Fix::To);
    Ok(())
}

/// Takes back what has not left for whoever a ticket, which this transaction has locked, is not of any more by these changes, and
/// returns the changes that show the last of it as never delivered: somebody has to tell the right one.
pub(super) async fn withdraw(
    conn: &mut PgConnection,
    ids: &IdSource,
    (ticket, policy): (&Ticket, &Policy),
    changes: &[Change],
    (actor, by, now): (&Actor, &Provenance, Timestamp),
) -> Result<Vec<Change>, Error> {
    if !changes.iter().any(|change| matches!(change.what, What::Corrected(_))) {
        return Ok(Vec::new());
    }
    let mut after = ticket.clone();
    changes.iter().for_each(|change| apply(&mut after, change));
    if after.complainant == ticket.complainant {
        return Ok(Vec::new());
    }
    let mut last: Option<(Carried, Delivery)> = None;
    for id in store::delivery::lock_unsent(conn, ticket.id).await? {
        let Some(held) = store::delivery::find(conn, id).await? else { continue };
        let (before, mut delivery) = (held.delivery.clone(), held.delivery);
        if !delivery.withdraw(now) {
            continue;
        }
        let done = ("CancelDelivery", Some(NOT_THEIRS));
        outbox::save(conn, ids, by, (&before, &delivery), done).await?;
        let Some(carried) = store::outbound::carried(conn, id).await? else { continue };
        let said = |carried: &Carried| (carried.sent_at, carried.message);
        if last.as_ref().is_none_or(|(last, _)| said(last) < said(&carried)) {
            last = Some((carried, delivery));
        }
    }
    let Some((carried, delivery)) = last else { return Ok(Vec::new()) };
    let note = DeliveryNote {
        message: carried.message,
        delivery: delivery.id,
        sent_at: carried.sent_at,
        state: delivery.state,
        overtaken: store::outbound::is_overtaken(conn, &carried).await?,
    };
    Ok(decide(&after, policy, Command::NoteDelivery(note), actor, now)?)
}
