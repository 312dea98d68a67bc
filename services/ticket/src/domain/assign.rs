//! Giving a ticket to a team and a person (T-03, T-25).

use uuid::Uuid;

use super::{
    change::What,
    decide::{allow, refuse, text_faults},
    refusal::{Missing, Refusal},
    routing::{AssignCause, Candidate, Distribution, Routed},
    story::Story,
    ticket::{State, Ticket},
    timers::{Until, settle},
    word::Subject,
};

/// Who is to handle a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The team.
    pub team: Uuid,
    /// The person; none puts it into the team's queue.
    pub owner: Option<Subject>,
    /// Why.
    pub cause: AssignCause,
    /// Why, in words; only where a person decided it.
    pub reason: String,
    /// Who could have got it, best first; only where it was distributed.
    pub candidates: Vec<Candidate>,
    /// What decided, where the policy did; none leaves it as it was how an owner is found.
    pub routed: Option<Box<Routed>>,
}

/// Without a difference nothing changes. Whoever hands it in has made sure that the owner may own it.
pub(super) fn assign(
    story: &mut Story<'_>,
    command: &'static str,
    assignment: Assignment,
) -> Result<(), Refusal> {
    allow(
        story,
        command,
        match story.ticket.state {
            // What is resolved still waits for somebody who tells the customer.
            State::Open(_) | State::Waiting { .. } | State::Resolved(_) => &[],
            State::ResultFedBack { .. } => &[Missing::ResultNotFedBackYet],
            State::Closed { .. } | State::Cancelled { .. } | State::Merged(_) => {
                &[Missing::NotEnded]
            }
        },
    )?;
    if assignment.cause == AssignCause::Manual {
        refuse(text_faults("reason", &assignment.reason))?;
    }
    settle(story, Until::At(story.now));
    let Ticket { team, owner, distribution, .. } = &story.ticket;
    // How an owner is found makes a difference only while there is none.
    let by = assignment.routed.as_ref().map(|routed| routed.distribution);
    let found_otherwise = owner.is_none() && by.is_some_and(|by| by != *distribution);
    if (*team, owner) != (Some(assignment.team), &assignment.owner) || found_otherwise {
        story.record(What::Assigned(assignment), Vec::new());
    }
    Ok(())
}

/// Puts a ticket that was just accepted where its transfer said: with whoever accepted it, if one of that team, or else into
/// the team's queue (T-11).
pub(super) fn receive(story: &mut Story<'_>, team: Uuid, may_own: bool) {
    let assignment = Assignment {
        team,
        owner: may_own.then(|| story.actor.subject()),
        cause: AssignCause::Transfer,
        reason: String::new(),
        candidates: Vec::new(),
        routed: None,
    };
    story.record(What::Assigned(assignment), Vec::new());
}

/// Whoever stands in for an absent receiver has the ticket instead.
pub(super) fn stand_in(story: &mut Story<'_>, by: Subject) {
    settle(story, Until::At(story.now));
    let receiver = &story.ticket.handling.receiver;
    if receiver.as_ref().is_some_and(|receiver| *receiver != by) {
        story.record(What::StoodInFor { by }, Vec::new());
    }
}

pub(super) fn apply(ticket: &mut Ticket, assignment: &Assignment) {
    ticket.team = Some(assignment.team);
    ticket.owner.clone_from(&assignment.owner);
    if let Some(routed) = &assignment.routed {
        ticket.distribution = routed.distribution;
    }
    ticket.handling.passed_on = true;
    if assignment.owner.is_some() {
        // Whoever received it answered for it until somebody was found (T-11).
        ticket.handling.receiver = None;
    }
    let chosen = assignment.routed.is_some() || assignment.cause == AssignCause::Manual;
    if assignment.owner.is_none() && !chosen {
        // Nobody chose that it lies there.
        ticket.distribution = ticket.distribution.or(Some(Distribution::LeastLoad));
    }
}

impl Ticket {
    /// Whose load it is: the owner's until the customer has been told the result. The indexes and loads of migration 0027 go
    /// by the same states.
    #[must_use]
    pub fn burden(&self) -> Option<(Uuid, &Subject)> {
        let open =
            matches!(self.state, State::Open(_) | State::Waiting { .. } | State::Resolved(_));
        self.team.zip(self.owner.as_ref()).filter(|_| open)
    }
}
