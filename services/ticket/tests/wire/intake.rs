//! T-01, T-02, T-05, X-02: registering.

use std::collections::BTreeSet;

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;

use crate::pack::policy;
use crate::world::{
    World, at, clock, complaint, contact, customer, metadata, reason, request_id, violations,
};

#[tokio::test]
async fn t01_a_complaint_is_registered_whole() {
    let world = World::new().await;
    let name = world.customer(7).await;
    world.settle().await;
    let asked = pb::Ticket {
        customer: name.clone(),
        contact: contact(7),
        description: "昨天下午起，三号楼电梯停运。\n老人无法下楼。😡".into(),
        category: "工程质量/电梯".into(),
        product: "三号楼".into(),
        severity: 3,
        tags: vec!["电梯".into(), "老人".into()],
        occur_time: at("2026-03-01T06:00:00Z"),
        amount_cents: 1_234_500,
        currency: "CNY".into(),
        complainant_type: "owner".into(),
        ..complaint("group/north/riverside", "电梯坏了")
    };
    let mut clerk = world.clerk();
    let ticket = clerk.create(asked.clone()).await;
    let promised: Vec<_> =
        ticket.clocks.iter().map(|clock| (&*clock.rule, clock.state(), clock.due_time)).collect();
    let running = pb::ClockState::Running;
    let expected = [
        ("first-response", running, at("2026-03-03T02:00:00Z")),
        ("resolution", running, at("2026-03-05T02:00:00Z")),
    ];
    assert_eq!(promised, expected);
    let version = &ticket.policy_version;
    assert!(version.starts_with("ticketPolicyVersions/"), "{version}");
    // Everything that was asked for, what the server gives, and nothing else.
    let whole = pb::Ticket {
        name: ticket.name.clone(),
        number: "T-2026-riverside-000001".into(),
        state: pb::TicketState::Registered.into(),
        priority: pb::TicketPriority::Normal.into(),
        receiver_level: 2,
        cycle: 1,
        first_contact_owner: "clerk".into(),
        clocks: ticket.clocks.clone(),
        policy_version: version.clone(),
        promise_version: version.clone(),
        create_time: at("2026-03-02T02:00:00Z"),
        update_time: at("2026-03-02T02:00:00Z"),
        etag: "r1".into(),
        ..asked
    };
    assert_eq!(ticket, whole);
    assert_eq!(clerk.get(&ticket.name).await, ticket, "what was answered is what is there");
    let history = clerk.history(&ticket.name).await;
    let entries: Vec<_> =
        history.iter().map(|entry| (&*entry.action, &*entry.actor, entry.revision)).collect();
    assert_eq!(entries, [("CreateTicket", "clerk", 1)]);
}

#[tokio::test]
async fn t05_clocks_run_from_registration_by_elapsed_time_or_working_days() {
    let world = World::new().await;
    // A Friday afternoon; the Saturday after it makes up for the holiday of the next week.
    world.set_time("2026-09-25T08:00:00Z").await;
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    assert_eq!(ticket.clocks.len(), 2, "{:?}", ticket.clocks);
    let first = clock(&ticket, "first-response", 1);
    assert_eq!(first.due_time, at("2026-09-26T08:00:00Z"));
    assert_eq!(first.state(), pb::ClockState::Running);
    let resolution = clock(&ticket, "resolution", 1);
    assert_eq!(resolution.due_time, at("2026-09-29T08:00:00Z"), "Saturday counts, Sunday does not");
}

#[tokio::test]
async fn t02_the_first_contact_owner_never_changes() {
    let world = World::new().await;
    crate::routing::team(&mut world.manager(), "group", "noise", &[]).await;
    let claimed =
        pb::Ticket { first_contact_owner: "mallory".into(), ..complaint("group/north", "噪音") };
    let ticket = world.clerk().create(claimed).await;
    let name = &ticket.name;
    let mut north = world.desk("bei", "group/north", role::HANDLER);
    let mut south = world.desk("nan", "group/south", role::HANDLER);
    let (mut manager, mut quality) = (world.manager(), world.quality());
    // Nobody corrects it, and whoever handles the ticket or gets it is answerable beside, not instead.
    let mut after = vec![ticket.clone()];
    let corrected = pb::Ticket {
        name: name.clone(),
        subject: "深夜噪音".into(),
        first_contact_owner: "mallory".into(),
        ..Default::default()
    };
    let update = pb::UpdateTicketRequest { ticket: Some(corrected), ..Default::default() };
    after.push(north.tickets.update_ticket(update).await.unwrap().into_inner());
    after.push(north.respond(name).await.unwrap());
    let escalate = pb::EscalateTicketRequest {
        name: name.clone(),
        reason: "请上级处理".into(),
        ..Default::default()
    };
    after.push(manager.tickets.escalate_ticket(escalate).await.unwrap().into_inner());
    let transfer = pb::TransferTicketRequest {
        name: name.clone(),
        to_org_unit: "group/south".into(),
        to_team: "noise".into(),
        handover_note: "请南区处理".into(),
        ..Default::default()
    };
    after.push(north.handling.transfer_ticket(transfer).await.unwrap().into_inner());
    let accept = pb::AcceptTransferRequest {
        name: name.clone(),
        message: "您的投诉现由南区处理".into(),
        ..Default::default()
    };
    after.push(south.handling.accept_transfer(accept).await.unwrap().into_inner());
    after.push(south.handle(name).await);
    after.push(quality.verdict(name, 5).await.unwrap());
    after.push(manager.handle(name).await);
    after.push(quality.verdict(name, 1).await.unwrap());
    let owners: Vec<_> = after.iter().map(|ticket| &*ticket.first_contact_owner).collect();
    assert_eq!(owners, vec!["clerk"; after.len()]);
    // It has been through all of that.
    let handlers = [2, 6, 8].map(|step| &*after[step].handler);
    assert_eq!(handlers, ["bei", "nan", "manager"]);
    let last = after.last().unwrap();
    let came_to = (last.state(), &*last.org_unit, &*last.subject, last.cycle);
    assert_eq!(came_to, (pb::TicketState::Closed, "group/south", "深夜噪音", 2));
}

#[tokio::test]
async fn t01_numbers_count_per_org_unit_and_year_of_its_calendar() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let mut numbers = Vec::new();
    for org_unit in ["group/north/riverside", "group/south/riverside", "group/north/riverside"] {
        numbers.push(clerk.create(complaint(org_unit, "漏水")).await.number);
    }
    world.set_time("2026-12-31T16:00:00Z").await;
    numbers.push(clerk.create(complaint("group/south/riverside", "漏水")).await.number);
    let expected = [
        "T-2026-riverside-000001",
        "T-2026-south-riverside-000001",
        "T-2026-riverside-000002",
        "T-2027-south-riverside-000001",
    ];
    assert_eq!(numbers, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t01_concurrent_registrations_leave_no_gap_and_no_double() {
    let mut world = World::new().await;
    world.start_replica().await;
    let calls = (0..120_usize).map(|index| {
        let mut desk = world.desk_at(index % 2, "clerk", "group", role::CLERK);
        let org_unit = ["group/north", "group/south", "group"][index % 3];
        tokio::spawn(async move { desk.create(complaint(org_unit, "漏水")).await.number })
    });
    let calls: Vec<_> = calls.collect();
    let mut numbers = BTreeSet::new();
    for call in calls {
        numbers.insert(call.await.unwrap());
    }
    let label =
        |label: &'static str| (1..=40).map(move |count| format!("T-2026-{label}-{count:06}"));
    let expected: BTreeSet<_> =
        label("north").chain(label("south")).chain(label("group")).collect();
    assert_eq!(numbers, expected);
    assert_eq!(world.count("SELECT count(*) FROM ticket_clock").await, 240);
    assert_eq!(
        world.count("SELECT count(*) FROM journal WHERE action = 'CreateTicket'").await,
        120
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x02_thirty_two_equal_registrations_at_once_are_one() {
    let mut world = World::new().await;
    world.start_replica().await;
    let calls = (0..32_usize).map(|index| {
        let mut desk = world.desk_at(index % 2, "clerk", "group", role::CLERK);
        let ticket = complaint("group/north", "漏水");
        tokio::spawn(async move { desk.try_create(ticket, request_id(1)).await.unwrap() })
    });
    let calls: Vec<_> = calls.collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(answers[0].number, "T-2026-north-000001");
    assert_eq!(world.count("SELECT count(*) FROM ticket").await, 1);
    let next = world.clerk().create(complaint("group/north", "漏水")).await;
    assert_eq!(next.number, "T-2026-north-000002", "a retry takes no number");
}

#[tokio::test]
async fn x02_a_retry_gets_the_first_answer_whatever_happened_since() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let ticket = complaint("group/north", "漏水");
    let first = clerk.try_create(ticket.clone(), request_id(1)).await.unwrap();
    world.manager().respond(&first.name).await.unwrap();
    world.pass_hours(30).await;
    let again = clerk.try_create(ticket, request_id(1)).await.unwrap();
    assert_eq!(again, first);
    let other = world.desk("somebody", "group", role::CLERK);
    let theirs = other.clone().try_create(complaint("group", "漏水"), request_id(1)).await.unwrap();
    assert_ne!(theirs.name, first.name, "request ids of different callers never meet");
}

#[tokio::test]
async fn x02_same_request_id_other_content_is_refused() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    clerk.try_create(complaint("group", "漏水"), request_id(1)).await.unwrap();
    let error = clerk.try_create(complaint("group", "漏电"), request_id(1)).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::AlreadyExists);
    assert_eq!(reason(&error), "REQUEST_ID_REUSED");
    assert_eq!(metadata(&error, "request_id"), request_id(1));
    assert_eq!(world.count("SELECT count(*) FROM ticket").await, 1);
}

#[tokio::test]
async fn t01_a_complainant_may_be_a_customer_a_name_or_nobody() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let named =
        pb::Ticket { complainant: "路过的王女士".into(), ..complaint("group", "漏水") };
    assert_eq!(clerk.create(named).await.complainant, "路过的王女士");
    let anonymous = clerk.create(complaint("group", "漏水")).await;
    assert_eq!((anonymous.complainant.as_str(), anonymous.customer.as_str()), ("", ""));
    let both = pb::Ticket {
        complainant: "王女士".into(),
        customer: customer(1),
        ..complaint("group", "漏水")
    };
    let error = clerk.try_create(both, String::new()).await.unwrap_err();
    assert_eq!(violations(&error), ["ticket.complainant"]);
}

#[tokio::test]
async fn x10_a_ticket_is_judged_by_the_policy_version_in_force_when_it_began() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let before = clerk.create(complaint("group/north", "漏水")).await;
    let mut stricter = policy();
    stricter.clocks[0].target = crate::pack::hours(2);
    stricter.clocks[0].breach_raises_level = false;
    let version = world.admin().apply("group/north", stricter).await.unwrap();
    let after = clerk.create(complaint("group/north", "漏水")).await;
    assert_eq!((after.policy_version.as_str(), version.version), (version.name.as_str(), 1));
    assert_ne!(before.policy_version, after.policy_version);
    assert_eq!(clock(&after, "first-response", 1).due_time, at("2026-03-02T04:00:00Z"));
    world.pass_hours(25).await;
    assert_eq!(clerk.get(&before.name).await.receiver_level, 2, "by the old version");
    assert_eq!(clerk.get(&after.name).await.receiver_level, 1, "by the new one");
}

#[tokio::test]
async fn x10_every_replica_knows_a_new_policy_at_once() {
    let mut world = World::new().await;
    world.start_replica().await;
    let mut there = world.desk_at(1, "clerk", "group", role::CLERK);
    there.create(complaint("group", "漏水")).await;
    let version = world.admin().apply("group", policy()).await.unwrap();
    let ticket = there.create(complaint("group", "漏水")).await;
    assert_eq!(ticket.policy_version, version.name, "the other replica's memory was stale");
}

#[tokio::test]
async fn x01_no_policy_no_ticket() {
    let world = World::empty().await;
    world.org_unit("group").await;
    world.settle().await;
    let error = world.clerk().try_create(complaint("group", "漏水"), request_id(1)).await;
    let error = error.unwrap_err();
    assert_eq!(
        (error.code(), reason(&error).as_str()),
        (tonic::Code::FailedPrecondition, "POLICY_MISSING")
    );
    assert_eq!(world.count("SELECT count(*) FROM request").await, 0, "and the request id is free");
}
