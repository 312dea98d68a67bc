//! What a process misses, and why a command on it is refused (T-22).

use thiserror::Error;

use super::word::{Fault, Text, coded};

coded! {
    /// Something that is missing.
    NeedKind {
        /// A document.
        Document = "document",
        /// An inspection.
        Inspection = "inspection",
        /// There may be no more inspections, and the last did not pass.
        InspectionsExhausted = "inspections_exhausted",
        /// It was not submitted.
        Submission = "submission",
        /// An approval.
        Approval = "approval",
        /// The promised written answer.
        Answer = "answer",
        /// A requested change waits for its decision.
        ChangeDecision = "change_decision",
        /// The stage is not under way.
        RunningStage = "running_stage",
        /// The process is over.
        RunningProcess = "running_process",
        /// The ticket is closed or cancelled.
        OpenTicket = "open_ticket",
        /// There is a solution already.
        UnsolvedTicket = "unsolved_ticket",
        /// The ticket is merged.
        UnmergedTicket = "unmerged_ticket",
        /// The ticket is no request.
        Request = "request",
        /// It waits for approval or has it.
        NoSubmission = "no_submission",
        /// Nothing waits for approval.
        PendingSubmission = "pending_submission",
        /// It needs no further inspection.
        NoInspection = "no_inspection",
        /// No change was requested.
        PendingChange = "pending_change",
        /// What was requested is agreed already.
        NewValues = "new_values",
        /// There is no room for more on record.
        Room = "room",
    }
}

/// Something that is missing, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessNeed {
    /// What.
    pub kind: NeedKind,
    /// Of what: the code of a document, the roles that approve, otherwise the stage.
    pub subject: String,
}

impl ProcessNeed {
    /// Of something.
    #[must_use]
    pub fn new(kind: NeedKind, subject: &str) -> Self {
        Self { kind, subject: subject.to_owned() }
    }

    /// In words, for whoever was refused.
    #[must_use]
    pub fn words(&self) -> Text {
        let of = &self.subject;
        let (en, zh) = match self.kind {
            NeedKind::Document => {
                (format!("the document {of} must be on record"), format!("须登记资料 {of}"))
            }
            NeedKind::Inspection => {
                (format!("{of} needs another inspection"), format!("{of} 尚需检查"))
            }
            NeedKind::InspectionsExhausted => (
                format!(
                    "{of} has had all its inspections and the last did not pass: the request must be changed or the process cancelled"
                ),
                format!("{of} 检查次数已用完且未合格，须变更申请或取消流程"),
            ),
            NeedKind::Submission => {
                (format!("{of} must be submitted for approval"), format!("{of} 须提交审批"))
            }
            NeedKind::Approval => (
                format!("an approval is missing by one of: {of}"),
                format!("尚缺审批，审批角色：{of}"),
            ),
            NeedKind::Answer => (
                format!("{of} promises the customer a written answer, which must be on the ticket"),
                format!("{of} 须先书面答复客户"),
            ),
            NeedKind::ChangeDecision => (
                "the requested change must be decided first".to_owned(),
                "须先决定变更申请".to_owned(),
            ),
            NeedKind::RunningStage => {
                (format!("{of} is not under way"), format!("{of} 未在进行中"))
            }
            NeedKind::RunningProcess => ("the process is over".to_owned(), "流程已结束".to_owned()),
            NeedKind::OpenTicket => {
                ("the ticket is closed or cancelled".to_owned(), "工单已关闭或取消".to_owned())
            }
            NeedKind::UnsolvedTicket => (
                "a solution is on record: a process begins while the ticket is open".to_owned(),
                "已登记处理方案，流程须在处理之前启动".to_owned(),
            ),
            NeedKind::UnmergedTicket => (
                "the ticket is merged: undo that first, or call the process off".to_owned(),
                "工单已并入其他工单，须先撤销合并或取消流程".to_owned(),
            ),
            NeedKind::Request => {
                ("only a request follows a process".to_owned(), "只有报事工单可走流程".to_owned())
            }
            NeedKind::NoSubmission => (
                format!("{of} waits for approval or has it, and what was submitted stays as it is"),
                format!("{of} 已提交审批，内容不可更改"),
            ),
            NeedKind::PendingSubmission => {
                (format!("nothing of {of} waits for approval"), format!("{of} 没有待审批的提交"))
            }
            NeedKind::NoInspection => {
                (format!("{of} needs no further inspection"), format!("{of} 无须再检查"))
            }
            NeedKind::PendingChange => {
                ("no requested change waits".to_owned(), "没有待决定的变更申请".to_owned())
            }
            NeedKind::NewValues => {
                ("all of it is agreed already".to_owned(), "所申请的内容与现状相同".to_owned())
            }
            NeedKind::Room => (
                format!("there is no room for more on record of {of}"),
                format!("{of} 的记录已达上限"),
            ),
        };
        Text::new(en, zh)
    }
}

coded! {
    /// Who a command is for.
    ProcessDuty {
        /// Whoever has a role that the template names.
        Role = "role",
        /// Whoever neither submitted it nor put any of it on record.
        NotSubmitter = "not_submitter",
        /// Whoever did not approve it already.
        NotApprover = "not_approver",
        /// Whoever did not request it.
        NotRequester = "not_requester",
    }
}

impl ProcessDuty {
    /// In words, for whoever was refused.
    #[must_use]
    pub fn words(self) -> Text {
        let (en, zh) = match self {
            Self::Role => ("the template gives it to another role", "流程模板将此步骤交由其他角色"),
            Self::NotSubmitter => (
                "whoever submitted it or put any of it on record may not judge it",
                "提交人或参与登记的人不得评判",
            ),
            Self::NotApprover => ("it has approved already", "本人已审批"),
            Self::NotRequester => {
                ("whoever requested a change may not decide on it", "变更申请人不得自行决定")
            }
        };
        Text::new(en, zh)
    }
}

/// Why a command was refused. Nothing has changed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProcessRefusal {
    /// Something is missing.
    #[error("{command} is not possible: {}", list(missing))]
    Lacking {
        /// What was asked for.
        command: &'static str,
        /// Everything that is missing, never empty.
        missing: Vec<ProcessNeed>,
    },
    /// Somebody else has to do that.
    #[error("{command} is not for this caller: {}", duty.words().en)]
    NotYours {
        /// What was asked for.
        command: &'static str,
        /// Whose it is.
        duty: ProcessDuty,
    },
    /// Fields are wrong in a way that only the template or what is on record can tell.
    #[error("fields are wrong")]
    Fields(
        /// Every one of them, with the field names of the request.
        Vec<Fault>,
    ),
    /// The policy's calendar does not reach the deadline of a stage.
    #[error("the policy's calendar does not reach the deadline of a stage")]
    NoDeadline,
}

fn list(missing: &[ProcessNeed]) -> String {
    missing.iter().map(|missing| missing.words().en).collect::<Vec<_>>().join("; ")
}
