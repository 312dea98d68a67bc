//! Whether a service can reach its database.

use std::time::Duration;

use sqlx::{Connection, PgPool};

use crate::StoreError;

/// A probe that takes longer has found out what it wanted to know.
const LIMIT: Duration = Duration::from_secs(1);

/// Asks Postgres for a sign of life; answers within a second.
///
/// A pool whose connections are all in use counts as alive: they were answered a moment ago, and
/// taking a busy service out of the balancing would only make the others busier.
///
/// # Errors
///
/// [`StoreError::Unavailable`] when Postgres does not answer.
pub async fn readiness(pool: &PgPool) -> Result<(), StoreError> {
    let limit = pool.options().get_max_connections();
    if pool.num_idle() == 0 && pool.size() >= limit {
        return Ok(());
    }
    let probe = async {
        let mut connection = pool.acquire().await?;
        connection.ping().await
    };
    match tokio::time::timeout(LIMIT, probe).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut)),
    }
}
