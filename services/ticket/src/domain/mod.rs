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
//! * A ticket on its way to a receiver is not resolved, told, cancelled or closed; until it is accepted its org unit answers
//!   for it, and no clock notices (T-11).
//! * No level resolves what the policy gives to a higher one, and nobody leaves an executive review without a decision on
//!   record (T-12).
//! * A ticket closes by a verdict, or by somebody other than its handlers once the customer could not be reached as often as
//!   the policy asks (T-09).
//! * A ticket is reported to headquarters at most once, as of when it met the criterion; an answer that headquarters does not
//!   get is missed once, as of its date (T-15).
//! * Who owns an open ticket has it counted to his load, and nobody else does; criteria and rules raise severity and
//!   priority and never lower them (T-03).
//! * An action against a cause is closed by the verification of somebody else that it worked, and not otherwise (T-18).
//! * Nobody decides about a violation of its own, and nothing is charged without a confirmation (T-19).
//! * What is sent is tried until it is taken, parked or cancelled by a person, each of them once and for good but that a person
//!   may take up again what was parked (T-14). A trigger does all of its steps or none (T-26).
//! * The ticket is judged by the policy version that was in force when it was registered.

mod announce;
mod assess;
mod assign;
mod authority;
mod automate;
mod automation;
mod automation_check;
mod automation_draft;
mod category;
mod change;
mod clock;
mod clock_note;
mod command;
mod corrective_action;
mod decide;
mod delivery;
mod due;
mod escalation;
mod explain;
mod handling;
mod handling_decide;
mod handling_rules;
mod keyword;
mod message_template;
mod phrase;
mod policy;
mod policy_check;
mod policy_check_clock;
mod policy_draft;
mod policy_learning;
mod product_hold;
mod queue;
mod refusal;
mod register;
mod report;
mod routing;
mod routing_check;
mod routing_draft;
mod saved_view;
mod search;
mod shift;
mod step;
mod story;
mod suggestion;
mod supervision;
mod ticket;
mod timers;
mod verdict;
mod violation;
mod violation_decide;
mod waiting;
mod word;
mod work_order;
mod work_order_decide;

#[cfg(test)]
mod tests;

pub(crate) use self::{
    category::MAX_CATEGORIES,
    delivery::MAX_RECIPIENT,
    message_template::MAX_TEMPLATES,
    phrase::MAX_PHRASES,
    routing_check::{MAX_RULES, MAX_STAFF, MAX_VALUES, is_currency},
};

pub use self::{
    assign::Assignment,
    automate::{Automated, Doing, Outgoing, automate},
    automation::{
        AutoStep, Automation, TicketCondition, Tongue, Trigger, TriggerEvent, TriggerOutcome,
        Wording,
    },
    automation_draft::{
        AdapterDraft, AutomationDraft, ConditionDraft, MacroDraft, StepDraftOf, TriggerDraft,
        WordingDraft,
    },
    category::CategoryTree,
    change::{Change, What, apply},
    clock::{Alarm, ClockChange, ClockEffect, ClockEntry, ClockState, Fulfilment},
    clock_note::{Announcement, Revision, Step, StepRule, StepTime},
    command::Command,
    corrective_action::{
        ActionCommand, ActionKind, ActionState, ActionVerdict, CorrectiveAction, Round,
        Verification, decide_action, notice_overdue,
    },
    decide::decide,
    delivery::{
        AdapterKind, Attempted, ChannelAdapter, Delivery, DeliveryContent, DeliveryRefusal,
        DeliveryState, Dispatch, Patience, Route,
    },
    due::Due,
    escalation::{Escalation, EscalationCause},
    explain::{DeadlineExplanation, explain},
    handling::{
        Agreement, Attempt, ExecutiveOutcome, Handling, HandlingChange, HandlingCommand, Plan,
        PlanItem, Receiving, Supervision, Transfer,
    },
    handling_decide::transfer_names_customer,
    handling_rules::{
        AttemptDraft, HandlingDraft, HandlingRules, ReportingCriterionDraft, ReportingDraft,
    },
    message_template::{Filling, MessageTemplate, Variable},
    phrase::{ForbiddenPhrase, ForbiddenPhrases},
    policy::{
        ClockRule, ClockRuleDraft, ForbiddenPhraseDraft, GradePriorityDraft, IntakeHours,
        LevelDraft, MessageTemplateDraft, PauseReason, PauseReasonDraft, Policy, PolicyDraft,
        ReopenMode, SeverityDraft, StepDraft, VerdictOption, VerdictOptionDraft, VerdictOutcome,
        ViolationDraft, ViolationRule,
    },
    policy_learning::{Learning, LearningDraft, ShiftRules},
    product_hold::{ProductHold, held_product, lift_hold},
    queue::{QueueOrder, TICKET_FIELDS, TicketFilter},
    refusal::{Missing, Refusal},
    register::{Identity, Intake, Registration, register},
    report::{
        AGE_BOUNDS_DAYS, DEFAULT_REPEAT_WINDOW_DAYS, ReportWindow, Share, iso_week, iso_week_of,
        pareto, ratio, week_from, week_of,
    },
    routing::{Amount, AssignCause, Candidate, Distribution, Look, Routed, Routing, rank},
    routing_draft::{
        CategoryDraft, ComplainantTypeDraft, ConditionsDraft, CriterionDraft, RoutingDraft,
        RuleDraft,
    },
    saved_view::SavedView,
    search::{MAX_WORDS, SearchQuery, SearchText},
    shift::{Shift, ShiftCommand, ShiftState, allow_reason, decide_shift, miss_list, plan_shift},
    step::{Need, StepRefusal},
    suggestion::{
        Suggestion, SuggestionDecision, SuggestionState, decide_suggestion, remind,
        submit_suggestion,
    },
    ticket::{Complainant, Details, Open, Solution, State, StateName, Ticket},
    verdict::{Verdict, VerdictSource},
    violation::ProposedViolation,
    violation_decide::{
        Appeal, AppealOutcome, Confirmation, Violation, ViolationCommand, ViolationState,
        ViolationStateName, decide_violation,
    },
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
        Duty, OrderCommand, OrderIdentity, OrderMissing, OrderRefusal, decide_order, issue_order,
        to_minute, with_changes,
    },
};
