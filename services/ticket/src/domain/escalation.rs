//! The handling form at the next receiver level (T-12).

use jiff::Timestamp;

use super::{
    policy::Policy,
    ticket::Ticket,
    word::{ReceiverLevel, coded},
};

coded! {
    /// Why a ticket was escalated.
    EscalationCause {
        /// A promise was broken (T-07).
        Breach = "breach",
        /// The customer is dissatisfied (T-13).
        Verdict = "verdict",
        /// A manager decided it, or somebody above.
        Manager = "manager",
        /// A step of a clock's escalation (T-07).
        Step = "step",
        /// The level may not resolve it (T-12).
        Authority = "authority",
        /// Whoever handles it asked for it.
        Handler = "handler",
        /// A trigger of the policy (T-26).
        Trigger = "trigger",
        /// What was merged into it was further up (T-04).
        Merge = "merge",
    }
}

/// A handling form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// Why.
    pub cause: EscalationCause,
    /// From which level.
    pub from: ReceiverLevel,
    /// To which level; the same where there is none above.
    pub to: ReceiverLevel,
    /// In which cycle it was decided: a bad verdict's form belongs to the cycle that it judges.
    pub cycle: u32,
    /// In words.
    pub reason: String,
    /// As of when: a breach escalates at its deadline, however late it was processed.
    pub at: Timestamp,
}

/// The handling form for the next level, or for the top where there is none above.
pub(super) fn next(
    ticket: &Ticket,
    policy: &Policy,
    cause: EscalationCause,
    reason: String,
    at: Timestamp,
) -> Escalation {
    let from = ticket.receiver_level;
    let to = from.raised(policy.top_level());
    Escalation { cause, from, to, cycle: ticket.cycle, reason, at }
}

/// The handling form for a certain level; none where the ticket is there or above already.
pub(super) fn to_level(
    ticket: &Ticket,
    to: ReceiverLevel,
    reason: String,
    at: Timestamp,
) -> Option<Escalation> {
    let from = ticket.receiver_level;
    let cause = EscalationCause::Step;
    (to > from).then_some(Escalation { cause, from, to, cycle: ticket.cycle, reason, at })
}

/// The handling form for the level that may resolve it.
pub(super) fn by_authority(
    ticket: &Ticket,
    to: ReceiverLevel,
    reason: String,
    at: Timestamp,
) -> Escalation {
    let from = ticket.receiver_level;
    Escalation { cause: EscalationCause::Authority, from, to, cycle: ticket.cycle, reason, at }
}
