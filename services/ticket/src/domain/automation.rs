//! What the system does by itself, and what an agent does in one step: channel adapters, triggers and macros of a policy
//! (T-14, T-26).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    addressee::NoticeTo,
    condition::TicketCondition,
    delivery::ChannelAdapter,
    routing::Distribution,
    trigger_event::TriggerEvent,
    word::{Priority, Subject, coded},
};

coded! {
    /// What came of a trigger.
    TriggerOutcome {
        /// It acted.
        Acted = "acted",
        /// The ticket did not allow it.
        Refused = "refused",
        /// The chain was longer than the policy allows.
        TooDeep = "too_deep",
        /// It had acted as often within the hour as the policy allows.
        TooOften = "too_often",
        /// It could not be run.
        Failed = "failed",
    }
}

coded! {
    /// A language of the product.
    Tongue {
        /// English.
        English = "en",
        /// Chinese.
        Chinese = "zh",
    }
}

/// A standard wording of the policy in one of its languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    /// Its situation.
    pub situation: String,
    /// The language.
    pub tongue: Tongue,
}

/// To whom a step gives a ticket (T-03).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AssignTo {
    /// By the policy's rules, as it is then.
    Rules,
    /// To a team.
    Team {
        /// Its code.
        team: Arc<str>,
        /// Who owns it if in the team.
        owner: Option<Subject>,
        /// How an owner is found otherwise.
        distribution: Option<Distribution>,
    },
}

/// One step of a trigger or a macro.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AutoStep {
    /// Adds tags.
    AddTags(Vec<String>),
    /// Raises the priority to this.
    RaisePriority(Priority),
    /// Raises the ticket to the next receiver level.
    Escalate(String),
    /// Puts an internal note on record.
    AddNote(String),
    /// Notifies staff.
    Notify {
        /// The way.
        adapter: ChannelAdapter,
        /// To whom.
        to: NoticeTo,
        /// What is said.
        wording: Wording,
    },
    /// Tells another system.
    CallWebhook(ChannelAdapter),
    /// Answers the customer.
    Respond(Wording),
    /// Waits.
    Pause {
        /// Code of a reason of the policy; empty where it has none.
        code: String,
        /// For whom or what.
        reason: String,
    },
    /// Puts the solution on record.
    Resolve(Wording),
    /// Tells the customer the result.
    FeedBack(Wording),
    /// Gives it to a team or a person.
    Assign(AssignTo),
}

impl AutoStep {
    /// What a person needs permission for to do it.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::AddTags(_) => "ticket.UpdateTicket",
            // Whoever may judge how much it weighs may say how urgent it is.
            Self::RaisePriority(_) => "ticket.AssessTicket",
            Self::Escalate(_) => "ticket.EscalateTicket",
            Self::AddNote(_) => "ticket.AddTicketNote",
            Self::Respond(_) => "ticket.RespondTicket",
            Self::Pause { .. } => "ticket.PauseTicket",
            Self::Resolve(_) => "ticket.ResolveTicket",
            Self::FeedBack(_) => "ticket.FeedBackTicket",
            Self::Assign(_) => "ticket.AssignTicket",
            // Macros have none of these; nobody has this permission.
            Self::Notify { .. } | Self::CallWebhook(_) => "ticket.SendByTrigger",
        }
    }

    /// To whom it gives the ticket.
    #[must_use]
    pub const fn assigns(&self) -> Option<&AssignTo> {
        match self {
            Self::Assign(to) => Some(to),
            _ => None,
        }
    }

    /// The standard wording that it says.
    #[must_use]
    pub const fn wording(&self) -> Option<&Wording> {
        match self {
            Self::Respond(wording)
            | Self::Resolve(wording)
            | Self::FeedBack(wording)
            | Self::Notify { wording, .. } => Some(wording),
            _ => None,
        }
    }
}

/// When … if … then.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// Unique in the policy.
    pub name: Arc<str>,
    /// After one of these.
    pub when: BTreeSet<TriggerEvent>,
    /// If this is true.
    pub condition: TicketCondition,
    /// What is done.
    pub then: Vec<AutoStep>,
}

/// The adapters, triggers and macros of a policy, checked.
#[derive(Clone, Debug, Default)]
pub struct Automation {
    pub(super) adapters: BTreeMap<String, ChannelAdapter>,
    pub(super) triggers: Vec<Trigger>,
    pub(super) macros: BTreeMap<String, Vec<AutoStep>>,
    pub(super) max_depth: u32,
    pub(super) max_per_hour: u32,
}

impl Automation {
    /// The channel adapter with this code.
    #[must_use]
    pub fn adapter(&self, code: &str) -> Option<&ChannelAdapter> {
        self.adapters.get(code)
    }

    /// The triggers that may run after something that is all of these events, in the order of the policy, each once.
    pub fn triggers_on(&self, events: &[TriggerEvent]) -> impl Iterator<Item = &Trigger> {
        let after = |trigger: &&Trigger| events.iter().any(|event| trigger.when.contains(event));
        self.triggers.iter().filter(after)
    }

    /// The steps of a macro.
    #[must_use]
    pub fn macro_steps(&self, code: &str) -> Option<&[AutoStep]> {
        self.macros.get(code).map(Vec::as_slice)
    }

    /// How often one trigger may act on one ticket within an hour.
    #[must_use]
    pub const fn max_per_hour(&self) -> u32 {
        self.max_per_hour
    }

    /// How many triggers may run one after another in a chain.
    #[must_use]
    pub const fn max_depth(&self) -> u32 {
        self.max_depth
    }
}
