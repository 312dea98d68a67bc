//! Whether two tickets are about the same matter (T-04).
//!
//! Texts are compared by the words that they have in common, where words have spaces between them, and by the pairs of
//! characters, where they have none, folded as for the search. Half of the likeness is how much of both texts is common to
//! them, half how much of the shorter one is: whoever calls again says less, or more.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{
    link_rules::LinkRules,
    search::parts,
    ticket::{Complainant, Ticket},
    word::coded,
};

/// The longest text that is compared, in characters: what comes after it says little about the matter.
const MAX_TEXT: usize = 2_000;
/// So many words are looked for.
const MOST_WORDS: usize = 16;
/// What of the score comes of the texts, a contact, a customer and a product; the texts can make all of it by themselves.
const TEXT: u32 = 60;
const CONTACT: u32 = 25;
const CUSTOMER: u32 = 20;
const PRODUCT: u32 = 15;

/// What is compared of a ticket, registered or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matter {
    /// The customer.
    pub customer: Option<Uuid>,
    /// The contact.
    pub contact: Option<Uuid>,
    /// The product.
    pub product: String,
    /// Words and pairs of characters of subject and description.
    pub grams: BTreeSet<i32>,
    /// When it came in.
    pub at: Timestamp,
}

coded! {
    /// What speaks for a duplicate.
    LikelyReason {
        /// The texts.
        Text = "text",
        /// The contact.
        Contact = "contact",
        /// The customer.
        Customer = "customer",
        /// The product.
        Product = "product",
    }
}

/// How likely it is that two are about the same matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Likely {
    /// 1 to 100.
    pub score: u32,
    /// What speaks for it, strongest first; never empty.
    pub reasons: Vec<LikelyReason>,
    /// How much the texts have in common, 0 to 100 percent.
    pub likeness: u32,
}

/// What a text is compared by.
#[must_use]
pub fn grams(subject: &str, description: &str) -> BTreeSet<i32> {
    let text: String =
        subject.chars().chain(['\n']).chain(description.chars()).take(MAX_TEXT).collect();
    parts(&text).into_iter().collect()
}

/// The first words and pairs of characters of a text, each once: what others are looked for by that may be like it.
#[must_use]
pub fn first_words(subject: &str, description: &str) -> Vec<i32> {
    let mut seen = BTreeSet::new();
    let all = parts(subject).into_iter().chain(parts(description));
    all.filter(|word| seen.insert(*word)).take(MOST_WORDS).collect()
}

impl Matter {
    /// Of a ticket.
    #[must_use]
    pub fn of(ticket: &Ticket) -> Self {
        let (customer, contact) = match ticket.complainant {
            Complainant::Customer { customer, contact } => (Some(customer), contact),
            _ => (None, None),
        };
        let details = &ticket.details;
        Self {
            customer,
            contact,
            product: details.product.clone(),
            grams: grams(&details.subject, &details.description),
            at: ticket.created_at,
        }
    }

    /// From when until when its duplicates were registered.
    #[must_use]
    pub fn window(&self, rules: &LinkRules) -> (Timestamp, Timestamp) {
        let length = SignedDuration::try_from(rules.window).unwrap_or(SignedDuration::MAX);
        let from = self.at.checked_sub(length).unwrap_or(Timestamp::MIN);
        (from, self.at.checked_add(length).unwrap_or(Timestamp::MAX))
    }
}

/// How much two texts have in common, 0 to 100 percent. The same whichever comes first.
fn likeness(one: &BTreeSet<i32>, other: &BTreeSet<i32>) -> u32 {
    let common = one.intersection(other).count();
    let all = one.len() + other.len() - common;
    let shorter = one.len().min(other.len());
    if common == 0 {
        return 0;
    }
    u32::try_from((common * 50 / all) + (common * 50 / shorter)).unwrap_or(100)
}

/// How likely two are about the same matter; none where the policy says that nothing is to be made of it. The same
/// whichever comes first.
#[must_use]
pub fn likely(one: &Matter, other: &Matter, rules: &LinkRules) -> Option<Likely> {
    let (from, until) = one.window(rules);
    if other.at < from || other.at > until {
        return None;
    }
    let same = |one: Option<Uuid>, other: Option<Uuid>| one.is_some() && one == other;
    let customer = same(one.customer, other.customer);
    let contact = customer && same(one.contact, other.contact);
    let product = !one.product.trim().is_empty() && one.product.trim() == other.product.trim();
    let likeness = likeness(&one.grams, &other.grams);
    let alike = likeness >= rules.likeness_percent;
    let enough = alike || customer && rules.same_customer_is_enough;
    if !enough {
        return None;
    }
    let mut reasons: Vec<(u32, LikelyReason)> = [
        (likeness * TEXT / 100, LikelyReason::Text, alike),
        (CONTACT, LikelyReason::Contact, contact),
        (CUSTOMER, LikelyReason::Customer, customer),
        (PRODUCT, LikelyReason::Product, product),
    ]
    .into_iter()
    .filter_map(|(weight, reason, holds)| holds.then_some((weight, reason)))
    .collect();
    // Below the threshold the texts still say which of a customer's tickets it is.
    let texts = if alike { 0 } else { likeness * TEXT / 100 };
    let weights: u32 = reasons.iter().map(|(weight, _)| weight).sum();
    let score = (weights + texts).max(likeness).clamp(1, 100);
    reasons.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    let reasons = reasons.into_iter().map(|(_, reason)| reason).collect();
    Some(Likely { score, reasons, likeness })
}

/// The most likely of the candidates, most likely first, of equals the newest.
#[must_use]
pub fn most_likely(
    matter: &Matter,
    candidates: Vec<Ticket>,
    rules: &LinkRules,
) -> Vec<(Ticket, Likely)> {
    let mut found: Vec<(Ticket, Likely)> = candidates
        .into_iter()
        .filter_map(|ticket| likely(matter, &Matter::of(&ticket), rules).map(|how| (ticket, how)))
        .collect();
    found.sort_by_key(|(ticket, how)| {
        (std::cmp::Reverse(how.score), std::cmp::Reverse((ticket.created_at, ticket.id)))
    });
    found.truncate(rules.most);
    found
}
