//! What can be asked of the handling of a ticket (T-09 to T-13, T-15).

use jiff::Timestamp;

use super::{
    delivery::Route,
    handling::{ExecutiveOutcome, PlanItem},
    transfer::Receiving,
    word::Channel,
};

/// What can be asked of the handling of a ticket. Texts were checked for length by whoever decoded them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandlingCommand {
    /// Put an attempt to reach the customer on record.
    RecordAttempt {
        /// How.
        channel: Channel,
        /// When, if not now.
        at: Option<Timestamp>,
        /// Whether the customer was reached.
        reached: bool,
        /// What came of it.
        note: String,
    },
    /// Close without a verdict.
    Close {
        /// Why.
        reason: String,
    },
    /// Open it again after it was closed.
    Reopen {
        /// Why.
        reason: String,
        /// Whether the customer is dissatisfied.
        dissatisfied: bool,
    },
    /// Send to another team or org unit.
    Transfer {
        /// The org unit; none means the same.
        to: Option<String>,
        /// Code of the team. Whoever hands it in has made sure that there is one, and that it does not have the ticket.
        team: Option<String>,
        /// What the receiver has to know.
        note: String,
    },
    /// Accept what was sent.
    AcceptTransfer {
        /// What the customer is told; none takes the policy's wording.
        message: Option<String>,
        /// How it is sent, where this system sends it.
        route: Option<Route>,
        /// What was looked up for it.
        receiving: Receiving,
    },
    /// Give back what was sent.
    ReturnTransfer {
        /// Why.
        reason: String,
    },
    /// Take back what was sent.
    WithdrawTransfer {
        /// Why.
        reason: String,
    },
    /// Fill in a handling form.
    CompleteForm {
        /// Which, from 1; 0 means the latest.
        form: u32,
        /// The level's opinion.
        opinion: String,
        /// What it decided.
        decision: String,
    },
    /// Put the executives' decision on record.
    DecideReview {
        /// The decision.
        decision: String,
        /// How it goes on.
        outcome: ExecutiveOutcome,
    },
    /// Make the plan.
    SetPlan {
        /// What is to be done.
        items: Vec<PlanItem>,
        /// That the customer agreed: how, and when if not now.
        agreement: Option<(String, Option<Timestamp>)>,
    },
    /// The customer agreed with the plan.
    AgreePlan {
        /// How.
        how: String,
        /// When, if not now.
        at: Option<Timestamp>,
    },
    /// Mark an item as done.
    CompleteItem {
        /// Which, from 1.
        item: u32,
    },
    /// Put a meeting on record.
    RecordMeeting {
        /// When it was held.
        at: Timestamp,
        /// Who took part.
        participants: Vec<String>,
        /// What was decided.
        decisions: String,
    },
    /// Put a finding on record.
    RecordFinding {
        /// What was found.
        finding: String,
    },
    /// Put it under supervision.
    Supervise {
        /// What is asked for.
        instruction: String,
        /// By when.
        answer_by: Timestamp,
    },
    /// Urge.
    Urge {
        /// What.
        text: String,
        /// A new date for an answer.
        answer_by: Option<Timestamp>,
        /// Whether whoever was asked first urges, and not headquarters (T-02).
        first_contact: bool,
    },
    /// Answer headquarters.
    AnswerSupervision {
        /// The answer.
        answer: String,
    },
    /// End the supervision.
    EndSupervision {
        /// What headquarters concludes.
        conclusion: String,
    },
}

impl HandlingCommand {
    /// The name of the method that asks for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::RecordAttempt { .. } => "RecordContactAttempt",
            Self::Close { .. } => "CloseTicket",
            Self::Reopen { .. } => "ReopenTicket",
            Self::Transfer { .. } => "TransferTicket",
            Self::AcceptTransfer { .. } => "AcceptTransfer",
            Self::ReturnTransfer { .. } => "ReturnTransfer",
            Self::WithdrawTransfer { .. } => "WithdrawTransfer",
            Self::CompleteForm { .. } => "CompleteHandlingForm",
            Self::DecideReview { .. } => "DecideExecutiveReview",
            Self::SetPlan { .. } => "SetHandlingPlan",
            Self::AgreePlan { .. } => "AgreeHandlingPlan",
            Self::CompleteItem { .. } => "CompletePlanItem",
            Self::RecordMeeting { .. } => "RecordMeeting",
            Self::RecordFinding { .. } => "RecordFinding",
            Self::Supervise { .. } => "SuperviseTicket",
            Self::Urge { .. } => "UrgeTicket",
            Self::AnswerSupervision { .. } => "AnswerSupervision",
            Self::EndSupervision { .. } => "EndSupervision",
        }
    }
}
