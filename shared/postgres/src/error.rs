//! What can go wrong between a service and its database, sorted by what the caller can do.

use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::postgres::PgDatabaseError;

/// A failure of the store. Its text is for logs: it must not reach a client.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Postgres cannot be reached, is starting, stopping, read-only or full, or no connection
    /// became free in time. Nothing is wrong with the call; later it may succeed.
    #[error("the database is not available: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// The statement ran into its time limit and was rolled back.
    #[error("the statement took too long: {0}")]
    Timeout(#[source] sqlx::Error),
    /// A concurrent transaction won (serialization failure or deadlock). The whole transaction may
    /// be tried again.
    #[error("a concurrent transaction won: {0}")]
    Conflict(#[source] sqlx::Error),
    /// A row with this key exists (unique or exclusion constraint).
    #[error("violates the unique constraint {constraint}")]
    Unique {
        /// Name of the constraint or unique index.
        constraint: String,
    },
    /// The row referred to does not exist, or is still referred to.
    #[error("violates the foreign key {constraint}")]
    ForeignKey {
        /// Name of the constraint.
        constraint: String,
    },
    /// A value breaks a rule that the schema states.
    #[error("violates the check {constraint}")]
    Check {
        /// Name of the check constraint; for a missing value (`NOT NULL`), of the column.
        constraint: String,
    },
    /// What is stored, or the shape of it, is not what this program can read.
    #[error("the stored data cannot be read: {0}")]
    Corrupt(String),
    /// Anything else: a fault of the program or of the schema.
    #[error(transparent)]
    Other(sqlx::Error),
}

impl StoreError {
    /// For the conversion of a row into a domain type: `column` holds what no version of this
    /// program wrote. Pass the reason, not the value: values may be personal data.
    pub fn corrupt(column: &str, reason: impl std::fmt::Display) -> Self {
        Self::Corrupt(format!("{column}: {reason}"))
    }

    /// Whether the unique constraint of this name was violated.
    pub fn is_unique(&self, name: &str) -> bool {
        matches!(self, Self::Unique { constraint } if constraint == name)
    }

    /// Whether the same call may succeed later without any change.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Timeout(_) | Self::Conflict(_))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Database(database) => match classify(database.as_ref()) {
                Class::Unavailable => Self::Unavailable(error),
                Class::Timeout => Self::Timeout(error),
                Class::Conflict => Self::Conflict(error),
                Class::Unique(constraint) => Self::Unique { constraint },
                Class::ForeignKey(constraint) => Self::ForeignKey { constraint },
                Class::Check(constraint) => Self::Check { constraint },
                Class::Other => Self::Other(error),
            },
            E::Io(_)
            | E::Tls(_)
            | E::PoolTimedOut
            | E::PoolClosed
            | E::WorkerCrashed
            | E::BeginFailed => Self::Unavailable(error),
            E::TypeNotFound { .. }
            | E::ColumnIndexOutOfBounds { .. }
            | E::ColumnNotFound(_)
            | E::ColumnDecode { .. }
            | E::Decode(_)
            | E::Protocol(_) => Self::Corrupt(error.to_string()),
            _ => Self::Other(error),
        }
    }
}

enum Class {
    Unavailable,
    Timeout,
    Conflict,
    Unique(String),
    ForeignKey(String),
    Check(String),
    Other,
}

/// Sorts by SQLSTATE: the one thing about an error that Postgres keeps stable over versions and
/// languages.
fn classify(error: &dyn DatabaseError) -> Class {
    let constraint = || error.constraint().unwrap_or_default().to_owned();
    match error.kind() {
        ErrorKind::UniqueViolation => return Class::Unique(constraint()),
        ErrorKind::ForeignKeyViolation => return Class::ForeignKey(constraint()),
        ErrorKind::CheckViolation => return Class::Check(constraint()),
        ErrorKind::NotNullViolation => {
            let column = error.try_downcast_ref::<PgDatabaseError>().and_then(|e| e.column());
            return Class::Check(column.unwrap_or_default().to_owned());
        }
        _ => {}
    }
    let code = error.code().unwrap_or_default();
    match code.as_ref() {
        // exclusion_violation
        "23P01" => Class::Unique(constraint()),
        // serialization_failure, deadlock_detected
        "40001" | "40P01" => Class::Conflict,
        // query_canceled (statement_timeout), lock_not_available (lock_timeout)
        "57014" | "55P03" => Class::Timeout,
        // read_only_sql_transaction: a standby that was, or will be, the primary;
        // idle_in_transaction_session_timeout and its kin: the connection is gone
        "25006" | "25P03" | "25P04" => Class::Unavailable,
        // admin_shutdown, crash_shutdown, cannot_connect_now, database_dropped, idle_session_timeout
        code if code.starts_with("57P") => Class::Unavailable,
        // 08: connection failures; 53: out of connections, memory or disk; 58: the system below
        code if ["08", "53", "58"].iter().any(|class| code.starts_with(class)) => {
            Class::Unavailable
        }
        _ => Class::Other,
    }
}
