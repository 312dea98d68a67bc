//! Bringing a context's schema up to date.

use std::{collections::HashSet, future::Future, pin::pin, time::Duration};

use sqlx::{
    ConnectOptions, Connection, PgConnection,
    migrate::{MigrateError, Migrator},
};

use crate::{PgSettings, StoreError, provision::execute_formatted};

/// The wait between two attempts doubles from the first value to the second.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The database is away, or this context has not been provisioned in it yet. Trying again
    /// helps.
    #[error("the database cannot be migrated yet: {0}")]
    NotYet(#[source] StoreError),
    /// The settings cannot be read. Trying again does not help.
    #[error("the settings for Postgres cannot be used: {0}")]
    Settings(#[source] StoreError),
    /// Two sets of migrations name the same table for their records; each needs its own
    /// (`migrate.table-name` in the crate's `sqlx.toml`).
    #[error("two sets of migrations keep their records in the table {0}")]
    SharedTable(String),
    /// A migration fails, or one that was applied has been changed since. Trying again does not
    /// help.
    #[error("the migrations recorded in {table} cannot be applied: {source}")]
    Broken {
        /// The table that records this set of migrations.
        table: String,
        /// What sqlx found.
        source: MigrateError,
    },
}

/// Applies every set of migrations, in the order given, as the owner of the context's schema.
///
/// Safe when replicas start at once: sqlx holds a lock on the database while it works, and each
/// migration is one transaction together with its record. That lock belongs to a session, so
/// `owner` must reach Postgres directly, not through PgBouncer; this is the only such connection,
/// and it is closed before this function returns.
///
/// A migration that this program does not know was applied by a newer version of it, and is left
/// alone: otherwise an older replica that restarts in the middle of a rolling update would stay
/// down. A migration must therefore keep the schema usable by the version before it.
///
/// The tables that record the migrations become read-only for the application's role.
///
/// # Errors
///
/// See [`MigrationError`].
pub async fn migrate(owner: &PgSettings, migrators: &[&Migrator]) -> Result<(), MigrationError> {
    let mut tables = HashSet::new();
    for migrator in migrators {
        if !tables.insert(&*migrator.table_name) {
            return Err(MigrationError::SharedTable(migrator.table_name.to_string()));
        }
    }
    let settings = PgSettings { statement_timeout: None, ..owner.clone() };
    let options = settings.connect_options().map_err(MigrationError::Settings)?;
    // A server that accepts the connection and then says nothing must not hold the start for ever.
    let connecting = tokio::time::timeout(settings.acquire_timeout, options.connect());
    let mut connection = connecting
        .await
        .unwrap_or(Err(sqlx::Error::PoolTimedOut))
        .map_err(|error| MigrationError::NotYet(error.into()))?;
    let result = async {
        for migrator in migrators {
            apply(&mut connection, migrator).await?;
        }
        Ok(())
    }
    .await;
    // Closing also releases the lock when a migration failed half-way.
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "closing the migration's connection");
    }
    result
}

async fn apply(connection: &mut PgConnection, migrator: &Migrator) -> Result<(), MigrationError> {
    let tolerant = Migrator {
        migrations: migrator.migrations.clone(),
        table_name: migrator.table_name.clone(),
        create_schemas: migrator.create_schemas.clone(),
        no_tx: migrator.no_tx,
        locking: true,
        ignore_missing: true,
    };
    let table = &*migrator.table_name;
    // Not `run`: its future is not `Send` for a borrowed connection, so no task could wait for it.
    tolerant.run_direct(None, connection, false).await.map_err(|error| sort(table, error))?;
    protect_records(connection, table)
        .await
        .map_err(|error| sort(table, MigrateError::Execute(error)))
}

/// The application may read which migrations were applied, but not pretend that some were.
async fn protect_records(connection: &mut PgConnection, table: &str) -> Result<(), sqlx::Error> {
    let grantees: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT acl.grantee::regrole::text
           FROM pg_class AS c, aclexplode(c.relacl) AS acl
          WHERE c.oid = to_regclass($1)
            AND acl.grantee <> c.relowner AND acl.grantee <> 0
            AND acl.privilege_type IN ('INSERT', 'UPDATE', 'DELETE')",
    )
    .bind(table)
    .fetch_all(&mut *connection)
    .await?;
    for grantee in grantees {
        // `table` and `regrole` are quoted where they need to be.
        execute_formatted(
            connection,
            "REVOKE INSERT, UPDATE, DELETE ON %s FROM %s",
            &[table, &grantee],
        )
        .await?;
    }
    Ok(())
}

/// Calls [`migrate`] until it succeeds, waiting longer and longer (0.1 s to 2 s) between attempts,
/// and says in the log why it waits. So a service may start before its Postgres does.
///
/// Returns `Ok(false)` when `shutdown` completed first.
///
/// # Errors
///
/// Those of [`migrate`] which trying again does not cure.
pub async fn migrate_until_done(
    owner: &PgSettings,
    migrators: &[&Migrator],
    shutdown: impl Future<Output = ()>,
) -> Result<bool, MigrationError> {
    let mut shutdown = pin!(shutdown);
    let mut pause = BACK_OFF.0;
    loop {
        let outcome = tokio::select! {
            outcome = migrate(owner, migrators) => outcome,
            () = &mut shutdown => return Ok(false),
        };
        match outcome {
            Ok(()) => {
                tracing::info!(application = owner.application_name, "the schema is up to date");
                return Ok(true);
            }
            Err(MigrationError::NotYet(error)) => tracing::warn!(
                application = owner.application_name,
                %error,
                retry_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                "waiting for Postgres",
            ),
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = &mut shutdown => return Ok(false),
        }
        pause = (pause * 2).min(BACK_OFF.1);
    }
}

fn sort(table: &str, error: MigrateError) -> MigrationError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)
            if is_not_yet(&error) =>
        {
            MigrationError::NotYet(error.into())
        }
        source => MigrationError::Broken { table: table.to_owned(), source },
    }
}

/// Whether the database is away or a provisioning job has not come to this context yet. An error in
/// a migration's own SQL is neither.
fn is_not_yet(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            // no schema to create in; serialization failure, deadlock; the server goes or is full
            code == "3F000"
                || ["40", "57P", "08", "53", "58"].iter().any(|class| code.starts_with(class))
        }
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}
