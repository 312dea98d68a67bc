//! Intake: a ticket is registered at once, whoever takes the call (T-01, T-02, T-05).

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    change::{Change, What},
    clock::ClockEffect,
    content_rules,
    handling::Handling,
    link::Links,
    policy::Policy,
    refusal::Refusal,
    required_field,
    routing::{Amount, Routed},
    spoken::Outbound,
    story::started,
    terms::Terms,
    ticket::{Complainant, Details, Open, State, Ticket},
    word::{Actor, Channel, ClockKind, Fault, Severity, TicketKind, Words},
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
    /// What it is about in money.
    pub amount: Option<Amount>,
    /// What whoever complains is to the company.
    pub complainant_type: Option<String>,
    /// When the same customer last complained of the same category and product, as far as the policy asks for it.
    pub last_complaint_at: Option<Timestamp>,
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
    /// Who is to handle it, by the policy's rules; none where it has none. The ticket itself has neither team nor owner
    /// yet: who is on duty is known only where it is stored.
    pub routed: Option<Routed>,
}

/// Registers a ticket: severity by the policy's criteria but not below what was stated, priority by the customer's grade and
/// the routing rule that decides, whichever is higher, receiver level by severity, clocks by the policy, the first-contact
/// owner once and for all.
///
/// # Errors
/// [`Refusal::Fields`] for a time in the future and what the policy does not know, [`Refusal::NoDeadline`] for a promise that cannot
/// be computed.
pub fn register(
    mut intake: Intake,
    identity: Identity,
    policy: &Policy,
    actor: &Actor,
    now: Timestamp,
) -> Result<Registration, Refusal> {
    let mut faults = Vec::new();
    if intake.occurred_at.is_some_and(|at| at > now) {
        faults.push(Fault::new("occur_time", Words::ahead(now)));
    }
    if !policy.routing().categories().allows(&intake.details.category) {
        faults.push(unknown_category());
    }
    if !policy.routing().allows_complainant_type(intake.complainant_type.as_deref()) {
        faults.push(unknown_complainant_type());
    }
    match content_rules::read(policy.content(), None, intake.details.clone(), intake.kind) {
        Ok(details) => intake.details = details,
        Err(more) => faults.extend(more),
    }
    if !faults.is_empty() {
        return Err(Refusal::Fields(faults));
    }
    let routed = policy.routing().route(&intake, now);
    let severity = routed.as_ref().map_or(intake.severity, |routed| routed.severity);
    let asked = routed.as_ref().and_then(|routed| routed.priority);
    let priority = policy.priority(intake.grade.as_deref());
    let mut ticket = Ticket {
        id: identity.id,
        number: identity.number,
        policy_version: identity.policy_version,
        promises: Terms::default(),
        org_unit: intake.org_unit,
        kind: intake.kind,
        channel: intake.channel,
        complainant: intake.complainant,
        severity,
        occurred_at: intake.occurred_at,
        details: intake.details,
        priority: asked.map_or(priority, |asked| asked.max(priority)),
        customer_grade: intake.grade,
        first_contact_owner: actor.subject(),
        team: None,
        owner: None,
        distribution: None,
        amount: intake.amount,
        complainant_type: intake.complainant_type,
        handler: None,
        cycle_handlers: Vec::new(),
        receiver_level: policy.starting_level(severity),
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
        links: Links::default(),
        outbound: Outbound::default(),
        process: None,
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
    // So is what the registration lacks: nobody who calls waits until everything is noted (T-19).
    ticket.handling.fields_due = required_field::next_due(&ticket, policy);
    let change =
        Change { actor: actor.clone(), at: now, effective_at: now, what: What::Registered, clocks };
    Ok(Registration { ticket, changes: vec![change], routed })
}

/// Passes if a category is one of the policy's.
///
/// # Errors
/// [`Refusal::Fields`] about `category`.
pub fn is_known_category(policy: &Policy, category: &str) -> Result<(), Refusal> {
    if policy.routing().categories().allows(category) {
        return Ok(());
    }
    Err(Refusal::Fields(vec![Fault { path: "category".to_owned(), ..unknown_category() }]))
}

pub(super) fn unknown_complainant_type() -> Fault {
    let english = "must be one of the policy's types of complainants, or empty";
    Fault::new("ticket.complainant_type", (english, "投诉人类型不在制度规定的范围内"))
}

pub(super) fn unknown_category() -> Fault {
    let english = "must be a category of the policy's tree, by the codes from the top, or empty";
    Fault::new("ticket.category", (english, "类别不在制度的类别树中"))
}
