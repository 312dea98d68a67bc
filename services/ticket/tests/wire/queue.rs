//! T-23: queues, their filters, their order, their pages and their counts.

use std::collections::BTreeMap;

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;

use crate::world::{Desk, World, complaint, violations};

fn of(org_unit: &str) -> pb::ListQueueRequest {
    pb::ListQueueRequest { org_unit: org_unit.into(), ..Default::default() }
}

fn by(order: pb::QueueOrder, org_unit: &str) -> pb::ListQueueRequest {
    pb::ListQueueRequest { order: order.into(), ..of(org_unit) }
}

async fn page(desk: &mut Desk, request: pb::ListQueueRequest) -> pb::ListQueueResponse {
    desk.queues.list_queue(request).await.unwrap().into_inner()
}

fn subject(entry: &pb::QueueEntry) -> String {
    entry.ticket.as_ref().unwrap().subject.clone()
}

async fn subjects(desk: &mut Desk, filter: &str) -> Vec<String> {
    let request = pb::ListQueueRequest { filter: filter.into(), ..of("group") };
    let mut found: Vec<_> = page(desk, request).await.entries.iter().map(subject).collect();
    found.sort();
    found
}

/// All pages, with whether each entry moved.
async fn all(desk: &mut Desk, mut request: pb::ListQueueRequest) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    loop {
        let answer = page(desk, request.clone()).await;
        found.extend(answer.entries.iter().map(|entry| (subject(entry), entry.moved)));
        if answer.next_page_token.is_empty() {
            return found;
        }
        request.page_token = answer.next_page_token;
        assert!(found.len() < 1_000, "a queue without end");
    }
}

#[tokio::test]
async fn t23_a_queue_shows_open_tickets_by_deadline_and_leaves_out_what_ended() {
    let world = World::new().await;
    let (mut clerk, mut manager) = (world.clerk(), world.manager());
    let mut names = Vec::new();
    for subject in ["甲", "乙", "丙"] {
        names.push(clerk.create(complaint("group/north", subject)).await.name);
        world.pass_hours(1).await;
    }
    // Answered: what is owed next is the solution, in three working days.
    manager.respond(&names[0]).await.unwrap();
    let request = pb::CancelTicketRequest {
        name: names[1].clone(),
        reason: "重复".into(),
        ..Default::default()
    };
    manager.tickets.cancel_ticket(request).await.unwrap();
    world.settle().await;
    let answer = page(&mut clerk, of("group")).await;
    let found: Vec<_> = answer.entries.iter().map(subject).collect();
    assert_eq!(found, ["丙", "甲"]);
    for entry in &answer.entries {
        let ticket = entry.ticket.as_ref().unwrap();
        let running = ticket.clocks.iter().filter(|c| c.state() == pb::ClockState::Running);
        let due = running.filter_map(|clock| clock.due_time).min_by_key(|due| due.seconds);
        assert_eq!(entry.due_time, due, "{}", ticket.subject);
        assert!(!entry.moved);
    }
    assert_eq!(answer.next_page_token, "");
    // Everything is taken into account.
    let now = kefu_rpc::to_proto_timestamp(kefu_clock::Clock::now(&world.clock));
    assert_eq!(answer.fresh_time, Some(now));
}

#[tokio::test]
async fn t23_a_filter_finds_by_state_person_clock_place_and_time() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let mut handler = world.desk("handler-wang", "group", role::HANDLER);
    let mut made = Vec::new();
    for (subject, unit, category, tags) in [
        ("甲", "group/north", "质量/漏水", vec!["媒体"]),
        ("乙", "group/north/riverside", "质量/漏水/屋顶", vec![]),
        ("丙", "group/south", "服务", vec!["媒体", "升级"]),
    ] {
        let ticket = pb::Ticket {
            category: category.into(),
            product: format!("水泵 {subject}"),
            tags: tags.into_iter().map(Into::into).collect(),
            ..complaint(unit, subject)
        };
        made.push(clerk.create(ticket).await);
    }
    handler.respond(&made[1].name).await.unwrap();
    world.pass_hours(25).await;
    for (filter, expected) in [
        ("", "丙乙甲"),
        ("state = IN_PROGRESS", "乙"),
        ("NOT state = IN_PROGRESS", "丙甲"),
        ("state = waiting OR state = registered kind = COMPLAINT", "丙甲"),
        ("category:质量/漏水", "乙甲"),
        ("category = 质量/漏水", "甲"),
        ("category:质量/漏", ""),
        ("org_unit:group/north", "乙甲"),
        ("tag:媒体 AND NOT tag:升级", "甲"),
        ("product = \"水泵 *\" product != '水泵 甲'", "丙乙"),
        ("handler:*", "乙"),
        ("-handler:*", "丙甲"),
        ("handler = handler-wang", "乙"),
        ("handler = me", ""),
        ("first_contact_owner = me", "丙乙甲"),
        ("first_contact_owner = me handler != handler-wang", "丙甲"),
        ("overdue = true", "丙甲"),
        ("overdue = false", "乙"),
        ("due_in < 0s", "丙甲"),
        ("due_in > 0s", "乙"),
        ("age >= 25h", "丙乙甲"),
        ("age > 25h", ""),
        ("clock.first-response = MET", "乙"),
        ("clock.first-response = BREACHED AND receiver_level >= 2", "丙甲"),
        ("clock.no-such-rule = MET", ""),
        ("create_time < \"2026-03-02T10:00:01+08:00\"", "丙乙甲"),
        ("severity = 1 cycle < 2 priority = NORMAL channel = PHONE", "丙乙甲"),
    ] {
        let mut expected: Vec<_> = expected.chars().map(String::from).collect();
        expected.sort();
        assert_eq!(subjects(&mut clerk, filter).await, expected, "{filter}");
    }
    let filter = format!("number = {}", made[2].number);
    assert_eq!(subjects(&mut clerk, &filter).await, ["丙"]);
}

#[tokio::test]
async fn x06_a_bad_filter_and_every_other_wrong_field_are_named_at_once() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let nested = format!("{}severity = 1{}", "(".repeat(10_000), ")".repeat(10_000));
    for filter in [nested.as_str(), "colour = red", "漏水"] {
        let request = pb::ListQueueRequest {
            filter: filter.into(),
            order: 77,
            page_size: -1,
            ..of("Group!")
        };
        let error = clerk.queues.list_queue(request).await.unwrap_err();
        let mut fields = violations(&error);
        fields.sort();
        assert_eq!(fields, ["filter", "order", "org_unit", "page_size"]);
    }
    // What is a value stays one, whatever it looks like.
    let hostile = r#"product = "') OR 1 == 1 || $.\"state\" --""#;
    assert!(subjects(&mut clerk, hostile).await.is_empty());
}

#[tokio::test]
async fn x07_a_queue_is_of_the_callers_org_unit_and_below() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    for unit in ["group/north", "group/north/riverside", "group/south", "group/south/riverside"] {
        clerk.create(complaint(unit, unit)).await;
    }
    world.settle().await;
    let mut north = world.desk("li", "group/north", role::CLERK);
    let found = all(&mut north, of("group/north")).await;
    assert_eq!(found.len(), 2);
    let error = north.queues.list_queue(of("group")).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::PermissionDenied);
    let request = pb::CountQueueRequest { org_unit: "group/south".into(), ..Default::default() };
    let error = north.queues.count_queue(request).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::PermissionDenied);
}

#[tokio::test]
async fn t23_while_rows_change_nothing_is_lost_and_only_what_moved_comes_again() {
    let world = World::new().await;
    let (mut clerk, mut manager) = (world.clerk(), world.manager());
    let mut names = BTreeMap::new();
    for index in 0..8 {
        let subject = format!("{index}");
        names.insert(index, clerk.create(complaint("group/north", &subject)).await.name);
        world.pass_hours(1).await;
    }
    let mut request = pb::ListQueueRequest { page_size: 3, ..of("group/north") };
    let first = page(&mut clerk, request.clone()).await;
    assert_eq!(first.entries.iter().map(subject).collect::<Vec<_>>(), ["0", "1", "2"]);
    // One that was shown moves away, one that was not moves as well, a new one comes, and one ends.
    manager.respond(&names[&1]).await.unwrap();
    manager.respond(&names[&5]).await.unwrap();
    clerk.create(complaint("group/north", "新")).await;
    let request_cancel = pb::CancelTicketRequest {
        name: names[&6].clone(),
        reason: "重复".into(),
        ..Default::default()
    };
    manager.tickets.cancel_ticket(request_cancel).await.unwrap();
    world.settle().await;
    request.page_token = first.next_page_token;
    let mut rest = all(&mut clerk, request).await;
    let (moved, stayed): (Vec<_>, Vec<_>) = rest.drain(..).partition(|(_, moved)| *moved);
    let names_of = |list: Vec<(String, bool)>| list.into_iter().map(|(s, _)| s).collect::<Vec<_>>();
    assert_eq!(names_of(stayed), ["3", "4", "7"]);
    let mut moved = names_of(moved);
    moved.sort();
    assert_eq!(moved, ["1", "5", "新"]);
    // Who begins again sees the new order, and nothing that moved.
    let again = all(&mut clerk, pb::ListQueueRequest { page_size: 2, ..of("group/north") }).await;
    assert!(again.iter().all(|(_, moved)| !moved));
    assert_eq!(again.len(), 8);
}

#[tokio::test]
async fn t23_pages_of_each_order_and_each_way_to_look_are_the_whole_in_pieces() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let customer = world.customer(1).await;
    world.grade(1, "group/north", "vip", 1).await;
    world.settle().await;
    let units = ["group", "group/north", "group/north/riverside", "group/south"];
    for index in 0..12 {
        let urgent = if index % 3 == 0 { customer.clone() } else { String::new() };
        let ticket =
            pb::Ticket { customer: urgent, ..complaint(units[index % 4], &format!("{index:02}")) };
        clerk.create(ticket).await;
        if index % 2 == 0 {
            world.pass_hours(1).await;
        }
    }
    // More org units than are gone through one by one.
    let statement = "INSERT INTO queue_entry
        SELECT gen_random_uuid(), 'group/west/u' || n, 0, 0, 0, 0, '{}', '{}', 0 FROM generate_series(1, 40) AS n";
    world.settle().await;
    for many in [false, true] {
        if many {
            sqlx::query(statement).execute(&world.pool).await.unwrap();
        }
        for order in [pb::QueueOrder::DueTime, pb::QueueOrder::Priority, pb::QueueOrder::Newest] {
            for filter in ["", "first_contact_owner = me", "NOT tag:x"] {
                let whole = pb::ListQueueRequest { filter: filter.into(), ..by(order, "group") };
                let pieces = pb::ListQueueRequest { page_size: 5, ..whole.clone() };
                let whole = all(&mut clerk, whole).await;
                assert_eq!(whole, all(&mut clerk, pieces).await, "{order:?} {filter}");
                assert_eq!(whole.len(), 12);
                let found: Vec<_> = whole.iter().map(|(subject, _)| subject.as_str()).collect();
                let mut sorted = found.clone();
                sorted.sort_unstable();
                match order {
                    pb::QueueOrder::DueTime => assert_eq!(found[..1], sorted[..1]),
                    pb::QueueOrder::Newest => {
                        assert_eq!(found[0], "11");
                        assert_eq!(found[11], "00");
                    }
                    _ => assert!(found[0].ends_with(['0', '3', '6', '9']) || found[0] == "00"),
                }
            }
        }
    }
}

#[tokio::test]
async fn t23_a_queue_is_counted_by_a_field() {
    let world = World::new().await;
    let (mut clerk, mut manager) = (world.clerk(), world.manager());
    let mut names = Vec::new();
    for unit in ["group/north", "group/north", "group/north/riverside", "group/south"] {
        names.push(clerk.create(complaint(unit, "漏水")).await.name);
    }
    manager.respond(&names[0]).await.unwrap();
    world.pass_hours(25).await;
    let mut count = async |group: pb::QueueGroup, filter: &str| {
        let request = pb::CountQueueRequest {
            org_unit: "group".into(),
            filter: filter.into(),
            group_by: group.into(),
            ..Default::default()
        };
        let answer = clerk.queues.count_queue(request).await.unwrap().into_inner();
        assert!(!answer.more);
        assert_eq!(answer.counts.iter().map(|c| c.count).sum::<i32>(), answer.total);
        let counts = answer.counts.into_iter().map(|count| (count.value, count.count));
        counts.map(|(value, count)| format!("{value}:{count}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(count(pb::QueueGroup::Unspecified, "").await, ":4");
    assert_eq!(count(pb::QueueGroup::State, "").await, "registered:3 in_progress:1");
    assert_eq!(
        count(pb::QueueGroup::OrgUnit, "").await,
        "group/north:2 group/north/riverside:1 group/south:1"
    );
    assert_eq!(count(pb::QueueGroup::Clock, "").await, "overdue:3 due:1");
    assert_eq!(count(pb::QueueGroup::Handler, "").await, ":3 manager:1");
    assert_eq!(
        count(pb::QueueGroup::State, "state = REGISTERED org_unit:group/north").await,
        "registered:2"
    );
    assert_eq!(count(pb::QueueGroup::State, "severity = 3").await, "");
}

#[tokio::test]
async fn t23_two_replicas_keep_one_queue_and_a_new_journal_begins_it_again() {
    let mut world = World::new().await;
    world.start_replica().await;
    let mut clerk = world.clerk();
    for index in 0..20 {
        clerk.create(complaint("group/north", &format!("{index}"))).await;
    }
    world.settle().await;
    assert_eq!(world.count("SELECT count(*) FROM queue_entry").await, 20);
    assert_eq!(world.count("SELECT count(*) FROM search_document").await, 20);
    assert_eq!(world.count("SELECT count(DISTINCT place) FROM search_document").await, 20);
    assert_eq!(world.count("SELECT max(place) FROM search_document").await, 19);
    // Positions of another journal mean nothing: as after a dump was restored elsewhere.
    for statement in [
        "DELETE FROM queue_entry WHERE due_key % 2 = 0",
        "UPDATE projection SET feed_id = gen_random_uuid(), xid = '9223372036854775807'",
    ] {
        sqlx::query(statement).execute(&world.pool).await.unwrap();
    }
    world.settle().await;
    assert_eq!(world.count("SELECT count(*) FROM queue_entry").await, 20);
    assert_eq!(all(&mut clerk, of("group")).await.len(), 20);
}

#[tokio::test]
async fn t23_a_page_token_of_another_queue_is_refused() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    for _ in 0..3 {
        clerk.create(complaint("group/north", "漏水")).await;
    }
    world.settle().await;
    let token = page(&mut clerk, pb::ListQueueRequest { page_size: 1, ..of("group") }).await;
    let page_token = token.next_page_token;
    assert!(!page_token.is_empty());
    for request in [
        pb::ListQueueRequest { page_token: page_token.clone(), ..of("group/north") },
        pb::ListQueueRequest {
            page_token: page_token.clone(),
            filter: "severity = 1".into(),
            ..of("group")
        },
        pb::ListQueueRequest { page_token, ..by(pb::QueueOrder::Newest, "group") },
    ] {
        let error = clerk.queues.list_queue(request).await.unwrap_err();
        assert_eq!(violations(&error), ["page_token"]);
    }
}

/// What the view BASIC tells of a ticket.
fn basic(whole: pb::Ticket) -> pb::Ticket {
    pb::Ticket {
        description: String::new(),
        solution: String::new(),
        occur_time: None,
        clocks: Vec::new(),
        verdicts: Vec::new(),
        escalations: Vec::new(),
        custom_fields: Vec::new(),
        policy_version: String::new(),
        promise_version: String::new(),
        first_response_time: None,
        resolve_time: None,
        ..whole
    }
}

#[tokio::test]
async fn t23_a_line_of_a_list_says_of_a_ticket_what_the_whole_says_and_no_more() {
    let world = World::new().await;
    let (mut clerk, mut manager) = (world.clerk(), world.manager());
    let ticket = pb::Ticket {
        complainant: "王女士".into(),
        description: "连续三天漏水".into(),
        category: "质量/漏水".into(),
        product: "水泵 7".into(),
        order_reference: "合同-9".into(),
        shop: "城西店".into(),
        tags: vec!["媒体".into()],
        amount_cents: 12_300,
        currency: "CNY".into(),
        ..complaint("group/north", "漏水")
    };
    let name = clerk.create(ticket).await.name;
    clerk.create(complaint("group/south", "漏水，门坏了")).await;
    manager.respond(&name).await.unwrap();
    manager.resolve(&name).await.unwrap();
    world.settle().await;
    for (view, whole) in [(0, true), (2, true), (1, false)] {
        let request = pb::ListQueueRequest { view, ..of("group") };
        let queued = page(&mut clerk, request).await.entries;
        let request = pb::SearchTicketsRequest {
            org_unit: "group".into(),
            query: "漏水".into(),
            view,
            ..Default::default()
        };
        let found = clerk.queues.search_tickets(request).await.unwrap().into_inner().tickets;
        let queued: Vec<_> = queued.into_iter().filter_map(|entry| entry.ticket).collect();
        assert_eq!((queued.len(), found.len()), (2, 2));
        for told in queued.into_iter().chain(found) {
            let ticket = clerk.get(&told.name).await;
            let expected = if whole { ticket } else { basic(ticket) };
            assert_eq!(told, expected, "view {view}");
        }
    }
    let request = pb::ListQueueRequest { view: 9, ..of("group") };
    let error = clerk.queues.list_queue(request).await.unwrap_err();
    assert_eq!(violations(&error), ["view"]);
}

#[tokio::test]
async fn t23_an_org_unit_is_in_the_queues_above_it_from_its_first_ticket_to_its_last() {
    let world = World::new().await;
    let (mut clerk, mut manager) = (world.clerk(), world.manager());
    clerk.create(complaint("group/north", "甲")).await;
    world.settle().await;
    // Twice: what is remembered of the org units must be of this turn.
    for _ in 0..2 {
        assert_eq!(subjects(&mut clerk, "").await, ["甲"]);
    }
    let second = clerk.create(complaint("group/south", "乙")).await.name;
    world.settle().await;
    assert_eq!(subjects(&mut clerk, "").await, ["乙", "甲"]);
    let request =
        pb::CancelTicketRequest { name: second, reason: "重复".into(), ..Default::default() };
    manager.tickets.cancel_ticket(request).await.unwrap();
    world.settle().await;
    assert_eq!(subjects(&mut clerk, "").await, ["甲"]);
    assert_eq!(all(&mut clerk, of("group/south")).await, []);
}
