//! A subscriber whose feed the test holds in its hand.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests, too")]

mod support;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use jiff::SignedDuration;
use kefu_api::feed::v1::feed_service_server::{FeedService, FeedServiceServer};
use kefu_api::feed::v1::{
    Event, GetHeadRequest, GetHeadResponse, SubscribeRequest, SubscribeResponse,
};
use kefu_clock::{IdSource, ManualClock};
use kefu_journal::{ApplyError, Consumer, Cursor, Entry, Provenance, Subscriber, Upstream, append};
use sqlx::PgConnection;
use support::{Bench, Feed};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// Writes a journal row for each event, and another one when it is applied again.
struct Effects {
    ids: IdSource,
}

impl Consumer for Effects {
    fn name(&self) -> &'static str {
        "effects"
    }

    fn source(&self) -> &'static str {
        "thing"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &["kefu.thing.v1.ThingChanged"]
    }

    async fn apply(&self, tx: &mut PgConnection, event: &Event) -> Result<(), ApplyError> {
        let by = Provenance::system("effects");
        let entry = Entry {
            by: &by,
            event_id: event.id.parse()?,
            occurred_at: jiff::Timestamp::UNIX_EPOCH,
            aggregate_type: "effect",
            aggregate_id: self.ids.uuid(),
            revision: 1,
            action: "effect.Apply",
            org_unit: "group",
            customer_id: None,
            before: None,
            after: None,
            event: None,
        };
        Ok(append(tx, &[entry]).await?)
    }
}

type Batches = mpsc::UnboundedReceiver<SubscribeResponse>;

/// Says who subscribed with which cursor, and sends what the test sends.
#[derive(Clone)]
struct Puppet {
    subscribed: mpsc::UnboundedSender<String>,
    streams: Arc<Mutex<mpsc::UnboundedReceiver<Batches>>>,
}

#[tonic::async_trait]
impl FeedService for Puppet {
    type SubscribeStream = Pin<Box<dyn Stream<Item = Result<SubscribeResponse, Status>> + Send>>;

    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        self.subscribed.send(request.into_inner().cursor).unwrap();
        let batches = self.streams.lock().await.recv().await.unwrap();
        let stream = futures::stream::unfold(batches, |mut batches| async move {
            batches.recv().await.map(|batch| (Ok(batch), batches))
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn get_head(
        &self,
        _: Request<GetHeadRequest>,
    ) -> Result<Response<GetHeadResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }
}

/// All events, each with the cursor after it.
async fn read_one_by_one(feed: &Feed, count: usize) -> Vec<(Event, Cursor)> {
    let request = SubscribeRequest { max_batch_size: 1, ..SubscribeRequest::default() };
    let mut stream = feed.upstream.subscribe(request).await.unwrap();
    let mut read = Vec::new();
    while read.len() < count {
        let batch = stream.message().await.unwrap().unwrap();
        let cursor = batch.cursor.parse().unwrap();
        read.extend(batch.events.into_iter().map(|event| (event, cursor)));
    }
    read
}

fn batch(events: &[(Event, Cursor)]) -> SubscribeResponse {
    SubscribeResponse {
        events: events.iter().map(|(event, _)| event.clone()).collect(),
        cursor: events.last().unwrap().1.to_string(),
        caught_up: false,
    }
}

fn subscriber(bench: &Bench, upstream: Upstream) -> Subscriber<Effects> {
    let effects = Effects { ids: IdSource::new(bench.clock.clone()) };
    Subscriber::new(effects, upstream, bench.pool.clone(), bench.clock.clone())
}

#[tokio::test]
async fn x01_a_slow_replica_applies_nothing_that_a_faster_one_has_applied() {
    let bench = Bench::new().await;
    for _ in 0..6 {
        bench.commit_one().await;
    }
    let feed = bench.serve_to_contexts().await;

    // The slow replica has its subscription, but nothing has arrived yet.
    let (subscribed, mut subscriptions) = mpsc::unbounded_channel();
    let (streams, receiver) = mpsc::unbounded_channel();
    let puppet = Puppet { subscribed, streams: Arc::new(Mutex::new(receiver)) };
    let upstream = Upstream::new(FeedServiceServer::new(puppet), Arc::new(|_| {}));
    let slow = Arc::new(subscriber(&bench, upstream));
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let (slow, shutdown) = (Arc::clone(&slow), shutdown.clone());
        async move { slow.run(shutdown).await }
    });
    assert_eq!(subscriptions.recv().await.unwrap(), "");

    // Meanwhile the fast one applies six events, and two more are written.
    let fast = subscriber(&bench, feed.upstream.clone());
    tokio::select! {
        () = fast.run(CancellationToken::new()) => {}
        settled = fast.settle_now() => settled.unwrap(),
    }
    bench.commit_one().await;
    bench.commit_one().await;
    feed.tail.wake();
    let all = read_one_by_one(&feed, 8).await;

    // What the slow one gets now was applied: twice as a whole, then in part.
    let (first, batches) = mpsc::unbounded_channel();
    streams.send(batches).unwrap();
    for part in [&all[0..2], &all[2..4], &all[4..7]] {
        first.send(batch(part)).unwrap();
    }
    let resumed = tokio::time::timeout(Duration::from_secs(20), subscriptions.recv());
    let resumed = resumed.await.unwrap().unwrap();
    assert_eq!(resumed, all[5].1.to_string(), "goes on after the sixth");
    let (second, batches) = mpsc::unbounded_channel();
    streams.send(batches).unwrap();
    second.send(batch(&all[6..8])).unwrap();
    slow.settle(all[7].1).await;
    shutdown.cancel();
    running.await.unwrap();

    let effects: i64 =
        sqlx::query_scalar("SELECT count(*) FROM journal WHERE aggregate_type = 'effect'")
            .fetch_one(&bench.pool)
            .await
            .unwrap();
    assert_eq!(effects, 8);
}

#[tokio::test]
async fn t07_a_consumer_that_stands_still_is_seen_to_fall_behind() {
    let bench = Bench::new().await;
    bench.commit_one().await;
    let feed = bench.serve_to_contexts().await;
    let (subscribed, mut subscriptions) = mpsc::unbounded_channel();
    let (streams, receiver) = mpsc::unbounded_channel();
    let puppet = Puppet { subscribed, streams: Arc::new(Mutex::new(receiver)) };
    let upstream = Upstream::new(FeedServiceServer::new(puppet), Arc::new(|_| {}));
    let clock = ManualClock::new("2026-03-02T09:02:00Z".parse().unwrap());
    let effects = Effects { ids: IdSource::new(bench.clock.clone()) };
    let pool = bench.pool.clone();
    let reader = Arc::new(Subscriber::new(effects, upstream, pool, Arc::new(clock.clone())));
    let minutes = |count: u64| Duration::from_secs(60 * count);
    let wait = |count| clock.advance(SignedDuration::from_mins(count)).unwrap();
    wait(1);
    assert_eq!(reader.backlog_age(), minutes(1), "nobody knows how much there is to read");

    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let (reader, shutdown) = (Arc::clone(&reader), shutdown.clone());
        async move { reader.run(shutdown).await }
    });
    // An event of two minutes before the start, which cannot be applied.
    let (mut broken, cursor) = read_one_by_one(&feed, 1).await.swap_remove(0);
    "broken".clone_into(&mut broken.id);
    let cursor = cursor.to_string();
    subscriptions.recv().await.unwrap();
    let (first, batches) = mpsc::unbounded_channel();
    streams.send(batches).unwrap();
    first
        .send(SubscribeResponse { events: vec![broken], cursor: cursor.clone(), caught_up: true })
        .unwrap();
    // It tries again, so it has failed.
    subscriptions.recv().await.unwrap();
    assert_eq!(reader.backlog_age(), minutes(3));
    wait(5);
    assert_eq!(reader.backlog_age(), minutes(8), "older while nothing is applied");

    let (second, batches) = mpsc::unbounded_channel();
    streams.send(batches).unwrap();
    second.send(SubscribeResponse { events: Vec::new(), cursor, caught_up: true }).unwrap();
    reader.progress().wait_for(|progress| progress.caught_up).await.unwrap();
    wait(5);
    assert_eq!(reader.backlog_age(), Duration::ZERO);
    drop(second);
    subscriptions.recv().await.unwrap();
    wait(2);
    assert_eq!(reader.backlog_age(), minutes(2), "as long as the feed has been away");
    shutdown.cancel();
    running.await.unwrap();
}
