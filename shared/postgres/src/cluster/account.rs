//! Which account runs Postgres.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
};

use super::ClusterError;

/// Accounts to run Postgres as when this process is root, the fittest first.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// An account that this process, being root, lends to Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account for a cluster in `directory`; `None` when this process is not root and Postgres
    /// simply runs as its user. A cluster that exists keeps the account that it has.
    pub fn to_run_as(directory: &Path) -> Result<Option<Self>, ClusterError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        if let Ok(data) = fs::metadata(directory.join("data"))
            && data.uid() != 0
        {
            return Ok(Some(Self { uid: data.uid(), gid: data.gid() }));
        }
        let path = Path::new("/etc/passwd");
        let passwd = fs::read_to_string(path).map_err(ClusterError::io(path))?;
        let found = CANDIDATES.iter().find_map(|name| find(&passwd, name));
        found.ok_or(ClusterError::NoAccount).map(Some)
    }

    /// Makes `command` run as this account.
    pub fn apply(self, command: &mut Command) {
        // With the user set by root, the standard library also drops the supplementary groups.
        command.uid(self.uid).gid(self.gid);
    }

    /// Gives a file or directory to this account.
    pub fn own(self, path: &Path) -> Result<(), ClusterError> {
        chown(path, Some(self.uid), Some(self.gid)).map_err(ClusterError::io(path))
    }

    /// Whether a user id is this account's.
    pub fn is(self, uid: u32) -> bool {
        self.uid == uid
    }

    /// Whether this account can enter `directory`. Asked of the kernel by trying, since groups and
    /// access lists have their say.
    pub fn reaches(self, directory: &Path) -> bool {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "cd -- \"$1\"", "sh"]).arg(directory);
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.apply(&mut command);
        command.status().is_ok_and(|status| status.success())
    }
}

/// Reads `name:password:uid:gid:…`.
fn find(passwd: &str, name: &str) -> Option<Account> {
    let fields = |line: &str| {
        let mut fields = line.split(':');
        let is_it = fields.next() == Some(name);
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (is_it && uid != 0).then_some(Account { uid, gid })
    };
    passwd.lines().find_map(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_their_whole_name_and_root_is_none() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgresql:x:7:7::/:/bin/sh\n\
                      broken\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(find(passwd, "postgres"), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(find(passwd, "root"), None);
        assert_eq!(find(passwd, "nobody"), None);
    }
}
