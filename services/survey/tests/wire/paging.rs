//! lists are bounded, newest first, and stable while they grow.

use kefu_api::survey::v1::{
    Answer, Invitation, ListAnswersRequest, ListInvitationsRequest, ListInvitationsResponse,
};

use crate::world::{Desk, Ticket, World, violations};

async fn invite(world: &World, org_unit: &str) -> Ticket {
    let mut ticket = world.ticket(org_unit);
    world.feed_back(&mut ticket).await;
    ticket
}

async fn page(desk: &mut Desk, request: &ListInvitationsRequest) -> ListInvitationsResponse {
    desk.surveys.list_invitations(request.clone()).await.unwrap().into_inner()
}

/// All pages, two invitations each.
async fn all(desk: &mut Desk, mut request: ListInvitationsRequest) -> Vec<Invitation> {
    let mut found = Vec::new();
    request.page_size = 2;
    loop {
        let page = page(desk, &request).await;
        assert!(page.invitations.len() <= 2);
        found.extend(page.invitations);
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn x08_invitations_come_in_pages_newest_first() {
    let world = World::new().await;
    let mut expected = Vec::new();
    for org_unit in
        ["group/north", "group/south", "group/north/riverside", "group/north", "group/south"]
    {
        let ticket = invite(&world, org_unit).await;
        world.pass(jiff::SignedDuration::from_secs(1)).await;
        expected.insert(0, (org_unit, ticket.summary.ticket));
    }
    let mut desk = world.manager();
    for scope in ["group", "group/north", "group/north/riverside", "group/south"] {
        let request = ListInvitationsRequest { org_unit: scope.into(), ..Default::default() };
        let found: Vec<_> = all(&mut desk, request).await.into_iter().map(|i| i.ticket).collect();
        let expected: Vec<_> = expected
            .iter()
            .filter(|(org_unit, _)| org_unit.starts_with(scope))
            .map(|(_, ticket)| ticket.clone())
            .collect();
        assert_eq!(found, expected, "{scope}");
    }
}

#[tokio::test]
async fn x08_a_page_continues_where_it_ended_while_the_list_grows() {
    let world = World::new().await;
    for _ in 0..4 {
        invite(&world, "group/north").await;
    }
    world.settle().await;
    let mut desk = world.manager();
    let request =
        ListInvitationsRequest { org_unit: "group".into(), page_size: 2, ..Default::default() };
    let first = page(&mut desk, &request).await;
    invite(&world, "group/north").await;
    world.settle().await;
    let next = ListInvitationsRequest { page_token: first.next_page_token, ..request.clone() };
    let second = page(&mut desk, &next).await;
    assert_eq!((second.invitations.len(), second.next_page_token.as_str()), (2, ""));
    for invitation in &second.invitations {
        assert!(!first.invitations.contains(invitation));
    }
    let foreign = ListInvitationsRequest { org_unit: "group/north".into(), ..next };
    let refused = desk.surveys.list_invitations(foreign).await.unwrap_err();
    assert_eq!(violations(&refused), ["page_token"]);
}

#[tokio::test]
async fn x08_a_list_shows_one_ticket_or_one_customer() {
    let world = World::new().await;
    let mut first = invite(&world, "group/north").await;
    world.reopen(&mut first).await;
    world.feed_back(&mut first).await;
    let mut second = world.ticket("group/south");
    second.summary.customer.clone_from(&first.summary.customer);
    second.summary.contact.clear();
    world.feed_back(&mut second).await;
    invite(&world, "group/north").await;
    world.settle().await;
    let mut desk = world.manager();
    let list = |org_unit: &str, ticket: &str, customer: &str| ListInvitationsRequest {
        org_unit: org_unit.into(),
        ticket: ticket.into(),
        customer: customer.into(),
        ..Default::default()
    };
    let (ticket, customer) = (&*first.summary.ticket, &*first.summary.customer);
    let nobody = format!("customers/{}", world.id());
    for (request, expected) in [
        (list("group", "", ""), 4),
        (list("group", ticket, ""), 2),
        (list("group", "", customer), 3),
        (list("group/north", "", customer), 2),
        (list("group", &second.summary.ticket, customer), 1),
        (list("group/north", &second.summary.ticket, ""), 0),
        (list("group", ticket, &nobody), 0),
    ] {
        assert_eq!(all(&mut desk, request.clone()).await.len(), expected, "{request:?}");
    }
}

#[tokio::test]
async fn x08_answers_come_in_pages_newest_first() {
    let world = World::new().await;
    let mut customer = String::new();
    for (org_unit, verdict) in [("group/north", 1), ("group/south", 2), ("group/north", 3)] {
        let (ticket, _, token) = world.issued(org_unit).await;
        world.anonymous().answer(&token, verdict).await.unwrap();
        customer = ticket.summary.customer;
    }
    let verdicts = |org_unit: &str, customer: &str| {
        let mut desk = world.manager();
        let mut request = ListAnswersRequest {
            org_unit: org_unit.into(),
            customer: customer.into(),
            page_size: 1,
            ..Default::default()
        };
        async move {
            let mut found: Vec<Answer> = Vec::new();
            loop {
                let page = desk.surveys.list_answers(request.clone()).await.unwrap().into_inner();
                found.extend(page.answers);
                if page.next_page_token.is_empty() {
                    return found.iter().map(|answer| answer.verdict).collect::<Vec<_>>();
                }
                request.page_token = page.next_page_token;
            }
        }
    };
    assert_eq!(verdicts("group", "").await, [3, 2, 1]);
    assert_eq!(verdicts("group/north", "").await, [3, 1]);
    assert_eq!(verdicts("group", &customer).await, [3]);
    assert_eq!(verdicts("group/south", &customer).await, [] as [i32; 0]);
}
