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
//! * What is promised can be computed anew by another policy version, by the rules in `recompute.rs`: nothing that was used
//!   up, no pause and no breach is lost by it, and each stretch of a clock's time counts on the calendar that was valid in
//!   it (T-05, T-06).
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
//!   the policy asks (T-09). What is closed is opened again only in the policy's time, and then a new cycle begins (T-13).
//! * A ticket is reported to headquarters at most once, as of when it met the criterion; an answer that headquarters does not
//!   get is missed once, as of its date (T-15).
//! * Who owns an open ticket has it counted to his load, and nobody else does; criteria and rules raise severity and
//!   priority and never lower them (T-03).
//! * Rules that are looked at again give away only what nobody has, unless the receiver level rose to that of a rule; a step of a trigger or macro that assigns a ticket is done
//!   with the others or not at all (T-03, T-26).
//! * An action against a cause is closed by the verification of somebody else that it worked, and not otherwise (T-18).
//! * Nobody decides about a violation of its own, and nothing is charged without a confirmation (T-19).
//! * A process skips no stage of its route, runs two at once only where the template says so, and is completed only with all
//!   that each stage asks for on what is agreed then; nobody approves or decides what it asked for itself (T-22).
//! * A ticket whose process is under way gets no solution; the clocks of the stages stand still exactly while it waits or is
//!   merged, and its end is theirs (T-22).
//! * What is sent is tried until it is taken, parked or cancelled by a person, each of them once and for good but that a person
//!   may take up again what was parked (T-14). A trigger does all of its steps or none (T-26).
//! * A merge lengthens no promise and unmakes no breach, and what was merged is merged into one ticket only; undone, it is as
//!   if it had never been. A parent is no child (T-04).
//! * That the customer was reminded is on record only where a reminder was put in the outbox (T-06); a message that never left
//!   marks its ticket until the customer hears something (T-14).
//! * The ticket is judged by the policy version that was in force when it was registered.

mod addressee;
mod announce;
mod archive;
mod assess;
mod assign;
mod attachment;
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
mod comparison;
mod content_rules;
mod correction;
mod corrective_action;
mod counting;
mod custom_field;
mod decide;
mod delivery;
mod due;
mod escalation;
mod explain;
mod handling;
mod handling_command;
mod handling_decide;
mod handling_rules;
mod keyword;
mod likeness;
mod link;
mod link_rules;
mod media_type;
mod merge;
mod message_template;
mod order_duty;
mod phrase;
mod policy;
mod policy_check;
mod policy_check_clock;
mod policy_draft;
mod policy_learning;
mod process;
mod process_check;
mod process_clock;
mod process_command;
mod process_decide;
mod process_draft;
mod process_explain;
mod process_follow;
mod process_need;
mod process_route_check;
mod process_template;
mod product_hold;
mod queue;
mod recompute;
mod refusal;
mod register;
mod reminder;
mod reopen;
mod report;
mod required_field;
mod reroute;
mod routing;
mod routing_check;
mod routing_draft;
mod saved_view;
mod search;
mod shift;
mod shift_pattern;
mod spoken;
mod step;
mod story;
mod suggestion;
mod supervision;
mod terms;
mod ticket;
mod timers;
mod transfer;
mod verdict;
mod violation;
mod violation_decide;
mod waiting;
mod word;
mod work_order;
mod work_order_alarm;
mod work_order_decide;
mod work_order_reassign;

#[cfg(test)]
mod tests;

pub(crate) use self::{
    category::MAX_CATEGORIES,
    content_rules::MAX_TAGS,
    delivery::MAX_RECIPIENT,
    message_template::MAX_TEMPLATES,
    phrase::MAX_PHRASES,
    routing_check::{MAX_RULES, MAX_STAFF, MAX_VALUES, is_currency},
    shift_pattern::MAX_MEMBERS,
};

pub use self::{
    addressee::{Addressee, NoticeTo},
    archive::{ArchiveFault, Directory, MAX_TAIL, directory, inspect},
    assign::Assignment,
    attachment::{Attachment, AttachmentState, FileFault, Withdrawn, withdraw},
    authority::of_level,
    automate::{Automated, Doing, Outgoing, automate},
    automation::{
        AssignTo, AutoStep, Automation, TicketCondition, Tongue, Trigger, TriggerEvent,
        TriggerOutcome, Wording,
    },
    automation_draft::{
        AdapterDraft, AutomationDraft, ConditionDraft, MacroDraft, StepDraftOf, TriggerDraft,
        WordingDraft,
    },
    category::CategoryTree,
    change::{Change, What, apply},
    clock::{Alarm, ClockChange, ClockEffect, ClockEntry, ClockState, Fulfilment},
    clock_note::{Announcement, Cause, Revision, Step, StepRule, StepTime},
    command::Command,
    comparison::{Comparison, Outcome, compare},
    content_rules::{ContentDraft, FileDraft, FileRules},
    correction::{Corrected, Correction, Facts, Fix},
    corrective_action::{
        ActionCommand, ActionKind, ActionState, ActionVerdict, CorrectiveAction, Round,
        Verification, decide_action, notice_overdue,
    },
    custom_field::{FieldDraft, FieldType, FieldValues, MAX_FIELDS},
    decide::decide,
    delivery::{
        AdapterKind, Attempted, ChannelAdapter, Delivery, DeliveryContent, DeliveryRefusal,
        DeliveryState, Dispatch, Patience, Route,
    },
    due::Due,
    escalation::{Escalation, EscalationCause},
    explain::{DeadlineExplanation, explain},
    handling::{
        Agreement, Attempt, ExecutiveOutcome, Handling, HandlingChange, Plan, PlanItem, Supervision,
    },
    handling_command::HandlingCommand,
    handling_decide::transfer_names_customer,
    handling_rules::{
        AttemptDraft, HandlingDraft, HandlingRules, ReportingCriterionDraft, ReportingDraft,
    },
    likeness::{Likely, LikelyReason, Matter, first_words, grams, likely, most_likely},
    link::{
        Blocker, LinkChange, Links, MAX_CHAIN, MassOutcome, MassPurpose, Merged, TakenPromise,
        link, unlink,
    },
    link_rules::{LinkDraft, LinkRules},
    media_type::{Content, HEAD, TextWatch, canonical, is_archive, is_media_type, judge},
    merge::{Merging, merge, merge_chain_full, same_customer, unmerge},
    message_template::{Filling, MessageTemplate, Variable},
    order_duty::Duty,
    phrase::{ForbiddenPhrase, ForbiddenPhrases},
    policy::{
        ClockChanges, ClockRule, ClockRuleDraft, ForbiddenPhraseDraft, Given, GradePriorityDraft,
        IntakeHours, LevelDraft, MessageTemplateDraft, PauseReason, PauseReasonDraft, Policy,
        PolicyDraft, ReopenMode, SeverityDraft, StepDraft, VerdictOption, VerdictOptionDraft,
        VerdictOutcome, ViolationDraft, ViolationRule,
    },
    policy_learning::{Learning, LearningDraft, RefusedOrderRule, ShiftRules, ShiftRulesDraft},
    process::{
        AnswerRecord, ApprovalRecord, ChangeOutcome, DocumentRecord, InspectionRecord, Process,
        ProcessChange, ProcessEnd, ProcessState, RunRecord, RunState, StageRun, Submission,
        SubmissionEnd,
    },
    process_clock::{Raise, RunAlarm},
    process_command::{Named, NamedFile, ProcessActor, ProcessCommand, Said},
    process_decide::{Notice, decide_process, notice_process, start_process, without_file},
    process_draft::{
        ApprovalDraft, AttributeDraft, InspectionsDraft, LengthDraft, OutcomeDraft,
        ProcessTemplateDraft, RouteConditionDraft, RouteDraft, StageClockDraft, StageDraft,
        ValueKind,
    },
    process_explain::explain_process,
    process_follow::{Hold, RunningProcess, Standing, raise_by_stage},
    process_need::{NeedKind, ProcessDuty, ProcessNeed, ProcessRefusal},
    process_template::{
        Agreed, Approval, Attribute, AttributeKind, Condition, Inspections, Is, Length, Number,
        OnRoutes, ProcessTemplate, Route as ProcessRoute, Stage, StageClock, Value,
    },
    product_hold::{ProductHold, held_product, lift_hold},
    queue::{QueueOrder, TICKET_FIELDS, TicketFilter},
    recompute::{Recompute, RecomputeCause},
    refusal::{Missing, Refusal},
    register::{Identity, Intake, Registration, is_known_category, register},
    reminder::{NotReminded, Reminded, Reminder, ReminderDraft},
    reopen::{LateAnswer, Reopening},
    report::{
        AGE_BOUNDS_DAYS, DEFAULT_REPEAT_WINDOW_DAYS, ReportWindow, Share, iso_week, iso_week_of,
        pareto, ratio, week_from, week_of,
    },
    required_field::{RequiredField, RequiredFieldsDraft, RequiredMoment},
    reroute::{Found, Placed, Supposed},
    routing::{
        Amount, AssignCause, Candidate, Distribution, Look, Rerouting, Routed, Routing, rank,
    },
    routing_draft::{
        CategoryDraft, ComplainantTypeDraft, ConditionsDraft, CriterionDraft, RoutingDraft,
        RuleDraft,
    },
    saved_view::SavedView,
    search::{MAX_WORDS, SearchQuery, SearchText, scope_token},
    shift::{
        Shift, ShiftCommand, ShiftState, allow_reason, decide_shift, follow_roster, miss_list,
        plan_from_pattern, plan_shift,
    },
    shift_pattern::{Occurrence, Rostered, ShiftPattern, ShiftPatternDraft, crew, occurrences},
    spoken::{DeliveryNote, Outbound, Spoken, Undelivered, bring_mark, follow_mark},
    step::{Need, StepRefusal},
    suggestion::{
        Suggestion, SuggestionDecision, SuggestionState, decide_suggestion, remind,
        submit_suggestion,
    },
    terms::{Era, Issued, Terms},
    ticket::{Complainant, Details, Open, Solution, State, StateName, Ticket},
    transfer::{Receiving, Transfer},
    verdict::{Verdict, VerdictSource},
    violation::{ProposedViolation, late_stage},
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
        OrderState, OrderStateName, Progress, Reassignment, Signature, SignedOff, StepTaken,
        Unsigned, WorkOrder, apply_order,
    },
    work_order_decide::{
        OrderCommand, OrderIdentity, OrderMissing, OrderRefusal, decide_order,
        expecting_acceptance, issue_order, to_minute, with_changes,
    },
};
