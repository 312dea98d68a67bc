//! lists are bounded, whole and in order.

use kefu_api::customer::v1::{
    CreateContactRequest, Customer, ListContactsRequest, ListCustomersRequest,
    ListStandingsRequest, Standing,
};
use tonic::Code;

use crate::{
    standing::standing,
    world::{Desk, World, contact, customer, violations},
};

fn query(org_unit: &str, page_size: i32, page_token: &str) -> ListCustomersRequest {
    ListCustomersRequest {
        org_unit: org_unit.into(),
        page_size,
        page_token: page_token.into(),
        code: String::new(),
    }
}

async fn all(desk: &mut Desk, org_unit: &str, size: i32) -> Vec<Customer> {
    let mut found = Vec::new();
    let mut token = String::new();
    loop {
        let request = query(org_unit, size, &token);
        let page = desk.customers.list_customers(request).await.unwrap().into_inner();
        found.extend(page.customers);
        token = page.next_page_token;
        if token.is_empty() {
            return found;
        }
    }
}

#[tokio::test]
async fn x08_customers_are_listed_newest_first_at_every_level_of_the_tree() {
    let world = World::new().await;
    let mut desk = world.manager();
    let org_units = ["group", "group/north", "group/north/riverside", "group/south"];
    let mut registered = Vec::new();
    for number in 0..12 {
        // Three of each instant: the id decides among them.
        if number % 3 == 0 {
            let at = format!("2026-03-02T03:{number:02}:00Z");
            world.clock.set(at.parse().unwrap()).unwrap();
        }
        registered.push(desk.register(customer(org_units[number % 4], "客户")).await);
    }
    registered.reverse();
    for (scope, below) in [
        ("group", &org_units[..]),
        ("group/north", &org_units[1..3]),
        ("group/north/riverside", &org_units[2..3]),
        ("group/north/sales", &[]),
    ] {
        let expected: Vec<Customer> = registered
            .iter()
            .filter(|customer| below.contains(&customer.org_unit.as_str()))
            .cloned()
            .collect();
        for size in [1, 2, 5, 12, 0, 5000] {
            assert_eq!(all(&mut desk, scope, size).await, expected, "{scope} by {size}");
        }
    }
}

#[tokio::test]
async fn x08_who_is_registered_meanwhile_does_not_shift_the_pages() {
    let world = World::new().await;
    let mut desk = world.manager();
    let mut registered = Vec::new();
    for _ in 0..4 {
        registered.push(desk.register(customer("group", "客户")).await.name);
    }
    let page = desk.customers.list_customers(query("group", 2, "")).await.unwrap().into_inner();
    desk.register(customer("group", "后来的")).await;
    let request = query("group", 2, &page.next_page_token);
    let next = desk.customers.list_customers(request).await.unwrap().into_inner();
    let names = page.customers.into_iter().chain(next.customers).map(|customer| customer.name);
    registered.reverse();
    assert_eq!(names.collect::<Vec<_>>(), registered);
    assert_eq!(next.next_page_token, "");
}

#[tokio::test]
async fn x08_a_page_token_of_another_query_is_refused() {
    let world = World::new().await;
    let mut desk = world.manager();
    for _ in 0..2 {
        desk.register(customer("group/north", "客户")).await;
    }
    let page = desk.customers.list_customers(query("group", 1, "")).await.unwrap().into_inner();
    let token = page.next_page_token;
    for (org_unit, size, token) in
        [("group/north", 1, token.as_str()), ("group", 1, "bm9uc2Vuc2U"), ("group", 1, "页")]
    {
        let request = query(org_unit, size, token);
        let status = desk.customers.list_customers(request).await.unwrap_err();
        assert_eq!(violations(&status), ["page_token"]);
    }
    let status = desk.customers.list_customers(query("group", -1, "x")).await.unwrap_err();
    assert_eq!(violations(&status), ["page_size", "page_token"]);
    let parent = page.customers[0].name.clone();
    let request = ListContactsRequest { parent, page_token: token, ..Default::default() };
    let status = desk.customers.list_contacts(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn x08_contacts_and_standings_are_paged_in_their_order() {
    let world = World::new().await;
    let mut desk = world.manager();
    world.admin().apply_ladder("group", &["vip"]).await;
    let parent = desk.register(customer("group", "客户")).await.name;
    for number in 0..5 {
        let contact = Some(contact(&format!("联系人 {number}")));
        let request =
            CreateContactRequest { parent: parent.clone(), contact, request_id: String::new() };
        desk.customers.create_contact(request).await.unwrap();
    }
    let places =
        [("group/south", ""), ("group/north", "电梯"), ("group/north", ""), ("group", "扶梯")];
    for (department, product_line) in places {
        let place = Standing { product_line: product_line.into(), ..standing(department, "vip") };
        desk.grade(&parent, place).await.unwrap();
    }

    let (mut contacts, mut standings) = (Vec::new(), Vec::new());
    let mut page_token = String::new();
    loop {
        let request = ListContactsRequest { parent: parent.clone(), page_size: 2, page_token };
        let page = desk.customers.list_contacts(request).await.unwrap().into_inner();
        contacts.extend(page.contacts.into_iter().map(|contact| contact.display_name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    loop {
        let request = ListStandingsRequest { parent: parent.clone(), page_size: 1, page_token };
        let page = desk.customers.list_standings(request).await.unwrap().into_inner();
        standings.extend(page.standings.into_iter().map(|s| (s.department, s.product_line)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(contacts, (0..5).map(|number| format!("联系人 {number}")).collect::<Vec<_>>());
    let expected =
        [("group", "扶梯"), ("group/north", ""), ("group/north", "电梯"), ("group/south", "")];
    assert_eq!(standings, expected.map(|(d, p)| (d.to_owned(), p.to_owned())));
}
