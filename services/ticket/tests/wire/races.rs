//! many at once.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;

use crate::world::{World, complaint, request_id};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x02_equal_commands_at_once_are_one() {
    let mut world = World::new().await;
    world.start_replica().await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    let calls = (0..16_usize).map(|index| {
        let mut desk = world.desk_at(index % 2, "wang", "group", role::HANDLER);
        let request = pb::RespondTicketRequest {
            name: ticket.name.clone(),
            message: "收到".into(),
            request_id: request_id(9),
            ..Default::default()
        };
        tokio::spawn(
            async move { desk.tickets.respond_ticket(request).await.unwrap().into_inner() },
        )
    });
    let calls: Vec<_> = calls.collect();
    for call in calls {
        assert_eq!(call.await.unwrap().etag, "r2");
    }
    assert_eq!(world.count("SELECT count(*) FROM message").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x01_concurrent_changes_of_one_ticket_come_one_after_the_other() {
    let mut world = World::new().await;
    world.start_replica().await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    let calls = (0..24_usize).map(|index| {
        let mut desk = world.desk_at(index % 2, "wang", "group", role::HANDLER);
        let name = ticket.name.clone();
        tokio::spawn(async move { desk.respond(&name).await.unwrap().etag })
    });
    let calls: Vec<_> = calls.collect();
    let mut etags = Vec::new();
    for call in calls {
        etags.push(call.await.unwrap());
    }
    etags.sort_by_key(|etag| etag[1..].parse::<i64>().unwrap());
    let expected: Vec<_> = (2..26).map(|revision| format!("r{revision}")).collect();
    assert_eq!(etags, expected);
}

#[tokio::test]
async fn x01_one_bad_registration_harms_no_other() {
    let world = World::new().await;
    world.clerk().create(complaint("group", "漏水")).await;
    // What no caller can do, an operator's constraint does: it makes one member of a batch fail.
    let owner = world.database.owner_pool().unwrap();
    sqlx::query("ALTER TABLE ticket ADD CONSTRAINT unlucky CHECK (subject <> '厄运')")
        .execute(&owner)
        .await
        .unwrap();
    let calls = (0..40).map(|index| {
        let mut desk = world.clerk();
        let subject = if index % 8 == 0 { "厄运" } else { "好运" };
        async move { desk.try_create(complaint("group", subject), request_id(index + 1)).await }
    });
    let outcomes = futures::future::join_all(calls).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 5);
    assert_eq!(world.count("SELECT count(*) FROM ticket").await, 36);
    assert_eq!(world.count("SELECT last_number FROM number_counter").await, 36, "no gap either");
    assert_eq!(
        world.count("SELECT count(*) FROM request").await,
        36,
        "one was without an id of its own"
    );
}

#[tokio::test]
async fn x08_a_caller_who_gave_up_leaves_no_ticket_behind_half_done() {
    let world = World::new().await;
    let mut desk = world.clerk();
    desk.create(complaint("group", "漏水")).await;
    // For a while no number can be given out, so that some are cut in the middle and some while they wait.
    let mut counters = kefu_postgres::begin(&world.pool).await.unwrap();
    sqlx::query("UPDATE number_counter SET last_number = last_number")
        .execute(&mut *counters)
        .await
        .unwrap();
    let mut counters = Some(counters);
    let mut cut = 0;
    for index in 0..20 {
        if index == 10 {
            counters.take().unwrap().rollback().await.unwrap();
        }
        let ticket = Some(complaint("group", "漏水"));
        let mut request = tonic::Request::new(pb::CreateTicketRequest {
            ticket,
            request_id: request_id(index + 1),
        });
        // Those in the beginning are given the time to get as far as they can.
        request.set_timeout(std::time::Duration::from_millis(if index < 4 { 100 } else { 1 }));
        cut += i32::from(desk.tickets.create_ticket(request).await.is_err());
    }
    assert!(cut >= 10, "{cut} calls were cut");
    // What was cut may be committed while this looks, so one look must do.
    let half_done = "SELECT count(*) FROM ticket
                     WHERE NOT EXISTS (SELECT FROM journal WHERE aggregate_id = ticket.id)
                        OR (SELECT count(*) FROM ticket_clock WHERE ticket_id = ticket.id) <> 2";
    assert_eq!(world.count(half_done).await, 0, "{cut} calls were cut");
    // Whoever was cut asks again under the same id and gets its ticket, new or not.
    for index in 0..20 {
        desk.try_create(complaint("group", "漏水"), request_id(index + 1)).await.unwrap();
    }
    assert_eq!(world.count("SELECT count(*) FROM ticket").await, 21);
    assert_eq!(world.count("SELECT last_number FROM number_counter").await, 21);
}
