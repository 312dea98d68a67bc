//! Putting right of whom and about what a ticket was registered (T-01). What it said before is in its history.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    change::What,
    decide::{allow, refuse, text_faults},
    refusal::{Missing, Refusal},
    register,
    story::Story,
    ticket::{Complainant, State, Ticket},
    timers::{Until, settle},
    word::{Fault, Priority},
};

/// What becomes of something that may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fix<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// There is none.
    Empty,
    /// It is this.
    To(T),
}

impl<T> Fix<T> {
    /// What it is then.
    pub fn onto(self, present: Option<T>) -> Option<T> {
        match self {
            Self::Keep => present,
            Self::Empty => None,
            Self::To(value) => Some(value),
        }
    }
}

/// What is to be put right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Correction {
    /// Why.
    pub reason: String,
    /// The registered customer.
    pub customer: Fix<Uuid>,
    /// The contact, behind the customer whose it is.
    pub contact: Fix<(Uuid, Uuid)>,
    /// The name of whoever is no customer.
    pub complainant: Fix<String>,
    /// What whoever complains is to the company.
    pub complainant_type: Fix<String>,
    /// When it happened.
    pub occurred_at: Fix<Timestamp>,
    /// The product.
    pub product: Fix<String>,
    /// The customer's order or contract.
    pub order_reference: Fix<String>,
    /// The shop.
    pub shop: Fix<String>,
    /// The grade of whoever it is then about the product that it is then, looked up where [`Self::to_grade`] asks for it.
    pub grade: Fix<String>,
    /// What of the above names nobody, looked up by whoever hands this in.
    pub unknown: Vec<Fault>,
}

/// What of a registration can be put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Who complains.
    pub complainant: Complainant,
    /// What whoever complains is to the company.
    pub complainant_type: Option<String>,
    /// When it happened.
    pub occurred_at: Option<Timestamp>,
    /// The product.
    pub product: String,
    /// The customer's order or contract.
    pub order_reference: String,
    /// The shop.
    pub shop: String,
    /// The customer's grade.
    pub grade: Option<String>,
}

/// What was put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrected {
    /// What is true.
    pub facts: Facts,
    /// How urgent it is.
    pub priority: Priority,
    /// Why.
    pub reason: String,
}

impl Facts {
    /// Those of a ticket.
    #[must_use]
    pub fn of(ticket: &Ticket) -> Self {
        Self {
            complainant: ticket.complainant.clone(),
            complainant_type: ticket.complainant_type.clone(),
            occurred_at: ticket.occurred_at,
            product: ticket.details.product.clone(),
            order_reference: ticket.details.order_reference.clone(),
            shop: ticket.details.shop.clone(),
            grade: ticket.customer_grade.clone(),
        }
    }

    /// The fields in which others differ, by their names in the API; the grade is nobody's to correct.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let (one, another) = (Party::of(&self.complainant), Party::of(&other.complainant));
        let fields = [
            ("customer", one.customer == another.customer),
            ("contact", one.contact == another.contact),
            ("complainant", one.name == another.name),
            ("complainant_type", self.complainant_type == other.complainant_type),
            ("occur_time", self.occurred_at == other.occurred_at),
            ("product", self.product == other.product),
            ("order_reference", self.order_reference == other.order_reference),
            ("shop", self.shop == other.shop),
        ];
        fields.into_iter().filter_map(|(name, same)| (!same).then_some(name)).collect()
    }
}

/// Who complains, by field.
struct Party {
    customer: Option<Uuid>,
    contact: Option<Uuid>,
    name: Option<String>,
}

impl Party {
    fn of(complainant: &Complainant) -> Self {
        let (customer, contact, name) = match complainant {
            Complainant::Customer { customer, contact } => (Some(*customer), *contact, None),
            Complainant::Unregistered { name } => (None, None, Some(name.clone())),
            Complainant::Anonymous => (None, None, None),
        };
        Self { customer, contact, name }
    }
}

impl Correction {
    /// Whose grade about which product is to be looked up: that of the customer whom the ticket has then, where customer or
    /// product are others than before. The customer is none where there will be none.
    #[must_use]
    pub fn to_grade(&self, ticket: &Ticket) -> Option<(Option<Uuid>, String)> {
        let present = Party::of(&ticket.complainant).customer;
        let customer = self.customer.clone().onto(present);
        let product = text(self.product.clone(), &ticket.details.product);
        (customer != present || product != ticket.details.product).then_some((customer, product))
    }

    /// What a ticket says then, and everything that is wrong with that.
    fn onto(self, ticket: &Ticket, faults: &mut Vec<Fault>) -> Facts {
        let before = Facts::of(ticket);
        Facts {
            complainant: self.complainant(&before.complainant, faults),
            complainant_type: self.complainant_type.onto(before.complainant_type),
            occurred_at: self.occurred_at.onto(before.occurred_at),
            product: text(self.product, &before.product),
            order_reference: text(self.order_reference, &before.order_reference),
            shop: text(self.shop, &before.shop),
            grade: self.grade.onto(before.grade),
        }
    }

    fn complainant(&self, present: &Complainant, faults: &mut Vec<Fault>) -> Complainant {
        let present = Party::of(present);
        let Some(customer) = self.customer.clone().onto(present.customer) else {
            if matches!(self.contact, Fix::To(_)) {
                let chinese = "填写联系人时必须填写客户";
                faults.push(fault("ticket.customer", "is required with a contact", chinese));
            }
            return match self.complainant.clone().onto(present.name) {
                Some(name) => Complainant::Unregistered { name },
                None => Complainant::Anonymous,
            };
        };
        if matches!(self.complainant, Fix::To(_)) {
            let description = "must be empty for a registered customer";
            faults.push(fault("ticket.complainant", description, "已登记客户无须填写投诉人"));
        }
        let contact = match self.contact {
            Fix::To((owner, _)) if owner != customer => {
                let description = "is not a contact of that customer";
                faults.push(fault("ticket.contact", description, "联系人不属于该客户"));
                None
            }
            Fix::To((_, contact)) => Some(contact),
            Fix::Empty => None,
            // A contact goes with its customer.
            Fix::Keep => present.contact.filter(|_| present.customer == Some(customer)),
        };
        Complainant::Customer { customer, contact }
    }
}

fn text(fix: Fix<String>, present: &str) -> String {
    fix.onto(Some(present.to_owned())).unwrap_or_default()
}

fn fault(path: &str, description: &str, chinese: &str) -> Fault {
    Fault::new(path, (description, chinese))
}

/// Who turns out to be of a higher grade is served as such from now on; what was taken up as urgent stays so. Severity and
/// promises stay: they are of the matter, and whoever finds them wrong assesses the ticket.
pub(super) fn correct(
    story: &mut Story<'_>,
    command: &'static str,
    correction: Correction,
) -> Result<(), Refusal> {
    let ended = story.ticket.state.is_final();
    allow(story, command, if ended { &[Missing::NotEnded] } else { &[] })?;
    let reason = correction.reason.clone();
    let mut faults = text_faults("reason", &reason);
    let before = Facts::of(&story.ticket);
    let unknown = correction.unknown.clone();
    let facts = correction.onto(&story.ticket, &mut faults);
    for fault in unknown {
        if faults.iter().all(|known| known.path != fault.path) {
            faults.push(fault);
        }
    }
    let routing = story.policy.routing();
    if facts.complainant_type != before.complainant_type
        && !routing.allows_complainant_type(facts.complainant_type.as_deref())
    {
        faults.push(register::unknown_complainant_type());
    }
    let registered = story.ticket.created_at;
    if facts.occurred_at != before.occurred_at && facts.occurred_at > Some(registered) {
        let description = format!("must not be after {registered}, when the ticket was registered");
        faults.push(fault("ticket.occur_time", &description, "不得晚于工单登记时间"));
    }
    refuse(faults)?;
    settle(story, Until::At(story.now));
    if facts == before {
        return Ok(());
    }
    let mut priority = story.ticket.priority;
    if facts.grade != before.grade {
        priority = priority.max(story.policy.priority(facts.grade.as_deref()));
    }
    story.record(What::Corrected(Box::new(Corrected { facts, priority, reason })), Vec::new());
    Ok(())
}

/// Whom earlier messages went to may be somebody else: nothing goes there by itself any more.
pub(super) fn apply(ticket: &mut Ticket, corrected: &Corrected) {
    let facts = corrected.facts.clone();
    if facts.complainant != ticket.complainant {
        ticket.outbound.recipients.clear();
        if let State::Waiting { follow_up: Some(follow_up), .. } = &mut ticket.state {
            follow_up.recipient = None;
        }
    }
    ticket.complainant = facts.complainant;
    ticket.complainant_type = facts.complainant_type;
    ticket.occurred_at = facts.occurred_at;
    ticket.details.product = facts.product;
    ticket.details.order_reference = facts.order_reference;
    ticket.details.shop = facts.shop;
    ticket.customer_grade = facts.grade;
    ticket.priority = corrected.priority;
}
