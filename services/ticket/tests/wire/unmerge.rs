//! T-04, T-14, X-03: merges are undone in whatever order, along whatever chain.

use kefu_api::ticket::v1 as pb;
use prost_types::Timestamp;
use tonic::Code;

use crate::delivery::send;
use crate::merge::{into, merge, tickets, unmerge};
use crate::pack::policy;
use crate::receiver::MailServer;
use crate::recompute::{last, recomputing, shorter};
use crate::undelivered::to;
use crate::world::{Desk, World, metadata};

const DUE: &str = "resolution";

async fn due(desk: &mut Desk, ticket: &pb::Ticket) -> Option<Timestamp> {
    last(&desk.get(&ticket.name).await, DUE).due_time
}

/// Three tickets, each an hour later than the one before.
async fn hourly(world: &World) -> [pb::Ticket; 3] {
    let mut made = Vec::new();
    for subject in ["电梯坏了", "电梯又坏了", "电梯一直坏"] {
        let [ticket] = tickets(world, [subject]).await;
        made.push(ticket);
        world.pass_hours(1).await;
    }
    made.try_into().unwrap()
}

#[tokio::test]
async fn t04_of_two_merges_either_is_undone_first_and_the_survivor_has_its_own_promises_back() {
    for order in [[0, 1], [1, 0]] {
        let world = World::new().await;
        let mut manager = world.manager();
        let made = hourly(&world).await;
        let own = due(&mut manager, &made[2]).await;
        // Each deadline is earlier than the one that binds by then.
        merge(&mut manager, &made[1].name, &made[2].name).await.unwrap();
        merge(&mut manager, &made[0].name, &made[2].name).await.unwrap();
        let merged = manager.get(&made[2].name).await;
        assert_eq!(last(&merged, DUE).due_time, last(&made[0], DUE).due_time);
        unmerge(&mut manager, &made[order[0]].name).await.unwrap();
        let left = due(&mut manager, &made[2]).await;
        assert_eq!(left, last(&made[order[1]], DUE).due_time, "{order:?}");
        unmerge(&mut manager, &made[order[1]].name).await.unwrap();
        assert_eq!(due(&mut manager, &made[2]).await, own, "{order:?}");
        let alone = manager.get(&made[2].name).await;
        let running = alone.clocks.iter().filter(|clock| clock.state() == pb::ClockState::Running);
        assert_eq!(running.count(), 2, "one promise of each kind");
        for (place, ticket) in made[..2].iter().enumerate() {
            let given = last(ticket, DUE).due_time;
            assert_eq!(due(&mut manager, ticket).await, given, "{place}");
        }
    }
}

#[tokio::test]
async fn t04_a_regulation_of_meanwhile_holds_for_the_promises_that_come_back() {
    let world = World::new().await;
    let mut manager = world.manager();
    world.admin().apply("group", policy()).await.unwrap();
    let [early, twin, late] = hourly(&world).await;
    // The twin is as old as the survivor is, to the hour that it was registered before.
    merge(&mut manager, &early.name, &late.name).await.unwrap();
    let version = world.admin().apply("group", recomputing(shorter())).await.unwrap();
    world.settle().await;
    world.pass_hours(1).await;
    unmerge(&mut manager, &early.name).await.unwrap();
    let back = manager.get(&late.name).await;
    assert_eq!(last(&back, DUE).policy_version, version.name);
    assert_eq!(last(&back, DUE).start_time, last(&late, DUE).start_time, "its own");
    let rolled = last(&manager.get(&twin.name).await, DUE).clone();
    let taken =
        |clock: &pb::Clock| clock.due_time.unwrap().seconds - clock.start_time.unwrap().seconds;
    assert_eq!(taken(last(&back, DUE)), taken(&rolled));
}

#[tokio::test]
async fn t04_whoever_leaves_a_chain_leaves_all_that_it_was_merged_into() {
    let world = World::new().await;
    let mut manager = world.manager();
    let made = hourly(&world).await;
    let given = made.each_ref().map(|ticket| last(ticket, DUE).due_time);
    merge(&mut manager, &made[0].name, &made[1].name).await.unwrap();
    merge(&mut manager, &made[1].name, &made[2].name).await.unwrap();
    assert_eq!(due(&mut manager, &made[2]).await, given[0]);
    unmerge(&mut manager, &made[0].name).await.unwrap();
    let bound = due(&mut manager, &made[2]).await;
    assert_eq!(bound, given[1], "by what is still merged into it");
    let between = manager.get(&made[1].name).await;
    assert_eq!(between.state(), pb::TicketState::Merged);
    unmerge(&mut manager, &made[1].name).await.unwrap();
    for (ticket, given) in made.iter().zip(given) {
        assert_eq!(due(&mut manager, ticket).await, given, "{}", ticket.subject);
    }
    // Each breaks its own promise, once, and nobody else's.
    world.pass_hours(24 * 30).await;
    let missed =
        "SELECT count(*) FROM ticket_clock WHERE rule = 'resolution' AND breached_at IS NOT NULL";
    assert_eq!(world.count(missed).await, 3);
}

#[tokio::test]
async fn t14_a_mark_goes_from_the_whole_chain_and_what_it_covered_is_shown_again() {
    let server = MailServer::start().await;
    let world = crate::undelivered::world(&server).await;
    let mut manager = world.manager();
    let [first, middle, survivor] = tickets(&world, ["电梯坏了", "电梯又坏了", "电梯还坏"]).await;
    // The survivor's own is the earlier one.
    for ticket in [&survivor, &first] {
        server.will(["550 5.1.1 no such user"]);
        send(&mut manager, &ticket.name, "我们正在处理", to()).await.unwrap();
        world.settle().await;
        world.pass_hours(1).await;
    }
    let own = manager.get(&survivor.name).await.undelivered.unwrap();
    let theirs = manager.get(&first.name).await.undelivered.unwrap();
    merge(&mut manager, &first.name, &middle.name).await.unwrap();
    merge(&mut manager, &middle.name, &survivor.name).await.unwrap();
    for ticket in [&middle, &survivor] {
        let shown = manager.get(&ticket.name).await.undelivered;
        assert_eq!(shown.as_ref(), Some(&theirs), "the later one");
    }
    unmerge(&mut manager, &first.name).await.unwrap();
    assert_eq!(manager.get(&middle.name).await.undelivered, None);
    let shown = manager.get(&survivor.name).await.undelivered.unwrap();
    assert_eq!((&shown.message, &shown.delivery), (&own.message, &own.delivery));
    assert_eq!(shown.send_time, own.send_time);
    assert_eq!(manager.get(&first.name).await.undelivered, Some(theirs));
}

#[tokio::test]
async fn x03_a_merge_and_its_undoing_are_of_what_was_seen_of_both_tickets() {
    let world = World::new().await;
    let mut manager = world.manager();
    let [one, other] = tickets(&world, ["电梯坏了", "电梯又坏了"]).await;
    let changed = manager.respond(&other.name).await.unwrap();
    let asked = |etag: &str| pb::MergeTicketRequest {
        into_etag: etag.into(),
        ..into(&one.name, &other.name)
    };
    let error = manager.links.merge_ticket(asked(&other.etag)).await.unwrap_err();
    let told = ["resource_name", "current_etag"].map(|key| metadata(&error, key));
    assert_eq!((error.code(), told), (Code::Aborted, [other.name.clone(), changed.etag.clone()]));
    manager.links.merge_ticket(asked(&changed.etag)).await.unwrap();
    let undo = |etag: &str| pb::UnmergeTicketRequest {
        name: one.name.clone(),
        reason: "其实是两部电梯".into(),
        into_etag: etag.into(),
        ..Default::default()
    };
    let error = manager.links.unmerge_ticket(undo(&changed.etag)).await.unwrap_err();
    assert_eq!(
        (error.code(), metadata(&error, "resource_name")),
        (Code::Aborted, other.name.clone())
    );
    let seen = manager.get(&other.name).await.etag;
    manager.links.unmerge_ticket(undo(&seen)).await.unwrap();
    let wrong = manager.links.merge_ticket(asked("7")).await.unwrap_err();
    assert_eq!(crate::world::violations(&wrong), ["into_etag"]);
}
