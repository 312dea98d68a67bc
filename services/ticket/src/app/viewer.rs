//! Who is looking at which ticket (T-24).
//!
//! Being subscribed means looking. What a process knows of its own streams is in memory; a worker tells the database of what
//! has changed, reads what all processes together see of the tickets that are watched here, and hands that to the streams:
//! one statement for all of them, however many there are. The rows of a process count as long as its lease does, which one
//! small write renews; so whoever looked through a process that died is gone when the lease is over. What happens in this
//! process is looked at at once and alone; everything that is watched, once a second. Without anybody looking the worker asks
//! nothing of the database.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use kefu_identity::Caller;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::{App, Error};
use crate::store;
use crate::store::viewer::{Looks, Seen};

/// How long a process is believed to live after it said so.
pub(crate) const LEASE: SignedDuration = SignedDuration::from_secs(15);
/// When it says so again: after a third of that.
const RENEWAL: SignedDuration = SignedDuration::from_secs(5);
/// How long somebody is composing after he said so.
const COMPOSING: SignedDuration = SignedDuration::from_secs(60);
/// Who says it again sooner than this need not be written down again.
const COMPOSING_AGAIN: SignedDuration = SignedDuration::from_secs(20);
/// How often all that is watched is looked at: as soon it is seen here what others do through another process.
pub(crate) const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// The most that one process shows to its streams.
const MAX_STREAMS: usize = 20_000;
/// The most streams of one person in one process: more is a client that does not close what it opens.
const MAX_STREAMS_OF_ONE: u32 = 200;

/// Who looks at what.
type Place = (Uuid, Arc<str>);

/// Those who look through this process.
#[derive(Clone, Debug)]
pub struct Viewers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    process: Uuid,
    state: Mutex<State>,
    changed: Notify,
    round: tokio::sync::Mutex<Round>,
}

#[derive(Debug, Default)]
struct State {
    looking: HashMap<Place, Looking>,
    watched: HashMap<Uuid, Watched>,
    streams: HashMap<Arc<str>, u32>,
    /// What the database has not been told yet: since when, or that it is over.
    news: HashMap<Place, Option<Timestamp>>,
    /// What is to be looked at at once.
    urgent: HashSet<Uuid>,
    closed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Looking {
    streams: u32,
    since: Timestamp,
}

#[derive(Debug)]
struct Watched {
    streams: u32,
    seen: watch::Sender<Option<Arc<Seen>>>,
}

/// What the worker knows from one round to the next.
#[derive(Debug, Default)]
struct Round {
    lease_until: Option<Timestamp>,
    /// The database is to be told everything: of what it was told last, nobody knows.
    unsure: bool,
    /// When everything was looked at.
    looked: Option<Instant>,
}

/// Somebody looks at a ticket as long as this is there.
pub struct Look {
    viewers: Viewers,
    place: Place,
    /// What is to be seen.
    pub(crate) seen: watch::Receiver<Option<Arc<Seen>>>,
}

impl Viewers {
    /// Nobody yet, in a process with an id of its own.
    pub fn new(process: Uuid) -> Self {
        Self(Arc::new(Inner {
            process,
            state: Mutex::default(),
            changed: Notify::new(),
            round: tokio::sync::Mutex::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, and what it holds is whole between any two of its lines.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the worker look at a ticket at once.
    fn look_at(&self, ticket: Uuid) {
        self.state().urgent.insert(ticket);
        self.0.changed.notify_one();
    }

    /// Completes when there is something to do at once.
    pub(crate) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Somebody begins to look.
    fn look(&self, ticket: Uuid, staff: Arc<str>, now: Timestamp) -> Result<Look, Error> {
        let mut state = self.state();
        let own = state.streams.get(&staff).copied().unwrap_or_default();
        let all = state.looking.len();
        if state.closed || own >= MAX_STREAMS_OF_ONE || all >= MAX_STREAMS {
            return Err(Error::Overloaded);
        }
        let place = (ticket, Arc::clone(&staff));
        *state.streams.entry(staff).or_default() += 1;
        let mut since = None;
        let looking = state.looking.entry(place.clone()).or_insert_with(|| {
            since = Some(now);
            Looking { streams: 0, since: now }
        });
        looking.streams += 1;
        if since.is_some() {
            state.news.insert(place.clone(), since);
        }
        let watched = state
            .watched
            .entry(ticket)
            .or_insert_with(|| Watched { streams: 0, seen: watch::Sender::new(None) });
        watched.streams += 1;
        let mut seen = watched.seen.subscribe();
        // What is known already is news to this stream.
        seen.mark_changed();
        drop(state);
        self.look_at(ticket);
        Ok(Look { viewers: self.clone(), place, seen })
    }

    fn leave(&self, place: &Place) {
        let mut state = self.state();
        let (ticket, staff) = place;
        let over = |streams: &mut u32| {
            *streams = streams.saturating_sub(1);
            *streams == 0
        };
        if state.streams.get_mut(staff).is_some_and(over) {
            state.streams.remove(staff);
        }
        if state.watched.get_mut(ticket).is_some_and(|watched| over(&mut watched.streams)) {
            state.watched.remove(ticket);
        }
        if state.looking.get_mut(place).is_some_and(|looking| over(&mut looking.streams)) {
            state.looking.remove(place);
            state.news.insert(place.clone(), None);
        }
        drop(state);
        self.look_at(*ticket);
    }

    /// Ends all streams: the process stops.
    fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.watched.clear();
    }

    /// What is to be told and asked; whether anybody looks.
    fn work(&self, all: bool, everything: bool) -> Work {
        let mut state = self.state();
        let news = std::mem::take(&mut state.news);
        let urgent = std::mem::take(&mut state.urgent);
        let watched = if everything {
            state.watched.keys().copied().collect()
        } else {
            urgent.into_iter().filter(|ticket| state.watched.contains_key(ticket)).collect()
        };
        let mut work = Work { watched, idle: state.looking.is_empty(), ..Work::default() };
        if all {
            let looking = state.looking.iter();
            work.come = looking.map(|(place, of)| (place.clone(), of.since)).collect();
        }
        for (place, since) in news {
            match since {
                Some(since) if !all => work.come.push((place, since)),
                Some(_) => {}
                None => work.gone.push(place),
            }
        }
        work
    }

    fn show(&self, seen: HashMap<Uuid, Seen>) {
        let state = self.state();
        for (ticket, seen) in seen {
            let Some(watched) = state.watched.get(&ticket) else { continue };
            watched.seen.send_if_modified(|present| {
                let differs = present.as_deref() != Some(&seen);
                if differs {
                    *present = Some(Arc::new(seen));
                }
                differs
            });
        }
    }
}

#[derive(Debug, Default)]
struct Work {
    idle: bool,
    come: Vec<(Place, Timestamp)>,
    gone: Vec<Place>,
    watched: Vec<Uuid>,
}

impl Drop for Look {
    fn drop(&mut self) {
        self.viewers.leave(&self.place);
    }
}

impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Look").field("place", &self.place).finish_non_exhaustive()
    }
}

impl App {
    /// The caller begins to look at a ticket, until the answer is dropped.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Overloaded`].
    pub async fn watch_viewers(&self, caller: &Caller, ticket: Uuid) -> Result<Look, Error> {
        let mut conn = self.read().await?;
        self.allow_ticket(&mut conn, caller, "ticket.WatchViewers", ticket).await?;
        drop(conn);
        self.viewers.look(ticket, caller.subject().into(), self.now())
    }

    /// Passes if the caller may still see who looks at a ticket, which may have gone elsewhere.
    pub(crate) fn may_still_watch(&self, caller: &Caller, seen: &Seen) -> Result<(), Error> {
        let receiving = seen.receiving.as_deref();
        self.allow_seen(caller, "ticket.WatchViewers", &seen.org_unit, receiving)
    }

    /// The caller is composing a reply, for a while, or has finished. Until when it counts.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn announce_composing(
        &self,
        caller: &Caller,
        ticket: Uuid,
        finished: bool,
    ) -> Result<Option<Timestamp>, Error> {
        let mut conn = self.read().await?;
        self.allow_ticket(&mut conn, caller, "ticket.AnnounceComposing", ticket).await?;
        let (now, who) = (self.now(), (ticket, caller.subject()));
        let until = if finished {
            store::viewer::finish(&mut conn, who).await?;
            None
        } else {
            let enough = add(now, COMPOSING - COMPOSING_AGAIN);
            Some(store::viewer::compose(&mut conn, who, now, (enough, add(now, COMPOSING))).await?)
        };
        drop(conn);
        self.viewers.look_at(ticket);
        Ok(until)
    }

    /// Tells the database who looks through this process, and the streams who looks at all: of what is urgent, and of
    /// `everything` if asked for or not looked at for long.
    ///
    /// # Errors
    /// When the database is away; the next round tells it everything again.
    pub(crate) async fn viewer_round(&self, everything: bool) -> Result<(), Error> {
        let viewers = &self.viewers;
        let mut round = viewers.0.round.lock().await;
        let now = self.now();
        // Also what it was told is told again now and then: the tables are not logged, and may have been emptied.
        let renewed = round.lease_until.map(|until| add(until, RENEWAL - LEASE));
        let renew = round.unsure || renewed.is_none_or(|due| due <= now);
        let looked = round.looked.is_some_and(|at| at.elapsed() < LOOK_PERIOD);
        let everything = everything || round.unsure || !looked;
        let work = viewers.work(renew, everything);
        if work.idle && work.gone.is_empty() {
            return Ok(());
        }
        let unsure = std::mem::replace(&mut round.unsure, true);
        let mut conn = self.read().await?;
        if renew {
            let until = add(now, LEASE);
            store::viewer::renew(&mut conn, viewers.0.process, until, now).await?;
            round.lease_until = Some(until);
        }
        let process = viewers.0.process;
        if unsure {
            store::viewer::forget_all(&mut conn, process).await?;
        }
        let gone: Vec<(Uuid, &str)> = work.gone.iter().map(|(id, staff)| (*id, &**staff)).collect();
        store::viewer::gone(&mut conn, process, &gone).await?;
        let come: Vec<Looks<'_>> = work
            .come
            .iter()
            .map(|((ticket, staff), since)| Looks { ticket: *ticket, staff, since: *since })
            .collect();
        store::viewer::come(&mut conn, process, &come).await?;
        if !work.watched.is_empty() {
            viewers.show(store::viewer::seen(&mut conn, &work.watched, now).await?);
        }
        if everything {
            round.looked = Some(kefu_clock::monotonic());
        }
        round.unsure = false;
        Ok(())
    }

    /// The process stops: its streams end, and the others need not wait for its lease.
    pub(crate) async fn viewers_leave(&self) -> Result<(), Error> {
        self.viewers.close();
        let mut conn = self.read().await?;
        Ok(store::viewer::leave(&mut conn, self.viewers.0.process).await?)
    }

    /// Whether anybody looks through this process, so that what others do is to be asked for.
    pub(crate) fn is_watched(&self) -> bool {
        !self.viewers.state().watched.is_empty()
    }
}

fn add(at: Timestamp, length: SignedDuration) -> Timestamp {
    at.checked_add(length).unwrap_or(at)
}
