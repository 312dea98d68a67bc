//! T-04, T-09: merges, their chains, and undoing them.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::{Code, Status};

use crate::handling::lacking;
use crate::pack::policy;
use crate::world::{Desk, World, at, clock, complaint, metadata, reason, request_id, violations};

pub fn into(name: &str, into: &str) -> pb::MergeTicketRequest {
    pb::MergeTicketRequest {
        name: name.into(),
        into: into.into(),
        reason: "同一部电梯，同一个故障".into(),
        ..Default::default()
    }
}

pub async fn merge(desk: &mut Desk, name: &str, survivor: &str) -> Result<pb::Ticket, Status> {
    desk.links.merge_ticket(into(name, survivor)).await.map(tonic::Response::into_inner)
}

pub async fn unmerge(desk: &mut Desk, name: &str) -> Result<pb::Ticket, Status> {
    let request = pb::UnmergeTicketRequest {
        name: name.into(),
        reason: "其实是两部电梯".into(),
        ..Default::default()
    };
    desk.links.unmerge_ticket(request).await.map(tonic::Response::into_inner)
}

fn survivor(ticket: &pb::Ticket) -> &str {
    &ticket.merge.as_ref().unwrap().survivor
}

pub async fn tickets<const N: usize>(world: &World, subjects: [&str; N]) -> [pb::Ticket; N] {
    let mut made = Vec::new();
    for subject in subjects {
        made.push(world.clerk().create(complaint("group/north", subject)).await);
    }
    made.try_into().unwrap()
}

#[tokio::test]
async fn t04_a_chain_of_merges_is_followed_to_its_end_and_undone_link_by_link() {
    let world = World::new().await;
    let mut manager = world.manager();
    let [a, b, c] = tickets(&world, ["电梯坏了", "电梯又坏了", "电梯一直坏"]).await;
    let merged = merge(&mut manager, &a.name, &b.name).await.unwrap();
    assert_eq!((merged.state(), survivor(&merged)), (pb::TicketState::Merged, &*b.name));
    merge(&mut manager, &b.name, &c.name).await.unwrap();
    let read = manager.get(&a.name).await;
    let told = read.merge.clone().unwrap();
    assert_eq!((&told.into, &told.survivor), (&b.name, &c.name));
    assert_eq!((&*told.merged_by, &*told.reason), ("manager", "同一部电梯，同一个故障"));
    assert!(read.clocks.iter().all(|clock| clock.state() == pb::ClockState::Merged));
    // Whatever is asked of it is refused, and says where to go.
    let error = manager.respond(&a.name).await.unwrap_err();
    assert_eq!((error.code(), &*reason(&error)), (Code::FailedPrecondition, "ILLEGAL_STATE"));
    assert_eq!(metadata(&error, "survivor"), c.name);
    let error = merge(&mut manager, &c.name, &a.name).await.unwrap_err();
    assert_eq!(metadata(&error, "survivor"), c.name, "no cycle");
    let error = merge(&mut manager, &a.name, &c.name).await.unwrap_err();
    assert_eq!(metadata(&error, "survivor"), c.name, "merged already");
    let order = pb::WorkOrder {
        dispatch_centre: "group/north".into(),
        ticket: a.name.clone(),
        task: "检查".into(),
        requirements: "当天".into(),
        reply_by_time: at("2026-03-03T02:00:00Z"),
        assignee: "liu".into(),
        ..Default::default()
    };
    let request = pb::IssueWorkOrderRequest { work_order: Some(order), ..Default::default() };
    let error = manager.orders.issue_work_order(request).await.unwrap_err();
    assert_eq!(metadata(&error, "survivor"), c.name);

    // Undone in the middle of the chain: what was merged into it stays merged into it.
    let back = unmerge(&mut manager, &b.name).await.unwrap();
    assert_eq!((back.state(), back.merge), (pb::TicketState::Registered, None));
    assert_eq!(survivor(&manager.get(&a.name).await), b.name);
    unmerge(&mut manager, &a.name).await.unwrap();
    manager.respond(&a.name).await.unwrap();
    let request = pb::ListTicketMergesRequest { parent: b.name.clone(), ..Default::default() };
    let merges = manager.links.list_ticket_merges(request).await.unwrap().into_inner().merges;
    assert_eq!(merges.len(), 1);
    assert_eq!((&merges[0].source, &*merges[0].unmerge_reason), (&a.name, "其实是两部电梯"));
    let actions: Vec<_> =
        manager.history(&a.name).await.into_iter().map(|entry| entry.action).collect();
    assert_eq!(actions, ["CreateTicket", "MergeTicket", "UnmergeTicket", "RespondTicket"]);
    let actions: Vec<_> =
        manager.history(&c.name).await.into_iter().map(|entry| entry.action).collect();
    assert_eq!(actions, ["CreateTicket", "TakeDuplicate", "ReturnDuplicate"]);
}

#[tokio::test]
async fn t04_no_promise_is_lengthened_and_what_fell_due_meanwhile_is_broken_late_and_honestly() {
    let world = World::new().await;
    let mut manager = world.manager();
    let [early] = tickets(&world, ["电梯坏了"]).await;
    world.pass_hours(10).await;
    let [late] = tickets(&world, ["电梯还是坏的"]).await;
    let promised = clock(&early, "first-response", 1).due_time;
    merge(&mut manager, &early.name, &late.name).await.unwrap();
    let survivor = manager.get(&late.name).await;
    let rounds: Vec<_> =
        survivor.clocks.iter().filter(|clock| clock.rule == "first-response").collect();
    assert_eq!(
        (rounds[0].state(), rounds[1].state()),
        (pb::ClockState::Cancelled, pb::ClockState::Running)
    );
    assert_eq!(rounds[1].due_time, promised);
    // The survivor is answered in time; of the other one the timers take no notice.
    world.pass_hours(2).await;
    manager.respond(&late.name).await.unwrap();
    world.pass_hours(30).await;
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 0);
    let back = unmerge(&mut manager, &early.name).await.unwrap();
    let broken = clock(&back, "first-response", 1);
    assert_eq!((broken.state(), broken.breach_time), (pb::ClockState::Breached, promised));
    assert_eq!(back.receiver_level, 2);
    let violations = manager.violations("group").await;
    assert_eq!((violations.len(), violations[0].occur_time), (1, promised));
    // Its own promises run again, and the timers see to them.
    world.pass_hours(24 * 10).await;
    let ticket = manager.get(&early.name).await;
    assert_eq!(clock(&ticket, "resolution", 1).state(), pb::ClockState::Breached);
}

#[tokio::test]
async fn t04_a_waiting_ticket_is_merged_and_waits_again_after() {
    let world = World::new().await;
    let mut manager = world.manager();
    let [a, b] = tickets(&world, ["漏水", "渗水"]).await;
    let pause = pb::PauseTicketRequest {
        name: a.name.clone(),
        reason: "等客户照片".into(),
        ..Default::default()
    };
    let waiting = manager.tickets.pause_ticket(pause).await.unwrap().into_inner();
    merge(&mut manager, &a.name, &b.name).await.unwrap();
    let back = unmerge(&mut manager, &a.name).await.unwrap();
    assert_eq!(back.state(), pb::TicketState::Waiting);
    assert_eq!(back.clocks, waiting.clocks);
    let request = pb::ResumeTicketRequest { name: a.name.clone(), ..Default::default() };
    let resumed = manager.tickets.resume_ticket(request).await.unwrap().into_inner();
    assert_eq!(resumed.state(), pb::TicketState::Registered);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t04_two_merges_that_meet_make_no_cycle() {
    let mut world = World::new().await;
    world.start_replica().await;
    for round in 0..8_u32 {
        let [a, b, c] = tickets(&world, ["甲", "乙", "丙"]).await;
        let pairs = [(&a, &b), (&b, &a), (&b, &c), (&c, &a)];
        let calls: Vec<_> = pairs
            .into_iter()
            .enumerate()
            .map(|(index, (one, other))| {
                let mut desk = world.desk_at(index % 2, "wang", "group", role::HANDLER);
                let request = into(&one.name, &other.name);
                tokio::spawn(async move { desk.links.merge_ticket(request).await })
            })
            .collect();
        let mut merged = 0;
        for call in calls {
            match call.await.unwrap() {
                Ok(_) => merged += 1,
                Err(status) => assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}"),
            }
        }
        // Each merge ends one of the three, and one is always left.
        let mut desk = world.manager();
        let mut open = Vec::new();
        for ticket in [&a, &b, &c] {
            let ticket = desk.get(&ticket.name).await;
            match ticket.state() {
                pb::TicketState::Merged => {
                    assert_ne!(desk.get(survivor(&ticket)).await.state(), ticket.state());
                }
                _ => open.push(ticket.name),
            }
        }
        assert_eq!(open.len() + merged, 3, "round {round}");
        assert!(!open.is_empty());
    }
}

#[tokio::test]
async fn t04_what_cannot_be_merged_is_refused_with_everything_that_is_missing() {
    let world = World::new().await;
    let mut manager = world.manager();
    world.customer(1).await;
    world.customer(2).await;
    world.settle().await;
    let of = |number: u128| pb::Ticket {
        customer: crate::world::customer(number),
        ..complaint("group/north", "漏水")
    };
    let (one, other) = (manager.create(of(1)).await, manager.create(of(2)).await);
    let [somebody] = tickets(&world, ["不知是谁"]).await;
    let error = merge(&mut manager, &one.name, &other.name).await.unwrap_err();
    assert_eq!(lacking(&error), ["SAME_CUSTOMER"]);
    let wrong = pb::MergeTicketRequest { reason: " ".into(), ..into(&one.name, &one.name) };
    let error = manager.links.merge_ticket(wrong).await.unwrap_err();
    assert_eq!(violations(&error), ["into", "reason"]);
    let order = pb::WorkOrder {
        dispatch_centre: "group/north".into(),
        ticket: one.name.clone(),
        task: "检查".into(),
        requirements: "当天".into(),
        reply_by_time: at("2026-03-03T02:00:00Z"),
        assignee: "liu".into(),
        ..Default::default()
    };
    let request = pb::IssueWorkOrderRequest { work_order: Some(order), ..Default::default() };
    manager.orders.issue_work_order(request).await.unwrap();
    let request = pb::CancelTicketRequest {
        name: other.name.clone(),
        reason: "登记错误".into(),
        ..Default::default()
    };
    manager.tickets.cancel_ticket(request).await.unwrap();
    let error = merge(&mut manager, &one.name, &other.name).await.unwrap_err();
    assert_eq!(lacking(&error), ["NO_OPEN_WORK_ORDER", "OPEN_SURVIVOR", "SAME_CUSTOMER"]);
    // Somebody who is no registered customer may be the same person.
    merge(&mut manager, &somebody.name, &one.name).await.unwrap();
    let error = unmerge(&mut manager, &one.name).await.unwrap_err();
    assert_eq!(lacking(&error), ["MERGED"]);
    let error =
        merge(&mut manager, &one.name, "tickets/00000000-0000-0000-0000-000000000009").await;
    assert_eq!(error.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn t04_a_merge_asks_for_both_org_units_and_is_done_once() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let north = clerk.create(complaint("group/north", "漏水")).await;
    let south = clerk.create(complaint("group/south", "漏水")).await;
    let mut handler = world.desk("bei", "group/north", role::HANDLER);
    for (name, survivor) in [(&north.name, &south.name), (&south.name, &north.name)] {
        let error = merge(&mut handler, name, survivor).await.unwrap_err();
        assert_eq!(error.code(), Code::PermissionDenied);
    }
    let error = merge(&mut clerk, &north.name, &south.name).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied, "not for the front desk");
    let mut manager = world.manager();
    let stale = pb::MergeTicketRequest { etag: "r7".into(), ..into(&north.name, &south.name) };
    assert_eq!(manager.links.merge_ticket(stale).await.unwrap_err().code(), Code::Aborted);
    let once = pb::MergeTicketRequest {
        request_id: request_id(4),
        etag: north.etag.clone(),
        ..into(&north.name, &south.name)
    };
    let first = manager.links.merge_ticket(once.clone()).await.unwrap().into_inner();
    let again = manager.links.merge_ticket(once.clone()).await.unwrap().into_inner();
    assert_eq!(first, again);
    let other = pb::MergeTicketRequest { reason: "别的".into(), ..once };
    let error = manager.links.merge_ticket(other).await.unwrap_err();
    assert_eq!(error.code(), Code::AlreadyExists);
    assert_eq!(world.count("SELECT count(*) FROM ticket_merge").await, 1);
    // Undoing asks for both as well.
    let error = unmerge(&mut handler, &north.name).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn t04_a_merged_ticket_is_neither_open_nor_counted_twice() {
    let world = World::new().await;
    let mut manager = world.manager();
    let [a, b] = tickets(&world, ["电梯坏了", "电梯又坏了"]).await;
    world.pass_hours(30).await;
    let report = |as_of: &str| pb::GetComplaintReportRequest {
        org_unit: "group".into(),
        start_time: at("2026-03-01T16:00:00Z"),
        end_time: at("2026-03-08T16:00:00Z"),
        as_of_time: at(as_of),
        ..Default::default()
    };
    merge(&mut manager, &a.name, &b.name).await.unwrap();
    world.pass_hours(1).await;
    let now = manager.reports.get_complaint_report(report("2026-03-03T09:00:00Z")).await;
    let now = now.unwrap().into_inner();
    assert_eq!((now.received, now.merged, now.overdue), (1, 1, 1));
    assert_eq!(now.backlog.unwrap().open_at_end, 1);
    assert_eq!(now.compliance.iter().map(|rule| rule.breached).sum::<i64>(), 1);
    assert_eq!(now.open.unwrap().count, 1);
    // As of before the merge there were two.
    let before = manager.reports.get_complaint_report(report("2026-03-03T03:00:00Z")).await;
    let before = before.unwrap().into_inner();
    assert_eq!((before.received, before.merged, before.overdue), (2, 0, 2));
    assert_eq!(before.backlog.unwrap().open_at_end, 2);
    world.settle().await;
    let queue = pb::ListQueueRequest { org_unit: "group".into(), ..Default::default() };
    let queue = manager.queues.list_queue(queue).await.unwrap().into_inner().entries;
    let names: Vec<_> = queue.into_iter().map(|entry| entry.ticket.unwrap().name).collect();
    assert_eq!(names, [&*b.name]);
    // It is still found, as what it is.
    let search = pb::SearchTicketsRequest {
        org_unit: "group".into(),
        query: "电梯坏了".into(),
        ..Default::default()
    };
    let found = manager.queues.search_tickets(search).await.unwrap().into_inner().tickets;
    assert_eq!((found[0].name.as_str(), found[0].state()), (&*a.name, pb::TicketState::Merged));
    // Undone, it is back; and as of the time of the merge it counts as merged still.
    unmerge(&mut manager, &a.name).await.unwrap();
    world.pass_hours(1).await;
    let after = manager.reports.get_complaint_report(report("2026-03-03T10:00:00Z")).await;
    let after = after.unwrap().into_inner();
    assert_eq!((after.received, after.merged, after.backlog.unwrap().open_at_end), (2, 0, 2));
    let then = manager.reports.get_complaint_report(report("2026-03-03T08:30:00Z")).await;
    let then = then.unwrap().into_inner();
    assert_eq!((then.received, then.merged, then.backlog.unwrap().open_at_end), (1, 1, 1));
    world.settle().await;
    assert_eq!(world.count("SELECT count(*) FROM queue_entry").await, 2);
}

#[tokio::test]
async fn t04_an_owner_has_no_load_of_a_merged_ticket_and_has_it_back_after() {
    let world = World::new().await;
    let mut manager = world.manager();
    let mut rules = policy();
    rules.links = Some(pb::LinkRules { unmerge_within_days: 400, ..Default::default() });
    let error = world.admin().apply("group", rules).await.unwrap_err();
    assert_eq!(violations(&error), ["policy.links.unmerge_within_days"]);
    let team = pb::Team {
        org_unit: "group/north".into(),
        code: "lifts".into(),
        title: Some(crate::pack::text("Lifts", "电梯班")),
        members: vec!["wang".into()],
        ..Default::default()
    };
    let team = pb::CreateTeamRequest { team: Some(team), ..Default::default() };
    let team = manager.teams.create_team(team).await.unwrap().into_inner().name;
    let [a, b] = tickets(&world, ["电梯坏了", "电梯又坏了"]).await;
    let assign = pb::AssignTicketRequest {
        name: a.name.clone(),
        team,
        owner: "wang".into(),
        reason: "熟悉".into(),
        ..Default::default()
    };
    manager.routing.assign_ticket(assign).await.unwrap();
    const LOAD: &str = "SELECT coalesce(sum(open_tickets), 0)::bigint FROM member_load";
    assert_eq!(world.count(LOAD).await, 1);
    merge(&mut manager, &a.name, &b.name).await.unwrap();
    assert_eq!(world.count(LOAD).await, 0);
    unmerge(&mut manager, &a.name).await.unwrap();
    assert_eq!(world.count(LOAD).await, 1);
}
