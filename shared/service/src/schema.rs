//! Whether somebody else has migrated the schema.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::migrate::{Migrate as _, Migrator};

/// How often to look.
const PERIOD: Duration = Duration::from_millis(500);

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
