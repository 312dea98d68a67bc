//! What a transfer needs to know of teams and of the customer before it is decided on (T-03, T-11).

use jiff::Timestamp;
use kefu_identity::OrgUnit;
use kefu_postgres::StoreError;
use kefu_rpc::Fault;
use sqlx::PgConnection;
use uuid::Uuid;

use super::change::customer_of;
use super::{App, Call, Error};
use crate::domain::{Command, HandlingCommand, Ticket, transfer_names_customer};
use crate::store;

/// Looks the teams up that a command on a ticket is about, which this transaction has locked: of a transfer, whether there is
/// such a team and the ticket is not its already; of an acceptance, to which team it goes, and whether to this very person.
/// A team that was retired since the ticket was sent keeps nobody from accepting it.
pub(super) async fn look_up_team(
    conn: &mut PgConnection,
    ticket: &Ticket,
    command: &mut Command,
    acting: &str,
    now: Timestamp,
) -> Result<(), Error> {
    match command.handling_mut() {
        Some(HandlingCommand::Transfer { to, team: Some(code), .. }) => {
            let unit = to.as_deref().unwrap_or(&ticket.org_unit);
            let team = store::team::serving(conn, code, unit).await?;
            let fault = match team {
                None => Fault::new(
                    "UNKNOWN_TEAM",
                    "names no team in use at or above the receiving org unit",
                    "接收的组织单元及其上级没有此在用团队",
                ),
                Some(_) if unit == ticket.org_unit && team == ticket.team => {
                    let chinese = "该团队已持有此工单";
                    Fault::new(
                        "ALREADY_THERE",
                        "names the team that has the ticket already",
                        chinese,
                    )
                }
                Some(_) => return Ok(()),
            };
            Err(Error::Invalid("to_team", fault))
        }
        Some(HandlingCommand::AcceptTransfer { receiving, .. }) => {
            if receiving.named.is_some() && receiving.named != customer_of(ticket) {
                // It turned out to be somebody else's since: nobody is called by another one's name.
                return Err(Error::Conflict);
            }
            let transfer = ticket.handling.transfer.as_ref();
            if let Some((transfer, code)) =
                transfer.and_then(|sent| Some((sent, sent.team.as_ref()?)))
            {
                receiving.team = store::team::serving(conn, code, &transfer.to).await?;
            }
            if let Some(team) = receiving.team {
                receiving.may_own = store::team::may_own(conn, team, acting, now).await?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

impl App {
    /// The customer of a ticket and what he is called, where the policy's wording for an accepted transfer asks for it. The customer
    /// context is asked while no connection is held, and only for whoever may accept; for a ticket that is not on its way it
    /// is not asked, so neither is it for a retry.
    pub(super) async fn name_for_transfer(
        &self,
        call: &Call,
        action: &'static str,
        id: Uuid,
    ) -> Result<Option<(Uuid, String)>, Error> {
        let mut conn = self.read().await?;
        let Some(row) = store::ticket::find(&mut conn, id).await? else { return Ok(None) };
        let Some(receiving) = row.receiving_unit() else { return Ok(None) };
        let receiving: OrgUnit =
            receiving.parse().map_err(|error| StoreError::corrupt("transfer.to", error))?;
        if !self.authorizer.permits(&call.caller, action, &receiving) {
            return Ok(None);
        }
        let (ticket, version) = self.judged(&mut conn, row).await?;
        drop(conn);
        match customer_of(&ticket) {
            Some(customer) if transfer_names_customer(&version.policy) => {
                let name = self.customers.name(customer, call.deadline).await?;
                Ok(name.map(|name| (customer, name)))
            }
            _ => Ok(None),
        }
    }
}
