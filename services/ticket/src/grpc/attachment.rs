//! `kefu.ticket.v1.AttachmentService` (T-01).

use std::pin::Pin;

use futures::{Stream, StreamExt as _};
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::attachment_service_server::AttachmentService;
use kefu_api::ticket::v1::upload_attachment_request::Part;
use kefu_rpc::{
    Failure, Fault, PageQuery, Precondition, Reason, RequestContext, TextRule, Violations,
};
use tonic::{Code, Request, Response, Status, Streaming};
use uuid::Uuid;

use super::status::{named, status};
use super::{Grpc, attachment_stream, decode, page_size, text, values};
use crate::app::Call;
use crate::app::attachment::AttachmentId;
use crate::app::upload::{METHOD, NewUpload, PATIENCE};
use crate::domain::{AttachmentState, FileFault, canonical, is_media_type};
use crate::encode::attachment as encode;
use crate::files::FilesError;

/// The most bytes of a file in one message.
const MAX_CHUNK: usize = 1024 * 1024;
/// The longest message.
pub(super) const MAX_MESSAGE: usize = MAX_CHUNK + 64 * 1024;
const FILE_NAME: TextRule = TextRule::line(200).required();
const MEDIA_TYPE: TextRule = TextRule::line(200);
/// When to try again while the object store does not answer, or is busy.
const RETRY: std::time::Duration = std::time::Duration::from_secs(2);

#[tonic::async_trait]
impl AttachmentService for Grpc {
    async fn upload_attachment(
        &self,
        request: Request<Streaming<pb::UploadAttachmentRequest>>,
    ) -> Result<Response<pb::Attachment>, Status> {
        let context = RequestContext::of(&request);
        let mut messages = request.into_inner();
        let first = tokio::time::timeout(PATIENCE, messages.message()).await;
        let first = first.map_err(|_| kefu_rpc::deadline_exceeded())??;
        let mut violations = context.violations();
        let header = match first.and_then(|first| first.part) {
            Some(Part::Header(header)) => Some(header),
            _ => {
                violations.add("header", Fault::required());
                None
            }
        };
        let new = header.and_then(|mut header| {
            violations.within("header", |violations| {
                let request_id = std::mem::take(&mut header.request_id);
                let call = Call::of(&context, violations, METHOD, &request_id, &header);
                upload(violations, header).map(|new| (call, new))
            })
        });
        let (call, new) = violations.finish(new)?;
        let language = context.language();
        let chunks = messages.map(move |message| match message?.part {
            Some(Part::Chunk(chunk)) if (1..=MAX_CHUNK).contains(&chunk.len()) => Ok(chunk),
            Some(Part::Chunk(chunk)) => {
                let fault = Fault::out_of_range(1, MAX_CHUNK, chunk.len());
                Err(kefu_rpc::invalid(language, "chunk", fault))
            }
            _ => Err(kefu_rpc::invalid(language, "chunk", Fault::required())),
        });
        let answer = Box::pin(self.app.upload_attachment(call, new, chunks)).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    type DownloadAttachmentStream =
        Pin<Box<dyn Stream<Item = Result<pb::DownloadAttachmentResponse, Status>> + Send>>;

    async fn download_attachment(
        &self,
        request: Request<pb::DownloadAttachmentRequest>,
    ) -> Result<Response<Self::DownloadAttachmentStream>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let name = name(&mut violations, &message.name);
        let offset = violations.range("read_offset", message.read_offset, 0, i64::MAX);
        let (name, offset) = violations.finish(name.zip(offset))?;
        let offset = u64::try_from(offset).unwrap_or_default();
        let found = self.app.downloadable(context.caller(), name, offset).await;
        let (attachment, key) = found.map_err(|error| status(&context, error))?;
        let source = if offset < attachment.size {
            let who = context.caller().subject();
            let source = self.app.files.read(who, &key, offset).await;
            Some(source.map_err(|error| status(&context, error.into()))?)
        } else {
            None
        };
        let stream = attachment_stream::start(attachment, offset, source);
        Ok(Response::new(Box::pin(stream)))
    }

    async fn get_attachment(
        &self,
        request: Request<pb::GetAttachmentRequest>,
    ) -> Result<Response<pb::Attachment>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let name = name(&mut violations, &request.get_ref().name);
        let name = violations.finish(name)?;
        let found = self.app.get_attachment(context.caller(), "ticket.GetAttachment", name).await;
        let found = found.map_err(|error| status(&context, error))?;
        Ok(Response::new(encode::resource(&found)))
    }

    async fn list_attachments(
        &self,
        request: Request<pb::ListAttachmentsRequest>,
    ) -> Result<Response<pb::ListAttachmentsResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let ticket = violations.resource_id("parent", &message.parent, "tickets");
        let size = page_size(&mut violations, message.page_size);
        let query = PageQuery::new("ticket.ListAttachments").field(&message.parent);
        let (query, states) =
            decode::states(&mut violations, query, &message.states, attachment_state);
        let after = decode::after(&mut violations, &message.page_token, &query);
        let ticket = violations.finish(ticket)?;
        let page = self.app.list_attachments(context.caller(), ticket, &states, after, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::ListAttachmentsResponse {
            attachments: page.items.iter().map(encode::resource).collect(),
            next_page_token: decode::next(&query, page.next),
        }))
    }

    async fn withdraw_attachment(
        &self,
        request: Request<pb::WithdrawAttachmentRequest>,
    ) -> Result<Response<pb::Attachment>, Status> {
        const METHOD: &str = "kefu.ticket.v1.AttachmentService/WithdrawAttachment";
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let call = Call::of(&context, &mut violations, METHOD, &request_id, &message);
        let name = name(&mut violations, &message.name);
        let etag = violations.etag("etag", &message.etag);
        let reason = text(&mut violations, "reason", &message.reason, values::REASON);
        let decoded = name.zip(etag).zip(reason);
        let ((name, etag), reason) = violations.finish(decoded)?;
        let answer = self.app.withdraw_attachment(&call, name, etag, reason).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }
}

fn upload(violations: &mut Violations, header: pb::UploadAttachmentHeader) -> Option<NewUpload> {
    let ticket = violations.resource_id("parent", &header.parent, "tickets");
    let file_name = text(violations, "file_name", &header.file_name, FILE_NAME)
        .filter(|name| is_file_name(violations, name));
    let declared = text(violations, "media_type", &header.media_type, MEDIA_TYPE);
    let declared = declared.filter(|declared| {
        let sound = declared.is_empty() || is_media_type(&canonical(declared));
        if !sound {
            violations.add(
                "media_type",
                Fault::malformed("a media type such as image/jpeg", "媒体类型，例如 image/jpeg"),
            );
        }
        sound
    });
    let size = violations.range("size_bytes", header.size_bytes, 0, i64::MAX);
    let sha256 = hash(violations, &header.sha256);
    Some(NewUpload {
        ticket: ticket?,
        file_name: file_name?,
        declared: declared?,
        size: u64::try_from(size?).ok().filter(|size| *size > 0),
        sha256: sha256?,
        header,
    })
}

/// Nothing that leads elsewhere, and nothing that reads otherwise than it is written.
fn is_file_name(violations: &mut Violations, name: &str) -> bool {
    const TURNING: [char; 3] = ['\u{200e}', '\u{200f}', '\u{61c}'];
    let sound = !name.contains(['/', '\\', '\0'])
        && !name.contains(TURNING)
        && !name.chars().all(|c| matches!(c, '.' | ' '));
    if !sound {
        let fault = "must be the name of a file, without a path and without marks of direction";
        let chinese = "须为文件名，不得包含路径分隔符或方向控制符";
        violations.add("file_name", Fault::new("FILE_NAME_UNSAFE", fault, chinese));
    }
    sound
}

#[allow(clippy::option_option, reason = "absent and wrong are different answers")]
fn hash(violations: &mut Violations, text: &str) -> Option<Option<[u8; 32]>> {
    if text.is_empty() {
        return Some(None);
    }
    let mut hash = [0; 32];
    let sound = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let digits = |place: usize| text.get(place * 2..place * 2 + 2);
    for (place, byte) in hash.iter_mut().enumerate().filter(|_| sound) {
        *byte = digits(place).and_then(|two| u8::from_str_radix(two, 16).ok()).unwrap_or_default();
    }
    if !sound {
        violations.add("sha256", Fault::malformed("64 hexadecimal digits", "64 位十六进制数字"));
    }
    sound.then_some(Some(hash))
}

/// `tickets/{uuid}/attachments/{uuid}`.
fn name(violations: &mut Violations, name: &str) -> Option<AttachmentId> {
    let parts = name.split_once("/attachments/").and_then(|(ticket, id)| {
        let ticket = ticket.strip_prefix("tickets/")?;
        let uuid = |text: &str| Uuid::try_parse(text).ok().filter(|_| text.len() == 36);
        Some(AttachmentId { ticket: uuid(ticket)?, id: uuid(id)? })
    });
    if parts.is_none() {
        violations.add(
            "name",
            Fault::malformed(
                "a name of the form tickets/UUID/attachments/UUID",
                "形如 tickets/UUID/attachments/UUID 的名称",
            ),
        );
    }
    parts
}

fn attachment_state(state: pb::AttachmentState) -> Option<AttachmentState> {
    Some(match state {
        pb::AttachmentState::Unspecified => return None,
        pb::AttachmentState::Stored => AttachmentState::Stored,
        pb::AttachmentState::Withdrawn => AttachmentState::Withdrawn,
        pb::AttachmentState::Refused => AttachmentState::Refused,
    })
}

/// A file was not what it should be.
pub(super) fn refused(context: &RequestContext, fault: &FileFault) -> Status {
    let (english, chinese) = fault.words();
    let mut violations = context.violations();
    violations.add(fault.field(), Fault::new(fault.reason(), english, chinese));
    named(violations)
}

/// A ticket can take no more.
pub(super) fn no_room(context: &RequestContext, what: &'static str, most: u64) -> Status {
    let (english, chinese) = match what {
        "ATTACHMENT_COUNT" => (
            format!("the ticket has {most} files, as many as the policy allows"),
            format!("工单已有 {most} 个附件，达到制度上限"),
        ),
        _ => (
            format!("the files of the ticket would come to more than {most} bytes"),
            format!("工单附件总大小将超过 {most} 字节"),
        ),
    };
    let lack = Precondition::new(what, "ticket", english.clone(), chinese);
    Failure::new(Code::FailedPrecondition, Reason::IllegalState, english)
        .metadata("command", "UploadAttachment")
        .preconditions(context.language(), [lack])
        .into_status()
}

/// The object store does not do what it is asked. What it says is for our log.
pub(super) fn store_failed(error: &FilesError) -> Status {
    match error {
        FilesError::None => Failure::new(
            Code::FailedPrecondition,
            Reason::IllegalState,
            "this service has no place for files: KEFU_ATTACHMENT_STORE",
        )
        .metadata("command", "UploadAttachment")
        .into_status(),
        FilesError::Busy => kefu_rpc::resource_exhausted(RETRY),
        FilesError::Store(error @ object_store::Error::NotFound { .. }) => {
            tracing::error!(%error, "a stored file is gone");
            attachment_stream::damaged()
        }
        FilesError::Store(error) => {
            tracing::error!(%error, "the object store fails");
            let message = "the object store cannot be reached";
            Failure::new(Code::Unavailable, Reason::StoreUnavailable, message)
                .retry_after(RETRY)
                .into_status()
        }
    }
}
