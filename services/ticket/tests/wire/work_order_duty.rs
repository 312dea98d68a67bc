//! T-16, T-25: who may do what about an order: whoever has it works on it, and an objection goes upwards.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::{Code, Status};

use crate::duty::absent;
use crate::routing::team;
use crate::work_order::{LATER, order, wang};
use crate::world::{World, metadata, reason};

/// Whose it is, by a refusal for that.
fn duty(refused: Result<pb::WorkOrder, Status>) -> String {
    let status = refused.unwrap_err();
    assert_eq!(
        (status.code(), &*reason(&status)),
        (Code::PermissionDenied, "SEPARATION_OF_DUTIES")
    );
    metadata(&status, "duty")
}

#[tokio::test]
async fn t16_only_whoever_has_an_order_says_that_it_is_done_or_a_supervisor() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let mut other = world.desk("li", "group", role::HANDLER);
    for supervised in [false, true] {
        let name = clerk.issue(order("group", "换密封圈")).await.name;
        wang(&world).accept(&name).await.unwrap();
        assert_eq!(duty(other.report(&name, LATER).await), "WORKER");
        assert_eq!(duty(other.complete(&name).await), "WORKER");
        let mut who = if supervised { world.manager() } else { wang(&world) };
        who.report(&name, LATER).await.unwrap();
        let done = who.complete(&name).await.unwrap();
        assert_eq!(done.state(), pb::WorkOrderState::Done);
    }
}

#[tokio::test]
async fn t16_t25_whoever_stands_in_goes_on_with_it_while_he_does() {
    let world = World::new().await;
    let mut manager = world.manager();
    team(&mut manager, "group", "lifts", &["wang", "zhao"]).await;
    let name = world.clerk().issue(order("group", "换密封圈")).await.name;
    wang(&world).accept(&name).await.unwrap();
    let mut zhao = world.desk("zhao", "group", role::HANDLER);
    assert_eq!(duty(zhao.report(&name, LATER).await), "WORKER");
    let hour = ("2026-03-02T02:00:00Z", "2026-03-02T03:00:00Z");
    absent(&mut manager, "wang", hour, "zhao").await.unwrap();
    zhao.report(&name, LATER).await.unwrap();
    world.pass_hours(2).await;
    assert_eq!(duty(zhao.complete(&name).await), "WORKER");
    wang(&world).complete(&name).await.unwrap();
}

#[tokio::test]
async fn t16_whoever_issued_an_order_does_not_decide_on_an_objection_to_it() {
    let world = World::new().await;
    let mut manager = world.manager();
    let name = manager.issue(order("group", "换密封圈")).await.name;
    wang(&world).dispute(&name).await.unwrap();
    let stands = pb::WorkOrderDisputeOutcome::Stands;
    assert_eq!(duty(manager.settle_dispute(&name, stands).await), "NOT_ISSUER");
    let mut director = world.desk("liu", "group", role::DIRECTOR);
    let decided = director.settle_dispute(&name, stands).await.unwrap();
    assert_eq!(decided.disputes[0].decider, "liu");
}
