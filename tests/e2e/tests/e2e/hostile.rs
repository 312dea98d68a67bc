//! Bad input through the gateway: the right status with the fields named, and nothing half done.

use kefu_api::customer::v1 as customer;
use kefu_api::ticket::v1 as pb;
use tonic::Code;
use uuid::Uuid;

use crate::company::{RIVERSIDE, complaint, customer_of_riverside, registration};
use crate::world::{Refusal, Way, World, at, metadata, refused, request_id};

/// Registers what cannot be registered, and shows that it has left nothing behind: no change on record, no request id
/// used up, no number taken.
async fn is_refused(world: &World, ticket: pb::Ticket, expected: Refusal) {
    let before = world.on_record().await;
    let mut clerk = world.clerk().tickets();
    let request = registration(ticket, request_id(77));
    assert_eq!(refused(clerk.create_ticket(request).await), expected);
    assert_eq!(world.on_record().await, before);
    let request = pb::ListTicketsRequest { org_unit: "group".into(), ..Default::default() };
    let page = clerk.list_tickets(request).await.unwrap().into_inner();
    assert!(page.tickets.is_empty(), "{:?}", page.tickets);
}

#[tokio::test]
async fn x06_a_ticket_with_one_wrong_field_is_refused_with_its_name() {
    let world = World::start(Way::OneProcess).await;
    let good = complaint(RIVERSIDE, "漏水");
    let nowhere = complaint("group/nowhere", "漏水");
    let expected = Refusal::new(Code::FailedPrecondition, "ORG_UNIT_UNKNOWN", &[]);
    is_refused(&world, nowhere, expected).await;
    let unknown = format!("customers/{}", Uuid::from_u128(99));
    let of_unknown = pb::Ticket { customer: unknown, ..good.clone() };
    is_refused(&world, of_unknown, Refusal::fields(&["ticket.customer"])).await;
    let subject = Refusal::fields(&["ticket.subject"]);
    // Bytes and characters: a third of a million Chinese characters are a megabyte.
    is_refused(&world, complaint(RIVERSIDE, &"a".repeat(1 << 20)), subject.clone()).await;
    is_refused(&world, complaint(RIVERSIDE, &"长".repeat((1 << 20) / 3)), subject.clone()).await;
    for control in
        ["bell\u{7}", "nul\0", "escape\u{1b}[31m", "delete\u{7f}", "two\nlines", "\u{85}"]
    {
        is_refused(&world, complaint(RIVERSIDE, control), subject.clone()).await;
    }
    let future = pb::Ticket { occur_time: at("2026-09-28T01:06:00Z"), ..good.clone() };
    is_refused(&world, future, Refusal::fields(&["ticket.occur_time"])).await;
    let from_a_newer_client = pb::Ticket { kind: 99, channel: 98, ..good.clone() };
    let expected = Refusal::fields(&["ticket.channel", "ticket.kind"]);
    is_refused(&world, from_a_newer_client, expected).await;

    let everything = pb::Ticket {
        org_unit: "Group North".into(),
        kind: 99,
        customer: "customers/nobody".into(),
        subject: "铃\u{7}".into(),
        severity: 9,
        occur_time: at("2027-01-01T00:00:00Z"),
        tags: vec!["好".into(), "\u{0}".into()],
        ..pb::Ticket::default()
    };
    let expected = Refusal::fields(&[
        "ticket.channel",
        "ticket.customer",
        "ticket.kind",
        "ticket.occur_time",
        "ticket.org_unit",
        "ticket.severity",
        "ticket.subject",
        "ticket.tags[1]",
    ]);
    is_refused(&world, everything, expected).await;
    // After all of that, the very same request id is free and the number is the first.
    let first = world.clerk().tickets().create_ticket(registration(good, request_id(77))).await;
    assert_eq!(first.unwrap().into_inner().number, "T-2026-riverside-000001");
}

#[tokio::test]
async fn x06_a_message_beyond_the_limit_is_refused_before_it_is_read() {
    let world = World::start(Way::OneProcess).await;
    let before = world.on_record().await;
    let huge = pb::Ticket { description: "长".repeat(8 << 20), ..complaint(RIVERSIDE, "漏水") };
    let answer = world.clerk().tickets().create_ticket(registration(huge, request_id(1))).await;
    let status = answer.unwrap_err();
    assert!(matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted), "{status:?}");
    assert_eq!(world.on_record().await, before);
    world
        .clerk()
        .tickets()
        .create_ticket(registration(complaint(RIVERSIDE, "漏水"), request_id(1)))
        .await
        .unwrap();
}

#[tokio::test]
async fn c02_x06_a_customer_with_a_contact_that_is_wrong_is_not_registered_at_all() {
    let world = World::start(Way::OneProcess).await;
    let before = world.on_record().await;
    let mut request = customer_of_riverside();
    request.contacts[1].phones = vec!["none".into(), "010-6552 9988".into(), "12".into()];
    request.contacts[1].birthday = "2027-01-01".into();
    let mut manager = world.manager().customers();
    let fields = Refusal::fields(&[
        "contacts[1].birthday",
        "contacts[1].phones[0]",
        "contacts[1].phones[2]",
    ]);
    assert_eq!(refused(manager.create_customer(request).await), fields);
    let mut request = customer_of_riverside();
    let asked = request.customer.as_mut().unwrap();
    asked.org_unit = "group/nowhere".into();
    let nowhere = Refusal::new(Code::FailedPrecondition, "ORG_UNIT_UNKNOWN", &[]);
    assert_eq!(refused(manager.create_customer(request).await), nowhere);
    assert_eq!(world.on_record().await, before);
    let request = customer::ListCustomersRequest { org_unit: "group".into(), ..Default::default() };
    assert!(manager.list_customers(request).await.unwrap().into_inner().customers.is_empty());
}

#[tokio::test]
async fn x09_emoji_and_rare_characters_come_back_as_they_went() {
    let world = World::start(Way::OneProcess).await;
    let subject = "电梯😡👨\u{200d}👩\u{200d}👧 𠮷野家 naïve";
    let description = "第一行\n\t第二行 🇨🇳";
    let ticket = pb::Ticket { description: description.into(), ..complaint(RIVERSIDE, subject) };
    let mut clerk = world.clerk().tickets();
    let made = clerk.create_ticket(registration(ticket, String::new())).await.unwrap().into_inner();
    let request = pb::GetTicketRequest { name: made.name.clone() };
    let read = clerk.get_ticket(request).await.unwrap().into_inner();
    assert_eq!(read, made);
    assert_eq!(read.description, description);
    assert_eq!(read.subject, subject);
}

#[tokio::test]
async fn x08_a_page_token_belongs_to_its_query() {
    let world = World::start(Way::OneProcess).await;
    let mut clerk = world.clerk().tickets();
    for _ in 0..3 {
        clerk
            .create_ticket(registration(complaint(RIVERSIDE, "漏水"), String::new()))
            .await
            .unwrap();
    }
    let query =
        pb::ListTicketsRequest { org_unit: "group".into(), page_size: 1, ..Default::default() };
    let page = clerk.list_tickets(query.clone()).await.unwrap().into_inner();
    let token = page.next_page_token;
    let with_token = pb::ListTicketsRequest { page_token: token.clone(), ..query };
    assert_eq!(clerk.list_tickets(with_token.clone()).await.unwrap().into_inner().tickets.len(), 1);
    let others = [
        pb::ListTicketsRequest { org_unit: RIVERSIDE.into(), ..with_token.clone() },
        pb::ListTicketsRequest { states: vec![1], ..with_token.clone() },
        pb::ListTicketsRequest { page_token: format!("{token}A"), ..with_token.clone() },
        pb::ListTicketsRequest { page_token: "😀".into(), ..with_token },
    ];
    for other in others {
        assert_eq!(refused(clerk.list_tickets(other).await), Refusal::fields(&["page_token"]));
    }
    // Nor does it open another list, in this context or in another one.
    let other = pb::ListViolationsRequest {
        org_unit: "group".into(),
        page_token: token.clone(),
        ..Default::default()
    };
    assert_eq!(refused(clerk.list_violations(other).await), Refusal::fields(&["page_token"]));
    let other = customer::ListCustomersRequest {
        org_unit: "group".into(),
        page_token: token,
        ..Default::default()
    };
    let other = world.clerk().customers().list_customers(other).await;
    assert_eq!(refused(other), Refusal::fields(&["page_token"]));
}

#[tokio::test]
async fn x03_a_stale_etag_is_refused_with_the_current_one() {
    let world = World::start(Way::OneProcess).await;
    let mut manager = world.manager();
    let made = manager.customers().create_customer(customer_of_riverside()).await;
    let made = made.unwrap().into_inner();
    let change = |short_name: &str, etag: &str| customer::UpdateCustomerRequest {
        customer: Some(customer::Customer {
            name: made.name.clone(),
            short_name: short_name.into(),
            etag: etag.into(),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["short_name".into()] }),
        request_id: String::new(),
    };
    let changed = manager.customers().update_customer(change("滨河", &made.etag)).await;
    let changed = changed.unwrap().into_inner();
    assert_ne!(changed.etag, made.etag);
    let before = world.on_record().await;
    let stale = manager.customers().update_customer(change("河滨", &made.etag)).await.unwrap_err();
    assert_eq!(Refusal::of(&stale), Refusal::new(Code::Aborted, "ETAG_STALE", &[]));
    assert_eq!(metadata(&stale, "current_etag"), changed.etag);

    let request = registration(complaint(RIVERSIDE, "漏水"), String::new());
    let ticket = manager.tickets().create_ticket(request).await.unwrap().into_inner();
    let respond = |etag: &str| pb::RespondTicketRequest {
        name: ticket.name.clone(),
        message: "已派人".into(),
        etag: etag.into(),
        ..Default::default()
    };
    manager.tickets().respond_ticket(respond(&ticket.etag)).await.unwrap();
    let stale = manager.tickets().respond_ticket(respond(&ticket.etag)).await.unwrap_err();
    assert_eq!(Refusal::of(&stale), Refusal::new(Code::Aborted, "ETAG_STALE", &[]));
    let request = pb::GetTicketRequest { name: ticket.name.clone() };
    let current = manager.tickets().get_ticket(request).await.unwrap().into_inner();
    assert_eq!(metadata(&stale, "current_etag"), current.etag);
    let [customers, customer_requests, tickets, ..] = world.on_record().await[..] else { panic!() };
    assert_eq!([customers, customer_requests], before[..2], "the stale one left nothing");
    assert_eq!(tickets, before[2] + 2, "registered, answered once");
    manager = world.manager();
    manager.customers().update_customer(change("河滨", &changed.etag)).await.unwrap();
}

#[tokio::test]
async fn x02_a_request_id_with_other_content_is_refused() {
    let world = World::start(Way::OneProcess).await;
    let mut clerk = world.clerk().tickets();
    let first = registration(complaint(RIVERSIDE, "漏水"), request_id(1));
    let made = clerk.create_ticket(first.clone()).await.unwrap().into_inner();
    let before = world.on_record().await;
    let other = registration(complaint(RIVERSIDE, "漏电"), request_id(1));
    let status = clerk.create_ticket(other).await.unwrap_err();
    assert_eq!(Refusal::of(&status), Refusal::new(Code::AlreadyExists, "REQUEST_ID_REUSED", &[]));
    assert_eq!(metadata(&status, "request_id"), request_id(1));
    assert_eq!(clerk.create_ticket(first).await.unwrap().into_inner(), made);
    assert_eq!(world.on_record().await, before);
    let none = registration(complaint(RIVERSIDE, "漏水"), "not-a-uuid".into());
    assert_eq!(refused(clerk.create_ticket(none).await), Refusal::fields(&["request_id"]));
}
