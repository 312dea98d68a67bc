//! T-23: filters by team and owner, by deadlines of a clock, and over what has ended.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;

use crate::routing::{company, present};
use crate::world::{Desk, World, complaint, violations};

async fn queue(desk: &mut Desk, filter: &str) -> Vec<String> {
    let request = pb::ListQueueRequest {
        org_unit: "group".into(),
        filter: filter.into(),
        ..Default::default()
    };
    let entries = desk.queues.list_queue(request).await.unwrap().into_inner().entries;
    let mut found: Vec<_> =
        entries.into_iter().map(|entry| entry.ticket.unwrap().subject).collect();
    found.sort();
    found
}

fn listed(filter: &str) -> pb::ListTicketsRequest {
    pb::ListTicketsRequest { org_unit: "group".into(), filter: filter.into(), ..Default::default() }
}

async fn list(desk: &mut Desk, filter: &str) -> Vec<String> {
    let tickets = desk.tickets.list_tickets(listed(filter)).await.unwrap().into_inner().tickets;
    let mut found: Vec<_> = tickets.into_iter().map(|ticket| ticket.subject).collect();
    found.sort();
    found
}

async fn counts(desk: &mut Desk, by: pb::QueueGroup) -> Vec<(String, i32)> {
    let request = pb::CountQueueRequest {
        org_unit: "group".into(),
        group_by: by.into(),
        ..Default::default()
    };
    let counts = desk.queues.count_queue(request).await.unwrap().into_inner().counts;
    let mut counts: Vec<_> = counts.into_iter().map(|count| (count.value, count.count)).collect();
    counts.sort();
    counts
}

#[tokio::test]
async fn t23_queues_and_lists_are_filtered_by_team_and_owner() {
    let world = World::new().await;
    let [lifts, attitude, desk] = company(&world, pb::Distribution::LeastLoad).await;
    present(&world, &["an", "dai"], false).await;
    let mut clerk = world.clerk();
    clerk.create(complaint("group", "电梯坏了")).await;
    clerk.create(complaint("group", "漏水")).await;
    let rude = pb::Ticket { category: "service".into(), ..complaint("group/north", "骂人") };
    clerk.create(rude).await;
    world.settle().await;
    let of = |team: &pb::Team| format!("team = \"{}\"", team.name);
    let mut bo = world.desk("bo", "group", role::HANDLER);
    for (filter, expected) in [
        (of(&lifts), vec!["电梯坏了"]),
        (of(&attitude), vec!["骂人"]),
        (of(&desk), vec!["漏水"]),
        ("owner = me".into(), vec!["电梯坏了"]),
        ("owner = \"zhou\"".into(), vec!["骂人"]),
        ("owner != \"zhou\"".into(), vec!["漏水", "电梯坏了"]),
        ("NOT owner:*".into(), vec!["漏水"]),
        (format!("NOT owner:* AND {}", of(&desk)), vec!["漏水"]),
        (format!("{} AND owner = me", of(&attitude)), vec![]),
        ("team:*".into(), vec!["漏水", "电梯坏了", "骂人"]),
    ] {
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(queue(&mut bo, &filter).await, expected, "{filter}");
        assert_eq!(list(&mut bo, &filter).await, expected, "{filter}");
    }
    let id = |team: &pb::Team| team.name.strip_prefix("teams/").unwrap().to_owned();
    let mut by_team = [(id(&lifts), 1), (id(&attitude), 1), (id(&desk), 1)];
    by_team.sort();
    assert_eq!(counts(&mut bo, pb::QueueGroup::Team).await, by_team);
    let owners = [("", 1), ("bo", 1), ("zhou", 1)].map(|(who, count)| (who.to_owned(), count));
    assert_eq!(counts(&mut bo, pb::QueueGroup::Owner).await, owners);
    let request = pb::ListQueueRequest {
        org_unit: "group".into(),
        filter: "team = \"lifts\"".into(),
        ..Default::default()
    };
    let error = bo.queues.list_queue(request).await.unwrap_err();
    assert_eq!(violations(&error), ["filter"], "a code is no name");
}

#[tokio::test]
async fn t23_a_filter_asks_for_the_deadline_of_one_clock_and_for_the_grade() {
    let world = World::new().await;
    let customer = world.customer(1).await;
    world.grade(1, "group", "vip", 1).await;
    world.settle().await;
    let mut clerk = world.clerk();
    clerk.create(complaint("group", "早")).await;
    world.pass_hours(2).await;
    let late = clerk.create(pb::Ticket { customer, ..complaint("group", "晚") }).await;
    world.settle().await;
    // 24 hours each; the resolution later still.
    let before = "due.first-response < \"2026-03-03T11:00:00+08:00\"";
    for (filter, expected) in [
        (before.to_owned(), vec!["早"]),
        (format!("NOT {before}"), vec!["晚"]),
        ("due.resolution < \"2026-03-03T11:00:00+08:00\"".into(), vec![]),
        ("due.nothing:*".into(), vec![]),
        ("customer_grade = \"vip\"".into(), vec!["晚"]),
    ] {
        assert_eq!(queue(&mut clerk, &filter).await, expected, "{filter}");
        assert_eq!(list(&mut clerk, &filter).await, expected, "{filter}");
    }
    // What is met is owed no more.
    world.manager().respond(&late.name).await.unwrap();
    world.settle().await;
    assert_eq!(queue(&mut clerk, "due.first-response:*").await, ["早"]);
    let grades = [("", 1), ("vip", 1)].map(|(grade, count)| (grade.to_owned(), count));
    assert_eq!(counts(&mut clerk, pb::QueueGroup::CustomerGrade).await, grades);
}

#[tokio::test]
async fn t23_a_list_is_filtered_over_what_has_ended_too_page_by_page() {
    let world = World::new().await;
    let customer = world.customer(1).await;
    world.settle().await;
    let (mut clerk, mut manager) = (world.clerk(), world.manager());
    for number in 0..7 {
        let of = |subject: &str| pb::Ticket {
            tags: vec![format!("第{}", number % 2)],
            ..complaint("group/north", subject)
        };
        let ticket = pb::Ticket { customer: customer.clone(), ..of(&format!("甲{number}")) };
        clerk.create(ticket).await;
        let ended = clerk.create(of(&format!("乙{number}"))).await;
        let cancel = pb::CancelTicketRequest {
            name: ended.name,
            reason: "重复".into(),
            ..Default::default()
        };
        manager.tickets.cancel_ticket(cancel).await.unwrap();
    }
    assert_eq!(list(&mut clerk, "state = CANCELLED AND tag:\"第1\"").await, ["乙1", "乙3", "乙5"]);
    let of_customer = format!("customer = \"{customer}\" AND tag:\"第0\"");
    assert_eq!(list(&mut clerk, &of_customer).await, ["甲0", "甲2", "甲4", "甲6"]);
    let other =
        pb::ListTicketsRequest { customer: customer.clone(), ..listed("state = CANCELLED") };
    assert!(clerk.tickets.list_tickets(other).await.unwrap().into_inner().tickets.is_empty());
    let ended = pb::ListTicketsRequest {
        states: vec![pb::TicketState::Cancelled.into()],
        ..listed("tag:\"第0\"")
    };
    let ended = clerk.tickets.list_tickets(ended).await.unwrap().into_inner().tickets;
    assert_eq!(ended.len(), 4);
    // Page by page: all, each once, newest first, while more come in.
    let mut request = pb::ListTicketsRequest { page_size: 3, ..listed("tag:\"第0\"") };
    let mut found = Vec::new();
    for _ in 0..10 {
        let page = clerk.tickets.list_tickets(request.clone()).await.unwrap().into_inner();
        found.extend(page.tickets.into_iter().map(|ticket| ticket.subject));
        if page.next_page_token.is_empty() {
            break;
        }
        let new = pb::Ticket { tags: vec!["第0".into()], ..complaint("group", "新") };
        clerk.create(new).await;
        request.page_token = page.next_page_token;
    }
    assert_eq!(found, ["乙6", "甲6", "乙4", "甲4", "乙2", "甲2", "乙0", "甲0"]);
    let elsewhere = pb::ListTicketsRequest { filter: "tag:\"第1\"".into(), ..request };
    let error = clerk.tickets.list_tickets(elsewhere).await.unwrap_err();
    assert_eq!(violations(&error), ["page_token"], "of another query");
    let error = clerk.tickets.list_tickets(listed("nothing = 1")).await.unwrap_err();
    assert_eq!(violations(&error), ["filter"]);
    let deep = listed(&"(".repeat(10_000));
    let error = clerk.tickets.list_tickets(deep).await.unwrap_err();
    assert_eq!(violations(&error), ["filter"]);
}
