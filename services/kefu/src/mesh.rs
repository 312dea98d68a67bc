//! The four services in one process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kefu_clock::{IdSource, SharedClock};
use kefu_customer::CustomerContext;
use kefu_gateway::Gateway;
use kefu_identity::{Authenticator, Authorizer, Minter};
use kefu_postgres::{ContextUrls, PgSettings};
use kefu_service::{
    Context, Dependencies, LocalPeer, Peers, Running, ServiceClock, ServiceToken, StartOptions,
    start_in_process,
};
use kefu_survey::SurveyContext;
use kefu_ticket::TicketContext;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::database::{ContextName, Databases};
use crate::home::{AUDIENCE, ISSUER, dev_identity};

/// What a mesh needs.
pub struct MeshOptions {
    /// Where each context keeps what is its own.
    pub databases: Databases,
    /// The time, for all of them.
    pub clock: ServiceClock,
    /// The private key with which their own tokens are made and those of others are checked.
    pub key: PathBuf,
    /// The front door.
    pub listener: TcpListener,
    /// The most connections to Postgres for each context.
    pub pool_size: u32,
    /// How long running calls may take to finish at the end.
    pub drain_timeout: Duration,
    /// The operator's file with the ways out of this system; without one nothing is sent.
    pub delivery_file: Option<PathBuf>,
    /// Where the bytes of attachments are; beside the key unless it is said otherwise.
    pub attachment_store: Option<String>,
}

impl MeshOptions {
    /// Options with the defaults of the services.
    pub fn new(
        databases: Databases,
        clock: impl Into<ServiceClock>,
        key: PathBuf,
        listener: TcpListener,
    ) -> MeshOptions {
        let attachments = key.with_file_name("attachments").display().to_string();
        MeshOptions {
            databases,
            clock: clock.into(),
            key,
            listener,
            pool_size: 16,
            drain_timeout: Duration::from_secs(30),
            delivery_file: None,
            attachment_store: Some(attachments),
        }
    }
}

/// A mesh that runs. Dropping it without [`Mesh::stop`] is like killing it.
#[derive(Debug)]
pub struct Mesh {
    gateway: Running,
    address: SocketAddr,
    contexts: Vec<(ContextName, LocalPeer, Running)>,
}

/// What the services of one process share.
struct Shared {
    options: MeshOptions,
    clock: SharedClock,
    ids: Arc<IdSource>,
    authenticator: Arc<Authenticator>,
    authorizer: Arc<Authorizer>,
    peers: Peers,
}

impl Mesh {
    /// Starts all services. They can be called when this returns; see [`Mesh::ready`]. The contexts migrate their
    /// schemas themselves.
    ///
    /// # Errors
    /// When a setting is wrong, such as a key that cannot be read.
    pub async fn start(options: MeshOptions) -> anyhow::Result<Mesh> {
        let clock = options.clock.shared();
        let identity = dev_identity(options.key.clone());
        let places = ContextName::ALL.map(|name| (name, LocalPeer::new(name.as_str())));
        let shared = Shared {
            ids: Arc::new(IdSource::new(Arc::clone(&clock))),
            authenticator: Arc::new(kefu_service::authenticator(&identity, Arc::clone(&clock))?),
            authorizer: Arc::new(kefu_service::authorizer(&identity)?),
            peers: places.iter().map(|(_, place)| (place.name(), place.transport())).collect(),
            clock,
            options,
        };
        let mut contexts = Vec::with_capacity(places.len());
        for (name, place) in places {
            let running = match name {
                ContextName::Customer => shared.context::<CustomerContext>(name).await?,
                ContextName::Ticket => shared.context::<TicketContext>(name).await?,
                ContextName::Survey => shared.context::<SurveyContext>(name).await?,
            };
            place.connect(running.served());
            contexts.push((name, place, running));
        }
        let deps = shared.dependencies::<Gateway>(None)?;
        let Shared { options, .. } = shared;
        let listening = StartOptions {
            listener: Some(options.listener),
            drain_timeout: options.drain_timeout,
            ..StartOptions::default()
        };
        let gateway = start_in_process::<Gateway>(deps, listening).await?;
        let address = gateway.address().context("the gateway listens")?;
        Ok(Mesh { gateway, address, contexts })
    }

    /// Where the gateway listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until every service is ready.
    ///
    /// # Errors
    /// When one never will be; [`Mesh::stop`] tells why.
    pub async fn ready(&self) -> anyhow::Result<()> {
        for (_, _, context) in &self.contexts {
            context.ready().await?;
        }
        self.gateway.ready().await
    }

    /// Completes when a service stops by itself, because it cannot go on.
    pub async fn broken(&self) {
        let services = self.contexts.iter().map(|(_, _, running)| running).chain([&self.gateway]);
        let stopping = services.map(|service| Box::pin(service.stopping()));
        futures::future::select_all(stopping).await;
    }

    /// Stops one context, as if it were down. `Ok` for one that was stopped before.
    ///
    /// # Errors
    /// When it did not stop cleanly.
    pub async fn stop_context(&mut self, name: ContextName) -> anyhow::Result<()> {
        let Some(index) = self.contexts.iter().position(|(other, ..)| *other == name) else {
            return Ok(());
        };
        let (_, place, running) = self.contexts.remove(index);
        let outcome = running.stop().await;
        place.disconnect();
        outcome
    }

    /// Stops all: first the front door, so that what came in is finished, then the contexts.
    ///
    /// # Errors
    /// Why a service could not go on, or that calls had to be cut.
    pub async fn stop(self) -> anyhow::Result<()> {
        let mut outcome = self.gateway.stop().await.context("the gateway");
        // Together: each waits for streams of the others to end.
        let mut stopping = tokio::task::JoinSet::new();
        for (name, _, running) in self.contexts {
            stopping.spawn(async move {
                running.stop().await.with_context(|| format!("the {} context", name.as_str()))
            });
        }
        while let Some(stopped) = stopping.join_next().await {
            outcome =
                outcome.and(stopped.context("stopping a context").and_then(|stopped| stopped));
        }
        outcome
    }
}

impl Shared {
    async fn context<C: Context>(&self, name: ContextName) -> anyhow::Result<Running> {
        let urls = self.options.databases.of(name);
        let start = StartOptions {
            listener: None,
            migrate_as: Some(PgSettings {
                application_name: format!("kefu-{}-migration", name.as_str()),
                ..PgSettings::new(&urls.owner)
            }),
            drain_timeout: self.options.drain_timeout,
        };
        start_in_process::<C>(self.dependencies::<C>(Some(urls))?, start).await
    }

    fn dependencies<C: Context>(&self, urls: Option<&ContextUrls>) -> anyhow::Result<Dependencies> {
        let database = urls.map(|urls| {
            let settings = PgSettings {
                application_name: format!("kefu-{}", C::NAME),
                max_connections: self.options.pool_size,
                ..PgSettings::new(&urls.application)
            };
            let pool = kefu_postgres::connect(&settings)?;
            kefu_postgres::observe_pool(&pool, C::NAME);
            anyhow::Ok(pool)
        });
        let clock = Arc::clone(&self.clock);
        let minter = Minter::load(&self.options.key, ISSUER, AUDIENCE, Arc::clone(&clock))?;
        Ok(Dependencies {
            database: database.transpose()?,
            clock: self.options.clock.clone(),
            ids: Arc::clone(&self.ids),
            authenticator: Arc::clone(&self.authenticator),
            authorizer: Arc::clone(&self.authorizer),
            peers: self.peers.clone(),
            token: ServiceToken::minted(minter, C::NAME, clock)?,
            wake: Arc::default(),
            delivery_file: self.options.delivery_file.clone(),
            attachment_store: self.options.attachment_store.clone(),
            shutdown: CancellationToken::new(),
        })
    }
}
