//! Looking at the routing rules again for what is there (T-03): by a step of a trigger or macro, or because what the rules
//! look at was changed while nobody owned it; and when its receiver level has risen (T-12).

use super::{
    assign::Assignment,
    automation::AssignTo,
    change::{Change, What},
    policy::Policy,
    register::Intake,
    routing::{AssignCause, Candidate, Matter, Routed, Routing},
    ticket::{Details, State, Ticket},
    word::{Priority, Severity, Subject},
};
use uuid::Uuid;

/// Where the policy sends a ticket, looked up where teams and people are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// To whom; none where no team serves it.
    pub assignment: Option<Assignment>,
    /// How urgent it is at least.
    pub priority: Option<Priority>,
}

/// A team that serves a ticket, and who of it could own it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The team.
    pub team: Uuid,
    /// Who owns it.
    pub owner: Option<Subject>,
    /// Who could have got it, best first.
    pub candidates: Vec<Candidate>,
}

impl Placed {
    /// What was decided, and what was found for it.
    #[must_use]
    pub fn of(routed: Routed, found: Option<Found>, cause: AssignCause, reason: &str) -> Self {
        let priority = routed.priority;
        let assignment = found.map(|Found { team, owner, candidates }| Assignment {
            team,
            owner,
            cause,
            reason: reason.to_owned(),
            candidates,
            routed: Some(Box::new(routed)),
        });
        Self { assignment, priority }
    }
}

/// What of a ticket may be supposed to be different.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Supposed {
    /// Another category.
    pub category: Option<String>,
    /// Another product.
    pub product: Option<String>,
    /// Another severity.
    pub severity: Option<Severity>,
}

impl Supposed {
    /// The ticket as supposed.
    #[must_use]
    pub fn onto(self, ticket: Ticket) -> Ticket {
        let Details { category, product, .. } = ticket.details.clone();
        Ticket {
            severity: self.severity.unwrap_or(ticket.severity),
            details: Details {
                category: self.category.unwrap_or(category),
                product: self.product.unwrap_or(product),
                ..ticket.details
            },
            ..ticket
        }
    }
}

impl Routing {
    /// What the rules make of a ticket as it is. The criteria are not asked: its severity is what somebody says since.
    #[must_use]
    pub fn again(&self, ticket: &Ticket) -> Routed {
        let intake = Intake {
            org_unit: ticket.org_unit.clone(),
            kind: ticket.kind,
            channel: ticket.channel,
            complainant: ticket.complainant.clone(),
            severity: ticket.severity,
            occurred_at: ticket.occurred_at,
            details: ticket.details.clone(),
            grade: ticket.customer_grade.clone(),
            amount: ticket.amount.clone(),
            complainant_type: ticket.complainant_type.clone(),
            last_complaint_at: None,
        };
        // Its level is what became of it since, and no longer where its severity starts.
        let matter = Matter { level: ticket.receiver_level, ..self.matter(&intake) };
        self.by_rules(&matter, Vec::new())
    }

    /// Whether a ticket whose receiver level has risen goes by rules that ask for the level (T-12): to another team, whoever
    /// has it, if one of them decides now and says so. What is on its way, or needs no handling now, stays where it is.
    #[must_use]
    pub fn rises_to_rules(&self, before: &Ticket, after: &Ticket) -> bool {
        let handled = matches!(after.state, State::Open(_) | State::Waiting { .. })
            && after.handling.transfer.is_none();
        handled
            && after.receiver_level > before.receiver_level
            && self.rules.iter().any(|rule| !rule.conditions.levels.is_empty())
    }

    /// Whether changes of a ticket, which is what they made of it, are a reason to look at the rules again.
    #[must_use]
    pub fn is_looked_at_again(&self, before: &Ticket, changes: &[Change], after: &Ticket) -> bool {
        let waits = matches!(after.state, State::Open(_) | State::Waiting { .. })
            && after.owner.is_none()
            && after.handling.receiver.is_none()
            && after.handling.transfer.is_none();
        let matter = |ticket: &Ticket| {
            let Details { category, product, .. } = &ticket.details;
            (category.clone(), product.clone())
        };
        let changed = |change: &Change| match &change.what {
            What::Updated(_) | What::Corrected(_) => self.rerouting.on_category_change,
            What::Assessed { .. } => self.rerouting.on_severity_change,
            _ => false,
        };
        let differs = matter(before) != matter(after) || before.severity != after.severity;
        waits && differs && changes.iter().any(changed)
    }
}

impl AssignTo {
    /// What it comes to for a ticket.
    #[must_use]
    pub fn routed(&self, ticket: &Ticket, policy: &Policy) -> Routed {
        match self {
            Self::Rules => policy.routing().again(ticket),
            Self::Team { team, owner, distribution } => Routed {
                looks: Vec::new(),
                rule: None,
                team: Some(team.clone()),
                owner: owner.clone(),
                distribution: *distribution,
                severity: ticket.severity,
                priority: None,
            },
        }
    }
}
