//! T-16: numbers without gaps, whatever goes wrong.

use std::time::Duration;

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;

use crate::work_order::order;
use crate::world::{World, request_id};

/// The numbers of all orders, and what the counters say.
async fn sequences(world: &World) -> (Vec<i64>, i64) {
    let given = sqlx::query_scalar("SELECT sequence FROM work_order ORDER BY sequence");
    let given: Vec<i64> = given.fetch_all(&world.pool).await.unwrap();
    (given, world.count("SELECT last_number FROM work_order_counter").await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t16_forty_at_once_of_which_some_fail_and_some_give_up_leave_no_gap() {
    let mut world = World::new().await;
    world.start_replica().await;
    // What no caller can do, an operator's constraint does: the insert fails after the number was read.
    let owner = world.database.owner_pool().unwrap();
    sqlx::query("ALTER TABLE work_order ADD CONSTRAINT unlucky CHECK (task <> '厄运')")
        .execute(&owner)
        .await
        .unwrap();
    let request = |index: u128| {
        let task = if index.is_multiple_of(5) { "厄运" } else { "好运" };
        pb::IssueWorkOrderRequest {
            work_order: Some(order("group/north", task)),
            request_id: request_id(index + 1),
        }
    };
    let calls = (0..40_u128).map(|index| {
        let mut desk = world.desk_at(usize::from(index % 2 == 0), "clerk", "group", role::CLERK);
        let mut request = tonic::Request::new(request(index));
        if index % 3 == 0 {
            request.set_timeout(Duration::from_millis(5 * u64::try_from(index).unwrap()));
        }
        tokio::spawn(async move { desk.orders.issue_work_order(request).await })
    });
    let calls: Vec<_> = calls.collect();
    let mut answered = Vec::new();
    for call in calls {
        answered.extend(call.await.unwrap().map(|answer| answer.into_inner().sequence));
    }
    // Whoever got no answer asks again under the same id, and learns what became of it.
    for index in 0..40 {
        let again = world.clerk().orders.issue_work_order(request(index)).await;
        assert_eq!(again.is_err(), index % 5 == 0, "{index}");
    }
    let (given, last) = sequences(&world).await;
    assert_eq!(given, (1..=32).collect::<Vec<i64>>());
    assert_eq!(last, 32);
    assert!(answered.iter().all(|number| given.contains(number)), "an answer is a promise");
    let by_time =
        "SELECT count(*) FROM (SELECT issued_at < lag(issued_at) OVER (ORDER BY sequence) AS back
                                         FROM work_order) AS o WHERE back";
    assert_eq!(world.count(by_time).await, 0, "numbers follow the times of issue");
}

#[tokio::test]
async fn t16_a_process_that_dies_halfway_takes_its_number_with_it() {
    let world = World::new().await;
    world.clerk().issue(order("group", "一")).await;
    // It had counted and inserted, but not committed.
    let mut dead = kefu_postgres::begin(&world.pool).await.unwrap();
    sqlx::query("UPDATE work_order_counter SET last_number = 2").execute(&mut *dead).await.unwrap();
    let mut desk = world.clerk();
    let waiting = tokio::spawn(async move { desk.issue(order("group", "二")).await });
    dead.rollback().await.unwrap();
    assert_eq!(waiting.await.unwrap().sequence, 2);
}

#[tokio::test]
async fn t16_the_schema_itself_allows_no_gap() {
    let world = World::new().await;
    for task in ["一", "二", "三"] {
        world.clerk().issue(order("group", task)).await;
    }
    let error = sqlx::query("DELETE FROM work_order").execute(&world.pool).await.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501", "not the application");
    let owner = world.database.owner_pool().unwrap();
    for statement in [
        "DELETE FROM work_order WHERE sequence = 2",
        "UPDATE work_order SET sequence = 5 WHERE sequence = 3",
    ] {
        let error = sqlx::query(statement).execute(&owner).await.unwrap_err();
        let constraint = error.as_database_error().unwrap().constraint().unwrap().to_owned();
        assert_eq!(constraint, "work_order_no_gap", "{statement}");
    }
}

#[tokio::test]
async fn t16_each_centre_counts_by_itself_in_the_year_of_its_time_zone() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    // Two hours before midnight in London it is past midnight in Shanghai.
    world.set_time("2026-12-31T15:59:59Z").await;
    let of = |centre: &str| pb::WorkOrder {
        reply_by_time: crate::world::at("2027-02-01T00:00:00Z"),
        ..order(centre, "查")
    };
    let numbers = [
        clerk.issue(of("group/north/riverside")).await.number,
        clerk.issue(of("group/south/riverside")).await.number,
        clerk.issue(of("group/north/riverside")).await.number,
    ];
    let expected =
        ["W-2026-riverside-000001", "W-2026-south-riverside-000001", "W-2026-riverside-000002"];
    assert_eq!(numbers, expected);
    world.set_time("2026-12-31T16:00:00Z").await;
    let first = clerk.issue(of("group/north/riverside")).await;
    assert_eq!((&*first.number, first.year), ("W-2027-riverside-000001", 2027));
}

#[tokio::test]
async fn t16_a_voided_order_stays_visible_with_its_number_and_reason() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let mut names = Vec::new();
    for task in ["一", "二", "三"] {
        names.push(clerk.issue(order("group", task)).await.name);
    }
    world.manager().void(&names[1]).await.unwrap();
    let request =
        pb::ListWorkOrdersRequest { dispatch_centre: "group".into(), ..Default::default() };
    let listed = clerk.orders(request.clone()).await;
    assert_eq!(listed.iter().map(|order| order.sequence).collect::<Vec<_>>(), [3, 2, 1]);
    let voided = listed[1].voiding.as_ref().unwrap();
    assert_eq!((&*voided.reason, &*voided.voider), ("重复派单", "manager"));
    assert_eq!(
        clerk.issue(order("group", "四")).await.sequence,
        4,
        "its number is not given again"
    );
    let states = vec![pb::WorkOrderState::Voided.into()];
    let voided = clerk.orders(pb::ListWorkOrdersRequest { states, ..request }).await;
    assert_eq!(voided.len(), 1);
}

#[tokio::test]
async fn x08_pages_of_orders_miss_and_double_nothing() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    for index in 0..10 {
        let centre = ["group/north", "group/south"][index % 2];
        clerk.issue(order(centre, &format!("{index}"))).await;
    }
    let mut request = pb::ListWorkOrdersRequest {
        dispatch_centre: "group/north".into(),
        page_size: 2,
        ..Default::default()
    };
    let mut found = Vec::new();
    loop {
        let page = clerk.orders.list_work_orders(request.clone()).await.unwrap().into_inner();
        found.extend(page.work_orders.into_iter().map(|order| order.task));
        if page.next_page_token.is_empty() {
            break;
        }
        // Somebody issues while somebody else turns the pages.
        clerk.issue(order("group/north", "新")).await;
        request.page_token = page.next_page_token;
    }
    assert_eq!(found, ["8", "6", "4", "2", "0"]);
    request.page_token = "rubbish".into();
    request.states = vec![99];
    let error = clerk.orders.list_work_orders(request).await.unwrap_err();
    assert_eq!(crate::world::violations(&error), ["states[0]", "page_token"]);
}
