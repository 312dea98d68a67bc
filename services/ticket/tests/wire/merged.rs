//! T-04: nothing new is put on a ticket that is merged; the refusal says where it belongs.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::handling::lacking;
use crate::merge::{into, merge};
use crate::work_order::order;
use crate::world::{Desk, World, at, complaint, metadata};

type Put = (&'static str, BoxFuture<'static, Result<(), Status>>);

fn suggestion(tickets: &[&str]) -> pb::SubmitSuggestionRequest {
    let suggestion = Some(pb::Suggestion {
        org_unit: "group/north".into(),
        tickets: tickets.iter().map(|ticket| (*ticket).into()).collect(),
        title: "入库检验增加密封圈硬度".into(),
        text: "三个月内七起漏水投诉均因密封圈过软".into(),
        decision_maker: "liu".into(),
        ..Default::default()
    });
    pb::SubmitSuggestionRequest { suggestion, ..Default::default() }
}

/// Everything that can be put on a ticket from beside it, by the command's name; a work order last.
fn puts(world: &World, replica: usize, ticket: &str) -> Vec<Put> {
    let desk = |who, role| world.desk_at(replica, who, "group", role);
    let violation = pb::ReportViolationRequest {
        ticket: ticket.into(),
        code: "late-first-response".into(),
        staff: "wang".into(),
        evidence: "客户来电核实".into(),
        ..Default::default()
    };
    let root_cause = Some(pb::RootCause {
        ticket: ticket.into(),
        cause: "supplier-material".into(),
        method: "鱼骨图".into(),
        finding: "密封圈硬度不达标".into(),
        ..Default::default()
    });
    let root_cause = pb::RecordRootCauseRequest { root_cause, ..Default::default() };
    let corrective_action = Some(pb::CorrectiveAction {
        ticket: ticket.into(),
        kind: pb::CorrectiveActionKind::Corrective.into(),
        description: "更换供应商的密封圈".into(),
        owner: "wang".into(),
        due_time: at("2026-03-02T04:00:00Z"),
        ..Default::default()
    });
    let action = pb::PlanCorrectiveActionRequest { corrective_action, ..Default::default() };
    let suggestion = suggestion(&[ticket]);
    let product_hold = Some(pb::ProductHold {
        org_unit: "group/north".into(),
        product: "密封圈".into(),
        ticket: ticket.into(),
        reason: "密封圈不合格".into(),
        ..Default::default()
    });
    let hold = pb::PlaceProductHoldRequest { product_hold, ..Default::default() };
    let order = pb::WorkOrder { ticket: ticket.into(), ..order("group/north", "换密封圈") };
    let order = pb::IssueWorkOrderRequest { work_order: Some(order), ..Default::default() };
    let (mut clerk, mut planner) = (desk("clerk", role::CLERK), desk("quality", role::QUALITY));
    let (mut finder, mut holder) = (planner.clone(), planner.clone());
    let (mut proposer, mut dispatcher) = (clerk.clone(), clerk.clone());
    vec![
        (
            "ReportViolation",
            async move { clerk.penalties.report_violation(violation).await.map(drop) }.boxed(),
        ),
        (
            "RecordRootCause",
            async move { finder.actions.record_root_cause(root_cause).await.map(drop) }.boxed(),
        ),
        (
            "PlanCorrectiveAction",
            async move { planner.actions.plan_corrective_action(action).await.map(drop) }.boxed(),
        ),
        (
            "SubmitSuggestion",
            async move { proposer.suggestions.submit_suggestion(suggestion).await.map(drop) }
                .boxed(),
        ),
        (
            "PlaceProductHold",
            async move { holder.actions.place_product_hold(hold).await.map(drop) }.boxed(),
        ),
        (
            "IssueWorkOrder",
            async move { dispatcher.orders.issue_work_order(order).await.map(drop) }.boxed(),
        ),
    ]
}

async fn tickets<const N: usize>(desk: &mut Desk) -> [String; N] {
    let mut made = Vec::new();
    for number in 0..N {
        made.push(desk.create(complaint("group/north", &format!("漏水 {number}"))).await.name);
    }
    made.try_into().unwrap()
}

/// What of all that is on record.
async fn on_record(world: &World) -> i64 {
    let everything = "SELECT (SELECT count(*) FROM violation) + (SELECT count(*) FROM root_cause)
        + (SELECT count(*) FROM corrective_action) + (SELECT count(*) FROM suggestion)
        + (SELECT count(*) FROM product_hold) + (SELECT count(*) FROM work_order)";
    world.count(everything).await
}

/// Returns once so many transactions wait for a lock.
pub async fn waiting(world: &World, expected: i64) {
    let waits = "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let mut looks = 0;
    while world.count(waits).await != expected {
        looks += 1;
        assert!(looks < 20_000, "not {expected} wait for the ticket");
    }
}

/// Keeps everybody away from a ticket until the transaction ends.
async fn held(world: &World, ticket: &str) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let id: Uuid = ticket.strip_prefix("tickets/").unwrap().parse().unwrap();
    let mut held = kefu_postgres::begin(&world.pool).await.unwrap();
    let lock = "SELECT id FROM ticket WHERE id = $1 FOR NO KEY UPDATE";
    sqlx::query(lock).bind(id).execute(&mut *held).await.unwrap();
    held
}

#[tokio::test]
async fn t04_nothing_new_is_put_on_a_merged_ticket_and_the_refusal_says_where_it_belongs() {
    let world = World::new().await;
    let mut manager = world.manager();
    let [a, b, c] = tickets(&mut world.clerk()).await;
    merge(&mut manager, &a, &b).await.unwrap();
    merge(&mut manager, &b, &c).await.unwrap();
    for (command, put) in puts(&world, 0, &a) {
        let error = put.await.unwrap_err();
        assert_eq!(
            (error.code(), lacking(&error)),
            (Code::FailedPrecondition, vec!["NOT_MERGED".into()])
        );
        let told = ["state", "command", "survivor"].map(|key| metadata(&error, key));
        assert_eq!(told, ["MERGED", command, &c], "the end of the chain");
    }
    assert_eq!(on_record(&world).await, 0);
    // Whoever may not do it there learns nothing of the merge.
    let mut south = world.desk("nan", "group/south", role::QUALITY);
    let cause = pb::RootCause {
        ticket: a.clone(),
        cause: "unknown".into(),
        method: "五问法".into(),
        finding: "不明".into(),
        ..Default::default()
    };
    let request = pb::RecordRootCauseRequest { root_cause: Some(cause), ..Default::default() };
    let error = south.actions.record_root_cause(request).await.unwrap_err();
    assert_eq!((error.code(), &*metadata(&error, "survivor")), (Code::PermissionDenied, ""));
    // All that are merged are named at once, each with where to go.
    let error = manager.suggestions.submit_suggestion(suggestion(&[&a, &c, &b])).await.unwrap_err();
    let lacks = error.get_details_precondition_failure().unwrap().violations;
    let subjects: Vec<_> = lacks.iter().map(|lack| lack.subject.as_str()).collect();
    assert_eq!(subjects, [&*a, &*b]);
    assert!(lacks.iter().all(|lack| lack.description.contains(&*c)), "{lacks:?}");
    // There it is possible; and so it is here, once the merge is undone.
    for (command, put) in puts(&world, 0, &c) {
        put.await.unwrap_or_else(|status| panic!("{command}: {status:?}"));
    }
    let undo = pb::UnmergeTicketRequest {
        name: a.clone(),
        reason: "两部电梯".into(),
        ..Default::default()
    };
    manager.links.unmerge_ticket(undo).await.unwrap();
    let (_, report) = puts(&world, 0, &a).remove(0);
    report.await.unwrap();
    assert_eq!(on_record(&world).await, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t04_whoever_waits_for_a_merge_that_is_under_way_is_refused_by_it() {
    let mut world = World::new().await;
    world.start_replica().await;
    let [a, b] = tickets(&mut world.clerk()).await;
    let held = held(&world, &a).await;
    let (mut manager, request) = (world.manager(), into(&a, &b));
    let merging = tokio::spawn(async move { manager.links.merge_ticket(request).await });
    waiting(&world, 1).await;
    let putting: Vec<_> = puts(&world, 1, &a)
        .into_iter()
        .map(|(command, put)| (command, tokio::spawn(put)))
        .collect();
    waiting(&world, 7).await;
    held.rollback().await.unwrap();
    merging.await.unwrap().unwrap();
    for (command, put) in putting {
        let error = put.await.unwrap().unwrap_err();
        assert_eq!(
            (error.code(), &metadata(&error, "survivor")),
            (Code::FailedPrecondition, &b),
            "{command}"
        );
    }
    assert_eq!(on_record(&world).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t04_what_comes_before_a_merge_is_on_record_before_it() {
    let mut world = World::new().await;
    world.start_replica().await;
    let [a, b] = tickets(&mut world.clerk()).await;
    let held = held(&world, &a).await;
    // A work order that runs keeps a ticket from being merged, as another test shows.
    let mut puts = puts(&world, 1, &a);
    assert_eq!(puts.pop().unwrap().0, "IssueWorkOrder");
    let putting: Vec<_> = puts.into_iter().map(|(_, put)| tokio::spawn(put)).collect();
    waiting(&world, 5).await;
    let (mut manager, request) = (world.manager(), into(&a, &b));
    let merging = tokio::spawn(async move { manager.links.merge_ticket(request).await });
    waiting(&world, 6).await;
    held.rollback().await.unwrap();
    for put in putting {
        put.await.unwrap().unwrap();
    }
    merging.await.unwrap().unwrap();
    assert_eq!(on_record(&world).await, 5);
}
