//! Sending an attachment, as fast as its reader takes it and no faster.

use std::pin::pin;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::download_attachment_response::Part;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tonic::Status;

use crate::domain::Attachment;
use crate::encode::attachment as encode;
use crate::files::Place;

/// The most bytes in one message.
const MAX_CHUNK: usize = 256 * 1024;
/// Messages that wait for the reader.
const AHEAD: usize = 2;
/// How long a reader may not read, and the store not answer, before its place is given to somebody else.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a reader may be waited for however little it reads.
const GRACE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 60 });
/// As many bytes more it reads every second, or its place is given to somebody else; it may go on where it was.
const SLOWEST: u64 = if cfg!(test) { 1 << 30 } else { 16 * 1024 };
/// And this long at most.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// Bytes with their place among the downloads at once.
pub(super) type Source = (BoxStream<'static, object_store::Result<Bytes>>, Place);

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
    let mut too_slow = pin!(tokio::time::sleep(GRACE));
    let mut too_long = pin!(tokio::time::sleep(LONGEST));
    loop {
        let asked = kefu_clock::monotonic();
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
        // The reader has nothing to do with how fast the store is.
        let ours = kefu_clock::monotonic().saturating_duration_since(asked);
        let until = too_slow.deadline() + ours;
        too_slow.as_mut().reset(until);
        while part.has_remaining() {
            let chunk = part.split_to(part.len().min(MAX_CHUNK));
            let earned = u64::try_from(chunk.len()).unwrap_or_default() * 1_000_000 / SLOWEST;
            let taken = tokio::select! {
                biased;
                taken = send(tell, Part::Chunk(chunk.into())) => taken,
                () = &mut too_slow => false,
                () = &mut too_long => false,
            };
            if !taken {
                return Err(kefu_rpc::deadline_exceeded());
            }
            let until = too_slow.deadline() + Duration::from_micros(earned);
            too_slow.as_mut().reset(until);
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

#[cfg(test)]
mod tests {
    use futures::stream;
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::files::Files;

    fn attachment(size: u64) -> Attachment {
        Attachment {
            id: Uuid::nil(),
            ticket: Uuid::nil(),
            customer: None,
            file_name: "现场.png".into(),
            media_type: "image/png".into(),
            declared_type: String::new(),
            size,
            sha256: None,
            object_key: None,
            refusal: None,
            uploaded_by: "li".into(),
            created_at: Timestamp::UNIX_EPOCH,
            withdrawn: None,
            revision: 1,
        }
    }

    /// A file of some messages that is being read, as far as its reader takes it.
    async fn pumped(messages: usize, reads: usize) -> Result<(), Status> {
        let home = tempfile::tempdir().unwrap();
        let files = Files::open(home.path().to_str()).unwrap();
        let mut sink = files.write("file").await.unwrap();
        sink.push(b"bytes").await.unwrap();
        sink.finish().await.unwrap();
        let (_, place) = files.read("li", "file", 0).await.unwrap();
        let parts = stream::repeat_with(|| Ok(Bytes::from_static(&[1; MAX_CHUNK]))).take(messages);
        let (tell, mut told) = mpsc::channel(AHEAD);
        let size = u64::try_from(messages * MAX_CHUNK).unwrap();
        // From an offset, so that nothing is said of the hash.
        let attachment = attachment(size + 1);
        let pump = pump(&tell, &attachment, 1, (parts.boxed(), place));
        let read = async {
            for _ in 0..reads {
                told.recv().await.unwrap().unwrap();
            }
        };
        // Long before the reader's patience for one message is at its end.
        let both = async { tokio::join!(pump, read).0 };
        let outcome = tokio::time::timeout(PATIENCE / 4, both).await.unwrap();
        let free: Vec<_> =
            futures::future::join_all((0..8).map(|_| files.read("li", "file", 0))).await;
        assert!(free.iter().all(Result::is_ok), "its place is free again");
        outcome
    }

    #[tokio::test]
    async fn x08_who_reads_too_slowly_gives_its_place_to_somebody_else() {
        assert_eq!(pumped(8, 0).await.unwrap_err().code(), tonic::Code::DeadlineExceeded);
    }

    #[tokio::test]
    async fn x08_who_reads_as_fast_as_is_decent_has_the_whole_file() {
        pumped(6, 6).await.unwrap();
    }
}
