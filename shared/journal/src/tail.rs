//! The end of the journal, followed once for all readers of a process.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use kefu_postgres::StoreError;

use crate::ring::Ring;
use crate::store::{identity, journal};
use crate::{Cursor, Position, Recorded};

/// How long a commit without a wake, in another replica for example, stays unseen at most.
const POLL_PERIOD: Duration = Duration::from_millis(200);
/// Under steady load the journal is read once in this time, not once for every commit.
const MIN_GAP: Duration = Duration::from_millis(5);
/// A row may be committed and still wait for an older transaction to end, of which nobody tells; so while there is one
/// the next look is soon, and then less and less soon.
const FIRST_LOOK: Duration = Duration::from_millis(3);
/// Rows that one look reads.
const PAGE: i64 = 1_000;
/// How long a new reader waits for a tail that has not found its database yet.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// Why a feed cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The database cannot be read now.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database has not been reached yet since the process started.
    #[error("the journal cannot be read yet")]
    NotReady,
    /// The cursor counts in another database than the feed with this identity, or in a future that this database has
    /// lost by being restored.
    #[error("the cursor counts in another database")]
    ForeignCursor {
        /// The identity of the feed as it is now.
        feed: Uuid,
    },
    /// The process is shutting down.
    #[error("the feed is closing")]
    Closed,
}

/// Where a reader starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the oldest event.
    Oldest,
    /// After everything that is visible now.
    Now,
    /// After a cursor from before.
    After(Cursor),
}

/// Events in the order of the feed.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The events; none when only time has passed or changes without a public event were made.
    pub events: Vec<Arc<Recorded>>,
    /// Where to go on; stored or given to clients as text.
    pub cursor: Cursor,
    /// Whether the reader has now seen everything that was visible when this was read.
    pub caught_up: bool,
}

#[derive(Debug)]
struct State {
    /// `None` until the database has been reached.
    feed: Option<Uuid>,
    ring: Ring,
    /// Whether the last look at the database succeeded and came to the end.
    fresh: bool,
    closed: bool,
}

/// What came of a look at the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// Whether something had become visible.
    pub(crate) moved: bool,
    /// Whether something else is committed, and will become visible without a wake.
    pub(crate) waiting: bool,
}

/// The end of one context's journal, followed once for all readers of a process: the feed server's subscribers and the
/// context's own live streams.
///
/// One task ([`Tail::run`]) reads the journal and keeps the newest events in memory; readers that are further behind read
/// pages from the database by themselves until they have caught up. Each reader goes at its own pace; a slow one costs
/// nothing but its own delay. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tail {
    pool: PgPool,
    wake: Arc<Notify>,
    state: Arc<watch::Sender<State>>,
}

impl Tail {
    /// The tail of the journal in the schema that `pool` sees first. `wake` is notified (`notify_one`, so that a wake is
    /// kept) after commits that wrote to the journal; nothing but latency depends on it.
    pub fn new(pool: PgPool, wake: Arc<Notify>) -> Self {
        let state = State {
            feed: None,
            ring: Ring::starting_at(Position::START),
            fresh: false,
            closed: false,
        };
        Self { pool, wake, state: Arc::new(watch::Sender::new(state)) }
    }

    /// As if a look at the database had found the journal to end there.
    #[cfg(test)]
    pub(crate) fn pretend(&self, seq: i64) {
        self.state.send_modify(|state| {
            state.feed = Some(Uuid::nil());
            state.ring.extend(Vec::new(), Position { xid: 1, seq });
        });
    }

    /// Says that something was committed to the journal.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Worker: follows the journal until `shutdown`, then ends all readers.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut pause = FIRST_LOOK;
        loop {
            let began = kefu_clock::monotonic();
            match self.look().await {
                Ok(Look { waiting: false, .. }) => pause = POLL_PERIOD,
                Ok(Look { moved: true, .. }) => pause = FIRST_LOOK,
                Ok(_) => {}
                Err(error) => {
                    pause = POLL_PERIOD;
                    self.state.send_if_modified(|state| {
                        if state.fresh {
                            tracing::warn!(%error, "cannot read the journal");
                        }
                        std::mem::replace(&mut state.fresh, false)
                    });
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.wake.notified() => {
                    pause = FIRST_LOOK;
                    tokio::time::sleep(MIN_GAP.saturating_sub(began.elapsed())).await;
                }
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(POLL_PERIOD),
            }
        }
        self.state.send_modify(|state| state.closed = true);
    }

    /// Reads what has become visible.
    pub(crate) async fn look(&self) -> Result<Look, StoreError> {
        // Whatever broke the last look may have put another database in the place of the old one.
        let (fresh, mut head) = {
            let state = self.state.borrow();
            (state.fresh && state.feed.is_some(), state.ring.head())
        };
        if !fresh {
            head = self.identify().await?;
        }
        let mut moved = false;
        loop {
            let page = journal::read_after(&self.pool, head, PAGE).await?;
            let advanced = page.end != head;
            head = page.end;
            moved |= advanced;
            self.state.send_if_modified(|state| {
                // Only who has read the last page may say that this is all.
                let changed = advanced || state.fresh == page.full;
                state.fresh = !page.full;
                if advanced {
                    state.ring.extend(page.events, page.end);
                }
                changed
            });
            if !page.full {
                return Ok(Look { moved, waiting: page.waiting });
            }
        }
    }

    /// Learns whose journal this is, and where to go on in it.
    async fn identify(&self) -> Result<Position, StoreError> {
        let feed = identity::ensure(&self.pool).await?;
        let ends = journal::ends(&self.pool).await?;
        if ends.committed.xid >= journal::next_xid(&self.pool).await? {
            return Err(StoreError::Corrupt(
                "the journal was restored from another cluster; run the migrations as its owner"
                    .to_owned(),
            ));
        }
        let mut head = ends.visible;
        self.state.send_modify(|state| {
            if state.feed == Some(feed) {
                head = state.ring.head();
            } else {
                state.feed = Some(feed);
                state.ring = Ring::starting_at(head);
            }
        });
        Ok(head)
    }

    /// Starts a reader that gets at most `limit` events at a time.
    ///
    /// # Errors
    /// [`FeedError::ForeignCursor`] when `start` counts elsewhere; [`FeedError::NotReady`] when the database is not
    /// reached within two seconds; [`FeedError::Closed`].
    pub async fn follow(&self, start: Start, limit: usize) -> Result<Follow, FeedError> {
        let state = self.ready().await?;
        let (feed, head) = {
            let state = state.borrow();
            (state.feed.ok_or(FeedError::NotReady)?, state.ring.head())
        };
        let position = match start {
            Start::Oldest => Position::START,
            Start::Now => head,
            Start::After(cursor) if cursor.feed != feed => {
                return Err(FeedError::ForeignCursor { feed });
            }
            Start::After(Cursor { position, .. }) => position,
        };
        // Another replica may have seen more than this one; but nobody has seen transactions that were never begun.
        if position > head && position.xid >= journal::next_xid(&self.pool).await? {
            return Err(FeedError::ForeignCursor { feed });
        }
        Ok(Follow {
            pool: self.pool.clone(),
            state,
            cursor: Cursor { feed, position },
            limit: limit.max(1),
            told_caught_up: false,
        })
    }

    /// Waits until the database has been found, but not for long.
    async fn ready(&self) -> Result<watch::Receiver<State>, FeedError> {
        let mut state = self.state.subscribe();
        let ready = state.wait_for(|state| state.closed || state.feed.is_some());
        match tokio::time::timeout(READY_WITHIN, ready).await {
            Err(_) => return Err(FeedError::NotReady),
            Ok(Err(_)) => return Err(FeedError::Closed),
            Ok(Ok(state)) if state.closed => return Err(FeedError::Closed),
            Ok(Ok(_)) => {}
        }
        Ok(state)
    }

    /// The cursor of the last committed row, whether readers can see it yet or not: who has reached it has seen
    /// everything that was committed before this call.
    ///
    /// # Errors
    /// [`FeedError::NotReady`], [`FeedError::Store`], [`FeedError::Closed`].
    pub async fn head(&self) -> Result<Cursor, FeedError> {
        let feed = self.ready().await?.borrow().feed.ok_or(FeedError::NotReady)?;
        let position = journal::ends(&self.pool).await?.committed;
        // Who asks waits for somebody to get there.
        if position > self.state.borrow().ring.head() {
            self.wake();
        }
        Ok(Cursor { feed, position })
    }

    /// As far as this process has read: at [`head`](Self::head) or somewhere before it, without asking the database.
    /// `None` as long as the database has not been found.
    pub fn seen(&self) -> Option<Cursor> {
        let state = self.state.borrow();
        state.feed.map(|feed| Cursor { feed, position: state.ring.head() })
    }
}

/// One reader of a [`Tail`].
#[derive(Debug)]
pub struct Follow {
    pool: PgPool,
    state: watch::Receiver<State>,
    cursor: Cursor,
    limit: usize,
    told_caught_up: bool,
}

impl Follow {
    /// Where this reader stands: after the last batch it got.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Whether the last batch said that there was no more.
    pub fn is_caught_up(&self) -> bool {
        self.told_caught_up
    }

    /// Waits for the next batch. The first one comes at once when there is nothing to wait for, then one whenever the
    /// feed has moved. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`FeedError::Closed`] at shutdown; [`FeedError::ForeignCursor`] when the database was replaced;
    /// [`FeedError::Store`] when this reader is behind and cannot read its pages.
    pub async fn next(&mut self) -> Result<Batch, FeedError> {
        loop {
            let slice = {
                let state = self.state.borrow_and_update();
                if state.closed {
                    return Err(FeedError::Closed);
                }
                if let Some(feed) = state.feed.filter(|feed| *feed != self.cursor.feed) {
                    return Err(FeedError::ForeignCursor { feed });
                }
                let fresh = state.fresh;
                state.ring.after(self.cursor.position, self.limit).map(|slice| (slice, fresh))
            };
            let Some((slice, fresh)) = slice else {
                if let Some(batch) = self.read_page().await? {
                    return Ok(batch);
                }
                continue;
            };
            let caught_up = slice.at_head && fresh;
            let news = slice.end != self.cursor.position || caught_up != self.told_caught_up;
            self.cursor.position = slice.end;
            self.told_caught_up = caught_up;
            if news {
                return Ok(Batch { events: slice.events, cursor: self.cursor, caught_up });
            }
            if self.state.changed().await.is_err() {
                return Err(FeedError::Closed);
            }
        }
    }

    async fn read_page(&mut self) -> Result<Option<Batch>, FeedError> {
        let limit = i64::try_from(self.limit).unwrap_or(PAGE);
        let page = journal::read_after(&self.pool, self.cursor.position, limit).await?;
        if page.end == self.cursor.position {
            // The ring starts further on, so there must be rows; unless the database was replaced, which the tail
            // will have found out by its next change.
            return match self.state.changed().await {
                Ok(()) => Ok(None),
                Err(_) => Err(FeedError::Closed),
            };
        }
        self.cursor.position = page.end;
        self.told_caught_up = false;
        let events = page.events.into_iter().map(Arc::new).collect();
        Ok(Some(Batch { events, cursor: self.cursor, caught_up: false }))
    }
}
