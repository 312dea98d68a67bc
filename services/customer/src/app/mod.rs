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
pub use kefu_service::{Call, Page, RequestKey};
pub(crate) use kefu_service::{Change, one_more};

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
