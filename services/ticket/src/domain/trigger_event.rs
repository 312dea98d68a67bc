//! After what triggers run, and what an event says to them (T-26).

use super::word::{ReceiverLevel, Subject, coded};

coded! {
    /// What happens to a ticket, by the name of its public event.
    TriggerEvent {
        /// It was registered.
        Registered = "TicketRegistered",
        /// What was noted at intake was changed.
        Updated = "TicketUpdated",
        /// The customer was answered.
        Responded = "TicketResponded",
        /// It waits.
        Paused = "TicketPaused",
        /// It goes on.
        Resumed = "TicketResumed",
        /// It was resolved.
        Resolved = "TicketResolved",
        /// The customer was told the result.
        ResultFedBack = "TicketResultFedBack",
        /// It was closed.
        Closed = "TicketClosed",
        /// It was reopened.
        Reopened = "TicketReopened",
        /// It was raised.
        Escalated = "TicketEscalated",
        /// It was cancelled.
        Cancelled = "TicketCancelled",
        /// A deadline passed.
        ClockBreached = "TicketClockBreached",
        /// A deadline comes near.
        ClockWarned = "TicketClockWarned",
        /// A delay was announced.
        DelayAnnounced = "TicketDelayAnnounced",
        /// Its severity was changed.
        Assessed = "TicketAssessed",
        /// A step of a clock's escalation was taken.
        ClockEscalated = "TicketClockEscalated",
        /// The customer is to be reminded.
        ReminderDue = "TicketReminderDue",
        /// Closing is proposed.
        CloseProposed = "TicketCloseProposed",
        /// Its priority was raised.
        PriorityRaised = "TicketPriorityRaised",
        /// A message to the customer never left.
        AnswerUndelivered = "TicketAnswerUndelivered",
        /// A message to the customer could not be sent; has no event of its own.
        MessageParked = "MessageParked",
        /// It was sent to another team or org unit.
        TransferRequested = "TicketTransferRequested",
        /// The receiver has it.
        TransferAccepted = "TicketTransferAccepted",
        /// The receiver gave it back.
        TransferReturned = "TicketTransferReturned",
        /// The sender took it back.
        TransferWithdrawn = "TicketTransferWithdrawn",
        /// It was given to a team or a person.
        Assigned = "TicketAssigned",
        /// Headquarters watches it.
        Supervised = "TicketSupervised",
        /// Headquarters urged.
        Urged = "TicketUrged",
        /// The unit answered headquarters.
        SupervisionAnswered = "TicketSupervisionAnswered",
        /// The unit did not answer headquarters by the date.
        SupervisionAnswerMissed = "TicketSupervisionAnswerMissed",
        /// Headquarters watches it no more.
        SupervisionEnded = "TicketSupervisionEnded",
        /// It was reported to headquarters by the policy's criteria.
        ReportedToHeadquarters = "TicketReportedToHeadquarters",
        /// The executives are to decide; its event is that it was reopened.
        ExecutiveReviewStarted = "ExecutiveReviewStarted",
        /// The executives decided.
        ExecutiveReviewDecided = "TicketExecutiveReviewDecided",
        /// It was merged into another one.
        Merged = "TicketMerged",
        /// Its merge was undone.
        Unmerged = "TicketUnmerged",
        /// Another one was merged into it.
        DuplicateTaken = "TicketDuplicateTaken",
        /// It was put under a parent.
        Linked = "TicketLinked",
        /// It is under its parent no more.
        Unlinked = "TicketUnlinked",
        /// Something that the policy wants noted was missing.
        FieldMissing = "TicketFieldMissing",
        /// A handling form was filled in.
        HandlingFormCompleted = "TicketHandlingFormCompleted",
        /// Somebody tried to reach the customer.
        ContactAttempted = "TicketContactAttempted",
        /// Its process was started; its event is that the process changed, as with the next two.
        ProcessStarted = "ProcessStarted",
        /// Stages of its process began.
        ProcessStageStarted = "ProcessStageStarted",
        /// Its process was completed.
        ProcessCompleted = "ProcessCompleted",
        /// The deadline of a stage of its process comes near.
        ProcessStageWarned = "ProcessStageWarned",
        /// The deadline of a stage of its process passed.
        ProcessStageBreached = "ProcessStageBreached",
        /// A step of the escalation of a stage of its process was taken.
        ProcessStageEscalated = "ProcessStageEscalated",
    }
}

impl TriggerEvent {
    /// Whether it is about one of the ticket's clocks.
    #[must_use]
    pub const fn is_of_clock(self) -> bool {
        matches!(
            self,
            Self::ClockBreached | Self::ClockWarned | Self::ClockEscalated | Self::DelayAnnounced
        )
    }

    /// Whether it is about stages of the ticket's process.
    #[must_use]
    pub const fn is_of_stage(self) -> bool {
        matches!(
            self,
            Self::ProcessStageStarted
                | Self::ProcessStageWarned
                | Self::ProcessStageBreached
                | Self::ProcessStageEscalated
        )
    }

    /// Whether it is about a transfer.
    #[must_use]
    pub const fn is_of_transfer(self) -> bool {
        matches!(
            self,
            Self::TransferRequested
                | Self::TransferAccepted
                | Self::TransferReturned
                | Self::TransferWithdrawn
        )
    }
}

/// What an event says beside that it happened, as far as triggers ask for it. It is what was true then; the ticket may have
/// gone on since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventTold {
    /// Which receiver level is to be told (T-07).
    pub told_level: Option<ReceiverLevel>,
    /// The rule of the clock that it is about.
    pub clock: Option<String>,
    /// The stages that it is about.
    pub stages: Vec<String>,
    /// The transfer that it is about.
    pub transfer: Option<TransferEnds>,
}

/// Between whom a ticket went (T-11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferEnds {
    /// The org unit to which it was sent.
    pub to: String,
    /// Who sent it.
    pub by: Subject,
}
