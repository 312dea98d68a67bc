//! T-23, X-08: lists and their pages.

use kefu_api::ticket::v1 as pb;

use crate::world::{Desk, World, complaint, violations};

async fn page(desk: &mut Desk, request: pb::ListTicketsRequest) -> (Vec<String>, String) {
    let page = desk.tickets.list_tickets(request).await.unwrap().into_inner();
    (page.tickets.into_iter().map(|ticket| ticket.subject).collect(), page.next_page_token)
}

fn of(org_unit: &str) -> pb::ListTicketsRequest {
    pb::ListTicketsRequest { org_unit: org_unit.into(), ..Default::default() }
}

#[tokio::test]
async fn x08_pages_of_an_org_unit_and_below_newest_first_miss_and_double_nothing() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let units = ["group", "group/north", "group/north/riverside", "group/south"];
    for index in 0..20 {
        clerk.create(complaint(units[index % 4], &format!("{index}"))).await;
    }
    let mut found = Vec::new();
    let mut request = pb::ListTicketsRequest { page_size: 3, ..of("group/north") };
    loop {
        let (subjects, next) = page(&mut clerk, request.clone()).await;
        found.extend(subjects);
        if next.is_empty() {
            break;
        }
        // Somebody registers while somebody else turns the pages.
        clerk.create(complaint("group/north", "新")).await;
        request.page_token = next;
    }
    let expected: Vec<_> =
        (0..20).rev().filter(|i| i % 4 == 1 || i % 4 == 2).map(|i| i.to_string()).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn x08_lists_are_filtered_by_state_and_customer() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let customer = world.customer(1).await;
    world.settle().await;
    let theirs = pb::Ticket { customer: customer.clone(), ..complaint("group/north", "甲") };
    let first = clerk.create(theirs).await;
    clerk.create(complaint("group/north", "乙")).await;
    world.manager().respond(&first.name).await.unwrap();
    let states = vec![pb::TicketState::InProgress.into()];
    let (found, _) = page(&mut clerk, pb::ListTicketsRequest { states, ..of("group") }).await;
    assert_eq!(found, ["甲"]);
    let mut request = pb::ListTicketsRequest { customer, ..of("group") };
    assert_eq!(page(&mut clerk, request.clone()).await.0, ["甲"]);
    request.org_unit = "group/south".into();
    assert!(page(&mut clerk, request.clone()).await.0.is_empty());
    request.states = vec![77];
    let error = clerk.tickets.list_tickets(request).await.unwrap_err();
    assert_eq!(violations(&error), ["states[0]"]);
}

#[tokio::test]
async fn x08_a_page_token_of_another_query_is_refused() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    for _ in 0..3 {
        clerk.create(complaint("group/north", "漏水")).await;
    }
    let (_, token) = page(&mut clerk, pb::ListTicketsRequest { page_size: 1, ..of("group") }).await;
    for request in [
        pb::ListTicketsRequest { page_token: token.clone(), ..of("group/north") },
        pb::ListTicketsRequest { page_token: "rubbish".into(), page_size: -1, ..of("group") },
    ] {
        let error = clerk.tickets.list_tickets(request).await.unwrap_err();
        assert!(violations(&error).contains(&"page_token".to_owned()), "{error:?}");
    }
    let request = pb::ListViolationsRequest {
        org_unit: "group".into(),
        page_token: token,
        ..Default::default()
    };
    let error = clerk.tickets.list_violations(request).await.unwrap_err();
    assert_eq!(violations(&error), ["page_token"]);
}

#[tokio::test]
async fn t19_violations_are_paged_by_org_unit_and_by_ticket() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let mut last = String::new();
    for index in 0..5 {
        last = clerk.create(complaint("group/north", &format!("{index}"))).await.name;
    }
    world.pass_hours(25).await;
    let mut request =
        pb::ListViolationsRequest { org_unit: "group".into(), page_size: 2, ..Default::default() };
    let mut found = 0;
    loop {
        let page = clerk.tickets.list_violations(request.clone()).await.unwrap().into_inner();
        found += page.violations.len();
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(found, 5);
    let request = pb::ListViolationsRequest {
        org_unit: "group".into(),
        ticket: last.clone(),
        ..Default::default()
    };
    let page = clerk.tickets.list_violations(request).await.unwrap().into_inner();
    assert_eq!(page.violations.len(), 1);
    assert_eq!(page.violations[0].ticket, last);
    assert!(clerk.violations("group/south").await.is_empty());
}
