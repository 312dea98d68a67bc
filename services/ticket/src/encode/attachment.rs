//! Attachments as others see them (T-01).

use std::fmt::Write as _;

use kefu_api::ticket::v1 as pb;
use kefu_journal::PublicEvent;
use kefu_rpc::Etag;
use uuid::Uuid;

use super::{optional_time, ticket, time};
use crate::domain::{Attachment, AttachmentState};

/// `tickets/{uuid}/attachments/{uuid}`.
pub fn name(ticket: Uuid, id: Uuid) -> String {
    format!("tickets/{ticket}/attachments/{id}")
}

/// The resource.
pub(crate) fn resource(attachment: &Attachment) -> pb::Attachment {
    let withdrawn = attachment.withdrawn.as_ref();
    pb::Attachment {
        name: name(attachment.ticket, attachment.id),
        file_name: attachment.file_name.clone(),
        media_type: attachment.media_type.clone(),
        size_bytes: i64::try_from(attachment.size).unwrap_or(i64::MAX),
        sha256: attachment.sha256.as_ref().map(|hash| hex(hash)).unwrap_or_default(),
        state: state(attachment.state()).into(),
        uploader: attachment.uploaded_by.to_string(),
        create_time: time(attachment.created_at),
        withdraw_time: optional_time(withdrawn.map(|withdrawn| withdrawn.at)),
        withdrawn_by: withdrawn.map(|withdrawn| withdrawn.by.to_string()).unwrap_or_default(),
        withdraw_reason: withdrawn.map(|withdrawn| withdrawn.reason.clone()).unwrap_or_default(),
        etag: Etag::of_revision(attachment.revision).to_string(),
        refuse_reason: attachment.refusal.clone().unwrap_or_default(),
        declared_media_type: attachment.declared_type.clone(),
    }
}

/// That something became of it.
pub(crate) fn event(attachment: &Attachment) -> PublicEvent {
    PublicEvent::of(&pb::AttachmentChanged {
        ticket: ticket::name(attachment.ticket),
        attachment: Some(resource(attachment)),
    })
}

fn state(state: AttachmentState) -> pb::AttachmentState {
    match state {
        AttachmentState::Stored => pb::AttachmentState::Stored,
        AttachmentState::Withdrawn => pb::AttachmentState::Withdrawn,
        AttachmentState::Refused => pb::AttachmentState::Refused,
    }
}

/// In hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
