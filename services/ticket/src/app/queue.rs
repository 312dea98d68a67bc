//! Queues of open tickets (T-23).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use kefu_identity::{Caller, OrgUnit};
use kefu_postgres::StoreError;
use kefu_rpc::Fault;
use sqlx::PgConnection;
use uuid::Uuid;

use super::listing::{Listed, View};
use super::{App, Error, one_more};
use crate::domain::{QueueOrder, SavedView, TicketFilter};
use crate::store;
use crate::store::projection::Projection;
use crate::store::queue::{Candidate, Place, QueueQuery, START};

/// The most entries that are looked at to be counted.
const MAX_COUNTED: i64 = 50_000;

/// A queue, wherever it was described.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Queue {
    /// What passes.
    pub filter: TicketFilter,
    /// In which order.
    pub order: QueueOrder,
}

/// Where a page of a queue ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueCursor {
    /// What was put where it is later than in this turn comes at the end.
    pub turn: i64,
    /// Whether that is where the page ends.
    pub moved: bool,
    /// The last place that was looked at.
    pub place: Place,
}

/// A ticket in a queue.
#[derive(Debug)]
pub struct QueueItem {
    /// As it is now.
    pub ticket: Listed,
    /// The deadline by which it stands there.
    pub due: Option<Timestamp>,
    /// Whether it was put there after the first page was read.
    pub moved: bool,
}

/// A page of a queue.
#[derive(Debug)]
pub struct QueuePage {
    /// In order.
    pub items: Vec<QueueItem>,
    /// None on the last page.
    pub next: Option<QueueCursor>,
    /// Up to when changes are taken into account.
    pub fresh: Timestamp,
}

/// What was counted of a queue.
#[derive(Clone, Debug)]
pub struct QueueCounts {
    /// By value, the largest first.
    pub counts: Vec<(String, i64)>,
    /// Whether there are more than were looked at.
    pub more: bool,
    /// Up to when changes are taken into account.
    pub fresh: Timestamp,
}

impl Queue {
    /// The queue of a view. One that was saved with fields which are none any more is refused.
    pub(crate) fn of(view: &SavedView) -> Result<Self, Error> {
        let filter = TicketFilter::read(&view.filter);
        let filter = filter.map_err(|fault| Error::Invalid("saved_view", filter_fault(&fault)))?;
        Ok(Self { filter, order: view.order })
    }
}

/// What is wrong with a filter, for the caller.
pub(crate) fn filter_fault(fault: &kefu_filter::Fault) -> Fault {
    let kefu_filter::Fault { position, english, chinese } = fault;
    let english = format!("at character {position}: {english}");
    Fault::new("FILTER_INVALID", english, format!("第 {position} 个字符：{chinese}"))
}

/// So many org units are remembered at most.
const MAX_REMEMBERED: usize = 1_000;

/// The org units below one that have open tickets; none where they are many.
type Units = Option<Arc<[String]>>;

/// Which org units have open tickets, as of a turn of the queues: only a turn changes it, so it is looked up once for each.
#[derive(Debug, Default)]
pub struct QueueUnits(Mutex<HashMap<OrgUnit, (i64, Units)>>);

impl QueueUnits {
    fn known(&self, org_unit: &OrgUnit, turn: i64) -> Option<Units> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(org_unit).filter(|(as_of, _)| *as_of == turn).map(|(_, units)| units.clone())
    }

    fn remember(&self, org_unit: &OrgUnit, turn: i64, units: &Units) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(org_unit.clone(), (turn, units.clone()));
    }
}

/// A page in the making: what passes, and where the looking ended.
struct Looked {
    passing: Vec<Candidate>,
    /// None if there is nothing after.
    end: Option<Place>,
}

impl Looked {
    /// Of candidates in order, one more than the page has room for.
    fn at(candidates: Vec<Candidate>, start: Place, room: u32) -> Self {
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let mut passing: Vec<Candidate> = Vec::new();
        for candidate in candidates {
            if passing.len() == room {
                let end = passing.last().map_or(start, Candidate::place);
                return Self { end: Some(end), passing };
            }
            let (place, last) = (candidate.place(), candidate.last);
            if candidate.passes {
                passing.push(candidate);
            }
            if last {
                return Self { end: Some(place), passing };
            }
        }
        Self { end: None, passing }
    }
}

impl App {
    /// A page of the open tickets at and below an org unit.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn list_queue(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        queue: &Queue,
        after: Option<QueueCursor>,
        (size, view): (u32, View),
    ) -> Result<QueuePage, Error> {
        self.allow(caller, "ticket.ListQueue", org_unit)?;
        let now = self.now();
        let me = caller.subject();
        let filter = queue.filter.compile(now, me);
        let whose = queue.filter.whose(me);
        let mut conn = self.read().await?;
        // Before anything else is read: what is read later has at least that.
        let (turn, behind) = store::projection::progress(&mut conn, Projection::Queue).await?;
        let from = after.unwrap_or(QueueCursor { turn, moved: false, place: START });
        let units = match &whose {
            Some(_) => None,
            None => self.units_with_open(&mut conn, org_unit, turn).await?,
        };
        let mut query = QueueQuery {
            org_unit: org_unit.as_str(),
            units: units.as_deref(),
            filter: &filter,
            who: whose.as_deref(),
            order: queue.order,
            turn: from.turn,
            after: from.place,
            limit: one_more(size),
        };
        let (mut found, mut next) = (Vec::new(), None);
        if !from.moved {
            let looked = Looked::at(store::queue::list(&mut conn, &query).await?, from.place, size);
            next = looked.end.map(|place| QueueCursor { place, ..from });
            found.extend(looked.passing.into_iter().map(|candidate| (candidate, false)));
            query.after = (from.turn, 0, Uuid::max());
        }
        if next.is_none() {
            let room = size.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
            query.limit = one_more(room);
            // Where the page is full, this only tells whether there are any.
            let moved = store::queue::moved(&mut conn, &query).await?;
            let looked = Looked::at(moved, query.after, room);
            next = looked.end.map(|place| QueueCursor { moved: true, place, ..from });
            found.extend(looked.passing.into_iter().map(|candidate| (candidate, true)));
        }
        let ids: Vec<Uuid> = found.iter().map(|(candidate, _)| candidate.ticket_id).collect();
        let mut tickets = self.listed_within(&mut conn, org_unit, &ids, view).await?;
        let items = found.into_iter().filter_map(|(candidate, moved)| {
            let due = Some(candidate.due_key).filter(|due| *due != i64::MAX);
            Some(QueueItem {
                ticket: tickets.remove(&candidate.ticket_id)?,
                due: due.and_then(|due| Timestamp::from_microsecond(due).ok()),
                moved,
            })
        });
        Ok(QueuePage { items: items.collect(), next, fresh: behind.unwrap_or(now) })
    }

    /// What has open tickets at the turn at which the queues are. Tickets that came to another org unit later are among those
    /// that moved.
    async fn units_with_open(
        &self,
        conn: &mut PgConnection,
        org_unit: &OrgUnit,
        turn: i64,
    ) -> Result<Units, StoreError> {
        if let Some(units) = self.queue_units.known(org_unit, turn) {
            return Ok(units);
        }
        let units = store::queue::few_units(conn, org_unit.as_str()).await?.map(Arc::from);
        self.queue_units.remember(org_unit, turn, &units);
        Ok(units)
    }

    /// Counts the open tickets at and below an org unit by a field of the filter language, `clock`, or nothing.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn count_queue(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        filter: &TicketFilter,
        field: &'static str,
    ) -> Result<QueueCounts, Error> {
        self.allow(caller, "ticket.CountQueue", org_unit)?;
        let now = self.now();
        let filter = filter.compile(now, caller.subject());
        let mut conn = self.read().await?;
        let (_, behind) = store::projection::progress(&mut conn, Projection::Queue).await?;
        let by = (field, now.as_microsecond());
        let counted =
            store::queue::count(&mut conn, org_unit.as_str(), &filter, by, MAX_COUNTED).await?;
        let looked_at: i64 = counted.iter().map(|counted| counted.looked_at).sum();
        let counts = counted.into_iter().filter(|counted| counted.passing > 0);
        Ok(QueueCounts {
            counts: counts.map(|counted| (counted.value, counted.passing)).collect(),
            more: looked_at >= MAX_COUNTED,
            fresh: behind.unwrap_or(now),
        })
    }
}
