//! `timers`: very many deadlines within a short time, with two replicas of the ticket context, one of which is killed in the
//! middle (T-07).

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use kefu_clock::{Clock as _, IdSource, SystemClock};
use sqlx::{Connection as _, PgConnection};

use crate::cli::{MeshKind, TimersArgs};
use crate::lock::BenchmarkLock;
use crate::scenario::{Caller, Scenario};
use crate::site::{DATABASE, ROOT, Site};
use crate::table::{Table, millis, thousands};
use crate::target;
use crate::world::World;

/// Tickets that are registered at once.
const IN_FLIGHT: usize = 64;
/// How long before the first deadline the deadlines are set: writing them takes its time.
const NOTICE: Duration = Duration::from_secs(15);
/// How long after the last deadline there may still be something to do, before this gives up.
const PATIENCE: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The promise that is broken.
const RULE: &str = "first-response";

/// What became of the deadlines.
#[derive(Debug)]
struct Outcome {
    breached: i64,
    doubled: i64,
    violations: i64,
    /// Of when it was recorded after the deadline, in seconds: half of them, 99 of 100, all.
    lag: [f64; 3],
    /// From the first deadline to the last record, in seconds.
    took: f64,
}

/// Registers the tickets, makes their first deadlines fall due evenly within the time, kills a replica half way, and waits
/// until all is done.
///
/// # Errors
/// When another benchmark runs, something does not start, or not every deadline was recorded once.
pub async fn run(args: &TimersArgs) -> anyhow::Result<()> {
    let _lock = BenchmarkLock::take()?;
    let site = Site::open().await?;
    let mesh = site.start(MeshKind::Processes).await?;
    let second = site.start_ticket_replica(&mesh).await?;
    let client = target::client(&mesh.gateway, &site.token, 4)?;
    let ids = Arc::new(IdSource::new(Arc::new(SystemClock)));
    let world = Arc::new(World::make(&client, &ids, ROOT).await?);
    let caller = Caller::new(client, Arc::clone(&world), ids);
    println!("registering {} tickets", thousands(args.clocks as f64));
    let registered = futures::stream::iter(0..args.clocks)
        .map(|number| caller.call(Scenario::CreateTicket, number))
        .buffer_unordered(IN_FLIGHT);
    let registered = registered.try_collect::<Vec<()>>().await;
    registered.map_err(|code| anyhow::anyhow!("a registration failed: {code:?}"))?;

    let mut database = PgConnection::connect(&site.admin_url(DATABASE)).await?;
    sqlx::query("SET search_path = ticket").execute(&mut database).await?;
    let first = SystemClock.now() + NOTICE;
    let clocks = set_deadlines(&mut database, first, args.within).await?;
    println!("{} deadlines within {} s", thousands(clocks as f64), args.within.as_secs());
    let half = NOTICE + args.within / 2;
    let killed = async {
        tokio::time::sleep(half).await;
        if args.keep_both {
            return Ok(Some(second));
        }
        println!("killing one of the two replicas");
        second.kill().await.map(|()| None)
    };
    let (second, done) = tokio::join!(killed, wait_until_done(&mut database, half, args.within));
    done?;
    let outcome = outcome(&mut database, first).await?;
    show(clocks, &outcome);
    if let Some(second) = second? {
        second.stop().await?;
    }
    mesh.stop().await?;
    site.close().await;
    ensure!(outcome.breached == clocks, "of {clocks} deadlines {} were recorded", outcome.breached);
    ensure!(outcome.doubled == 0, "{} were recorded twice", outcome.doubled);
    ensure!(outcome.violations == clocks, "{} violations were proposed", outcome.violations);
    Ok(())
}

/// Makes the running first deadlines fall due one after the other; warnings that would come before are left out.
async fn set_deadlines(
    database: &mut PgConnection,
    first: Timestamp,
    within: Duration,
) -> anyhow::Result<i64> {
    let count: i64 = sqlx::query_scalar(
        "WITH place AS (
             SELECT ticket_id, cycle, rule, round,
                    $2::timestamptz + (row_number() OVER (ORDER BY ticket_id) - 1) * $3::float8 * interval '1 second'
                        / count(*) OVER () AS due
             FROM ticket_clock WHERE rule = $1 AND state = 'running'
         ), moved AS (
             UPDATE ticket_clock AS clock SET due_at = due, warn_at = NULL, next_fire_at = due
             FROM place
             WHERE (clock.ticket_id, clock.cycle, clock.rule, clock.round)
                 = (place.ticket_id, place.cycle, place.rule, place.round)
             RETURNING 1
         )
         SELECT count(*) FROM moved",
    )
    .bind(RULE)
    .bind(first.to_sqlx())
    .bind(within.as_secs_f64())
    .fetch_one(&mut *database)
    .await
    .context("setting the deadlines")?;
    sqlx::query("VACUUM ANALYZE ticket_clock").execute(database).await?;
    Ok(count)
}

/// Looks seldom before the end, so that looking costs nothing.
async fn wait_until_done(
    database: &mut PgConnection,
    half: Duration,
    within: Duration,
) -> anyhow::Result<()> {
    tokio::time::sleep(half + within / 2).await;
    let began = kefu_clock::monotonic();
    loop {
        let waits: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM ticket_clock WHERE rule = $1 AND state = 'running'
                            AND next_fire_at <= now())",
        )
        .bind(RULE)
        .fetch_one(&mut *database)
        .await?;
        if !waits {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "the timers are {PATIENCE:?} behind");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What the journal and the ledger tell.
async fn outcome(database: &mut PgConnection, first: Timestamp) -> anyhow::Result<Outcome> {
    let (breached, doubled, lag, took): (i64, i64, Vec<f64>, f64) = sqlx::query_as(
        "WITH breach AS (
             SELECT journal.aggregate_id, journal.occurred_at, clock.due_at
             FROM journal JOIN ticket_clock AS clock ON clock.ticket_id = journal.aggregate_id AND clock.rule = $1
             WHERE journal.action = 'BreachClock'
         )
         SELECT count(*), count(*) - count(DISTINCT aggregate_id),
                percentile_disc(ARRAY[0.5, 0.99, 1.0]) WITHIN GROUP (
                    ORDER BY extract(epoch FROM occurred_at - due_at)::float8),
                extract(epoch FROM max(occurred_at) - $2)::float8
         FROM breach",
    )
    .bind(RULE)
    .bind(first.to_sqlx())
    .fetch_one(&mut *database)
    .await?;
    let violations = sqlx::query_scalar("SELECT count(*) FROM violation");
    let violations = violations.fetch_one(database).await?;
    let lag = <[f64; 3]>::try_from(lag).map_err(|_| anyhow::anyhow!("nothing was recorded"))?;
    Ok(Outcome { breached, doubled, violations, lag, took })
}

#[allow(clippy::cast_precision_loss, reason = "a count")]
fn show(clocks: i64, outcome: &Outcome) {
    let headings =
        ["deadlines", "recorded", "twice", "lag p50", "lag p99", "lag max", "all done after"];
    let mut table = Table::new(&headings);
    let mut row: Vec<_> =
        [clocks, outcome.breached, outcome.doubled].map(|n| thousands(n as f64)).into();
    row.extend(outcome.lag.map(|lag| millis(Duration::from_secs_f64(lag.max(0.0)))));
    row.push(format!("{:.1} s", outcome.took));
    table.row(row);
    println!("{}", table.render());
    println!("aims: lag p99 below 2 s, none lost, none twice");
}
