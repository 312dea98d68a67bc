//! Staged processes as they are written down: the shape of the API message, with nothing checked yet (T-22).

use kefu_calendar::Target;

use super::{policy_draft::StepDraft, word::Text};

/// `process_templates[n]`.
#[derive(Clone, Debug, Default)]
pub struct ProcessTemplateDraft {
    /// `code`.
    pub code: String,
    /// `title`.
    pub title: Text,
    /// `attributes`.
    pub attributes: Vec<AttributeDraft>,
    /// `documents`: code and title.
    pub documents: Vec<(String, Text)>,
    /// The codes of those of them that are `attached`.
    pub attached: Vec<String>,
    /// `routes`.
    pub routes: Vec<RouteDraft>,
    /// `stages`.
    pub stages: Vec<StageDraft>,
    /// `change_deciders`.
    pub change_deciders: Vec<String>,
}

/// Something that is agreed.
#[derive(Clone, Debug, Default)]
pub struct AttributeDraft {
    /// `code`.
    pub code: String,
    /// `title`.
    pub title: Text,
    /// `kind`.
    pub kind: Option<ValueKind>,
    /// `choices`: code and title.
    pub choices: Vec<(String, Text)>,
    /// `minimum`.
    pub minimum: Option<f64>,
    /// `maximum`.
    pub maximum: Option<f64>,
    /// `change_restarts_at`; empty means not at all.
    pub change_restarts_at: String,
}

/// What kind of value an attribute has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// A number.
    Number,
    /// Yes or no.
    Flag,
    /// One of the choices.
    Choice,
}

/// One way.
#[derive(Clone, Debug, Default)]
pub struct RouteDraft {
    /// `code`.
    pub code: String,
    /// `title`.
    pub title: Text,
    /// `cases`, with their conditions.
    pub cases: Vec<Vec<RouteConditionDraft>>,
}

/// What is asked of an attribute.
#[derive(Clone, Debug, Default)]
pub struct RouteConditionDraft {
    /// `attribute`.
    pub attribute: String,
    /// `above`.
    pub above: Option<f64>,
    /// `at_least`.
    pub at_least: Option<f64>,
    /// `below`.
    pub below: Option<f64>,
    /// `at_most`.
    pub at_most: Option<f64>,
    /// `flag`.
    pub flag: Option<bool>,
    /// `choices`.
    pub choices: Vec<String>,
}

/// One stage.
#[derive(Clone, Debug, Default)]
pub struct StageDraft {
    /// `code`.
    pub code: String,
    /// `title`.
    pub title: Text,
    /// `roles`.
    pub roles: Vec<String>,
    /// `parallel`.
    pub parallel: bool,
    /// `routes`.
    pub routes: Vec<String>,
    /// `clocks`.
    pub clocks: Vec<StageClockDraft>,
    /// `documents`: code and routes.
    pub documents: Vec<(String, Vec<String>)>,
    /// `approvals`.
    pub approvals: Vec<ApprovalDraft>,
    /// `inspections`.
    pub inspections: Option<InspectionsDraft>,
    /// `answer_promised`.
    pub answer_promised: bool,
}

/// How long a stage may take.
#[derive(Clone, Debug, Default)]
pub struct StageClockDraft {
    /// `target` or `months`.
    pub length: Option<LengthDraft>,
    /// `warn_percent`.
    pub warn_percent: i32,
    /// `breach_violation`; empty means none.
    pub breach_violation: String,
    /// `breach_raises_level`.
    pub breach_raises_level: bool,
    /// `steps`.
    pub steps: Vec<StepDraft>,
    /// `routes`.
    pub routes: Vec<String>,
}

/// A length of time.
#[derive(Clone, Copy, Debug)]
pub enum LengthDraft {
    /// `target`, where it could be read.
    Target(Option<Target>),
    /// `months`.
    Months(i32),
}

/// An approval.
#[derive(Clone, Debug, Default)]
pub struct ApprovalDraft {
    /// `roles`.
    pub roles: Vec<String>,
    /// `count`; 0 means 1.
    pub count: i32,
    /// `level`; 0 means none.
    pub level: i32,
    /// `routes`.
    pub routes: Vec<String>,
}

/// The inspections.
#[derive(Clone, Debug, Default)]
pub struct InspectionsDraft {
    /// `minimum`.
    pub minimum: i32,
    /// `maximum`.
    pub maximum: i32,
    /// `outcomes`.
    pub outcomes: Vec<OutcomeDraft>,
}

/// What an inspection can find.
#[derive(Clone, Debug, Default)]
pub struct OutcomeDraft {
    /// `code`.
    pub code: String,
    /// `title`.
    pub title: Text,
    /// `passed`.
    pub passed: bool,
    /// `next`.
    pub next: Option<Text>,
}
