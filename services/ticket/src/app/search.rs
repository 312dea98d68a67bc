//! Full-text search (T-23).

use jiff::Timestamp;
use kefu_identity::{Caller, OrgUnit};
use uuid::Uuid;

use super::{App, Error};
use crate::domain::{SearchQuery, Ticket};
use crate::store;
use crate::store::projection::Projection;

/// What was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The newest first.
    pub tickets: Vec<Ticket>,
    /// The place of the last; none on the last page.
    pub next: Option<i64>,
    /// Up to when changes are taken into account.
    pub fresh: Timestamp,
}

impl App {
    /// The newest tickets at and below an org unit with all words of a query, before a place.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn search_tickets(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        query: &SearchQuery,
        before: Option<i64>,
        size: u32,
    ) -> Result<Found, Error> {
        self.allow(caller, "ticket.SearchTickets", org_unit)?;
        let now = self.now();
        let mut conn = self.read().await?;
        let (_, behind) = store::projection::progress(&mut conn, Projection::Search).await?;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let mut found = store::search::find(&mut conn, query, before, size + 1).await?;
        let more = found.len() > size;
        found.truncate(size);
        let next = found.last().map(|(place, _)| *place).filter(|_| more);
        let ids: Vec<Uuid> = found.iter().map(|(_, id)| *id).collect();
        let mut tickets = self.tickets_within(&mut conn, org_unit, &ids).await?;
        let tickets = ids.iter().filter_map(|id| tickets.remove(id)).collect();
        Ok(Found { tickets, next, fresh: behind.unwrap_or(now) })
    }
}
