//! T-11, T-14, T-25: in whose hands a ticket is, and that all that belongs to it goes along.

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::automation_step::Step;
use kefu_api::ticket::v1::ticket_event::Change;
use kefu_identity::role;
use tonic::{Code, Response, Status, Streaming};

use crate::delivery::{by, deliveries, messages, send};
use crate::duty::absent;
use crate::neighbour::known_only_there;
use crate::pack::{policy, text};
use crate::receiver::MailServer;
use crate::routing::{RECOUNT, assign, company, explain, present, team};
use crate::work_order::order;
use crate::world::{Desk, World, at, complaint, metadata, request_id, violations};

fn transfer(name: &str, to: &str, team: &str) -> pb::TransferTicketRequest {
    pb::TransferTicketRequest {
        name: name.into(),
        to_org_unit: to.into(),
        to_team: team.into(),
        handover_note: "客户要求明天上午回电".into(),
        ..Default::default()
    }
}

async fn pass_on(
    desk: &mut Desk,
    request: pb::TransferTicketRequest,
) -> Result<pb::Ticket, Status> {
    desk.handling.transfer_ticket(request).await.map(Response::into_inner)
}

async fn receive(desk: &mut Desk, name: &str, message: &str) -> Result<pb::Ticket, Status> {
    let request = pb::AcceptTransferRequest {
        name: name.into(),
        message: message.into(),
        ..Default::default()
    };
    desk.handling.accept_transfer(request).await.map(Response::into_inner)
}

/// From the north to the south, where `nan` accepts.
async fn moved(world: &World, ticket: &pb::Ticket, team: &str) -> pb::Ticket {
    let mut north = world.desk("bei", "group/north", role::HANDLER);
    pass_on(&mut north, transfer(&ticket.name, "group/south", team)).await.unwrap();
    let mut south = world.desk("nan", "group/south", role::HANDLER);
    receive(&mut south, &ticket.name, "您的投诉现由南区处理").await.unwrap()
}

#[tokio::test]
async fn t11_a_transfer_to_a_team_makes_the_ticket_that_teams() {
    let world = World::new().await;
    let mut manager = world.manager();
    let everywhere = team(&mut manager, "group", "pumps", &["an"]).await;
    let south = team(&mut manager, "group/south", "pumps", &["nan", "xi"]).await;
    team(&mut manager, "group/north", "windows", &["bei"]).await;
    let mut clerk = world.clerk();
    let ticket = clerk.create(complaint("group/north", "水泵故障")).await;
    let mut north = world.desk("bei", "group/north", role::HANDLER);
    // A team of the sender's, and none at all.
    for code in ["windows", "elevators"] {
        let error = pass_on(&mut north, transfer(&ticket.name, "group/south", code)).await;
        assert_eq!(violations(&error.unwrap_err()), ["to_team"]);
    }
    let owned = moved(&world, &ticket, "pumps").await;
    assert_eq!((&owned.team, &*owned.owner, &*owned.receiver), (&south.name, "nan", ""));
    assert_eq!(explain(&mut manager, &owned).await[0].cause(), pb::RoutingCause::Transfer);
    assert_eq!(world.count(RECOUNT).await, 0);
    // It has it already; the one above it does not, though it has the same name.
    let mut nan = world.desk("nan", "group/south", role::HANDLER);
    for to in ["", "group/south"] {
        let error = pass_on(&mut nan, transfer(&ticket.name, to, "pumps")).await.unwrap_err();
        assert_eq!(violations(&error), ["to_team"]);
    }
    pass_on(&mut manager, transfer(&ticket.name, "group", "pumps")).await.unwrap();
    let mut dong = world.desk("dong", "group", role::HANDLER);
    let queued = receive(&mut dong, &ticket.name, "已转交").await.unwrap();
    // Whoever accepts and is none of the team has it until somebody of the team is there.
    assert_eq!((&queued.team, &*queued.owner, &*queued.receiver), (&everywhere.name, "", "dong"));
    present(&world, &["an"], true).await;
    world.settle().await;
    let found = clerk.get(&ticket.name).await;
    assert_eq!((&*found.owner, &*found.receiver), ("an", ""));
    assert_eq!(world.count(RECOUNT).await, 0);
}

#[tokio::test]
async fn t11_a_team_that_was_retired_on_the_way_keeps_nobody_from_accepting() {
    let world = World::new().await;
    let mut manager = world.manager();
    let pumps = team(&mut manager, "group/south", "pumps", &["nan"]).await;
    let ticket = world.clerk().create(complaint("group/north", "水泵故障")).await;
    pass_on(&mut manager, transfer(&ticket.name, "group/south", "pumps")).await.unwrap();
    let request = pb::UpdateTeamRequest {
        team: Some(pb::Team { retired: true, ..pumps }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["retired".into()] }),
        ..Default::default()
    };
    manager.teams.update_team(request).await.unwrap();
    let mut nan = world.desk("nan", "group/south", role::HANDLER);
    let accepted = receive(&mut nan, &ticket.name, "已转交").await.unwrap();
    assert_eq!((&*accepted.team, &*accepted.receiver), ("", "nan"));
    let error = pass_on(&mut nan, transfer(&ticket.name, "", "pumps")).await.unwrap_err();
    assert_eq!(violations(&error), ["to_team"]);
}

#[tokio::test]
async fn x07_deliveries_and_actions_go_with_their_ticket() {
    let server = MailServer::start().await;
    let config = format!("adapters:\n{}", server.adapter("customer-mail"));
    let world = World::sending(&config).await;
    world.admin().apply("group", crate::delivery::with_adapters()).await.unwrap();
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    let mut north = world.desk("shi", "group/north", role::MANAGER);
    let mut south = world.desk("nan-jing", "group/south", role::MANAGER);
    server.will(["550 no such user"]);
    let route = by("customer-mail", "w@example.cn");
    send(&mut north, &ticket.name, "正在处理", route).await.unwrap();
    world.settle().await;
    let action = pb::CorrectiveAction {
        ticket: ticket.name.clone(),
        kind: pb::CorrectiveActionKind::Corrective.into(),
        description: "更换密封圈".into(),
        owner: "wang".into(),
        due_time: at("2026-03-09T02:00:00Z"),
        ..Default::default()
    };
    let planned = pb::PlanCorrectiveActionRequest {
        corrective_action: Some(action),
        request_id: request_id(7),
    };
    let action = north.actions.plan_corrective_action(planned.clone()).await.unwrap().into_inner();
    moved(&world, &ticket, "").await;
    assert!(deliveries(&mut north, "group/north", &[]).await.is_empty());
    let parked = deliveries(&mut south, "group/south", &[pb::DeliveryState::Parked]).await;
    assert_eq!((parked.len(), &*parked[0].org_unit), (1, "group/south"));
    let retry = pb::RetryDeliveryRequest { name: parked[0].name.clone(), ..Default::default() };
    let denied = north.deliveries.retry_delivery(retry.clone()).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    south.deliveries.retry_delivery(retry).await.unwrap();
    let get = pb::GetCorrectiveActionRequest { name: action.name.clone() };
    let denied = north.actions.get_corrective_action(get.clone()).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    let seen = south.actions.get_corrective_action(get).await.unwrap().into_inner();
    assert_eq!(seen.org_unit, "group/south");
    // Whoever planned it learns what it learned then, and plans no more there.
    let again = north.actions.plan_corrective_action(planned.clone()).await.unwrap().into_inner();
    assert_eq!(again, action);
    let another = pb::PlanCorrectiveActionRequest { request_id: request_id(8), ..planned };
    let denied = north.actions.plan_corrective_action(another).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
}

async fn watch(desk: &mut Desk, unit: &str) -> Streaming<pb::WatchTicketsResponse> {
    let request = pb::WatchTicketsRequest { org_unit: unit.into(), ..Default::default() };
    desk.tickets.watch_tickets(request).await.unwrap().into_inner()
}

/// The next event about a transfer.
async fn next(stream: &mut Streaming<pb::WatchTicketsResponse>) -> &'static str {
    loop {
        let event = stream.message().await.unwrap().unwrap().event;
        match event.and_then(|event| event.change) {
            Some(Change::TransferRequested(_)) => return "requested",
            Some(Change::TransferAccepted(_)) => return "accepted",
            Some(Change::TransferReturned(_)) => return "returned",
            Some(Change::TransferWithdrawn(_)) => return "withdrawn",
            _ => {}
        }
    }
}

#[tokio::test]
async fn t24_both_ends_of_a_transfer_see_it_and_nobody_else_does() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    let mut north = world.desk("bei", "group/north", role::HANDLER);
    let mut south = world.desk("nan", "group/south", role::HANDLER);
    let mut streams =
        [watch(&mut north, "group/north").await, watch(&mut south, "group/south").await];
    let mut clerk = world.clerk();
    let mut aside = watch(&mut clerk, "group/south/riverside").await;
    pass_on(&mut north, transfer(&ticket.name, "group/south", "")).await.unwrap();
    let back = pb::ReturnTransferRequest {
        name: ticket.name.clone(),
        reason: "不属于本区".into(),
        ..Default::default()
    };
    south.handling.return_transfer(back).await.unwrap();
    pass_on(&mut north, transfer(&ticket.name, "group/south", "")).await.unwrap();
    let withdraw = pb::WithdrawTransferRequest {
        name: ticket.name.clone(),
        reason: "转错了".into(),
        ..Default::default()
    };
    north.handling.withdraw_transfer(withdraw).await.unwrap();
    moved(&world, &ticket, "").await;
    let expected = ["requested", "returned", "requested", "withdrawn", "requested", "accepted"];
    for stream in &mut streams {
        let mut seen = Vec::new();
        for _ in 0..expected.len() {
            seen.push(next(stream).await);
        }
        assert_eq!(seen, expected);
    }
    pass_on(&mut south, transfer(&ticket.name, "group/south/riverside", "")).await.unwrap();
    assert_eq!(next(&mut aside).await, "requested", "the first that it sees");
}

#[tokio::test]
async fn t25_a_substitute_gets_only_what_he_may_see() {
    let world = World::new().await;
    let [lifts, ..] = company(&world, pb::Distribution::LeastLoad).await;
    let mut manager = world.manager();
    team(&mut manager, "group/south", "south", &["qiu"]).await;
    present(&world, &["qiu"], true).await;
    present(&world, &["bo", "chen"], false).await;
    let mut clerk = world.clerk();
    let north = clerk.create(complaint("group/north", "电梯坏了")).await;
    let south = clerk.create(complaint("group/south", "电梯坏了")).await;
    assert_eq!((&*north.owner, &*south.owner), ("an", "an"));
    let period = ("2026-03-03T00:00:00Z", "2026-03-06T00:00:00Z");
    // Zhou is only in a team of the north.
    let error = absent(&mut manager, "zhou", period, "qiu").await.unwrap_err();
    assert_eq!(violations(&error), ["absence.substitute"]);
    // An is in one, too.
    let error = absent(&mut manager, "an", period, "qiu").await.unwrap_err();
    assert_eq!(violations(&error), ["absence.substitute"]);
    assign(&mut manager, &north.name, &lifts, "bo").await.unwrap();
    assign(&mut manager, &south.name, &lifts, "bo").await.unwrap();
    absent(&mut manager, "bo", period, "qiu").await.unwrap();
    world.set_time("2026-03-03T00:00:00Z").await;
    let kept = clerk.get(&north.name).await;
    assert_eq!((&kept.team, &*kept.owner), (&lifts.name, "an"), "an is the only one there");
    assert_eq!(clerk.get(&south.name).await.owner, "qiu");
    let steps = explain(&mut clerk, &north).await;
    let away = &steps[steps.len() - 2];
    assert_eq!((away.cause(), &*away.owner), (pb::RoutingCause::Absence, ""));
    // A new one is nothing for him either: the team serves more than he sees.
    present(&world, &["an"], false).await;
    assert_eq!(clerk.create(complaint("group/north", "电梯停了")).await.owner, "");
    world.settle().await;
    assert_eq!(world.count(RECOUNT).await, 0);
}

#[tokio::test]
async fn t25_what_is_resolved_changes_hands_until_the_customer_has_been_told() {
    let world = World::new().await;
    let [lifts, ..] = company(&world, pb::Distribution::LeastLoad).await;
    let mut manager = world.manager();
    let ticket = world.clerk().create(complaint("group", "电梯坏了")).await;
    assert_eq!(ticket.owner, "an");
    manager.resolve(&ticket.name).await.unwrap();
    assert_eq!(world.count(RECOUNT).await, 0);
    let given = assign(&mut manager, &ticket.name, &lifts, "bo").await.unwrap();
    assert_eq!((given.state(), &*given.owner), (pb::TicketState::Resolved, "bo"));
    // Bo leaves the team, and somebody else of it has to tell the customer.
    let members = vec!["an".into(), "chen".into()];
    let request = pb::UpdateTeamRequest {
        team: Some(pb::Team { members, etag: String::new(), ..lifts }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["members".into()] }),
        ..Default::default()
    };
    manager.teams.update_team(request).await.unwrap();
    world.settle().await;
    let found = manager.get(&ticket.name).await;
    assert_eq!((found.state(), &*found.owner), (pb::TicketState::Resolved, "chen"));
    assert_eq!(world.count(RECOUNT).await, 0);
    manager.feed_back(&ticket.name).await.unwrap();
    assert_eq!(world.count(RECOUNT).await, 0);
}

#[tokio::test]
async fn t25_whoever_stands_in_does_the_absent_owners_actions_and_takes_his_orders() {
    let world = World::new().await;
    company(&world, pb::Distribution::LeastLoad).await;
    let mut manager = world.manager();
    team(&mut manager, "group", "works", &["wang"]).await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    let action = pb::CorrectiveAction {
        ticket: ticket.name.clone(),
        kind: pb::CorrectiveActionKind::Corrective.into(),
        description: "更换密封圈".into(),
        owner: "wang".into(),
        due_time: at("2026-03-09T02:00:00Z"),
        ..Default::default()
    };
    let plan =
        pb::PlanCorrectiveActionRequest { corrective_action: Some(action), ..Default::default() };
    let action = manager.actions.plan_corrective_action(plan).await.unwrap().into_inner();
    let issued = manager.issue(order("group", "更换密封圈")).await;
    let mut bo = world.desk("bo", "group", role::QUALITY);
    let mut at_work = world.desk("bo", "group", role::HANDLER);
    let start =
        pb::StartCorrectiveActionRequest { name: action.name.clone(), ..Default::default() };
    bo.actions.start_corrective_action(start.clone()).await.unwrap_err();
    at_work.accept(&issued.name).await.unwrap_err();
    let period = ("2026-03-02T02:00:00Z", "2026-03-06T00:00:00Z");
    absent(&mut manager, "wang", period, "bo").await.unwrap();
    assert_eq!(at_work.accept(&issued.name).await.unwrap().assignee, "bo");
    bo.actions.start_corrective_action(start).await.unwrap();
    let complete = pb::CompleteCorrectiveActionRequest {
        name: action.name.clone(),
        evidence: "检验合格".into(),
        ..Default::default()
    };
    bo.actions.complete_corrective_action(complete).await.unwrap();
    // He has done it, so he finds out no more whether it worked, not even when the owner is back.
    let verify = pb::VerifyCorrectiveActionRequest {
        name: action.name.clone(),
        verdict: pb::CorrectiveActionVerdict::Effective.into(),
        verification: "抽检一百件".into(),
        ..Default::default()
    };
    for time in ["2026-03-02T03:00:00Z", "2026-03-06T00:00:00Z"] {
        world.set_time(time).await;
        let error = bo.actions.verify_corrective_action(verify.clone()).await.unwrap_err();
        assert_eq!(metadata(&error, "duty"), "NOT_OWNER");
    }
    world.quality().actions.verify_corrective_action(verify).await.unwrap();
}

#[tokio::test]
async fn t25_what_an_absent_receiver_accepted_goes_to_whoever_stands_in() {
    let world = World::new().await;
    let mut manager = world.manager();
    team(&mut manager, "group/south", "south", &["nan", "xi"]).await;
    team(&mut manager, "group/south/riverside", "riverside", &["he"]).await;
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    let period = ("2026-03-03T00:00:00Z", "2026-03-06T00:00:00Z");
    let tomorrow = ("2026-03-06T00:00:00Z", "2026-03-07T00:00:00Z");
    absent(&mut manager, "nan", period, "xi").await.unwrap();
    absent(&mut manager, "xi", tomorrow, "he").await.unwrap();
    assert_eq!(moved(&world, &ticket, "").await.receiver, "nan");
    world.settle().await;
    assert_eq!(manager.get(&ticket.name).await.receiver, "nan", "not before it begins");
    world.set_time("2026-03-03T00:00:00Z").await;
    let found = manager.get(&ticket.name).await;
    assert_eq!(found.receiver, "xi");
    let history = manager.history(&ticket.name).await;
    let stood_in = history.iter().filter(|entry| entry.actor == "system/duty");
    assert_eq!(stood_in.count(), 1);
    world.set_time("2026-03-06T00:00:00Z").await;
    assert_eq!(manager.get(&ticket.name).await.receiver, "xi", "he does not see the south");
}

fn template(situation: &str, zh: &str) -> pb::MessageTemplate {
    pb::MessageTemplate {
        situation: situation.into(),
        title: Some(text("", "话术")),
        text: Some(text("", zh)),
    }
}

#[tokio::test]
async fn t11_the_policys_wording_may_name_the_customer() {
    let mut world = World::new().await;
    let wording = "尊敬的{customer.name}：工单{ticket.number}已转办";
    let message_templates = vec![template("transferred", wording)];
    world.admin().apply("group", pb::TicketPolicy { message_templates, ..policy() }).await.unwrap();
    let customer = format!("customers/{}", known_only_there(5));
    let new = pb::Ticket { customer, ..complaint("group/north", "漏水") };
    let ticket = world.clerk().create(new).await;
    let mut north = world.desk("bei", "group/north", role::HANDLER);
    let mut south = world.desk("nan", "group/south", role::HANDLER);
    pass_on(&mut north, transfer(&ticket.name, "group/south", "")).await.unwrap();
    let request = pb::AcceptTransferRequest {
        name: ticket.name.clone(),
        request_id: request_id(9),
        ..Default::default()
    };
    let accepted = south.handling.accept_transfer(request.clone()).await.unwrap().into_inner();
    let told = messages(&mut south, &ticket.name).await;
    assert_eq!(told[0].body, format!("尊敬的滨河物业：工单{}已转办", ticket.number));
    // A retry needs nobody's help.
    world.neighbours.take().unwrap().stop().await.unwrap();
    let again = south.handling.accept_transfer(request).await.unwrap().into_inner();
    assert_eq!(again, accepted);
}

#[tokio::test]
async fn x02_a_retry_after_a_transfer_has_the_first_answer() {
    let mut world = World::new().await;
    let respond = pb::WordingStep { situation: "first-response".into(), language: "zh".into() };
    let usual = pb::Macro {
        code: "usual".into(),
        title: Some(text("", "宏")),
        steps: vec![pb::AutomationStep { step: Some(Step::Respond(respond)) }],
    };
    let automatic = pb::TicketPolicy {
        macros: vec![usual],
        message_templates: vec![template("first-response", "尊敬的{customer.name}：已受理")],
        ..policy()
    };
    world.admin().apply("group", automatic).await.unwrap();
    let mut manager = world.manager();
    let pumps = team(&mut manager, "group", "pumps", &["an"]).await;
    let customer = format!("customers/{}", known_only_there(5));
    let new = pb::Ticket { customer, ..complaint("group/north", "漏水") };
    let ticket = world.clerk().create(new).await;
    let mut north = world.desk("shi", "group/north", role::MANAGER);
    let apply = pb::ApplyMacroRequest {
        name: ticket.name.clone(),
        r#macro: "usual".into(),
        request_id: request_id(1),
        ..Default::default()
    };
    let assign = pb::AssignTicketRequest {
        name: ticket.name.clone(),
        team: pumps.name.clone(),
        owner: "an".into(),
        reason: "熟悉情况".into(),
        request_id: request_id(2),
        ..Default::default()
    };
    let cause = pb::RootCause {
        ticket: ticket.name.clone(),
        cause: "seal".into(),
        method: "5-why".into(),
        finding: "密封圈老化".into(),
        ..Default::default()
    };
    let cause = pb::RecordRootCauseRequest { root_cause: Some(cause), request_id: request_id(3) };
    let applied = north.automation.apply_macro(apply.clone()).await.unwrap().into_inner();
    let assigned = north.routing.assign_ticket(assign.clone()).await.unwrap().into_inner();
    let recorded = north.actions.record_root_cause(cause.clone()).await.unwrap().into_inner();
    moved(&world, &ticket, "").await;
    world.neighbours.take().unwrap().stop().await.unwrap();
    let again = north.automation.apply_macro(apply.clone()).await.unwrap().into_inner();
    assert_eq!(again, applied);
    let again = north.routing.assign_ticket(assign.clone()).await.unwrap().into_inner();
    assert_eq!(again, assigned);
    let again = north.actions.record_root_cause(cause.clone()).await.unwrap().into_inner();
    assert_eq!(again, recorded);
    // Anything else of them is denied as ever, and so is everybody else's.
    let other = pb::AssignTicketRequest { owner: String::new(), ..assign.clone() };
    let error = north.routing.assign_ticket(other).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    let mut stranger = world.desk("li", "group/north", role::MANAGER);
    let error = stranger.routing.assign_ticket(assign).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    let error = stranger.automation.apply_macro(apply).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    let error = stranger.actions.record_root_cause(cause).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn t20_a_report_of_the_past_stays_as_it_was_when_a_ticket_goes_elsewhere() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let ticket = clerk.create(complaint("group/north", "漏水")).await;
    let closed = clerk.create(complaint("group/north", "噪音")).await;
    let elsewhere = clerk.create(complaint("group/south", "停电")).await;
    let mut manager = world.manager();
    manager.handle(&closed.name).await;
    world.pass_hours(30).await;
    let units = ["group", "group/north", "group/south"];
    let question = |unit: &str| pb::GetComplaintReportRequest {
        org_unit: unit.into(),
        as_of_time: at("2026-03-03T08:00:00Z"),
        ..Default::default()
    };
    let mut before = Vec::new();
    for unit in units {
        let report = clerk.reports.get_complaint_report(question(unit)).await.unwrap();
        before.push(report.into_inner());
    }
    let open = |report: &pb::ComplaintReport| report.open.as_ref().unwrap().count;
    assert_eq!((before[1].received, open(&before[1]), before[1].overdue), (2, 2, 1));
    // Away, on, and the other one's back; one ends there.
    world.pass_hours(1).await;
    moved(&world, &ticket, "").await;
    let mut south = world.desk("nan", "group/south", role::HANDLER);
    pass_on(&mut south, transfer(&ticket.name, "group/south/riverside", "")).await.unwrap();
    let mut dong = world.desk("dong", "group/south/riverside", role::HANDLER);
    receive(&mut dong, &ticket.name, "已转交").await.unwrap();
    pass_on(&mut manager, transfer(&elsewhere.name, "group/north", "")).await.unwrap();
    let mut bei = world.desk("bei", "group/north", role::HANDLER);
    receive(&mut bei, &elsewhere.name, "已转交").await.unwrap();
    world.quality().verdict(&closed.name, 1).await.unwrap();
    for (unit, before) in units.iter().zip(&before) {
        let report = clerk.reports.get_complaint_report(question(unit)).await.unwrap().into_inner();
        assert_eq!(report.received, before.received, "{unit}");
        assert_eq!(report.overdue, before.overdue, "{unit}");
        // The oldest are shown with where they are now, to be found.
        let aged = |report: &pb::ComplaintReport| {
            let open = report.open.clone().unwrap();
            (open.count, open.overdue, open.buckets)
        };
        assert_eq!(aged(&report), aged(before), "{unit}");
        assert_eq!(report.org_units, before.org_units, "{unit}");
        assert_eq!(report.backlog, before.backlog, "{unit}");
        assert_eq!(report.compliance, before.compliance, "{unit}");
    }
    // Now they are where they are.
    let now =
        pb::GetComplaintReportRequest { org_unit: "group/north".into(), ..Default::default() };
    let report = clerk.reports.get_complaint_report(now).await.unwrap().into_inner();
    assert_eq!((report.received, open(&report)), (2, 1));
}

#[tokio::test]
async fn t20_one_weeks_end_is_the_nexts_start_and_what_moved_in_between_is_told() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let away = clerk.create(complaint("group/north", "漏水")).await;
    let twin = clerk.create(complaint("group/north", "电梯停了")).await;
    let lift = clerk.create(complaint("group/north", "电梯又停了")).await;
    let comes = clerk.create(complaint("group/south", "停电")).await;
    world.set_time("2026-03-09T02:00:00Z").await;
    moved(&world, &away, "").await;
    let (mut manager, mut bei) = (world.manager(), world.desk("bei", "group/north", role::HANDLER));
    pass_on(&mut manager, transfer(&comes.name, "group/north", "")).await.unwrap();
    receive(&mut bei, &comes.name, "已转交").await.unwrap();
    crate::merge::merge(&mut manager, &twin.name, &lift.name).await.unwrap();
    // Open at the start, received, moved and merged, open at the end.
    let ended = Some("2026-03-08T16:00:00Z");
    for (unit, week, as_of, expected) in [
        ("group/north", "2026-W10", ended, [0, 3, 0, 3]),
        // The same when it is asked after what happened later.
        ("group/north", "2026-W10", None, [0, 3, 0, 3]),
        ("group/north", "2026-W11", None, [3, 0, -1, 2]),
        ("group/south", "2026-W10", ended, [0, 1, 0, 1]),
        ("group/south", "2026-W10", None, [0, 1, 0, 1]),
        ("group/south", "2026-W11", None, [1, 0, 0, 1]),
        ("group", "2026-W11", None, [4, 0, -1, 3]),
    ] {
        let question = pb::GetComplaintReportRequest {
            org_unit: unit.into(),
            week: week.into(),
            as_of_time: as_of.and_then(at),
            ..Default::default()
        };
        let report = clerk.reports.get_complaint_report(question).await.unwrap().into_inner();
        let backlog = report.backlog.unwrap();
        let told =
            [backlog.open_at_start, backlog.received, backlog.other_changes, backlog.open_at_end];
        assert_eq!(told, expected, "{unit} {week}");
        assert_eq!((backlog.closed, backlog.cancelled), (0, 0));
    }
}
