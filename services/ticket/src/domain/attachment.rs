//! Files of a ticket (附件), T-01: what is known of them, and why one is refused.

use jiff::Timestamp;
use uuid::Uuid;

use super::archive::ArchiveFault;
use super::step::{Need, StepRefusal};
use super::word::{Subject, coded};

/// A file that belongs to a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its identity.
    pub id: Uuid,
    /// The ticket.
    pub ticket: Uuid,
    /// The customer of the ticket.
    pub customer: Option<Uuid>,
    /// What it is called.
    pub file_name: String,
    /// What it is by its content.
    pub media_type: String,
    /// What it was declared to be; empty where nothing was.
    pub declared_type: String,
    /// How long it is, in bytes.
    pub size: u64,
    /// Of its bytes; none where it was refused before its end.
    pub sha256: Option<[u8; 32]>,
    /// Where its bytes are; none where it was refused.
    pub object_key: Option<String>,
    /// Why it was refused.
    pub refusal: Option<String>,
    /// Who uploaded it.
    pub uploaded_by: Subject,
    /// When.
    pub created_at: Timestamp,
    /// That it was withdrawn.
    pub withdrawn: Option<Withdrawn>,
    /// Counts the changes, 1 at first.
    pub revision: i64,
}

/// That an attachment was withdrawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    /// By whom.
    pub by: Subject,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

coded! {
    /// Where an attachment stands.
    AttachmentState {
        /// It can be downloaded.
        Stored = "stored",
        /// It was withdrawn; its bytes are kept as evidence.
        Withdrawn = "withdrawn",
        /// Its content was refused; there are no bytes.
        Refused = "refused",
    }
}

impl Attachment {
    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> AttachmentState {
        match (&self.object_key, &self.withdrawn) {
            (None, _) => AttachmentState::Refused,
            (Some(_), Some(_)) => AttachmentState::Withdrawn,
            (Some(_), None) => AttachmentState::Stored,
        }
    }
}

/// Withdraws an attachment.
///
/// # Errors
/// [`StepRefusal::IllegalState`] where there is nothing to withdraw any more.
pub fn withdraw(
    attachment: &Attachment,
    reason: String,
    by: Subject,
    now: Timestamp,
) -> Result<Attachment, StepRefusal> {
    const STORED: Need = Need::new(
        "stored",
        "the attachment was withdrawn or refused already",
        "附件已撤回或未被接收",
    );
    let state = attachment.state();
    if state != AttachmentState::Stored {
        return Err(StepRefusal::IllegalState {
            subject: "attachment",
            state: state.code(),
            command: "WithdrawAttachment",
            missing: vec![STORED],
        });
    }
    let at = now.max(attachment.created_at);
    let withdrawn = Some(Withdrawn { by, at, reason });
    Ok(Attachment { withdrawn, revision: attachment.revision + 1, ..attachment.clone() })
}

/// What is wrong with a file. Each is on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// There is nothing in it.
    Empty,
    /// It is longer than the policy takes, in bytes.
    TooLong {
        /// What the policy takes.
        most: u64,
    },
    /// Its length is not the declared one.
    OtherLength {
        /// As declared.
        declared: u64,
        /// As it is.
        actual: u64,
    },
    /// Its hash is not the declared one.
    OtherHash,
    /// It is not what it was declared to be.
    OtherType {
        /// As declared.
        declared: String,
        /// As it is.
        actual: String,
    },
    /// Its name says that it is something else.
    OtherExtension {
        /// As the name has it.
        extension: String,
        /// As it is.
        actual: String,
    },
    /// It is one thing at its beginning and an archive at its end.
    TwoFaced,
    /// The policy takes nothing of the kind.
    NotTaken {
        /// As it is.
        actual: String,
    },
    /// An archive or office document that is not what it should be.
    Archive(ArchiveFault),
}

impl FileFault {
    /// The stable reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Empty => "FILE_EMPTY",
            Self::TooLong { .. } => "FILE_TOO_LONG",
            Self::OtherLength { .. } => "SIZE_MISMATCH",
            Self::OtherHash => "HASH_MISMATCH",
            Self::OtherType { .. } | Self::OtherExtension { .. } => "TYPE_MISMATCH",
            Self::TwoFaced => "TYPE_AMBIGUOUS",
            Self::NotTaken { .. } => "TYPE_NOT_ALLOWED",
            Self::Archive(_) => "ARCHIVE_UNSAFE",
        }
    }

    /// The field that is wrong.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Empty | Self::TooLong { .. } | Self::TwoFaced | Self::Archive(_) => "chunk",
            Self::OtherLength { .. } => "header.size_bytes",
            Self::OtherHash => "header.sha256",
            Self::OtherType { .. } | Self::NotTaken { .. } => "header.media_type",
            Self::OtherExtension { .. } => "header.file_name",
        }
    }

    /// In English and in Chinese.
    #[must_use]
    pub fn words(&self) -> (String, String) {
        match self {
            Self::Empty => ("is an empty file".into(), "文件为空".into()),
            Self::TooLong { most } => (
                format!("is longer than {most} bytes, which is what the policy takes"),
                format!("文件超过制度规定的 {most} 字节"),
            ),
            Self::OtherLength { declared, actual } => (
                format!("is {declared}, but {actual} bytes came"),
                format!("声明为 {declared} 字节，实际收到 {actual} 字节"),
            ),
            Self::OtherHash => {
                ("is not the hash of the bytes that came".into(), "与收到内容的摘要不符".into())
            }
            Self::OtherType { declared, actual } => (
                format!("is {declared}, but the content is {actual}"),
                format!("声明为 {declared}，内容实为 {actual}"),
            ),
            Self::OtherExtension { extension, actual } => (
                format!("ends in .{extension}, but the content is {actual}"),
                format!("扩展名为 .{extension}，内容实为 {actual}"),
            ),
            Self::TwoFaced => (
                "is one thing at its beginning and an archive at its end".into(),
                "文件头尾类型不一致，尾部藏有压缩包".into(),
            ),
            Self::NotTaken { actual } => (
                format!("is {actual} by its content, which the policy does not take"),
                format!("内容类型为 {actual}，制度不允许"),
            ),
            Self::Archive(fault) => fault.words(),
        }
    }
}
