//! From what the policy's rules say to a team and a person (T-03): for steps of triggers and macros, for what is routed again,
//! and to show what would be.

use jiff::Timestamp;
use kefu_identity::Caller;
use kefu_postgres::StoreError;
use sqlx::PgConnection;
use uuid::Uuid;

use super::routing::SUPERVISE;
use super::{App, Error};
use crate::domain::{
    Actor, AssignCause, AutoStep, Change, Command, Found, Placed, Policy, Routed, Ticket, What,
    apply, decide, rank,
};
use crate::store;

/// Whether others are kept from distributing in the team until the end of the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold<'a> {
    /// They are: somebody is about to get the ticket, and whose load it is to lose it.
    Team,
    /// The same, where another ticket leaves its owner in the same transaction.
    Beside(&'a Ticket),
    /// They are not: it is only to be shown.
    Nothing,
}

/// The team that serves an org unit, and who of it would own a ticket now: whom the rule names if in the team, in his absence
/// whoever stands in; else whoever is on duty and comes first.
pub(crate) async fn find(
    conn: &mut PgConnection,
    ticket: &Ticket,
    routed: &Routed,
    now: Timestamp,
    hold: Hold<'_>,
) -> Result<Option<Found>, StoreError> {
    let Some(code) = &routed.team else { return Ok(None) };
    let team = store::placement::team(conn, code, &ticket.org_unit).await?;
    let Some(team) = team else { return Ok(None) };
    if hold != Hold::Nothing && (routed.owner.is_some() || routed.distribution.is_some()) {
        store::team::lock(conn, team).await?;
    }
    if let Some(named) = &routed.owner
        && let Some(owner) = store::placement::acting(conn, team, named, now).await?
    {
        return Ok(Some(Found { team, owner: Some(owner), candidates: Vec::new() }));
    }
    let Some(by) = routed.distribution else {
        return Ok(Some(Found { team, owner: None, candidates: Vec::new() }));
    };
    let mut candidates = match hold {
        Hold::Team | Hold::Beside(_) => {
            let beside = match hold {
                Hold::Beside(other) => other.burden(),
                _ => None,
            };
            let from: Vec<_> = ticket.burden().into_iter().chain(beside).collect();
            store::routing::candidates(conn, team, &from, now).await?
        }
        Hold::Nothing => store::placement::candidates(conn, team, now).await?,
    };
    rank(&mut candidates, by);
    let owner = candidates.first().map(|first| first.staff.clone());
    Ok(Some(Found { team, owner, candidates }))
}

/// Where the step among `steps` that assigns a ticket sends it; none where there is none.
pub(crate) async fn place(
    conn: &mut PgConnection,
    (ticket, policy): (&Ticket, &Policy),
    steps: &[AutoStep],
    (cause, reason): (AssignCause, &str),
    (now, hold): (Timestamp, Hold<'_>),
) -> Result<Option<Placed>, StoreError> {
    let Some(to) = steps.iter().find_map(AutoStep::assigns) else { return Ok(None) };
    let routed = to.routed(ticket, policy);
    let found = find(conn, ticket, &routed, now, hold).await?;
    Ok(Some(Placed::of(routed, found, cause, reason)))
}

/// It was the turn of whoever got a ticket by these changes, which are on record by now, in a team that [`find`] has locked.
pub(crate) async fn take_turn(
    conn: &mut PgConnection,
    changes: &[Change],
) -> Result<(), StoreError> {
    for change in changes {
        if let What::Assigned(assignment) = &change.what
            && assignment.routed.is_some()
            && let Some(owner) = &assignment.owner
        {
            store::routing::take_turn(conn, assignment.team, owner).await?;
        }
    }
    Ok(())
}

/// What follows of changes of a ticket for who handles it, where the policy has its rules looked at again, or the receiver level
/// rose to that of a rule (T-12): changes that come after those. The ticket is locked, its team is locked after it; a transaction
/// does this for one ticket, so that all lock in one order. In the name of the context, not of whoever corrected a category.
pub(crate) async fn reroute(
    conn: &mut PgConnection,
    (ticket, policy): (&Ticket, &Policy),
    changes: &[Change],
    (now, hold): (Timestamp, Hold<'_>),
) -> Result<Vec<Change>, Error> {
    let mut after = ticket.clone();
    changes.iter().for_each(|change| apply(&mut after, change));
    let routing = policy.routing();
    let unowned = routing.is_looked_at_again(ticket, changes, &after);
    if !unowned && !routing.rises_to_rules(ticket, &after) {
        return Ok(Vec::new());
    }
    let routed = routing.again(&after);
    if !unowned && !routing.goes_by_level(&routed) {
        return Ok(Vec::new());
    }
    let found = find(conn, &after, &routed, now, hold).await?;
    if !unowned && found.as_ref().is_none_or(|found| Some(found.team) == after.team) {
        // Whoever has it in the team of the level keeps it.
        return Ok(Vec::new());
    }
    let placed = Placed::of(routed, found, AssignCause::Rerouted, "");
    let raise = placed.priority.map(|to| Command::RaisePriority { to });
    let mut following = Vec::new();
    for command in raise.into_iter().chain(placed.assignment.map(Command::Assign)) {
        let changes = decide(&after, policy, command, &Actor::ROUTING, now)?;
        changes.iter().for_each(|change| apply(&mut after, change));
        following.extend(changes);
    }
    Ok(following)
}

impl App {
    /// Passes if the caller may give a ticket to a team: whoever supervises; else whoever has it may pass it on, and what
    /// nobody has may be taken by the team that it goes to.
    pub(crate) async fn allow_giving(
        &self,
        conn: &mut PgConnection,
        caller: &Caller,
        (ticket, team): (&Ticket, Uuid),
        now: Timestamp,
    ) -> Result<(), Error> {
        let supervises = self.allow_at(caller, SUPERVISE, &ticket.org_unit);
        if supervises.is_ok() {
            return Ok(());
        }
        let present = ticket.team.unwrap_or(team);
        if store::team::may_own(conn, present, caller.subject(), now).await? {
            return Ok(());
        }
        supervises
    }
}
