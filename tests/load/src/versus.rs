//! `vs-pgbench`: the mesh against pgbench with the same statements, in alternating rounds of one run.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use kefu_api::ticket::v1::GetTicketRequest;
use kefu_clock::{IdSource, SystemClock};
use sqlx::{Connection as _, PgConnection};

use crate::cli::{MeshKind, Operation, VersusArgs};
use crate::closed_loop::{self, Round};
use crate::lock::BenchmarkLock;
use crate::pgbench::Pgbench;
use crate::scenario::{Caller, Scenario};
use crate::site::{COPY, DATABASE, ROOT, Site};
use crate::stats::{median, median_ratio};
use crate::table::{Table, micros, millis, ratio, thousands};
use crate::target;
use crate::world::World;

/// The share of the machine that others may use before the figures are called disturbed.
const TOLERABLE_OTHERS: f64 = 0.05;

/// The rounds of one operation at one number of calls in flight.
#[derive(Default)]
struct Rounds {
    pgbench: Vec<Round>,
    bare: Vec<Round>,
    grpc: Vec<Round>,
}

/// Runs the comparison and prints what it shows.
///
/// # Errors
/// When another benchmark runs, or something does not start, answer or agree.
pub async fn run(args: &VersusArgs) -> anyhow::Result<()> {
    let _lock = BenchmarkLock::take()?;
    let site = Site::open().await?;
    println!("Postgres {}", version(&site).await?);
    println!("{} processors", std::thread::available_parallelism()?);
    println!("preparing: {} tickets to read", thousands(args.tickets as f64));
    let (world, original, mut copy) = prepare(&site, args).await?;
    let world = Arc::new(world);
    let mut summary = Table::new(&["operation", "mesh", "in flight", "to pgbench", "to bare"]);
    let mut disturbed = Vec::new();
    let mut reader = original;
    let mut calls = 1;
    for kind in args.mesh.kinds() {
        let mesh = site.start(kind).await?;
        let client = target::client(&mesh.gateway, &site.token, args.connections)?;
        let (bare_server, bare_address) = site.start_bare().await?;
        let bare = target::client(&bare_address, &site.token, args.connections)?;
        same_answer(&client, &bare, &world).await?;
        let ids = Arc::new(IdSource::new(Arc::new(SystemClock)));
        let mesh_caller = Caller::new(client, Arc::clone(&world), Arc::clone(&ids));
        let bare_caller = Caller::new(bare, Arc::clone(&world), ids);
        for operation in args.operations() {
            for &in_flight in &args.in_flight {
                let mut rounds = Rounds::default();
                for _ in 0..args.rounds {
                    let time = Duration::from_secs(args.seconds);
                    let mut grpc = async |caller: &Caller, scenario| {
                        calls += 1;
                        closed_loop::run(caller, scenario, in_flight, time, calls << 32).await
                    };
                    match operation {
                        Operation::Create => {
                            rounds.pgbench.push(copy.create(in_flight, time).await?);
                            rounds.grpc.push(grpc(&mesh_caller, Scenario::CreateTicket).await?);
                        }
                        Operation::Get => {
                            rounds.pgbench.push(reader.get(in_flight, time).await?);
                            rounds.bare.push(grpc(&bare_caller, Scenario::GetTicket).await?);
                            rounds.grpc.push(grpc(&mesh_caller, Scenario::GetTicket).await?);
                        }
                    }
                }
                rounds.print(operation, kind, in_flight);
                summary.row(rounds.summary(operation, kind, in_flight));
                disturbed.extend(rounds.disturbance());
                rounds.ensure_sound()?;
            }
        }
        crate::site::stop_child(bare_server).await?;
        mesh.stop().await?;
    }
    println!("\nratios of rates, median of {} rounds\n{}", args.rounds, summary.render());
    if let Some(most) = disturbed.into_iter().reduce(f64::max) {
        println!(
            "WARNING: others used up to {:.0} % of the machine during a round: measure again when it is quiet",
            most * 100.0
        );
    }
    site.close().await;
    Ok(())
}

/// Makes the world and the tickets to read, and a copy of the database for pgbench to write to: what it writes in there
/// gives the mesh's feeds nothing to do.
async fn prepare(site: &Site, args: &VersusArgs) -> anyhow::Result<(World, Pgbench, Pgbench)> {
    let mesh = site.start(MeshKind::OneProcess).await?;
    let client = target::client(&mesh.gateway, &site.token, 1)?;
    let ids = IdSource::new(Arc::new(SystemClock));
    let mut world = World::make(&client, &ids, ROOT).await?;
    mesh.stop().await?;
    let sample = world.tickets.last().context("the world has no ticket")?.clone();
    let mut pgbench = Pgbench::prepare(site, DATABASE, &sample).await?;
    world.tickets = pgbench.fill(args.tickets).await?;
    let mut admin = PgConnection::connect(&site.admin_url("postgres")).await?;
    let statement = format!("CREATE DATABASE {COPY} TEMPLATE {DATABASE}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut admin).await?;
    admin.close().await?;
    for database in [DATABASE, COPY] {
        let mut connection = PgConnection::connect(&site.admin_url(database)).await?;
        sqlx::raw_sql("VACUUM ANALYZE").execute(&mut connection).await?;
        connection.close().await?;
    }
    let copy = pgbench.against(site, COPY);
    Ok((world, pgbench, copy))
}

/// The bare server is a reference only if it answers the same.
async fn same_answer(
    mesh: &kefu::client::Client,
    bare: &kefu::client::Client,
    world: &World,
) -> anyhow::Result<()> {
    let name = world.tickets.first().context("there are no tickets")?;
    let request = || GetTicketRequest { name: name.clone() };
    let one = mesh.tickets().get_ticket(request()).await?.into_inner();
    let other = bare.tickets().get_ticket(request()).await?.into_inner();
    ensure!(one == other, "the mesh and the bare server answer differently:\n{one:?}\n{other:?}");
    Ok(())
}

async fn version(site: &Site) -> anyhow::Result<String> {
    let mut connection = PgConnection::connect(&site.admin_url("postgres")).await?;
    let sql = "SELECT current_setting('server_version') || ', fsync ' || current_setting('fsync') \
               || ', synchronous_commit ' || current_setting('synchronous_commit')";
    let version = sqlx::query_scalar(sql).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(version)
}

impl Rounds {
    fn print(&self, operation: Operation, kind: MeshKind, in_flight: usize) {
        println!("\n{}, {}, {in_flight} in flight", operation.name(), kind.name());
        let mut table = Table::new(&[
            "",
            "per second",
            "CPU µs per operation",
            "of which",
            "p50",
            "p99",
            "others",
        ]);
        let kinds = [("pgbench", &self.pgbench), ("bare", &self.bare), ("gRPC", &self.grpc)];
        for (name, rounds) in kinds {
            for round in rounds {
                let latencies =
                    round.recorder.as_ref().and_then(crate::recorder::Recorder::latencies);
                table.row(vec![
                    name.to_owned(),
                    thousands(round.rate()),
                    micros(round.cpu_us()),
                    shares(round),
                    latencies.map(|l| millis(l.p50)).unwrap_or_default(),
                    latencies.map(|l| millis(l.p99)).unwrap_or_default(),
                    format!("{:.0} %", round.spent.others() * 100.0),
                ]);
            }
        }
        println!("{}", table.render());
    }

    fn summary(&self, operation: Operation, kind: MeshKind, in_flight: usize) -> Vec<String> {
        let to = |reference: &[Round]| {
            let rates = self.grpc.iter().zip(reference).map(|(a, b)| (a.rate(), b.rate()));
            median_ratio(&rates.collect::<Vec<_>>()).map(ratio).unwrap_or_default()
        };
        vec![
            operation.name().to_owned(),
            kind.name().to_owned(),
            in_flight.to_string(),
            to(&self.pgbench),
            to(&self.bare),
        ]
    }

    /// How much others used at the median round, if that is too much.
    fn disturbance(&self) -> Option<f64> {
        let all = self.pgbench.iter().chain(&self.bare).chain(&self.grpc);
        let others: Vec<f64> = all.map(|round| round.spent.others()).collect();
        median(&others).filter(|others| *others > TOLERABLE_OTHERS)
    }

    /// A call that was refused is cheaper than one that was answered.
    fn ensure_sound(&self) -> anyhow::Result<()> {
        for round in self.grpc.iter().chain(&self.bare) {
            let failures = round.recorder.as_ref().map(crate::recorder::Recorder::failures);
            if let Some(failures) = failures.filter(|failures| !failures.is_empty()) {
                anyhow::bail!("calls failed: {failures:?}");
            }
        }
        Ok(())
    }
}

/// Who used the processors, in µs per operation, the greediest first.
#[allow(clippy::cast_precision_loss, reason = "microseconds of a benchmark")]
fn shares(round: &Round) -> String {
    let operations = round.operations.max(1) as f64;
    let mut groups: Vec<_> = round.spent.by_group.iter().collect();
    groups.sort_by_key(|(_, micros)| std::cmp::Reverse(**micros));
    let shares = groups.into_iter().map(|(group, micros)| {
        let group = if group == "ended" { "pgbench" } else { group };
        (group, *micros as f64 / operations)
    });
    let shares = shares.filter(|(_, micros)| *micros >= 0.5);
    shares.map(|(group, micros)| format!("{group} {micros:.0}")).collect::<Vec<_>>().join(", ")
}
