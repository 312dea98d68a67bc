//! What the context does: one file per noun. A command is one short transaction: load and lock, authorize, claim the
//! request id, check the etag, decide, save, append to the journal, store the answer, commit, wake the feed.

mod audit;
pub mod contact;
pub mod customer;
pub mod error;
pub mod org_unit;
pub mod policy;
pub mod standing;
pub mod work;

use std::sync::Arc;

use jiff::Timestamp;
use kefu_clock::{IdSource, SharedClock};
use kefu_identity::{Authorizer, Caller, OrgUnit};
use kefu_journal::Tail;
use kefu_policy::PolicyBook;
use kefu_postgres::StoreError;
use sqlx::{PgPool, Postgres, pool::PoolConnection};

use crate::domain::policy::CustomerPolicy;
pub use error::Error;
pub use work::{Call, RequestKey};

/// The context at work. One per process; share it in an `Arc`.
#[derive(Debug)]
pub struct App {
    pub(crate) pool: PgPool,
    pub(crate) clock: SharedClock,
    pub(crate) ids: Arc<IdSource>,
    pub(crate) authorizer: Arc<Authorizer>,
    pub(crate) policies: PolicyBook<CustomerPolicy>,
    pub(crate) tail: Tail,
}

/// A page of a list, and where the next one begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T, C> {
    /// At most as many as were asked for.
    pub items: Vec<T>,
    /// `None` on the last page.
    pub next: Option<C>,
}

impl App {
    /// Over the context's database.
    pub fn new(
        pool: PgPool,
        clock: SharedClock,
        ids: Arc<IdSource>,
        authorizer: Arc<Authorizer>,
        tail: Tail,
    ) -> Self {
        let policies = PolicyBook::new(pool.clone());
        Self { pool, clock, ids, authorizer, policies, tail }
    }

    /// The present.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Passes if the caller may do `action` in `org_unit`.
    pub(crate) fn allow(
        &self,
        caller: &Caller,
        action: &'static str,
        org_unit: &OrgUnit,
    ) -> Result<(), Error> {
        self.authorizer
            .authorize(caller, action, org_unit)
            .map_err(|_| Error::Denied { action, org_unit: org_unit.clone() })
    }

    pub(crate) async fn read(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        Ok(self.pool.acquire().await?)
    }
}

impl<T, C> Page<T, C> {
    /// From up to `size` + 1 items: the last one only tells that there are more.
    pub(crate) fn of(mut items: Vec<T>, size: u32, cursor: impl FnOnce(&T) -> C) -> Self {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let more = items.len() > size;
        items.truncate(size);
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}

/// How many rows to read for a page, see [`Page::of`].
pub(crate) fn one_more(size: u32) -> i64 {
    i64::from(size) + 1
}
