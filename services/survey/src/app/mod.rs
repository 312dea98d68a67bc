//! What the context does: one file per noun, and [`feed`] for what it learns from the others. A command is one short
//! transaction: load and lock, authorize, claim the request id, check the etag, decide, save, append to the journal, store
//! the answer, commit, wake the feed.

pub mod answer;
pub mod error;
pub mod expiry;
pub mod feed;
pub mod invitation;
pub mod policy;
pub mod work;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use kefu_clock::{IdSource, SharedClock};
use kefu_identity::{Authorizer, Caller, OrgUnit};
use kefu_journal::Tail;
use kefu_policy::{OrgUnits, PolicyBook};
use kefu_postgres::StoreError;
use kefu_rpc::Transport;
use sqlx::{PgPool, Postgres, pool::PoolConnection};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::domain::policy::SurveyPolicy;
pub use error::Error;
pub use kefu_service::{Call, RequestKey};
pub(crate) use kefu_service::{Change, one_more};

/// Where a page ends: the time of the last resource on it, and its id.
pub type Cursor = (Timestamp, Uuid);

/// After the newest; the last second of the calendar, of which Postgres knows as well.
pub(crate) const NEWEST: Cursor = (Timestamp::constant(253_402_207_200, 0), Uuid::max());

/// The context at work. One per process; share it in an `Arc`.
pub struct App {
    pub(crate) pool: PgPool,
    pub(crate) clock: SharedClock,
    pub(crate) ids: Arc<IdSource>,
    pub(crate) authorizer: Arc<Authorizer>,
    pub(crate) policies: PolicyBook<SurveyPolicy>,
    pub(crate) org_units: OrgUnits<Transport>,
    pub(crate) tail: Tail,
    /// Notified when an invitation was made, which may be the next to expire.
    pub(crate) invited: Notify,
}

/// What the app is made of.
pub struct Parts {
    /// The context's database.
    pub pool: PgPool,
    /// The time.
    pub clock: SharedClock,
    /// Ids by that clock.
    pub ids: Arc<IdSource>,
    /// What is permitted.
    pub authorizer: Arc<Authorizer>,
    /// Which org units there are.
    pub org_units: OrgUnits<Transport>,
    /// The journal's.
    pub tail: Tail,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// A page of a list by time.
pub type Page<T> = kefu_service::Page<T, Cursor>;

impl App {
    /// The context at work.
    pub fn new(parts: Parts) -> Self {
        let Parts { pool, clock, ids, authorizer, org_units, tail } = parts;
        let policies = PolicyBook::new(pool.clone());
        Self { pool, clock, ids, authorizer, policies, org_units, tail, invited: Notify::new() }
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
