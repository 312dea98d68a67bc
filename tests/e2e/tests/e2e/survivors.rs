//! A service ends in the middle of its work, X-01: what was acknowledged is there, and what was not can be tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;
use kefu::client::Client;
use kefu::database::ContextName;
use kefu::home::Home;
use kefu::mesh::{Mesh, MeshOptions};
use kefu_api::ticket::v1 as pb;
use kefu_clock::{ManualClock, SharedClock};
use kefu_harness::Replica;
use kefu_identity::{Caller, role};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::company::{RIVERSIDE, complaint, registration};
use crate::timers::all_tickets;
use crate::world::{Way, World, request_id};

/// Registrations altogether, and how many have been acknowledged when the end comes.
const CALLS: u128 = 600;
const BEFORE_THE_END: usize = 150;
/// Registrations that each of some desks makes, one after the other.
const DESKS: u128 = 40;

/// The answer to each request id.
type Answers = BTreeMap<u128, Result<pb::Ticket, Status>>;

fn asked(number: u128) -> pb::CreateTicketRequest {
    registration(complaint(RIVERSIDE, &format!("投诉 {number}")), request_id(number))
}

/// Many desks register; the receiver tells of every acknowledged ticket at once.
struct Storm {
    desks: JoinSet<Answers>,
    acknowledged: mpsc::UnboundedReceiver<()>,
}

impl Storm {
    fn start(clerk: &Client) -> Self {
        let (tell, acknowledged) = mpsc::unbounded_channel();
        let mut desks = JoinSet::new();
        for desk in 0..DESKS {
            let (mut tickets, tell) = (clerk.tickets(), tell.clone());
            desks.spawn(async move {
                let mut answers = Answers::new();
                for number in (desk..CALLS).step_by(DESKS as usize) {
                    let answer = tickets.create_ticket(asked(number)).await;
                    if answer.is_ok() {
                        // Nobody listens any more after the end.
                        let _ = tell.send(());
                    }
                    answers.insert(number, answer.map(tonic::Response::into_inner));
                }
                answers
            });
        }
        Self { desks, acknowledged }
    }

    async fn until_the_end(&mut self) {
        for _ in 0..BEFORE_THE_END {
            self.acknowledged.recv().await.unwrap();
        }
    }

    async fn answers(self) -> Answers {
        let answers = self.desks.join_all().await.into_iter().flatten().collect::<Answers>();
        assert_eq!(answers.len() as u128, CALLS);
        let failed = answers.values().filter(|answer| answer.is_err()).count();
        assert!(failed > 0, "the end came too late to show anything");
        for status in answers.values().filter_map(|answer| answer.as_ref().err()) {
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        }
        answers
    }
}

/// Everybody tries again what was not acknowledged, and to be sure the rest as well.
async fn try_again(clerk: &Client, answers: &Answers) {
    let mut names = BTreeSet::new();
    for (number, answer) in answers {
        let again = clerk.tickets().create_ticket(asked(*number)).await.unwrap().into_inner();
        if let Ok(first) = answer {
            assert_eq!(again, *first, "what was acknowledged is there, as it was");
        }
        names.insert(again.name);
    }
    assert_eq!(names.len(), answers.len());
    let all = all_tickets(clerk).await;
    let numbers: BTreeSet<_> = all.iter().map(|ticket| ticket.number.clone()).collect();
    let expected: BTreeSet<_> =
        (1..=CALLS).map(|count| format!("T-2026-riverside-{count:06}")).collect();
    assert_eq!(numbers, expected, "no gap and no double");
    assert_eq!(all.into_iter().map(|ticket| ticket.name).collect::<BTreeSet<_>>(), names);
}

async fn each_has_its_event(world: &World) {
    let changes = "SELECT count(*) FROM journal WHERE aggregate_type = 'ticket'";
    let with_event = "SELECT count(DISTINCT aggregate_id) FROM journal
                      WHERE action = 'CreateTicket' AND event_type = 'kefu.ticket.v1.TicketRegistered'";
    for statement in [changes, with_event] {
        let count = world.count(ContextName::Ticket, statement).await;
        assert_eq!(u128::try_from(count).unwrap(), CALLS);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x01_x02_a_service_that_is_killed_has_lost_nothing_that_it_acknowledged() {
    let mut world = World::start(Way::Processes).await;
    let mut storm = Storm::start(&world.clerk());
    storm.until_the_end().await;
    world.mesh.kill_9(Replica::FIRST).await.unwrap();
    let answers = storm.answers().await;
    let on_record = world.count(ContextName::Ticket, "SELECT count(*) FROM ticket").await;
    let acknowledged = answers.values().filter(|answer| answer.is_ok()).count();
    assert!(usize::try_from(on_record).unwrap() >= acknowledged);
    world.mesh.restart(Replica::FIRST).await.unwrap();
    try_again(&world.clerk(), &answers).await;
    each_has_its_event(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x01_a_service_that_is_told_to_stop_finishes_what_it_began() {
    let mut world = World::start(Way::Processes).await;
    let mut storm = Storm::start(&world.clerk());
    storm.until_the_end().await;
    // SIGTERM; an error would mean that it had to be killed or that calls were cut.
    world.mesh.stop_context("ticket").await.unwrap();
    let answers = storm.answers().await;
    let on_record = world.count(ContextName::Ticket, "SELECT count(*) FROM ticket").await;
    let acknowledged = answers.values().filter(|answer| answer.is_ok()).count();
    assert_eq!(usize::try_from(on_record).unwrap(), acknowledged, "nothing done was not answered");
    world.mesh.restart(Replica::FIRST).await.unwrap();
    try_again(&world.clerk(), &answers).await;
    each_has_its_event(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x01_a_whole_mesh_that_is_told_to_stop_finishes_what_it_began() {
    let world = World::start(Way::Processes).await;
    let (databases, now) = (world.mesh.databases().clone(), world.mesh.clock().now());
    let mut storm = Storm::start(&world.clerk());
    storm.until_the_end().await;
    world.mesh.stop().await.unwrap();
    let answers = storm.answers().await;

    // Another one on the same data, with an identity provider of its own.
    let folder = tempfile::tempdir().unwrap();
    let home = Home::open(folder.path()).unwrap();
    let clock = ManualClock::new(now);
    let shared: SharedClock = Arc::new(clock.clone());
    let minter = home.minter(shared).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mesh = Mesh::start(MeshOptions::new(databases, clock, home.key(), listener)).await.unwrap();
    mesh.ready().await.unwrap();
    let clerk = Caller::staff(role::CLERK, "group".parse().unwrap(), [role::CLERK]);
    let token = minter.mint(&clerk, SignedDuration::from_hours(1)).unwrap();
    let clerk = Client::new(&format!("http://{}", mesh.address()), &token).unwrap();
    let acknowledged = answers.values().filter(|answer| answer.is_ok()).count();
    assert_eq!(all_tickets(&clerk).await.len(), acknowledged, "nothing done was not answered");
    try_again(&clerk, &answers).await;
    mesh.stop().await.unwrap();
}
