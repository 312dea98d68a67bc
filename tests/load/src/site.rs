//! A private Postgres with the settings of a production server, and the meshes that are started beside it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use anyhow::Context as _;
use jiff::SignedDuration;
use kefu::children::{ChildOptions, Service, this_program};
use kefu::database::{ContextName, Databases};
use kefu::home::{AUDIENCE, ISSUER};
use kefu::mesh::{Mesh, MeshOptions};
use kefu::token::EVERYTHING;
use kefu_clock::{SharedClock, SystemClock};
use kefu_identity::{Caller, Minter, OrgUnit};
use kefu_postgres::{PrivateCluster, PrivateClusterOptions};
use kefu_service::ClockSetting;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::cli::MeshKind;

/// What differs from Postgres's own defaults, in the way of every tuned server. Everything that makes a commit durable
/// stays on.
const SETTINGS: [(&str, &str); 9] = [
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("shared_buffers", "512MB"),
    ("wal_buffers", "16MB"),
    ("max_wal_size", "4GB"),
    ("checkpoint_timeout", "15min"),
    ("random_page_cost", "1.1"),
    ("max_connections", "300"),
];

/// Log lines would be written to this program's terminal, and cost time; warnings are worth it.
const LOG_FILTER: &str = "warn";

/// The database of the meshes.
pub const DATABASE: &str = "kefu";
/// A copy of it, which only pgbench writes to.
pub const COPY: &str = "kefu_pgbench";
/// The root of the org units.
pub const ROOT: &str = "group";

/// A private Postgres in a temporary directory, with a key to make tokens with. Ends with this process.
pub struct Site {
    cluster: PrivateCluster,
    databases: Databases,
    key: PathBuf,
    /// The token of somebody who may do everything.
    pub token: String,
    program: PathBuf,
    directory: Directory,
}

/// Where a site lives.
enum Directory {
    Temporary(TempDir),
    Kept(PathBuf),
}

impl Directory {
    fn path(&self) -> &Path {
        match self {
            Self::Temporary(directory) => directory.path(),
            Self::Kept(directory) => directory,
        }
    }
}

/// A mesh that runs, as a child or as several.
pub struct RunningMesh {
    /// The gateway's address.
    pub gateway: String,
    parts: Parts,
}

enum Parts {
    OneProcess(Child),
    Processes { options: ChildOptions, services: Vec<Service> },
}

impl Site {
    /// Starts Postgres and makes the databases.
    ///
    /// # Errors
    /// When there is no Postgres, or no program `kefu` beside this one.
    pub async fn open() -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("kefu-load-").tempdir()?;
        Self::open_in(Directory::Temporary(directory)).await
    }

    /// The same in a directory that stays, with the databases of an earlier site where it has some.
    ///
    /// # Errors
    /// As [`open`](Self::open); when the directory cannot be made.
    pub async fn open_at(directory: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory).context("making the directory to keep")?;
        Self::open_in(Directory::Kept(directory.canonicalize()?)).await
    }

    async fn open_in(directory: Directory) -> anyhow::Result<Self> {
        let program = this_program()?.with_file_name("kefu");
        anyhow::ensure!(
            program.exists(),
            "the program {} is missing: build it with `cargo build --release -p kefu`",
            program.display()
        );
        let mut options = PrivateClusterOptions::new(directory.path().join("postgres"));
        options.settings = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        options.max_connections = 300;
        make_enterable(directory.path())?;
        let cluster = PrivateCluster::start(options).await?;
        let databases = Databases::provision(&cluster.admin_url(DATABASE)).await?;
        let key = directory.path().join("key.pem");
        let clock: SharedClock = Arc::new(SystemClock);
        let minter = Minter::load_or_generate(&key, ISSUER, AUDIENCE, clock)?;
        let root: OrgUnit = ROOT.parse()?;
        let somebody = Caller::staff("load", root, EVERYTHING);
        let token = minter.mint(&somebody, SignedDuration::from_hours(12))?;
        Ok(Self { cluster, databases, key, token, program, directory })
    }

    /// A database as the superuser.
    pub fn admin_url(&self, database: &str) -> String {
        self.cluster.admin_url(database)
    }

    /// The database of the meshes as the ticket context's application.
    pub fn ticket_url(&self) -> &str {
        &self.databases.of(ContextName::Ticket).application
    }

    /// Where Postgres listens, for the environment of its own programs.
    pub fn socket_directory(&self) -> &Path {
        self.cluster.socket_directory()
    }

    /// Starts a mesh on the site's database and waits until it is ready.
    ///
    /// # Errors
    /// When a service does not become ready.
    pub async fn start(&self, kind: MeshKind) -> anyhow::Result<RunningMesh> {
        match kind {
            MeshKind::OneProcess => self.start_one_process().await,
            MeshKind::Processes => self.start_processes().await,
        }
    }

    async fn start_one_process(&self) -> anyhow::Result<RunningMesh> {
        let address = free_address().await?;
        let mut command = own_command("one-process", address)?;
        command.env("KEFU_LOAD_ADMIN_URL", self.admin_url(DATABASE)).arg("--key").arg(&self.key);
        let child = command.spawn().context("starting this program again")?;
        let gateway = format!("http://{address}");
        wait_until_ready(address).await?;
        Ok(RunningMesh { gateway, parts: Parts::OneProcess(child) })
    }

    async fn start_processes(&self) -> anyhow::Result<RunningMesh> {
        let options = ChildOptions {
            program: self.program.clone(),
            key: self.key.clone(),
            clock: ClockSetting::System,
            customer: free_address().await?,
            ticket: free_address().await?,
            survey: free_address().await?,
            log_filter: LOG_FILTER.to_owned(),
            otlp_endpoint: None,
            delivery_file: None,
            attachment_store: None,
        };
        let mut services = Vec::new();
        for name in ContextName::ALL {
            let listen = options.address_of(name);
            services.push(options.context(name, listen, self.databases.of(name))?);
        }
        let front = free_address().await?;
        services.push(options.gateway(front)?);
        for service in &mut services {
            service.ready().await?;
        }
        let gateway = format!("http://{front}");
        Ok(RunningMesh { gateway, parts: Parts::Processes { options, services } })
    }

    /// Starts another replica of the ticket context beside a mesh of processes, and waits until it is ready. It works on what
    /// is due; the gateway does not know of it.
    ///
    /// # Errors
    /// When the mesh is one process, or the replica does not become ready.
    pub async fn start_ticket_replica(&self, mesh: &RunningMesh) -> anyhow::Result<Service> {
        let Parts::Processes { options, .. } = &mesh.parts else {
            anyhow::bail!("one process has no replicas");
        };
        let listen = free_address().await?;
        let urls = self.databases.of(ContextName::Ticket);
        let mut replica = options.context(ContextName::Ticket, listen, urls)?;
        replica.ready().await?;
        Ok(replica)
    }

    /// Starts the bare server, the reference for reads: see [`crate::bare`].
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_bare(&self) -> anyhow::Result<(Child, String)> {
        let address = free_address().await?;
        let mut command = own_command("bare", address)?;
        command.env("KEFU_DATABASE_URL", self.ticket_url());
        let child = command.spawn().context("starting this program again")?;
        wait_until_listening(address).await?;
        Ok((child, format!("http://{address}")))
    }

    /// Where files can be put that end with the site.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Ends Postgres.
    pub async fn close(self) {
        self.cluster.stop().await;
    }
}

impl RunningMesh {
    /// Stops it, so that nothing in flight is lost.
    ///
    /// # Errors
    /// When a service did not stop cleanly.
    pub async fn stop(self) -> anyhow::Result<()> {
        match self.parts {
            Parts::OneProcess(child) => stop_child(child).await,
            Parts::Processes { services, .. } => {
                // The gateway, which was started last, lets go first.
                for service in services.into_iter().rev() {
                    service.stop().await?;
                }
                Ok(())
            }
        }
    }
}

/// Tells a child to stop and waits until it has.
///
/// # Errors
/// When the system refuses.
pub async fn stop_child(mut child: Child) -> anyhow::Result<()> {
    use rustix::process::{Pid, Signal, kill_process};
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        kill_process(pid, Signal::TERM).context("stopping a child")?;
    }
    child.wait().await.context("waiting for a child")?;
    Ok(())
}

/// The mesh in one process, as `kefu up` runs it: what this program does when it is started as the mesh.
///
/// # Errors
/// When it cannot start, or not stop cleanly.
pub async fn one_process(listen: SocketAddr, admin_url: &str, key: PathBuf) -> anyhow::Result<()> {
    let telemetry = kefu_telemetry::init(&kefu_telemetry::TelemetryConfig {
        filter: LOG_FILTER.to_owned(),
        ..kefu_telemetry::TelemetryConfig::new("kefu")
    })?;
    let signal = kefu_rpc::shutdown_on_signal()?;
    let databases = Databases::provision(admin_url).await?;
    let listener = TcpListener::bind(listen).await?;
    let options = MeshOptions::new(databases, ClockSetting::System, key, listener);
    let mesh = Mesh::start(options).await?;
    tokio::select! {
        () = signal.cancelled() => {}
        () = mesh.broken() => {}
    }
    let outcome = mesh.stop().await;
    tokio::task::spawn_blocking(move || telemetry.shutdown()).await?;
    outcome
}

/// This program in another role, which ends with this one.
fn own_command(role: &str, listen: SocketAddr) -> anyhow::Result<Command> {
    let mut command = Command::new(this_program()?);
    command.arg(role).arg("--listen").arg(listen.to_string());
    command.arg("--with-parent").arg(std::process::id().to_string());
    // A Ctrl-C in the terminal goes to the whole group; who stops first is decided here.
    command.process_group(0).stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

/// The gateway says it for each context, as soon as it has heard it.
async fn wait_until_ready(address: SocketAddr) -> anyhow::Result<()> {
    use kefu_api::{customer, survey, ticket};
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    wait_until_listening(address).await?;
    let transport = kefu_rpc::Transport::remote(&format!("http://{address}"), &Default::default())?;
    let health = HealthClient::new(transport);
    for service in [
        customer::v1::customer_service_server::SERVICE_NAME,
        ticket::v1::ticket_service_server::SERVICE_NAME,
        survey::v1::survey_service_server::SERVICE_NAME,
    ] {
        crate::world::eventually("the mesh to be ready", || {
            let mut health = health.clone();
            async move {
                let request = HealthCheckRequest { service: service.to_owned() };
                match health.check(request).await?.get_ref().status() {
                    ServingStatus::Serving => Ok(()),
                    _ => Err(tonic::Status::unavailable("not serving yet")),
                }
            }
        })
        .await?;
    }
    Ok(())
}

async fn wait_until_listening(address: SocketAddr) -> anyhow::Result<()> {
    crate::world::eventually("a child to listen", || async {
        let connected = tokio::net::TcpStream::connect(address).await;
        connected.map(|_| ()).map_err(|error| tonic::Status::unavailable(error.to_string()))
    })
    .await
}

/// A port that nobody uses at this moment.
async fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    Ok(listener.local_addr()?)
}

/// Run by root, Postgres has another account, which must reach its own directory inside this one.
fn make_enterable(directory: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o711))?)
}
