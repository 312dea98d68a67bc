//! A node of the company's tree.

use jiff::Timestamp;
use kefu_calendar::Label;
use kefu_identity::OrgUnit as Path;
use uuid::Uuid;

/// An org unit (组织单元). Its path never changes, and it is never removed.
#[derive(Clone, Debug, PartialEq)]
pub struct OrgUnit {
    /// What the journal calls it.
    pub id: Uuid,
    /// Where it stands.
    pub path: Path,
    /// What people call it.
    pub title: Label,
    /// Counts the changes from 1.
    pub revision: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl OrgUnit {
    /// A new one. That its parent exists is for the caller to see to.
    pub fn create(id: Uuid, path: Path, title: Label, now: Timestamp) -> Self {
        Self { id, path, title, revision: 1, created_at: now, updated_at: now }
    }

    /// The same with another title; `None` if that changes nothing.
    pub fn retitle(&self, title: Label, now: Timestamp) -> Option<Self> {
        (title != self.title).then(|| Self {
            title,
            revision: self.revision + 1,
            updated_at: now,
            ..self.clone()
        })
    }
}
