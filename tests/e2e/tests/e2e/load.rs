//! Too much, and too soon.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::ticket_service_client::TicketServiceClient;
use kefu_identity::role;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::company::{RIVERSIDE, complaint, registration};
use crate::timers::all_tickets;
use crate::world::{Refusal, Way, World, bearing, request_id};

/// Streams that somebody opens.
const STREAMS: usize = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x08_ten_thousand_open_streams_are_held_or_refused_and_harm_nobody() {
    let world = World::start(Way::OneProcess).await;
    let token = Arc::<str>::from(world.mesh.token(role::CLERK, "group"));
    // Several connections, as from several desks: one alone may not open so many.
    let ways: Vec<_> = (0..4).map(|_| world.nobody()).collect();
    let opening = (0..STREAMS).map(|number| {
        let mut tickets = TicketServiceClient::new(ways[number % ways.len()].clone());
        let token = Arc::clone(&token);
        async move {
            let request =
                pb::WatchTicketsRequest { org_unit: "group".into(), ..Default::default() };
            let mut stream = tickets.watch_tickets(bearing(&token, request)).await?.into_inner();
            stream.message().await?;
            Ok::<_, Status>(stream)
        }
    });
    let answers: Vec<Result<Streaming<_>, Status>> =
        futures::stream::iter(opening).buffer_unordered(32).collect().await;
    let (held, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert!(!held.is_empty() && !refused.is_empty(), "{} held", held.len());
    for status in refused.iter().filter_map(|answer| answer.as_ref().err()) {
        let expected = Refusal::new(Code::ResourceExhausted, "OVERLOADED", &[]);
        assert_eq!(Refusal::of(status), expected, "{status:?}");
        assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
    }

    // Calls have room of their own, and whoever is held sees what happens.
    let mut clerk = world.clerk().tickets();
    let request = registration(complaint(RIVERSIDE, "漏水"), String::new());
    let ticket = clerk.create_ticket(request).await.unwrap().into_inner();
    let told = futures::stream::iter(held.into_iter().filter_map(Result::ok)).map(|mut stream| {
        let name = ticket.name.clone();
        async move {
            loop {
                let event = stream.message().await.unwrap().unwrap().event;
                if event.is_some_and(|event| event.ticket == name) {
                    return stream;
                }
            }
        }
    });
    let held: Vec<_> = told.buffer_unordered(64).collect().await;
    drop(held);
    // Room again. How soon the servers hear of so many closed streams is theirs to say, so ask until there is.
    loop {
        let request = pb::WatchTicketsRequest { org_unit: "group".into(), ..Default::default() };
        match clerk.watch_tickets(request).await {
            Ok(_) => break,
            Err(status) => assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x02_x08_a_deadline_of_a_millisecond_leaves_a_ticket_whole_or_not_at_all() {
    const CALLS: u128 = 200;
    let world = World::start(Way::Processes).await;
    let clerk = world.clerk();
    let asked = |number: u128| {
        registration(complaint(RIVERSIDE, &format!("投诉 {number}")), request_id(number))
    };
    let calls = (0..CALLS).map(|number| {
        let mut tickets = clerk.tickets();
        let mut request = tonic::Request::new(asked(number));
        // From hopeless to just about possible.
        request.set_timeout(Duration::from_micros(1_000 + 50 * u64::try_from(number).unwrap()));
        async move { tickets.create_ticket(request).await }
    });
    let impatient = futures::stream::iter(calls).buffered(4).collect::<Vec<_>>();
    // Calls that are given up travel over the same connection between gateway and context as everybody's.
    let patient = async {
        for _ in 0..50 {
            let request =
                pb::ListTicketsRequest { org_unit: RIVERSIDE.into(), ..Default::default() };
            world.manager().tickets().list_tickets(request).await.unwrap();
        }
    };
    let (answers, ()) = tokio::join!(impatient, patient);
    let late: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert!(!late.is_empty(), "nobody was late");
    for status in late {
        let expected = Refusal::new(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", &[]);
        assert_eq!(Refusal::of(status), expected, "{status:?}");
    }

    world.mesh.clock().settle().await.unwrap();
    let so_far = all_tickets(&clerk).await;
    for ticket in &so_far {
        // What is there is there with its promises.
        assert_eq!((ticket.clocks.len(), ticket.state()), (2, pb::TicketState::Registered));
    }
    for (number, answer) in (0..CALLS).zip(answers) {
        let again = clerk.tickets().create_ticket(asked(number)).await.unwrap().into_inner();
        if let Ok(first) = answer {
            assert_eq!(again, first.into_inner());
        }
    }
    let all = all_tickets(&clerk).await;
    assert_eq!(all.len() as u128, CALLS, "each exactly once");
    assert!(so_far.iter().all(|ticket| all.contains(ticket)));
}
