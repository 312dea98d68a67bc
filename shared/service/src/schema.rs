//! Bringing the schema up to date, or waiting until somebody else has.

use std::time::Duration;

use kefu_postgres::{PgSettings, StoreError};
use sqlx::PgPool;
use sqlx::migrate::{Migrate as _, Migrator};
use tokio_util::sync::CancellationToken;

/// How often to look.
const PERIOD: Duration = Duration::from_millis(500);

/// Brings a context's schema up to date as its owner: applies the migrations, and then renumbers the journal if it came in a
/// dump from another cluster (see [`kefu_journal::rebase_restored`]; otherwise the feed could never be served). Waits while
/// Postgres is away. Returns `Ok(false)` when `shutdown` was cancelled first.
///
/// # Errors
/// What trying again does not cure: a migration that fails, or another role than the owner.
pub async fn bring_up_to_date(
    owner: &PgSettings,
    migrators: &[&Migrator],
    shutdown: &CancellationToken,
) -> anyhow::Result<bool> {
    let table = &kefu_journal::MIGRATOR.table_name;
    let has_journal = migrators.iter().any(|migrator| migrator.table_name == *table);
    loop {
        let migrating = kefu_postgres::migrate_until_done(owner, migrators, shutdown.cancelled());
        if !migrating.await? {
            return Ok(false);
        }
        if !has_journal {
            return Ok(true);
        }
        match shutdown.run_until_cancelled(rebase(owner)).await {
            None => return Ok(false),
            Some(Ok(())) => return Ok(true),
            Some(Err(error)) if error.is_transient() => {
                tracing::warn!(%error, "waiting for Postgres to look at the journal");
            }
            Some(Err(error)) => return Err(error.into()),
        }
        if shutdown.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_none() {
            return Ok(false);
        }
    }
}

async fn rebase(owner: &PgSettings) -> Result<(), StoreError> {
    // Renumbering a long journal takes its time, once.
    let settings = PgSettings { statement_timeout: None, max_connections: 1, ..owner.clone() };
    let pool = kefu_postgres::connect(&settings)?;
    let rows = kefu_journal::rebase_restored(&mut *pool.acquire().await?).await?;
    pool.close().await;
    if rows > 0 {
        tracing::warn!(rows, "the journal came from another cluster and was renumbered");
    }
    Ok(())
}

/// Waits until all migrations of this program have been applied, by `kefu migrate` or by another replica.
pub(crate) async fn wait_until_migrated(pool: &PgPool, migrators: &[&Migrator]) {
    let mut told = false;
    while !is_migrated(pool, migrators).await {
        if !std::mem::replace(&mut told, true) {
            tracing::warn!("waiting for Postgres, or for somebody to migrate the schema");
        }
        tokio::time::sleep(PERIOD).await;
    }
}

async fn is_migrated(pool: &PgPool, migrators: &[&Migrator]) -> bool {
    let Ok(mut connection) = pool.acquire().await else { return false };
    for migrator in migrators {
        // A missing table is an error; that means no as well.
        let Ok(applied) = connection.list_applied_migrations(&migrator.table_name).await else {
            return false;
        };
        let wanted = migrator.iter().filter(|one| !one.migration_type.is_down_migration());
        if !wanted.into_iter().all(|one| applied.iter().any(|done| done.version == one.version)) {
            return false;
        }
    }
    true
}
