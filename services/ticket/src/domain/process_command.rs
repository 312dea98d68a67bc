//! What can be asked of a process (T-22).

use jiff::Timestamp;
use uuid::Uuid;

use super::{attachment::AttachmentState, process_template::Value, word::Subject};

/// Who asks.
#[derive(Clone, Debug)]
pub struct ProcessActor {
    /// By the sign-in token.
    pub subject: Subject,
    /// Its roles.
    pub roles: Vec<String>,
}

impl ProcessActor {
    pub(super) fn has_one_of(&self, roles: &[String]) -> bool {
        self.roles.iter().any(|role| roles.contains(role))
    }
}

/// What is asked of a process. Texts were checked for length and characters by whoever decoded them.
#[derive(Clone, Debug)]
pub enum ProcessCommand {
    /// Put a document on record.
    RecordDocument {
        /// In which stage.
        stage: String,
        /// Which.
        document: String,
        /// Where it is; may be empty beside a file.
        reference: String,
        /// The file of the ticket that it is.
        file: Option<NamedFile>,
    },
    /// Put an inspection on record.
    RecordInspection {
        /// In which stage.
        stage: String,
        /// Code of the outcome.
        outcome: String,
        /// What was found.
        finding: String,
    },
    /// Name the written answer.
    RecordAnswer {
        /// Of which stage.
        stage: String,
        /// The message as it was named.
        message: Named,
        /// The message on the ticket; none where there is no such. Looked up by whoever stores it.
        said: Option<Said>,
    },
    /// Submit for approval.
    Submit {
        /// Which stage.
        stage: String,
    },
    /// Approve.
    Approve {
        /// Which stage.
        stage: String,
        /// Remarks.
        comment: String,
    },
    /// Reject.
    Reject {
        /// Which stage.
        stage: String,
        /// Why.
        reason: String,
    },
    /// Complete.
    Complete {
        /// Which stage.
        stage: String,
    },
    /// Request a change.
    RequestChange {
        /// What instead.
        values: Vec<(String, Value)>,
        /// Why.
        reason: String,
    },
    /// Decide on it.
    DecideChange {
        /// Whether it is agreed.
        agreed: bool,
        /// Why.
        decision: String,
    },
    /// Call the process off.
    Cancel {
        /// Why.
        reason: String,
    },
}

/// Something of a ticket by its name: the ticket, and the thing itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// The ticket.
    pub ticket: Uuid,
    /// What of it.
    pub id: Uuid,
}

/// A file that was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// Which.
    pub file: Named,
    /// Where it stands; none where the ticket has no such. Looked up by whoever stores it.
    pub state: Option<AttachmentState>,
}

/// A message to the customer.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// Its id.
    pub message: Uuid,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// Whether it was given up before it left.
    pub is_void: bool,
}

impl ProcessCommand {
    /// The name of the method that asks for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::RecordDocument { .. } => "RecordProcessDocument",
            Self::RecordInspection { .. } => "RecordProcessInspection",
            Self::RecordAnswer { .. } => "RecordProcessAnswer",
            Self::Submit { .. } => "SubmitProcessStage",
            Self::Approve { .. } => "ApproveProcessStage",
            Self::Reject { .. } => "RejectProcessStage",
            Self::Complete { .. } => "CompleteProcessStage",
            Self::RequestChange { .. } => "RequestProcessChange",
            Self::DecideChange { .. } => "DecideProcessChange",
            Self::Cancel { .. } => "CancelProcess",
        }
    }
}
