//! T-24: the live stream.

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::ticket_event::Change;
use tonic::Streaming;

use crate::world::{Desk, World, complaint, reason, violations};

async fn watch(
    desk: &mut Desk,
    org_unit: &str,
    token: &str,
) -> Streaming<pb::WatchTicketsResponse> {
    let request = pb::WatchTicketsRequest { org_unit: org_unit.into(), resume_token: token.into() };
    desk.tickets.watch_tickets(request).await.unwrap().into_inner()
}

async fn event(stream: &mut Streaming<pb::WatchTicketsResponse>) -> (pb::TicketEvent, String) {
    loop {
        let message = stream.message().await.unwrap().unwrap();
        if let Some(event) = message.event {
            return (event, message.resume_token);
        }
    }
}

#[tokio::test]
async fn t24_a_watcher_sees_its_scope_from_now_and_resumes_where_it_broke_off() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let earlier = clerk.create(complaint("group/north", "早先")).await;
    let mut stream = watch(&mut clerk, "group/north", "").await;
    let hello = stream.message().await.unwrap().unwrap();
    assert_eq!(hello.event, None, "a sign of life at once");
    clerk.create(complaint("group/south", "别处")).await;
    let ticket = clerk.create(complaint("group/north/riverside", "漏水")).await;
    // What was committed a moment before may come, too: a stream rather repeats than misses.
    let (first, token) = loop {
        let found = event(&mut stream).await;
        if found.0.ticket != earlier.name {
            break found;
        }
    };
    assert_eq!((&first.ticket, first.revision), (&ticket.name, 1));
    let Some(Change::Registered(registered)) = first.change else { panic!("{first:?}") };
    assert_eq!(registered.ticket.unwrap().number, ticket.number, "the event knows the number");
    drop(stream);
    world.manager().respond(&ticket.name).await.unwrap();
    world.pass_hours(24 * 7).await;
    let mut stream = watch(&mut clerk, "group/north", &token).await;
    let (second, _) = event(&mut stream).await;
    assert_eq!((second.revision, second.actor.as_str()), (2, "manager"));
    let mut names = Vec::new();
    for _ in 0..2 {
        names.push(event(&mut stream).await.0);
    }
    assert!(names.iter().any(|event| matches!(event.change, Some(Change::ClockBreached(_)))));
}

#[tokio::test]
async fn t24_a_stream_ends_when_the_service_stops() {
    let mut world = World::new().await;
    let mut clerk = world.clerk();
    let mut stream = watch(&mut clerk, "group", "").await;
    stream.message().await.unwrap();
    let stopping = tokio::spawn(world.replicas.remove(0).stop());
    // Its end may come as an end or as "unavailable", but it comes.
    while let Ok(Some(_)) = stream.message().await {}
    stopping.await.unwrap().unwrap();
}

#[tokio::test]
async fn x06_a_resume_token_from_elsewhere_is_refused() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let request = pb::WatchTicketsRequest { org_unit: String::new(), resume_token: "x".into() };
    let error = clerk.tickets.watch_tickets(request).await.unwrap_err();
    assert_eq!(violations(&error), ["org_unit", "resume_token"]);
    let other = World::new().await;
    let mut stream = watch(&mut other.clerk(), "group", "").await;
    let token = stream.message().await.unwrap().unwrap().resume_token;
    let request = pb::WatchTicketsRequest { org_unit: "group".into(), resume_token: token };
    let error = clerk.tickets.watch_tickets(request).await.unwrap_err();
    assert_eq!(reason(&error), "FEED_IDENTITY_CHANGED");
}
