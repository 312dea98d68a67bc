//! The ticket part of a policy pack (制度包): every number of a regulation, checked.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use kefu_calendar::{Calendar, Target};
use uuid::Uuid;

use super::automation::Automation;
use super::clock_note::StepRule;
use super::content_rules::ContentRules;
use super::handling_rules::HandlingRules;
use super::link_rules::LinkRules;
use super::message_template::MessageTemplate;
use super::phrase::ForbiddenPhrases;
use super::policy_learning::Learning;
use super::process_template::ProcessTemplate;
use super::reminder::Reminder;
use super::routing::Routing;
use super::ticket::Ticket;
use super::violation::ProposedViolation;
use super::word::{
    Channel, ClockKind, Fault, Priority, ReceiverLevel, Severity, Subject, Text, TicketKind, coded,
};

pub use super::policy_draft::{
    ClockRuleDraft, ForbiddenPhraseDraft, GradePriorityDraft, LevelDraft, MessageTemplateDraft,
    PauseReasonDraft, PolicyDraft, SeverityDraft, StepDraft, VerdictOptionDraft, ViolationDraft,
};

/// A receiver level (T-12).
#[derive(Clone, Debug)]
pub(super) struct Level {
    pub(super) title: Text,
    /// Who may resolve at it; empty means whoever may resolve at all.
    pub(super) roles: BTreeSet<String>,
}

/// A regulation that was checked. Judges a ticket from its registration to its end.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(super) code: String,
    pub(super) title: Text,
    pub(super) calendar: Calendar,
    pub(super) clocks: Vec<ClockRule>,
    /// Of the levels 1, 2, 3 … in order; never empty.
    pub(super) levels: Vec<Level>,
    pub(super) starts: BTreeMap<Severity, ReceiverLevel>,
    pub(super) verdicts: BTreeMap<u8, VerdictOption>,
    pub(super) priorities: BTreeMap<String, Priority>,
    pub(super) violations: BTreeMap<String, ViolationRule>,
    pub(super) pause_reasons: BTreeMap<Arc<str>, PauseReason>,
    pub(super) phrases: ForbiddenPhrases,
    pub(super) templates: BTreeMap<String, MessageTemplate>,
    pub(super) handling: HandlingRules,
    pub(super) routing: Routing,
    pub(super) learning: Learning,
    pub(super) repeat_window_days: u32,
    pub(super) automation: Automation,
    pub(super) processes: BTreeMap<String, ProcessTemplate>,
    pub(super) content: ContentRules,
    pub(super) links: LinkRules,
    pub(super) clock_changes: ClockChanges,
}

/// One promise and what follows when it is broken (T-05, T-07).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockRule {
    /// Unique in the policy, e.g. `first-response`.
    pub name: Arc<str>,
    /// What is promised.
    pub kind: ClockKind,
    /// Only for these kinds of ticket; empty means all.
    pub ticket_kinds: BTreeSet<TicketKind>,
    /// Only for these channels; empty means all.
    pub channels: BTreeSet<Channel>,
    /// Only for these severities; empty means all.
    pub severities: BTreeSet<Severity>,
    /// Only for tickets that came in then; none means whenever.
    pub intake_hours: Option<IntakeHours>,
    /// How long.
    pub target: Target,
    /// At how many hundredths of the time the owner is warned, 1 to 99; none means never.
    pub warn_percent: Option<u32>,
    /// Whether a breach raises the ticket to the next receiver level.
    pub breach_raises_level: bool,
    /// Code of the violation that a breach proposes.
    pub breach_violation: Option<String>,
    /// What reopening makes of it.
    pub reopen: ReopenMode,
    /// The steps of its escalation.
    pub steps: Vec<StepRule>,
}

coded! {
    /// What reopening makes of a clock (T-06).
    ReopenMode {
        /// It begins anew.
        Restart = "restart",
        /// It goes on where it stood when it was kept.
        Resume = "resume",
    }
}

coded! {
    /// Whether the org unit works when a ticket comes in, on its calendar (T-05).
    IntakeHours {
        /// It works.
        Open = "open",
        /// It does not.
        Closed = "closed",
    }
}

/// Why a ticket may wait (T-06).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseReason {
    /// Unique in the policy.
    pub code: Arc<str>,
    /// What it is called.
    pub title: Text,
    /// After how long the customer is reminded.
    pub remind_after: Option<Target>,
    /// After how long closing is proposed.
    pub propose_close_after: Option<Target>,
    /// What the customer is sent then; none means that to remind is for the staff.
    pub reminder: Option<Reminder>,
}

impl ClockRule {
    /// Whether it promises anything to a ticket if that weighs so much. When the ticket came in counts in all its cycles.
    #[must_use]
    pub fn covers(&self, ticket: &Ticket, severity: Severity, calendar: &Calendar) -> bool {
        let among = |empty: bool, named: bool| empty || named;
        among(self.ticket_kinds.is_empty(), self.ticket_kinds.contains(&ticket.kind))
            && among(self.channels.is_empty(), self.channels.contains(&ticket.channel))
            && among(self.severities.is_empty(), self.severities.contains(&severity))
            && self.intake_hours.is_none_or(|hours| {
                (hours == IntakeHours::Open) == calendar.is_open(ticket.created_at)
            })
    }
}

coded! {
    /// What becomes of promises that were given under something else (T-05).
    Given {
        /// They are kept as they were given.
        Keep = "keep",
        /// They are computed anew.
        Recompute = "recompute",
    }
}

/// What a policy does about promises that were given under another (T-05, T-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockChanges {
    /// When this version comes into force, of the open tickets that it is in force for.
    pub open_tickets: Given,
    /// When an org unit under this policy accepts a ticket from under another.
    pub transferred: Given,
}

impl Default for ClockChanges {
    fn default() -> Self {
        Self { open_tickets: Given::Keep, transferred: Given::Recompute }
    }
}

coded! {
    /// What a verdict leads to (T-13).
    VerdictOutcome {
        /// The ticket closes.
        Close = "close",
        /// The ticket reopens one receiver level up with a new cycle of clocks.
        Reopen = "reopen",
    }
}

/// One value of the call-back scale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictOption {
    /// What it means.
    pub label: Text,
    /// What it leads to.
    pub outcome: VerdictOutcome,
}

/// One row of the violation table (T-19).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViolationRule {
    /// Unique in the policy, e.g. `late-first-response`.
    pub code: String,
    /// What the rule says.
    pub description: Text,
    /// Proposed penalty in hundredths of the currency; not negative.
    pub amount_cents: i64,
    /// The upper end of the range of the penalty; not below `amount_cents`.
    pub max_amount_cents: i64,
    /// ISO 4217; set with an amount.
    pub currency: Option<String>,
}

impl ViolationRule {
    /// That somebody broke it.
    #[must_use]
    pub fn broken(
        &self,
        staff: Subject,
        evidence: String,
        at: Timestamp,
        policy_version: Uuid,
    ) -> ProposedViolation {
        let Self { code, description, amount_cents, max_amount_cents, currency } = self.clone();
        ProposedViolation {
            code,
            description,
            staff,
            evidence,
            amount_cents,
            max_amount_cents,
            currency,
            at,
            policy_version: Some(policy_version),
        }
    }
}

impl Policy {
    /// Checks what was handed in.
    ///
    /// # Errors
    /// Every fault there is with its path, never an empty list.
    pub fn try_new(draft: PolicyDraft) -> Result<Self, Vec<Fault>> {
        super::policy_check::check(draft)
    }

    /// Code of the pack.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What the pack is called.
    #[must_use]
    pub fn title(&self) -> &Text {
        &self.title
    }

    /// When the org unit works.
    #[must_use]
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// The promises, in the order of the policy.
    #[must_use]
    pub fn clocks(&self) -> &[ClockRule] {
        &self.clocks
    }

    /// The promise with this name.
    #[must_use]
    pub fn rule(&self, name: &str) -> Option<&ClockRule> {
        self.clocks.iter().find(|rule| &*rule.name == name)
    }

    /// Where a ticket of this severity starts; 1 unless the policy says otherwise (T-03).
    #[must_use]
    pub fn starting_level(&self, severity: Severity) -> ReceiverLevel {
        self.starts.get(&severity).copied().unwrap_or(ReceiverLevel::FRONT_LINE)
    }

    /// The level above which there is none.
    #[must_use]
    pub fn top_level(&self) -> ReceiverLevel {
        let number = i32::try_from(self.levels.len()).ok();
        number.and_then(ReceiverLevel::from_number).unwrap_or(ReceiverLevel::FRONT_LINE)
    }

    /// What a level is called; none above the top.
    #[must_use]
    pub fn level_title(&self, level: ReceiverLevel) -> Option<&Text> {
        self.levels.get(usize::from(level.number()) - 1).map(|level| &level.title)
    }

    /// Who may resolve at a level, as roles; none where that is whoever may resolve at all (T-12).
    #[must_use]
    pub fn level_roles(&self, level: ReceiverLevel) -> Option<&BTreeSet<String>> {
        let level = self.levels.get(usize::from(level.number()) - 1);
        level.map(|level| &level.roles).filter(|roles| !roles.is_empty())
    }

    /// What a grade of the customer gives; `Normal` unless the policy says otherwise (T-03).
    #[must_use]
    pub fn priority(&self, grade: Option<&str>) -> Priority {
        grade.and_then(|grade| self.priorities.get(grade)).copied().unwrap_or(Priority::Normal)
    }

    /// A value of the scale; none if it is not on it.
    #[must_use]
    pub fn verdict(&self, value: i32) -> Option<(u8, &VerdictOption)> {
        let value = u8::try_from(value).ok()?;
        self.verdicts.get(&value).map(|option| (value, option))
    }

    /// The values of the scale, lowest first.
    pub fn verdict_values(&self) -> impl Iterator<Item = u8> {
        self.verdicts.keys().copied()
    }

    /// Why a ticket may wait, by code; empty where any reason will do (T-06).
    #[must_use]
    pub fn pause_reasons(&self) -> &BTreeMap<Arc<str>, PauseReason> {
        &self.pause_reasons
    }

    /// The pause reason with this code.
    #[must_use]
    pub fn pause_reason(&self, code: &str) -> Option<&PauseReason> {
        self.pause_reasons.get(code)
    }

    /// What must not be said to a customer (T-14).
    #[must_use]
    pub fn forbidden_phrases(&self) -> &ForbiddenPhrases {
        &self.phrases
    }

    /// The standard wording for a situation (T-14).
    #[must_use]
    pub fn message_template(&self, situation: &str) -> Option<&MessageTemplate> {
        self.templates.get(situation)
    }

    /// What decides who handles what (T-03).
    #[must_use]
    pub fn routing(&self) -> &Routing {
        &self.routing
    }

    /// The rules of violations, root causes, product holds, suggestions and shifts (T-17 to T-21).
    #[must_use]
    pub fn learning(&self) -> &Learning {
        &self.learning
    }

    /// How many days of 24 hours before a complaint an earlier one about the same matter makes it a repeat (T-20).
    #[must_use]
    pub fn repeat_window_days(&self) -> u32 {
        self.repeat_window_days
    }

    /// The channel adapters, triggers and macros (T-14, T-26).
    #[must_use]
    pub fn automation(&self) -> &Automation {
        &self.automation
    }

    /// The staged process with this code (T-22).
    #[must_use]
    pub fn process(&self, code: &str) -> Option<&ProcessTemplate> {
        self.processes.get(code)
    }

    /// The rules for files, custom fields and tags (T-01).
    #[must_use]
    pub fn content(&self) -> &ContentRules {
        &self.content
    }

    /// What may be merged, and what is offered as a duplicate (T-04).
    #[must_use]
    pub fn links(&self) -> &LinkRules {
        &self.links
    }

    /// What becomes of open tickets where this comes into force, and of those that another org unit sends (T-05, T-11).
    #[must_use]
    pub fn clock_changes(&self) -> ClockChanges {
        self.clock_changes
    }

    /// A row of the violation table.
    #[must_use]
    pub fn violation(&self, code: &str) -> Option<&ViolationRule> {
        self.violations.get(code)
    }
}
