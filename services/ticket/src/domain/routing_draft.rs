//! Categories, criteria and routing rules as they are written down, with nothing checked yet.

use super::{
    routing::{Distribution, Rerouting},
    word::{Channel, Priority, Text, TicketKind},
};

/// What of a policy decides who handles what.
#[derive(Clone, Debug, Default)]
pub struct RoutingDraft {
    /// `categories`.
    pub categories: Vec<CategoryDraft>,
    /// `complainant_types`.
    pub complainant_types: Vec<ComplainantTypeDraft>,
    /// `severity_criteria`.
    pub criteria: Vec<CriterionDraft>,
    /// `routing_rules`.
    pub rules: Vec<RuleDraft>,
    /// `rerouting`.
    pub rerouting: Rerouting,
}

/// A category.
#[derive(Clone, Debug, Default)]
pub struct CategoryDraft {
    /// `code`.
    pub code: String,
    /// `parent`; empty at the top.
    pub parent: String,
    /// `title`.
    pub title: Text,
}

/// A type of complainant.
#[derive(Clone, Debug, Default)]
pub struct ComplainantTypeDraft {
    /// `code`.
    pub code: String,
    /// `title`.
    pub title: Text,
}

/// A criterion of severity.
#[derive(Clone, Debug, Default)]
pub struct CriterionDraft {
    /// `severity`.
    pub severity: i32,
    /// `text`.
    pub text: Text,
    /// `categories`, `keywords` and `kinds`.
    pub conditions: ConditionsDraft,
    /// `repeat_within_days`; 0 does not ask for it.
    pub repeat_within_days: i32,
}

/// A routing rule.
#[derive(Clone, Debug, Default)]
pub struct RuleDraft {
    /// `name`.
    pub name: String,
    /// The conditions.
    pub conditions: ConditionsDraft,
    /// `team`; empty means none.
    pub team: String,
    /// `priority`.
    pub priority: Option<Priority>,
    /// `owner`; empty means none.
    pub owner: String,
    /// `distribution`.
    pub distribution: Option<Distribution>,
}

/// On what a rule or criterion depends; empty lists mean all.
#[derive(Clone, Debug, Default)]
pub struct ConditionsDraft {
    /// `categories`.
    pub categories: Vec<String>,
    /// `products`.
    pub products: Vec<String>,
    /// `org_units`.
    pub org_units: Vec<String>,
    /// `customer_grades`.
    pub grades: Vec<String>,
    /// `min_amount_cents`.
    pub min_amount_cents: i64,
    /// `below_amount_cents`.
    pub below_amount_cents: i64,
    /// `currency`.
    pub currency: String,
    /// `keywords`.
    pub keywords: Vec<String>,
    /// `kinds`.
    pub kinds: Vec<Option<TicketKind>>,
    /// `channels`.
    pub channels: Vec<Option<Channel>>,
    /// `severities`.
    pub severities: Vec<i32>,
    /// `complainant_types`.
    pub complainant_types: Vec<String>,
    /// `receiver_levels`.
    pub receiver_levels: Vec<i32>,
}
