//! Channel adapters, triggers and macros as they are handed in, before they are checked.

use std::time::Duration;

use super::{
    delivery::AdapterKind,
    routing::Distribution,
    ticket::StateName,
    trigger_event::TriggerEvent,
    word::{Channel, Priority, Text, TicketKind},
};

/// `channel_adapters`, `triggers`, `macros`, and the limits of triggers.
#[derive(Clone, Debug, Default)]
pub struct AutomationDraft {
    /// `channel_adapters`.
    pub adapters: Vec<AdapterDraft>,
    /// `triggers`.
    pub triggers: Vec<TriggerDraft>,
    /// `macros`.
    pub macros: Vec<MacroDraft>,
    /// `max_trigger_depth`; 0 means the ordinary one.
    pub max_depth: i32,
    /// `max_trigger_runs_per_hour`; 0 means the ordinary number.
    pub max_per_hour: i32,
}

/// A way out.
#[derive(Clone, Debug, Default)]
pub struct AdapterDraft {
    /// `code`.
    pub code: String,
    /// `kind`.
    pub kind: Option<AdapterKind>,
    /// `title`.
    pub title: Text,
    /// `max_attempts`.
    pub max_attempts: i32,
    /// `first_retry`.
    pub first_retry: Option<Duration>,
    /// `longest_retry`.
    pub longest_retry: Option<Duration>,
}

/// When … if … then.
#[derive(Clone, Debug, Default)]
pub struct TriggerDraft {
    /// `name`.
    pub name: String,
    /// `title`.
    pub title: Text,
    /// `when`.
    pub when: Vec<Option<TriggerEvent>>,
    /// `if`.
    pub condition: ConditionDraft,
    /// `then`.
    pub then: Vec<StepDraftOf>,
}

/// What must be true of a ticket.
#[derive(Clone, Debug, Default)]
pub struct ConditionDraft {
    /// `kinds`.
    pub kinds: Vec<Option<TicketKind>>,
    /// `channels`.
    pub channels: Vec<Option<Channel>>,
    /// `severities`.
    pub severities: Vec<i32>,
    /// `categories`.
    pub categories: Vec<String>,
    /// `priorities`.
    pub priorities: Vec<Option<Priority>>,
    /// `grades`.
    pub grades: Vec<String>,
    /// `states`.
    pub states: Vec<Option<StateName>>,
    /// `org_units`.
    pub org_units: Vec<String>,
    /// `tags`.
    pub tags: Vec<String>,
    /// `without_tags`.
    pub without_tags: Vec<String>,
    /// `keywords`.
    pub keywords: Vec<String>,
    /// `unowned`.
    pub unowned: bool,
    /// `receiver_levels`.
    pub receiver_levels: Vec<i32>,
    /// `products`.
    pub products: Vec<String>,
    /// `shops`.
    pub shops: Vec<String>,
    /// `min_amount_cents`.
    pub min_amount_cents: i64,
    /// `below_amount_cents`.
    pub below_amount_cents: i64,
    /// `currency`.
    pub currency: String,
    /// `custom_fields`: codes and values.
    pub custom_fields: Vec<(String, Vec<String>)>,
    /// `teams`.
    pub teams: Vec<String>,
    /// `clocks`.
    pub clocks: Vec<String>,
    /// `stages`.
    pub stages: Vec<String>,
}

/// Several steps as one.
#[derive(Clone, Debug, Default)]
pub struct MacroDraft {
    /// `code`.
    pub code: String,
    /// `title`.
    pub title: Text,
    /// `steps`.
    pub steps: Vec<StepDraftOf>,
}

/// One step; texts were checked for length and characters by whoever decoded them.
#[derive(Clone, Debug, Default)]
pub enum StepDraftOf {
    /// None was set.
    #[default]
    Missing,
    /// `add_tags`.
    AddTags(Vec<String>),
    /// `raise_priority`.
    RaisePriority(Option<Priority>),
    /// `escalate`.
    Escalate(String),
    /// `add_note`.
    AddNote(String),
    /// `notify`.
    Notify {
        /// `adapter`.
        adapter: String,
        /// `recipients`.
        recipients: String,
        /// `wording`.
        wording: WordingDraft,
    },
    /// `call_webhook`.
    CallWebhook(String),
    /// `respond`.
    Respond(WordingDraft),
    /// `pause`.
    Pause {
        /// `pause_reason`.
        code: String,
        /// `reason`.
        reason: String,
    },
    /// `resolve`.
    Resolve(WordingDraft),
    /// `feed_back`.
    FeedBack(WordingDraft),
    /// `assign`.
    Assign {
        /// `by_rules`.
        by_rules: bool,
        /// `team`; empty means none.
        team: String,
        /// `owner`; empty means none.
        owner: String,
        /// `distribution`.
        distribution: Option<Distribution>,
    },
}

/// A standard wording.
#[derive(Clone, Debug, Default)]
pub struct WordingDraft {
    /// `situation`.
    pub situation: String,
    /// `language`.
    pub language: String,
}
