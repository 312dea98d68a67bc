//! How a service connects.

use std::{fmt, str::FromStr, time::Duration};

use sqlx::{
    Connection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::StoreError;

/// A connection that has not been used for this long is checked before it is handed out. Checking
/// each time would cost a tenth of all reads; not checking at all would hand out, after a restart
/// of Postgres, one dead connection after the other. Under load no connection rests as long, and
/// hardly a restart is as short.
const CHECK_AFTER_IDLE: Duration = Duration::from_millis(100);

/// Where Postgres is and how much of it a service may use.
#[derive(Clone)]
pub struct PgSettings {
    /// `postgres://role:password@host:port/database?…`. The role's own `search_path`, set by
    /// [`provision`](crate::provision), names the schema.
    pub url: String,
    /// What `pg_stat_activity` shows for these connections. At most 63 bytes.
    pub application_name: String,
    /// Upper limit of open connections.
    pub max_connections: u32,
    /// Connections kept open while idle.
    pub min_connections: u32,
    /// Longest wait for a connection; afterwards the call fails as
    /// [`StoreError::Unavailable`].
    pub acquire_timeout: Duration,
    /// Longest run of one statement; afterwards it fails as [`StoreError::Timeout`].
    /// `None` leaves it to the limit that [`provision`](crate::provision) sets for the role, which
    /// is what PgBouncer needs: it refuses settings in the start-up packet.
    pub statement_timeout: Option<Duration>,
}

impl PgSettings {
    /// Settings with the defaults: at most 16 connections, 3 s to acquire one, the role's own
    /// limit per statement.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            application_name: "kefu".to_owned(),
            max_connections: 16,
            min_connections: 0,
            acquire_timeout: Duration::from_secs(3),
            statement_timeout: None,
        }
    }

    pub(crate) fn connect_options(&self) -> Result<PgConnectOptions, StoreError> {
        let options =
            PgConnectOptions::from_str(&self.url)?.application_name(&self.application_name);
        Ok(match self.statement_timeout {
            Some(limit) => options.options([("statement_timeout", limit.as_millis().to_string())]),
            None => options,
        })
    }
}

impl fmt::Debug for PgSettings {
    /// Leaves the URL out: it holds a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgSettings")
            .field("application_name", &self.application_name)
            .field("max_connections", &self.max_connections)
            .field("min_connections", &self.min_connections)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .finish_non_exhaustive()
    }
}

/// Makes a pool without connecting: the first use connects, and so does every use after Postgres
/// was away. Must be called inside a tokio runtime.
///
/// # Errors
///
/// Only when the URL cannot be read.
pub fn connect(settings: &PgSettings) -> Result<PgPool, StoreError> {
    let options = settings.connect_options()?;
    Ok(PgPoolOptions::new()
        .max_connections(settings.max_connections)
        .min_connections(settings.min_connections)
        .acquire_timeout(settings.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for < CHECK_AFTER_IDLE {
                    return Ok(true);
                }
                // `false` drops this connection and takes the next, or a new one.
                Ok(connection.ping().await.is_ok())
            })
        })
        .connect_lazy_with(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_has_no_password() {
        let settings = PgSettings::new("postgres://kefu_ticket:s3cret@localhost/kefu");
        assert!(!format!("{settings:?}").contains("s3cret"));
    }
}
