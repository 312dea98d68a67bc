//! Taking in the bytes of an upload, as fast as they are stored and no slower than is decent.

use std::time::Duration;

use futures::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tonic::Status;

use super::Error;
use crate::domain::{FileFault, HEAD, TextWatch};
use crate::files::Sink;

/// How long the next message may take.
pub(crate) const PATIENCE: Duration =
    if cfg!(test) { Duration::from_millis(20) } else { Duration::from_secs(30) };
/// How long an upload may take however little comes.
const GRACE: Duration = Duration::from_secs(60);
/// As many bytes more come every second, or whoever sends them gives its place to somebody else.
const SLOWEST: u64 = 16 * 1024;

/// What is known of a file before its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// The longest that is taken.
    pub(super) most: u64,
    /// As declared.
    pub(super) size: Option<u64>,
    /// As declared.
    pub(super) sha256: Option<[u8; 32]>,
}

/// What came.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) size: u64,
    /// Of all of it; none before its end.
    pub(super) sha256: Option<[u8; 32]>,
    pub(super) head: Vec<u8>,
    pub(super) text: TextWatch,
}

/// Stores what comes; what is wrong with it, if it is. If it is not good, nothing of it is stored.
pub(super) async fn receive(
    mut sink: Sink,
    expected: Expected,
    seen: &mut Seen,
    chunks: impl Stream<Item = Result<Vec<u8>, Status>> + Send + Unpin,
) -> Result<Option<FileFault>, Error> {
    let outcome = take_in(&mut sink, expected, seen, chunks).await;
    match outcome {
        Ok(None) => sink.finish().await?,
        _ => sink.abort().await,
    }
    outcome
}

async fn take_in(
    sink: &mut Sink,
    expected: Expected,
    seen: &mut Seen,
    mut chunks: impl Stream<Item = Result<Vec<u8>, Status>> + Send + Unpin,
) -> Result<Option<FileFault>, Error> {
    let began = kefu_clock::monotonic();
    let mut hash = Sha256::new();
    loop {
        let until = began + GRACE + Duration::from_secs(seen.size / SLOWEST);
        let patience = until.saturating_duration_since(kefu_clock::monotonic()).min(PATIENCE);
        let chunk = match tokio::time::timeout(patience, chunks.next()).await {
            Ok(None) => break,
            Ok(Some(chunk)) => chunk.map_err(Error::BrokenOff)?,
            Err(_) => return Err(Error::BrokenOff(kefu_rpc::deadline_exceeded())),
        };
        seen.size += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        if seen.size > expected.most {
            return Ok(Some(FileFault::TooLong { most: expected.most }));
        }
        if let Some(declared) = expected.size
            && seen.size > declared
        {
            return Ok(Some(FileFault::OtherLength { declared, actual: seen.size }));
        }
        let missing = HEAD.saturating_sub(seen.head.len()).min(chunk.len());
        seen.head.extend_from_slice(&chunk[..missing]);
        seen.text.feed(&chunk);
        hash.update(&chunk);
        sink.push(&chunk).await?;
    }
    let sha256: [u8; 32] = hash.finalize().into();
    seen.sha256 = Some(sha256);
    Ok(match expected {
        _ if seen.size == 0 => Some(FileFault::Empty),
        Expected { size: Some(declared), .. } if declared != seen.size => {
            Some(FileFault::OtherLength { declared, actual: seen.size })
        }
        Expected { sha256: Some(declared), .. } if declared != sha256 => Some(FileFault::OtherHash),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use futures::stream;

    use super::*;
    use crate::files::Files;

    const EXPECTED: Expected = Expected { most: 100, size: None, sha256: None };

    async fn received(
        home: &Path,
        expected: Expected,
        chunks: impl Stream<Item = Result<Vec<u8>, Status>> + Send + Unpin,
    ) -> (Result<Option<FileFault>, Error>, Seen) {
        let files = Files::open(home.to_str()).unwrap();
        let mut seen = Seen::default();
        let sink = files.write("file").await.unwrap();
        (receive(sink, expected, &mut seen, chunks).await, seen)
    }

    fn left(home: &Path) -> usize {
        std::fs::read_dir(home).unwrap().count()
    }

    #[tokio::test]
    async fn x08_whoever_stops_sending_is_not_waited_for_and_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let silent = stream::iter([Ok(b"some".to_vec())]).chain(stream::pending());
        let (outcome, seen) = received(home.path(), EXPECTED, silent).await;
        let Err(Error::BrokenOff(status)) = outcome else { panic!("{outcome:?}") };
        assert_eq!((status.code(), seen.size), (tonic::Code::DeadlineExceeded, 4));
        assert_eq!(left(home.path()), 0);
    }

    #[tokio::test]
    async fn t01_what_breaks_off_or_is_longer_than_it_says_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let broken = stream::iter([Ok(b"some".to_vec()), Err(Status::cancelled("gone"))]);
        let (outcome, _) = received(home.path(), EXPECTED, broken).await;
        assert!(matches!(outcome, Err(Error::BrokenOff(_))));
        // Refused as soon as it is seen, and not at an end that never comes.
        let endless = || stream::repeat_with(|| Ok(vec![b'a'; 30]));
        let (outcome, seen) = received(home.path(), EXPECTED, endless()).await;
        assert_eq!(outcome.unwrap(), Some(FileFault::TooLong { most: 100 }));
        assert_eq!(seen.size, 120);
        let (outcome, _) =
            received(home.path(), Expected { size: Some(40), ..EXPECTED }, endless()).await;
        assert_eq!(outcome.unwrap(), Some(FileFault::OtherLength { declared: 40, actual: 60 }));
        assert_eq!(left(home.path()), 0);
        let whole = stream::iter([Ok(b"so".to_vec()), Ok(b"me".to_vec())]);
        let (outcome, seen) = received(home.path(), EXPECTED, whole).await;
        assert_eq!((outcome.unwrap(), seen.head.as_slice()), (None, b"some".as_slice()));
        assert_eq!(left(home.path()), 1);
    }
}
