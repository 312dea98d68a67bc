//! T-16, T-21, T-25: what is addressed to somebody by name, wherever it comes from, also while somebody stands in for him.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::{Code, Status};

use crate::duty::absent;
use crate::routing::team;
use crate::suggestion::suggestion;
use crate::work_order::order;
use crate::world::{Desk, World, complaint};

async fn orders(desk: &mut Desk, assignee: &str) -> Result<Vec<String>, Status> {
    let request = pb::ListWorkOrdersRequest {
        dispatch_centre: "group".into(),
        assignee: assignee.into(),
        ..Default::default()
    };
    let page = desk.orders.list_work_orders(request).await?.into_inner();
    Ok(page.work_orders.into_iter().map(|order| order.task).collect())
}

async fn suggestions(desk: &mut Desk, decision_maker: &str) -> Result<Vec<String>, Status> {
    let request = pb::ListSuggestionsRequest {
        org_unit: "group".into(),
        decision_maker: decision_maker.into(),
        ..Default::default()
    };
    let page = desk.suggestions.list_suggestions(request).await?.into_inner();
    Ok(page.suggestions.into_iter().map(|suggestion| suggestion.name).collect())
}

/// Wang and zhao are a team of the north; zhao stands in for wang for an hour from half past ten in Shanghai on, which it is now.
async fn away(world: &World) {
    let mut manager = world.manager();
    team(&mut manager, "group/north", "lifts", &["wang", "zhao"]).await;
    let hour = ("2026-03-02T02:30:00Z", "2026-03-02T03:30:00Z");
    absent(&mut manager, "wang", hour, "zhao").await.unwrap();
    world.set_time("2026-03-02T02:40:00Z").await;
}

#[tokio::test]
async fn t16_whoever_has_to_do_something_finds_it_wherever_the_order_comes_from() {
    let world = World::new().await;
    world.org_unit("group/north").await;
    world.org_unit("group/south").await;
    world.settle().await;
    let mut dispatcher = world.desk("sun", "group", role::CLERK);
    for (minute, centre, assignee, task) in [
        (1, "group", "wang", "换密封圈"),
        (2, "group/south", "wang", "换灯"),
        (3, "group/south", "zhao", "修门"),
        (4, "group", "li", "修窗"),
    ] {
        world.set_time(&format!("2026-03-02T02:0{minute}:00Z")).await;
        let order = pb::WorkOrder { assignee: assignee.into(), ..order(centre, task) };
        dispatcher.issue(order).await;
    }
    let mut wang = world.desk("wang", "group/north", role::HANDLER);
    assert_eq!(orders(&mut wang, "me").await.unwrap(), ["换灯", "换密封圈"], "newest first");
    assert_eq!(orders(&mut wang, "wang").await.unwrap(), ["换灯", "换密封圈"]);
    // What is addressed to others he sees only where he may.
    for others in ["", "zhao"] {
        let denied = orders(&mut wang, others).await.unwrap_err();
        assert_eq!(denied.code(), Code::PermissionDenied);
    }
    assert_eq!(orders(&mut dispatcher, "zhao").await.unwrap(), ["修门"]);
    assert_eq!(orders(&mut dispatcher, "").await.unwrap().len(), 4);
    assert!(orders(&mut dispatcher, "nobody").await.unwrap().is_empty());
    // Only of the centres asked for.
    let south = pb::ListWorkOrdersRequest {
        dispatch_centre: "group/south".into(),
        assignee: "me".into(),
        page_size: 1,
        ..Default::default()
    };
    let page = wang.orders.list_work_orders(south).await.unwrap().into_inner();
    assert_eq!((page.work_orders.len(), &*page.next_page_token), (1, ""));
    // Whoever stands in finds it with his own while he does.
    let mut zhao = world.desk("zhao", "group/north", role::HANDLER);
    assert_eq!(orders(&mut zhao, "me").await.unwrap(), ["修门"]);
    away(&world).await;
    assert_eq!(orders(&mut zhao, "me").await.unwrap(), ["修门", "换灯", "换密封圈"]);
    world.pass_hours(2).await;
    assert_eq!(orders(&mut zhao, "me").await.unwrap(), ["修门"]);
    // Pages end where they should.
    let mut request = pb::ListWorkOrdersRequest {
        dispatch_centre: "group".into(),
        assignee: "me".into(),
        page_size: 1,
        ..Default::default()
    };
    let first = wang.orders.list_work_orders(request.clone()).await.unwrap().into_inner();
    request.page_token = first.next_page_token;
    let second = wang.orders.list_work_orders(request).await.unwrap().into_inner();
    let tasks = [&first.work_orders[0].task, &second.work_orders[0].task];
    assert_eq!(
        (tasks, &*second.next_page_token),
        ([&"换灯".to_owned(), &"换密封圈".to_owned()], "")
    );
}

#[tokio::test]
async fn t21_t25_a_suggestion_reaches_whom_it_names_and_whoever_stands_in_decides() {
    let world = World::new().await;
    world.org_unit("group/north").await;
    world.org_unit("group/south").await;
    world.settle().await;
    let ticket = world.clerk().create(complaint("group/south", "漏水")).await.name;
    let named = pb::Suggestion {
        org_unit: "group/south".into(),
        decision_maker: "wang".into(),
        ..suggestion(&ticket)
    };
    let request = pb::SubmitSuggestionRequest { suggestion: Some(named), ..Default::default() };
    let submitted = world.clerk().suggestions.submit_suggestion(request).await.unwrap();
    let name = submitted.into_inner().name;
    let mut wang = world.desk("wang", "group/north", role::HANDLER);
    let mut zhao = world.desk("zhao", "group/north", role::HANDLER);
    assert_eq!(suggestions(&mut wang, "me").await.unwrap(), [name.clone()]);
    assert_eq!(suggestions(&mut wang, "").await.unwrap_err().code(), Code::PermissionDenied);
    assert!(suggestions(&mut zhao, "me").await.unwrap().is_empty());
    let decide = pb::DecideSuggestionRequest {
        name: name.clone(),
        outcome: pb::SuggestionState::Accepted.into(),
        reason: "已列入下季度计划".into(),
        ..Default::default()
    };
    let denied = zhao.suggestions.decide_suggestion(decide.clone()).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    away(&world).await;
    assert_eq!(suggestions(&mut zhao, "me").await.unwrap(), [name.clone()]);
    let get = pb::GetSuggestionRequest { name: name.clone() };
    zhao.suggestions.get_suggestion(get.clone()).await.unwrap();
    let decided = zhao.suggestions.decide_suggestion(decide).await.unwrap().into_inner();
    assert_eq!(decided.decisions[0].decider, "zhao");
    world.pass_hours(2).await;
    let denied = zhao.suggestions.get_suggestion(get).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied, "wang is back");
}
