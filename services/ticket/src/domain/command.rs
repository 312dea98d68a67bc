//! What can be asked of a ticket.

use jiff::Timestamp;

use super::{
    assign::Assignment,
    correction::Correction,
    delivery::Route,
    handling_command::HandlingCommand,
    recompute::Recompute,
    spoken::DeliveryNote,
    ticket::Details,
    word::{Priority, Severity, Subject},
};

/// What is asked for. Texts were checked for length and characters by whoever decoded them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Put an answer to the customer on record. Possible until the ticket ends.
    Respond {
        /// What was said.
        message: String,
        /// When it was sent, if not now: not before the current cycle began.
        sent_at: Option<Timestamp>,
    },
    /// Wait for the customer or a named outside party (T-06). Possible while open.
    Pause {
        /// For whom or what, and why.
        reason: String,
        /// Code of the policy's pause reason; empty where the policy has none.
        code: String,
        /// To whom the reason's reminder goes; none or empty means whom the ticket's last message went to.
        recipient: Option<String>,
    },
    /// Go on after waiting.
    Resume,
    /// Put the solution on record (T-09). Possible while open or waiting, with or without an
    /// earlier answer; the first-response clock goes on until the customer hears something.
    Resolve {
        /// What was done.
        solution: String,
    },
    /// Tell the customer the result. Where it is the first thing the customer hears, it is the
    /// first response as well.
    FeedBack {
        /// What the customer was told.
        message: String,
    },
    /// Enter the verdict of a call-back, by somebody other than the handlers (T-13).
    RecordVerdict {
        /// On the policy's scale.
        value: i32,
        /// What the customer said.
        comment: String,
    },
    /// Take the verdict from the customer's answer to a survey (S-08). An answer about a cycle
    /// that is over, or was judged already, is no error: it is put on record, and where the policy lets what is closed be
    /// reopened, a dissatisfied one does that.
    TakeSurveyVerdict {
        /// The cycle that the customer was asked about.
        cycle: u32,
        /// On the policy's scale.
        value: i32,
        /// What the customer said.
        comment: String,
        /// When, if not now.
        at: Option<Timestamp>,
    },
    /// Raise it to the next receiver level (T-12).
    Escalate {
        /// Why.
        reason: String,
    },
    /// Cancel it. Possible until it was resolved for the first time: a customer who has seen a
    /// solution is asked for a verdict.
    Cancel {
        /// Why.
        reason: String,
    },
    /// Correct what was noted at intake. Without a difference nothing changes.
    UpdateDetails {
        /// All of it, as it should be.
        details: Details,
    },
    /// Add tags and take others away, whatever else it is tagged with (T-01). Without a difference nothing changes.
    Tag {
        /// What it is to have.
        add: Vec<String>,
        /// What it is not to have any more; none of those to add.
        remove: Vec<String>,
    },
    /// Put right of whom and about what it was registered (T-01). Possible until the ticket ends. Without a difference nothing
    /// changes.
    Correct(Box<Correction>),
    /// Say before the deadline of a running clock that it will not be met (T-08).
    AnnounceDelay {
        /// The promise, in the present cycle.
        rule: String,
        /// When it will be done: in the future and after the deadline.
        new_due: Timestamp,
        /// Why, for the customer.
        reason: String,
        /// What the customer is told; none or empty tells the reason and the date.
        message: Option<String>,
    },
    /// Change how much it weighs, and with it what was promised (T-03, T-06). Possible until the
    /// ticket ends; without a difference nothing changes.
    Assess {
        /// How much it weighs.
        severity: Severity,
        /// Why.
        reason: String,
    },
    /// Compute what is promised anew by another policy version (T-05, T-06). Possible until the ticket ends; by the version
    /// that holds already nothing changes. Whoever hands this in has made sure that the version may hold for the ticket.
    Recompute(Recompute),
    /// Put an internal note on record (T-14). Possible in every state; the customer never sees it.
    AddNote {
        /// The note.
        note: String,
    },
    /// Give it to a team and a person (T-03). Possible until the customer has been told the result.
    Assign(Assignment),
    /// Give it to whoever stands in for its receiver, who is absent (T-25). Never refused; nothing where nobody received it.
    StandIn {
        /// Who stands in.
        by: Subject,
    },
    /// Say something to the customer in spite of the policy's forbidden phrases (T-14). Whoever hands this in has made
    /// sure that the actor may.
    OverridePhrases(Box<Command>),
    /// What is asked of the handling (T-09 to T-13, T-15).
    Handle(HandlingCommand),
    /// Say something to the customer and have it sent (T-14).
    Send {
        /// What is said.
        command: Box<Command>,
        /// How it is sent.
        route: Route,
    },
    /// Raise the priority to this where it is lower. Possible until the ticket ends.
    RaisePriority {
        /// How urgent it is.
        to: Priority,
    },
    /// Take note of what became of the delivery of a message (T-14). Never refused.
    NoteDelivery(DeliveryNote),
    /// Do what the clocks have to do until now (T-07). Never refused.
    FireTimers,
}

impl Command {
    /// The name of the method that asks for it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Respond { .. } => "RespondTicket",
            Self::Pause { .. } => "PauseTicket",
            Self::Resume => "ResumeTicket",
            Self::Resolve { .. } => "ResolveTicket",
            Self::FeedBack { .. } => "FeedBackTicket",
            Self::RecordVerdict { .. } | Self::TakeSurveyVerdict { .. } => "RecordVerdict",
            Self::Escalate { .. } => "EscalateTicket",
            Self::Cancel { .. } => "CancelTicket",
            Self::UpdateDetails { .. } => "UpdateTicket",
            Self::Tag { .. } => "TagTicket",
            Self::Correct(_) => "CorrectTicket",
            Self::AnnounceDelay { .. } => "AnnounceDelay",
            Self::Assess { .. } => "AssessTicket",
            Self::Recompute(_) => "RecomputeClocks",
            Self::AddNote { .. } => "AddTicketNote",
            Self::Handle(command) => command.name(),
            Self::Assign(_) | Self::StandIn { .. } => "AssignTicket",
            Self::OverridePhrases(command) | Self::Send { command, .. } => command.name(),
            Self::RaisePriority { .. } => "RaisePriority",
            Self::NoteDelivery(_) => "NoteDelivery",
            Self::FireTimers => "FireTimers",
        }
    }

    /// What is asked of the handling, if that is what it asks.
    pub(crate) fn handling_mut(&mut self) -> Option<&mut HandlingCommand> {
        match self {
            Self::Handle(command) => Some(command),
            Self::OverridePhrases(command) | Self::Send { command, .. } => command.handling_mut(),
            _ => None,
        }
    }

    /// Whoever was asked first asks for it, about a ticket that others have (T-02).
    pub(crate) fn by_first_contact(&mut self) {
        if let Some(HandlingCommand::Urge { first_contact, .. }) = self.handling_mut() {
            *first_contact = true;
        }
    }

    /// Whether it overrides the policy's forbidden phrases, which needs a permission of its own.
    #[must_use]
    pub fn overrides_phrases(&self) -> bool {
        match self {
            Self::OverridePhrases(_) => true,
            Self::Send { command, .. } => command.overrides_phrases(),
            _ => false,
        }
    }

    /// Whether it is for whoever has the ticket's receiver level (T-12).
    #[must_use]
    pub fn needs_level(&self) -> bool {
        match self {
            Self::Resolve { .. } | Self::Handle(HandlingCommand::CompleteForm { .. }) => true,
            Self::OverridePhrases(command) | Self::Send { command, .. } => command.needs_level(),
            _ => false,
        }
    }

    /// What is asked for, whether in spite of forbidden phrases, and how it is sent.
    pub(super) fn unwrapped(self) -> (Self, bool, Option<Route>) {
        match self {
            Self::OverridePhrases(command) => {
                let (command, _, route) = command.unwrapped();
                (command, true, route)
            }
            Self::Send { command, route } => {
                let (command, overriding, _) = command.unwrapped();
                (command, overriding, Some(route))
            }
            command => (command, false, None),
        }
    }
}
