//! What the company owes an answer to (工单/投诉单), T-01, and where it stands, T-09.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    clock::ClockEntry,
    custom_field::FieldValues,
    escalation::Escalation,
    handling::Handling,
    link::{Links, Merged},
    policy::Policy,
    process_follow::RunningProcess,
    required_field,
    routing::{Amount, Distribution},
    spoken::Outbound,
    terms::Terms,
    verdict::Verdict,
    waiting::FollowUp,
    word::{Channel, Priority, ReceiverLevel, Severity, Subject, TicketKind, coded},
};

/// A ticket. Made by [`register()`](super::register()), changed by [`apply`](super::apply) alone; the
/// fields are open for the store, which puts together what it once took apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Its identity.
    pub id: Uuid,
    /// For people: unique, counted per org unit and year.
    pub number: String,
    /// The version of the policy by which it is judged to the end.
    pub policy_version: Uuid,
    /// By what it gets new promises: by that version unless they were computed anew by another.
    pub promises: Terms,
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
    /// When it happened or was said, if not at registration.
    pub occurred_at: Option<Timestamp>,
    /// What was noted at intake.
    pub details: Details,
    /// The customer's grade at intake.
    pub customer_grade: Option<String>,
    /// How urgent it is.
    pub priority: Priority,
    /// Whoever took it; never changes (首问负责人, T-02).
    pub first_contact_owner: Subject,
    /// The team that handles it.
    pub team: Option<Uuid>,
    /// Who of the team handles it now; none while it waits in the team's queue.
    pub owner: Option<Subject>,
    /// How an owner is found while there is none.
    pub distribution: Option<Distribution>,
    /// What it is about in money.
    pub amount: Option<Amount>,
    /// What whoever complains is to the company.
    pub complainant_type: Option<String>,
    /// Whoever gave the last answer or solution.
    pub handler: Option<Subject>,
    /// Everybody who gave an answer or a solution in this cycle, each once: they may not enter its
    /// verdict (T-13).
    pub cycle_handlers: Vec<Subject>,
    /// Who may handle it; never falls.
    pub receiver_level: ReceiverLevel,
    /// Counts the rounds from 1; never falls.
    pub cycle: u32,
    /// When this cycle began: registration or reopening.
    pub cycle_started_at: Timestamp,
    /// Where it stands.
    pub state: State,
    /// The solution of the last cycle that the customer did not accept; the current one is part
    /// of the state.
    pub rejected_solution: Option<Solution>,
    /// When the customer first got an answer, in the first cycle.
    pub first_response_at: Option<Timestamp>,
    /// When it was resolved for the first time.
    pub first_resolved_at: Option<Timestamp>,
    /// The promises of all cycles, oldest first.
    pub clocks: Vec<ClockEntry>,
    /// The customer's answers at call-back, oldest first.
    pub verdicts: Vec<Verdict>,
    /// The handling forms, oldest first.
    pub escalations: Vec<Escalation>,
    /// How it is handled (T-09 to T-13, T-15).
    pub handling: Handling,
    /// What it has to do with other tickets (T-04).
    pub links: Links,
    /// What became of what was said to the customer (T-14).
    pub outbound: Outbound,
    /// The process that it follows while that is under way (T-22). Changes with the process and not with the ticket.
    pub process: Option<RunningProcess>,
    /// Counts the changes, 1 at registration.
    pub revision: i64,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed; never goes back.
    pub updated_at: Timestamp,
}

/// Who complains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Complainant {
    /// A registered customer.
    Customer {
        /// The customer.
        customer: Uuid,
        /// The contact, where known.
        contact: Option<Uuid>,
    },
    /// Somebody who is no customer, by name or alias.
    Unregistered {
        /// The name.
        name: String,
    },
    /// Nobody knows.
    Anonymous,
}

/// What was noted at intake and may be corrected while the ticket is open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The customer's own words in short.
    pub subject: String,
    /// What happened, when, where and whom it concerns.
    pub description: String,
    /// Category from the company's tree.
    pub category: String,
    /// The product concerned.
    pub product: String,
    /// The customer's order or contract concerned; no work order.
    pub order_reference: String,
    /// The shop concerned.
    pub shop: String,
    /// Free tags.
    pub tags: Vec<String>,
    /// The company's own fields.
    pub fields: FieldValues,
}

impl Details {
    /// The same with other tags: what was there keeps its place, what is new comes last, each once.
    #[must_use]
    pub(super) fn tagged(&self, add: &[String], remove: &[String]) -> Self {
        let mut details = self.clone();
        details.tags.retain(|tag| !remove.contains(tag));
        for tag in add {
            if !details.tags.contains(tag) {
                details.tags.push(tag.clone());
            }
        }
        details
    }

    /// The fields in which `other` differs, by their names in the API.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let fields = [
            ("subject", self.subject == other.subject),
            ("description", self.description == other.description),
            ("category", self.category == other.category),
            ("product", self.product == other.product),
            ("order_reference", self.order_reference == other.order_reference),
            ("shop", self.shop == other.shop),
            ("tags", self.tags == other.tags),
            ("custom_fields", self.fields == other.fields),
        ];
        fields.into_iter().filter_map(|(name, same)| (!same).then_some(name)).collect()
    }
}

/// Where a ticket stands, with what is only true there (T-09).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Somebody has to do something.
    Open(Open),
    /// Waits for the customer or a named outside party (T-06).
    Waiting {
        /// For whom or what, and why.
        reason: String,
        /// Since when.
        since: Timestamp,
        /// Where it goes on.
        resume_to: Open,
        /// What is done about it meanwhile.
        follow_up: Option<FollowUp>,
    },
    /// A solution is on record.
    Resolved(Solution),
    /// The customer has been told the result.
    ResultFedBack {
        /// What was done.
        solution: Solution,
        /// Who told it.
        by: Subject,
        /// When.
        at: Timestamp,
    },
    /// Closed with a verdict, the last of [`Ticket::verdicts`], or without one for [`Handling::close_reason`].
    Closed {
        /// What was done.
        solution: Solution,
        /// When.
        at: Timestamp,
    },
    /// Cancelled.
    Cancelled {
        /// Why.
        reason: String,
        /// By whom.
        by: Subject,
        /// When.
        at: Timestamp,
    },
    /// Merged into another one, which is handled instead (T-04).
    Merged(Box<Merged>),
}

/// The states in which somebody has to do something; waiting ends in one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Nobody has answered yet.
    Registered,
    /// Somebody has answered in this cycle.
    InProgress {
        /// Since when.
        since: Timestamp,
    },
    /// Opened again by a bad verdict; nobody has answered since.
    Reopened {
        /// Since when.
        since: Timestamp,
    },
    /// Very serious and still unsatisfactory at the top level: the executives decide, and their
    /// decision is the next solution (T-12).
    ExecutiveReview {
        /// Since when.
        since: Timestamp,
    },
}

/// What was done (T-09).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solution {
    /// In words.
    pub text: String,
    /// By whom.
    pub by: Subject,
    /// When it was put on record.
    pub at: Timestamp,
}

coded! {
    /// A [`State`] or [`Open`] without what it carries.
    StateName {
        /// [`Open::Registered`].
        Registered = "registered",
        /// [`Open::InProgress`].
        InProgress = "in_progress",
        /// [`State::Waiting`].
        Waiting = "waiting",
        /// [`State::Resolved`].
        Resolved = "resolved",
        /// [`State::ResultFedBack`].
        ResultFedBack = "result_fed_back",
        /// [`Open::Reopened`].
        Reopened = "reopened",
        /// [`Open::ExecutiveReview`].
        ExecutiveReview = "executive_review",
        /// [`State::Closed`].
        Closed = "closed",
        /// [`State::Cancelled`].
        Cancelled = "cancelled",
        /// [`State::Merged`].
        Merged = "merged",
    }
}

impl Open {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> StateName {
        match self {
            Self::Registered => StateName::Registered,
            Self::InProgress { .. } => StateName::InProgress,
            Self::Reopened { .. } => StateName::Reopened,
            Self::ExecutiveReview { .. } => StateName::ExecutiveReview,
        }
    }

    /// Since when; the registration has its own time.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Registered => None,
            Self::InProgress { since }
            | Self::Reopened { since }
            | Self::ExecutiveReview { since } => Some(*since),
        }
    }

    /// What an answer makes of it: work has begun. A review stays with the executives.
    pub(super) fn answered(self, at: Timestamp) -> Self {
        match self {
            Self::Registered | Self::Reopened { .. } => Self::InProgress { since: at },
            Self::InProgress { .. } | Self::ExecutiveReview { .. } => self,
        }
    }
}

impl State {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> StateName {
        match self {
            Self::Open(open) => open.name(),
            Self::Waiting { .. } => StateName::Waiting,
            Self::Resolved(_) => StateName::Resolved,
            Self::ResultFedBack { .. } => StateName::ResultFedBack,
            Self::Closed { .. } => StateName::Closed,
            Self::Cancelled { .. } => StateName::Cancelled,
            Self::Merged(_) => StateName::Merged,
        }
    }

    /// Whether nothing can happen any more, unless a merge is undone.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Closed { .. } | Self::Cancelled { .. } | Self::Merged(_))
    }

    /// What is done while it waits.
    #[must_use]
    pub fn follow_up(&self) -> Option<&FollowUp> {
        match self {
            Self::Waiting { follow_up, .. } => follow_up.as_ref(),
            _ => None,
        }
    }

    /// The solution on record in this cycle.
    #[must_use]
    pub fn solution(&self) -> Option<&Solution> {
        match self {
            Self::Resolved(solution)
            | Self::ResultFedBack { solution, .. }
            | Self::Closed { solution, .. } => Some(solution),
            Self::Open(_) | Self::Waiting { .. } | Self::Cancelled { .. } | Self::Merged(_) => None,
        }
    }
}

impl Ticket {
    /// Finds out when it has to be looked at whether the registration lacks something, which is not stored: it follows from
    /// the ticket and the policy that judges it.
    pub(crate) fn look_for_fields(&mut self, policy: &Policy) {
        self.handling.fields_due = required_field::next_due(self, policy);
    }

    /// The last solution on record, accepted or not.
    #[must_use]
    pub fn solution(&self) -> Option<&Solution> {
        self.state.solution().or(self.rejected_solution.as_ref())
    }

    /// When the customer was told the result that waits for a verdict.
    #[must_use]
    pub fn told_at(&self) -> Option<Timestamp> {
        match self.state {
            State::ResultFedBack { at, .. } => Some(at),
            _ => None,
        }
    }

    /// When it was closed.
    #[must_use]
    pub fn closed_at(&self) -> Option<Timestamp> {
        match self.state {
            State::Closed { at, .. } => Some(at),
            _ => None,
        }
    }

    /// When one of its clocks next has something to do, or the customer is to be reminded: what a
    /// worker waits for.
    #[must_use]
    pub fn next_fire_at(&self) -> Option<Timestamp> {
        let follow_up = self.state.follow_up().and_then(FollowUp::next_alarm);
        let clocks = self.clocks.iter().filter_map(ClockEntry::next_fire_at);
        clocks.chain(follow_up.map(|(at, _)| at)).chain(self.handling.next_alarm()).min()
    }

    /// The promises of this cycle.
    pub fn current_clocks(&self) -> impl Iterator<Item = &ClockEntry> {
        self.clocks.iter().filter(|clock| clock.cycle == self.cycle)
    }

    /// The entry of a rule and cycle, of the last round.
    #[must_use]
    pub fn clock(&self, rule: &str, cycle: u32) -> Option<&ClockEntry> {
        self.clocks.iter().rfind(|clock| &*clock.rule == rule && clock.cycle == cycle)
    }

    /// Everybody who handled it in this cycle, or what was merged into it.
    pub fn handlers(&self) -> impl Iterator<Item = &Subject> {
        let own = &self.cycle_handlers;
        self.links.handlers.iter().filter(|staff| !own.contains(staff)).chain(own)
    }

    /// Whether somebody handles it in this cycle: has done so, also as what was merged into it, owns it, or has received it.
    /// Whoever does judges nothing about it (T-13).
    #[must_use]
    pub fn is_in_hands_of(&self, staff: &Subject) -> bool {
        self.handlers().any(|handler| handler == staff)
            || self.owner.as_ref() == Some(staff)
            || self.handling.receiver.as_ref() == Some(staff)
    }

    /// Whoever handles it now: the owner, and where it waits in a queue whoever answers for it.
    #[must_use]
    pub fn responsible(&self) -> &Subject {
        self.owner.as_ref().unwrap_or_else(|| self.answerable())
    }

    /// Whoever has received it since, or works on it, or else whoever is to, or else whoever took it. Whoever worked on it
    /// before it changed hands answers for it no more (T-11, T-19).
    #[must_use]
    pub fn answerable(&self) -> &Subject {
        self.handling
            .receiver
            .as_ref()
            .or(self.handler.as_ref().filter(|_| !self.handling.passed_on))
            .or(self.owner.as_ref())
            .unwrap_or(&self.first_contact_owner)
    }
}
