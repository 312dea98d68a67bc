//! T-24: two people who open one ticket see each other.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::{Code, Streaming};

use crate::world::{Desk, World, complaint, violations};

type Stream = Streaming<pb::WatchViewersResponse>;

async fn open(desk: &mut Desk, ticket: &str) -> Stream {
    let request = pb::WatchViewersRequest { ticket: ticket.into() };
    desk.viewers.watch_viewers(request).await.unwrap().into_inner()
}

async fn composing(desk: &mut Desk, ticket: &str, finished: bool) -> Option<i64> {
    let request = pb::AnnounceComposingRequest { ticket: ticket.into(), finished };
    let answer = desk.viewers.announce_composing(request).await.unwrap().into_inner();
    answer.until_time.map(|until| until.seconds)
}

/// Who is there, and who of them is composing.
fn people(seen: &pb::WatchViewersResponse) -> Vec<(&str, bool)> {
    let mut people: Vec<_> =
        seen.viewers.iter().map(|viewer| (&*viewer.staff, viewer.composing)).collect();
    people.sort_unstable();
    people
}

/// Reads until these are there.
async fn sees(stream: &mut Stream, expected: &[(&str, bool)]) -> pb::WatchViewersResponse {
    let mut last = None;
    for _ in 0..50 {
        let seen = stream.message().await.unwrap().unwrap();
        if people(&seen) == expected {
            return seen;
        }
        last = Some(seen);
    }
    let last = last.unwrap();
    assert_eq!(people(&last), expected, "never seen, but this at last");
    last
}

async fn ticket(world: &World) -> String {
    world.clerk().create(complaint("group/north", "漏水")).await.name
}

#[tokio::test]
async fn t24_two_people_at_two_replicas_see_each_other_come_write_and_go() {
    let mut world = World::new().await;
    world.start_replica().await;
    let name = ticket(&world).await;
    let other = ticket(&world).await;
    let entries = "SELECT count(*) FROM journal";
    let before = world.count(entries).await;
    let mut li = world.desk_at(0, "li", "group", role::HANDLER);
    let mut wang = world.desk_at(1, "wang", "group", role::HANDLER);
    let mut first = open(&mut li, &name).await;
    let seen = sees(&mut first, &[("li", false)]).await;
    assert_eq!(seen.viewer_count, 1);
    assert!(seen.viewers[0].since_time.is_some());
    let mut second = open(&mut wang, &name).await;
    sees(&mut second, &[("li", false), ("wang", false)]).await;
    sees(&mut first, &[("li", false), ("wang", false)]).await;
    // Said through the other replica than the one that has the stream.
    let mut elsewhere = world.desk_at(1, "li", "group", role::HANDLER);
    let until = composing(&mut elsewhere, &name, false).await.unwrap();
    assert_eq!(composing(&mut elsewhere, &name, false).await, Some(until), "that is enough");
    sees(&mut second, &[("li", true), ("wang", false)]).await;
    sees(&mut first, &[("li", true), ("wang", false)]).await;
    assert_eq!(composing(&mut li, &name, true).await, None);
    sees(&mut second, &[("li", false), ("wang", false)]).await;
    // Another ticket is another matter.
    let mut third = open(&mut li, &other).await;
    sees(&mut third, &[("li", false)]).await;
    drop(first);
    sees(&mut second, &[("wang", false)]).await;
    assert_eq!(world.count(entries).await, before, "it is no evidence");
}

#[tokio::test]
async fn t24_somebody_with_two_windows_is_there_until_the_last_is_closed() {
    let world = World::new().await;
    let name = ticket(&world).await;
    let mut li = world.desk("li", "group", role::HANDLER);
    let (one, two) = (open(&mut li, &name).await, open(&mut li, &name).await);
    let mut manager = world.manager();
    let mut watching = open(&mut manager, &name).await;
    sees(&mut watching, &[("li", false), ("manager", false)]).await;
    composing(&mut li, &name, false).await;
    sees(&mut watching, &[("li", true), ("manager", false)]).await;
    drop(one);
    composing(&mut manager, &name, false).await;
    sees(&mut watching, &[("li", true), ("manager", true)]).await;
    drop(two);
    sees(&mut watching, &[("manager", true)]).await;
}

#[tokio::test]
async fn t24_who_composes_and_does_not_say_so_again_has_stopped() {
    let world = World::new().await;
    let name = ticket(&world).await;
    let mut manager = world.manager();
    let mut watching = open(&mut manager, &name).await;
    let mut li = world.desk("li", "group", role::HANDLER);
    composing(&mut li, &name, false).await;
    sees(&mut watching, &[("li", true), ("manager", false)]).await;
    world.set_time("2026-03-02T02:00:59Z").await;
    let seen = composing(&mut manager, &name, false).await;
    assert!(seen.is_some());
    sees(&mut watching, &[("li", true), ("manager", true)]).await;
    world.set_time("2026-03-02T02:01:01Z").await;
    sees(&mut watching, &[("manager", true)]).await;
}

#[tokio::test]
async fn t24_whoever_looked_through_a_process_that_died_is_gone_when_its_lease_is_over() {
    let world = World::new().await;
    let name = ticket(&world).await;
    let id: uuid::Uuid = name.strip_prefix("tickets/").unwrap().parse().unwrap();
    // What a process leaves that was killed: nobody renews its lease.
    let process = uuid::Uuid::from_u128(1);
    sqlx::query("INSERT INTO viewer_lease VALUES ($1, '2026-03-02T02:00:15Z')")
        .bind(process)
        .execute(&world.pool)
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO ticket_viewer (process, ticket_id, staff, since)
         SELECT $1, $2, 'dead' || n, '2026-03-02T01:00:00Z' FROM generate_series(1, 60) AS n",
    )
    .bind(process)
    .bind(id)
    .execute(&world.pool)
    .await
    .unwrap();
    let mut manager = world.manager();
    let mut watching = open(&mut manager, &name).await;
    let seen = watching.message().await.unwrap().unwrap();
    assert_eq!((seen.viewers.len(), seen.viewer_count), (50, 61), "bounded, and counted");
    world.set_time("2026-03-02T02:00:16Z").await;
    sees(&mut watching, &[("manager", false)]).await;
    world.set_time("2026-03-02T02:02:00Z").await;
    let leases = "SELECT count(*) FROM viewer_lease";
    assert_eq!(world.count(leases).await, 1, "what is dead is forgotten, what lives is not");
    assert_eq!(world.count("SELECT count(*) FROM ticket_viewer").await, 1);
}

#[tokio::test]
async fn t24_after_a_crash_of_the_database_the_living_are_seen_again() {
    let mut world = World::new().await;
    world.start_replica().await;
    let name = ticket(&world).await;
    let mut li = world.desk_at(1, "li", "group", role::HANDLER);
    let theirs = open(&mut li, &name).await;
    let mut manager = world.manager();
    let mut watching = open(&mut manager, &name).await;
    sees(&mut watching, &[("li", false), ("manager", false)]).await;
    // What a crash does to tables that are not logged.
    sqlx::query("DELETE FROM viewer_lease").execute(&world.pool).await.unwrap();
    sees(&mut watching, &[]).await;
    world.set_time("2026-03-02T02:00:06Z").await;
    sees(&mut watching, &[("li", false), ("manager", false)]).await;
    drop(theirs);
}

#[tokio::test]
async fn x07_who_may_not_see_a_ticket_does_not_see_who_looks_at_it() {
    let world = World::new().await;
    let name = ticket(&world).await;
    let mut south = world.desk("zhao", "group/south", role::HANDLER);
    let request = pb::WatchViewersRequest { ticket: name.clone() };
    let denied = south.viewers.watch_viewers(request).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    let request = pb::AnnounceComposingRequest { ticket: name.clone(), finished: false };
    let denied = south.viewers.announce_composing(request).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    let request = pb::AnnounceComposingRequest { ticket: name.clone(), finished: false };
    let denied = world.clerk().viewers.announce_composing(request).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied, "who may not answer composes nothing");
    let request = pb::WatchViewersRequest { ticket: "tickets/1".into() };
    let error = south.viewers.watch_viewers(request).await.unwrap_err();
    assert_eq!(violations(&error), ["ticket"]);
    // It goes elsewhere while somebody looks.
    let mut north = world.desk("li", "group/north", role::HANDLER);
    let mut watching = open(&mut north, &name).await;
    sees(&mut watching, &[("li", false)]).await;
    sqlx::query("UPDATE ticket SET org_unit = 'group/south'").execute(&world.pool).await.unwrap();
    let end = watching.message().await.unwrap_err();
    assert_eq!(end.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn t24_when_a_replica_stops_its_streams_end_and_the_others_know_at_once() {
    let mut world = World::new().await;
    world.start_replica().await;
    let name = ticket(&world).await;
    let mut li = world.desk_at(1, "li", "group", role::HANDLER);
    let mut theirs = open(&mut li, &name).await;
    let mut manager = world.manager();
    let mut watching = open(&mut manager, &name).await;
    sees(&mut watching, &[("li", false), ("manager", false)]).await;
    let stopping = tokio::spawn(world.replicas.remove(1).stop());
    // Its end may come as an end or as "unavailable", but it comes.
    while let Ok(Some(_)) = theirs.message().await {}
    stopping.await.unwrap().unwrap();
    sees(&mut watching, &[("manager", false)]).await;
}
