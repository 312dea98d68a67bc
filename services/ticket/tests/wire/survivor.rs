//! T-04: what the survivor of a merge takes on, and what comes back when the merge is undone.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::Code;

use crate::delivery::{deliveries, send};
use crate::merge::{into, merge, tickets, unmerge};
use crate::pack::{policy, working_days};
use crate::receiver::MailServer;
use crate::recompute::{last, recomputing, shorter};
use crate::routing::{RECOUNT, company, explain, present};
use crate::undelivered::{queue, to};
use crate::world::{Desk, World, at, clock, complaint, reason, violations};

/// As somebody else writes the same name.
fn shouted(name: &str) -> String {
    let (collection, id) = name.split_once('/').unwrap();
    format!("{collection}/{}", id.to_uppercase())
}

#[tokio::test]
async fn t04_x06_a_ticket_is_itself_however_its_name_is_written() {
    let world = World::new().await;
    let mut manager = world.manager();
    let [ticket] = tickets(&world, ["电梯坏了"]).await;
    for (name, other) in
        [(ticket.name.clone(), shouted(&ticket.name)), (shouted(&ticket.name), ticket.name.clone())]
    {
        let error = merge(&mut manager, &name, &other).await.unwrap_err();
        assert_eq!(violations(&error), ["into"]);
        let request = pb::LinkTicketRequest { name, parent: other, ..Default::default() };
        let error = manager.links.link_ticket(request).await.unwrap_err();
        assert_eq!(violations(&error), ["parent"]);
    }
    assert_eq!(manager.get(&ticket.name).await, ticket);
    let [survivor] = tickets(&world, ["电梯又坏了"]).await;
    merge(&mut manager, &shouted(&ticket.name), &shouted(&survivor.name)).await.unwrap();
}

#[tokio::test]
async fn t04_what_somebody_else_was_told_keeps_no_promise() {
    let world = World::new().await;
    let mut manager = world.manager();
    let of = |complainant: &str| pb::Ticket {
        complainant: complainant.into(),
        ..complaint("group/north", "电梯坏了")
    };
    let zhang = world.clerk().create(of("张三")).await;
    world.pass_hours(10).await;
    let li = world.clerk().create(of("李四")).await;
    world.pass_hours(1).await;
    manager.respond(&li.name).await.unwrap();
    merge(&mut manager, &zhang.name, &li.name).await.unwrap();
    let owed = manager.get(&li.name).await;
    let owed = last(&owed, "first-response");
    assert_eq!(owed.state(), pb::ClockState::Running);
    assert_eq!(owed.due_time, clock(&zhang, "first-response", 1).due_time);
    world.pass_hours(13).await;
    let broken = manager.violations("group").await;
    assert_eq!(broken.len(), 1, "nobody has answered him");
    assert_eq!(broken[0].occur_time, clock(&zhang, "first-response", 1).due_time);
}

#[tokio::test]
async fn t04_x10_a_promise_moves_with_its_version_and_is_explained_by_it() {
    let world = World::new().await;
    let mut manager = world.manager();
    let [early] = tickets(&world, ["电梯坏了"]).await;
    // Another time for the solution, on a calendar of Berlin.
    let mut longer = policy();
    longer.clocks[1].target = working_days(6);
    longer.calendar.as_mut().unwrap().time_zone = "Europe/Berlin".into();
    let version = world.admin().apply("group", longer).await.unwrap();
    let [late] = tickets(&world, ["电梯还是坏的"]).await;
    assert_eq!(late.policy_version, version.name);
    world.pass_hours(1).await;
    merge(&mut manager, &early.name, &late.name).await.unwrap();
    let survivor = manager.get(&late.name).await;
    let moved = last(&survivor, "resolution");
    assert_eq!(
        (&moved.policy_version, moved.round, moved.due_time),
        (&early.policy_version, 2, clock(&early, "resolution", 1).due_time)
    );
    assert_eq!(survivor.policy_version, version.name, "judged as ever");
    // From Monday, eleven o'clock in Shanghai, it waits for a day. Of 24 working hours one is used up by then.
    let pause = pb::PauseTicketRequest {
        name: late.name.clone(),
        reason: "等客户照片".into(),
        ..Default::default()
    };
    manager.tickets.pause_ticket(pause).await.unwrap();
    world.pass_hours(24).await;
    let resume = pb::ResumeTicketRequest { name: late.name.clone(), ..Default::default() };
    let resumed = manager.tickets.resume_ticket(resume).await.unwrap().into_inner();
    assert_eq!(last(&resumed, "resolution").due_time, at("2026-03-06T02:00:00Z"));
    let explained = manager.deadlines(&late.name).await;
    let told = explained.iter().rfind(|one| one.clock.as_ref().unwrap().rule == "resolution");
    let told = told.unwrap();
    assert_eq!((&told.policy_version, &*told.time_zone), (&early.policy_version, "Asia/Shanghai"));
    assert_eq!(told.segments.last().unwrap().end_time, at("2026-03-06T02:00:00Z"));
    let counted: i64 = told
        .segments
        .iter()
        .filter(|segment| segment.counted)
        .map(|segment| segment.end_time.unwrap().seconds - segment.start_time.unwrap().seconds)
        .sum();
    assert_eq!(counted, 24 * 3_600, "the segments lead to the deadline");
    world.set_time("2026-03-06T02:00:00Z").await;
    let broken = manager.get(&late.name).await;
    assert_eq!(last(&broken, "resolution").breach_time, at("2026-03-06T02:00:00Z"));
}

#[tokio::test]
async fn t04_t05_promises_of_a_new_regulation_are_merged_whatever_the_tickets_were_registered_under()
 {
    let world = World::new().await;
    let mut manager = world.manager();
    let [early] = tickets(&world, ["电梯坏了"]).await;
    world.admin().apply("group", policy()).await.unwrap();
    world.pass_hours(1).await;
    let [late] = tickets(&world, ["电梯还是坏的"]).await;
    let version = world.admin().apply("group", recomputing(shorter())).await.unwrap();
    world.settle().await;
    let before = manager.get(&early.name).await;
    assert_eq!(before.promise_version, version.name);
    merge(&mut manager, &early.name, &late.name).await.unwrap();
    let survivor = manager.get(&late.name).await;
    for rule in ["first-response", "resolution"] {
        let (moved, given) = (last(&survivor, rule), last(&before, rule));
        assert_eq!(
            (moved.due_time, &moved.policy_version),
            (given.due_time, &version.name),
            "{rule}"
        );
        let live = survivor
            .clocks
            .iter()
            .filter(|clock| clock.rule == rule && clock.state() == pb::ClockState::Running);
        assert_eq!(live.count(), 1);
    }
}

#[tokio::test]
async fn t13_whoever_handled_what_was_merged_does_not_ask_for_the_verdict() {
    let world = World::new().await;
    let mut manager = world.manager();
    let [one, other] = tickets(&world, ["电梯坏了", "电梯又坏了"]).await;
    let mut quality = world.quality();
    let mut own = world.desk("quality", "group", role::HANDLER);
    own.respond(&one.name).await.unwrap();
    merge(&mut own, &one.name, &other.name).await.unwrap();
    manager.handle(&other.name).await;
    let refused = quality.verdict(&other.name, 1).await.unwrap_err();
    assert_eq!(
        (refused.code(), &*reason(&refused)),
        (Code::PermissionDenied, "SEPARATION_OF_DUTIES")
    );
    // Undone, it is still what he did.
    unmerge(&mut manager, &one.name).await.unwrap();
    assert!(quality.verdict(&other.name, 1).await.is_err());
    let mut neutral = world.desk("zhao", "group", role::QUALITY);
    neutral.verdict(&other.name, 1).await.unwrap();
}

#[tokio::test]
async fn t03_a_merge_that_makes_it_grave_has_the_routing_looked_at_again() {
    let world = World::new().await;
    let [lifts, _, desk] = company(&world, pb::Distribution::LeastLoad).await;
    world.admin().apply("group", crate::reroute::rerouting(false, true)).await.unwrap();
    let mut manager = world.manager();
    let waiting = world.clerk().create(complaint("group", "漏水")).await;
    assert_eq!((&waiting.team, &*waiting.owner), (&desk.name, ""));
    let grave = pb::Ticket { severity: 3, ..complaint("group", "漏水，伤到人") };
    let grave = world.clerk().create(grave).await;
    assert_eq!((&grave.team, &*grave.owner), (&lifts.name, "an"));
    merge(&mut manager, &grave.name, &waiting.name).await.unwrap();
    let survivor = manager.get(&waiting.name).await;
    assert_eq!((survivor.severity, survivor.priority()), (3, pb::TicketPriority::Urgent));
    assert_eq!((&survivor.team, &*survivor.owner), (&lifts.name, "bo"), "his turn");
    let step = explain(&mut manager, &waiting).await.pop().unwrap();
    assert_eq!((step.cause(), &*step.rule), (pb::RoutingCause::Rerouted, "severe"));
    assert_eq!(&*step.actor, "system/routing");
    assert_eq!(world.count(RECOUNT).await, 0);
    // Where somebody has it already, it stays there.
    present(&world, &["an", "bo", "chen"], true).await;
    let owned = world.clerk().create(complaint("group", "电梯坏了")).await;
    let again = pb::Ticket { severity: 3, ..complaint("group", "电梯坏了，伤到人") };
    let again = world.clerk().create(again).await;
    let assign = crate::routing::assign(&mut manager, &owned.name, &desk, "dai").await.unwrap();
    merge(&mut manager, &again.name, &owned.name).await.unwrap();
    let kept = manager.get(&owned.name).await;
    assert_eq!((kept.severity, &kept.team, &kept.owner), (3, &assign.team, &assign.owner));
    assert_eq!(world.count(RECOUNT).await, 0);
}

#[tokio::test]
async fn t19_what_a_registration_lacks_is_seen_to_after_a_merge_that_was_undone() {
    let world = crate::detection::strict().await;
    let mut manager = world.manager();
    let known = pb::Ticket {
        complainant: "张三".into(),
        description: "漏水".into(),
        ..complaint("group/north", "漏水")
    };
    let whole = pb::Ticket { category: "服务/态度".into(), ..known.clone() };
    let survivor = world.clerk().create(whole).await;
    let (soon, late) =
        (world.clerk().create(known.clone()).await, world.clerk().create(known).await);
    for ticket in [&soon, &late] {
        merge(&mut manager, &ticket.name, &survivor.name).await.unwrap();
    }
    world.pass_hours(1).await;
    unmerge(&mut manager, &soon.name).await.unwrap();
    assert_eq!(manager.violations("group").await.len(), 0);
    // Nobody touches it any more.
    world.pass_hours(1).await;
    let missed = manager.violations("group").await;
    let due = at("2026-03-02T04:00:00Z");
    assert_eq!(missed.len(), 1, "the other one rests");
    assert_eq!((&missed[0].ticket, missed[0].occur_time), (&soon.name, due));
    world.pass_hours(5).await;
    unmerge(&mut manager, &late.name).await.unwrap();
    let missed = manager.violations("group").await;
    let of: Vec<_> = missed.iter().map(|missed| (&missed.ticket, missed.occur_time)).collect();
    assert_eq!(of.len(), 2);
    assert!(of.contains(&(&late.name, due)), "late and honestly: {of:?}");
}

#[tokio::test]
async fn t05_a_ticket_that_was_merged_catches_up_with_the_regulation_of_the_time() {
    let world = World::new().await;
    let mut manager = world.manager();
    let [one, two, survivor] = tickets(&world, ["电梯坏了", "电梯又坏了", "电梯还坏"]).await;
    merge(&mut manager, &one.name, &survivor.name).await.unwrap();
    merge(&mut manager, &two.name, &survivor.name).await.unwrap();
    world.pass_hours(1).await;
    // Another one, that leaves what was given; and one far away.
    world.admin().apply("group", policy()).await.unwrap();
    world.admin().apply("group/south", recomputing(shorter())).await.unwrap();
    world.pass_hours(1).await;
    let kept = unmerge(&mut manager, &two.name).await.unwrap();
    assert_eq!((&kept.promise_version, kept.clocks.len()), (&two.policy_version, 2));
    let version = world.admin().apply("group", recomputing(shorter())).await.unwrap();
    world.settle().await;
    world.pass_hours(1).await;
    let rolled = manager.get(&two.name).await;
    assert_eq!(rolled.promise_version, version.name);
    assert_ne!(manager.get(&one.name).await.promise_version, version.name, "it rests");
    let back = unmerge(&mut manager, &one.name).await.unwrap();
    assert_eq!(back.promise_version, version.name);
    for rule in ["first-response", "resolution"] {
        let (caught, given) = (last(&back, rule), last(&rolled, rule));
        assert_eq!(
            (caught.due_time, &caught.policy_version),
            (given.due_time, &version.name),
            "{rule}"
        );
    }
    assert_eq!(back, manager.get(&one.name).await, "as it is stored");
    let actions: Vec<_> =
        manager.history(&one.name).await.into_iter().map(|entry| entry.action).collect();
    assert_eq!(actions, ["CreateTicket", "MergeTicket", "UnmergeTicket", "RecomputeClocks"]);
}

#[tokio::test]
async fn t14_what_never_left_for_a_merged_ticket_is_seen_where_it_is_handled() {
    let server = MailServer::start().await;
    let world = crate::undelivered::world(&server).await;
    let mut manager = world.manager();
    let [first, middle, survivor] = tickets(&world, ["电梯坏了", "电梯又坏了", "电梯还坏"]).await;
    // On its way while it is merged, and given up after that.
    server.will(["451 later"]);
    send(&mut manager, &first.name, "我们正在处理", to()).await.unwrap();
    world.settle().await;
    merge(&mut manager, &first.name, &middle.name).await.unwrap();
    merge(&mut manager, &middle.name, &survivor.name).await.unwrap();
    let pending = deliveries(&mut manager, "group", &[pb::DeliveryState::Pending]).await;
    assert_eq!(pending.len(), 1);
    let cancel = pb::CancelDeliveryRequest {
        name: pending[0].name.clone(),
        reason: "地址有误".into(),
        ..Default::default()
    };
    manager.deliveries.cancel_delivery(cancel).await.unwrap();
    let lost = manager.get(&first.name).await.undelivered.unwrap();
    assert_eq!((&lost.delivery, lost.cancelled), (&pending[0].name, true));
    assert!(lost.message.starts_with(&first.name));
    for name in [&middle.name, &survivor.name] {
        let shown = manager.get(name).await.undelivered;
        assert_eq!(shown.as_ref(), Some(&lost), "the message of the ticket on which it was said");
    }
    world.settle().await;
    assert_eq!(queue(&mut manager, "undelivered:*").await, [&*survivor.name]);
    let resting = clock(&manager.get(&first.name).await, "first-response", 1).state();
    assert_eq!(resting, pb::ClockState::Met, "no clock notices");
    // Undone in the middle, the mark goes with it.
    unmerge(&mut manager, &middle.name).await.unwrap();
    assert_eq!(manager.get(&survivor.name).await.undelivered, None);
    assert_eq!(manager.get(&middle.name).await.undelivered, Some(lost.clone()));
    // Merged again it is brought along; and somebody calls.
    merge(&mut manager, &middle.name, &survivor.name).await.unwrap();
    assert_eq!(manager.get(&survivor.name).await.undelivered, Some(lost));
    world.pass_hours(1).await;
    assert_eq!(manager.respond(&survivor.name).await.unwrap().undelivered, None);
}

#[tokio::test]
async fn t14_what_is_taken_after_all_is_missing_nowhere_any_more() {
    let mut server = MailServer::start().await;
    let world = crate::undelivered::world(&server).await;
    let mut manager = world.manager();
    let [first, survivor] = tickets(&world, ["电梯坏了", "电梯又坏了"]).await;
    server.will(["550 5.1.1 no such user"]);
    send(&mut manager, &first.name, "我们正在处理", to()).await.unwrap();
    world.settle().await;
    merge(&mut manager, &first.name, &survivor.name).await.unwrap();
    let lost = manager.get(&survivor.name).await.undelivered.unwrap();
    assert!(lost.message.starts_with(&first.name) && !lost.cancelled);
    let retry = pb::RetryDeliveryRequest { name: lost.delivery, ..Default::default() };
    manager.deliveries.retry_delivery(retry).await.unwrap();
    world.settle().await;
    assert_eq!(server.all().len(), 1);
    for name in [&first.name, &survivor.name] {
        assert_eq!(manager.get(name).await.undelivered, None);
    }
    let event =
        "SELECT count(*) FROM journal WHERE event_type = 'kefu.ticket.v1.TicketAnswerDelivered'";
    assert_eq!(world.count(event).await, 2);
}

/// Whichever comes first: the survivor shows what never left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t14_a_merge_and_a_message_that_is_given_up_meet() {
    let server = MailServer::start().await;
    let mut world = crate::undelivered::world(&server).await;
    world.start_replica().await;
    for round in 0..6 {
        let [first, survivor] = tickets(&world, ["电梯坏了", "电梯又坏了"]).await;
        let mut manager = world.manager();
        server.will(["451 later"]);
        send(&mut manager, &first.name, "我们正在处理", to()).await.unwrap();
        world.settle().await;
        let pending = deliveries(&mut manager, "group", &[pb::DeliveryState::Pending]).await;
        let cancel = pb::CancelDeliveryRequest {
            name: pending[0].name.clone(),
            reason: "地址有误".into(),
            ..Default::default()
        };
        let mut other: Desk = world.desk_at(1, "wang", "group", role::HANDLER);
        let request = into(&first.name, &survivor.name);
        let merging = tokio::spawn(async move { other.links.merge_ticket(request).await });
        let cancelled = manager.deliveries.cancel_delivery(cancel.clone()).await;
        merging.await.unwrap().unwrap();
        if let Err(status) = cancelled {
            assert_eq!(status.code(), Code::Aborted, "merged at that very moment: {status:?}");
            manager.deliveries.cancel_delivery(cancel).await.unwrap();
        }
        let lost = manager.get(&first.name).await.undelivered;
        assert!(lost.is_some(), "round {round}");
        assert_eq!(manager.get(&survivor.name).await.undelivered, lost, "round {round}");
    }
}
