//! A Postgres of one's own, for `kefu up` and for tests.
//!
//! It listens on a Unix socket only, in a directory that nobody but the account that runs Postgres
//! (and root) can enter, and trusts whoever gets there. Compared with a port on loopback and a
//! generated password: there is no password to store, show or lose, no port to collide with, other
//! accounts of the machine cannot even knock, and a call through a socket costs less. Whoever can
//! enter the directory could read the data files anyway.

mod account;
mod binaries;
mod home;
mod server;

use std::{io, path::PathBuf};

use crate::url;

pub(crate) use self::{
    account::Account,
    binaries::Binaries,
    home::{Home, hex},
    server::{accepts, wait_until_ready},
};

/// The superuser of a private cluster.
pub(crate) const SUPERUSER: &str = "postgres";

/// What a private cluster should be like.
#[derive(Clone, Debug)]
pub struct PrivateClusterOptions {
    /// Where everything of the cluster lives: data, log, and a Postgres installed for it alone.
    /// Made when missing; must be empty or a cluster's. May be any length and hold any character.
    pub directory: PathBuf,
    /// Whether a Postgres may be installed when none is found.
    pub install: bool,
    /// Upper limit of connections to the cluster, over all databases.
    pub max_connections: u16,
    /// Further settings, as in `postgresql.conf`: name and value.
    pub settings: Vec<(String, String)>,
}

impl PrivateClusterOptions {
    /// A durable cluster in `directory` with up to 200 connections, installed where necessary.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            install: true,
            max_connections: 200,
            settings: Vec::new(),
        }
    }
}

/// Why there is no private cluster. Each text is a sentence for whoever typed the command.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No Postgres, and none could be (or was to be) installed.
    #[error(
        "no Postgres server was found on this machine{attempts}; install one, for example with \
         `sudo apt-get install postgresql`, or set KEFU_POSTGRES_BIN to the directory that holds \
         `postgres` and `initdb`"
    )]
    NoPostgres {
        /// What was tried, beginning with `: `; empty when nothing was.
        attempts: String,
    },
    /// Postgres refuses to run as root.
    #[error(
        "Postgres does not run as root, and there is neither an account `postgres` nor `nobody` \
         to run it as; create one, for example with `useradd --system postgres`"
    )]
    NoAccount,
    /// Another process uses the directory.
    #[error("{0} is in use by another process of Kefu; stop it or name another directory")]
    InUse(PathBuf),
    /// The directory holds something else.
    #[error("{0} is not empty and holds no cluster; name another directory")]
    NotACluster(PathBuf),
    /// The directory belongs to somebody else.
    #[error("{0} belongs to another account; name another directory")]
    NotOurs(PathBuf),
    /// The data is of a major version for which there are no programs.
    #[error(
        "the data in {directory} was written by Postgres {data}, but only {found} was found; \
         install version {data}, for example with `sudo apt-get install postgresql-{data}`"
    )]
    OtherVersion {
        /// The cluster's directory.
        directory: PathBuf,
        /// Major version of the data.
        data: u32,
        /// Major versions found, separated by commas.
        found: String,
    },
    /// A program of Postgres failed.
    #[error("{program} failed: {output}")]
    Failed {
        /// `initdb` or `postgres`.
        program: &'static str,
        /// The end of what it said.
        output: String,
    },
    /// A file or directory could not be used.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The runtime is shutting down.
    #[error("the start was interrupted")]
    Interrupted,
}

impl ClusterError {
    /// For `map_err`: what happened to `path`.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

/// A running Postgres that belongs to this process. See [`PrivateCluster::start`].
#[derive(Debug)]
pub struct PrivateCluster {
    server: server::Server,
    home: Home,
}

impl PrivateCluster {
    /// Starts the cluster in the directory of `options`, creating it at first, and returns when it
    /// accepts connections.
    ///
    /// * Programs are looked for in `KEFU_POSTGRES_BIN`, `pg_config`, `PATH`, and where
    ///   distributions put them; otherwise Postgres is installed by `apt-get` (as root or with
    ///   `sudo` that asks no password), else by `pip` into the cluster's own directory.
    /// * As root, Postgres runs as `postgres`, else `nobody`, else not at all. If that account
    ///   cannot reach the directory, the cluster is put into `/var/lib/kefu` and the directory
    ///   becomes a link to it.
    /// * When this process ends, even by `kill -9`, the kernel asks Postgres for a fast shutdown.
    /// * When Postgres ends by itself, it is started again.
    ///
    /// # Errors
    ///
    /// See [`ClusterError`].
    pub async fn start(options: PrivateClusterOptions) -> Result<Self, ClusterError> {
        blocking(move || {
            let account = Account::to_run_as(&options.directory)?;
            let home = Home::open(&options.directory, account)?;
            let lock = home.lock()?;
            let binaries = Binaries::for_home(&home, options.install)?;
            home.initialise(&binaries, true)?;
            home.end_leftover()?;
            let mut settings = options.settings;
            settings.push(("max_connections".to_owned(), options.max_connections.to_string()));
            let server = server::Server::start(&binaries, &home, &settings, lock)?;
            tracing::info!(
                directory = %home.root.display(),
                version = binaries.major,
                "the private Postgres is running",
            );
            Ok(Self { server, home })
        })
        .await
    }

    /// The URL of a database of this cluster, as its superuser. Give it to
    /// [`ensure_database`](crate::ensure_database) and [`provision`](crate::provision).
    pub fn admin_url(&self, database: &str) -> String {
        self.home.admin_url(database)
    }

    /// The directory of the socket, for `psql -h`.
    pub fn socket_directory(&self) -> &std::path::Path {
        &self.home.socket
    }

    /// Stops Postgres: open transactions are rolled back, everything committed is written out.
    /// Dropping the value does the same, but blocks the thread.
    pub async fn stop(self) {
        let Self { server, .. } = self;
        let stopped = blocking(move || {
            drop(server);
            Ok(())
        });
        if stopped.await.is_err() {
            tracing::debug!("the runtime ended before the private Postgres");
        }
    }
}

impl Home {
    /// See [`PrivateCluster::admin_url`].
    pub(crate) fn admin_url(&self, database: &str) -> String {
        url::on_socket(&self.socket, SUPERUSER, database)
    }
}

/// Runs what blocks where it may.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ClusterError> + Send + 'static,
) -> Result<T, ClusterError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(ClusterError::Interrupted))
}
