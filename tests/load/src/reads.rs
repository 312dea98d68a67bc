//! `reads`: what reading costs when there is much to read from (T-23), and whether creating and reading a ticket costs the
//! same then as with little.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use kefu_clock::{IdSource, SystemClock};

use crate::cli::{MeshKind, connections, row};
use crate::closed_loop;
use crate::fill;
use crate::lock::BenchmarkLock;
use crate::scenario::{Caller, Scenario};
use crate::site::{ROOT, Site};
use crate::table::{Table, micros};
use crate::target;
use crate::world::World;

/// So many different tickets are asked for.
const ASKED_FOR: u64 = 50_000;

/// How to read, and from how much.
#[derive(Debug, Args)]
pub struct ReadsArgs {
    /// How many tickets there are; each with five messages, three clocks and four rows of history.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1_000..=5_000_000))]
    tickets: u32,
    /// How many calls at once.
    #[arg(long, default_value_t = 32)]
    in_flight: usize,
    /// How long each kind of call is measured, in seconds.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Over how many connections the calls are spread.
    #[arg(long, default_value_t = 4, value_parser = connections)]
    connections: usize,
    /// Measure only these kinds of call.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// Keep the database in this directory, and take it from there where an earlier run has filled it. Then nothing is created
    /// unless `--only` names it: what is measured later would be measured on something else.
    #[arg(long, value_name = "DIRECTORY")]
    keep: Option<PathBuf>,
}

/// What is measured, and how many calls at once; none for as many as asked for.
const MEASURED: [(Scenario, Option<usize>); 7] = [
    (Scenario::QueuePage, None),
    (Scenario::TicketHistory, None),
    (Scenario::Search, None),
    (Scenario::GetTicket, None),
    (Scenario::ReportOrgUnit, Some(1)),
    (Scenario::ReportCompany, Some(1)),
    // Last, for it writes.
    (Scenario::CreateTicket, None),
];

/// Fills, measures and prints.
///
/// # Errors
/// When another benchmark runs, or something does not start or answer.
pub async fn run(args: &ReadsArgs) -> anyhow::Result<()> {
    let _lock = BenchmarkLock::take()?;
    let site = match &args.keep {
        Some(directory) => Site::open_at(directory).await?,
        None => Site::open().await?,
    };
    let ids = Arc::new(IdSource::new(Arc::new(SystemClock)));
    let mesh = site.start(MeshKind::OneProcess).await?;
    let client = target::client(&mesh.gateway, &site.token, 1)?;
    let mut world = World::make(&client, &ids, ROOT).await?;
    mesh.stop().await?;
    match fill::filled(&site).await? {
        None => {
            println!("filling with {} tickets", args.tickets);
            fill::fill(&site, i64::from(args.tickets), &world.org_units).await?;
        }
        Some(there) => anyhow::ensure!(
            there == u64::from(args.tickets),
            "the kept database has {there} tickets, not {}",
            args.tickets
        ),
    }
    let all = u64::from(args.tickets);
    let every = (all / ASKED_FOR).max(1);
    world.tickets = (1..=all / every).map(|n| fill::name(n * every)).collect();
    let world = Arc::new(world);
    let mesh = site.start(MeshKind::OneProcess).await?;
    let client = target::client(&mesh.gateway, &site.token, args.connections)?;
    let caller = Caller::new(client, world, ids);
    let headings = [
        "call",
        "in flight",
        "OK",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max",
        "failed, by status",
        "CPU",
        "others",
    ];
    let mut table = Table::new(&headings);
    let measured = MEASURED.into_iter().filter(|(scenario, _)| match args.only.as_slice() {
        [] => args.keep.is_none() || *scenario != Scenario::CreateTicket,
        only => only.contains(scenario),
    });
    for (number, (scenario, in_flight)) in measured.enumerate() {
        let (time, first) = (Duration::from_secs(args.seconds), u64::try_from(number)? << 32);
        let in_flight = in_flight.unwrap_or(args.in_flight);
        let round = closed_loop::run(&caller, scenario, in_flight, time, first).await?;
        let Some(recorder) = &round.recorder else { continue };
        let mut cells = row(scenario.name(), recorder);
        cells.insert(1, in_flight.to_string());
        cells.push(micros(round.cpu_us()));
        cells.push(format!("{:.0} %", round.spent.others() * 100.0));
        table.row(cells);
    }
    println!(
        "\n{} tickets; CPU is that of all processes for one call\n{}",
        args.tickets,
        table.render()
    );
    mesh.stop().await?;
    site.close().await;
    Ok(())
}
