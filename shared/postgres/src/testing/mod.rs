//! Real Postgres for tests: a database of its own for each, within milliseconds.
//!
//! ```no_run
//! # static JOURNAL: sqlx::migrate::Migrator = sqlx::migrate::Migrator::DEFAULT;
//! # static TICKET: sqlx::migrate::Migrator = sqlx::migrate::Migrator::DEFAULT;
//! # async fn test() -> Result<(), kefu_postgres::testing::TestError> {
//! use kefu_postgres::testing::TestDatabase;
//!
//! let context = TestDatabase::context(&[&JOURNAL, &TICKET], "ticket").await?;
//! let pool = context.pool()?;
//! # Ok(())
//! # }
//! ```
//!
//! All test processes of one user share one cluster, in `kefu-test-<uid>` under the temporary
//! directory. The first to need it starts it; it outlives that process, and stops when no test has
//! asked for a database for half an hour. It does not survive a crash of the machine, and is fast
//! for it. With `KEFU_TEST_ADMIN_URL`, tests use that server instead, as that superuser.
//!
//! A database is a copy of a template in which the context is provisioned and migrated; a change of
//! the migrations makes another template. The database stays after its test, for looking into, and
//! is dropped by a later test once its process is gone.

mod cluster;
mod names;

use std::fs::File;

use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, migrate::Migrator};

pub use self::cluster::stop_shared_cluster;
use crate::{
    ClusterError, ContextRoles, ContextUrls, MigrationError, PgSettings, RolePasswords, StoreError,
    connect, migrate, provision,
    provision::{admit, execute_formatted, has_code},
    url,
};

/// Stale databases dropped per new one: enough to win, few enough not to be felt.
const DROPS_PER_TEST: usize = 3;

/// Templates kept for each context: other branches want theirs.
const TEMPLATES_KEPT: i64 = 8;

/// Why a test got no database.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// There is no cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A database could not be made.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The migrations do not apply to an empty database.
    #[error(transparent)]
    Migration(#[from] MigrationError),
}

impl From<sqlx::Error> for TestError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A database that belongs to one test.
#[derive(Clone)]
pub struct TestDatabase {
    /// Its name.
    pub name: String,
    /// Its URL, as the superuser.
    pub admin_url: String,
}

impl TestDatabase {
    /// An empty database, in which nobody is provisioned.
    ///
    /// # Errors
    ///
    /// See [`TestError`].
    pub async fn empty() -> Result<Self, TestError> {
        let (mut admin, _in_use) = Admin::connect().await?;
        let database = admin.copy("template1").await?;
        admin.close().await;
        Ok(database)
    }

    /// A database in which the context `schema` is provisioned, with its `migrators` applied in
    /// the order given: the journal's, then the context's own.
    ///
    /// # Errors
    ///
    /// See [`TestError`].
    pub async fn context(migrators: &[&Migrator], schema: &str) -> Result<TestContext, TestError> {
        let roles = ContextRoles::of(schema)?;
        let template = names::template(schema, migrators);
        let (mut admin, in_use) = Admin::connect().await?;
        if !admin.has(&template).await? {
            // Whoever starts tests needs the lock as well; waiting for it with another one held
            // would be for ever.
            drop(in_use);
            let _alone = cluster::lock_alone().await?;
            if !admin.has(&template).await? {
                admin.make_template(&template, schema, migrators).await?;
            }
        }
        let database = admin.copy(&template).await?;
        admin.close().await;

        let mut connection = open(&database.admin_url).await?;
        admit(&mut connection, &roles).await?;
        connection.close().await?;
        let urls = ContextUrls::of(&database.admin_url, schema, &RolePasswords::default())?;
        Ok(TestContext { database, urls })
    }
}

/// A database that belongs to one test and holds one context.
#[derive(Clone)]
pub struct TestContext {
    /// The database.
    pub database: TestDatabase,
    /// Its URLs for the context's two roles.
    pub urls: ContextUrls,
}

impl TestContext {
    /// Settings for a pool as the service's own role.
    pub fn settings(&self) -> PgSettings {
        PgSettings {
            application_name: "test".to_owned(),
            ..PgSettings::new(&self.urls.application)
        }
    }

    /// A pool as the service's own role: what the code under test gets.
    ///
    /// # Errors
    ///
    /// See [`connect`].
    pub fn pool(&self) -> Result<PgPool, StoreError> {
        connect(&self.settings())
    }

    /// A pool as the owner of the schema, for what a test does behind the service's back.
    ///
    /// # Errors
    ///
    /// See [`connect`].
    pub fn owner_pool(&self) -> Result<PgPool, StoreError> {
        connect(&PgSettings { url: self.urls.owner.clone(), ..self.settings() })
    }
}

/// The superuser's connection to the server.
struct Admin {
    connection: PgConnection,
    url: String,
}

impl Admin {
    /// Connects, starting the shared cluster where necessary. While the file is held, the cluster
    /// is not stopped.
    async fn connect() -> Result<(Self, File), TestError> {
        let (url, in_use) = cluster::url().await?;
        let connection = open(&url).await?;
        Ok((Self { connection, url }, in_use))
    }

    async fn close(self) {
        // The database is made; the server drops the connection in any case.
        self.connection.close().await.ok();
    }

    async fn has(&mut self, database: &str) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(database)
            .fetch_one(&mut self.connection)
            .await
    }

    /// Makes this test's next database, and room for it.
    async fn copy(&mut self, template: &str) -> Result<TestDatabase, TestError> {
        self.drop_stale().await?;
        let name = names::database();
        self.execute("CREATE DATABASE %I TEMPLATE %I", &[&name, template]).await?;
        Ok(TestDatabase { admin_url: url::with_database(&self.url, &name), name })
    }

    /// Provisions and migrates a database and gives it its name only then, so that a template
    /// which has its name is whole.
    async fn make_template(
        &mut self,
        template: &str,
        schema: &str,
        migrators: &[&Migrator],
    ) -> Result<(), TestError> {
        let unfinished = names::database();
        self.execute("CREATE DATABASE %I", &[&unfinished]).await?;
        let admin_url = url::with_database(&self.url, &unfinished);
        let urls = provision(&admin_url, schema, &RolePasswords::default()).await?;
        migrate(&PgSettings::new(urls.owner), migrators).await?;
        self.wait_until_alone(&unfinished).await?;
        match self.execute("ALTER DATABASE %I RENAME TO %I", &[&unfinished, template]).await {
            // Another machine's tests on the same server were faster; ours goes with the stale.
            Err(error) if has_code(&error, &["42P04", "23505"]) => {}
            outcome => outcome?,
        }
        let old: Vec<String> = sqlx::query_scalar(
            "SELECT datname::text FROM pg_database WHERE starts_with(datname::text, $1)
              ORDER BY oid DESC OFFSET $2",
        )
        .bind(names::template_prefix(schema))
        .bind(TEMPLATES_KEPT)
        .fetch_all(&mut self.connection)
        .await?;
        for old in old {
            self.drop_database(&old).await;
        }
        Ok(())
    }

    /// Waits for the connections that have just been closed to be gone from the server too: a
    /// database in use can be neither renamed nor copied.
    async fn wait_until_alone(&mut self, database: &str) -> Result<(), sqlx::Error> {
        self.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %L",
            &[database],
        )
        .await
    }

    /// Drops a few databases of processes that are gone.
    async fn drop_stale(&mut self) -> Result<(), sqlx::Error> {
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT datname::text FROM pg_database WHERE starts_with(datname::text, $1)
              ORDER BY oid",
        )
        .bind(names::database_prefix())
        .fetch_all(&mut self.connection)
        .await?;
        for name in names.iter().filter(|name| names::is_stale(name)).take(DROPS_PER_TEST) {
            self.drop_database(name).await;
        }
        Ok(())
    }

    /// Best effort: others may be at it as well.
    async fn drop_database(&mut self, name: &str) {
        if let Err(error) = self.execute("DROP DATABASE IF EXISTS %I WITH (FORCE)", &[name]).await {
            tracing::debug!(%error, name, "dropping a stale database");
        }
    }

    async fn execute(
        &mut self,
        template: &'static str,
        arguments: &[&str],
    ) -> Result<(), sqlx::Error> {
        execute_formatted(&mut self.connection, template, arguments).await
    }
}

async fn open(url: &str) -> Result<PgConnection, sqlx::Error> {
    url.parse::<sqlx::postgres::PgConnectOptions>()?.connect().await
}
