//! The cluster that all test processes of a user share.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, Stdio},
};

use rustix::process::{Signal, kill_process};

use crate::cluster::{
    Account, Binaries, ClusterError, Home, SUPERUSER, accepts, blocking, wait_until_ready,
};

/// Runs the server given as arguments and stops it when the file `$USED` was not touched for half
/// an hour, or is gone. The lock makes sure that no test is about to connect; a machine without
/// `flock` takes the tiny risk.
const SUPERVISOR: &str = r#"
"$@" &
server=$!
trap 'kill -INT "$server"' INT TERM
while kill -0 "$server" 2> /dev/null; do
    sleep 15 &
    wait $!
    (
        flock -n 9 2> /dev/null || [ $? -eq 127 ] || exit 0
        [ -n "$(find "$USED" -mmin -30 2> /dev/null)" ] || kill -INT "$server" 2> /dev/null
    ) 9< "$LOCK"
done
"#;

/// Speed instead of safety: what is in here is worth nothing after the test.
const SETTINGS: [(&str, &str); 7] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("autovacuum", "off"),
    // Several tests at once, each with a pool or two for every context.
    ("max_connections", "1000"),
    ("max_wal_size", "4GB"),
    ("checkpoint_timeout", "1h"),
];

/// The URL of the server, as its superuser, running by now; and the lock which keeps it so.
pub async fn url() -> Result<(String, File), ClusterError> {
    blocking(|| {
        let home = home()?;
        if let Ok(url) = env::var("KEFU_TEST_ADMIN_URL") {
            return Ok((url, shared(&home)?));
        }
        loop {
            let in_use = shared(&home)?;
            touch(&home)?;
            if accepts(&home) {
                return Ok((home.admin_url(SUPERUSER), in_use));
            }
            drop(in_use);
            let _alone = alone(&home)?;
            make_run(&home)?;
        }
    })
    .await
}

/// Waits until no other process is about to use the server, and keeps them waiting.
pub async fn lock_alone() -> Result<File, ClusterError> {
    blocking(|| alone(&home()?)).await
}

/// Stops the shared cluster if it runs. For the end of a test run; without it, the cluster stops
/// by itself after a while.
///
/// # Errors
///
/// When its directory cannot be used.
pub async fn stop_shared_cluster() -> Result<(), ClusterError> {
    blocking(|| {
        let home = home()?;
        let _alone = alone(&home)?;
        home.end_leftover()
    })
    .await
}

fn home() -> Result<Home, ClusterError> {
    let user = rustix::process::geteuid().as_raw();
    let directory: PathBuf = env::temp_dir().join(format!("kefu-test-{user}"));
    Home::open(&directory, Account::to_run_as(&directory)?)
}

fn shared(home: &Home) -> Result<File, ClusterError> {
    let file = home.open_lock()?;
    file.lock_shared().map_err(ClusterError::io(&home.root))?;
    Ok(file)
}

fn alone(home: &Home) -> Result<File, ClusterError> {
    let file = home.open_lock()?;
    file.lock().map_err(ClusterError::io(&home.root))?;
    Ok(file)
}

/// Tells the supervisor that the server is wanted.
fn touch(home: &Home) -> Result<(), ClusterError> {
    let path = home.root.join("used");
    // Cutting an empty file to nothing still counts as a change of it.
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    options.open(&path).map(drop).map_err(ClusterError::io(path))
}

/// Starts the server unless it runs. Never ends one: other tests are using it, and a server that
/// does not answer at once, on a busy machine or while it starts, answers later.
///
/// Only for the holder of the lock.
fn make_run(home: &Home) -> Result<(), ClusterError> {
    // Another process may have done it while this one waited; or the server is on its way down.
    if wait_until_ready(home, || home.postmaster().is_none()) {
        return Ok(());
    }
    match home.postmaster() {
        None => start(home),
        Some(pid) => Err(ClusterError::Failed {
            program: "postgres",
            output: format!("process {pid} runs but does not accept connections"),
        }),
    }
}

fn start(home: &Home) -> Result<(), ClusterError> {
    home.clear_marks()?;
    let binaries = match Binaries::for_home(home, true) {
        // Nothing in an old cluster is worth finding the Postgres that wrote it.
        Err(ClusterError::OtherVersion { .. }) => {
            fs::remove_dir_all(home.data()).map_err(ClusterError::io(home.data()))?;
            Binaries::for_home(home, true)?
        }
        outcome => outcome?,
    };
    home.initialise(&binaries, false)?;
    let log = home.open_log()?;
    let settings = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let supervise = |mut command: Command| {
        command.args(["-c", SUPERVISOR, "kefu-test-postgres"]);
        command.args(home.server_command(&binaries, &settings));
        command.env("USED", home.root.join("used")).env("LOCK", home.root.join("lock"));
        command.current_dir(&home.root).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log.try_clone()?);
        if let Some(account) = home.account {
            account.apply(&mut command);
        }
        command.spawn()
    };
    // Runners of tests end the whole group of a test that takes too long, and some terminals and
    // build agents kill whatever is left of their session. The server is for later tests as well.
    let mut in_own_session = Command::new("setsid");
    in_own_session.arg("/bin/sh");
    let mut supervisor = match supervise(in_own_session) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut in_own_group = Command::new("/bin/sh");
            in_own_group.process_group(0);
            supervise(in_own_group)
        }
        outcome => outcome,
    }
    .map_err(ClusterError::io("/bin/sh"))?;
    if wait_until_ready(home, || !matches!(supervisor.try_wait(), Ok(None))) {
        return Ok(());
    }
    if let Some(pid) = home.postmaster() {
        kill_process(pid, Signal::QUIT)
            .map_err(io::Error::from)
            .map_err(ClusterError::io(&home.root))?;
    }
    Err(ClusterError::Failed { program: "postgres", output: home.end_of_log() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use std::{os::unix::fs::PermissionsExt as _, path::Path, thread};

    #[cfg(target_os = "linux")]
    use rustix::process::{Pid, getpid};

    use super::*;

    /// A cluster of the test's own, started as the shared one is, and ended in any case.
    struct Started(Home, #[allow(dead_code, reason = "removed last")] tempfile::TempDir);

    impl Started {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let open = fs::Permissions::from_mode(0o755);
            fs::set_permissions(directory.path(), open).unwrap();
            let path = directory.path().join("cluster");
            let home = Home::open(&path, Account::to_run_as(&path).unwrap()).unwrap();
            drop(home.open_lock().unwrap());
            touch(&home).unwrap();
            make_run(&home).unwrap();
            Self(home, directory)
        }
    }

    impl Drop for Started {
        fn drop(&mut self) {
            self.0.end_leftover().unwrap();
        }
    }

    fn write_last_line(mark: &Path, line: &str) {
        let text = fs::read_to_string(mark).unwrap();
        let (rest, _) = text.trim_end().rsplit_once('\n').unwrap();
        // At once, so that nobody reads half of it.
        fs::write(mark.with_extension("new"), format!("{rest}\n{line}\n")).unwrap();
        fs::rename(mark.with_extension("new"), mark).unwrap();
    }

    #[test]
    fn a_server_that_does_not_accept_yet_is_waited_for_not_ended() {
        let Started(home, _) = &Started::new();
        let pid = home.postmaster().unwrap();
        let mark = home.data().join("postmaster.pid");
        write_last_line(&mark, "starting");
        assert!(!accepts(home));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| make_run(home));
            write_last_line(&mark, "ready");
            waiting.join().unwrap().unwrap();
        });
        assert_eq!(home.postmaster(), Some(pid));
        assert!(home.clear_marks().is_err(), "marks of a server that lives stay");
        assert!(accepts(home));
    }

    /// The fourth word after the name. Not `getsid`, whose answer for a session that began outside
    /// of a container is 0, which is no [`Pid`].
    #[cfg(target_os = "linux")]
    fn session(process: Pid) -> String {
        let stat = format!("/proc/{}/stat", process.as_raw_nonzero());
        let stat = fs::read_to_string(stat).unwrap();
        let (_, after_name) = stat.rsplit_once(')').unwrap();
        after_name.split_whitespace().nth(3).unwrap().to_owned()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_shared_server_does_not_belong_to_the_session_of_the_test_that_started_it() {
        let Started(home, _) = &Started::new();
        assert_ne!(session(home.postmaster().unwrap()), session(getpid()));
    }
}
