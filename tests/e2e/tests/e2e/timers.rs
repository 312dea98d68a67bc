//! Promises that fall due while the machinery that keeps watch is killed, T-07.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use kefu::client::Client;
use kefu::database::{ContextName, Databases};
use kefu::home::Home;
use kefu::mesh::{Mesh, MeshOptions};
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::ticket_event::Change;
use kefu_clock::{Clock as _, SystemClock};
use kefu_harness::Replica;
use kefu_identity::{Caller, role};
use kefu_service::ClockSetting;
use tokio::net::TcpListener;
use tonic::Streaming;

use crate::company::{self, RIVERSIDE, complaint, elapsed, hours, registration};
use crate::story::{clock, get};
use crate::world::{Way, World, databases};

/// How many promises fall due at the same instant.
const AT_ONCE: usize = 200;

/// A day, which is what is promised.
const DAY: SignedDuration = SignedDuration::from_hours(24);

async fn register(clerk: &Client, count: usize) -> Vec<pb::Ticket> {
    let calls = (0..count).map(|index| {
        let mut tickets = clerk.tickets();
        let ticket = complaint(RIVERSIDE, &format!("投诉 {index}"));
        async move { tickets.create_ticket(registration(ticket, String::new())).await }
    });
    let calls = futures::stream::iter(calls).buffer_unordered(16);
    calls.map(|answer| answer.unwrap().into_inner()).collect().await
}

async fn watch(client: &Client) -> Streaming<pb::WatchTicketsResponse> {
    let request = pb::WatchTicketsRequest { org_unit: "group".into(), ..Default::default() };
    let mut stream = client.tickets().watch_tickets(request).await.unwrap().into_inner();
    // The sign of life at once: from here on nothing is missed.
    stream.message().await.unwrap().unwrap();
    stream
}

/// The next breach that the stream tells of.
async fn breach(stream: &mut Streaming<pb::WatchTicketsResponse>) -> pb::TicketEvent {
    loop {
        let event = stream.message().await.unwrap().unwrap().event;
        if let Some(event @ pb::TicketEvent { change: Some(Change::ClockBreached(_)), .. }) = event
        {
            return event;
        }
    }
}

/// Every ticket there is, page by page.
pub async fn all_tickets(client: &Client) -> Vec<pb::Ticket> {
    let mut request =
        pb::ListTicketsRequest { org_unit: "group".into(), page_size: 100, ..Default::default() };
    let mut tickets = Vec::new();
    loop {
        let page = client.tickets().list_tickets(request.clone()).await.unwrap().into_inner();
        tickets.extend(page.tickets);
        if page.next_page_token.is_empty() {
            return tickets;
        }
        request.page_token = page.next_page_token;
    }
}

/// The tickets of all violations there are, each as often as it has any.
async fn violated(client: &Client) -> Vec<String> {
    let mut request = pb::ListViolationsRequest {
        org_unit: "group".into(),
        page_size: 100,
        ..Default::default()
    };
    let mut tickets = Vec::new();
    loop {
        let page = client.tickets().list_violations(request.clone()).await.unwrap().into_inner();
        tickets.extend(page.violations.into_iter().map(|violation| violation.ticket));
        if page.next_page_token.is_empty() {
            return tickets;
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t07_x01_killing_replicas_at_any_moment_loses_no_breach_and_doubles_none() {
    let mut world = World::start(Way::Processes).await;
    let first = Replica::FIRST;
    let second = world.mesh.add_ticket_replica().await.unwrap();
    let token = world.mesh.token(role::CLERK, "group");
    // Who dies after how many breaches.
    let rounds = [(second, first, 1), (second, first, 60), (first, second, 20)];
    for (victim, survivor, after) in rounds {
        let registered = register(&world.clerk(), AT_ONCE).await;
        let mut stream = watch(&world.mesh.client_of(survivor, &token).unwrap()).await;
        let due = world.mesh.clock().now() + DAY;
        world.mesh.clock().jump(due).await.unwrap();
        let mut seen = Vec::new();
        for _ in 0..after {
            seen.push(breach(&mut stream).await.ticket);
        }
        world.mesh.kill_9(victim).await.unwrap();
        while seen.len() < AT_ONCE {
            seen.push(breach(&mut stream).await.ticket);
        }
        let expected: BTreeSet<_> = registered.into_iter().map(|ticket| ticket.name).collect();
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), expected, "seen by whoever streams");
        world.mesh.restart(victim).await.unwrap();
    }
    world.mesh.clock().settle().await.unwrap();

    let tickets = all_tickets(&world.clerk()).await;
    assert_eq!(tickets.len(), rounds.len() * AT_ONCE);
    for ticket in &tickets {
        let first = clock(ticket, "first-response", 1);
        assert_eq!(first.state(), pb::ClockState::Breached, "{}", ticket.number);
        assert_eq!((first.breach_time, ticket.escalations.len()), (first.due_time, 1));
        assert_eq!(ticket.receiver_level, 2);
    }
    let violated = violated(&world.clerk()).await;
    assert_eq!(violated.len(), tickets.len());
    assert_eq!(violated.into_iter().collect::<BTreeSet<_>>().len(), tickets.len());
    let breaches = "SELECT count(*) FROM journal WHERE action = 'BreachClock'";
    let breaches = world.count(ContextName::Ticket, breaches).await;
    assert_eq!(usize::try_from(breaches).unwrap(), tickets.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t07_what_fell_due_while_nobody_was_up_is_broken_as_of_its_deadline() {
    let mut world = World::start(Way::Processes).await;
    let mut tickets = register(&world.clerk(), 10).await;
    world.mesh.clock().advance(SignedDuration::from_hours(6)).await.unwrap();
    tickets.extend(register(&world.clerk(), 10).await);
    world.mesh.kill_9(Replica::FIRST).await.unwrap();
    let later = world.mesh.clock().now() + DAY * 10;
    world.mesh.clock().jump(later).await.unwrap();
    world.mesh.restart(Replica::FIRST).await.unwrap();
    world.mesh.clock().set(later).await.unwrap();
    for before in tickets {
        let late = get(&world, &before.name).await;
        for rule in ["first-response", "resolution"] {
            let broken = clock(&late, rule, 1);
            assert_eq!(broken.state(), pb::ClockState::Breached);
            assert_eq!(broken.breach_time, clock(&before, rule, 1).due_time);
        }
        // As if each had been noticed at its moment.
        let form = &late.escalations[0];
        assert_eq!(form.escalate_time, clock(&before, "first-response", 1).due_time);
        assert_eq!(late.escalations.len(), 1, "only the first response raises");
    }
    assert_eq!(violated(&world.clerk()).await.len(), 20);
}

/// A mesh that goes by the machine's clock.
async fn by_the_machines_clock(databases: &Databases, home: &Home) -> Mesh {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = MeshOptions {
        pool_size: 8,
        ..MeshOptions::new(databases.clone(), ClockSetting::System, home.key(), listener)
    };
    let mesh = Mesh::start(options).await.unwrap();
    mesh.ready().await.unwrap();
    mesh
}

/// The only test in which time passes by itself: a promise of three seconds. It waits on the stream and not on a timer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t07_a_breach_is_on_record_and_told_within_two_seconds_of_its_deadline() {
    let databases = databases().await;
    let folder = tempfile::tempdir().unwrap();
    let home = Home::open(folder.path()).unwrap();
    let minter = home.minter(Arc::new(SystemClock)).unwrap();
    let two = [
        by_the_machines_clock(&databases, &home).await,
        by_the_machines_clock(&databases, &home).await,
    ];
    let caller = Caller::staff("you", "group".parse().unwrap(), [role::ADMIN, role::CLERK]);
    let token = minter.mint(&caller, SignedDuration::from_hours(1)).unwrap();
    let clients = [0, 1]
        .map(|n: usize| Client::new(&format!("http://{}", two[n].address()), &token).unwrap());
    company::found(&clients[0]).await;
    let quick = company::policy("quick", elapsed(3), hours(24));
    company::apply(&clients[0], RIVERSIDE, quick).await;

    let mut streams = [watch(&clients[0]).await, watch(&clients[1]).await];
    let ticket = register(&clients[0], 1).await.remove(0);
    let due = clock(&ticket, "first-response", 1).due_time.unwrap();
    let due = Timestamp::new(due.seconds, due.nanos).unwrap();
    for stream in &mut streams {
        let told = tokio::time::timeout(Duration::from_secs(30), breach(stream)).await.unwrap();
        let late = SystemClock.now().duration_since(due);
        assert_eq!(told.ticket, ticket.name);
        assert!(late > SignedDuration::ZERO && late < SignedDuration::from_secs(2), "{late:?}");
    }
    let request = pb::GetTicketRequest { name: ticket.name.clone() };
    let broken = clients[1].tickets().get_ticket(request).await.unwrap().into_inner();
    let first = clock(&broken, "first-response", 1);
    assert_eq!(first.breach_time, first.due_time);
    assert_eq!(violated(&clients[0]).await, [ticket.name]);
    for mesh in two {
        mesh.stop().await.unwrap();
    }
}
