//! T-16, T-18: what somebody had who left is given to somebody else.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use prost::Message as _;
use tonic::{Code, Response, Status};

use crate::pack::{hours, policy, text};
use crate::work_order::{LATER, order, wang};
use crate::world::{Desk, World, at, complaint, metadata, reason, request_id, violations};

type Answer = Result<pb::WorkOrder, Status>;

fn to(name: &str, assignee: &str) -> pb::ReassignWorkOrderRequest {
    pb::ReassignWorkOrderRequest {
        name: name.into(),
        assignee: assignee.into(),
        reason: "王师傅已离职".into(),
        ..Default::default()
    }
}

impl Desk {
    async fn reassign(&mut self, request: pb::ReassignWorkOrderRequest) -> Answer {
        self.orders.reassign_work_order(request).await.map(Response::into_inner)
    }
}

fn wu(world: &World) -> Desk {
    world.desk("wu", "group", role::HANDLER)
}

#[tokio::test]
async fn t16_an_order_of_somebody_who_left_is_given_to_somebody_else() {
    let world = World::new().await;
    let (mut clerk, mut wang, mut wu) = (world.clerk(), wang(&world), wu(&world));
    let name = clerk.issue(order("group/north", "换密封圈")).await.name;
    wang.accept(&name).await.unwrap();
    let reported = wang.report(&name, LATER).await.unwrap();
    let stale = pb::ReassignWorkOrderRequest { etag: "r1".into(), ..to(&name, "wu") };
    assert_eq!(reason(&clerk.reassign(stale).await.unwrap_err()), "ETAG_STALE");
    world.set_time("2026-03-02T02:30:30Z").await;
    let request = pb::ReassignWorkOrderRequest { request_id: request_id(1), ..to(&name, "wu") };
    let given = clerk.reassign(request.clone()).await.unwrap();
    assert_eq!((given.state(), &*given.assignee), (pb::WorkOrderState::Issued, "wu"));
    assert_eq!(given.next_reply_time, reported.next_reply_time, "due when it was");
    assert_eq!((given.accept_time, &given.progress), (None, &reported.progress));
    let [earlier] = &given.reassignments[..] else { panic!("{given:?}") };
    assert_eq!((&*earlier.previous_assignee, &*earlier.assignee), ("wang", "wu"));
    assert_eq!((earlier.accept_time, &*earlier.dispatcher), (reported.accept_time, "clerk"));
    assert_eq!(earlier.reassign_time, at("2026-03-02T02:30:30Z"));
    assert_eq!(clerk.order(&name).await, given, "what was answered is what is there");
    assert_eq!(clerk.reassign(request).await.unwrap(), given, "a retry changes nothing");
    let listed =
        pb::ListWorkOrdersRequest { dispatch_centre: "group".into(), ..Default::default() };
    assert_eq!(clerk.orders(listed).await, std::slice::from_ref(&given));

    // Whoever had it has it no more, and is not the one who asks the customer about it.
    let error = wang.accept(&name).await.unwrap_err();
    assert_eq!((error.code(), &*metadata(&error, "duty")), (Code::PermissionDenied, "ASSIGNEE"));
    let early = pb::AcceptWorkOrderRequest {
        name: name.clone(),
        accept_time: at("2026-03-02T02:29:59Z"),
        ..Default::default()
    };
    let error = wu.orders.accept_work_order(early).await.unwrap_err();
    assert_eq!(violations(&error), ["accept_time"], "before he got it");
    let accepted = wu.accept(&name).await.unwrap();
    assert_eq!(accepted.accept_time, at("2026-03-02T02:30:00Z"));
    wu.complete(&name).await.unwrap();
    wu.sign_off(&name).await.unwrap();
    let mut manager_wang = world.desk("wang", "group", role::MANAGER);
    let error = manager_wang.call_back(&name).await.unwrap_err();
    assert_eq!(metadata(&error, "duty"), "NOT_WORKER");
    clerk.call_back(&name).await.unwrap();

    let (before, after, event): (serde_json::Value, serde_json::Value, Vec<u8>) = sqlx::query_as(
        "SELECT before, after, event FROM journal WHERE action = 'ReassignWorkOrder'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!((&before["assignee"], &after["assignee"]), (&"wang".into(), &"wu".into()));
    assert_eq!(after["reassignment"]["reason"], "王师傅已离职");
    let event = pb::WorkOrderReassigned::decode(event.as_slice()).unwrap();
    assert_eq!((&*event.previous_assignee, &*event.work_order.unwrap().assignee), ("wang", "wu"));
}

#[tokio::test]
async fn t16_nobody_hands_on_what_he_has_and_only_what_runs_is_given() {
    let world = World::new().await;
    let (mut clerk, mut wang) = (world.clerk(), wang(&world));
    let name = clerk.issue(order("group/north", "换密封圈")).await.name;
    // Whoever has it, whatever else he may do; whoever is not in charge; whoever works elsewhere.
    let mut manager_wang = world.desk("wang", "group", role::MANAGER);
    for (desk, duty) in [
        (&mut manager_wang, "NOT_WORKER"),
        (&mut world.desk("sun", "group", role::CLERK), "DISPATCHER"),
    ] {
        let error = desk.reassign(to(&name, "wu")).await.unwrap_err();
        let found = (reason(&error), metadata(&error, "duty"));
        assert_eq!(found, ("SEPARATION_OF_DUTIES".to_owned(), duty.to_owned()));
    }
    let mut south = world.desk("zhou", "group/south", role::MANAGER);
    let error = south.reassign(to(&name, "wu")).await.unwrap_err();
    assert_eq!(reason(&error), "PERMISSION_DENIED");
    let error = clerk.reassign(to(&name, "wang")).await.unwrap_err();
    assert_eq!(violations(&error), ["assignee"]);
    let nothing = pb::ReassignWorkOrderRequest { reason: " ".into(), ..to(&name, "") };
    let error = clerk.reassign(nothing).await.unwrap_err();
    assert_eq!(violations(&error), ["assignee", "reason"]);
    let past = pb::ReassignWorkOrderRequest {
        next_reply_time: at("2026-03-02T02:00:00Z"),
        ..to(&name, "wu")
    };
    assert_eq!(violations(&clerk.reassign(past).await.unwrap_err()), ["next_reply_time"]);
    // An objection is decided first.
    wang.dispute(&name).await.unwrap();
    let error = clerk.reassign(to(&name, "wu")).await.unwrap_err();
    assert_eq!(reason(&error), "ILLEGAL_STATE");
    let stands = pb::WorkOrderDisputeOutcome::Stands;
    world.manager().settle_dispute(&name, stands).await.unwrap();
    // Somebody above the dispatcher may; what is done is done.
    world.manager().reassign(to(&name, "wu")).await.unwrap();
    let mut wu = wu(&world);
    wu.accept(&name).await.unwrap();
    wu.complete(&name).await.unwrap();
    let error = clerk.reassign(to(&name, "wang")).await.unwrap_err();
    assert_eq!((&*reason(&error), &*metadata(&error, "state")), ("ILLEGAL_STATE", "DONE"));
    let of_team = pb::WorkOrder {
        assignee: String::new(),
        assignee_team: "维修一班".into(),
        ..order("group/north", "查")
    };
    let of_team = clerk.issue(of_team).await.name;
    let given = clerk.reassign(to(&of_team, "wu")).await.unwrap();
    assert_eq!((&*given.assignee, &*given.assignee_team), ("wu", "维修一班"));
    assert_eq!(given.reassignments[0].previous_assignee, "");
}

#[tokio::test]
async fn t16_whoever_gets_an_order_has_a_time_of_his_own_and_the_misses_stay_whose_they_were() {
    let world = World::new().await;
    let mut strict = policy();
    for code in ["late-work-order", "refused-order"] {
        strict.violations.push(pb::ViolationRule {
            code: code.into(),
            description: Some(text("Not in time", "逾期")),
            amount_cents: 3_000,
            currency: "CNY".into(),
            ..Default::default()
        });
    }
    let rules = strict.learning.get_or_insert_default();
    rules.refused_order =
        Some(pb::RefusedOrderRule { accept_within: hours(1), violation: "refused-order".into() });
    world.admin().apply("group", strict).await.unwrap();
    let mut clerk = world.clerk();
    // Due at noon in Shanghai, and to be accepted by eleven.
    let name = clerk.issue(order("group", "换密封圈")).await.name;
    world.set_time("2026-03-02T05:00:00Z").await;
    let missed = clerk.order(&name).await;
    assert_eq!((missed.missed_replies, missed.refuse_time), (1, at("2026-03-02T03:00:00Z")));
    let error = clerk.reassign(to(&name, "wu")).await.unwrap_err();
    assert_eq!(violations(&error), ["next_reply_time"], "nothing else is due any more");
    let request = pb::ReassignWorkOrderRequest {
        next_reply_time: at("2026-03-02T08:00:00Z"),
        ..to(&name, "wu")
    };
    let given = clerk.reassign(request).await.unwrap();
    assert_eq!((given.next_reply_time, given.overdue_time), (at("2026-03-02T08:00:00Z"), None));
    assert_eq!((given.accept_by_time, given.refuse_time), (at("2026-03-02T06:00:00Z"), None));
    assert_eq!(given.missed_replies, 1, "it was missed all the same");
    world.set_time("2026-03-02T09:00:00Z").await;
    let mut found: Vec<_> = world
        .manager()
        .violations("group")
        .await
        .into_iter()
        .map(|violation| (violation.staff, violation.code))
        .collect();
    found.sort();
    let expected = [
        ("wang", "late-work-order"),
        ("wang", "refused-order"),
        ("wu", "late-work-order"),
        ("wu", "refused-order"),
    ];
    assert_eq!(found, expected.map(|(staff, code)| (staff.to_owned(), code.to_owned())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t16_an_order_that_is_given_away_while_it_is_accepted_is_one_persons() {
    let mut world = World::new().await;
    world.start_replica().await;
    for _ in 0..10 {
        let name = world.clerk().issue(order("group", "换密封圈")).await.name;
        let mut wang = world.desk_at(0, "wang", "group", role::HANDLER);
        let mut clerk = world.desk_at(1, "clerk", "group", role::CLERK);
        let (accepted, given) = tokio::join!(wang.accept(&name), clerk.reassign(to(&name, "wu")));
        let given = given.unwrap();
        assert_eq!((given.state(), &*given.assignee), (pb::WorkOrderState::Issued, "wu"));
        // He was first, or it was not his any more.
        let was_first = given.reassignments[0].accept_time.is_some();
        assert_eq!(accepted.is_ok(), was_first);
        assert_eq!(world.clerk().order(&name).await, given);
    }
}

#[tokio::test]
async fn t18_an_action_of_somebody_who_left_is_given_to_somebody_else() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await.name;
    let plan = pb::PlanCorrectiveActionRequest {
        corrective_action: Some(pb::CorrectiveAction {
            ticket,
            kind: pb::CorrectiveActionKind::Corrective.into(),
            description: "更换供应商的密封圈".into(),
            owner: "wang".into(),
            due_time: at("2026-03-02T04:00:00Z"),
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut quality = world.quality();
    let planned = quality.actions.plan_corrective_action(plan).await.unwrap().into_inner();
    let name = planned.name;
    let start = || pb::StartCorrectiveActionRequest { name: name.clone(), ..Default::default() };
    let (mut wang, mut wu) = (wang(&world), wu(&world));
    wang.actions.start_corrective_action(start()).await.unwrap();
    let give = |owner: &str| pb::ReassignCorrectiveActionRequest {
        name: name.clone(),
        owner: owner.into(),
        reason: "王师傅已离职".into(),
        ..Default::default()
    };
    let error = wang.actions.reassign_corrective_action(give("wu")).await.unwrap_err();
    assert_eq!(metadata(&error, "duty"), "NOT_OWNER");
    let error = world.clerk().actions.reassign_corrective_action(give("wu")).await.unwrap_err();
    assert_eq!(reason(&error), "PERMISSION_DENIED");
    let error = quality.actions.reassign_corrective_action(give("wang")).await.unwrap_err();
    assert_eq!(violations(&error), ["owner"]);
    let given = quality.actions.reassign_corrective_action(give("wu")).await.unwrap().into_inner();
    assert_eq!((given.state(), &*given.owner), (pb::CorrectiveActionState::Planned, "wu"));
    assert_eq!(given.due_time, planned.due_time, "due when it was");
    let [earlier] = &given.reassignments[..] else { panic!("{given:?}") };
    assert_eq!((&*earlier.previous_owner, &*earlier.reassigner), ("wang", "quality"));
    assert!(earlier.start_time.is_some());
    let request = pb::GetCorrectiveActionRequest { name: name.clone() };
    let found = quality.actions.get_corrective_action(request).await.unwrap().into_inner();
    assert_eq!(found, given, "what was answered is what is there");
    let error = wang.actions.start_corrective_action(start()).await.unwrap_err();
    assert_eq!(metadata(&error, "duty"), "OWNER");
    wu.actions.start_corrective_action(start()).await.unwrap();
    let complete = pb::CompleteCorrectiveActionRequest {
        name: name.clone(),
        evidence: "检验合格".into(),
        ..Default::default()
    };
    wu.actions.complete_corrective_action(complete).await.unwrap();
    let error = quality.actions.reassign_corrective_action(give("li")).await.unwrap_err();
    assert_eq!(reason(&error), "ILLEGAL_STATE", "it is done");
    // Whoever had it began it, so he does not say whether it worked.
    let verify = pb::VerifyCorrectiveActionRequest {
        name,
        verdict: pb::CorrectiveActionVerdict::Effective.into(),
        verification: "抽检一百件".into(),
        ..Default::default()
    };
    let mut of_quality = world.desk("wang", "group", role::QUALITY);
    let error = of_quality.actions.verify_corrective_action(verify.clone()).await.unwrap_err();
    assert_eq!(metadata(&error, "duty"), "NOT_OWNER");
    quality.actions.verify_corrective_action(verify).await.unwrap();
}
