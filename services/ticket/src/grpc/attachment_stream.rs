//! Sending an attachment, as fast as its reader takes it and no faster.

use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::download_attachment_response::Part;
use kefu_clock::monotonic;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tonic::Status;

use super::attachment::store_failed;
use crate::domain::Attachment;
use crate::encode::attachment as encode;
use crate::files::{LONGEST_READ, Place};

/// The most bytes in one message.
const MAX_CHUNK: usize = 256 * 1024;
/// Messages that wait for the reader.
const AHEAD: usize = 2;
/// How long a reader may not read, and the store not answer, before its place is given to somebody else.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a reader may be waited for however little it reads.
const GRACE: Duration = Duration::from_secs(60);
/// As many bytes more it reads every second, or its place is given to somebody else; it may go on where it was.
const SLOWEST: u64 = 16 * 1024;

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
            && let Err(status) =
                pump(&tell, &attachment, offset, source, Pace::new(monotonic())).await
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

/// Until when a reader is waited for.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// By when it is slower than is decent; every byte that it takes puts that off.
    slow_at: Instant,
    over_at: Instant,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { slow_at: now + GRACE, over_at: now + LONGEST_READ }
    }

    /// The reader has nothing to do with how fast the store is.
    fn store_took(&mut self, time: Duration) {
        self.slow_at += time;
    }

    fn reader_took(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or_default();
        self.slow_at += Duration::from_micros(bytes * 1_000_000 / SLOWEST);
    }

    fn deadline(&self) -> Instant {
        self.slow_at.min(self.over_at)
    }
}

async fn pump(
    tell: &Tell,
    attachment: &Attachment,
    offset: u64,
    (mut bytes, _place): Source,
    mut pace: Pace,
) -> Result<(), Status> {
    let mut hash = Sha256::new();
    let mut length = offset;
    loop {
        let asked = monotonic();
        let next = tokio::time::timeout(PATIENCE, bytes.next()).await;
        let mut part = match next.map_err(|_| kefu_rpc::deadline_exceeded())? {
            None => break,
            Some(Ok(part)) => part,
            // The reader may go on where it was, unless the file is gone.
            Some(Err(error)) => return Err(store_failed(&error.into())),
        };
        hash.update(&part);
        length += u64::try_from(part.len()).unwrap_or_default();
        pace.store_took(monotonic().saturating_duration_since(asked));
        while part.has_remaining() {
            let chunk = part.split_to(part.len().min(MAX_CHUNK));
            let size = chunk.len();
            let sent = send(tell, Part::Chunk(chunk.into()));
            if !tokio::time::timeout_at(pace.deadline().into(), sent).await.unwrap_or(false) {
                return Err(kefu_rpc::deadline_exceeded());
            }
            pace.reader_took(size);
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
    use tonic::Code;
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

    /// What becomes of a download of these parts of a file, of which so many are read.
    async fn pumped(
        parts: Vec<object_store::Result<Bytes>>,
        reads: usize,
        pace: Pace,
    ) -> Result<(), Status> {
        let home = tempfile::tempdir().unwrap();
        let files = Files::open(home.path().to_str()).unwrap();
        let mut sink = files.write("file").await.unwrap();
        sink.push(b"bytes").await.unwrap();
        sink.finish().await.unwrap();
        let (_, place) = files.read("li", "file", 0).await.unwrap();
        let (tell, mut told) = mpsc::channel(AHEAD);
        // From an offset, so that nothing is said of the hash.
        let attachment = attachment(u64::try_from(6 * MAX_CHUNK).unwrap() + 1);
        let pump = pump(&tell, &attachment, 1, (stream::iter(parts).boxed(), place), pace);
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

    fn file() -> Vec<object_store::Result<Bytes>> {
        (0..6).map(|_| Ok(Bytes::from_static(&[1; MAX_CHUNK]))).collect()
    }

    /// Of somebody who has been waited for long enough.
    fn overdue() -> Pace {
        let now = monotonic();
        Pace { slow_at: now, ..Pace::new(now) }
    }

    #[tokio::test]
    async fn x08_who_reads_too_slowly_gives_its_place_to_somebody_else() {
        let refused = pumped(file(), 0, Pace { over_at: monotonic(), ..overdue() }).await;
        assert_eq!(refused.unwrap_err().code(), Code::DeadlineExceeded);
    }

    #[tokio::test]
    async fn x08_whoever_reads_earns_the_time_for_the_rest() {
        // The first messages are taken without waiting, and only what they earn lets the others follow.
        pumped(file(), 6, overdue()).await.unwrap();
        let over = Pace { over_at: monotonic(), ..Pace::new(monotonic()) };
        let refused = pumped(file(), 1, over).await.unwrap_err();
        assert_eq!(refused.code(), Code::DeadlineExceeded, "but no more than half an hour");
    }

    #[tokio::test]
    async fn t01_a_store_that_breaks_off_has_damaged_nothing() {
        let fresh = || Pace::new(monotonic());
        let broken = |error| file().into_iter().take(2).chain([Err(error)]).collect();
        let away = object_store::Error::Generic { store: "S3", source: "timed out".into() };
        let status = pumped(broken(away), 2, fresh()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(kefu_rpc::reason(&status), Some(kefu_rpc::Reason::StoreUnavailable));
        let (path, source) = ("file".into(), "404".into());
        let gone = object_store::Error::NotFound { path, source };
        assert_eq!(pumped(broken(gone), 2, fresh()).await.unwrap_err().code(), Code::DataLoss);
        let short = file().into_iter().take(5).collect();
        assert_eq!(pumped(short, 5, fresh()).await.unwrap_err().code(), Code::DataLoss);
    }

    /// Whether somebody who takes a message every so often has a file of so many, from a store that takes its time for each.
    fn has_it_all(messages: u32, every: Duration, store: Duration) -> bool {
        let mut now = monotonic();
        let mut pace = Pace::new(now);
        (0..messages).all(|_| {
            now += store;
            pace.store_took(store);
            now += every;
            let in_time = now <= pace.deadline();
            pace.reader_took(MAX_CHUNK);
            in_time
        })
    }

    #[test]
    fn x08_who_reads_as_fast_as_is_decent_has_the_whole_file() {
        // A message in 16 seconds is decent.
        let [none, fast, decent, slow] = [0, 1, 15, 30].map(Duration::from_secs);
        assert!(has_it_all(100, decent, none), "far beyond the grace");
        assert!(has_it_all(3, slow, none), "within the grace and what was earned");
        assert!(!has_it_all(4, slow, none));
        assert!(has_it_all(50, fast, slow), "it is the store that is slow");
        assert!(!has_it_all(121, decent, none), "half an hour is over");
    }
}
