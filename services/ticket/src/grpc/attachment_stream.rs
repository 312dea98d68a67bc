//! Sending an attachment, as fast as its reader takes it and no faster.

use std::time::Duration;

use bytes::{Buf as _, Bytes};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::download_attachment_response::Part;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tonic::Status;

use crate::domain::Attachment;
use crate::encode::attachment as encode;

/// The most bytes in one message.
const MAX_CHUNK: usize = 256 * 1024;
/// Messages that wait for the reader.
const AHEAD: usize = 2;
/// How long a reader may not read, and the store not answer, before its place is given to somebody else.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes with their place among the downloads at once.
pub(super) type Source = (BoxStream<'static, object_store::Result<Bytes>>, OwnedSemaphorePermit);

/// First what it is, then its bytes from an offset on.
pub(super) fn start(
    attachment: Attachment,
    offset: u64,
    source: Option<Source>,
) -> impl Stream<Item = Result<pb::DownloadAttachmentResponse, Status>> + Send {
    let (tell, told) = mpsc::channel(AHEAD);
    // A task of its own: a reader that does not read keeps nothing but two messages.
    tokio::spawn(async move {
        let header = Part::Attachment(encode::resource(&attachment));
        if send(&tell, header).await
            && let Some(source) = source
            && let Err(status) = pump(&tell, &attachment, offset, source).await
        {
            let _ = tell.send_timeout(Err(status), PATIENCE).await;
        }
    });
    futures::stream::unfold(told, |mut told| async move { Some((told.recv().await?, told)) })
}

type Tell = mpsc::Sender<Result<pb::DownloadAttachmentResponse, Status>>;

/// False if nobody takes it.
async fn send(tell: &Tell, part: Part) -> bool {
    let message = pb::DownloadAttachmentResponse { part: Some(part) };
    tell.send_timeout(Ok(message), PATIENCE).await.is_ok()
}

async fn pump(
    tell: &Tell,
    attachment: &Attachment,
    offset: u64,
    (mut bytes, _place): Source,
) -> Result<(), Status> {
    let mut hash = Sha256::new();
    let mut length = offset;
    loop {
        let next = tokio::time::timeout(PATIENCE, bytes.next()).await;
        let mut part = match next.map_err(|_| kefu_rpc::deadline_exceeded())? {
            None => break,
            Some(Ok(part)) => part,
            Some(Err(error)) => {
                tracing::error!(%error, attachment = %attachment.id, "a file cannot be read");
                return Err(damaged());
            }
        };
        hash.update(&part);
        length += u64::try_from(part.len()).unwrap_or_default();
        while part.has_remaining() {
            let chunk = part.split_to(part.len().min(MAX_CHUNK));
            if !send(tell, Part::Chunk(chunk.into())).await {
                return Err(kefu_rpc::deadline_exceeded());
            }
        }
    }
    let hash: [u8; 32] = hash.finalize().into();
    let whole = length == attachment.size && (offset > 0 || attachment.sha256 == Some(hash));
    if whole {
        return Ok(());
    }
    tracing::error!(attachment = %attachment.id, "a stored file is not what was uploaded");
    Err(damaged())
}

/// What was stored cannot be had any more.
pub(super) fn damaged() -> Status {
    Status::data_loss("the stored file is damaged")
}
