//! Why a command was refused, with everything that is missing (T-09, T-13, X-06).

use kefu_calendar::DueError;
use thiserror::Error;

use super::{
    message_template::Variable,
    ticket::StateName,
    word::{Fault, Subject, Text, coded},
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
