//! An answer (S-05).

use jiff::Timestamp;
use kefu_identity::OrgUnit;
use uuid::Uuid;

use super::invitation::Invitation;

/// The longest comment, in characters.
pub const MAX_COMMENT: usize = 2_000;

/// What the holder of a token says. The comment has been checked where it was decoded, the verdict against the scale of
/// the questionnaire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// On the questionnaire's scale.
    pub verdict: i32,
    /// At most [`MAX_COMMENT`] characters.
    pub comment: String,
}

/// What was answered. Never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its id.
    pub id: Uuid,
    /// The invitation that it answers.
    pub invitation: Uuid,
    /// The invitation's org unit.
    pub org_unit: OrgUnit,
    /// The invitation's customer.
    pub customer: Option<Uuid>,
    /// The version of the policy whose questionnaire was answered.
    pub policy_version: Uuid,
    /// What was said.
    pub said: Draft,
    /// When.
    pub submitted_at: Timestamp,
    /// By whom: a subject, or `anonymous`.
    pub submitted_by: String,
}

impl Answer {
    /// The answer to an invitation that has accepted it.
    pub fn to(invitation: &Invitation, id: Uuid, said: Draft, by: &str, now: Timestamp) -> Self {
        Self {
            id,
            invitation: invitation.id,
            org_unit: invitation.org_unit.clone(),
            customer: invitation.matter.customer,
            policy_version: invitation.policy_version,
            said,
            submitted_at: now,
            submitted_by: by.to_owned(),
        }
    }
}
