//! T-16: what a work order is and what may happen to it.

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::sign_off_work_order_request::Signature;
use kefu_api::ticket::v1::work_order_sign_off::Signature as Signed;
use kefu_identity::role;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

use crate::world::{Desk, World, at, complaint, metadata, reason, request_id, violations};

type Answer = Result<pb::WorkOrder, Status>;

/// A time for the next reply.
pub const LATER: Option<&str> = Some("2026-04-30T04:00:00Z");

/// An order with no more than it needs, for wang, due at noon in Shanghai.
pub fn order(centre: &str, task: &str) -> pb::WorkOrder {
    pb::WorkOrder {
        dispatch_centre: centre.into(),
        task: task.into(),
        requirements: "带备用密封圈".into(),
        reply_by_time: at("2026-03-02T04:00:00Z"),
        assignee: "wang".into(),
        ..pb::WorkOrder::default()
    }
}

/// Whoever does the work.
pub fn wang(world: &World) -> Desk {
    world.desk("wang", "group", role::HANDLER)
}

impl Desk {
    pub async fn try_issue(&mut self, order: pb::WorkOrder, request_id: String) -> Answer {
        let request = pb::IssueWorkOrderRequest { work_order: Some(order), request_id };
        self.orders.issue_work_order(request).await.map(Response::into_inner)
    }

    pub async fn issue(&mut self, order: pb::WorkOrder) -> pb::WorkOrder {
        self.try_issue(order, String::new()).await.unwrap()
    }

    pub async fn order(&mut self, name: &str) -> pb::WorkOrder {
        let request = pb::GetWorkOrderRequest { name: name.into() };
        self.orders.get_work_order(request).await.unwrap().into_inner()
    }

    pub async fn accept(&mut self, name: &str) -> Answer {
        let request = pb::AcceptWorkOrderRequest { name: name.into(), ..Default::default() };
        self.orders.accept_work_order(request).await.map(Response::into_inner)
    }

    pub async fn report(&mut self, name: &str, next: Option<&str>) -> Answer {
        let request = pb::ReportWorkOrderProgressRequest {
            name: name.into(),
            note: "等配件".into(),
            next_reply_time: next.and_then(at),
            ..Default::default()
        };
        self.orders.report_work_order_progress(request).await.map(Response::into_inner)
    }

    pub async fn dispute(&mut self, name: &str) -> Answer {
        let request = pb::DisputeWorkOrderRequest {
            name: name.into(),
            reason: "不属于本班组".into(),
            ..Default::default()
        };
        self.orders.dispute_work_order(request).await.map(Response::into_inner)
    }

    pub async fn settle_dispute(
        &mut self,
        name: &str,
        outcome: pb::WorkOrderDisputeOutcome,
    ) -> Answer {
        let request = pb::DecideWorkOrderDisputeRequest {
            name: name.into(),
            outcome: outcome.into(),
            decision: "按制度第十条".into(),
            ..Default::default()
        };
        self.orders.decide_work_order_dispute(request).await.map(Response::into_inner)
    }

    pub async fn complete(&mut self, name: &str) -> Answer {
        let request = pb::CompleteWorkOrderRequest {
            name: name.into(),
            result: "已更换".into(),
            ..Default::default()
        };
        self.orders.complete_work_order(request).await.map(Response::into_inner)
    }

    pub async fn sign_off(&mut self, name: &str) -> Answer {
        let request = pb::SignOffWorkOrderRequest {
            name: name.into(),
            customer_name: "张三".into(),
            signature: Some(Signature::Code("8042".into())),
            ..Default::default()
        };
        self.orders.sign_off_work_order(request).await.map(Response::into_inner)
    }

    pub async fn call_back(&mut self, name: &str) -> Answer {
        let request = pb::CallBackWorkOrderRequest {
            name: name.into(),
            comment: "不漏了".into(),
            ..Default::default()
        };
        self.orders.call_back_work_order(request).await.map(Response::into_inner)
    }

    pub async fn archive(&mut self, name: &str) -> Answer {
        let request = pb::ArchiveWorkOrderRequest { name: name.into(), ..Default::default() };
        self.orders.archive_work_order(request).await.map(Response::into_inner)
    }

    pub async fn void(&mut self, name: &str) -> Answer {
        let request = pb::VoidWorkOrderRequest {
            name: name.into(),
            reason: "重复派单".into(),
            ..Default::default()
        };
        self.orders.void_work_order(request).await.map(Response::into_inner)
    }

    pub async fn orders(&mut self, request: pb::ListWorkOrdersRequest) -> Vec<pb::WorkOrder> {
        self.orders.list_work_orders(request).await.unwrap().into_inner().work_orders
    }
}

/// What is missing, by its stable name.
fn missing(status: &Status) -> Vec<String> {
    assert_eq!((status.code(), &*reason(status)), (Code::FailedPrecondition, "ILLEGAL_STATE"));
    let failure = status.get_details_precondition_failure().unwrap();
    failure.violations.into_iter().map(|violation| violation.r#type).collect()
}

#[tokio::test]
async fn t16_an_order_goes_from_the_issue_to_the_archive() {
    let world = World::new().await;
    let (mut clerk, mut wang) = (world.clerk(), wang(&world));
    let customer = world.customer(1).await;
    world.settle().await;
    let ticket =
        clerk.create(pb::Ticket { customer, ..complaint("group/north/riverside", "漏水") }).await;
    let new = pb::WorkOrder {
        ticket: ticket.name.clone(),
        place: "三号楼 501".into(),
        assignee_team: "维修一班".into(),
        ..order("group/north", "换密封圈")
    };
    let issued = clerk.issue(new).await;
    assert_eq!(issued.number, "W-2026-north-000001");
    assert_eq!((issued.year, issued.sequence), (2026, 1));
    assert_eq!((&*issued.dispatcher, &*issued.issuer), ("clerk", "clerk"));
    assert_eq!((issued.state(), &issued.ticket), (pb::WorkOrderState::Issued, &ticket.name));
    assert_eq!(issued.next_reply_time, issued.reply_by_time);
    world.set_time("2026-03-02T02:03:45.678Z").await;
    let accepted = wang.accept(&issued.name).await.unwrap();
    assert_eq!(accepted.accept_time, at("2026-03-02T02:03:00Z"), "to the minute");
    let reported = wang.report(&issued.name, Some("2026-03-02T06:00:00Z")).await.unwrap();
    assert_eq!(reported.next_reply_time, at("2026-03-02T06:00:00Z"));
    assert_eq!(reported.reply_by_time, issued.reply_by_time, "what was ordered never changes");
    let done = wang.complete(&issued.name).await.unwrap();
    let result = done.result.unwrap();
    assert_eq!((&*result.text, &*result.doer, done.next_reply_time), ("已更换", "wang", None));
    let signed = wang.sign_off(&issued.name).await.unwrap().sign_off.unwrap();
    assert_eq!((&*signed.customer_name, &*signed.recorder), ("张三", "wang"));
    assert_eq!(signed.signature, Some(Signed::Code("8042".into())));
    let called = clerk.call_back(&issued.name).await.unwrap();
    assert_eq!(called.call_back.unwrap().caller, "clerk");
    let archived = clerk.archive(&issued.name).await.unwrap();
    assert_eq!(archived.state(), pb::WorkOrderState::Archived);
    assert_eq!(archived.archive_time, at("2026-03-02T02:03:45.678Z"));
    assert_eq!(clerk.order(&issued.name).await, archived, "what is read is what was answered");
    let events = "SELECT count(*) FROM journal WHERE aggregate_type = 'work_order' AND revision BETWEEN 1 AND 7";
    assert_eq!(world.count(events).await, 7, "each step is on record");
    for event in ["Issued", "Closed"] {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM journal WHERE event_type = $1")
            .bind(format!("kefu.ticket.v1.WorkOrder{event}"))
            .fetch_one(&world.pool)
            .await
            .unwrap();
        assert_eq!(count, 1, "{event}");
    }
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 0);
}

#[tokio::test]
async fn t16_all_required_fields_or_no_order_and_every_missing_one_is_named() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let nothing = clerk.orders.issue_work_order(pb::IssueWorkOrderRequest::default()).await;
    let expected = [
        "work_order.dispatch_centre",
        "work_order.task",
        "work_order.requirements",
        "work_order.reply_by_time",
        "work_order.assignee",
    ];
    assert_eq!(violations(&nothing.unwrap_err()), expected);
    let blank = pb::WorkOrder {
        task: "  ".into(),
        requirements: "\n".into(),
        assignee: " ".into(),
        reply_by_time: None,
        ..order("", "")
    };
    let error = clerk.try_issue(blank, String::new()).await.unwrap_err();
    assert_eq!(violations(&error), expected);
    let wrong = pb::WorkOrder {
        place: "长".repeat(201),
        ticket: "tickets/x".into(),
        task: "两\n行".into(),
        ..order("Group", "")
    };
    let mut found = violations(&clerk.try_issue(wrong, "x".into()).await.unwrap_err());
    found.sort();
    let expected = [
        "request_id",
        "work_order.dispatch_centre",
        "work_order.place",
        "work_order.task",
        "work_order.ticket",
    ];
    assert_eq!(found, expected);
    let late = pb::WorkOrder { reply_by_time: at("2026-03-02T02:00:00Z"), ..order("group", "查") };
    let error = clerk.try_issue(late, String::new()).await.unwrap_err();
    assert_eq!(violations(&error), ["work_order.reply_by_time"], "due at once");
    assert_eq!(world.count("SELECT count(*) FROM work_order").await, 0);
    // A team is as good as a person, and the failures have cost no number.
    let team = pb::WorkOrder {
        assignee: String::new(),
        assignee_team: "维修一班".into(),
        ..order("group", "查")
    };
    assert_eq!(clerk.issue(team).await.sequence, 1);
}

#[tokio::test]
async fn t16_a_step_out_of_order_names_state_command_and_what_is_missing() {
    let world = World::new().await;
    let (mut manager, mut wang) = (world.manager(), wang(&world));
    let name = world.clerk().issue(order("group", "换密封圈")).await.name;
    let error = manager.archive(&name).await.unwrap_err();
    assert_eq!(metadata(&error, "state"), "ISSUED");
    assert_eq!(metadata(&error, "command"), "ArchiveWorkOrder");
    assert_eq!(missing(&error), ["ACCEPTANCE", "RESULT", "SIGN_OFF", "CALL_BACK"]);
    assert_eq!(missing(&wang.complete(&name).await.unwrap_err()), ["ACCEPTANCE"]);
    assert_eq!(missing(&wang.report(&name, LATER).await.unwrap_err()), ["ACCEPTANCE"]);
    assert_eq!(missing(&wang.sign_off(&name).await.unwrap_err()), ["ACCEPTANCE", "RESULT"]);
    wang.accept(&name).await.unwrap();
    assert_eq!(missing(&wang.accept(&name).await.unwrap_err()), ["NOT_ACCEPTED_YET"]);
    wang.complete(&name).await.unwrap();
    assert_eq!(missing(&wang.report(&name, LATER).await.unwrap_err()), ["NOT_DONE_YET"]);
    assert_eq!(missing(&wang.dispute(&name).await.unwrap_err()), ["NOT_DONE_YET"]);
    wang.sign_off(&name).await.unwrap();
    assert_eq!(missing(&manager.void(&name).await.unwrap_err()), ["NOT_SIGNED_OFF_YET"]);
    let voided = world.clerk().issue(order("group", "查")).await.name;
    manager.void(&voided).await.unwrap();
    for error in [manager.void(&voided).await, wang.accept(&voided).await] {
        assert_eq!(missing(&error.unwrap_err()), ["NOT_VOIDED"]);
    }
}

#[tokio::test]
async fn t16_an_order_cannot_be_refused_but_disputed_while_it_runs() {
    let world = World::new().await;
    let service = kefu_api::descriptor_pool();
    let service = service.get_service_by_name("kefu.ticket.v1.WorkOrderService").unwrap();
    let refusals = service.methods().filter(|method| {
        ["Refuse", "Reject", "Decline"].iter().any(|verb| method.name().starts_with(verb))
    });
    assert_eq!(refusals.count(), 0);
    let (mut clerk, mut manager, mut wang) = (world.clerk(), world.manager(), wang(&world));
    let issued = clerk.issue(order("group", "换密封圈")).await;
    let name = &issued.name;
    let disputed = wang.dispute(name).await.unwrap();
    assert_eq!(disputed.state(), pb::WorkOrderState::Issued, "it goes on running");
    assert_eq!(disputed.next_reply_time, issued.next_reply_time, "and its reply stays due");
    assert_eq!(disputed.disputes[0].disputer, "wang");
    assert_eq!(missing(&wang.dispute(name).await.unwrap_err()), ["NO_OPEN_DISPUTE"]);
    wang.accept(name).await.unwrap();
    let stands = pb::WorkOrderDisputeOutcome::Stands;
    let own = world.desk("wang", "group", role::MANAGER).settle_dispute(name, stands).await;
    let own = own.unwrap_err();
    assert_eq!((own.code(), &*reason(&own)), (Code::PermissionDenied, "SEPARATION_OF_DUTIES"));
    assert_eq!(
        clerk.settle_dispute(name, stands).await.unwrap_err().code(),
        Code::PermissionDenied
    );
    let decided = manager.settle_dispute(name, stands).await.unwrap();
    assert_eq!(decided.disputes[0].decider, "manager");
    assert_eq!(decided.state(), pb::WorkOrderState::Accepted);
    assert_eq!(missing(&manager.settle_dispute(name, stands).await.unwrap_err()), ["OPEN_DISPUTE"]);
    wang.dispute(name).await.unwrap();
    let withdrawn = pb::WorkOrderDisputeOutcome::Withdrawn;
    let voided = manager.settle_dispute(name, withdrawn).await.unwrap();
    assert_eq!(voided.state(), pb::WorkOrderState::Voided);
    assert_eq!(voided.voiding.as_ref().unwrap().reason, "按制度第十条");
    assert_eq!((voided.disputes.len(), voided.next_reply_time), (2, None));
    assert_eq!(clerk.order(name).await, voided);
}

#[tokio::test]
async fn t16_an_open_objection_keeps_an_order_from_the_archive() {
    let world = World::new().await;
    let (mut clerk, mut wang) = (world.clerk(), wang(&world));
    let name = clerk.issue(order("group", "换密封圈")).await.name;
    wang.accept(&name).await.unwrap();
    wang.dispute(&name).await.unwrap();
    wang.complete(&name).await.unwrap();
    wang.sign_off(&name).await.unwrap();
    clerk.call_back(&name).await.unwrap();
    assert_eq!(missing(&clerk.archive(&name).await.unwrap_err()), ["NO_OPEN_DISPUTE"]);
    let withdrawn = pb::WorkOrderDisputeOutcome::Withdrawn;
    let late = world.manager().settle_dispute(&name, withdrawn).await.unwrap_err();
    assert_eq!(missing(&late), ["NOT_SIGNED_OFF_YET"], "what is signed is not withdrawn");
    let stands = pb::WorkOrderDisputeOutcome::Stands;
    world.manager().settle_dispute(&name, stands).await.unwrap();
    clerk.archive(&name).await.unwrap();
}

#[tokio::test]
async fn t16_each_step_is_somebodys() {
    let world = World::new().await;
    let (mut clerk, mut wang) = (world.clerk(), wang(&world));
    let mut li = world.desk("li", "group", role::HANDLER);
    let name = clerk.issue(order("group", "换密封圈")).await.name;
    let not_theirs = |error: Status, duty: &str| {
        assert_eq!((error.code(), &*metadata(&error, "duty")), (Code::PermissionDenied, duty));
    };
    not_theirs(li.accept(&name).await.unwrap_err(), "ASSIGNEE");
    let mut boss = world.desk("wang", "group", role::MANAGER);
    not_theirs(boss.void(&name).await.unwrap_err(), "NOT_WORKER");
    assert_eq!(clerk.void(&name).await.unwrap_err().code(), Code::PermissionDenied);
    wang.accept(&name).await.unwrap();
    wang.complete(&name).await.unwrap();
    wang.sign_off(&name).await.unwrap();
    not_theirs(boss.call_back(&name).await.unwrap_err(), "NOT_WORKER");
    not_theirs(li.call_back(&name).await.unwrap_err(), "DISPATCHER");
    // Whoever may decide disputes stands in for a dispatcher who is away.
    world.manager().call_back(&name).await.unwrap();
    let team = pb::WorkOrder {
        assignee: String::new(),
        assignee_team: "维修一班".into(),
        ..order("group", "查")
    };
    let name = clerk.issue(team).await.name;
    assert_eq!(li.accept(&name).await.unwrap().assignee, "li", "a team's order is whose takes it");
}

#[tokio::test]
async fn t16_times_that_cannot_be_are_wrong_fields() {
    let world = World::new().await;
    let (mut clerk, mut wang) = (world.clerk(), wang(&world));
    let name = clerk.issue(order("group", "换密封圈")).await.name;
    world.set_time("2026-03-02T03:00:30Z").await;
    for (time, fault) in [("2026-03-02T01:59:59Z", true), ("2026-03-02T02:10:59Z", false)] {
        let request = pb::AcceptWorkOrderRequest {
            name: name.clone(),
            accept_time: at(time),
            ..Default::default()
        };
        let answer = wang.orders.accept_work_order(request).await;
        if fault {
            assert_eq!(violations(&answer.unwrap_err()), ["accept_time"]);
        } else {
            let accepted = answer.unwrap().into_inner();
            assert_eq!(accepted.accept_time, at("2026-03-02T02:10:00Z"));
        }
    }
    let error = wang.report(&name, Some("2026-03-02T03:00:30Z")).await.unwrap_err();
    assert_eq!(violations(&error), ["next_reply_time"]);
    wang.complete(&name).await.unwrap();
    let request = pb::SignOffWorkOrderRequest {
        name: name.clone(),
        sign_time: at("2026-03-02T02:09:59Z"),
        customer_name: "张三".into(),
        signature: Some(Signature::Image("signatures/1.png".into())),
        ..Default::default()
    };
    let error = wang.orders.sign_off_work_order(request).await.unwrap_err();
    assert_eq!(violations(&error), ["sign_time"]);
    let request = pb::SignOffWorkOrderRequest { name, ..Default::default() };
    let error = wang.orders.sign_off_work_order(request).await.unwrap_err();
    assert_eq!(violations(&error), ["customer_name", "signature"]);
}

#[tokio::test]
async fn x02_x03_a_retry_is_the_same_order_and_a_stale_etag_changes_nothing() {
    let world = World::new().await;
    let (mut clerk, mut wang) = (world.clerk(), wang(&world));
    let first = clerk.try_issue(order("group", "换"), request_id(1)).await.unwrap();
    assert_eq!(clerk.try_issue(order("group", "换"), request_id(1)).await.unwrap(), first);
    let other = clerk.try_issue(order("group", "查"), request_id(1)).await.unwrap_err();
    assert_eq!(other.code(), Code::AlreadyExists);
    assert_eq!(world.count("SELECT last_number FROM work_order_counter").await, 1);
    let stale = pb::AcceptWorkOrderRequest {
        name: first.name.clone(),
        etag: "r9".into(),
        ..Default::default()
    };
    let error = wang.orders.accept_work_order(stale).await.unwrap_err();
    assert_eq!((error.code(), &*reason(&error)), (Code::Aborted, "ETAG_STALE"));
    assert_eq!(clerk.order(&first.name).await, first);
}

#[tokio::test]
async fn x07_orders_have_their_scope() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let hidden = clerk.create(complaint("group/south", "漏水")).await;
    let name = clerk.issue(order("group/north", "换")).await.name;
    let mut south = world.desk("li", "group/south", role::MANAGER);
    for error in [
        south.accept(&name).await,
        south.void(&name).await,
        south.try_issue(order("group/north", "换"), String::new()).await,
    ] {
        assert_eq!(error.unwrap_err().code(), Code::PermissionDenied);
    }
    let request = pb::RenderWorkOrderRequest { name, ..Default::default() };
    let error = south.orders.render_work_order(request).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    let request =
        pb::ListWorkOrdersRequest { dispatch_centre: "group".into(), ..Default::default() };
    let error = south.orders.list_work_orders(request).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    // A ticket that the dispatcher does not see is no ticket to him.
    let mut north = world.desk("zhao", "group/north", role::HANDLER);
    let nobody = format!("tickets/{}", uuid::Uuid::from_u128(7));
    for ticket in [hidden.name, nobody] {
        let new = pb::WorkOrder { ticket, ..order("group/north", "换") };
        let error = north.try_issue(new, String::new()).await.unwrap_err();
        assert_eq!(violations(&error), ["work_order.ticket"]);
    }
}
