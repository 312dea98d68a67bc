//! A policy as it is written down: the shape of the API message, with nothing checked yet.
//!
//! A value that could not even be converted (an unknown enum value, a calendar with faults of its
//! own) is `None`; [`Policy::try_new`](super::Policy::try_new) reports it as missing, so whoever
//! converted it and has reported it already drops that path.

use kefu_calendar::{Calendar, Target};

use super::{
    automation_draft::AutomationDraft,
    clock_note::StepTime,
    content_rules::ContentDraft,
    handling_rules::HandlingDraft,
    link_rules::LinkDraft,
    policy::{ClockChanges, IntakeHours, ReopenMode, VerdictOutcome},
    policy_learning::LearningDraft,
    process_draft::ProcessTemplateDraft,
    reminder::ReminderDraft,
    routing_draft::RoutingDraft,
    word::{Channel, ClockKind, Priority, Text, TicketKind},
};

/// The whole. Paths of faults are made of the field names of the API message.
#[derive(Clone, Debug, Default)]
pub struct PolicyDraft {
    /// `code`.
    pub code: String,
    /// `title`.
    pub title: Text,
    /// `calendar`.
    pub calendar: Option<Calendar>,
    /// `clocks`.
    pub clocks: Vec<ClockRuleDraft>,
    /// `levels`.
    pub levels: Vec<LevelDraft>,
    /// `severities`.
    pub severities: Vec<SeverityDraft>,
    /// `verdict_scale.options`.
    pub verdict_options: Vec<VerdictOptionDraft>,
    /// `grade_priorities`.
    pub grade_priorities: Vec<GradePriorityDraft>,
    /// `violations`.
    pub violations: Vec<ViolationDraft>,
    /// `pause_reasons`.
    pub pause_reasons: Vec<PauseReasonDraft>,
    /// `forbidden_phrases`.
    pub forbidden_phrases: Vec<ForbiddenPhraseDraft>,
    /// `message_templates`.
    pub message_templates: Vec<MessageTemplateDraft>,
    /// What it says about handling.
    pub handling: HandlingDraft,
    /// `categories`, `complainant_types`, `severity_criteria` and `routing_rules`.
    pub routing: RoutingDraft,
    /// `learning`.
    pub learning: LearningDraft,
    /// `repeat_window_days`; 0 means the default.
    pub repeat_window_days: i32,
    /// `channel_adapters`, `triggers`, `macros`, `max_trigger_depth`.
    pub automation: AutomationDraft,
    /// `process_templates`.
    pub processes: Vec<ProcessTemplateDraft>,
    /// `attachments`, `custom_fields`, `tags`.
    pub content: ContentDraft,
    /// `links`.
    pub links: LinkDraft,
    /// `clock_changes`.
    pub clock_changes: ClockChanges,
}

/// Why a ticket may wait.
#[derive(Clone, Debug, Default)]
pub struct PauseReasonDraft {
    /// `code`.
    pub code: String,
    /// `title`.
    pub title: Text,
    /// `remind_after`.
    pub remind_after: Option<Target>,
    /// `propose_close_after`.
    pub propose_close_after: Option<Target>,
    /// `reminder`.
    pub reminder: Option<ReminderDraft>,
}

/// One step of escalation.
#[derive(Clone, Debug, Default)]
pub struct StepDraft {
    /// `name`.
    pub name: String,
    /// `when`.
    pub when: Option<StepTime>,
    /// `notify_level`; 0 means nobody.
    pub notify_level: i32,
    /// `raise_to_level`; 0 means not.
    pub raise_to_level: i32,
}

/// One promise.
#[derive(Clone, Debug, Default)]
pub struct ClockRuleDraft {
    /// `name`.
    pub name: String,
    /// `kind`.
    pub kind: Option<ClockKind>,
    /// `ticket_kinds`.
    pub ticket_kinds: Vec<Option<TicketKind>>,
    /// `channels`.
    pub channels: Vec<Option<Channel>>,
    /// `severities`.
    pub severities: Vec<i32>,
    /// `intake_hours`.
    pub intake_hours: Option<IntakeHours>,
    /// `target`.
    pub target: Option<Target>,
    /// `warn_percent`; 0 means never.
    pub warn_percent: i32,
    /// `breach_raises_level`.
    pub breach_raises_level: bool,
    /// `breach_violation`; empty means none.
    pub breach_violation: String,
    /// `on_reopen`; none leaves it to the kind.
    pub on_reopen: Option<ReopenMode>,
    /// `steps`.
    pub steps: Vec<StepDraft>,
}

/// One receiver level.
#[derive(Clone, Debug, Default)]
pub struct LevelDraft {
    /// `level`.
    pub level: i32,
    /// `title`.
    pub title: Text,
    /// `roles`.
    pub roles: Vec<String>,
}

/// Where a severity starts.
#[derive(Clone, Copy, Debug, Default)]
pub struct SeverityDraft {
    /// `severity`.
    pub severity: i32,
    /// `receiver_level`.
    pub receiver_level: i32,
}

/// One value of the call-back scale.
#[derive(Clone, Debug, Default)]
pub struct VerdictOptionDraft {
    /// `value`.
    pub value: i32,
    /// `label`.
    pub label: Text,
    /// `outcome`.
    pub outcome: Option<VerdictOutcome>,
}

/// Which priority a grade gives.
#[derive(Clone, Debug, Default)]
pub struct GradePriorityDraft {
    /// `grade`.
    pub grade: String,
    /// `priority`.
    pub priority: Option<Priority>,
}

/// One row of the violation table.
#[derive(Clone, Debug, Default)]
pub struct ViolationDraft {
    /// `code`.
    pub code: String,
    /// `description`.
    pub description: Text,
    /// `amount_cents`.
    pub amount_cents: i64,
    /// `max_amount_cents`; 0 means the amount.
    pub max_amount_cents: i64,
    /// `currency`; empty means none.
    pub currency: String,
}

/// One phrase that must not be said.
#[derive(Clone, Debug, Default)]
pub struct ForbiddenPhraseDraft {
    /// `phrase`.
    pub phrase: String,
    /// `suggestion`.
    pub suggestion: Text,
}

/// One standard wording.
#[derive(Clone, Debug, Default)]
pub struct MessageTemplateDraft {
    /// `situation`.
    pub situation: String,
    /// `title`.
    pub title: Text,
    /// `text`.
    pub text: Text,
}
