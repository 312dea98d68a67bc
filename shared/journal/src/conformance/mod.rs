//! What every context's feed must do, as a suite that a context runs against its own server and database.
//!
//! ```text
//! #[tokio::test]
//! async fn x01_the_feed_conforms() {
//!     conformance::run(&Subject { pool, upstream, clock }).await;
//! }
//! ```
//!
//! The suite writes rows of aggregates of its own (`conformance…`) into the journal, which no consumer listens to. It
//! panics at the first broken promise.

#![allow(clippy::panic, clippy::expect_used, reason = "a test suite fails by panicking")]

mod feed;
mod replicas;

use std::collections::HashSet;
use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use kefu_api::feed::v1::{Event, SubscribeRequest, SubscribeResponse};
use kefu_clock::{IdSource, SharedClock};
use prost::bytes::Bytes;
use sqlx::{PgConnection, PgPool};
use tonic::Streaming;
use uuid::Uuid;

use crate::{Cursor, Entry, Provenance, PublicEvent, Upstream, append};

/// The type of the events that the suite writes.
pub const PROBE: &str = "kefu.conformance.v1.Probe";
/// A type of events that the suite writes and does not ask for.
const NOISE: &str = "kefu.conformance.v1.Noise";
/// Nothing here takes longer unless something is broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// The context under test.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its database as its application role sees it.
    pub pool: PgPool,
    /// Its feed, called as another context calls it.
    pub upstream: Upstream,
    /// Its clock.
    pub clock: SharedClock,
}

/// Runs the whole suite.
///
/// # Panics
/// At the first broken promise.
pub async fn run(subject: &Subject) {
    let probe = Probe::new(subject.clone());
    timed("late commits", feed::late_commits_are_not_skipped(&probe)).await;
    timed("order", feed::an_aggregate_is_told_in_order(&probe)).await;
    timed("resume", feed::every_cursor_resumes_exactly(&probe)).await;
    timed("filter", feed::a_filtered_reader_reaches_the_head(&probe)).await;
    timed("foreign cursors", feed::foreign_cursors_are_refused(&probe)).await;
    timed("append-only", feed::the_application_cannot_change_the_past(&probe)).await;
    timed("replicas", replicas::two_replicas_apply_once(&probe)).await;
    timed("kill", replicas::a_killed_consumer_continues_exactly(&probe)).await;
    timed("poison", replicas::a_failing_event_is_never_skipped(&probe)).await;
}

async fn timed(what: &str, check: impl Future<Output = ()>) {
    if tokio::time::timeout(PATIENCE, Box::pin(check)).await.is_err() {
        panic!("{what}: not finished in {PATIENCE:?}");
    }
}

/// Writes and reads for the checks.
struct Probe {
    subject: Subject,
    ids: IdSource,
    by: Provenance,
}

impl Probe {
    fn new(subject: Subject) -> Self {
        let ids = IdSource::new(subject.clock.clone());
        Self { subject, ids, by: Provenance::system("conformance") }
    }

    /// Appends one revision of an aggregate with a public event; returns the event's id.
    async fn write(&self, conn: &mut PgConnection, aggregate: Uuid, revision: i64) -> Uuid {
        self.write_as(PROBE, conn, aggregate, revision).await
    }

    async fn write_as(
        &self,
        event_type: &str,
        conn: &mut PgConnection,
        aggregate: Uuid,
        revision: i64,
    ) -> Uuid {
        let event_id = self.ids.uuid();
        let event =
            PublicEvent { type_name: event_type.to_owned(), payload: event_id.as_bytes().to_vec() };
        let now = self.subject.clock.now();
        let entry = entry(&self.by, event_id, now, "conformance", aggregate, revision, Some(event));
        append(conn, &[entry]).await.expect("append");
        event_id
    }

    /// Commits one event of a new aggregate.
    async fn commit_one(&self) -> Uuid {
        let mut conn = self.subject.pool.acquire().await.expect("connection");
        self.write(&mut conn, self.ids.uuid(), 1).await
    }

    async fn head(&self) -> Cursor {
        self.subject.upstream.head().await.expect("head")
    }

    async fn open(&self, after: Option<Cursor>, batch: i32) -> Streaming<SubscribeResponse> {
        let request = SubscribeRequest {
            cursor: after.map(|cursor| cursor.to_string()).unwrap_or_default(),
            event_types: vec![PROBE.to_owned()],
            max_batch_size: batch,
        };
        self.subject.upstream.subscribe(request).await.expect("subscribe")
    }

    /// Reads until the feed has delivered everything that was committed before the call.
    async fn read_to_head(&self, after: Option<Cursor>, batch: i32) -> Vec<Read> {
        let head = self.head().await;
        let mut stream = self.open(after, batch).await;
        let mut read = Vec::new();
        loop {
            let message = next(&mut stream).await;
            let cursor = message.cursor.parse::<Cursor>().expect("cursor");
            read.extend(message.events.iter().map(|event| Read::of(event, cursor)));
            if cursor.position >= head.position {
                return read;
            }
        }
    }
}

fn entry<'a>(
    by: &'a Provenance,
    event_id: Uuid,
    occurred_at: Timestamp,
    aggregate_type: &'a str,
    aggregate_id: Uuid,
    revision: i64,
    event: Option<PublicEvent>,
) -> Entry<'a> {
    Entry {
        by,
        event_id,
        occurred_at,
        aggregate_type,
        aggregate_id,
        revision,
        action: "conformance.Probe",
        org_unit: "conformance",
        customer_id: None,
        before: None,
        after: None,
        event,
    }
}

/// What was read of one event.
#[derive(Clone, Debug, PartialEq)]
struct Read {
    id: Uuid,
    aggregate: Uuid,
    revision: i64,
    payload: Bytes,
    /// The cursor of the batch that it came in.
    cursor: Cursor,
}

impl Read {
    fn of(event: &Event, cursor: Cursor) -> Self {
        Self {
            id: event.id.parse().expect("event id"),
            aggregate: event.aggregate_id.parse().expect("aggregate id"),
            revision: event.revision,
            payload: event.payload.clone(),
            cursor,
        }
    }
}

fn ids(read: &[Read]) -> Vec<Uuid> {
    let ids: Vec<_> = read.iter().map(|read| read.id).collect();
    let distinct: HashSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "an event was delivered twice in one stream");
    ids
}

async fn next(stream: &mut Streaming<SubscribeResponse>) -> SubscribeResponse {
    stream.message().await.expect("the stream failed").expect("the stream ended")
}
