//! `kefu up` as it is typed: the real program, a private Postgres, signals.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not seen as tests")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use kefu::client::Client;
use kefu_api::ticket::v1::{ListTicketsRequest, Ticket, TicketPriority};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// A `kefu up` that has said that it is up.
struct Up {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    address: String,
    token: String,
}

fn data() -> TempDir {
    // Run as root, Postgres runs as somebody else, who must get through.
    let permissions = std::fs::Permissions::from_mode(0o755);
    tempfile::Builder::new().permissions(permissions).tempdir().unwrap()
}

fn command(data: &Path, listen: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kefu"));
    command.arg("up").arg("--data").arg(data).args(["--listen", listen]).args(more);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// An address with three free ports after it, below those that the system hands out.
fn four_free_ports() -> String {
    let free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    let first = u16::try_from(std::process::id() % 2_000).unwrap() * 4 + 20_000;
    let gateway = (first..30_000).step_by(4).find(|port| (0..4).all(|more| free(port + more)));
    format!("127.0.0.1:{}", gateway.unwrap())
}

impl Up {
    async fn start(data: &Path, more: &[&str]) -> Up {
        Up::start_at(data, "127.0.0.1:0", more).await
    }

    async fn start_at(data: &Path, listen: &str, more: &[&str]) -> Up {
        let mut child = command(data, listen, more).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = String::new();
        let mut address = None;
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(rest) = line.trim().strip_prefix("gateway ") {
                address = rest.split_whitespace().next().map(str::to_owned);
            }
            said.push_str(&line);
            if line.starts_with("Ctrl-C") {
                let token = std::fs::read_to_string(data.join("token")).unwrap();
                return Up { child, lines, address: address.unwrap(), token };
            }
        }
        let mut error = String::new();
        child.stderr.take().unwrap().read_to_string(&mut error).await.unwrap();
        panic!("{said}\n{error}");
    }

    /// Reads on until a line has this in it.
    async fn says(&mut self, text: &str) -> String {
        while let Some(line) = self.lines.next_line().await.unwrap() {
            if line.contains(text) {
                return line;
            }
        }
        panic!("it never said {text}");
    }

    async fn tickets(&self) -> Vec<Ticket> {
        let client = Client::new(&format!("http://{}", self.address), &self.token).unwrap();
        let request = ListTicketsRequest { org_unit: "group".to_owned(), ..Default::default() };
        client.tickets().list_tickets(request).await.unwrap().into_inner().tickets
    }

    async fn stop(mut self, signal: Signal) -> ExitStatus {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.try_into().unwrap())).unwrap();
        kill_process(pid, signal).unwrap();
        self.child.wait().await.unwrap()
    }
}

#[tokio::test]
async fn x01_a_second_start_goes_on_with_the_data_and_loads_the_story_only_once() {
    let data = data();
    let mut up = Up::start(data.path(), &["--demo"]).await;
    up.says("The week's report").await;
    let first = up.tickets().await;
    let priorities: Vec<_> = first.iter().map(Ticket::priority).collect();
    assert_eq!(priorities, [TicketPriority::Normal, TicketPriority::High], "VIP goes first");
    assert!(up.stop(Signal::INT).await.success());

    let mut up = Up::start(data.path(), &["--demo"]).await;
    up.says("The week's report").await;
    assert_eq!(up.tickets().await, first);
    assert!(up.stop(Signal::TERM).await.success());
}

#[tokio::test]
async fn g01_four_processes_do_what_one_does_and_end_with_their_parent() {
    let data = data();
    let mut up = Up::start_at(data.path(), &four_free_ports(), &["--demo", "--processes"]).await;
    up.says("The week's report").await;
    assert_eq!(up.tickets().await.len(), 2);
    assert!(up.stop(Signal::TERM).await.success());
}

#[tokio::test]
async fn a_taken_port_is_told_in_one_sentence() {
    let data = data();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let output = command(data.path(), &address, &[]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(&address) && said.contains("--listen"), "{said}");
    assert!(!data.path().join("postgres").exists(), "nothing was begun");
}
