//! Intake: a ticket is registered at once, whoever takes the call (T-01, T-02, T-05).

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    change::{Change, What},
    clock::ClockEffect,
    handling::Handling,
    policy::Policy,
    refusal::Refusal,
    story::started,
    ticket::{Complainant, Details, Open, State, Ticket},
    word::{Actor, Channel, ClockKind, Fault, Severity, TicketKind},
};

/// What was said at intake. Checked for length and characters by whoever decoded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intake {
    /// The org unit that answers for it.
    pub org_unit: String,
    /// What kind of matter.
    pub kind: TicketKind,
    /// How it came in.
    pub channel: Channel,
    /// Who complains.
    pub complainant: Complainant,
    /// How much it weighs.
    pub severity: Severity,
    /// When it happened or was said, if not now; not in the future.
    pub occurred_at: Option<Timestamp>,
    /// What was noted down.
    pub details: Details,
    /// The customer's grade as far as known, for the priority (T-03).
    pub grade: Option<String>,
}

/// What makes it this ticket and no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub id: Uuid,
    /// Its number for people. Whoever counts numbers only when storing puts it into
    /// [`Ticket::number`] then; nothing here depends on it.
    pub number: String,
    /// The version of the policy in force.
    pub policy_version: Uuid,
}

/// A new ticket at revision 1 and the change that tells of it, which it already contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The ticket.
    pub ticket: Ticket,
    /// That it was registered; exactly one.
    pub changes: Vec<Change>,
}

/// Registers a ticket: priority by the customer's grade, receiver level by severity, clocks by the
/// policy, the first-contact owner once and for all.
///
/// # Errors
/// [`Refusal::Fields`] for a time in the future, [`Refusal::NoDeadline`] for a promise that cannot
/// be computed.
pub fn register(
    intake: Intake,
    identity: Identity,
    policy: &Policy,
    actor: &Actor,
    now: Timestamp,
) -> Result<Registration, Refusal> {
    if intake.occurred_at.is_some_and(|at| at > now) {
        let fault = Fault::new("occur_time", format!("must not be after {now}, which is now"));
        return Err(Refusal::Fields(vec![fault]));
    }
    let mut ticket = Ticket {
        id: identity.id,
        number: identity.number,
        policy_version: identity.policy_version,
        org_unit: intake.org_unit,
        kind: intake.kind,
        channel: intake.channel,
        complainant: intake.complainant,
        severity: intake.severity,
        occurred_at: intake.occurred_at,
        details: intake.details,
        priority: policy.priority(intake.grade.as_deref()),
        customer_grade: intake.grade,
        first_contact_owner: actor.subject(),
        handler: None,
        cycle_handlers: Vec::new(),
        receiver_level: policy.starting_level(intake.severity),
        cycle: 1,
        cycle_started_at: now,
        state: State::Open(Open::Registered),
        rejected_solution: None,
        first_response_at: None,
        first_resolved_at: None,
        clocks: Vec::new(),
        verdicts: Vec::new(),
        escalations: Vec::new(),
        handling: Handling::default(),
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    let clocks = started(&ticket, policy, &ClockKind::OPENING, ticket.cycle, now)?;
    ticket.clocks = clocks
        .iter()
        .filter_map(|change| match &change.effect {
            ClockEffect::Started(entry) => Some((**entry).clone()),
            _ => None,
        })
        .collect();
    // Reported by whoever looks at it next, at the latest the timers: the registration is one statement (T-15).
    ticket.handling.report_at = policy.handling.criterion(&ticket).map(|_| now);
    let change =
        Change { actor: actor.clone(), at: now, effective_at: now, what: What::Registered, clocks };
    Ok(Registration { ticket, changes: vec![change] })
}
