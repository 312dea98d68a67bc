//! `kefu replay`: years of real complaints in a minute.
//!
//! A file is read by a column [`mapping`], its rows become cases ([`read`]), the cases become calls through the gateway on a
//! manual clock ([`run`]), and the numbers come from the ticket context's own report ([`table`]).

pub mod mapping;
pub mod read;
pub mod run;
pub mod table;

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use kefu_clock::{Clock as _, IdSource, ManualClock, SharedClock, SystemClock, monotonic};
use kefu_identity::{Caller, Minter, OrgUnit, role};
use kefu_postgres::{PrivateCluster, PrivateClusterOptions};
use tokio::net::TcpListener;

use crate::client::Client;
use crate::database::Databases;
use crate::home::Home;
use crate::mesh::{Mesh, MeshOptions};

use self::mapping::Plan;
use self::read::Input;
use self::run::{Callers, Replayed};
use self::table::{Table, grouped};

/// A replay plays over many years, and a token must not expire in the middle.
const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_hours(50 * 366 * 24);

/// The longest name of a caller that is taken over from a file.
const MAX_SUBJECT: usize = 100;

/// What to replay, and where.
#[derive(Clone, Debug, clap::Args)]
pub struct ReplayArgs {
    /// The file: CSV with a header.
    pub file: PathBuf,

    /// How its columns become tickets (YAML); without one, as a file of complaints with one row each.
    #[arg(long)]
    pub mapping: Option<PathBuf>,

    /// Where the tickets go, instead of the org unit that the mapping names.
    #[arg(long)]
    pub org_unit: Option<OrgUnit>,

    /// The gateway of a mesh that was started with a manual clock, instead of a mesh made for this replay alone.
    #[arg(long, requires = "token")]
    pub gateway: Option<String>,

    /// The token for that gateway: roles admin, clerk, handler and operator at the root of the org unit, valid as long as
    /// the file plays.
    #[arg(long, env = "KEFU_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

/// Replays a file and prints the table.
///
/// # Errors
/// When the file or the mapping as a whole cannot be read, or the mesh cannot go on.
pub async fn command(args: ReplayArgs) -> anyhow::Result<()> {
    let mut plan = Plan::load(args.mapping.as_deref())?;
    if let Some(org_unit) = args.org_unit {
        plan.org_unit = org_unit;
    }
    let name = args.file.display().to_string();
    let file = File::open(&args.file).with_context(|| name.clone())?;
    let input = read::read(BufReader::new(file), &plan).with_context(|| name.clone())?;
    let began = monotonic();
    let progress = progress();
    let replayed = match (&args.gateway, &args.token) {
        (Some(gateway), Some(token)) => {
            let ids = IdSource::new(Arc::new(SystemClock));
            let mut client = Client::new(gateway, token)?;
            Box::pin(run::replay(&input, &plan, &mut client, &ids, &progress)).await?
        }
        _ => Box::pin(alone(&input, &plan, &progress)).await?,
    };
    print(&name, &plan, &input, &replayed, began.elapsed().as_secs_f64());
    Ok(())
}

fn print(name: &str, plan: &Plan, input: &Input, replayed: &Replayed, seconds: f64) {
    let rules = plan.pack.ticket.iter().flat_map(|policy| &policy.clocks);
    let table = Table::new(replayed, rules.map(|rule| rule.name.as_str()));
    let rows = i64::try_from(input.rows).unwrap_or(i64::MAX);
    println!("{name}: {} rows, {} cases", grouped(rows), grouped(input.cases.len() as i64));
    if let Some((first, last)) = replayed.span {
        let day = |at: Timestamp| at.to_zoned(plan.time_zone.clone()).date();
        let passed = i64::try_from(replayed.deadlines).unwrap_or(i64::MAX);
        println!(
            "{} to {} in {seconds:.1} s; {} promises fell due on the way\n",
            day(first),
            day(last),
            grouped(passed)
        );
    }
    print!("{table}");
    if input.without_effect > 0 {
        let events = i64::try_from(input.without_effect).unwrap_or(i64::MAX);
        println!("  {:<34}{}", "events without effect", grouped(events));
    }
}

fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} · {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Replays on a mesh of its own, which leaves nothing behind.
async fn alone(input: &Input, plan: &Plan, progress: &ProgressBar) -> anyhow::Result<Replayed> {
    // Postgres may run as another account, which has to get through to its own directory.
    let directory = {
        use std::os::unix::fs::PermissionsExt as _;
        let permissions = std::fs::Permissions::from_mode(0o755);
        tempfile::Builder::new().prefix("kefu-replay-").permissions(permissions).tempdir()
    };
    let directory = directory.context("making a temporary directory")?;
    let cluster = PrivateCluster::start(PrivateClusterOptions {
        // Nothing in it outlives the replay, so nothing has to survive a crash.
        settings: [("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..PrivateClusterOptions::new(directory.path().join("postgres"))
    })
    .await?;
    let outcome = Box::pin(on_cluster(input, plan, &cluster, &directory, progress)).await;
    cluster.stop().await;
    outcome
}

async fn on_cluster(
    input: &Input,
    plan: &Plan,
    cluster: &PrivateCluster,
    directory: &tempfile::TempDir,
    progress: &ProgressBar,
) -> anyhow::Result<Replayed> {
    let first = run::begins(input).unwrap_or_else(|| SystemClock.now());
    let clock = ManualClock::new(first.checked_sub(SignedDuration::from_hours(24))?);
    let shared: SharedClock = Arc::new(clock.clone());
    let home = Home::open(directory.path())?;
    let minter = home.minter(Arc::clone(&shared))?;
    let databases = Databases::provision(&cluster.admin_url("kefu")).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await.context("listening")?;
    let mesh = Mesh::start(MeshOptions::new(databases, clock, home.key(), listener)).await?;
    let replayed = async {
        mesh.ready().await?;
        let address = format!("http://{}", mesh.address());
        let mut callers = Staff::new(minter, &address, &plan.org_unit)?;
        Box::pin(run::replay(input, plan, &mut callers, &IdSource::new(shared), progress)).await
    };
    let replayed = replayed.await;
    // What went wrong in the mesh is the better explanation.
    mesh.stop().await?;
    replayed
}

/// Everybody whom the file names, each with a token of its own.
pub struct Staff {
    minter: Minter,
    nobody: Client,
    root: OrgUnit,
    known: HashMap<String, Client>,
}

impl Staff {
    /// Staff at the root of `org_unit`, whose tokens are made by `minter`.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(minter: Minter, address: &str, org_unit: &OrgUnit) -> anyhow::Result<Staff> {
        let root = org_unit.ancestors().last().unwrap_or_else(|| org_unit.clone());
        let token = token(&minter, "replay", &root)?;
        Ok(Staff { nobody: Client::new(address, &token)?, minter, root, known: HashMap::new() })
    }
}

impl Callers for Staff {
    fn client(&mut self, actor: &str) -> anyhow::Result<Client> {
        if actor.is_empty() {
            return Ok(self.nobody.clone());
        }
        if let Some(client) = self.known.get(actor) {
            return Ok(client.clone());
        }
        let subject: String = actor.chars().take(MAX_SUBJECT).collect();
        let client = self.nobody.as_caller(&token(&self.minter, &subject, &self.root)?)?;
        self.known.insert(actor.to_owned(), client.clone());
        Ok(client)
    }
}

fn token(minter: &Minter, subject: &str, root: &OrgUnit) -> anyhow::Result<String> {
    let roles = [role::ADMIN, role::CLERK, role::HANDLER, role::OPERATOR];
    let caller = Caller::staff(subject, root.clone(), roles);
    Ok(minter.mint(&caller, TOKEN_LIFETIME)?)
}
