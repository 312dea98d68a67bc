//! `idle-memory`: what the services hold when nobody calls them.

use std::sync::Arc;
use std::time::Duration;

use kefu_clock::{IdSource, SystemClock};

use crate::cli::{MemoryArgs, MeshKind};
use crate::procfs;
use crate::scenario::{Caller, Scenario};
use crate::site::{ROOT, Site};
use crate::table::Table;
use crate::target;
use crate::world::World;

/// How long the mesh is left alone before it is looked at.
const REST: Duration = Duration::from_secs(3);

/// Starts each mesh, looks at it, calls it for a while, lets it rest, and looks again.
///
/// # Errors
/// When a mesh does not start or a call fails.
pub async fn run(args: &MemoryArgs) -> anyhow::Result<()> {
    let site = Site::open().await?;
    let mut table = Table::new(&["process", "when", "RSS", "PSS"]);
    for kind in args.mesh.kinds() {
        let mesh = site.start(kind).await?;
        tokio::time::sleep(REST).await;
        look(&mut table, "after the start")?;
        let client = target::client(&mesh.gateway, &site.token, 1)?;
        let ids = Arc::new(IdSource::new(Arc::new(SystemClock)));
        let world = World::make(&client, &ids, ROOT).await?;
        let caller = Caller::new(client, Arc::new(world), ids);
        for number in 0..args.calls {
            let outcome = caller.call(Scenario::Mix.call(number), number).await;
            outcome.map_err(|code| anyhow::anyhow!("a call failed: {code:?}"))?;
        }
        tokio::time::sleep(REST).await;
        look(&mut table, &format!("after {} calls", args.calls))?;
        mesh.stop().await?;
    }
    println!("{}", table.render());
    println!(
        "aims: a service below 30 MB, all in one process (`kefu`) below 120 MB, without Postgres"
    );
    site.close().await;
    Ok(())
}

fn look(table: &mut Table, when: &str) -> anyhow::Result<()> {
    let one = MeshKind::OneProcess.name();
    for (name, pid) in procfs::children()? {
        if name == "postgres" {
            continue;
        }
        let (rss, pss) = procfs::memory(pid)?;
        let name = if name == "kefu" { format!("kefu ({one})") } else { name };
        table.row(vec![name, when.to_owned(), mega(rss), mega(pss)]);
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "the memory of a process")]
fn mega(kibibytes: u64) -> String {
    format!("{:.1} MB", kibibytes as f64 * 1024.0 / 1e6)
}
