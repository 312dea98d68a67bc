//! T-03: what a registration knows of customers, and from where.

use kefu_api::customer::v1::StandingChanged;
use kefu_api::ticket::v1 as pb;
use kefu_identity::role;

use crate::neighbour::known_only_there;
use crate::world::{World, complaint, contact, customer, reason, violations};

fn of(customer: &str) -> pb::Ticket {
    pb::Ticket { customer: customer.into(), ..complaint("group/north/riverside", "漏水") }
}

#[tokio::test]
async fn t03_the_standing_from_the_feed_gives_the_priority_in_every_replica_at_once() {
    let mut world = World::new().await;
    world.start_replica().await;
    let name = world.customer(1).await;
    world.settle().await;
    let mut desks = [0, 1].map(|replica| world.desk_at(replica, "clerk", "group", role::CLERK));
    for desk in &mut desks {
        assert_eq!(desk.create(of(&name)).await.priority(), pb::TicketPriority::Normal);
    }
    world.grade(1, "group/north", "vip", 1).await;
    // One replica reads the feed; the memory of the other is stale now.
    world.settle().await;
    for desk in &mut desks {
        let ticket = desk.create(of(&name)).await;
        assert_eq!(
            (ticket.customer_grade.as_str(), ticket.priority()),
            ("vip", pb::TicketPriority::High)
        );
    }
    world.grade(1, "group/north", "ordinary", 2).await;
    world.settle().await;
    for desk in &mut desks {
        assert_eq!(desk.create(of(&name)).await.priority(), pb::TicketPriority::Normal);
    }
}

#[tokio::test]
async fn t03_late_and_repeated_events_change_nothing() {
    let world = World::new().await;
    let name = world.customer(1).await;
    let standing = |grade: &str| StandingChanged {
        customer: name.clone(),
        department: "group".into(),
        product_line: String::new(),
        grade: grade.into(),
    };
    world.tell("standing", 100, 2, &standing("vip")).await;
    world.tell("standing", 101, 2, &standing("vip")).await;
    world.tell("standing", 102, 1, &standing("ordinary")).await;
    world.settle().await;
    assert_eq!(world.clerk().create(of(&name)).await.customer_grade, "vip");
    assert_eq!(world.count("SELECT stamp FROM customer_copy").await, 2, "one change was news");
}

#[tokio::test]
async fn t03_a_standing_that_comes_before_its_customer_is_kept() {
    let world = World::new().await;
    world.grade(5, "group", "vip", 1).await;
    world.customer(5).await;
    world.settle().await;
    let ticket = world.clerk().create(of(&customer(5))).await;
    assert_eq!(ticket.customer_grade, "vip");
}

#[tokio::test]
async fn t01_a_customer_of_a_moment_ago_is_asked_for_and_then_known() {
    let mut world = World::new().await;
    let id = known_only_there(1);
    let asked = pb::Ticket {
        contact: format!("customers/{id}/contacts/{id}"),
        ..of(&format!("customers/{id}"))
    };
    let ticket = world.clerk().create(asked.clone()).await;
    assert_eq!((&ticket.customer, &ticket.contact), (&asked.customer, &asked.contact));
    world.neighbours.take().unwrap().stop().await.unwrap();
    world.clerk().create(asked).await;
}

#[tokio::test]
async fn x06_an_unknown_customer_or_contact_is_a_wrong_field() {
    let world = World::new().await;
    world.customer(1).await;
    world.customer(2).await;
    world.settle().await;
    let mut clerk = world.clerk();
    let error = clerk.try_create(of(&customer(99)), String::new()).await.unwrap_err();
    assert_eq!(violations(&error), ["ticket.customer"]);
    let foreign = contact(2).replacen(&customer(2), &customer(1), 1);
    for contact in [foreign, contact(2), "contacts/1".into()] {
        let ticket = pb::Ticket { contact, ..of(&customer(1)) };
        let error = clerk.try_create(ticket, String::new()).await.unwrap_err();
        assert_eq!(violations(&error), ["ticket.contact"]);
    }
    let ticket = pb::Ticket { contact: contact(1), ..complaint("group", "漏水") };
    let error = clerk.try_create(ticket, String::new()).await.unwrap_err();
    assert_eq!(violations(&error), ["ticket.customer"]);
}

#[tokio::test]
async fn x01_while_the_customer_context_is_away_known_customers_are_served() {
    let mut world = World::new().await;
    let name = world.customer(1).await;
    world.settle().await;
    world.neighbours.take().unwrap().stop().await.unwrap();
    let mut clerk = world.clerk();
    let ticket = pb::Ticket { contact: contact(1), ..of(&name) };
    clerk.create(ticket).await;
    let error = clerk.try_create(of(&customer(99)), String::new()).await.unwrap_err();
    let found = (error.code(), reason(&error));
    assert_eq!(found, (tonic::Code::Unavailable, "CONTEXT_UNAVAILABLE".to_owned()));
}

#[tokio::test]
async fn x06_an_unknown_org_unit_is_asked_for_and_then_refused() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    assert_eq!(clerk.create(complaint("group/new", "漏水")).await.number, "T-2026-new-000001");
    let error = clerk.try_create(complaint("group/nowhere", "漏水"), String::new()).await;
    let error = error.unwrap_err();
    let found = (error.code(), reason(&error));
    assert_eq!(found, (tonic::Code::FailedPrecondition, "ORG_UNIT_UNKNOWN".to_owned()));
}
