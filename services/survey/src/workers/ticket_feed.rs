//! The ticket context's feed: when to ask, and when to ask no longer (S-02, T-13).

use std::sync::Arc;

use bytes::Bytes;
use kefu_api::{feed::v1::Event, ticket::v1 as pb};
use kefu_journal::{ApplyError, Consumer, Provenance};
use prost::{DecodeError, Message};
use sqlx::PgConnection;

use super::{contact_ids, id, occurred_at};
use crate::{
    app::App,
    domain::invitation::{Matter, Revocation},
};

const RESULT_FED_BACK: &str = "kefu.ticket.v1.TicketResultFedBack";
const CLOSED: &str = "kefu.ticket.v1.TicketClosed";
const REOPENED: &str = "kefu.ticket.v1.TicketReopened";
const CANCELLED: &str = "kefu.ticket.v1.TicketCancelled";
const CORRECTED: &str = "kefu.ticket.v1.TicketCorrected";

/// Invites when a result was fed back; takes back when the verdict has come in another way, or the ticket is cancelled, or closed
/// without a verdict and without a way back; asks somebody else where the ticket turns out to be of somebody else.
#[derive(Clone, Debug)]
pub struct TicketFeed {
    app: Arc<App>,
}

impl TicketFeed {
    /// For this app.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    async fn take_back(
        &self,
        tx: &mut PgConnection,
        ticket: &pb::TicketSummary,
        cycle: i32,
        why: Revocation,
    ) -> Result<(), ApplyError> {
        let ticket = id(&ticket.ticket, "tickets/")?;
        // One that was answered here is not open any more, so only what happened elsewhere takes anything back.
        Ok(self.app.take_back(tx, &by(), ticket, cycle, why).await?)
    }
}

impl Consumer for TicketFeed {
    fn name(&self) -> &'static str {
        "invitations"
    }

    fn source(&self) -> &'static str {
        "ticket"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &[RESULT_FED_BACK, CLOSED, REOPENED, CANCELLED, CORRECTED]
    }

    async fn apply(&self, tx: &mut PgConnection, event: &Event) -> Result<(), ApplyError> {
        let payload = event.payload.clone();
        match event.r#type.as_str() {
            RESULT_FED_BACK => {
                let ticket = summary(payload, |event: pb::TicketResultFedBack| event.ticket)?;
                let org_unit = ticket.org_unit.parse()?;
                let at = occurred_at(event)?;
                Ok(self.app.invite(tx, &by(), org_unit, matter(&ticket)?, at).await?)
            }
            CLOSED => {
                let mut why = Revocation::ClosedWithoutVerdict;
                let mut still_counts = false;
                let ticket = summary(payload, |event: pb::TicketClosed| {
                    if event.verdict.is_some() {
                        why = Revocation::VerdictGiven;
                    }
                    still_counts = event.reopen_until_time.is_some();
                    event.ticket
                })?;
                if still_counts {
                    // Whoever could not be reached by telephone may yet answer, and that may open the ticket again (T-13).
                    return Ok(());
                }
                self.take_back(tx, &ticket, ticket.cycle, why).await
            }
            REOPENED => {
                let mut why = Revocation::ClosedWithoutVerdict;
                let ticket = summary(payload, |event: pb::TicketReopened| {
                    if event.verdict.is_some() {
                        why = Revocation::VerdictGiven;
                    }
                    event.ticket
                })?;
                // The event tells of the cycle that has begun. What asks about that one comes later, or has come already
                // if the feed is read again.
                self.take_back(tx, &ticket, ticket.cycle - 1, why).await
            }
            CANCELLED => {
                let ticket = summary(payload, |event: pb::TicketCancelled| event.ticket)?;
                self.take_back(tx, &ticket, ticket.cycle, Revocation::TicketCancelled).await
            }
            CORRECTED => {
                let mut previous = (String::new(), String::new());
                let ticket = summary(payload, |event: pb::TicketCorrected| {
                    previous = (event.previous_customer, event.previous_contact);
                    event.ticket
                })?;
                if previous == (ticket.customer.clone(), ticket.contact.clone()) {
                    return Ok(());
                }
                let waits = ticket.state() == pb::TicketState::ResultFedBack;
                let org_unit = ticket.org_unit.parse()?;
                let at = occurred_at(event)?;
                Ok(self.app.redirect(tx, &by(), org_unit, matter(&ticket)?, (waits, at)).await?)
            }
            _ => Ok(()),
        }
    }

    fn committed(&self) {
        self.app.tail.wake();
        self.app.invited.notify_one();
    }
}

fn by() -> Provenance {
    Provenance::system("ticket-feed")
}

fn summary<M: Message + Default>(
    payload: Bytes,
    ticket: impl FnOnce(M) -> Option<pb::TicketSummary>,
) -> Result<pb::TicketSummary, ApplyError> {
    let event = M::decode(payload).map_err(|error: DecodeError| error.to_string())?;
    Ok(ticket(event).ok_or("an event without its ticket")?)
}

fn matter(ticket: &pb::TicketSummary) -> Result<Matter, ApplyError> {
    let contact = match ticket.contact.as_str() {
        "" => None,
        name => Some(contact_ids(name)?),
    };
    let customer = match (ticket.customer.as_str(), contact) {
        ("", contact) => contact.map(|(customer, _)| customer),
        (name, _) => Some(id(name, "customers/")?),
    };
    Ok(Matter {
        ticket: id(&ticket.ticket, "tickets/")?,
        number: ticket.number.clone(),
        cycle: ticket.cycle,
        handlers: handlers(ticket),
        customer,
        contact: contact.map(|(_, contact)| contact),
    })
}

/// Everybody who handled the cycle, the last one last. Events of the version before that list name the last one only.
fn handlers(ticket: &pb::TicketSummary) -> Vec<String> {
    let mut handlers = ticket.cycle_handlers.clone();
    handlers.retain(|handler| *handler != ticket.handler);
    if !ticket.handler.is_empty() {
        handlers.push(ticket.handler.clone());
    }
    handlers
}

#[cfg(test)]
mod tests {
    use prost::Name as _;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn s02_the_events_asked_for_are_those_of_the_api() {
        assert_eq!(RESULT_FED_BACK, pb::TicketResultFedBack::full_name());
        assert_eq!(CLOSED, pb::TicketClosed::full_name());
        assert_eq!(REOPENED, pb::TicketReopened::full_name());
        assert_eq!(CANCELLED, pb::TicketCancelled::full_name());
        assert_eq!(CORRECTED, pb::TicketCorrected::full_name());
    }

    #[test]
    fn s02_a_complainant_may_be_unregistered_and_a_contact_unknown() {
        let [ticket, customer, contact] = [1, 2, 3].map(Uuid::from_u128);
        let told = pb::TicketSummary { ticket: format!("tickets/{ticket}"), ..Default::default() };
        let unregistered = matter(&told).unwrap();
        assert_eq!((unregistered.customer, unregistered.contact), (None, None));

        let told = pb::TicketSummary { customer: format!("customers/{customer}"), ..told };
        let nobody = matter(&told).unwrap();
        assert_eq!((nobody.customer, nobody.contact), (Some(customer), None));

        let contact_name = format!("customers/{customer}/contacts/{contact}");
        let told = pb::TicketSummary { contact: contact_name, ..told };
        let somebody = matter(&told).unwrap();
        assert_eq!((somebody.customer, somebody.contact), (Some(customer), Some(contact)));

        let strange = pb::TicketSummary { contact: "somebody".into(), ..told };
        assert!(matter(&strange).is_err());
    }

    #[test]
    fn t13_all_who_handled_the_cycle_count_and_the_one_that_older_events_name() {
        let of = |handler: &str, cycle: &[&str]| {
            handlers(&pb::TicketSummary {
                handler: handler.into(),
                cycle_handlers: cycle.iter().map(ToString::to_string).collect(),
                ..Default::default()
            })
        };
        assert_eq!(of("li", &["wang", "li"]), ["wang", "li"]);
        assert_eq!(of("wang", &["wang", "li"]), ["li", "wang"], "who came back is the last one");
        assert_eq!(of("li", &[]), ["li"]);
        assert!(of("", &[]).is_empty());
    }
}
