//! Putting right of whom and about what a ticket was registered (T-01).

use kefu_api::ticket::v1 as pb;
use kefu_rpc::{Deadline, Etag};
use sqlx::PgConnection;
use uuid::Uuid;

use super::ticket::not_found;
use super::{App, Call, Error, customer};
use crate::domain::{Command, Correction, Fix, Ticket};
use crate::store;

impl App {
    /// Puts it right, in one transaction. Whom it names anew must be known, as at registration; the customer context is asked
    /// only for whoever may correct, and while no connection is held.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Invalid`] for an unknown customer or contact,
    /// [`Error::CustomerUnavailable`], [`Error::EtagStale`], [`Error::RequestIdReused`], [`Error::Refused`].
    pub async fn correct_ticket(
        &self,
        call: &Call,
        id: Uuid,
        etag: Option<Etag>,
        correction: Correction,
    ) -> Result<pb::Ticket, Error> {
        const ACTION: &str = "ticket.CorrectTicket";
        let mut conn = self.read().await?;
        let place = store::handling::place(&mut conn, id).await?.ok_or_else(|| not_found(id))?;
        drop(conn);
        let known = match self.allow_at(&call.caller, ACTION, &place.org_unit) {
            Ok(()) => self.require_known(&correction, call.deadline).await,
            denied => denied,
        };
        if let Err(error) = known {
            // Whoever was there and might do it when it was done gets that answer.
            return self.answered(call).await?.ok_or(error);
        }
        self.command(call, ACTION, id, etag, |_| Command::Correct(Box::new(correction))).await
    }

    /// Passes if the customer and the contact that are named are known.
    async fn require_known(
        &self,
        correction: &Correction,
        deadline: Deadline,
    ) -> Result<(), Error> {
        if let Fix::To(customer) = correction.customer {
            self.customers.get(customer, deadline).await?;
        }
        if let Fix::To((customer, contact)) = correction.contact {
            self.customers.get(customer, deadline).await?;
            self.customers.require_contact(customer, contact, deadline).await?;
        }
        Ok(())
    }
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
