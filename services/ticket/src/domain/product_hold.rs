//! Orders not to deliver a product (停发货), T-18.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    category::is_within,
    policy::Policy,
    step::{Need, Step, StepRefusal},
    ticket::Ticket,
    word::{Subject, TicketKind},
    work_order::StepTaken,
};

/// A hold. At most one is in force per org unit and product; whoever stores it sees to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductHold {
    /// Its identity.
    pub id: Uuid,
    /// Where it holds.
    pub org_unit: String,
    /// What must not be delivered.
    pub product: String,
    /// The ticket that gave cause.
    pub ticket: Option<Uuid>,
    /// The customer of that ticket.
    pub customer: Option<Uuid>,
    /// Why.
    pub reason: String,
    /// Who placed it, and since when it holds.
    pub placed: StepTaken,
    /// Why it was lifted, by whom and when.
    pub lifted: Option<(String, StepTaken)>,
    /// Counts the changes from 1.
    pub revision: i64,
}

const IN_FORCE: Need = Need::new("hold_in_force", "the hold was lifted already", "停发货已解除");

impl ProductHold {
    /// When it was last changed.
    #[must_use]
    pub fn updated_at(&self) -> Timestamp {
        self.lifted.as_ref().map_or(self.placed.at, |(_, lifted)| lifted.at)
    }
}

/// The hold after it was lifted.
///
/// # Errors
/// [`StepRefusal::IllegalState`] for one that was lifted before.
pub fn lift_hold(
    hold: &ProductHold,
    reason: String,
    actor: &Subject,
    now: Timestamp,
) -> Result<ProductHold, StepRefusal> {
    if hold.lifted.is_some() {
        let (state, command) = ("lifted", "LiftProductHold");
        return Step { subject: "product_hold", state, command }.missing(IN_FORCE);
    }
    let lifted = StepTaken { by: actor.clone(), at: now.max(hold.placed.at) };
    let (lifted, revision) = (Some((reason, lifted)), hold.revision + 1);
    Ok(ProductHold { lifted, revision, ..hold.clone() })
}

/// The product that the policy holds because of this ticket: one that a complaint in one of its categories names.
#[must_use]
pub fn held_product<'a>(ticket: &'a Ticket, policy: &Policy) -> Option<&'a str> {
    let details = &ticket.details;
    let holds = ticket.kind == TicketKind::Complaint
        && policy.learning().hold_categories.iter().any(|of| is_within(&details.category, of));
    Some(&*details.product).filter(|product| holds && !product.is_empty())
}
