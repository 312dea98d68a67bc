//! T-18: root causes, corrective and preventive actions, and their verification by quality.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::{Code, Response, Status};

use crate::pack::{policy, text};
use crate::world::{Desk, World, at, complaint, metadata, reason, request_id, violations};

type Answer = Result<pb::CorrectiveAction, Status>;

/// What wang has to do by Monday noon in Shanghai.
fn action(ticket: &str) -> pb::CorrectiveAction {
    pb::CorrectiveAction {
        ticket: ticket.into(),
        kind: pb::CorrectiveActionKind::Corrective.into(),
        description: "更换供应商的密封圈".into(),
        owner: "wang".into(),
        due_time: at("2026-03-02T04:00:00Z"),
        ..Default::default()
    }
}

impl Desk {
    async fn plan(&mut self, corrective_action: pb::CorrectiveAction) -> Answer {
        let corrective_action = Some(corrective_action);
        let request = pb::PlanCorrectiveActionRequest { corrective_action, ..Default::default() };
        self.actions.plan_corrective_action(request).await.map(Response::into_inner)
    }

    async fn action(&mut self, name: &str) -> pb::CorrectiveAction {
        let request = pb::GetCorrectiveActionRequest { name: name.into() };
        self.actions.get_corrective_action(request).await.unwrap().into_inner()
    }

    async fn start(&mut self, name: &str) -> Answer {
        let request = pb::StartCorrectiveActionRequest { name: name.into(), ..Default::default() };
        self.actions.start_corrective_action(request).await.map(Response::into_inner)
    }

    async fn carry_out(&mut self, name: &str) -> Answer {
        let request = pb::CompleteCorrectiveActionRequest {
            name: name.into(),
            evidence: "新密封圈入库检验合格".into(),
            ..Default::default()
        };
        self.actions.complete_corrective_action(request).await.map(Response::into_inner)
    }

    async fn verify(
        &mut self,
        name: &str,
        verdict: pb::CorrectiveActionVerdict,
        next_due: Option<&str>,
    ) -> Answer {
        let request = pb::VerifyCorrectiveActionRequest {
            name: name.into(),
            verdict: verdict.into(),
            verification: "抽检一百件".into(),
            next_due_time: next_due.and_then(at),
            ..Default::default()
        };
        self.actions.verify_corrective_action(request).await.map(Response::into_inner)
    }

    async fn action_list(&mut self, request: pb::ListCorrectiveActionsRequest) -> Vec<String> {
        let page = self.actions.list_corrective_actions(request).await.unwrap().into_inner();
        page.corrective_actions.into_iter().map(|action| action.name).collect()
    }
}

fn overdue() -> pb::ListCorrectiveActionsRequest {
    pb::ListCorrectiveActionsRequest {
        org_unit: "group".into(),
        overdue: true,
        ..Default::default()
    }
}

#[tokio::test]
async fn t18_an_action_is_closed_by_quality_and_what_did_not_work_is_done_again() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await.name;
    let mut wang = world.desk("wang", "group/north", role::HANDLER);
    let planned = world.quality().plan(action(&ticket)).await.unwrap();
    assert_eq!(
        (planned.state(), &*planned.org_unit, &*planned.planner),
        (pb::CorrectiveActionState::Planned, "group/north", "quality")
    );
    let name = planned.name;
    let error = world.manager().start(&name).await.unwrap_err();
    assert_eq!((error.code(), &*metadata(&error, "duty")), (Code::PermissionDenied, "OWNER"));
    let error = wang.carry_out(&name).await.unwrap_err();
    assert_eq!((error.code(), &*metadata(&error, "state")), (Code::FailedPrecondition, "PLANNED"));
    wang.start(&name).await.unwrap();
    let effective = pb::CorrectiveActionVerdict::Effective;
    let error = world.quality().verify(&name, effective, None).await.unwrap_err();
    assert_eq!(reason(&error), "ILLEGAL_STATE", "not done, so not verified");
    wang.carry_out(&name).await.unwrap();
    // Not verified means not closed: whoever owns it or is not of quality does not verify.
    let mut own = world.desk("wang", "group", role::QUALITY);
    let error = own.verify(&name, effective, None).await.unwrap_err();
    assert_eq!((error.code(), &*metadata(&error, "duty")), (Code::PermissionDenied, "NOT_OWNER"));
    let error = world.manager().verify(&name, effective, None).await.unwrap_err();
    assert_eq!((error.code(), &*reason(&error)), (Code::PermissionDenied, "PERMISSION_DENIED"));
    let not = pb::CorrectiveActionVerdict::NotEffective;
    for due in [None, Some("2026-03-02T02:00:00Z")] {
        let error = world.quality().verify(&name, not, due).await.unwrap_err();
        assert_eq!(violations(&error), ["next_due_time"]);
    }
    let again = world.quality().verify(&name, not, Some("2026-03-09T04:00:00Z")).await.unwrap();
    assert_eq!((again.state(), again.rounds.len()), (pb::CorrectiveActionState::Planned, 2));
    assert_eq!(again.due_time, at("2026-03-09T04:00:00Z"));
    assert_eq!((again.rounds[0].verdict(), &*again.rounds[0].verifier), (not, "quality"));
    assert_eq!(again.rounds[0].evidence, "新密封圈入库检验合格");
    wang.start(&name).await.unwrap();
    wang.carry_out(&name).await.unwrap();
    let closed = world.quality().verify(&name, effective, None).await.unwrap();
    assert_eq!(closed.state(), pb::CorrectiveActionState::Closed);
    assert_eq!(closed.etag, "r7");
    assert_eq!(world.quality().action(&name).await, closed);
    assert_eq!(reason(&wang.start(&name).await.unwrap_err()), "ILLEGAL_STATE");
    let told = "SELECT count(*) FROM journal WHERE aggregate_type = 'corrective_action'
        AND event_type = 'kefu.ticket.v1.CorrectiveActionChanged'";
    assert_eq!(world.count(told).await, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t18_what_is_overdue_is_seen_and_noticed_once_in_any_number_of_replicas() {
    let mut world = World::new().await;
    world.start_replica().await;
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await.name;
    let mut names = Vec::new();
    for _ in 0..10 {
        names.push(world.quality().plan(action(&ticket)).await.unwrap().name);
    }
    let mut wang = world.desk("wang", "group", role::HANDLER);
    wang.start(&names[0]).await.unwrap();
    wang.start(&names[1]).await.unwrap();
    wang.carry_out(&names[1]).await.unwrap();
    assert!(wang.action_list(overdue()).await.is_empty());
    world.set_time("2026-03-02T04:00:00.000001Z").await;
    assert_eq!(wang.action_list(overdue()).await.len(), 9, "the one that is done is not");
    world.pass_hours(24).await;
    let noticed = "SELECT count(*) FROM journal WHERE action = 'NoticeOverdueCorrectiveAction'
        AND event_type = 'kefu.ticket.v1.CorrectiveActionOverdue' AND actor = 'system/timers'";
    assert_eq!(world.count(noticed).await, 9);
    let late = wang.action(&names[0]).await;
    assert_eq!(late.overdue_time, at("2026-03-02T04:00:00Z"));
    let late = wang.carry_out(&names[0]).await.unwrap();
    assert_eq!(late.overdue_time, None);
    assert!(late.rounds[0].overdue_notice_time.is_some(), "and stays on record");
    let of_wang = pb::ListCorrectiveActionsRequest {
        org_unit: "group/north".into(),
        owner: "wang".into(),
        ticket,
        states: vec![pb::CorrectiveActionState::Completed.into()],
        ..Default::default()
    };
    assert_eq!(wang.action_list(of_wang).await, [&*names[1], &*names[0]]);
    let mut south = world.desk("south", "group/south", role::QUALITY);
    let error = south.actions.list_corrective_actions(overdue()).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn t18_what_was_overdue_during_downtime_is_noticed_before_it_is_done() {
    let mut world = World::new().await;
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await.name;
    let name = world.quality().plan(action(&ticket)).await.unwrap().name;
    world.desk("wang", "group", role::HANDLER).start(&name).await.unwrap();
    world.replicas.remove(0).stop().await.unwrap();
    world.clock.set("2026-03-20T00:00:00Z".parse().unwrap()).unwrap();
    world.start_replica().await;
    let done = world.desk("wang", "group", role::HANDLER).carry_out(&name).await.unwrap();
    assert!(done.rounds[0].overdue_notice_time.is_some());
    world.settle().await;
    let noticed = "SELECT count(*) FROM journal WHERE action = 'NoticeOverdueCorrectiveAction'";
    assert_eq!(world.count(noticed).await, 1);
}

#[tokio::test]
async fn t18_bad_plans_stale_etags_and_retries() {
    let world = World::new().await;
    let error = world.quality().plan(Default::default()).await.unwrap_err();
    let expected = ["ticket", "kind", "description", "owner", "due_time"];
    assert_eq!(violations(&error), expected.map(|field| format!("corrective_action.{field}")));
    let ticket = world.clerk().create(complaint("group/south", "漏水")).await.name;
    let late = pb::CorrectiveAction { due_time: at("2026-03-02T02:00:00Z"), ..action(&ticket) };
    let error = world.quality().plan(late).await.unwrap_err();
    assert_eq!(violations(&error), ["corrective_action.due_time"]);
    let mut north = world.desk("north", "group/north", role::QUALITY);
    let error = north.plan(action(&ticket)).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    let request = pb::PlanCorrectiveActionRequest {
        corrective_action: Some(action(&ticket)),
        request_id: request_id(1),
    };
    let mut quality = world.quality();
    let first = quality.actions.plan_corrective_action(request.clone()).await.unwrap();
    let second = quality.actions.plan_corrective_action(request).await.unwrap();
    let name = first.get_ref().name.clone();
    assert_eq!(first.into_inner(), second.into_inner());
    let stale = pb::StartCorrectiveActionRequest {
        name: name.clone(),
        etag: "r2".into(),
        ..Default::default()
    };
    let mut wang = world.desk("wang", "group", role::CLERK);
    let error = wang.actions.start_corrective_action(stale).await.unwrap_err();
    assert_eq!(error.code(), Code::Aborted);
    let cancel =
        pb::CancelCorrectiveActionRequest { name, reason: "重复".into(), ..Default::default() };
    let error = world.manager().actions.cancel_corrective_action(cancel.clone()).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied, "only quality calls an action off");
    let cancelled = quality.actions.cancel_corrective_action(cancel).await.unwrap().into_inner();
    assert_eq!(
        (cancelled.state(), &*cancelled.cancel_reason),
        (pb::CorrectiveActionState::Cancelled, "重复")
    );
    world.pass_hours(24).await;
    let noticed = "SELECT count(*) FROM journal WHERE action = 'NoticeOverdueCorrectiveAction'";
    assert_eq!(world.count(noticed).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t18_root_causes_are_of_the_policys_list_and_counted_under_the_tickets_lock() {
    let mut world = World::new().await;
    world.start_replica().await;
    let mut learning = policy();
    learning.learning = Some(pb::LearningRules {
        root_causes: vec![pb::RootCauseRule {
            code: "supplier-material".into(),
            title: Some(text("Supplier's material", "供应商材料")),
        }],
        ..Default::default()
    });
    world.admin().apply("group", learning).await.unwrap();
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await.name;
    let cause = pb::RootCause {
        ticket: ticket.clone(),
        cause: "supplier-material".into(),
        method: "鱼骨图".into(),
        finding: "密封圈硬度不达标".into(),
        ..Default::default()
    };
    let calls: Vec<_> = (0..8_usize)
        .map(|index| {
            let mut desk = world.desk_at(index % 2, "quality", "group", role::QUALITY);
            let root_cause = Some(cause.clone());
            let request = pb::RecordRootCauseRequest { root_cause, ..Default::default() };
            tokio::spawn(async move {
                desk.actions.record_root_cause(request).await.unwrap().into_inner().position
            })
        })
        .collect();
    let mut positions = Vec::new();
    for call in calls {
        positions.push(call.await.unwrap());
    }
    positions.sort_unstable();
    assert_eq!(positions, (1..=8).collect::<Vec<_>>());
    let record = |root_cause: pb::RootCause| pb::RecordRootCauseRequest {
        root_cause: Some(root_cause),
        ..Default::default()
    };
    let unknown = pb::RootCause { cause: "bad-luck".into(), ..cause.clone() };
    let mut quality = world.quality();
    let error = quality.actions.record_root_cause(record(unknown)).await.unwrap_err();
    assert_eq!(violations(&error), ["root_cause.cause"]);
    let error = world.clerk().actions.record_root_cause(record(cause.clone())).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    for _ in 8..50 {
        quality.actions.record_root_cause(record(cause.clone())).await.unwrap();
    }
    let error = quality.actions.record_root_cause(record(cause)).await.unwrap_err();
    assert_eq!(violations(&error), ["root_cause.ticket"], "bounded");
    let request = pb::ListRootCausesRequest { parent: ticket };
    let found = world.clerk().actions.list_root_causes(request).await.unwrap().into_inner();
    assert_eq!(found.root_causes.len(), 50);
    assert_eq!(&*found.root_causes[0].finding, "密封圈硬度不达标");
}
