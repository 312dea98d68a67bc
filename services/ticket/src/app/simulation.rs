//! What the routing would be (T-03), without anything being written.

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_identity::Caller;
use kefu_rpc::Deadline;
use uuid::Uuid;

use super::placement::{Hold, find};
use super::registration::NewRegistration;
use super::ticket::not_found;
use super::{App, Error};
use crate::domain::{
    Actor, Found, Identity, Refusal, Routed, Supposed, Ticket, is_known_category, register,
};
use crate::encode::{policy, routing as encode, team, ticket};
use crate::store;

const ACTION: &str = "ticket.SimulateRouting";
/// The most candidates that are told.
const MAX_CANDIDATES: usize = 50;

impl App {
    /// What a ticket would get if it were registered now.
    ///
    /// # Errors
    /// As [`App::create_ticket`], but for what only writing can meet.
    pub async fn simulate_registration(
        &self,
        (caller, deadline): (&Caller, Deadline),
        new: &NewRegistration,
    ) -> Result<pb::SimulateRoutingResponse, Error> {
        self.allow(caller, ACTION, &new.org_unit)?;
        self.require_places(new, deadline).await?;
        let now = self.now();
        self.policies.refresh().await?;
        let (_, version) = self.policy_in_force(&new.org_unit, now).await?;
        let (intake, _) = self.intake_of(new, &version.policy, deadline, now).await?;
        let identity =
            Identity { id: Uuid::nil(), number: String::new(), policy_version: version.id };
        let actor = Actor::staff(caller.subject());
        let registered = register(intake, identity, &version.policy, &actor, now);
        let registered = registered.map_err(of_draft)?;
        self.simulated(&registered.ticket, registered.routed, now).await
    }

    /// What the rules would make of a ticket that is there, if some of it were different.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Invalid`] for a category that the policy does not have.
    pub async fn simulate_rerouting(
        &self,
        caller: &Caller,
        id: Uuid,
        supposed: Supposed,
    ) -> Result<pb::SimulateRoutingResponse, Error> {
        let mut conn = self.read().await?;
        let row = store::ticket::find(&mut conn, id).await?.ok_or_else(|| not_found(id))?;
        self.allow_at(caller, ACTION, &row.org_unit)?;
        let (present, version) = self.judged(&mut conn, row).await?;
        drop(conn);
        let policy = &version.policy;
        if let Some(category) = &supposed.category {
            is_known_category(policy, category).map_err(Error::Refused)?;
        }
        let mut ticket = supposed.onto(present);
        ticket.receiver_level = ticket.receiver_level.max(policy.starting_level(ticket.severity));
        let routed = policy.routing().again(&ticket);
        ticket.priority = routed.priority.map_or(ticket.priority, |to| to.max(ticket.priority));
        self.simulated(&ticket, Some(routed), self.now()).await
    }

    async fn simulated(
        &self,
        of: &Ticket,
        routed: Option<Routed>,
        now: Timestamp,
    ) -> Result<pb::SimulateRoutingResponse, Error> {
        let mut answer = pb::SimulateRoutingResponse {
            policy_version: policy::name(of.policy_version),
            severity: i32::from(of.severity.number()),
            priority: ticket::priority(of.priority).into(),
            receiver_level: i32::from(of.receiver_level.number()),
            ..Default::default()
        };
        let Some(routed) = routed else { return Ok(answer) };
        let mut conn = self.read().await?;
        let found = find(&mut conn, of, &routed, now, Hold::Nothing).await?;
        if let Some(Found { team, owner, candidates }) = found {
            answer.team = team::name(team);
            answer.owner = owner.as_deref().unwrap_or_default().to_owned();
            let candidates = candidates.into_iter().take(MAX_CANDIDATES);
            answer.candidates = candidates.map(encode::candidate).collect();
        }
        answer.rule = routed.rule.as_deref().unwrap_or_default().to_owned();
        answer.team_code = routed.team.as_deref().unwrap_or_default().to_owned();
        answer.distribution = encode::distribution(routed.distribution).into();
        answer.looks = routed.looks.iter().map(encode::look).collect();
        Ok(answer)
    }
}

/// The registration calls the ticket `ticket`, here it is `draft`.
fn of_draft(refusal: Refusal) -> Refusal {
    let Refusal::Fields(mut faults) = refusal else { return refusal };
    for fault in &mut faults {
        let field = fault.path.strip_prefix("ticket.").unwrap_or(&fault.path);
        fault.path = format!("draft.{field}");
    }
    Refusal::Fields(faults)
}
