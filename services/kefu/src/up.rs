//! `kefu up`: everything on this machine, until Ctrl-C.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use jiff::SignedDuration;
use kefu_clock::SharedClock;
use kefu_identity::{Caller, OrgUnit};
use kefu_postgres::{PrivateCluster, PrivateClusterOptions};
use kefu_service::{ClockSetting, ServiceClock};
use kefu_telemetry::{LogFormat, TelemetryConfig};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::children::{self, ChildOptions, Service};
use crate::client::Client;
use crate::database::{ContextName, Databases};
use crate::demo;
use crate::home::{Home, write_secret};
use crate::mesh::{Mesh, MeshOptions};
use crate::token::EVERYTHING;

/// Log lines that somebody at a terminal wants to see. That a feed is away for a moment is no news while services start and
/// stop side by side.
pub const QUIET: &str = "warn,kefu_journal::subscriber=error";

/// How long the token in the data directory is valid; each start makes a new one. A manual clock may travel far.
const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_hours(50 * 366 * 24);

/// The front door.
const GATEWAY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 50050);

/// Where a context listens when each is a process: on the ports after the gateway's, never beyond this machine.
fn address_of(context: ContextName, gateway: SocketAddr) -> SocketAddr {
    let offset = match context {
        ContextName::Customer => 1,
        ContextName::Ticket => 2,
        ContextName::Survey => 3,
    };
    SocketAddr::from((Ipv4Addr::LOCALHOST, gateway.port().wrapping_add(offset)))
}

/// How to run.
#[derive(Clone, Debug, clap::Args)]
pub struct UpArgs {
    /// File with the ways out of this system: mail servers, webhooks, their keys (see deploy/delivery/example.yaml). Without
    /// one nothing is sent.
    #[arg(long, env = "KEFU_DELIVERY_FILE")]
    pub delivery_file: Option<PathBuf>,

    /// Where the bytes of attachments are: a directory, or `s3://bucket/prefix` with key, region and endpoint in the usual
    /// `AWS_` variables. Without it, a directory beside the database.
    #[arg(long, env = "KEFU_ATTACHMENT_STORE")]
    pub attachment_store: Option<String>,

    /// Load a small story in English and Chinese, and show what can be done with it.
    #[arg(long)]
    pub demo: bool,

    /// Run the four services as four processes instead of in this one.
    #[arg(long)]
    pub processes: bool,

    /// Where the gateway listens: the one address that clients need. With --processes, customer, ticket and survey have
    /// the three ports after it.
    #[arg(long, default_value_t = GATEWAY)]
    pub listen: SocketAddr,

    /// `system`, or `manual:2011-10-30T18:40:00Z` for a clock that stands there until it is set.
    #[arg(long, default_value = "system")]
    pub clock: ClockSetting,

    /// Where an OpenTelemetry collector takes OTLP over gRPC; nothing is exported without it.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,

    /// Which log lines are written, e.g. `info,kefu_ticket=debug`.
    #[arg(long, env = "KEFU_LOG", default_value = QUIET)]
    pub log_filter: String,
}

/// Starts everything and runs until it is told to stop.
///
/// # Errors
/// When something cannot be started, cannot go on, or did not stop cleanly.
pub async fn command(args: UpArgs, data: PathBuf) -> anyhow::Result<()> {
    let telemetry = kefu_telemetry::init(&TelemetryConfig {
        otlp_endpoint: args.otlp_endpoint.clone(),
        log_format: LogFormat::Text,
        filter: args.log_filter.clone(),
        ..TelemetryConfig::new("kefu-up")
    })?;
    // Before anything else can take time: a Ctrl-C during the start is a wish to stop, too.
    let stop = kefu_rpc::shutdown_on_signal().context("waiting for signals")?;
    let outcome = Box::pin(run(&args, &data, &stop)).await;
    // Sending what is queued may block, which the runtime's own threads must not.
    tokio::task::spawn_blocking(move || telemetry.shutdown()).await?;
    outcome
}

async fn run(
    args: &UpArgs,
    data: &std::path::Path,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    // First of all, so that a second `kefu up` says so before it touches the data of the first.
    let listener = listen(args.listen, "the gateway").await?;
    let home = Home::open(data)?;
    let clock = ServiceClock::from(args.clock);
    let token = token(&home, clock.shared())?;
    let cluster = PrivateCluster::start(PrivateClusterOptions::new(home.postgres()));
    let Some(cluster) = stop.run_until_cancelled(cluster).await.transpose()? else { return Ok(()) };
    let outcome = Box::pin(beside(args, &home, clock, &token, listener, &cluster, stop)).await;
    cluster.stop().await;
    outcome
}

/// Everything that happens while Postgres runs.
async fn beside(
    args: &UpArgs,
    home: &Home,
    clock: ServiceClock,
    token: &str,
    listener: TcpListener,
    cluster: &PrivateCluster,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    let admin_url = cluster.admin_url("kefu");
    let databases = Databases::provision(&admin_url);
    let Some(databases) = stop.run_until_cancelled(databases).await.transpose()? else {
        return Ok(());
    };
    let mut running = if args.processes {
        drop(listener);
        Running::Processes(Processes::start(args, address, home, &databases).await?)
    } else {
        let options = MeshOptions {
            delivery_file: args.delivery_file.clone(),
            attachment_store: Some(home.attachments(args.attachment_store.as_deref())),
            ..MeshOptions::new(databases, clock, home.key(), listener)
        };
        Running::Mesh(Box::new(Mesh::start(options).await?))
    };
    let told = stop.run_until_cancelled(async {
        running.ready().await?;
        welcome(args, home, address);
        if args.demo {
            let client = Client::new(&format!("http://{address}"), token)?;
            Box::pin(demo::show(&client, home, &format!("{address}"))).await?;
        }
        running.broken().await
    });
    let outcome = told.await.unwrap_or(Ok(()));
    if stop.is_cancelled() {
        println!("\nStopping: the gateway first, then the contexts, Postgres last.");
    }
    // Why a service could not go on is what its stop tells.
    running.stop().await.and(outcome)
}

fn welcome(args: &UpArgs, home: &Home, address: SocketAddr) {
    let token = home.token().display().to_string();
    println!("Kefu is up. 客服系统已启动。\n");
    println!("  gateway     {address}  (gRPC, gRPC-Web, JSON over HTTP)");
    if args.processes {
        for context in ContextName::ALL {
            println!("  {:<11} {}", context.as_str(), address_of(context, address));
        }
    }
    println!("  token       {token}  (everything in group/…; `kefu token --help` makes others)");
    println!("  clock       {}", args.clock);
    if !args.demo {
        println!("\nWhat the company's tree looks like:\n");
        println!(
            "{}",
            demo::commands(
                &token,
                &address.to_string(),
                "kefu.customer.v1.OrgUnitService",
                "ListOrgUnits",
                r#"{"orgUnit": "group"}"#,
            )
        );
        println!("`kefu up --demo` loads a small story to look at.");
    }
    println!("\nCtrl-C stops it; the data stays.\n");
}

/// The token for whoever sits at this machine, written where only that account can read it.
fn token(home: &Home, clock: SharedClock) -> anyhow::Result<String> {
    let minter = home.minter(Arc::clone(&clock))?;
    let group: OrgUnit = "group".parse()?;
    let token = minter.mint(&Caller::staff("you", group, EVERYTHING), TOKEN_LIFETIME)?;
    write_secret(&home.token(), &token)?;
    Ok(token)
}

async fn listen(address: SocketAddr, who: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow::anyhow!(
            "{who} cannot listen on {address}: another program does, perhaps another `kefu up`; stop that or name \
             another address with --listen"
        ),
        _ => anyhow::anyhow!("{who} cannot listen on {address}: {error}"),
    })
}

/// What runs: services in this process, or processes.
enum Running {
    Mesh(Box<Mesh>),
    Processes(Processes),
}

impl Running {
    async fn ready(&mut self) -> anyhow::Result<()> {
        match self {
            Running::Mesh(mesh) => mesh.ready().await,
            Running::Processes(processes) => processes.ready().await,
        }
    }

    /// Completes when a part stops by itself.
    async fn broken(&mut self) -> anyhow::Result<()> {
        match self {
            Running::Mesh(mesh) => {
                mesh.broken().await;
                Ok(())
            }
            Running::Processes(processes) => processes.broken().await,
        }
    }

    async fn stop(self) -> anyhow::Result<()> {
        match self {
            Running::Mesh(mesh) => mesh.stop().await,
            Running::Processes(processes) => processes.stop().await,
        }
    }
}

/// The four services as processes; the gateway is the last.
struct Processes {
    services: Vec<Service>,
}

impl Processes {
    /// Starts all four from the thread that runs the program to its end: the kernel ties their lives to it.
    async fn start(
        args: &UpArgs,
        gateway: SocketAddr,
        home: &Home,
        databases: &Databases,
    ) -> anyhow::Result<Processes> {
        let options = ChildOptions {
            program: children::this_program()?,
            key: home.key(),
            clock: args.clock,
            customer: address_of(ContextName::Customer, gateway),
            ticket: address_of(ContextName::Ticket, gateway),
            survey: address_of(ContextName::Survey, gateway),
            log_filter: args.log_filter.clone(),
            otlp_endpoint: args.otlp_endpoint.clone(),
            delivery_file: args.delivery_file.clone(),
            attachment_store: Some(home.attachments(args.attachment_store.as_deref())),
        };
        for context in ContextName::ALL {
            // A child could only say so in its log.
            listen(options.address_of(context), &format!("the {} context", context.as_str()))
                .await?;
        }
        let mut services = Vec::with_capacity(4);
        for context in ContextName::ALL {
            let address = options.address_of(context);
            services.push(options.context(context, address, databases.of(context))?);
        }
        services.push(options.gateway(gateway)?);
        Ok(Processes { services })
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        for service in &mut self.services {
            service.ready().await?;
        }
        Ok(())
    }

    async fn broken(&mut self) -> anyhow::Result<()> {
        let ended = self.services.iter_mut().map(|service| {
            Box::pin(async {
                let name = service.name();
                service.ended().await.map(|status| (name, status))
            })
        });
        let (name, status) = futures::future::select_all(ended).await.0?;
        anyhow::bail!("the {name} service ended by itself ({status})")
    }

    async fn stop(mut self) -> anyhow::Result<()> {
        let gateway = self.services.pop();
        let mut outcome = match gateway {
            Some(gateway) => gateway.stop().await,
            None => Ok(()),
        };
        let contexts = self.services.into_iter().map(Service::stop);
        for stopped in futures::future::join_all(contexts).await {
            outcome = outcome.and(stopped);
        }
        outcome
    }
}
