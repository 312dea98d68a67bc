//! What is said to the customer, and how it could be said (T-14).

use jiff::Timestamp;
use kefu_identity::Caller;
use kefu_rpc::{Deadline, Fault};
use uuid::Uuid;

use super::ticket::not_found;
use super::{App, Error, Page, one_more};
use crate::domain::{Complainant, Filling, Text, Variable};
use crate::store;
use crate::store::message::MessageRow;

/// Where a page of messages ends: when the last one was sent, and its id.
pub type Cursor = (Timestamp, Uuid);

impl App {
    /// What was said to the customer of a ticket, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub(crate) async fn list_ticket_messages(
        &self,
        caller: &Caller,
        id: Uuid,
        after: Option<Cursor>,
        size: u32,
    ) -> Result<Page<MessageRow, Cursor>, Error> {
        let mut conn = self.read().await?;
        self.allow_followed_ticket(&mut conn, caller, "ticket.ListTicketMessages", id).await?;
        let rows = store::message::list(&mut conn, id, after, one_more(size)).await?;
        Ok(Page::of(rows, size, |last| (last.sent_at.to_jiff(), last.id)))
    }

    /// The standard wording for a situation, filled in for a ticket. The customer context is asked for a name only where
    /// the wording has one, and while no connection is held.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Invalid`] for a situation without a wording, [`Error::Refused`]
    /// where the ticket lacks a value, [`Error::CustomerUnavailable`].
    pub(crate) async fn render_message_template(
        &self,
        caller: &Caller,
        id: Uuid,
        situation: &str,
        deadline: Deadline,
    ) -> Result<Text, Error> {
        let mut conn = self.read().await?;
        let row = store::ticket::find(&mut conn, id).await?.ok_or_else(|| not_found(id))?;
        let receiving = row.receiving_unit();
        self.allow_seen(caller, "ticket.RenderMessageTemplate", &row.org_unit, receiving)?;
        let (ticket, version) = self.judged(&mut conn, row).await?;
        drop(conn);
        let policy = &version.policy;
        let template = policy.message_template(situation).ok_or_else(unknown_situation)?;
        let name = match ticket.complainant {
            Complainant::Customer { customer, .. } if template.mentions(Variable::CustomerName) => {
                self.customers.name(customer, deadline).await?
            }
            _ => None,
        };
        let filling = Filling { ticket: &ticket, policy, customer_name: name.as_deref() };
        Ok(template.render(filling)?)
    }
}

fn unknown_situation() -> Error {
    let fault = Fault::new(
        "UNKNOWN_SITUATION",
        "is none for which the ticket's policy has a wording",
        "工单适用的制度中没有该场景的标准话术",
    );
    Error::Invalid("situation", fault)
}
