//! A service from its start to its end.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kefu_journal::FeedServer;
use kefu_postgres::PgSettings;
use kefu_rpc::{Condition, Methods, Readiness, ServeOptions, Served, Stack, Transport};
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock_service::ClockServer;
use crate::gate::Gate;
use crate::settle::Settlement;
use crate::worker::Workers;
use crate::{Assembled, Context, Dependencies, Worker, described, schema};

/// How long a service waits at its start for the other contexts' feeds before it serves with the copies that it has.
/// Without an end to this two contexts that read each other, and are not found before they are ready, would wait for
/// each other for ever; and a context would not start while another is down.
const CATCH_UP_PATIENCE: Duration = Duration::from_secs(10);

/// How often to look whether the feeds have been read.
const CATCH_UP_PERIOD: Duration = Duration::from_millis(20);

/// How often Postgres is asked for a sign of life.
const PROBE_PERIOD: Duration = Duration::from_secs(1);

/// How a service is started.
#[derive(Debug)]
pub struct StartOptions {
    /// A socket to serve on; without one the service is reached inside the process only.
    pub listener: Option<TcpListener>,
    /// The owner of the schema, if this service is to migrate it; if not, it waits until somebody has.
    pub migrate_as: Option<PgSettings>,
    /// How long running calls, and then workers, may take to finish at the end.
    pub drain_timeout: Duration,
}

impl Default for StartOptions {
    fn default() -> Self {
        StartOptions { listener: None, migrate_as: None, drain_timeout: Duration::from_secs(30) }
    }
}

/// A service that runs. Dropping it without [`Running::stop`] is like killing it.
pub struct Running {
    name: &'static str,
    served: Served,
    readiness: Readiness,
    gate: Gate,
    shutdown: CancellationToken,
    address: Option<SocketAddr>,
    pool: Option<PgPool>,
    drain_timeout: Duration,
    server: Option<JoinHandle<std::io::Result<bool>>>,
    life: JoinHandle<anyhow::Result<Workers>>,
}

/// Starts a service in this process. Returns when it can be called; it is ready later, see [`Running::ready`].
///
/// # Errors
/// What is wrong with the settings. A database or a context that is away is no error.
pub async fn start_in_process<C: Context>(
    deps: Dependencies,
    options: StartOptions,
) -> anyhow::Result<Running> {
    let assembled = C::build(deps.clone()).await?;
    let readiness = assembled
        .readiness
        .clone()
        .unwrap_or_else(|| Readiness::new(own_services(C::NAME, &assembled, &deps)));
    let descriptors = described::descriptors_of(readiness.services())?;
    let settlement = Settlement::new(assembled.settle, assembled.journal.clone());
    let mut routes = assembled.routes.add_service(readiness.service());
    let mut workers = assembled.workers;
    if let Some(tail) = assembled.journal {
        let feed = FeedServer::new(tail.clone(), Arc::clone(&deps.authorizer));
        routes = routes.add_service(feed.into_service());
        workers.push(Worker::new("journal-tail", move |shutdown| {
            let tail = tail.clone();
            async move {
                tail.run(shutdown).await;
                Ok(())
            }
        }));
    }
    if let Some(clock) = deps.clock.manual().filter(|_| !assembled.own_clock_service) {
        let authorizer = Arc::clone(&deps.authorizer);
        let server = ClockServer::new(clock.clone(), settlement.clone(), authorizer);
        routes = routes.add_service(server);
    }
    let routes = kefu_rpc::with_reflection(routes, [descriptors.as_slice()])?;
    let methods = Methods::from_descriptors([kefu_api::FILE_DESCRIPTOR_SET])?;
    let stack = Stack::new(methods, Arc::clone(&deps.authenticator), deps.shutdown.clone());
    let handlers = match assembled.handlers {
        None => stack.with_permissions(&deps.authorizer).wrap(routes),
        // What is passed on unread is for whoever reads it to refuse.
        Some(around) => stack.wrap_service(around(Served::new(routes.prepare()))),
    };
    let gate = Gate::default();
    let served = gate.before(C::NAME, handlers);
    let http1 = assembled.front.is_some();
    let served = match assembled.front {
        None => served,
        Some(around) => around(served),
    };

    let address = options.listener.as_ref().map(TcpListener::local_addr).transpose()?;
    // With all its conditions, before the first call can ask whether it is ready.
    let life = Life {
        name: C::NAME,
        deps: deps.clone(),
        migrators: C::migrators(),
        migrate_as: options.migrate_as,
        gate: gate.clone(),
        settlement,
        keys: readiness.condition("keys"),
        schema: readiness.condition("schema"),
        feeds: readiness.condition("feeds"),
        postgres: readiness.condition("postgres"),
    };
    let server = options.listener.map(|listener| {
        let serving =
            ServeOptions { drain: options.drain_timeout, http1, ..ServeOptions::default() };
        tokio::spawn(kefu_rpc::serve(
            listener,
            served.clone(),
            readiness.clone(),
            deps.shutdown.clone(),
            serving,
        ))
    });
    Ok(Running {
        name: C::NAME,
        served,
        readiness,
        gate,
        shutdown: deps.shutdown.clone(),
        address,
        pool: deps.database.clone(),
        drain_timeout: options.drain_timeout,
        server,
        life: tokio::spawn(life.live(workers)),
    })
}

/// The services of the context's own packages, and those that every context hosts.
fn own_services(name: &str, assembled: &Assembled, deps: &Dependencies) -> Vec<String> {
    let hosts_feed = assembled.journal.is_some();
    let hosts_clock = deps.clock.manual().is_some();
    kefu_api::descriptor_pool()
        .services()
        .filter(|service| {
            let package = service.package_name();
            match package.split('.').nth(1) {
                Some("feed") => hosts_feed,
                Some("clock") => hosts_clock,
                context => context == Some(name),
            }
        })
        .map(|service| service.full_name().to_owned())
        .collect()
}

impl Running {
    /// The name of the context.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where it listens, if it does.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The service itself, for a [`crate::LocalPeer`].
    pub fn served(&self) -> Served {
        self.served.clone()
    }

    /// The way to it inside the process.
    pub fn transport(&self) -> Transport {
        Transport::local(self.served())
    }

    /// Whether it wants calls, and why not.
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// When it will never be: a migration is broken. Then call [`Running::stop`] for the reason.
    pub async fn ready(&self) -> anyhow::Result<()> {
        tokio::select! {
            () = self.readiness.ready() => Ok(()),
            () = self.shutdown.cancelled() => {
                anyhow::bail!("the {} service stops instead of becoming ready", self.name)
            }
        }
    }

    /// Completes when the service has been told to stop, or stops because it cannot go on.
    pub async fn stopping(&self) {
        self.shutdown.cancelled().await;
    }

    /// Stops it: refuses new calls, ends streams, finishes running calls, then stops the workers at a safe point and
    /// closes the database.
    ///
    /// # Errors
    /// Why it could not go on, if that is why it stops; or that calls had to be cut.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.readiness.drain();
        self.shutdown.cancel();
        let drained = match self.server {
            None => Ok(true),
            Some(server) => server.await.context("the server panicked")?.context("serving"),
        };
        let lived = self.life.await.context("the service panicked")?;
        self.gate.stop();
        let outcome = match lived {
            Ok(workers) => {
                workers.stop(self.drain_timeout).await;
                Ok(())
            }
            Err(error) => Err(error),
        };
        if let Some(pool) = self.pool {
            pool.close().await;
        }
        outcome?;
        anyhow::ensure!(drained?, "some calls did not finish in time and were cut");
        tracing::info!(service = self.name, "stopped");
        Ok(())
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("name", &self.name)
            .field("address", &self.address)
            .field("unmet", &self.readiness.unmet())
            .finish_non_exhaustive()
    }
}

/// What goes on beside the calls: schema, workers, catching up, and watching Postgres.
struct Life {
    name: &'static str,
    deps: Dependencies,
    migrators: Vec<&'static Migrator>,
    migrate_as: Option<PgSettings>,
    gate: Gate,
    settlement: Settlement,
    keys: Condition,
    schema: Condition,
    feeds: Condition,
    postgres: Condition,
}

impl Life {
    async fn live(self, workers: Vec<Worker>) -> anyhow::Result<Workers> {
        let mut running = Workers::default();
        let shutdown = self.deps.shutdown.clone();
        let life = async {
            self.prepare().await?;
            self.schema.set(true);
            self.gate.open();
            running.start(workers);
            tokio::join!(self.know_keys(), self.catch_up(), self.watch_postgres());
            anyhow::Ok(())
        };
        let outcome = shutdown.run_until_cancelled(life).await;
        running.stop_background();
        if let Some(Err(error)) = outcome {
            tracing::error!(service = self.name, error = format!("{error:#}"), "cannot go on");
            shutdown.cancel();
            return Err(error);
        }
        Ok(running)
    }

    /// Comes back when the schema is as this program needs it.
    async fn prepare(&self) -> anyhow::Result<()> {
        if self.migrators.is_empty() {
            return Ok(());
        }
        if let Some(owner) = &self.migrate_as {
            // Boxed: large, and over before anything else begins.
            let migrating = schema::bring_up_to_date(owner, &self.migrators, &self.deps.shutdown);
            Box::pin(migrating).await?;
        } else {
            schema::wait_until_migrated(self.deps.pool()?, &self.migrators).await;
        }
        Ok(())
    }

    async fn know_keys(&self) {
        self.deps.authenticator.wait_for_keys().await;
        self.keys.set(true);
    }

    async fn catch_up(&self) {
        let all = async {
            while !self.settlement.is_caught_up() {
                tokio::time::sleep(CATCH_UP_PERIOD).await;
            }
        };
        if tokio::time::timeout(CATCH_UP_PATIENCE, all).await.is_err() {
            tracing::warn!(service = self.name, "a feed cannot be read, serving what is known");
        }
        self.feeds.set(true);
    }

    async fn watch_postgres(&self) {
        let Some(pool) = &self.deps.database else {
            self.postgres.set(true);
            // Nothing to watch is no reason for this life to end.
            return std::future::pending().await;
        };
        let mut was_there = None;
        loop {
            let outcome = kefu_postgres::readiness(pool).await;
            let there = outcome.is_ok();
            self.postgres.set(there);
            if was_there.replace(there) != Some(there) {
                match outcome {
                    Ok(()) => tracing::info!(service = self.name, "Postgres answers"),
                    Err(error) => {
                        tracing::error!(service = self.name, %error, "Postgres does not answer");
                    }
                }
            }
            tokio::time::sleep(PROBE_PERIOD).await;
        }
    }
}
