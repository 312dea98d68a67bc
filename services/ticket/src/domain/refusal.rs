//! Why a command was refused, with everything that is missing (T-09, T-13, X-06).

use jiff::Timestamp;
use kefu_calendar::DueError;
use thiserror::Error;
use uuid::Uuid;

use super::{
    message_template::Variable,
    process_need::ProcessNeed,
    routing::Amount,
    ticket::StateName,
    word::{Fault, ReceiverLevel, Subject, Text, coded},
};

/// Why a command was refused. Nothing has changed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// The state does not allow the move.
    #[error("{command} is not possible in state {state}: {}", list(missing))]
    IllegalState {
        /// Where the ticket stands.
        state: StateName,
        /// What was asked for.
        command: &'static str,
        /// Everything that is missing, never empty.
        missing: Vec<Missing>,
    },
    /// One's own work may not be judged by oneself (T-13).
    #[error("{staff} handled this cycle and may not enter its verdict")]
    SeparationOfDuties {
        /// Where the ticket stands.
        state: StateName,
        /// What was asked for.
        command: &'static str,
        /// Who asked for it.
        staff: Subject,
    },
    /// The receiver level may not resolve such a ticket (T-12).
    #[error("{command} is not possible in state {state}: level {} may not resolve it, level {} may", level.number(), needed.number())]
    Authority {
        /// Where the ticket stands.
        state: StateName,
        /// What was asked for.
        command: &'static str,
        /// Where it is.
        level: ReceiverLevel,
        /// The lowest level that may.
        needed: ReceiverLevel,
        /// What the ticket is about in money and how much of that the level may decide, where that is why it may not.
        money: Option<(Amount, Amount)>,
        /// What is missing besides.
        missing: Vec<Missing>,
    },
    /// The receiver level is not that of whoever asks (T-12).
    #[error("{command} is not possible in state {state}: it is for level {}: {}", level.number(), roles.join(", "))]
    NotOfLevel {
        /// Where the ticket stands.
        state: StateName,
        /// What was asked for.
        command: &'static str,
        /// The level.
        level: ReceiverLevel,
        /// Who has it, as roles, never empty.
        roles: Vec<String>,
    },
    /// The customer was not tried to be reached often enough (T-09).
    #[error(
        "{command} is not possible in state {state}: {more} more failed attempts to reach the customer"
    )]
    Attempts {
        /// Where the ticket stands.
        state: StateName,
        /// What was asked for.
        command: &'static str,
        /// So many are missing.
        more: u32,
        /// From when on the next one counts; none means at once.
        next_from: Option<Timestamp>,
    },
    /// Fields of the company's own have no value yet (T-01).
    #[error("{command} is not possible in state {state}: {} must be filled in first", fields.join(", "))]
    FieldsMissing {
        /// Where the ticket stands.
        state: StateName,
        /// What was asked for.
        command: &'static str,
        /// Their codes, never empty.
        fields: Vec<String>,
    },
    /// The process that it follows is under way (T-22).
    #[error("{command} is not possible in state {state}: its process is under way at {}", stages.join(", "))]
    ProcessRuns {
        /// Where the ticket stands.
        state: StateName,
        /// What was asked for.
        command: &'static str,
        /// Which process.
        process: Uuid,
        /// The stages that are under way, never empty.
        stages: Vec<String>,
        /// What they lack, as far as whoever tells it has looked that up.
        missing: Vec<ProcessNeed>,
    },
    /// Fields are wrong in a way that only the ticket and its policy can tell.
    #[error("fields are wrong")]
    Fields(
        /// Every one of them, with the field names of the request.
        Vec<Fault>,
    ),
    /// A standard wording asks for what the ticket does not have (T-14).
    #[error("the ticket has no value for {}", names(variables))]
    NoValue {
        /// Where the ticket stands.
        state: StateName,
        /// Every variable without a value, never empty.
        variables: Vec<Variable>,
    },
    /// It is merged: another ticket is handled instead (T-04).
    #[error("{command} is not possible in state merged: the ticket was merged into another one")]
    Merged {
        /// What was asked for.
        command: &'static str,
        /// Into which; where that was merged itself, whoever tells it says where the chain ends.
        into: Uuid,
    },
    /// The policy's calendar does not reach the deadline of a promise.
    #[error("the deadline of {rule} cannot be computed: {error}")]
    NoDeadline {
        /// The promise.
        rule: String,
        /// Why not.
        error: DueError,
    },
}

coded! {
    /// Something that a move needs and that is not there.
    Missing {
        /// The ticket is closed or cancelled.
        NotEnded = "not_ended",
        /// There is no solution.
        Solution = "solution",
        /// There is a solution already.
        NoSolutionYet = "no_solution_yet",
        /// The customer has not been told the result.
        ResultFedBack = "result_fed_back",
        /// The customer has been told the result already.
        ResultNotFedBackYet = "result_not_fed_back_yet",
        /// It waits already.
        NotWaiting = "not_waiting",
        /// It does not wait.
        Waiting = "waiting",
        /// Only a verdict can end it.
        Verdict = "verdict",
        /// There is no receiver level above.
        HigherLevel = "higher_level",
        /// The clock does not run in this cycle: it pauses, has ended or never began.
        RunningClock = "running_clock",
        /// It is on its way to a receiver.
        TransferEnded = "transfer_ended",
        /// It is not on its way.
        PendingTransfer = "pending_transfer",
        /// Whoever sent it does not receive it.
        OtherReceiver = "other_receiver",
        /// The executives have not decided.
        ExecutiveDecision = "executive_decision",
        /// It is not in executive review.
        ExecutiveReview = "executive_review",
        /// There is no handling plan.
        Plan = "plan",
        /// The customer has not agreed with the plan.
        PlanAgreement = "plan_agreement",
        /// The customer has agreed already.
        UnagreedPlan = "unagreed_plan",
        /// The item is done already.
        OpenItem = "open_item",
        /// The latest handling form is empty.
        HandlingForm = "handling_form",
        /// The form is filled in already.
        EmptyForm = "empty_form",
        /// It was never escalated.
        Escalation = "escalation",
        /// It is not under supervision.
        Supervision = "supervision",
        /// It is under supervision already.
        NoSupervision = "no_supervision",
        /// Headquarters has its answer already.
        OwedAnswer = "owed_answer",
        /// The ticket is not closed.
        Closed = "closed",
        /// The policy lets nothing be reopened that is closed.
        Reopening = "reopening",
        /// It was closed too long ago to be reopened.
        ReopeningTime = "reopening_time",
    }
}

impl Missing {
    /// In words, for whoever was refused.
    #[must_use]
    pub fn words(self) -> Text {
        let (en, zh) = match self {
            Self::NotEnded => ("the ticket is closed or cancelled", "工单已关闭或取消"),
            Self::Solution => ("a solution must be on record first", "须先登记处理方案"),
            Self::NoSolutionYet => ("a solution is on record already", "已登记处理方案"),
            Self::ResultFedBack => {
                ("the customer must have been told the result first", "须先向客户反馈结果")
            }
            Self::ResultNotFedBackYet => {
                ("the customer has been told the result already", "已向客户反馈结果")
            }
            Self::NotWaiting => ("the ticket waits already", "工单已处于等待状态"),
            Self::Waiting => ("the ticket does not wait", "工单未处于等待状态"),
            Self::Verdict => (
                "once solved or reopened, only the customer's verdict ends the ticket",
                "已处理或重开的工单只能由客户评价结束",
            ),
            Self::HigherLevel => ("there is no receiver level above", "已是最高受理级别"),
            Self::RunningClock => {
                ("the clock must run and its deadline lie ahead", "该时限须正在计时且尚未到期")
            }
            Self::TransferEnded => (
                "the transfer must be accepted, returned or withdrawn first",
                "须先接收、退回或撤回转办",
            ),
            Self::PendingTransfer => ("no transfer waits for a receiver", "没有待接收的转办"),
            Self::OtherReceiver => {
                ("somebody other than whoever sent it must accept", "须由转办人以外的人员接收")
            }
            Self::ExecutiveDecision => {
                ("the executives must decide on the review first", "须先登记高层评审决定")
            }
            Self::ExecutiveReview => {
                ("the ticket is not in executive review", "工单未处于高层评审")
            }
            Self::Plan => (
                "a handling plan for the present cycle must be on record first",
                "须先制定本轮的处理计划",
            ),
            Self::PlanAgreement => {
                ("the customer must have agreed with the plan first", "处理计划须先经客户同意")
            }
            Self::UnagreedPlan => {
                ("the customer has agreed with the plan already", "客户已同意处理计划")
            }
            Self::OpenItem => ("the item is done already", "该计划项已完成"),
            Self::HandlingForm => {
                ("the latest handling form must be filled in first", "须先填写最新的处理单")
            }
            Self::EmptyForm => ("the handling form is filled in already", "该处理单已填写"),
            Self::Escalation => ("the ticket was never escalated", "工单尚未升级"),
            Self::Supervision => ("the ticket is not under supervision", "工单未在督办中"),
            Self::NoSupervision => ("the ticket is under supervision already", "工单已在督办中"),
            Self::OwedAnswer => ("headquarters has its answer already", "已答复督办，无待答复事项"),
            Self::Closed => (
                "the ticket must be closed; what was cancelled or merged is not reopened",
                "工单须已关闭；已取消或已合并的工单不能重开",
            ),
            Self::Reopening => {
                ("the policy does not let closed tickets be reopened", "制度不允许重开已关闭的工单")
            }
            Self::ReopeningTime => (
                "the policy's time for reopening is over: register a new ticket",
                "已超过制度规定的重开期限，请另行登记工单",
            ),
        };
        Text::new(en, zh)
    }
}

fn names(variables: &[Variable]) -> String {
    variables.iter().map(|variable| variable.code()).collect::<Vec<_>>().join(", ")
}

fn list(missing: &[Missing]) -> String {
    missing.iter().map(|missing| missing.words().en).collect::<Vec<_>>().join("; ")
}
