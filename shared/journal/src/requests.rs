//! Retry is safe (X-02): a command stores its answer under the caller's request id, in its own transaction.
//!
//! ```text
//! let mut tx = kefu_postgres::begin(&pool).await?;
//! match requests::claim(&mut tx, &key).await? {
//!     Claim::Replay(answer) => return decode(answer),
//!     Claim::Mismatch => return Err(request id reused),
//!     Claim::New => {}
//! }
//! … the command …
//! requests::complete(&mut tx, &key, &answer.encode_to_vec()).await?;
//! tx.commit().await?;
//! ```
//!
//! A claim waits for a concurrent transaction with the same key: if that commits, its answer is replayed; if it rolls
//! back, the id is free again. So a failed command may be corrected and sent again under the same id.

use std::time::Duration;

use prost::Message;
use sha2::{Digest as _, Sha256};
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use kefu_postgres::StoreError;

use crate::store::request;

/// How long answers are kept: twice what X-02 promises.
pub const RETENTION: Duration = Duration::from_secs(48 * 3600);

/// How often the pruner looks.
const PRUNE_PERIOD: Duration = Duration::from_secs(600);

/// SHA-256 over method and content of a request.
pub type Fingerprint = [u8; 32];

/// What identifies a request and its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey<'a> {
    /// Subject of the caller: request ids of different callers never meet.
    pub caller: &'a str,
    /// The id that the caller chose.
    pub request_id: &'a str,
    /// The method, e.g. `kefu.ticket.v1.TicketService/CreateTicket`.
    pub method: &'a str,
    /// See [`fingerprint`].
    pub fingerprint: Fingerprint,
}

/// What a claim found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Never seen: do the work and [`complete`] it.
    New,
    /// Done before with this content: the serialised first answer.
    Replay(Vec<u8>),
    /// Used before for another content or method: refuse with `ALREADY_EXISTS`, reason `REQUEST_ID_REUSED`.
    Mismatch,
}

/// The fingerprint of a decoded request. Field order on the wire and unknown fields do not matter; messages with maps
/// must be generated with ordered maps.
pub fn fingerprint(method: &str, request: &impl Message) -> Fingerprint {
    let mut hash = Sha256::new();
    hash.update(method.as_bytes());
    hash.update([0]);
    hash.update(request.encode_to_vec());
    hash.finalize().into()
}

/// Claims a request id within the caller's transaction, waiting for a concurrent one with the same id.
///
/// # Errors
/// [`StoreError::Corrupt`] when the id was claimed by a transaction that committed without [`complete`]: a defect.
pub async fn claim(conn: &mut PgConnection, key: &RequestKey<'_>) -> Result<Claim, StoreError> {
    // A row that stood in the way can have been pruned, or its transaction rolled back, before it is read: then the id
    // is free again and the next insert gets it or waits for who was faster.
    loop {
        if request::insert(conn, key).await? {
            return Ok(Claim::New);
        }
        if let Some(stored) = request::find(conn, key).await? {
            if stored.method != key.method || stored.fingerprint != key.fingerprint {
                return Ok(Claim::Mismatch);
            }
            return stored.response.map(Claim::Replay).ok_or_else(|| {
                StoreError::Corrupt("request claimed but never completed".to_owned())
            });
        }
    }
}

/// Looks up an answer without claiming the id: for hot paths which write the request row in a statement of their own.
///
/// # Errors
/// As [`claim`].
pub async fn lookup(conn: &mut PgConnection, key: &RequestKey<'_>) -> Result<Claim, StoreError> {
    match request::find(conn, key).await? {
        None => Ok(Claim::New),
        Some(stored) if stored.method != key.method || stored.fingerprint != key.fingerprint => {
            Ok(Claim::Mismatch)
        }
        Some(stored) => stored
            .response
            .map(Claim::Replay)
            .ok_or_else(|| StoreError::Corrupt("request claimed but never completed".to_owned())),
    }
}

/// Stores the serialised answer of a claimed request, in the transaction of the claim.
///
/// # Errors
/// [`StoreError::Corrupt`] when nothing was claimed under this key: a defect.
pub async fn complete(
    conn: &mut PgConnection,
    key: &RequestKey<'_>,
    response: &[u8],
) -> Result<(), StoreError> {
    if request::set_response(conn, key, response).await? {
        Ok(())
    } else {
        Err(StoreError::Corrupt("request completed but never claimed".to_owned()))
    }
}

/// Deletes answers older than [`RETENTION`] now; returns how many.
///
/// # Errors
/// [`StoreError::Unavailable`] and the like.
pub async fn prune(pool: &PgPool) -> Result<u64, StoreError> {
    request::prune(pool, RETENTION).await
}

/// Worker: prunes every ten minutes until `shutdown`.
pub async fn prune_until(pool: PgPool, shutdown: CancellationToken) {
    loop {
        match prune(&pool).await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(rows, "pruned answers of old requests"),
            Err(error) => tracing::warn!(%error, "cannot prune answers of old requests"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(PRUNE_PERIOD) => {}
        }
    }
}
