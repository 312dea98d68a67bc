//! What the databases of tests are called, and what their names tell.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use sha2::{Digest, Sha256};
use sqlx::migrate::Migrator;

use crate::cluster::hex;

/// To be raised when provisioning changes: templates hold its result.
const LAYOUT: &str = "1";

/// `kefu_template_<context>_`.
pub fn template_prefix(context: &str) -> String {
    format!("kefu_template_{context}_")
}

/// The template for a context in exactly this state. At most 63 bytes, as Postgres wants it.
pub fn template(context: &str, migrators: &[&Migrator]) -> String {
    let mut hash = Sha256::new();
    hash.update(LAYOUT);
    for migrator in migrators {
        hash.update([0]);
        hash.update(migrator.table_name.as_bytes());
        for migration in migrator.iter() {
            hash.update(migration.version.to_le_bytes());
            hash.update(&migration.checksum);
        }
    }
    template_prefix(context) + &hex(&hash.finalize()[..8])
}

/// `kefu_test_<machine>_`: on a server that several machines use, each cleans up after itself.
pub fn database_prefix() -> String {
    // Process numbers mean something within one boot and one container.
    let boot = fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let container = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let hash =
        Sha256::new().chain_update(boot).chain_update(container.as_os_str().as_encoded_bytes());
    format!("kefu_test_{}_", hex(&hash.finalize()[..4]))
}

/// A new name for a database of this process.
pub fn database() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let pid = std::process::id();
    let started = start_of(pid).unwrap_or_default();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}{pid}_{started}_{number}", database_prefix())
}

/// Whether the process that made a database of this name is gone. The start time tells it from a
/// later process with its number.
pub fn is_stale(database: &str) -> bool {
    let prefix = database_prefix();
    let Some(rest) = database.strip_prefix(&prefix) else { return false };
    let mut parts = rest.split('_').map(str::parse::<u64>);
    let (Some(Ok(pid)), Some(Ok(started))) = (parts.next(), parts.next()) else { return false };
    u32::try_from(pid).ok().and_then(start_of) != Some(started)
}

/// When a process started, in clock ticks since boot; `None` when there is none.
fn start_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    // The name, in brackets, may hold blanks; the start is the 20th field after it.
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_stale_when_its_process_is_gone() {
        let mine = database();
        assert!(mine.len() <= 63);
        assert!(!is_stale(&mine));
        let pid = std::process::id();
        assert!(is_stale(&format!("{}{pid}_1_0", database_prefix())), "a number used again");
        assert!(is_stale(&format!("{}4194305_1_0", database_prefix())), "no such number");
        assert!(!is_stale("kefu_test_00000000_4194305_1_0"), "another machine's");
        assert!(!is_stale("postgres"));
    }
}
