//! The four services as child processes of this program.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use kefu_postgres::ContextUrls;
use kefu_rpc::{ChannelOptions, Transport};
use kefu_service::ClockSetting;
use rustix::process::{
    Pid, Signal, getpid, getppid, kill_process, set_parent_process_death_signal,
};
use tokio::process::{Child, Command};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::database::ContextName;

/// How often a child that starts is asked whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// How long a child may take beyond its own drain timeout before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// What all children have in common.
#[derive(Clone, Debug)]
pub struct ChildOptions {
    /// The program `kefu`.
    pub program: PathBuf,
    /// The private key with which tokens are made and checked.
    pub key: PathBuf,
    /// The clock of each; a manual one is moved by the gateway's ClockService.
    pub clock: ClockSetting,
    /// Addresses of the contexts.
    pub customer: SocketAddr,
    /// Of the ticket context.
    pub ticket: SocketAddr,
    /// Of the survey context.
    pub survey: SocketAddr,
    /// Which log lines they write.
    pub log_filter: String,
    /// Where a collector takes OTLP, if anywhere.
    pub otlp_endpoint: Option<String>,
    /// The operator's file with the ways out, if there is one.
    pub delivery_file: Option<PathBuf>,
    /// Where the bytes of attachments are, if anywhere.
    pub attachment_store: Option<String>,
}

impl ChildOptions {
    /// Where a context listens.
    pub fn address_of(&self, context: ContextName) -> SocketAddr {
        match context {
            ContextName::Customer => self.customer,
            ContextName::Ticket => self.ticket,
            ContextName::Survey => self.survey,
        }
    }

    /// Starts a context. The kernel ends it when the calling *thread* ends, however that happens.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn context(
        &self,
        context: ContextName,
        listen: SocketAddr,
        urls: &ContextUrls,
    ) -> anyhow::Result<Service> {
        let mut command = self.command(context.as_str(), listen);
        command.env("KEFU_DATABASE_URL", &urls.application);
        command.env("KEFU_MIGRATION_DATABASE_URL", &urls.owner);
        Service::spawn(context.as_str(), command, listen)
    }

    /// Starts the gateway, in the same way.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn gateway(&self, listen: SocketAddr) -> anyhow::Result<Service> {
        Service::spawn("gateway", self.command("gateway", listen), listen)
    }

    fn command(&self, service: &str, listen: SocketAddr) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["serve", service, "--with-parent"]);
        command.arg(getpid().as_raw_nonzero().to_string());
        // Settings of this program's own surroundings must not leak into what it starts.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("KEFU_") {
                command.env_remove(name);
            }
        }
        command.env("KEFU_LISTEN", listen.to_string());
        command.env("KEFU_CLOCK", self.clock.to_string());
        command.env("KEFU_DEV_KEY_FILE", &self.key);
        command.env("KEFU_CUSTOMER_ADDRESS", format!("http://{}", self.customer));
        command.env("KEFU_TICKET_ADDRESS", format!("http://{}", self.ticket));
        command.env("KEFU_SURVEY_ADDRESS", format!("http://{}", self.survey));
        command.env("KEFU_LOG_FORMAT", "text").env("KEFU_LOG", &self.log_filter);
        if let Some(endpoint) = &self.otlp_endpoint {
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
        }
        if let Some(file) = &self.delivery_file {
            command.env("KEFU_DELIVERY_FILE", file);
        }
        if let Some(store) = &self.attachment_store {
            command.env("KEFU_ATTACHMENT_STORE", store);
        }
        // A Ctrl-C in the terminal goes to the whole group; who stops first is decided here.
        command.process_group(0).stdin(Stdio::null()).kill_on_drop(true);
        command
    }
}

/// For the child: to be told to stop when the parent ends.
///
/// # Errors
/// When the parent is gone already.
pub fn live_with(parent: i32) -> anyhow::Result<()> {
    set_parent_process_death_signal(Some(Signal::TERM)).context("watching the parent")?;
    // It may have gone in between, and then no signal comes.
    let present = getppid().map(Pid::as_raw_nonzero);
    anyhow::ensure!(
        present.is_some_and(|present| present.get() == parent),
        "whoever started this process is gone"
    );
    Ok(())
}

/// The program that is running, to start others of its kind.
///
/// # Errors
/// When the system does not tell.
pub fn this_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("finding this program")
}

/// A service as a child process. Dropping it kills it.
#[derive(Debug)]
pub struct Service {
    name: &'static str,
    child: Child,
    address: SocketAddr,
}

impl Service {
    fn spawn(
        name: &'static str,
        mut command: Command,
        address: SocketAddr,
    ) -> anyhow::Result<Self> {
        let program = Path::new(command.as_std().get_program()).display().to_string();
        let child = command.spawn().with_context(|| format!("starting {program}"))?;
        Ok(Service { name, child, address })
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// When it ends instead; it has said why.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let uri = format!("http://{}", self.address);
        let transport = Transport::remote(&uri, &ChannelOptions::default())?;
        let mut health = HealthClient::new(transport);
        loop {
            let answer = health.check(HealthCheckRequest::default()).await;
            if answer.is_ok_and(|answer| answer.get_ref().status() == ServingStatus::Serving) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait().context("watching a child")? {
                anyhow::bail!("the {} service ended at its start ({status})", self.name);
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Completes when it ends.
    ///
    /// # Errors
    /// When the system does not tell.
    pub async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        self.child.wait().await.with_context(|| format!("watching the {} service", self.name))
    }

    /// Stops it at once, as a crash would.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.with_context(|| format!("killing the {} service", self.name))
    }

    /// Tells it to stop and waits until it has.
    ///
    /// # Errors
    /// When it did not stop cleanly.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may just have ended by itself, which its status tells.
            kill_process(pid, Signal::TERM).ok();
        }
        let patience = Duration::from_secs(30) + GRACE;
        match tokio::time::timeout(patience, self.child.wait()).await {
            Ok(status) => {
                let status = status?;
                anyhow::ensure!(status.success(), "the {} service ended with {status}", self.name);
                Ok(())
            }
            Err(_) => {
                self.child.kill().await?;
                anyhow::bail!("the {} service did not stop in time and was killed", self.name)
            }
        }
    }
}
