//! What `/proc` tells of processor time and memory.
//!
//! Processor time is counted in ticks of 10 ms, the unit of `/proc` on every Linux that this runs on (`USER_HZ`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::Context as _;

/// Microseconds per tick.
pub const TICK_US: u64 = 10_000;

/// One line of `/proc/<pid>/stat`, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The process.
    pub pid: u32,
    /// Its name, at most 15 bytes.
    pub name: String,
    /// Who started it.
    pub parent: u32,
    /// Ticks that it used itself.
    pub own: u64,
    /// Ticks of its children that have ended and been waited for.
    pub ended_children: u64,
}

impl Stat {
    /// Reads the line. The name may hold spaces and parentheses, so the fields are counted from the last one.
    pub fn parse(line: &str) -> Option<Self> {
        let (before, after) = line.rsplit_once(')')?;
        let (pid, name) = before.split_once('(')?;
        // After the name: state, ppid (4), …, utime (14), stime, cutime, cstime.
        let fields: Vec<&str> = after.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            pid: pid.trim().parse().ok()?,
            name: name.to_owned(),
            parent: u32::try_from(number(4)?).ok()?,
            own: number(14)? + number(15)?,
            ended_children: number(16)? + number(17)?,
        })
    }
}

/// Ticks that the machine's processors were busy and idle since it started, from the first line of `/proc/stat`.
/// Waiting for the disk counts as idle; time that a hypervisor took away counts as busy: others had it.
pub fn parse_machine(text: &str) -> Option<(u64, u64)> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().map_while(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest time is in user already.
    let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = ticks[..] else {
        return None;
    };
    Some((user + nice + system + irq + softirq + steal, idle + iowait))
}

/// A field of `/proc/<pid>/smaps_rollup` in KiB.
pub fn parse_memory(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Resident and proportional memory of a process, in KiB.
///
/// # Errors
/// When it is gone.
pub fn memory(pid: u32) -> anyhow::Result<(u64, u64)> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    let field = |name| parse_memory(&text, name).with_context(|| format!("{path} has no {name}"));
    Ok((field("Rss")?, field("Pss")?))
}

/// Processor time of this process and all that come from it, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// Ticks by group.
    groups: BTreeMap<String, u64>,
    machine: (u64, u64),
}

impl Usage {
    /// Now.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn now() -> anyhow::Result<Self> {
        let stats = processes()?;
        let machine = fs::read_to_string("/proc/stat").context("/proc/stat")?;
        let machine =
            parse_machine(&machine).context("/proc/stat has no line for all processors")?;
        Ok(Self { groups: groups(&stats, std::process::id()), machine })
    }

    /// What was used from `earlier` until this moment.
    pub fn since(&self, earlier: &Self) -> Spent {
        let by_group = self.groups.iter().map(|(group, ticks)| {
            let before = earlier.groups.get(group).copied().unwrap_or_default();
            (group.clone(), ticks.saturating_sub(before) * TICK_US)
        });
        Spent {
            by_group: by_group.filter(|(_, micros)| *micros > 0).collect(),
            busy: self.machine.0.saturating_sub(earlier.machine.0) * TICK_US,
            idle: self.machine.1.saturating_sub(earlier.machine.1) * TICK_US,
        }
    }
}

/// Processor time spent between two moments, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// By group: `generator` is this process, `ended` are its children that have ended (pgbench), `postgres` is the
    /// server with all its backends, `kefu` the mesh in one process, and the others go by the names of the services.
    pub by_group: BTreeMap<String, u64>,
    /// All processors of the machine together, whoever used them.
    pub busy: u64,
    /// And how long they stood idle.
    pub idle: u64,
}

impl Spent {
    /// By all processes that take part.
    pub fn total(&self) -> u64 {
        self.by_group.values().sum()
    }

    /// The share of the machine that went to processes which have no part in this, from 0 to 1.
    #[allow(clippy::cast_precision_loss, reason = "microseconds of a benchmark")]
    pub fn others(&self) -> f64 {
        let all = self.busy + self.idle;
        if all == 0 { 0.0 } else { self.busy.saturating_sub(self.total()) as f64 / all as f64 }
    }
}

/// All processes of the machine, named by what they do.
fn processes() -> anyhow::Result<Vec<Stat>> {
    let entries = fs::read_dir("/proc").context("/proc")?;
    let stats = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let stat = Stat::parse(&fs::read_to_string(path.join("stat")).ok()?)?;
        let arguments = fs::read_to_string(path.join("cmdline")).unwrap_or_default();
        Some(Stat { name: role(&stat.name, &arguments), ..stat })
    });
    Ok(stats.collect())
}

/// The processes that this one has started, by what they do.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn children() -> anyhow::Result<BTreeMap<String, u32>> {
    let own = std::process::id();
    let children = processes()?.into_iter().filter(|stat| stat.parent == own);
    Ok(children.map(|stat| (stat.name, stat.pid)).collect())
}

/// What a process does here, by its name and its arguments: one program is started in several roles.
fn role(name: &str, arguments: &str) -> String {
    let mut arguments = arguments.split('\0').skip(1);
    match (arguments.next(), arguments.next()) {
        (Some("serve"), Some(service)) => service.to_owned(),
        (Some("one-process"), _) => "kefu".to_owned(),
        (Some("bare"), _) => "bare".to_owned(),
        _ => name.to_owned(),
    }
}

/// Ticks of `root` and all that come from it, by group.
fn groups(stats: &[Stat], root: u32) -> BTreeMap<String, u64> {
    let mut groups = BTreeMap::new();
    let mut seen = BTreeSet::from([root]);
    let mut waiting = vec![(root, None)];
    if let Some(own) = stats.iter().find(|stat| stat.pid == root) {
        groups.insert("generator".to_owned(), own.own);
        groups.insert("ended".to_owned(), own.ended_children);
    }
    while let Some((parent, group)) = waiting.pop() {
        for child in stats.iter().filter(|stat| stat.parent == parent) {
            if !seen.insert(child.pid) {
                continue;
            }
            // What a child starts belongs to it.
            let group = group.clone().unwrap_or_else(|| child.name.clone());
            *groups.entry(group.clone()).or_default() += child.own + child.ended_children;
            waiting.push((child.pid, Some(group)));
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(pid: u32, name: &str, parent: u32, times: [u64; 4]) -> String {
        let [utime, stime, cutime, cstime] = times;
        format!(
            "{pid} ({name}) S {parent} 1 1 0 -1 4194560 900 0 0 0 {utime} {stime} {cutime} {cstime} 20 0 4 0 100"
        )
    }

    #[test]
    fn a_stat_line_is_read_whatever_the_name_holds() {
        let stat = Stat::parse(&line(42, "a (b) c)", 7, [100, 20, 3, 4])).unwrap();
        let expected =
            Stat { pid: 42, name: "a (b) c)".into(), parent: 7, own: 120, ended_children: 7 };
        assert_eq!(stat, expected);
        assert_eq!(Stat::parse("42 (a) S 7"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn a_tree_is_summed_by_who_was_started_and_nothing_else_is_counted() {
        let stats: Vec<_> = [
            line(10, "kefu-load", 1, [5, 0, 50, 0]),
            line(11, "postgres", 10, [1, 0, 7, 0]),
            line(12, "postgres", 11, [20, 0, 0, 0]),
            line(13, "kefu-ticket", 10, [30, 3, 0, 0]),
            line(14, "somebody", 1, [1000, 0, 0, 0]),
        ]
        .iter()
        .map(|line| Stat::parse(line).unwrap())
        .collect();
        let groups = groups(&stats, 10);
        let expected = [("ended", 50), ("generator", 5), ("kefu-ticket", 33), ("postgres", 28)];
        assert!(groups.iter().map(|(name, ticks)| (name.as_str(), *ticks)).eq(expected));
    }

    #[test]
    fn processes_of_one_program_are_told_apart_by_what_they_do() {
        assert_eq!(role("kefu", "/bin/kefu\0serve\0ticket\0--with-parent\x007\0"), "ticket");
        assert_eq!(role("kefu-load", "target/kefu-load\0one-process\0"), "kefu");
        assert_eq!(role("postgres", "/bin/postgres\0-D\0/data\0"), "postgres");
        assert_eq!(role("kworker", ""), "kworker");
    }

    #[test]
    fn others_are_what_the_machine_did_beyond_us() {
        let text = "cpu  100 10 40 800 50 5 5 20 7 7\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
        assert_eq!(parse_machine(text), Some((180, 850)));
        assert_eq!(parse_machine("cpu0 1 2 3 4 5 6 7 8\n"), None);
        let usage = |ours: u64, machine| Usage {
            groups: BTreeMap::from([("generator".to_owned(), ours)]),
            machine,
        };
        let spent = usage(150, (400, 600)).since(&usage(50, (200, 300)));
        assert_eq!((spent.total(), spent.busy), (1_000_000, 2_000_000));
        assert!((spent.others() - 0.2).abs() < 1e-9);
    }

    #[test]
    fn memory_is_read_by_the_name_of_its_field() {
        let text = "00400000-7fff000 ---p 00000000 00:00 0 [rollup]\nRss:               21532 kB\nPss:  18000 kB\nPss_Dirty: 7 kB\n";
        assert_eq!(parse_memory(text, "Rss"), Some(21_532));
        assert_eq!(parse_memory(text, "Pss"), Some(18_000));
        assert_eq!(parse_memory(text, "Swap"), None);
    }
}
