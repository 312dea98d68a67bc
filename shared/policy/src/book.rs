//! The policies of a context, in memory and never stale.

use std::sync::{Arc, PoisonError, RwLock};

use kefu_postgres::StoreError;
use kefu_rpc::Violations;
use prost::Message as _;
use sqlx::{PgConnection, PgPool};

use crate::{NewVersion, Policy, Snapshot, Version, store::policy_version as store, to_json};

/// All policies of a context. One per process; share it in an `Arc`.
#[derive(Debug)]
pub struct PolicyBook<P: Policy> {
    pool: PgPool,
    current: RwLock<Arc<Snapshot<P>>>,
}

/// A transaction's place in the order of versions, see [`PolicyBook::place`].
#[derive(Debug)]
pub struct Place {
    seq: i64,
}

impl<P: Policy> PolicyBook<P> {
    /// An empty book over the context's tables; it fills at the first question.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, current: RwLock::default() }
    }

    /// What is in memory, which may lack the newest versions. For a statement that itself compares
    /// `(SELECT coalesce(max(seq), 0) FROM policy_version)` with [`Snapshot::seq`], and whose caller, when they differ,
    /// calls [`refresh`](Self::refresh) and tries again.
    pub fn snapshot(&self) -> Arc<Snapshot<P>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All versions, as of this moment of the caller's transaction: one small statement, and a second one if something
    /// was applied since the last question. Do not call it after [`apply`](Self::apply) in the same transaction.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for a stored policy that this program does not understand; [`StoreError::Unavailable`]
    /// and the like.
    pub async fn current(&self, conn: &mut PgConnection) -> Result<Arc<Snapshot<P>>, StoreError> {
        let known = self.snapshot();
        if store::newest_seq(conn).await? == known.seq() {
            return Ok(known);
        }
        let rows = store::after(conn, known.seq()).await?;
        let newer = rows.into_iter().map(decode).collect::<Result<Vec<_>, _>>()?;
        Ok(self.install(known.with(newer)))
    }

    /// All versions as of now, outside of any transaction.
    ///
    /// # Errors
    /// Like [`current`](Self::current).
    pub async fn refresh(&self) -> Result<Arc<Snapshot<P>>, StoreError> {
        let mut conn = self.pool.acquire().await?;
        self.current(&mut conn).await
    }

    /// Waits for those who are applying a policy, and makes others wait until the caller's transaction ends; readers do
    /// not wait. The time from which a version is in force is taken after this, so that what is committed later does not
    /// apply earlier.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and the like.
    pub async fn place(&self, conn: &mut PgConnection) -> Result<Place, StoreError> {
        Ok(Place { seq: store::advance_head(conn).await? })
    }

    /// Attaches a version within the caller's transaction, at the `place` that this transaction has taken. Returns it
    /// with the number that it got.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the message is not one that [`Policy::decode`] accepts: the caller has to ask that
    /// first.
    pub async fn apply(
        &self,
        conn: &mut PgConnection,
        Place { seq }: Place,
        new: NewVersion<'_, P::Message>,
    ) -> Result<Version<P>, StoreError> {
        let json = to_json(new.message).map_err(|error| StoreError::corrupt("policy", error))?;
        let policy = checked::<P>(new.message)?;
        let body = new.message.encode_to_vec();
        let version = store::insert(conn, seq, &new, &body, &json).await?;
        Ok(Version {
            seq,
            id: new.id,
            org_unit: new.org_unit.clone(),
            version,
            effective_at: new.effective_at,
            created_at: new.created_at,
            created_by: new.created_by.to_owned(),
            // What was stored, not what was given: unknown fields of a newer client are gone from both.
            message: P::Message::decode(body.as_slice())
                .map_err(|error| StoreError::corrupt("policy_version.body", error))?,
            policy,
        })
    }

    /// Keeps the newer of what is there and what was just read.
    fn install(&self, read: Snapshot<P>) -> Arc<Snapshot<P>> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if read.seq() > current.seq() {
            *current = Arc::new(read);
        }
        current.clone()
    }
}

fn decode<P: Policy>(row: store::Row) -> Result<Version<P>, StoreError> {
    let message = P::Message::decode(row.body.as_slice())
        .map_err(|error| StoreError::corrupt("policy_version.body", error))?;
    let org_unit = row
        .org_unit
        .parse()
        .map_err(|error| StoreError::corrupt("policy_version.org_unit", error))?;
    Ok(Version {
        seq: row.seq,
        id: row.id,
        org_unit,
        version: row.version,
        effective_at: row.effective_at.to_jiff(),
        created_at: row.created_at.to_jiff(),
        created_by: row.created_by,
        policy: checked::<P>(&message)?,
        message,
    })
}

fn checked<P: Policy>(message: &P::Message) -> Result<P, StoreError> {
    let mut violations = Violations::new();
    let policy = P::decode(message, &mut violations);
    let faults: Vec<&str> = violations.fields().collect();
    policy.filter(|_| faults.is_empty()).ok_or_else(|| {
        StoreError::corrupt("policy_version.body", format_args!("wrong fields: {faults:?}"))
    })
}
