//! Giving a context its place in a database: two roles and a schema.

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, Postgres,
    migrate::MigrateDatabase, postgres::PgConnectOptions,
};

use crate::{StoreError, url};

/// Two administrators at work at once make one of them fail on a catalog row which the other has
/// just written. Everything here is one transaction that may be repeated.
const ATTEMPTS: u32 = 10;

/// The names of a context's two roles, and its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextRoles {
    /// Owns the schema and runs the migrations: `kefu_<context>_owner`.
    pub owner: String,
    /// What the service runs as: `kefu_<context>`.
    pub application: String,
    /// The schema: the context's name.
    pub schema: String,
}

impl ContextRoles {
    /// The names for a context: lower-case letters, digits and `_`, at most 32.
    ///
    /// # Errors
    ///
    /// A name that is anything else.
    pub fn of(context: &str) -> Result<Self, StoreError> {
        let usual = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let starts_well = context.starts_with(|c: char| c.is_ascii_lowercase());
        if !starts_well || context.len() > 32 || !context.bytes().all(usual) {
            let message = format!("{context:?} is no name for a context");
            return Err(StoreError::Other(sqlx::Error::InvalidArgument(message)));
        }
        Ok(Self {
            owner: format!("kefu_{context}_owner"),
            application: format!("kefu_{context}"),
            schema: context.to_owned(),
        })
    }
}

/// Passwords to set for the two roles; `None` leaves a role's password as it is, which suits
/// servers that know their clients by certificate or, on a socket, by the file's permissions.
#[derive(Clone, Default)]
pub struct RolePasswords {
    /// Of the role that owns the schema.
    pub owner: Option<String>,
    /// Of the role that the service runs as.
    pub application: Option<String>,
}

/// Where a provisioned context connects.
#[derive(Clone, PartialEq, Eq)]
pub struct ContextUrls {
    /// As the owner: for [`migrate`](crate::migrate).
    pub owner: String,
    /// As the application: for [`connect`](crate::connect).
    pub application: String,
}

impl ContextUrls {
    /// The URLs of a context's roles on the server and database of `url`.
    ///
    /// # Errors
    ///
    /// When `context` is no name for a context.
    pub fn of(url: &str, context: &str, passwords: &RolePasswords) -> Result<Self, StoreError> {
        let roles = ContextRoles::of(context)?;
        Ok(Self {
            owner: url::with_credentials(url, &roles.owner, passwords.owner.as_deref()),
            application: url::with_credentials(
                url,
                &roles.application,
                passwords.application.as_deref(),
            ),
        })
    }
}

/// Creates the database that `admin_url` names, if there is none.
///
/// # Errors
///
/// When the server is away or the role of `admin_url` may not create databases.
pub async fn ensure_database(admin_url: &str) -> Result<(), StoreError> {
    if Postgres::database_exists(admin_url).await? {
        return Ok(());
    }
    match Postgres::create_database(admin_url).await {
        // Somebody else was faster.
        Err(error) if has_code(&error, &["42P04", "23505"]) => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// Gives `context` its roles, schema and rights in the database of `admin_url`, whose role must be
/// a superuser or may create roles. May be repeated at any time, also by several at once; the
/// second run changes nothing but the passwords.
///
/// Afterwards:
///
/// * The database is closed to every role that was not let in, and its `public` schema too.
/// * The owner has the schema; tables that it creates are readable and writable, row by row, for
///   the application's role, unless a migration revokes it.
/// * Both roles find the context's schema by themselves and no other. The application's statements
///   are stopped after 30 s, a wait for a lock after 10 s, and so is a transaction that it leaves
///   idle.
///
/// # Errors
///
/// When the server is away, the role of `admin_url` lacks rights, or `context` is no name.
pub async fn provision(
    admin_url: &str,
    context: &str,
    passwords: &RolePasswords,
) -> Result<ContextUrls, StoreError> {
    let roles = ContextRoles::of(context)?;
    let mut connection = admin_url.parse::<PgConnectOptions>()?.connect().await?;
    let mut attempt = 1;
    let outcome = loop {
        match provision_once(&mut connection, &roles, passwords).await {
            Err(error) if attempt < ATTEMPTS && is_race(&error) => attempt += 1,
            outcome => break outcome,
        }
    };
    // The work is done, or its error is already known.
    connection.close().await.ok();
    outcome?;
    ContextUrls::of(admin_url, context, passwords)
}

async fn provision_once(
    connection: &mut PgConnection,
    roles: &ContextRoles,
    passwords: &RolePasswords,
) -> Result<(), sqlx::Error> {
    let (owner, application, schema) = (&*roles.owner, &*roles.application, &*roles.schema);
    let mut tx = connection.begin().await?;
    for (role, password) in [(owner, &passwords.owner), (application, &passwords.application)] {
        let known: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
                .bind(role)
                .fetch_one(&mut *tx)
                .await?;
        if !known {
            execute_formatted(&mut tx, "CREATE ROLE %I LOGIN", &[role]).await?;
        }
        if let Some(password) = password {
            execute_formatted(&mut tx, "ALTER ROLE %I PASSWORD %L", &[role, password]).await?;
        }
    }
    let member: bool = sqlx::query_scalar("SELECT pg_has_role(current_user, $1, 'USAGE')")
        .bind(owner)
        .fetch_one(&mut *tx)
        .await?;
    if !member {
        // Without superuser rights, one must act as a role to make it the owner of something; whoever creates a role
        // is its administrator by that, but since Postgres 16 does not act as it.
        execute_formatted(&mut tx, "GRANT %I TO CURRENT_USER", &[owner]).await?;
    }
    for (statement, arguments) in [
        ("CREATE SCHEMA IF NOT EXISTS %I AUTHORIZATION %I", &[schema, owner][..]),
        ("REVOKE ALL ON SCHEMA public FROM PUBLIC", &[]),
        ("GRANT USAGE ON SCHEMA %I TO %I", &[schema, application]),
        (
            "ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I
             GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I",
            &[owner, schema, application],
        ),
        (
            "ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I
             GRANT USAGE, SELECT ON SEQUENCES TO %I",
            &[owner, schema, application],
        ),
    ] {
        execute_formatted(&mut tx, statement, arguments).await?;
    }
    admit(&mut tx, roles).await?;
    tx.commit().await
}

/// The part of [`provision`] that belongs to the database rather than to what is in it, and that a
/// copy of the database therefore does not have.
pub async fn admit(connection: &mut PgConnection, roles: &ContextRoles) -> Result<(), sqlx::Error> {
    let (owner, application, schema) = (&*roles.owner, &*roles.application, &*roles.schema);
    let database: String =
        sqlx::query_scalar("SELECT current_database()").fetch_one(&mut *connection).await?;
    let database = &*database;
    for (statement, arguments) in [
        ("REVOKE ALL ON DATABASE %I FROM PUBLIC", &[database][..]),
        ("GRANT CONNECT ON DATABASE %I TO %I, %I", &[database, owner, application]),
        ("ALTER ROLE %I IN DATABASE %I SET search_path = %I", &[owner, database, schema]),
        ("ALTER ROLE %I IN DATABASE %I SET search_path = %I", &[application, database, schema]),
        ("ALTER ROLE %I IN DATABASE %I SET statement_timeout = '30s'", &[application, database]),
        // An open transaction that has written holds back every feed: nothing that was written after
        // it is shown before it ends. And whoever waits for a row waits with a connection.
        (
            "ALTER ROLE %I IN DATABASE %I SET idle_in_transaction_session_timeout = '10s'",
            &[application, database],
        ),
        ("ALTER ROLE %I IN DATABASE %I SET lock_timeout = '10s'", &[application, database]),
        // Compiling a short statement takes longer than running it.
        ("ALTER ROLE %I IN DATABASE %I SET jit = off", &[application, database]),
    ] {
        execute_formatted(connection, statement, arguments).await?;
    }
    Ok(())
}

/// Runs a statement that takes no parameters, with names (`%I`) and literals (`%L`) quoted by
/// Postgres itself.
pub async fn execute_formatted(
    connection: &mut PgConnection,
    template: &'static str,
    arguments: &[&str],
) -> Result<(), sqlx::Error> {
    let statement: String = sqlx::query_scalar("SELECT format($1, VARIADIC $2::text[])")
        .bind(template)
        .bind(arguments)
        .fetch_one(&mut *connection)
        .await?;
    connection.execute(AssertSqlSafe(statement)).await?;
    Ok(())
}

/// Whether another administrator's concurrent change of the same catalog row is the cause: a role
/// or schema that has just come into being, or a row that was updated meanwhile.
fn is_race(error: &sqlx::Error) -> bool {
    has_code(error, &["23505", "42710", "42P06", "XX000", "40001", "40P01"])
}

/// Whether Postgres gave one of these codes.
pub fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| codes.contains(&code.as_ref()))
}
