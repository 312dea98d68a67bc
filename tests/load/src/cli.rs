//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;
use kefu_clock::{IdSource, SystemClock};

use crate::open_loop::{OpenLoop, Report};
use crate::recorder::Recorder;
use crate::scenario::{Caller, Scenario};
use crate::schedule::Schedule;
use crate::site::{ROOT, Site};
use crate::table::{Table, millis, thousands};
use crate::world::World;
use crate::{bare, memory, reads, site, target, timers, versus};

/// Measures Kefu: under load, against pgbench, at rest. Calls nothing but this machine, and stops by itself.
#[derive(Debug, Parser)]
#[command(name = "kefu-load", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Call at a constant rate and show the latencies.
    Run(RunArgs),
    /// Compare with pgbench and the same statements, in alternating rounds.
    VsPgbench(VersusArgs),
    /// Fill a database with tickets and show the latencies of reading from it.
    Reads(reads::ReadsArgs),
    /// Show the memory of the services at rest.
    IdleMemory(MemoryArgs),
    /// Let very many deadlines fall due within a short time, with two replicas, and kill one of them half way.
    Timers(TimersArgs),
    /// The mesh that is measured, as a child of this program.
    #[command(hide = true)]
    OneProcess(ChildArgs),
    /// The server that reads are compared with, as a child of this program.
    #[command(hide = true)]
    Bare(ChildArgs),
}

/// How to call at a constant rate.
#[derive(Debug, Args)]
struct RunArgs {
    /// What to call.
    #[arg(long, value_enum, default_value_t = Scenario::Mix)]
    scenario: Scenario,
    /// Calls per second.
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    /// For how long, e.g. `30s`; at most 1 hour.
    #[arg(long, default_value = "15s", value_parser = duration)]
    duration: Duration,
    /// How much of that, at the beginning, is not recorded.
    #[arg(long, default_value = "3s", value_parser = duration)]
    warm_up: Duration,
    /// No more calls than this.
    #[arg(long)]
    count: Option<u64>,
    /// No more calls than this at once; calls that are due meanwhile are dropped and counted.
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_in_flight: u32,
    /// Over how many connections the calls are spread.
    #[arg(long, default_value_t = 4, value_parser = connections)]
    connections: usize,
    /// Start a mesh for this, with a Postgres of its own.
    #[arg(long, value_enum, conflicts_with = "gateway")]
    mesh: Option<MeshKind>,
    /// Call the gateway of a mesh that runs, e.g. http://127.0.0.1:50050.
    #[arg(long, requires = "token_file")]
    gateway: Option<String>,
    /// The file with the token for that.
    #[arg(long)]
    token_file: Option<PathBuf>,
    /// The org unit of that mesh below which the org units of the load test are made.
    #[arg(long, default_value = ROOT)]
    org_unit: String,
}

/// How to compare with pgbench.
#[derive(Debug, Args)]
pub struct VersusArgs {
    /// Which mesh.
    #[arg(long, value_enum, default_value_t = Meshes::Both)]
    pub mesh: Meshes,
    /// What to compare.
    #[arg(long, value_enum, default_value_t = Operations::Both)]
    pub only: Operations,
    /// How many calls at once, and how many clients pgbench has.
    #[arg(long, value_delimiter = ',', default_values_t = [8, 32, 64])]
    pub in_flight: Vec<usize>,
    /// How many rounds of each.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// How long each round takes, in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// How many tickets there are to read.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub tickets: u64,
    /// Over how many connections the calls are spread.
    #[arg(long, default_value_t = 4, value_parser = connections)]
    pub connections: usize,
}

/// How to look at memory.
#[derive(Debug, Args)]
pub struct MemoryArgs {
    /// Which mesh.
    #[arg(long, value_enum, default_value_t = Meshes::Both)]
    pub mesh: Meshes,
    /// How many calls are made before the second look.
    #[arg(long, default_value_t = 1_000)]
    pub calls: u64,
}

/// How many deadlines, and how close together.
#[derive(Debug, Args)]
pub struct TimersArgs {
    /// How many tickets, each with one deadline.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub clocks: u64,
    /// Within what time they fall due, e.g. `60s`; at most 1 hour.
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub within: Duration,
    /// Kill nobody.
    #[arg(long)]
    pub keep_both: bool,
}

#[derive(Debug, Args)]
struct ChildArgs {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    with_parent: i32,
    #[arg(long)]
    key: Option<PathBuf>,
    #[arg(long, env = "KEFU_LOAD_ADMIN_URL", hide_env_values = true)]
    admin_url: Option<String>,
    #[arg(long, env = "KEFU_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
}

/// How the services run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MeshKind {
    /// All in one process, as `kefu up`.
    OneProcess,
    /// A process each.
    Processes,
}

impl MeshKind {
    /// For tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::OneProcess => "one process",
            Self::Processes => "four processes",
        }
    }
}

/// Which meshes to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Meshes {
    /// All services in one process.
    OneProcess,
    /// A process each.
    Processes,
    /// One after the other.
    Both,
}

impl Meshes {
    /// One by one.
    pub fn kinds(self) -> impl Iterator<Item = MeshKind> {
        let kinds = [
            (self != Self::Processes).then_some(MeshKind::OneProcess),
            (self != Self::OneProcess).then_some(MeshKind::Processes),
        ];
        kinds.into_iter().flatten()
    }
}

/// What is compared with pgbench.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Register a ticket.
    Create,
    /// Read a ticket.
    Get,
}

impl Operation {
    /// For tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create ticket",
            Self::Get => "get ticket",
        }
    }
}

/// Which operations to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Operations {
    /// Register a ticket.
    Create,
    /// Read a ticket.
    Get,
    /// One after the other.
    Both,
}

impl VersusArgs {
    /// One by one.
    pub fn operations(&self) -> impl Iterator<Item = Operation> {
        let operations = [
            (self.only != Operations::Get).then_some(Operation::Create),
            (self.only != Operations::Create).then_some(Operation::Get),
        ];
        operations.into_iter().flatten()
    }
}

/// Reads the command line and does what it says.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    // The generator has one processor and no more, so that the mesh has the rest; a server takes what it gets.
    let mut runtime = match cli.command {
        Command::OneProcess(_) | Command::Bare(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let outcome = runtime
        .enable_all()
        .build()
        .context("starting the runtime")
        .and_then(|runtime| runtime.block_on(Box::pin(command(cli.command))));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kefu-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn command(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(args) => until_told(Box::pin(load(&args))).await,
        // Boxed: it holds the world that it measures.
        Command::VsPgbench(args) => until_told(Box::pin(versus::run(&args))).await,
        Command::Reads(args) => until_told(Box::pin(reads::run(&args))).await,
        Command::IdleMemory(args) => until_told(Box::pin(memory::run(&args))).await,
        Command::Timers(args) => until_told(Box::pin(timers::run(&args))).await,
        Command::OneProcess(args) => {
            kefu::children::live_with(args.with_parent)?;
            let admin_url = args.admin_url.context("KEFU_LOAD_ADMIN_URL is missing")?;
            let key = args.key.context("--key is missing")?;
            site::one_process(args.listen, &admin_url, key).await
        }
        Command::Bare(args) => {
            kefu::children::live_with(args.with_parent)?;
            let url = args.database_url.context("KEFU_DATABASE_URL is missing")?;
            bare::serve(args.listen, &url).await
        }
    }
}

/// Ends early on Ctrl-C and SIGTERM; dropping the work ends its children.
async fn until_told(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let told = kefu_rpc::shutdown_on_signal()?;
    tokio::select! {
        outcome = work => outcome,
        () = told.cancelled() => anyhow::bail!("told to stop"),
    }
}

async fn load(args: &RunArgs) -> anyhow::Result<()> {
    let schedule = Schedule::new(args.rate, args.duration, args.count)?;
    anyhow::ensure!(args.warm_up < args.duration, "the warm-up takes all of the time");
    if let Some(gateway) = &args.gateway {
        let token = args.token_file.as_deref().context("--token-file is missing")?;
        return measure(args, schedule, gateway, &target::read_token(token)?).await;
    }
    let site = Site::open().await?;
    let mesh = site.start(args.mesh.unwrap_or(MeshKind::OneProcess)).await?;
    measure(args, schedule, &mesh.gateway, &site.token).await?;
    mesh.stop().await?;
    site.close().await;
    Ok(())
}

async fn measure(
    args: &RunArgs,
    schedule: Schedule,
    gateway: &str,
    token: &str,
) -> anyhow::Result<()> {
    let client = target::client(gateway, token, args.connections)?;
    let ids = Arc::new(IdSource::new(Arc::new(SystemClock)));
    let world = World::make(&client, &ids, &args.org_unit).await?;
    let caller = Caller::new(client, Arc::new(world), ids);
    let max_in_flight = usize::try_from(args.max_in_flight)?;
    let run = OpenLoop { schedule, warm_up: args.warm_up, max_in_flight };
    let report = run.run(caller, args.scenario).await?;
    print(args.scenario, &schedule, &report)
}

fn print(scenario: Scenario, schedule: &Schedule, report: &Report) -> anyhow::Result<()> {
    let rate = thousands(schedule.rate());
    println!(
        "{}: {rate} calls per second asked, {} answered OK",
        scenario.name(),
        thousands(report.achieved())
    );
    let mut table =
        Table::new(&["call", "OK", "p50", "p90", "p99", "p99.9", "max", "failed, by status"]);
    let mut all = Recorder::new()?;
    for (scenario, recorder) in &report.by_scenario {
        all.merge(recorder)?;
        table.row(row(scenario.name(), recorder));
    }
    if report.by_scenario.len() > 1 {
        table.row(row("all", &all));
    }
    println!("{}", table.render());
    println!("others used {:.0} % of the machine", report.spent.others() * 100.0);
    for suspicion in report.suspicions() {
        println!("WARNING: {suspicion}");
    }
    Ok(())
}

/// A line of a latency table.
#[allow(clippy::cast_precision_loss, reason = "a count")]
pub fn row(name: &str, recorder: &Recorder) -> Vec<String> {
    let mut cells = vec![name.to_owned(), thousands(recorder.succeeded() as f64)];
    match recorder.latencies() {
        Some(found) => {
            cells.extend([found.p50, found.p90, found.p99, found.p999, found.max].map(millis));
        }
        None => cells.extend(std::iter::repeat_n(String::new(), 5)),
    }
    let failures = recorder.failures().iter().map(|(code, count)| format!("{code} {count}"));
    cells.push(failures.collect::<Vec<_>>().join(", "));
    cells
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|d| Duration::try_from(d).ok());
    parsed
        .filter(|duration| *duration <= Duration::from_secs(3_600))
        .ok_or_else(|| "must be a duration like `30s`, at most 1 hour".to_owned())
}

pub(crate) fn connections(text: &str) -> Result<usize, String> {
    let parsed = text.parse().ok().filter(|count| (1..=1_000).contains(count));
    parsed.ok_or_else(|| "must be a number from 1 to 1000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_and_bounded() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
        let parse = |args: &[&str]| Cli::try_parse_from([&["kefu-load"], args].concat());
        assert!(parse(&["run", "--rate", "10", "--duration", "1m"]).is_ok());
        assert!(parse(&["run", "--duration", "2h"]).is_err());
        assert!(parse(&["run", "--gateway", "http://127.0.0.1:1"]).is_err(), "without a token");
        assert!(parse(&["run", "--mesh", "processes", "--gateway", "http://127.0.0.1:1"]).is_err());
        let parsed = parse(&["vs-pgbench", "--in-flight", "4,16", "--only", "get"]).unwrap();
        let Command::VsPgbench(args) = parsed.command else { panic!("another command") };
        assert_eq!(args.in_flight, [4, 16]);
        assert!(args.operations().eq([Operation::Get]));
        assert!(args.mesh.kinds().eq([MeshKind::OneProcess, MeshKind::Processes]));
    }
}
