//! Queues under names (T-23).

use jiff::Timestamp;
use uuid::Uuid;

use super::queue::QueueOrder;

/// A queue under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedView {
    /// Its id.
    pub id: Uuid,
    /// Counts the changes from 1.
    pub revision: i64,
    /// Whoever made it; only he changes it.
    pub owner: String,
    /// Where the queue is.
    pub org_unit: String,
    /// Its name.
    pub title: String,
    /// Whether others see it.
    pub shared: bool,
    /// The filter as it was written.
    pub filter: String,
    /// The order.
    pub order: QueueOrder,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl SavedView {
    /// Whether it exists for somebody.
    #[must_use]
    pub fn is_visible_to(&self, subject: &str) -> bool {
        self.shared || self.owner == subject
    }
}
