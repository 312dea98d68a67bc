//! Tickets by their ids, as lists tell them (T-23).

use std::collections::HashMap;

use kefu_identity::OrgUnit;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{App, Error};
use crate::domain::Ticket;
use crate::store;
use crate::store::ticket_basic::BasicTicket;

/// How much of each ticket a list tells (AIP-157).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// What a line shows.
    Basic,
    /// All of it, with clocks, verdicts and escalations.
    #[default]
    Full,
}

/// A ticket of a list.
#[derive(Debug)]
pub enum Listed {
    /// What a line shows.
    Basic(Box<BasicTicket>),
    /// All of it.
    Full(Box<Ticket>),
}

impl App {
    /// Tickets by their ids, as they are now; without those that are not, or no longer, at or below the org unit.
    pub(crate) async fn tickets_within(
        &self,
        conn: &mut PgConnection,
        org_unit: &OrgUnit,
        ids: &[Uuid],
    ) -> Result<HashMap<Uuid, Ticket>, Error> {
        let mut tickets = HashMap::with_capacity(ids.len());
        if ids.is_empty() {
            return Ok(tickets);
        }
        for row in store::ticket::find_many(conn, ids).await? {
            if is_within(org_unit, &row.org_unit) {
                tickets.insert(row.id, self.judged(conn, row).await?.0);
            }
        }
        Ok(tickets)
    }

    /// The same, as much of them as a list tells.
    pub(crate) async fn listed_within(
        &self,
        conn: &mut PgConnection,
        org_unit: &OrgUnit,
        ids: &[Uuid],
        view: View,
    ) -> Result<HashMap<Uuid, Listed>, Error> {
        if view == View::Full {
            let tickets = self.tickets_within(conn, org_unit, ids).await?;
            let listed = tickets.into_iter();
            return Ok(listed.map(|(id, ticket)| (id, Listed::Full(Box::new(ticket)))).collect());
        }
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let tickets = store::ticket_basic::find_many(conn, ids).await?.into_iter();
        let within = tickets.filter(|ticket| is_within(org_unit, &ticket.org_unit));
        Ok(within.map(|ticket| (ticket.id, Listed::Basic(Box::new(ticket)))).collect())
    }
}

fn is_within(org_unit: &OrgUnit, of_ticket: &str) -> bool {
    of_ticket.parse().is_ok_and(|at| org_unit.contains(&at))
}
