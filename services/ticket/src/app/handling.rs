//! The handling of tickets between the first answer and the verdict (T-09 to T-13, T-15).

use jiff::Timestamp;
use jiff::tz::TimeZone;
use kefu_api::ticket::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_postgres::StoreError;
use kefu_rpc::Etag;
use sqlx::PgConnection;
use uuid::Uuid;

use super::ticket::{Party, not_found};
use super::{App, Call, Error, Page, one_more};
use crate::domain::{Command, HandlingCommand, Supervision, Ticket, Transfer};
use crate::store;
use crate::store::handling_record::RecordRow;
use crate::store::plan::ItemRow;
use crate::store::supervision::SupervisionQuery;

/// Where a page ends that goes by time and id.
pub type Cursor = (Timestamp, Uuid);

impl App {
    /// Does what is asked of a ticket's handling, in one transaction.
    ///
    /// # Errors
    /// Those of [`App::command`], [`Error::OrgUnitUnknown`] for a receiver that does not exist.
    pub(crate) async fn handle(
        &self,
        call: &Call,
        action: &'static str,
        (id, etag): (Uuid, Option<Etag>),
        mut command: HandlingCommand,
        overriding: bool,
    ) -> Result<pb::Ticket, Error> {
        let party = match &command {
            HandlingCommand::AcceptTransfer { .. } | HandlingCommand::ReturnTransfer { .. } => {
                Party::Receiver
            }
            _ => Party::Holder,
        };
        if let HandlingCommand::Transfer { to: Some(to), .. } = &command {
            let to: OrgUnit =
                to.parse().map_err(|error| StoreError::corrupt("to_org_unit", error))?;
            self.org_units.require(&to, call.deadline).await?;
        }
        if let HandlingCommand::AcceptTransfer { message, receiving, .. } = &mut command {
            self.make_room(&call.caller, action, id).await?;
            if message.is_none() {
                let named = Box::pin(self.name_for_transfer(call, action, id)).await?;
                (receiving.named, receiving.customer_name) = named.unzip();
            }
        }
        let command = Command::Handle(command);
        let command =
            if overriding { Command::OverridePhrases(Box::new(command)) } else { command };
        self.command_by(call, action, id, etag, party, |_| command).await
    }

    /// Lists find tickets by the org units that count any, so the receiving one is among them before it has its first; a
    /// counter without a ticket harms nobody. Whoever may not accept makes none.
    async fn make_room(
        &self,
        caller: &Caller,
        action: &'static str,
        id: Uuid,
    ) -> Result<(), Error> {
        let mut conn = self.read().await?;
        let place = store::handling::place(&mut conn, id).await?;
        drop(conn);
        let Some(receiving) = place.and_then(|place| place.receiving) else { return Ok(()) };
        let receiving: OrgUnit =
            receiving.parse().map_err(|error| StoreError::corrupt("transfer.to", error))?;
        if !self.authorizer.permits(caller, action, &receiving) {
            return Ok(());
        }
        let year = self.now().to_zoned(TimeZone::UTC).year();
        Ok(store::number::ensure_counter(&self.pool, &receiving, year).await?)
    }

    /// Passes if the caller may see this of a ticket: in its org unit, or in the one to which it is on its way.
    pub(crate) async fn allow_ticket(
        &self,
        conn: &mut PgConnection,
        caller: &Caller,
        action: &'static str,
        id: Uuid,
    ) -> Result<(), Error> {
        let place = store::handling::place(conn, id).await?.ok_or_else(|| not_found(id))?;
        self.allow_seen(caller, action, &place.org_unit, place.receiving.as_deref())
    }

    /// The same for what whoever was asked first may read wherever it has gone (T-02).
    pub(crate) async fn allow_followed_ticket(
        &self,
        conn: &mut PgConnection,
        caller: &Caller,
        action: &'static str,
        id: Uuid,
    ) -> Result<(), Error> {
        let place = store::handling::place(conn, id).await?.ok_or_else(|| not_found(id))?;
        let at = (&*place.org_unit, place.receiving.as_deref());
        self.allow_followed(caller, action, at, &place.first_contact_owner)
    }

    /// What was put on record while a ticket was handled, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub(crate) async fn list_handling_records(
        &self,
        caller: &Caller,
        id: Uuid,
        after: Option<Cursor>,
        size: u32,
    ) -> Result<Page<RecordRow, Cursor>, Error> {
        let mut conn = self.read().await?;
        self.allow_ticket(&mut conn, caller, "ticket.ListHandlingRecords", id).await?;
        let rows = store::handling_record::list(&mut conn, id, after, one_more(size)).await?;
        Ok(Page::of(rows, size, |last| (last.recorded_at.to_jiff(), last.id)))
    }

    /// The plan of a ticket, with its items.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub(crate) async fn handling_plan(
        &self,
        caller: &Caller,
        id: Uuid,
    ) -> Result<(Ticket, Vec<ItemRow>), Error> {
        let mut conn = self.read().await?;
        self.allow_ticket(&mut conn, caller, "ticket.GetHandlingPlan", id).await?;
        let row = store::ticket::find(&mut conn, id).await?.ok_or_else(|| not_found(id))?;
        let ticket = self.judged(&mut conn, row).await?.0;
        let version = ticket.handling.plan.as_ref().map(|plan| plan.version);
        let items = match version {
            Some(version) => store::plan::items(&mut conn, id, version).await?,
            None => Vec::new(),
        };
        Ok((ticket, items))
    }

    /// What waits for a receiver at and below an org unit, longest waiting first.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn list_transfers(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        after: Option<Cursor>,
        size: u32,
    ) -> Result<Page<(Uuid, Transfer), Cursor>, Error> {
        self.allow(caller, "ticket.ListTransfers", org_unit)?;
        let mut conn = self.read().await?;
        let limit = one_more(size);
        let rows = store::transfer::incoming(&mut conn, org_unit.as_str(), after, limit).await?;
        let rows: Result<Vec<_>, _> =
            rows.into_iter().map(store::transfer::IncomingRow::transfer).collect();
        Ok(Page::of(rows?, size, |(ticket, last)| (last.at, *ticket)))
    }

    /// The supervisions that go on at and below an org unit, the next answer first, each with its ticket and org unit.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn list_supervisions(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        query: SupervisionQuery,
        size: u32,
    ) -> Result<Page<(Uuid, String, Supervision), Cursor>, Error> {
        self.allow(caller, "ticket.ListSupervisions", org_unit)?;
        let mut conn = self.read().await?;
        let query = SupervisionQuery { limit: one_more(size), ..query };
        let rows = store::supervision::list(&mut conn, &query).await?;
        let row = |row: store::supervision::SupervisionRow| {
            let supervision = row.supervision()?;
            Ok::<_, StoreError>((row.ticket_id, row.org_unit, supervision))
        };
        let found: Result<Vec<_>, _> = rows.into_iter().map(row).collect();
        Ok(Page::of(found?, size, |(ticket, _, last)| (last.answer_by, *ticket)))
    }

    /// What was planned and is overdue at and below an org unit, longest overdue first.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn list_overdue_plan_items(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        after: Option<(Timestamp, Uuid, i16)>,
        size: u32,
    ) -> Result<Page<ItemRow, (Timestamp, Uuid, i16)>, Error> {
        self.allow(caller, "ticket.ListOverduePlanItems", org_unit)?;
        let mut conn = self.read().await?;
        let (now, limit) = (self.now(), one_more(size));
        let unit = org_unit.as_str();
        let rows = store::plan::overdue(&mut conn, unit, now, after, limit).await?;
        Ok(Page::of(rows, size, |last| (last.due_at.to_jiff(), last.ticket_id, last.position)))
    }
}
