//! whoever did something learns again what it learned then, whatever he may do now and whoever is away.

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::run_bulk_request::Command;
use kefu_identity::role;
use tonic::Code;

use crate::mass_answer::{family, link};
use crate::neighbour::known_only_there;
use crate::pack::text;
use crate::process::{STATION, agreed, company, fitter, request};
use crate::shift::{day, strict};
use crate::suggestion::suggestion;
use crate::work_order::order;
use crate::world::{Desk, World, at, complaint, request_id};

/// Asks as somebody who may, and again as the same person who may no more. Another request of that one is denied.
macro_rules! retried {
    ($client:ident.$method:ident, $may:expr, $may_not:expr, $request:expr) => {{
        let mut request = $request;
        request.request_id = request_id(1_000 + u128::from(line!()));
        let first = $may.$client.$method(request.clone()).await.unwrap().into_inner();
        let again = $may_not.$client.$method(request.clone()).await;
        let again = again.unwrap_or_else(|error| panic!("{}: {error:?}", stringify!($method)));
        assert_eq!(again.into_inner(), first, stringify!($method));
        request.request_id = request_id(2_000 + u128::from(line!()));
        let error = $may_not.$client.$method(request).await.unwrap_err();
        assert_eq!(error.code(), Code::PermissionDenied, "{}: {error:?}", stringify!($method));
        first
    }};
}

/// Somebody with a role, and the same person after it has moved elsewhere.
fn before_and_after(world: &World, subject: &str, role: &str) -> (Desk, Desk) {
    (world.desk(subject, "group", role), world.desk(subject, "group/south", role::AUDITOR))
}

#[tokio::test]
async fn x02_a_retry_of_what_was_set_up_is_answered_whatever_the_caller_may_now() {
    let world = strict().await;
    let (mut li, mut gone) = before_and_after(&world, "li", role::MANAGER);
    let new = pb::Team {
        org_unit: "group/north".into(),
        code: "pumps".into(),
        title: Some(text("pumps", "水泵组")),
        members: vec!["an".into(), "bo".into()],
        ..Default::default()
    };
    let create = pb::CreateTeamRequest { team: Some(new), ..Default::default() };
    let pumps = retried!(teams.create_team, li, gone, create);
    let changed = pb::Team { title: Some(text("pumps", "水泵一组")), ..pumps.clone() };
    let mask = prost_types::FieldMask { paths: vec!["title".into()] };
    let update = pb::UpdateTeamRequest {
        team: Some(pb::Team { etag: String::new(), ..changed }),
        update_mask: Some(mask),
        ..Default::default()
    };
    retried!(teams.update_team, li, gone, update);
    let roster = pb::UpdateRosterRequest {
        team: pumps.name.clone(),
        start_time: at("2026-03-03T00:00:00Z"),
        end_time: at("2026-03-04T00:00:00Z"),
        ..Default::default()
    };
    retried!(duty.update_roster, li, gone, roster);
    let there = pb::SetPresenceRequest { staff: "an".into(), present: true, ..Default::default() };
    retried!(duty.set_presence, li, gone, there);
    let absence = pb::Absence {
        staff: "an".into(),
        start_time: at("2026-03-05T00:00:00Z"),
        end_time: at("2026-03-06T00:00:00Z"),
        substitute: "bo".into(),
        reason: "年假".into(),
        ..Default::default()
    };
    let away = pb::CreateAbsenceRequest { absence: Some(absence), ..Default::default() };
    let away = retried!(duty.create_absence, li, gone, away);
    let back = pb::CloseAbsenceRequest { name: away.name, ..Default::default() };
    retried!(duty.close_absence, li, gone, back);
    let view = pb::SavedView {
        title: "待处理".into(),
        org_unit: "group/north".into(),
        filter: "severity = 1".into(),
        order: pb::QueueOrder::Newest.into(),
        ..Default::default()
    };
    let save = pb::CreateSavedViewRequest { saved_view: Some(view), ..Default::default() };
    let saved = retried!(views.create_saved_view, li, gone, save);
    let renamed = pb::SavedView { name: saved.name, title: "紧急".into(), ..Default::default() };
    let mask = prost_types::FieldMask { paths: vec!["title".into()] };
    let rename = pb::UpdateSavedViewRequest {
        saved_view: Some(renamed),
        update_mask: Some(mask),
        ..Default::default()
    };
    retried!(views.update_saved_view, li, gone, rename);
    let plan = pb::PlanShiftRequest { shift: Some(day(&["li", "sun"])), ..Default::default() };
    let shift = retried!(shifts.plan_shift, li, gone, plan);
    let submit = pb::SubmitShiftListRequest { name: shift.name, ..Default::default() };
    retried!(shifts.submit_shift_list, li, gone, submit);
    let (mut admin, mut gone) = before_and_after(&world, "gu", role::ADMIN);
    let apply = pb::ApplyTicketPolicyRequest {
        org_unit: "group/north".into(),
        policy: Some(crate::pack::policy()),
        ..Default::default()
    };
    retried!(policies.apply_ticket_policy, admin, gone, apply);
}

#[tokio::test]
async fn x02_a_retry_of_a_step_is_answered_whatever_the_caller_may_now() {
    let world = strict().await;
    let (mut li, mut gone) = before_and_after(&world, "li", role::MANAGER);
    let new = Some(complaint("group/north", "漏水"));
    let create = pb::CreateTicketRequest { ticket: new, ..Default::default() };
    let ticket = retried!(tickets.create_ticket, li, gone, create);
    let issue = pb::IssueWorkOrderRequest {
        work_order: Some(order("group/north", "换密封圈")),
        ..Default::default()
    };
    let issued = retried!(orders.issue_work_order, li, gone, issue);
    let (mut wang, mut left) = before_and_after(&world, "wang", role::HANDLER);
    let accept = pb::AcceptWorkOrderRequest { name: issued.name, ..Default::default() };
    retried!(orders.accept_work_order, wang, left, accept);
    let submit = pb::SubmitSuggestionRequest {
        suggestion: Some(suggestion(&ticket.name)),
        ..Default::default()
    };
    let made = retried!(suggestions.submit_suggestion, li, gone, submit);
    let (mut liu, mut left) = before_and_after(&world, "liu", role::MANAGER);
    let decide = pb::DecideSuggestionRequest {
        name: made.name,
        outcome: pb::SuggestionState::Accepted.into(),
        reason: "已列入下季度计划".into(),
        ..Default::default()
    };
    retried!(suggestions.decide_suggestion, liu, left, decide);
    let report = pb::ReportViolationRequest {
        org_unit: "group/north".into(),
        code: "no-shift-list".into(),
        staff: "wang".into(),
        evidence: "客户来电核实".into(),
        ..Default::default()
    };
    let reported = retried!(penalties.report_violation, li, gone, report);
    let dismiss = pb::DismissViolationRequest {
        name: reported.name,
        reason: "证据不足".into(),
        ..Default::default()
    };
    retried!(penalties.dismiss_violation, liu, left, dismiss);
    let (mut quality, mut left) = before_and_after(&world, "quality", role::QUALITY);
    let held = pb::ProductHold {
        org_unit: "group/north".into(),
        product: "P-1".into(),
        reason: "密封圈不合格".into(),
        ..Default::default()
    };
    let place = pb::PlaceProductHoldRequest { product_hold: Some(held), ..Default::default() };
    let placed = retried!(actions.place_product_hold, quality, left, place);
    let lift = pb::LiftProductHoldRequest {
        name: placed.name,
        reason: "复检合格".into(),
        ..Default::default()
    };
    retried!(actions.lift_product_hold, quality, left, lift);
    let note = pb::AddTicketNoteRequest { note: "已核实".into(), ..Default::default() };
    let bulk = pb::RunBulkRequest {
        org_unit: "group".into(),
        items: vec![pb::BulkItem { ticket: ticket.name.clone(), etag: String::new() }],
        command: Some(Command::AddNote(note)),
        ..Default::default()
    };
    retried!(bulk.run_bulk, li, gone, bulk);
    assert_eq!(
        world.count("SELECT count(*) FROM journal WHERE action = 'AddTicketNote'").await,
        1,
        "and nothing is done twice"
    );
}

#[tokio::test]
async fn x02_a_retry_about_a_process_is_answered_when_its_ticket_has_gone_elsewhere() {
    let world = company().await;
    let mut fitter = fitter(&world);
    let mut gone = world.desk("fitter", "group/other", role::AUDITOR);
    let ticket = fitter.create(request()).await.name;
    let start = pb::StartProcessRequest {
        ticket: ticket.clone(),
        template: "power-connection".into(),
        attributes: agreed(5.0, false),
        ..Default::default()
    };
    let started = retried!(processes.start_process, fitter, gone, start);
    assert_eq!(started.org_unit, STATION);
    let document = pb::RecordProcessDocumentRequest {
        name: started.name,
        stage: "application".into(),
        document: "identity".into(),
        reference: "身份证".into(),
        request_id: request_id(2),
        ..Default::default()
    };
    let recorded = fitter.processes.record_process_document(document.clone()).await.unwrap();
    let transfer = pb::TransferTicketRequest {
        name: ticket.clone(),
        to_org_unit: "group/other".into(),
        handover_note: "属地变更".into(),
        ..Default::default()
    };
    fitter.handling.transfer_ticket(transfer).await.unwrap();
    let accept = pb::AcceptTransferRequest {
        name: ticket,
        message: "您的申请现由我处办理".into(),
        ..Default::default()
    };
    let mut other = world.desk("other", "group/other", role::MANAGER);
    other.handling.accept_transfer(accept).await.unwrap();
    let again = fitter.processes.record_process_document(document.clone()).await.unwrap();
    assert_eq!(again.into_inner(), recorded.into_inner());
    let new = pb::RecordProcessDocumentRequest { request_id: request_id(3), ..document };
    let error = fitter.processes.record_process_document(new).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn x02_a_retry_of_an_answer_to_all_needs_neither_the_parent_nor_the_neighbour() {
    let mut world = World::new().await;
    let (mut li, mut gone) = before_and_after(&world, "li", role::MANAGER);
    let customer = format!("customers/{}", known_only_there(7));
    let parent = pb::Ticket { customer, ..complaint("group/north", "全区停水") };
    let parent = world.clerk().create(parent).await;
    let (_, children) = family(&world, 1).await;
    let unlink = pb::UnlinkTicketRequest {
        name: children[0].name.clone(),
        reason: "另有原因".into(),
        ..Default::default()
    };
    li.links.unlink_ticket(unlink).await.unwrap();
    link(&mut li, &children[0].name, &parent.name).await.unwrap();
    let answer = pb::AnswerChildTicketsRequest {
        name: parent.name.clone(),
        message: "{customer.name}您好".into(),
        request_id: request_id(1),
        ..Default::default()
    };
    retried!(links.answer_child_tickets, li, gone, answer.clone());
    let first = li.links.answer_child_tickets(answer.clone()).await.unwrap().into_inner();
    li.resolve(&parent.name).await.unwrap();
    let resolve =
        pb::ResolveChildTicketsRequest { name: parent.name.clone(), ..Default::default() };
    retried!(links.resolve_child_tickets, li, gone, resolve);
    world.settle().await;
    world.neighbours.take().unwrap().stop().await.unwrap();
    let again = li.links.answer_child_tickets(answer).await.unwrap().into_inner();
    assert_eq!(again, first);
}

#[tokio::test]
async fn x02_a_retry_needs_no_neighbour_where_only_that_knows_the_org_unit() {
    let mut world = World::new().await;
    let mut manager = world.manager();
    let create = pb::CreateTicketRequest {
        ticket: Some(complaint("group/new", "漏水")),
        request_id: request_id(1),
    };
    let first = manager.tickets.create_ticket(create.clone()).await.unwrap().into_inner();
    let new = pb::Team {
        org_unit: "group/new".into(),
        code: "pumps".into(),
        title: Some(text("pumps", "水泵组")),
        ..Default::default()
    };
    let set_up = pb::CreateTeamRequest { team: Some(new), request_id: request_id(2) };
    let made = manager.teams.create_team(set_up.clone()).await.unwrap().into_inner();
    // One that has not asked yet.
    world.start_replica().await;
    world.neighbours.take().unwrap().stop().await.unwrap();
    let mut manager = world.desk_at(1, "manager", "group", role::MANAGER);
    let again = manager.tickets.create_ticket(create.clone()).await.unwrap().into_inner();
    assert_eq!(again, first);
    let again = manager.teams.create_team(set_up.clone()).await.unwrap().into_inner();
    assert_eq!(again, made);
    // What was never done waits for it.
    let other = pb::CreateTicketRequest { request_id: request_id(3), ..create };
    let error = manager.tickets.create_ticket(other).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
}
