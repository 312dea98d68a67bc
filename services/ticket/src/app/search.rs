//! Full-text search (T-23).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kefu_clock::monotonic;
use kefu_identity::{Caller, OrgUnit};
use kefu_postgres::StoreError;
use sqlx::PgConnection;
use uuid::Uuid;

use super::listing::{Listed, View};
use super::{App, Error};
use crate::domain::{SearchQuery, SearchSample};
use crate::store;
use crate::store::projection::Projection;

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The newest first.
    pub tickets: Vec<Listed>,
    /// The place of the last; none on the last page.
    pub next: Option<i64>,
    /// Up to when changes are taken into account.
    pub fresh: Timestamp,
}

/// After so long a new sample is taken; what people write about does not change faster.
const SAMPLE_AGE: Duration = Duration::from_mins(10);

/// The sample by which searches are planned, kept for all of them. An old one costs time and changes no answer.
#[derive(Debug, Default)]
pub struct Sampled(Mutex<Option<Taken>>);

#[derive(Debug)]
struct Taken {
    sample: Arc<SearchSample>,
    documents: i64,
    at: Instant,
}

impl Sampled {
    /// The sample, unless it is old, or there are twice as many documents by now.
    fn known(&self, documents: i64) -> Option<Arc<SearchSample>> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = taken.as_ref()?;
        let is_good = documents < taken.documents.saturating_mul(2)
            && monotonic().duration_since(taken.at) < SAMPLE_AGE;
        is_good.then(|| Arc::clone(&taken.sample))
    }

    fn keep(&self, sample: SearchSample, documents: i64) -> Arc<SearchSample> {
        let sample = Arc::new(sample);
        let taken = Taken { sample: Arc::clone(&sample), documents, at: monotonic() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(taken);
        sample
    }
}

impl App {
    /// How rare words are among so many documents.
    async fn search_sample(
        &self,
        conn: &mut PgConnection,
        documents: i64,
    ) -> Result<Arc<SearchSample>, StoreError> {
        if let Some(sample) = self.sampled.known(documents) {
            return Ok(sample);
        }
        let tokens = store::search::sample(conn, &SearchSample::places(documents)).await?;
        Ok(self.sampled.keep(SearchSample::of(tokens), documents))
    }

    /// The newest tickets at and below an org unit with all words of a query, before a place.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn search_tickets(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        query: &SearchQuery,
        before: Option<i64>,
        (size, view): (u32, View),
    ) -> Result<Found, Error> {
        self.allow(caller, "ticket.SearchTickets", org_unit)?;
        let now = self.now();
        let mut conn = self.read().await?;
        let (_, behind) = store::projection::progress(&mut conn, Projection::Search).await?;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let documents = store::search::next_place(&mut conn).await?;
        let sample = self.search_sample(&mut conn, documents).await?;
        let before = before.unwrap_or(documents);
        let mut found = store::search::find(&mut conn, query, &sample, before, size + 1).await?;
        let more = found.len() > size;
        found.truncate(size);
        let next = found.last().map(|(place, _)| *place).filter(|_| more);
        let ids: Vec<Uuid> = found.iter().map(|(_, id)| *id).collect();
        let mut tickets = self.listed_within(&mut conn, org_unit, &ids, view).await?;
        let tickets = ids.iter().filter_map(|id| tickets.remove(id)).collect();
        Ok(Found { tickets, next, fresh: behind.unwrap_or(now) })
    }
}
