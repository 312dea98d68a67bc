//! T-14, T-26: endpoints that hang, redirect or never stop, senders that die, and many at once.

use std::collections::BTreeSet;

use kefu_api::ticket::v1 as pb;
use sqlx::Row as _;

use crate::delivery::{by, messages, only, send, world};
use crate::receiver::{Answer, Endpoint, MailServer};
use crate::world::complaint;

#[tokio::test]
async fn t26_an_endpoint_that_hangs_keeps_no_other_waiting() {
    let (mut hangs, mut works) = (Endpoint::start().await, Endpoint::start().await);
    // As good as for ever, for this test.
    let config = hangs.adapter("messenger", 120_000) + &works.adapter("partner", 5_000);
    let world = world(&config).await;
    let mut manager = world.manager();
    let ticket = manager.create(complaint("group", "漏水")).await;
    hangs.will((0..20).map(|_| Answer::Hangs));
    for _ in 0..12 {
        send(&mut manager, &ticket.name, "好", by("messenger", "a")).await.unwrap();
    }
    assert!(hangs.got.recv().await.is_some());
    send(&mut manager, &ticket.name, "好", by("partner", "b")).await.unwrap();
    assert!(works.got.recv().await.is_some(), "while the other hangs");
    assert_eq!(manager.get(&ticket.name).await.state(), pb::TicketState::InProgress);
}

#[tokio::test]
async fn t26_whatever_an_endpoint_does_is_contained_and_on_record() {
    let (mut endpoint, mut elsewhere) = (Endpoint::start().await, Endpoint::start().await);
    let world = world(&endpoint.adapter("messenger", 3_000)).await;
    let mut manager = world.manager();
    let away = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{}/\r\ncontent-length: 0\r\n\r\n",
        elsewhere.port
    );
    let cases = [
        (Answer::Hangs, "no answer within 3000 ms"),
        (Answer::Endless, "500 Internal Server Error: xxx"),
        (Answer::Says(String::leak(away)), "302 Found"),
        (
            Answer::Says("HTTP/1.1 500 Oh\r\ncontent-length: 11\r\n\r\n\u{1b}[31m<b>坏"),
            "500 Internal",
        ),
        (Answer::Says("not http at all\r\n\r\n"), "error"),
    ];
    for (answer, told) in cases {
        let ticket = manager.create(complaint("group", "漏水")).await;
        endpoint.will([answer]);
        send(&mut manager, &ticket.name, "好", by("messenger", "a")).await.unwrap();
        world.settle().await;
        let request = pb::ListDeliveriesRequest {
            org_unit: "group".into(),
            ticket: ticket.name.clone(),
            ..Default::default()
        };
        let found = manager.deliveries.list_deliveries(request).await.unwrap().into_inner();
        let delivery = &found.deliveries[0];
        assert_eq!(delivery.state(), pb::DeliveryState::Pending, "{told}");
        assert!(delivery.last_error.contains(told), "{told}: {}", delivery.last_error);
        assert!(delivery.last_error.chars().count() <= 500);
        assert!(!delivery.last_error.contains('\u{1b}'));
        assert!(!delivery.last_error.contains("hidden-in-url"), "{}", delivery.last_error);
    }
    assert!(elsewhere.all().is_empty(), "redirects are not followed");
    assert_eq!(endpoint.all().len(), 5);
    world.pass_hours(1).await;
    assert_eq!(endpoint.all().len(), 5, "each once more");
    let secrets = "SELECT count(*) FROM journal WHERE journal::text LIKE '%hidden-in-url%' OR journal::text LIKE '%whsec_%'";
    assert_eq!(world.count(secrets).await, 0);
}

#[tokio::test]
async fn t26_what_fails_every_time_is_parked_after_the_policys_attempts() {
    let mut endpoint = Endpoint::start().await;
    let world = world(&endpoint.adapter("messenger", 5_000)).await;
    let mut manager = world.manager();
    let ticket = manager.create(complaint("group", "漏水")).await;
    let oh = Answer::Says("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n");
    endpoint.will((0..50).map(|_| oh.clone()));
    send(&mut manager, &ticket.name, "好", by("messenger", "a")).await.unwrap();
    for _ in 0..6 {
        world.pass_hours(2).await;
    }
    assert_eq!(endpoint.all().len(), 3);
    let parked = only(&mut manager).await;
    assert_eq!((parked.state(), parked.attempts), (pb::DeliveryState::Parked, 3));
    let retry = pb::RetryDeliveryRequest { name: parked.name, ..Default::default() };
    manager.deliveries.retry_delivery(retry).await.unwrap();
    for _ in 0..6 {
        world.pass_hours(2).await;
    }
    assert_eq!(endpoint.all().len(), 3, "as many as the first time");
    let parked = only(&mut manager).await;
    assert_eq!((parked.state(), parked.attempts), (pb::DeliveryState::Parked, 6));
}

#[tokio::test]
async fn t26_an_endpoint_that_is_gone_is_not_asked_again() {
    let mut endpoint = Endpoint::start().await;
    let world = world(&endpoint.adapter("messenger", 5_000)).await;
    let mut manager = world.manager();
    let ticket = manager.create(complaint("group", "漏水")).await;
    endpoint.will([Answer::Says("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n")]);
    send(&mut manager, &ticket.name, "好", by("messenger", "a")).await.unwrap();
    world.pass_hours(20).await;
    assert_eq!(endpoint.all().len(), 1);
    let parked = only(&mut manager).await;
    assert_eq!((parked.state(), &*parked.last_error), (pb::DeliveryState::Parked, "410 Gone"));
}

#[tokio::test]
async fn t14_what_waits_for_an_adapter_that_nobody_configured_is_parked_in_the_end() {
    let server = MailServer::start().await;
    let world = world(&server.adapter("customer-mail")).await;
    let mut manager = world.manager();
    let ticket = manager.create(complaint("group", "漏水")).await;
    send(&mut manager, &ticket.name, "好", by("messenger", "a")).await.unwrap();
    for _ in 0..4 {
        world.pass_hours(2).await;
    }
    let parked = only(&mut manager).await;
    assert_eq!(parked.state(), pb::DeliveryState::Parked);
    assert!(parked.last_error.contains("no configuration"), "{}", parked.last_error);
}

#[tokio::test]
async fn x01_what_a_sender_left_behind_when_it_died_is_sent_by_another() {
    let mut endpoint = Endpoint::start().await;
    let world = world(&endpoint.adapter("messenger", 5_000)).await;
    let mut manager = world.manager();
    let ticket = manager.create(complaint("group", "漏水")).await;
    // A first sender got no answer; a second one took it up and died.
    endpoint.will([Answer::Says("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n")]);
    send(&mut manager, &ticket.name, "好", by("messenger", "a")).await.unwrap();
    world.settle().await;
    let first = endpoint.all().remove(0);
    let taken = "UPDATE delivery SET lease = gen_random_uuid(), leased_until = now() + interval '1 hour', attempts = attempts + 1";
    sqlx::query(taken).execute(&world.pool).await.unwrap();
    world.pass_hours(5).await;
    assert!(endpoint.all().is_empty(), "somebody is sending it");
    let cancel = pb::CancelDeliveryRequest {
        name: only(&mut manager).await.name,
        reason: "不用了".into(),
        ..Default::default()
    };
    let error = manager.deliveries.cancel_delivery(cancel).await.unwrap_err();
    assert_eq!(crate::world::metadata(&error, "state"), "IN_FLIGHT");
    sqlx::query("UPDATE delivery SET leased_until = now()").execute(&world.pool).await.unwrap();
    world.settle().await;
    let second = endpoint.all().remove(0);
    assert_eq!(second.header("webhook-id"), first.header("webhook-id"), "known again");
    let sent = only(&mut manager).await;
    assert_eq!((sent.state(), sent.attempts), (pb::DeliveryState::Sent, 3));
}

#[tokio::test]
async fn x01_an_attempt_that_kills_its_sender_is_not_made_for_ever() {
    let mut endpoint = Endpoint::start().await;
    let world = world(&endpoint.adapter("messenger", 5_000)).await;
    let mut manager = world.manager();
    let ticket = manager.create(complaint("group", "漏水")).await;
    endpoint.will([Answer::Says("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n")]);
    send(&mut manager, &ticket.name, "好", by("messenger", "a")).await.unwrap();
    world.settle().await;
    assert_eq!(endpoint.all().len(), 1);
    let died = "UPDATE delivery SET lease = gen_random_uuid(), leased_until = now(), attempts = allowed_attempts";
    sqlx::query(died).execute(&world.pool).await.unwrap();
    world.pass_hours(5).await;
    assert!(endpoint.all().is_empty());
    assert_eq!(only(&mut manager).await.state(), pb::DeliveryState::Parked);
}

#[tokio::test]
async fn x01_two_replicas_send_everything_once() {
    let mut endpoint = Endpoint::start().await;
    let mut world = world(&endpoint.adapter("messenger", 5_000)).await;
    world.start_replica().await;
    let ticket = world.manager().create(complaint("group", "漏水")).await;
    let sends = (0..40).map(|n| {
        let mut desk = world.desk_at(n % 2, "manager", "group", kefu_identity::role::MANAGER);
        let name = ticket.name.clone();
        async move {
            let text = format!("第{n}条");
            send(&mut desk, &name, &text, by("messenger", "a")).await.unwrap();
        }
    });
    futures::future::join_all(sends).await;
    world.settle().await;
    let mut got = Vec::new();
    while got.len() < 40 {
        got.push(endpoint.got.recv().await.unwrap());
    }
    world.pass_hours(3).await;
    got.extend(endpoint.all());
    let ids: BTreeSet<&str> = got.iter().map(|got| got.header("webhook-id")).collect();
    assert_eq!((got.len(), ids.len()), (40, 40));
    let sent = "SELECT count(*) FROM delivery WHERE state = 'sent' AND attempts = 1";
    assert_eq!(world.count(sent).await, 40);
    assert_eq!(messages(&mut world.manager(), &ticket.name).await.len(), 40);
}

/// The plans of what runs all the time use the indexes, however much is stored.
#[tokio::test]
async fn x08_what_is_due_is_found_by_its_index() {
    let endpoint = Endpoint::start().await;
    let world = world(&endpoint.adapter("messenger", 5_000)).await;
    let plan = "EXPLAIN SELECT id FROM delivery WHERE state = 'pending' AND adapter = 'messenger'
                AND next_attempt_at <= now() AND (leased_until IS NULL OR leased_until <= now())
                ORDER BY next_attempt_at LIMIT 8 FOR UPDATE SKIP LOCKED";
    let mut conn = world.pool.acquire().await.unwrap();
    sqlx::query("SET enable_seqscan = off").execute(&mut *conn).await.unwrap();
    let rows = sqlx::query(plan).fetch_all(&mut *conn).await.unwrap();
    let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert!(plan.join("\n").contains("delivery_due_idx"), "{plan:?}");
    assert!(!plan.join("\n").contains("Sort"), "{plan:?}");
}
