//! A ticket on its way to somebody else, and what is looked up for whoever accepts it (T-11).

use jiff::Timestamp;
use uuid::Uuid;

use super::word::Subject;

/// A ticket on its way (T-11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Counts the transfers of the ticket from 1.
    pub number: u32,
    /// The org unit that answered for it before.
    pub from: String,
    /// The org unit that is to answer for it.
    pub to: String,
    /// The team that is to handle it.
    pub team: Option<String>,
    /// What the receiver has to know.
    pub note: String,
    /// Who sent it.
    pub by: Subject,
    /// When.
    pub at: Timestamp,
}

/// What whoever hands in the acceptance of a transfer has looked up for it (T-11).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receiving {
    /// What the customer is called, where the wording asks for it.
    pub customer_name: Option<String>,
    /// The customer who is called that.
    pub named: Option<Uuid>,
    /// The team that the transfer named, if there is such a team now.
    pub team: Option<Uuid>,
    /// Whether whoever accepts may own the tickets of that team.
    pub may_own: bool,
}
