//! Who handles a ticket after it was registered (T-03, T-25): by hand, and by itself where somebody comes, goes or leaves.

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_journal::Provenance;
use kefu_postgres::StoreError;
use kefu_rpc::{Etag, Fault};
use sqlx::PgConnection;
use uuid::Uuid;

use super::error::check_etag;
use super::ticket::not_found;
use super::timer::Fired;
use super::{App, Call, Error, change, merge};
use crate::domain::{
    Actor, AssignCause, Assignment, Candidate, Command, Subject, Ticket, decide, rank,
};
use crate::encode::{routing as encode, ticket};
use crate::store;
use crate::store::routing::Stranded;
use crate::store::team::Team;

/// Beside the methods: deciding for the people of a team.
pub(super) const SUPERVISE: &str = "ticket.SuperviseTeam";
/// Under which name it goes on record.
const DUTY: &str = "duty";

/// To whom a ticket is to go.
#[derive(Clone, Debug)]
pub struct NewOwner {
    /// The team.
    pub team: Uuid,
    /// The person; none puts it into the team's queue.
    pub owner: Option<Subject>,
    /// Why.
    pub reason: String,
}

impl App {
    /// Gives a ticket to somebody by hand: whoever supervises the team that has it, or a member of it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagStale`], [`Error::RequestIdReused`], [`Error::Invalid`] for a
    /// team or owner that it cannot go to, [`Error::Refused`].
    pub async fn assign_ticket(
        &self,
        call: &Call,
        id: Uuid,
        etag: Option<Etag>,
        new: NewOwner,
    ) -> Result<pb::Ticket, Error> {
        const ACTION: &str = "ticket.AssignTicket";
        let mut work = self.begin(call).await?;
        let org_unit = store::ticket::lock(work.conn(), id).await?.ok_or_else(|| not_found(id))?;
        if let Err(denied) = self.allow_at(&call.caller, ACTION, &org_unit) {
            return work.answered().await?.ok_or(denied);
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        let row = store::ticket::find(work.conn(), id).await?.ok_or_else(|| not_found(id))?;
        let (ticket, version) = self.judged(work.conn(), row).await?;
        check_etag(etag, ticket.revision)?;
        let now = work.now();
        let team = eligible(work.conn(), &ticket, &new, now).await?;
        self.allow_giving(work.conn(), &call.caller, (&ticket, team.id), now).await?;
        let assignment = Assignment {
            team: team.id,
            owner: new.owner,
            cause: AssignCause::Manual,
            reason: new.reason,
            candidates: Vec::new(),
            routed: None,
        };
        let actor = Actor::staff(call.caller.subject());
        let command = Command::Assign(assignment);
        let changes = match decide(&ticket, &version.policy, command, &actor, now) {
            Ok(changes) => changes,
            Err(refusal) => return Err(merge::refused(work.conn(), refusal).await),
        };
        let ticket = change::record(work.conn(), &self.ids, ticket, &changes, &call.by).await?;
        let answer = work.commit(ticket::resource(&ticket)).await?;
        self.timers.expect(ticket.next_fire_at());
        Ok(answer)
    }

    /// Why a ticket is where it is.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn explain_routing(
        &self,
        caller: &Caller,
        id: Uuid,
    ) -> Result<Vec<pb::RoutingStep>, Error> {
        let mut conn = self.read().await?;
        self.allow_ticket(&mut conn, caller, "ticket.ExplainRouting", id).await?;
        let steps = store::routing::steps(&mut conn, id).await?;
        Ok(steps.iter().map(encode::step).collect::<Result<_, _>>()?)
    }

    /// Finds an owner for a ticket that waits for one, if somebody is on duty.
    ///
    /// # Errors
    /// [`Error::Store`] when the database is away or holds what nobody understands.
    pub async fn distribute(&self, id: Uuid) -> Result<Fired, Error> {
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        let Some(ticket) = lock_free(&mut tx, id).await? else { return Ok(Fired::Busy) };
        let (ticket, version) = self.judged(&mut tx, ticket).await?;
        let (Some(team), None, Some(by)) = (ticket.team, &ticket.owner, ticket.distribution) else {
            return Ok(Fired::Nothing);
        };
        let now = self.now();
        let mut candidates = store::routing::candidates(&mut tx, team, &[], now).await?;
        rank(&mut candidates, by);
        let Some(Candidate { staff, .. }) = candidates.first() else { return Ok(Fired::Nothing) };
        let owner = staff.clone();
        let assignment = Assignment {
            team,
            owner: Some(owner.clone()),
            cause: AssignCause::Duty,
            reason: String::new(),
            candidates,
            routed: None,
        };
        let command = Command::Assign(assignment);
        let changes = decide(&ticket, &version.policy, command, &Actor::System(DUTY), now)?;
        if changes.is_empty() {
            return Ok(Fired::Nothing);
        }
        let by = Provenance::system(DUTY);
        change::record(&mut tx, &self.ids, ticket, &changes, &by).await?;
        store::routing::take_turn(&mut tx, team, &owner).await?;
        tx.commit().await?;
        self.tail.wake();
        Ok(Fired::Yes)
    }

    /// Gives a ticket whose owner cannot go on with it to whoever stands in, or back to its team: who is away and who stands
    /// in is looked up once the ticket is locked, for it may be a while since the ticket was found, and whoever stands in gets
    /// only what he sees.
    ///
    /// # Errors
    /// [`Error::Store`] when the database is away or holds what nobody understands.
    pub(crate) async fn hand_over(&self, stranded: &Stranded) -> Result<Fired, Error> {
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        let Some(ticket) = lock_free(&mut tx, stranded.ticket).await? else {
            return Ok(Fired::Busy);
        };
        let (ticket, version) = self.judged(&mut tx, ticket).await?;
        let held = ticket.burden();
        let held =
            held.filter(|(team, owner)| *team == stranded.team && ***owner == *stranded.owner);
        let now = self.now();
        let away = match held {
            Some(held) => store::routing::away(&mut tx, held, &ticket.org_unit, now).await?,
            None => None,
        };
        let Some(away) = away else { return Ok(Fired::Nothing) };
        let assignment = Assignment {
            team: stranded.team,
            cause: if away.absent { AssignCause::Absence } else { AssignCause::Left },
            owner: away.heir.map(Into::into),
            reason: String::new(),
            candidates: Vec::new(),
            routed: None,
        };
        let command = Command::Assign(assignment);
        let changes = decide(&ticket, &version.policy, command, &Actor::System(DUTY), now)?;
        if changes.is_empty() {
            return Ok(Fired::Nothing);
        }
        let by = Provenance::system(DUTY);
        change::record(&mut tx, &self.ids, ticket, &changes, &by).await?;
        tx.commit().await?;
        self.tail.wake();
        Ok(Fired::Yes)
    }
}

impl App {
    /// Gives a ticket whose receiver is absent, and which nobody owns or handles yet, to whoever stands in (T-11, T-25).
    ///
    /// # Errors
    /// [`Error::Store`] when the database is away or holds what nobody understands.
    pub(crate) async fn stand_in(&self, id: Uuid) -> Result<Fired, Error> {
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        let Some(ticket) = lock_free(&mut tx, id).await? else { return Ok(Fired::Busy) };
        let (ticket, version) = self.judged(&mut tx, ticket).await?;
        let Some(receiver) = &ticket.handling.receiver else { return Ok(Fired::Nothing) };
        let now = self.now();
        let heir = store::routing::heir(&mut tx, receiver, &ticket.org_unit, now).await?;
        let Some(heir) = heir else { return Ok(Fired::Nothing) };
        let command = Command::StandIn { by: heir.into() };
        let changes = decide(&ticket, &version.policy, command, &Actor::System(DUTY), now)?;
        if changes.is_empty() {
            return Ok(Fired::Nothing);
        }
        let by = Provenance::system(DUTY);
        change::record(&mut tx, &self.ids, ticket, &changes, &by).await?;
        tx.commit().await?;
        self.tail.wake();
        Ok(Fired::Yes)
    }
}

/// The ticket, locked; none while somebody else is at it.
async fn lock_free(
    conn: &mut PgConnection,
    id: Uuid,
) -> Result<Option<store::ticket::TicketRow>, StoreError> {
    if store::ticket::lock_free(conn, &[id]).await?.is_empty() {
        return Ok(None);
    }
    store::ticket::find(conn, id).await
}

/// The team that a ticket is to go to, if it can go there and to that owner.
async fn eligible(
    conn: &mut PgConnection,
    ticket: &Ticket,
    new: &NewOwner,
    now: Timestamp,
) -> Result<Team, Error> {
    let serves = |team: &Team| {
        let units: Option<(OrgUnit, OrgUnit)> =
            team.org_unit.parse().ok().zip(ticket.org_unit.parse().ok());
        units.is_some_and(|(of, at)| of.contains(&at)) && !team.retired
    };
    let team = store::team::find(conn, new.team).await?.filter(serves);
    let team = team.ok_or_else(|| {
        let description = "names no team in use at or above the ticket's org unit";
        let fault = Fault::new("UNKNOWN_TEAM", description, "没有服务于该组织单元的此团队");
        Error::Invalid("team", fault)
    })?;
    if let Some(owner) = &new.owner
        && !store::team::may_own(conn, team.id, owner, now).await?
    {
        let description = "is neither a member of the team nor stands in for one now";
        let fault = Fault::new("UNKNOWN_MEMBER", description, "不是该团队成员，也不是其代理人");
        return Err(Error::Invalid("owner", fault));
    }
    Ok(team)
}
