//! Reading another context's feed so that every event takes effect exactly once.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kefu_api::feed::v1::{Event, SubscribeRequest, SubscribeResponse};
use kefu_clock::SharedClock;
use kefu_postgres::StoreError;
use kefu_telemetry::metrics::FeedLag;
use sqlx::{PgConnection, PgPool};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tracing::Instrument as _;

use crate::store::cursor;
use crate::{Cursor, Position, Upstream};

/// Events asked for in one batch, which is one transaction.
const BATCH: i32 = 256;
/// A quiet feed's cursor is stored this often; a crash repeats nothing but the reading of what was filtered out.
const STORE_IDLE_CURSOR: Duration = Duration::from_secs(5);
/// The wait between two attempts doubles from the first value to the second.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// A feed that is away for no longer than a restart takes is no news.
const WORTH_A_WARNING: Duration = Duration::from_millis(1600);

/// Why an event could not be applied. Its text goes to the log, so it must not hold personal data.
pub type ApplyError = Box<dyn std::error::Error + Send + Sync>;

/// What a context does with the events of another one.
pub trait Consumer: Send + Sync + 'static {
    /// Its name, unique in its context and never changed: the durable cursor is kept under it.
    fn name(&self) -> &'static str;

    /// The context whose feed it reads.
    fn source(&self) -> &'static str;

    /// The event types that it wants. Types that it does not know are never delivered. At most 50.
    fn event_types(&self) -> &'static [&'static str];

    /// Applies one event within `tx`, which also moves the cursor: both happen or neither. Everything that the event
    /// causes must go through `tx`; then it takes effect exactly once although it may be delivered several times.
    ///
    /// An error rolls the batch back and the event is tried again, for ever and ever more slowly, because skipping it
    /// would lose it and reordering it would break the order of its aggregate.
    fn apply(
        &self,
        tx: &mut PgConnection,
        event: &Event,
    ) -> impl Future<Output = Result<(), ApplyError>> + Send;

    /// Called after a batch was committed: the place to wake timers and the context's own tail.
    fn committed(&self) {}
}

/// How far a subscriber has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Everything up to here has been applied; `None` before the first answer of the feed.
    pub applied: Option<Cursor>,
    /// Whether the feed said that this was all, and is still connected.
    pub caught_up: bool,
}

/// Reads a feed for a [`Consumer`] and keeps its durable cursor.
///
/// Replicas may run the same consumer at the same time: the cursor is moved by compare-and-set as the first statement of
/// each batch's transaction, so the slower replica waits for the faster one, finds the cursor moved, and applies nothing.
#[derive(Debug)]
pub struct Subscriber<C> {
    consumer: C,
    upstream: Upstream,
    pool: PgPool,
    clock: SharedClock,
    progress: watch::Sender<Progress>,
    lag: FeedLag,
    backlog: Arc<Backlog>,
}

/// Since when there has been something that is not applied, or nobody knows whether there is.
#[derive(Debug)]
struct Backlog {
    clock: SharedClock,
    /// Microseconds since 1970; [`NOTHING`](Self::NOTHING) when everything is applied.
    since: AtomicI64,
}

impl Backlog {
    const NOTHING: i64 = i64::MAX;

    /// Nothing is known at first.
    fn new(clock: SharedClock) -> Self {
        let since = AtomicI64::new(clock.now().as_microsecond());
        Self { clock, since }
    }

    fn age(&self) -> Duration {
        let since = self.since.load(Ordering::Relaxed);
        let age = self.clock.now().as_microsecond().saturating_sub(since);
        Duration::from_micros(u64::try_from(age).unwrap_or_default())
    }

    /// Everything is applied.
    fn caught_up(&self) {
        self.since.store(Self::NOTHING, Ordering::Relaxed);
    }

    /// The event is the next to be applied; or the last that was, where more are known to follow.
    fn at(&self, event: &Event) {
        self.since.store(occurred(event).as_microsecond(), Ordering::Relaxed);
    }

    /// The feed is away: from now on there may be events which nobody here has heard of.
    fn unknown(&self) {
        let now = self.clock.now().as_microsecond();
        self.since.fetch_min(now, Ordering::Relaxed);
    }
}

/// Why a session with the feed ended.
enum End {
    /// Another replica has moved the cursor, or the size of the batches changes: go on from the stored cursor.
    Restart,
    /// The feed is away or refuses us.
    Feed(Status),
    /// The own database is away.
    Store(StoreError),
    /// The consumer could not apply an event.
    Failed,
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Status> for End {
    fn from(status: Status) -> Self {
        Self::Feed(status)
    }
}

/// After a failure events are applied one by one, so that those before the bad one get through and the log names the bad
/// one; then in batches again.
#[derive(Default)]
struct Care {
    one_by_one: usize,
}

impl Care {
    fn batch_size(&self) -> i32 {
        if self.one_by_one > 0 { 1 } else { BATCH }
    }

    /// Whether this success ended the need for care.
    fn applied(&mut self, events: usize) -> bool {
        let needed = self.one_by_one > 0;
        self.one_by_one = self.one_by_one.saturating_sub(events);
        needed && self.one_by_one == 0
    }

    fn failed(&mut self, events: usize) {
        self.one_by_one = self.one_by_one.max(events);
    }
}

impl<C: Consumer> Subscriber<C> {
    /// A subscriber whose effects and cursor are in the database of `pool`. The clock is for the lag only.
    pub fn new(consumer: C, upstream: Upstream, pool: PgPool, clock: SharedClock) -> Self {
        let lag = FeedLag::new(consumer.name(), consumer.source());
        let progress = watch::Sender::new(Progress::default());
        let backlog = Arc::new(Backlog::new(clock.clone()));
        lag.observe_backlog({
            let backlog = Arc::clone(&backlog);
            move || backlog.age()
        });
        Self { consumer, upstream, pool, clock, progress, lag, backlog }
    }

    /// Age of the oldest event that has not been applied; while the feed is away, at least how long it has been. Zero
    /// when everything that the feed shows is applied: what waits there for an older transaction is not known here. What the metric `kefu.feed.backlog.age` shows.
    pub fn backlog_age(&self) -> Duration {
        self.backlog.age()
    }

    /// The consumer that it reads for.
    pub fn consumer(&self) -> &C {
        &self.consumer
    }

    /// How far it has come, for readiness.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Waits until everything up to `head` has been applied, by this replica or another. The caller sets the time limit.
    pub async fn settle(&self, head: Cursor) {
        if head.position == Position::START {
            return;
        }
        let reached = |progress: &Progress| {
            progress.applied.is_some_and(|at| at.feed == head.feed && at.position >= head.position)
        };
        // The sender lives as long as `self`.
        let _ = self.progress.subscribe().wait_for(reached).await;
    }

    /// Asks the feed for its head and waits until everything up to it has been applied.
    ///
    /// # Errors
    /// What the feed answers when it is asked for its head.
    pub async fn settle_now(&self) -> Result<(), Status> {
        let head = self.upstream.head().await?;
        self.settle(head).await;
        Ok(())
    }

    /// Worker: reads and applies until `shutdown`. Whatever fails is tried again with growing pauses; dropping the
    /// future at any point loses nothing.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut care = Care::default();
        let mut pause = BACK_OFF.0;
        loop {
            let before = self.progress.borrow().applied;
            let end = tokio::select! {
                end = self.session(&mut care) => end,
                () = shutdown.cancelled() => break,
            };
            let Err(end) = end;
            self.progress.send_modify(|progress| progress.caught_up = false);
            if matches!(end, End::Restart) {
                continue;
            }
            self.backlog.unknown();
            if self.progress.borrow().applied != before {
                pause = BACK_OFF.0;
            }
            self.report(&end, pause);
            tokio::select! {
                () = tokio::time::sleep(jittered(pause)) => {}
                () = shutdown.cancelled() => break,
            }
            pause = (pause * 2).min(BACK_OFF.1);
        }
        self.progress.send_modify(|progress| progress.caught_up = false);
    }

    /// One connection to the feed, from the stored cursor on, until something ends it.
    async fn session(&self, care: &mut Care) -> Result<Infallible, End> {
        let mut stored = self.load().await?;
        let request = SubscribeRequest {
            cursor: stored.map(|cursor| cursor.to_string()).unwrap_or_default(),
            event_types: self.consumer.event_types().iter().map(ToString::to_string).collect(),
            max_batch_size: care.batch_size(),
        };
        let mut stream = self.upstream.subscribe(request).await?;
        // What this stream has delivered: ahead of `stored` by quiet stretches, behind it when another replica is faster.
        let mut seen = stored.map_or(Position::START, |cursor| cursor.position);
        let mut stored_at = kefu_clock::monotonic();
        while let Some(batch) = stream.message().await? {
            let to: Cursor =
                batch.cursor.parse().map_err(|_| Status::internal("the feed sent no cursor"))?;
            let events = batch.events.len();
            let quiet_for_long = stored != Some(to) && stored_at.elapsed() >= STORE_IDLE_CURSOR;
            if !has_passed(stored, to) && (events > 0 || quiet_for_long) {
                // A batch of which another replica has applied the beginning must not be applied as a whole.
                if stored.is_some_and(|stored| stored.position > seen) {
                    return Err(End::Restart);
                }
                if self.apply(&batch, stored, to, care).await? {
                    stored = Some(to);
                } else {
                    stored = self.load().await?;
                    if !has_passed(stored, to) {
                        return Err(End::Restart);
                    }
                }
                stored_at = kefu_clock::monotonic();
            }
            seen = to.position;
            let caught_up = batch.caught_up;
            match batch.events.last() {
                _ if caught_up => self.backlog.caught_up(),
                Some(last) => self.backlog.at(last),
                None => {}
            }
            self.progress.send_replace(Progress { applied: Some(to), caught_up });
            if care.applied(events) {
                return Err(End::Restart);
            }
        }
        Err(End::Feed(Status::unavailable("the feed has ended")))
    }

    async fn load(&self) -> Result<Option<Cursor>, StoreError> {
        cursor::load(&self.pool, self.consumer.name(), self.consumer.source()).await
    }

    /// One transaction: cursor and effects. False when another replica has moved the cursor.
    async fn apply(
        &self,
        batch: &SubscribeResponse,
        from: Option<Cursor>,
        to: Cursor,
        care: &mut Care,
    ) -> Result<bool, End> {
        let (name, source) = (self.consumer.name(), self.consumer.source());
        if let Some(first) = batch.events.first() {
            self.backlog.at(first);
        }
        let mut tx = kefu_postgres::begin(&self.pool).await.map_err(StoreError::from)?;
        // First, so that a replica with the same batch waits here and then does none of the work.
        if !cursor::advance(&mut tx, name, source, from, to).await? {
            return Ok(false);
        }
        for event in &batch.events {
            let span = kefu_telemetry::effect_span(name, Some(&event.traceparent));
            if let Err(error) = self.consumer.apply(&mut tx, event).instrument(span).await {
                care.failed(batch.events.len());
                self.lag.failed();
                tracing::error!(
                    consumer = name, source, %error, event_id = event.id, event_type = event.r#type,
                    aggregate_type = event.aggregate_type, aggregate_id = event.aggregate_id,
                    revision = event.revision,
                    "an event cannot be applied; the consumer stands still until it can",
                );
                return Err(End::Failed);
            }
        }
        // A commit whose answer is lost may have happened: the stored cursor, read again, tells.
        tx.commit().await.map_err(StoreError::from)?;
        if let Some(last) = batch.events.last() {
            let count = u64::try_from(batch.events.len()).unwrap_or(u64::MAX);
            self.lag.applied(count, self.age(last));
            self.consumer.committed();
        }
        Ok(true)
    }

    fn age(&self, event: &Event) -> Duration {
        let age = self.clock.now().duration_since(occurred(event)).max(SignedDuration::ZERO);
        age.unsigned_abs()
    }

    fn report(&self, end: &End, pause: Duration) {
        let (consumer, source) = (self.consumer.name(), self.consumer.source());
        let retry_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        match end {
            // An event that cannot be applied has been reported where it was known.
            End::Restart | End::Failed => {}
            End::Store(error) => {
                tracing::warn!(consumer, source, retry_in_ms, %error, "cannot move the cursor");
            }
            End::Feed(status) if status.code() == Code::FailedPrecondition => tracing::error!(
                consumer,
                source,
                retry_in_ms,
                error = status.message(),
                "the feed's database was replaced; the consumer stands still until its cursor is reset",
            ),
            // It ends whenever its server stops, and starts as soon as the next one does.
            End::Feed(_) if pause < WORTH_A_WARNING => {}
            End::Feed(status) => {
                let (code, error) = (status.code(), status.message());
                tracing::warn!(consumer, source, retry_in_ms, ?code, error, "the feed is away");
            }
        }
    }
}

fn occurred(event: &Event) -> Timestamp {
    let time = event.occur_time.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok());
    time.unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Whether a stored cursor is at `to` or beyond.
fn has_passed(stored: Option<Cursor>, to: Cursor) -> bool {
    stored.is_some_and(|stored| stored.feed == to.feed && stored.position >= to.position)
}

/// Puts a consumer back to the oldest event of its source, for an operator after the source's database was replaced:
/// the consumer must recognise by the aggregate's revision what it has applied before.
///
/// # Errors
/// [`StoreError::Unavailable`] and the like.
pub async fn reset_cursor(pool: &PgPool, consumer: &str, source: &str) -> Result<(), StoreError> {
    cursor::reset(pool, consumer, source).await
}

/// Between half of `pause` and all of it, so that replicas do not come back in step.
fn jittered(pause: Duration) -> Duration {
    let [byte] = kefu_clock::random_bytes::<1>();
    pause / 2 + pause / 2 * u32::from(byte) / 255
}
