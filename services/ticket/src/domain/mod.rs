//! The ticket domain: what a ticket is and what may happen to it. Pure: no I/O, no clock, no
//! randomness; the time and the ids are handed in.
//!
//! [`register()`] makes a ticket, [`decide()`] says what a command does to it or why not, [`apply`] is
//! the only thing that changes it. A [`Change`] is one revision and one row of the journal.
//!
//! # What always holds
//!
//! * A rule of the policy has at most one live clock per ticket; whatever ends a cycle ends its
//!   clocks, and what an ended cycle shows never changes (T-05). What was used up of a promise and
//!   its pauses outlive changes of severity and, unless the policy says otherwise, reopening (T-06).
//! * An announced delay moves no deadline (T-08).
//! * A breach is recorded once, as of its deadline, together with the violation that it proposes
//!   and the level to which it raises the ticket, and is never unmade (T-07, T-12, T-19).
//! * When a worker comes to a deadline does not matter: [`decide()`] settles what is due first, so
//!   late in one go is the same as each at its moment.
//! * Cycle and receiver level only rise; the first-contact owner never changes (T-02).
//! * Only the customer's verdict ends a ticket that has seen a solution, and nobody enters the
//!   verdict on its own work (T-13).
//! * A work order takes its steps in order, each once; it runs on whatever is objected to it, and a
//!   reply that it owes and does not get is missed once, as of when it was due (T-16).
//! * Nothing that the policy forbids is said to the customer unless a supervisor overrides it, and then that is on record;
//!   what is noted internally changes nothing else (T-14).
//! * What is sent is tried until it is taken, parked or cancelled by a person, each of them once and for good but that a person
//!   may take up again what was parked (T-14). A trigger does all of its steps or none (T-26).
//! * The ticket is judged by the policy version that was in force when it was registered.

mod announce;
mod assess;
mod automate;
mod automation;
mod automation_check;
mod automation_draft;
mod change;
mod clock;
mod clock_note;
mod command;
mod decide;
mod delivery;
mod escalation;
mod explain;
mod message_template;
mod phrase;
mod policy;
mod policy_check;
mod policy_check_clock;
mod policy_draft;
mod refusal;
mod register;
mod story;
mod ticket;
mod timers;
mod verdict;
mod violation;
mod waiting;
mod word;
mod work_order;
mod work_order_decide;

#[cfg(test)]
mod tests;

pub(crate) use self::{
    delivery::MAX_RECIPIENT, message_template::MAX_TEMPLATES, phrase::MAX_PHRASES,
};

pub use self::{
    automate::{Automated, Doing, Outgoing, automate},
    automation::{
        AutoStep, Automation, TicketCondition, Tongue, Trigger, TriggerEvent, TriggerOutcome,
        Wording,
    },
    automation_draft::{
        AdapterDraft, AutomationDraft, ConditionDraft, MacroDraft, StepDraftOf, TriggerDraft,
        WordingDraft,
    },
    change::{Change, What, apply},
    clock::{Alarm, ClockChange, ClockEffect, ClockEntry, ClockState, Fulfilment},
    clock_note::{Announcement, Revision, Step, StepRule, StepTime},
    command::Command,
    decide::decide,
    delivery::{
        AdapterKind, Attempted, ChannelAdapter, Delivery, DeliveryContent, DeliveryRefusal,
        DeliveryState, Dispatch, Patience, Route,
    },
    escalation::{Escalation, EscalationCause},
    explain::{DeadlineExplanation, explain},
    message_template::{Filling, MessageTemplate, Variable},
    phrase::{ForbiddenPhrase, ForbiddenPhrases},
    policy::{
        ClockRule, ClockRuleDraft, ForbiddenPhraseDraft, GradePriorityDraft, LevelDraft,
        MessageTemplateDraft, PauseReason, PauseReasonDraft, Policy, PolicyDraft, ReopenMode,
        SeverityDraft, StepDraft, VerdictOption, VerdictOptionDraft, VerdictOutcome,
        ViolationDraft, ViolationRule,
    },
    refusal::{Missing, Refusal},
    register::{Identity, Intake, Registration, register},
    ticket::{Complainant, Details, Open, Solution, State, StateName, Ticket},
    verdict::{Verdict, VerdictSource},
    violation::ProposedViolation,
    waiting::{FollowUp, FollowUpAlarm},
    word::{
        Actor, Channel, ClockKind, Fault, MessagePurpose, Priority, ReceiverLevel, Severity,
        Subject, Text, TicketKind, UnknownCode,
    },
    work_order::{
        Brief, CalledBack, Decision, Dispute, DisputeOutcome, Done, OrderChange, OrderEvent,
        OrderState, OrderStateName, Progress, Signature, SignedOff, StepTaken, Unsigned, WorkOrder,
        apply_order,
    },
    work_order_decide::{
        Duty, LATE_WORK_ORDER, OrderCommand, OrderIdentity, OrderMissing, OrderRefusal,
        decide_order, issue_order, to_minute, with_changes,
    },
};
