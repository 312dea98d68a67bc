//! `reads`: what reading costs when there is much to read from (T-23), and whether creating and reading a ticket costs the
//! same then as with little.

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
}

/// Fills, measures and prints.
///
/// # Errors
/// When another benchmark runs, or something does not start or answer.
pub async fn run(args: &ReadsArgs) -> anyhow::Result<()> {
    let _lock = BenchmarkLock::take()?;
    let site = Site::open().await?;
    let ids = Arc::new(IdSource::new(Arc::new(SystemClock)));
    let mesh = site.start(MeshKind::OneProcess).await?;
    let client = target::client(&mesh.gateway, &site.token, 1)?;
    let mut world = World::make(&client, &ids, ROOT).await?;
    mesh.stop().await?;
    println!("filling with {} tickets", args.tickets);
    fill::fill(&site, i64::from(args.tickets), &world.org_units).await?;
    let all = u64::from(args.tickets);
    let every = (all / ASKED_FOR).max(1);
    world.tickets = (1..=all / every).map(|n| fill::name(n * every)).collect();
    let world = Arc::new(world);
    let mesh = site.start(MeshKind::OneProcess).await?;
    let client = target::client(&mesh.gateway, &site.token, args.connections)?;
    let caller = Caller::new(client, world, ids);
    let headings =
        ["call", "OK", "p50", "p90", "p99", "p99.9", "max", "failed, by status", "CPU", "others"];
    let mut table = Table::new(&headings);
    let scenarios = [
        Scenario::QueuePage,
        Scenario::TicketHistory,
        Scenario::Search,
        Scenario::GetTicket,
        Scenario::CreateTicket,
    ];
    for (number, scenario) in scenarios.into_iter().enumerate() {
        let (time, first) = (Duration::from_secs(args.seconds), u64::try_from(number)? << 32);
        let round = closed_loop::run(&caller, scenario, args.in_flight, time, first).await?;
        let Some(recorder) = &round.recorder else { continue };
        let mut cells = row(scenario.name(), recorder);
        cells.push(micros(round.cpu_us()));
        cells.push(format!("{:.0} %", round.spent.others() * 100.0));
        table.row(cells);
    }
    println!(
        "\n{} tickets, {} in flight; CPU is that of all processes for one call\n{}",
        args.tickets,
        args.in_flight,
        table.render()
    );
    mesh.stop().await?;
    site.close().await;
    Ok(())
}
