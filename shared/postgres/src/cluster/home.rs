//! The directory in which a cluster lives.
//!
//! ```text
//! <directory>/
//!     lock            held by the process that the cluster belongs to
//!     data/           Postgres' own; appears only when complete
//!     server/         a Postgres installed for this cluster alone, if there was none
//!     postgres.log
//!     .s.PGSQL.5432   the socket, unless the path would be too long for one
//! ```

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sha2::{Digest, Sha256};

use super::{Account, Binaries, ClusterError, SUPERUSER};

/// The file that Postgres makes in the socket directory.
const SOCKET: &str = ".s.PGSQL.5432";

/// Longest path of a socket that the kernel takes, in bytes.
const LONGEST_SOCKET: usize = 107;

/// Where clusters go that were asked for in a place which the account cannot reach.
const REACHABLE: &str = "/var/lib/kefu";

/// A log that has grown beyond this is put aside at the next start, replacing the one before.
const LONGEST_LOG: u64 = 10 << 20;

/// A cluster's directory, ready for use.
#[derive(Clone, Debug)]
pub struct Home {
    /// The directory itself, absolute, without links.
    pub root: PathBuf,
    /// The directory of the socket.
    pub socket: PathBuf,
    /// The account that Postgres runs as, when it is not this process's.
    pub account: Option<Account>,
}

impl Home {
    /// Makes or checks the directory.
    pub fn open(directory: &Path, account: Option<Account>) -> Result<Self, ClusterError> {
        fs::create_dir_all(directory).map_err(ClusterError::io(directory))?;
        let mut root = directory.canonicalize().map_err(ClusterError::io(directory))?;
        refuse_what_is_not_ours(&root, account)?;
        if let Some(account) = account {
            account.own(&root)?;
            if !account.reaches(&root) {
                root = relocate(&root, account)?;
            }
        }
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700))
            .map_err(ClusterError::io(&root))?;
        let socket = socket_directory(&root, account)?;
        Ok(Self { root, socket, account })
    }

    /// Where a Postgres of the cluster's own is installed.
    pub fn server(&self) -> PathBuf {
        self.root.join("server")
    }

    /// Where Postgres keeps its files.
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.root.join("postgres.log")
    }

    /// The file whose lock says who uses the cluster.
    pub fn open_lock(&self) -> Result<File, ClusterError> {
        let path = self.root.join("lock");
        // Readable for the account, whose supervisor of a shared cluster takes this lock too.
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o644);
        options.open(&path).map_err(ClusterError::io(path))
    }

    /// Takes the cluster for this process, until the file is closed.
    pub fn lock(&self) -> Result<File, ClusterError> {
        let file = self.open_lock()?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(ClusterError::InUse(self.root.clone())),
            Err(TryLockError::Error(error)) => Err(ClusterError::io(&self.root)(error)),
        }
    }

    /// Opens the log for what Postgres says from now on.
    pub fn open_log(&self) -> Result<File, ClusterError> {
        let path = self.log_path();
        if fs::metadata(&path).is_ok_and(|log| log.len() > LONGEST_LOG) {
            fs::rename(&path, self.root.join("postgres.log.1")).map_err(ClusterError::io(&path))?;
        }
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600);
        options.open(&path).map_err(ClusterError::io(path))
    }

    /// The last lines of the log, to tell why a start failed.
    pub fn end_of_log(&self) -> String {
        let log = fs::read(self.log_path()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("; ")
    }

    /// Major version of the Postgres that wrote the data.
    pub fn data_version(&self) -> Option<u32> {
        fs::read_to_string(self.data().join("PG_VERSION")).ok()?.trim().parse().ok()
    }

    /// Creates the cluster's data unless it exists. A crash on the way leaves nothing that would
    /// be taken for a cluster.
    pub fn initialise(&self, binaries: &Binaries, durable: bool) -> Result<(), ClusterError> {
        let data = self.data();
        if data.join("PG_VERSION").exists() {
            return Ok(());
        }
        let unfinished = self.root.join("data.new");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(ClusterError::io(&unfinished))?;
        }
        let mut command = Command::new(binaries.program("initdb"));
        command.arg("-D").arg(&unfinished).args(["-U", SUPERUSER]);
        command.args(["--auth-local=trust", "--auth-host=reject", "--encoding=UTF8"]);
        // Compare by code point, the same on every machine; but know letters of every language.
        command.args(["--lc-collate=C", "--lc-ctype=C.UTF-8", "--lc-messages=C"]);
        command.args(["--lc-monetary=C", "--lc-numeric=C", "--lc-time=C"]);
        if !durable {
            command.arg("--no-sync");
        }
        command.current_dir(&self.root).stdin(Stdio::null());
        if let Some(account) = self.account {
            account.apply(&mut command);
        }
        let output = command.output().map_err(ClusterError::io(binaries.program("initdb")))?;
        if !output.status.success() {
            let output = last_line(&String::from_utf8_lossy(&output.stderr));
            return Err(ClusterError::Failed { program: "initdb", output });
        }
        fs::rename(&unfinished, &data).map_err(ClusterError::io(data))
    }

    /// Clears away what a killed process may have left: a Postgres on its way down, which is waited
    /// for, or the mere file that names one. Postgres itself trusts that file if any process of its
    /// account has the number in it, which in a container is likely.
    ///
    /// Only for the holder of the lock.
    pub fn end_leftover(&self) -> Result<(), ClusterError> {
        let Some(pid) = self.postmaster() else { return self.clear_marks() };
        tracing::info!("waiting for the private Postgres of an earlier run to stop");
        // Fast, then immediate, then at once: the next start recovers in any case.
        for (signal, tries) in [(Signal::INT, 600), (Signal::QUIT, 200), (Signal::KILL, 200)] {
            // An error means that it is gone.
            kill_process(pid, signal).ok();
            for _ in 0..tries {
                if !is_alive(pid) {
                    return self.end_leftover();
                }
                thread::sleep(Duration::from_millis(50));
            }
        }
        Err(ClusterError::InUse(self.root.clone()))
    }

    /// Removes the files by which a server that was killed is still named.
    ///
    /// Only for the holder of the lock, and refused while the server lives.
    pub fn clear_marks(&self) -> Result<(), ClusterError> {
        if self.postmaster().is_some() {
            return Err(ClusterError::InUse(self.root.clone()));
        }
        let socket_lock = self.socket.join(format!("{SOCKET}.lock"));
        let mark = self.data().join("postmaster.pid");
        for stale in [mark, socket_lock, self.socket.join(SOCKET)] {
            if stale.symlink_metadata().is_ok() {
                fs::remove_file(&stale).map_err(ClusterError::io(stale))?;
            }
        }
        Ok(())
    }

    /// The running server of this cluster, whoever started it.
    pub fn postmaster(&self) -> Option<Pid> {
        let data = self.data();
        let file = fs::read_to_string(data.join("postmaster.pid")).ok()?;
        let pid = Pid::from_raw(file.lines().next()?.trim().parse().ok()?)?;
        // Any account may read a command line, unlike the other marks of a process.
        let command = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).ok()?;
        let ours = command.split(|byte| *byte == 0).any(|word| word == data.as_os_str().as_bytes());
        (ours && is_alive(pid)).then_some(pid)
    }

    /// The command that runs the server, as far as every kind of cluster has it in common.
    pub fn server_command(
        &self,
        binaries: &Binaries,
        settings: &[(String, String)],
    ) -> Vec<std::ffi::OsString> {
        // A list of directories: quotes keep commas and blanks of the path from meaning anything.
        let socket = self.socket.to_string_lossy().replace('"', "\"\"");
        let mut words = vec![
            binaries.program("postgres").into(),
            "-D".into(),
            self.data().into_os_string(),
            "-c".into(),
            format!("unix_socket_directories=\"{socket}\"").into(),
        ];
        let fixed = [
            ("listen_addresses", ""),
            ("port", "5432"),
            ("unix_socket_permissions", "0700"),
            ("logging_collector", "off"),
            ("log_destination", "stderr"),
            ("log_timezone", "UTC"),
            ("timezone", "UTC"),
        ];
        for (name, value) in fixed {
            words.extend(["-c".into(), format!("{name}={value}").into()]);
        }
        for (name, value) in settings {
            words.extend(["-c".into(), format!("{name}={value}").into()]);
        }
        words
    }

    /// Removes a socket directory that was made outside the cluster's own.
    pub fn remove_socket_directory(&self) {
        if self.socket != self.root {
            // Whatever is left in it is the next start's to clear.
            fs::remove_dir(&self.socket).ok();
        }
    }
}

/// Whether a process exists; one that has ended but was not yet collected does not count.
fn is_alive(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    let zombie = stat.is_ok_and(|stat| {
        // The state follows the name, which is in brackets and may hold anything.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
    });
    !zombie && test_kill_process(pid).is_ok()
}

/// Refuses a directory with other contents, or of another user: this crate changes the owner and
/// the rights of a cluster's directory.
fn refuse_what_is_not_ours(root: &Path, account: Option<Account>) -> Result<(), ClusterError> {
    let owner = fs::metadata(root).map_err(ClusterError::io(root))?.uid();
    let ours = owner == rustix::process::geteuid().as_raw();
    if !ours && !account.is_some_and(|account| account.is(owner)) {
        return Err(ClusterError::NotOurs(root.to_owned()));
    }
    let mut entries = fs::read_dir(root).map_err(ClusterError::io(root))?;
    let known = ["lock", "data", "data.new"];
    if entries.next().is_some() && !known.iter().any(|name| root.join(name).exists()) {
        return Err(ClusterError::NotACluster(root.to_owned()));
    }
    Ok(())
}

/// Puts the cluster where the account can reach it, and a link where it was asked for. The name is
/// random, so that whoever removes the link and starts again gets a new cluster.
fn relocate(asked: &Path, account: Account) -> Result<PathBuf, ClusterError> {
    if asked.join("data").exists() {
        // It was reachable once; moving data about is not for a program to decide.
        return Err(ClusterError::NotOurs(asked.to_owned()));
    }
    let name = hex(&kefu_clock::random_bytes::<8>());
    let reachable = Path::new(REACHABLE).join(name);
    DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(REACHABLE)
        .map_err(ClusterError::io(REACHABLE))?;
    DirBuilder::new().mode(0o700).create(&reachable).map_err(ClusterError::io(&reachable))?;
    account.own(&reachable)?;
    if !account.reaches(&reachable) {
        return Err(ClusterError::NotOurs(reachable));
    }
    // An earlier start that failed may have left its lock.
    fs::remove_file(asked.join("lock")).ok();
    fs::remove_dir(asked).map_err(ClusterError::io(asked))?;
    symlink(&reachable, asked).map_err(ClusterError::io(asked))?;
    tracing::info!(
        asked = %asked.display(),
        directory = %reachable.display(),
        "Postgres does not run as root and cannot reach the directory: its data is elsewhere",
    );
    Ok(reachable)
}

/// The cluster's own directory, or a short one under the system's temporary directory, which is
/// checked to be nobody else's.
fn socket_directory(root: &Path, account: Option<Account>) -> Result<PathBuf, ClusterError> {
    let fits = |directory: &Path| directory.join(SOCKET).as_os_str().len() <= LONGEST_SOCKET;
    // Postgres and the URL both want text.
    if fits(root) && root.to_str().is_some() {
        return Ok(root.to_owned());
    }
    let name = format!("kefu-{}", hex(&Sha256::digest(root.as_os_str().as_bytes())[..8]));
    for parent in [std::env::temp_dir(), PathBuf::from("/tmp")] {
        let directory = parent.join(&name);
        let reachable = account.is_none_or(|account| account.reaches(&parent));
        if !fits(&directory) || !reachable || !parent.is_dir() {
            continue;
        }
        match DirBuilder::new().mode(0o700).create(&directory) {
            Ok(()) => {
                if let Some(account) = account {
                    account.own(&directory)?;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(ClusterError::io(directory)(error)),
        }
        let found = directory.symlink_metadata().map_err(ClusterError::io(&directory))?;
        let ours = found.uid() == rustix::process::geteuid().as_raw()
            || account.is_some_and(|account| account.is(found.uid()));
        if !found.is_dir() || !ours || found.mode() & 0o077 != 0 {
            return Err(ClusterError::NotOurs(directory));
        }
        return Ok(directory);
    }
    let reason = "too long a path for a socket, as is the one of the temporary directory";
    Err(ClusterError::io(root)(std::io::Error::other(reason)))
}

/// The last line that says something: programs explain first and fail last.
pub fn last_line(text: &str) -> String {
    text.lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("no output")
        .to_owned()
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
