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
    ("max_connections", "400"),
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
            // Another process may have done it while this one waited.
            if !accepts(&home) {
                start(&home)?;
            }
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

fn start(home: &Home) -> Result<(), ClusterError> {
    home.end_leftover()?;
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
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SUPERVISOR, "kefu-test-postgres"]);
    command.args(home.server_command(&binaries, &settings));
    command.env("USED", home.root.join("used")).env("LOCK", home.root.join("lock"));
    command.current_dir(&home.root).stdin(Stdio::null());
    command.stdout(log.try_clone().map_err(ClusterError::io(&home.root))?).stderr(log);
    // Runners of tests end the whole group of a test that takes too long.
    command.process_group(0);
    if let Some(account) = home.account {
        account.apply(&mut command);
    }
    let mut supervisor = command.spawn().map_err(ClusterError::io("/bin/sh"))?;
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
