//! Running the server of a private cluster.

use std::{
    fs::File,
    io,
    os::unix::{net::UnixStream, process::CommandExt},
    process::{Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpid, getppid, kill_process,
    set_parent_process_death_signal, waitid,
};

use super::{Binaries, ClusterError, Home};

/// Longest wait for the server to accept connections, in steps of 20 ms. After a crash of the
/// machine it replays its log first.
const START_STEPS: u32 = 2 * 60 * 50;

/// Pause before a server that ended by itself is started again; its children need a moment to
/// notice that they are orphans.
const RESTART_PAUSE: Duration = Duration::from_millis(300);

/// How long a shutdown may take before the next, harder signal.
const STOP_SIGNALS: [(Signal, Duration); 3] = [
    (Signal::INT, Duration::from_secs(20)),
    (Signal::QUIT, Duration::from_secs(5)),
    (Signal::KILL, Duration::from_secs(5)),
];

/// The server and the thread that keeps it running. Dropping it stops both.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    home: Home,
    /// Held for as long as the server may run.
    _lock: File,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The running server. It is not collected before this is `None`, so that the number cannot
    /// be another process's.
    pid: Option<Pid>,
    /// It has accepted a connection; from now on it is started again when it ends.
    ready: bool,
    /// It shall end, or has to.
    stopping: bool,
    /// The thread has nothing more to do.
    finished: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here is left half-done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the thread is done; `false` when it takes longer.
    fn wait_finished(&self, limit: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), limit, |state| !state.finished);
        waited.unwrap_or_else(PoisonError::into_inner).0.finished
    }
}

impl Server {
    /// Starts the server and waits until it accepts connections.
    pub fn start(
        binaries: &Binaries,
        home: &Home,
        settings: &[(String, String)],
        lock: File,
    ) -> Result<Self, ClusterError> {
        let shared = Arc::new(Shared::default());
        let words = home.server_command(binaries, settings);
        let (keeper, kept) = (shared.clone(), home.clone());
        // The kernel ends a child with the *thread* that started it. A worker of the runtime may
        // come and go; this one stays until the server is gone.
        thread::Builder::new()
            .name("postgres".to_owned())
            .spawn(move || {
                keep(&keeper, &kept, &words);
                let mut state = keeper.lock();
                (state.pid, state.finished) = (None, true);
                keeper.changed.notify_all();
            })
            .map_err(ClusterError::io(&home.root))?;
        let server = Self { shared, home: home.clone(), _lock: lock };
        if wait_until_ready(home, || server.shared.lock().finished) {
            server.shared.lock().ready = true;
            Ok(server)
        } else {
            Err(ClusterError::Failed { program: "postgres", output: home.end_of_log() })
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for (signal, patience) in STOP_SIGNALS {
            {
                let mut state = self.shared.lock();
                state.stopping = true;
                if let Some(pid) = state.pid {
                    kill_process(pid, signal).ok();
                }
                self.shared.changed.notify_all();
            }
            if self.shared.wait_finished(patience) {
                break;
            }
            tracing::warn!("the private Postgres takes long to stop");
        }
        self.home.remove_socket_directory();
    }
}

/// Runs the server again and again until it shall stop, or never became ready.
fn keep(shared: &Shared, home: &Home, words: &[std::ffi::OsString]) {
    loop {
        let started = spawn(shared, home, words);
        let ended = match started {
            Ok(Some(mut child)) => {
                let pid = shared.lock().pid;
                if let Some(pid) = pid {
                    // Wait without collecting: until `pid` is cleared, others may signal it.
                    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
                    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), ended) {}
                }
                shared.lock().pid = None;
                child.wait().map_or_else(|error| error.to_string(), |status| status.to_string())
            }
            Ok(None) => return,
            Err(error) => error.to_string(),
        };
        let state = shared.lock();
        if state.stopping || !state.ready {
            return;
        }
        tracing::error!(%ended, "the private Postgres ended by itself and is started again");
        let pause = shared.changed.wait_timeout_while(state, RESTART_PAUSE, |s| !s.stopping);
        drop(pause.unwrap_or_else(PoisonError::into_inner));
        if let Err(error) = home.end_leftover() {
            tracing::error!(%error, "clearing up after the private Postgres");
        }
    }
}

/// Starts the server once, unless it shall stop already.
fn spawn(
    shared: &Shared,
    home: &Home,
    words: &[std::ffi::OsString],
) -> Result<Option<std::process::Child>, ClusterError> {
    let mut state = shared.lock();
    let [program, arguments @ ..] = words else { return Ok(None) };
    if state.stopping {
        return Ok(None);
    }
    let log = home.open_log()?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&home.root).stdin(Stdio::null());
    command.stdout(log.try_clone().map_err(ClusterError::io(&home.root))?).stderr(log);
    // Ctrl-C goes to the whole group of the terminal; Postgres has to outlive the services.
    command.process_group(0);
    if let Some(account) = home.account {
        account.apply(&mut command);
    }
    end_with_parent(&mut command);
    let child = command.spawn().map_err(ClusterError::io(program))?;
    state.pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    Ok(Some(child))
}

/// Makes the kernel send the child a fast shutdown when the calling thread ends, which it does at
/// the latest with its process, however that ends.
#[allow(unsafe_code, reason = "the setting is lost in `fork`, so only the child can make it")]
fn end_with_parent(command: &mut Command) {
    let parent = getpid();
    let ask = move || {
        set_parent_process_death_signal(Some(Signal::INT))?;
        // The parent may have died before it was asked for.
        if getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    };
    // SAFETY: between `fork` and `exec` this makes two system calls which touch no memory but
    // their arguments, and neither allocates nor locks.
    unsafe { command.pre_exec(ask) };
}

/// Waits until the server of `home` accepts connections; `false` when `ended` says that it never
/// will, or it takes too long.
pub fn wait_until_ready(home: &Home, mut ended: impl FnMut() -> bool) -> bool {
    for _ in 0..START_STEPS {
        if accepts(home) {
            return true;
        }
        if ended() {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Whether the server is past its start-up. Postgres listens before it is, and says so itself: the
/// last line of `postmaster.pid`.
pub fn accepts(home: &Home) -> bool {
    let Some(_running) = home.postmaster() else { return false };
    let file = std::fs::read_to_string(home.data().join("postmaster.pid")).unwrap_or_default();
    let ready = file.lines().last().is_some_and(|line| line.trim() == "ready");
    ready && UnixStream::connect(home.socket.join(".s.PGSQL.5432")).is_ok()
}
