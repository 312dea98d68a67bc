//! Whether an org unit exists, as the contexts other than the customer context see it.

use std::{fmt, sync::Arc, time::Duration};

use kefu_api::customer::v1::{
    GetOrgUnitRequest, OrgUnitChanged, org_unit_service_client::OrgUnitServiceClient,
};
use kefu_identity::OrgUnit;
use kefu_postgres::StoreError;
use kefu_rpc::Deadline;
use quick_cache::sync::Cache;
use sqlx::{PgConnection, PgPool};
use tonic::{Code, Request, body::Body, client::GrpcService, codegen, metadata::MetadataMap};
use uuid::Uuid;

use crate::store::org_unit as store;

/// The longest wait for the customer context.
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// Org units that are remembered as known. They are never removed, so what is known stays known.
const REMEMBERED: usize = 100_000;

/// Why an org unit cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OrgUnitError {
    /// Neither this context nor the customer context knows it.
    #[error("the org unit {0} does not exist")]
    Unknown(OrgUnit),
    /// This context does not know it, and the customer context cannot be asked.
    #[error("the customer context cannot be asked: {0}")]
    CustomerUnavailable(Code),
    /// The local copy cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Signs a call: adds the service's own token to its metadata.
type Sign = Arc<dyn Fn(&mut MetadataMap) + Send + Sync>;

/// The org units, from the local copy first. `T` reaches the customer context.
pub struct OrgUnits<T> {
    pool: PgPool,
    customer: OrgUnitServiceClient<T>,
    sign: Sign,
    known: Cache<OrgUnit, ()>,
}

impl<T> OrgUnits<T>
where
    T: GrpcService<Body> + Clone,
    T::Error: Into<codegen::StdError>,
    T::ResponseBody: codegen::Body<Data = codegen::Bytes> + Send + 'static,
    <T::ResponseBody as codegen::Body>::Error: Into<codegen::StdError> + Send,
{
    /// Over the context's copy of the tree and the way to the customer context; `sign` adds the service's token.
    pub fn new(pool: PgPool, customer: T, sign: Sign) -> Self {
        let customer = OrgUnitServiceClient::new(customer);
        Self { pool, customer, sign, known: Cache::new(REMEMBERED) }
    }

    /// Passes if the org unit exists. Memory, then the local copy, then, for one that was created a moment ago, the
    /// customer context, which has two seconds, or less where the caller's `deadline` comes sooner. Call it before a
    /// transaction begins: it may take as long as a call.
    ///
    /// # Errors
    /// [`OrgUnitError`]; never "unknown" because somebody could not be asked.
    pub async fn require(
        &self,
        org_unit: &OrgUnit,
        deadline: Deadline,
    ) -> Result<(), OrgUnitError> {
        if self.known.get(org_unit).is_some() {
            return Ok(());
        }
        let local = {
            let mut conn = self.pool.acquire().await.map_err(StoreError::from)?;
            is_known(&mut conn, org_unit).await?
        };
        if !local {
            self.ask(org_unit, deadline).await?;
        }
        self.known.insert(org_unit.clone(), ());
        Ok(())
    }

    async fn ask(&self, org_unit: &OrgUnit, deadline: Deadline) -> Result<(), OrgUnitError> {
        let mut request = Request::new(GetOrgUnitRequest { name: format!("orgUnits/{org_unit}") });
        request.set_timeout(deadline.at_most(ASK_LIMIT).remaining().unwrap_or(ASK_LIMIT));
        (self.sign)(request.metadata_mut());
        match self.customer.clone().get_org_unit(request).await {
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::NotFound => {
                Err(OrgUnitError::Unknown(org_unit.clone()))
            }
            Err(status) => {
                tracing::warn!(code = ?status.code(), %org_unit, "cannot ask the customer context");
                Err(OrgUnitError::CustomerUnavailable(status.code()))
            }
        }
    }
}

impl<T> fmt::Debug for OrgUnits<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrgUnits").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

/// Whether the context's own table has the org unit.
///
/// # Errors
/// [`StoreError::Unavailable`] and the like.
pub async fn is_known(conn: &mut PgConnection, org_unit: &OrgUnit) -> Result<bool, StoreError> {
    store::exists(conn, org_unit.as_str()).await
}

/// Keeps the copy up to date: for the context's consumer of the customer context's feed. `id`, `revision` and
/// `occurred_at` are those of the journal row. A repeated or overtaken event changes nothing.
///
/// # Errors
/// [`StoreError::Unavailable`] and the like.
pub async fn apply_org_unit_changed(
    conn: &mut PgConnection,
    id: Uuid,
    revision: i64,
    occurred_at: jiff::Timestamp,
    event: &OrgUnitChanged,
) -> Result<(), StoreError> {
    store::upsert(conn, id, revision, occurred_at, event).await
}
