//! T-09, T-10, T-12, T-13: attempts to reach the customer, plan, meetings, findings, forms, executive review.

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::handling_record::Content;
use kefu_identity::role;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::errors::{in_chinese, said};
use crate::pack::{policy, text};
use crate::world::{Desk, World, at, complaint, metadata, reason, request_id, violations};

/// The types of what is missing.
pub fn lacking(status: &tonic::Status) -> Vec<String> {
    assert_eq!(reason(status), "ILLEGAL_STATE", "{status:?}");
    let missing = status.get_details_precondition_failure().unwrap().violations;
    missing.into_iter().map(|violation| violation.r#type).collect()
}

/// A world whose policy says this as well.
pub async fn world_with(more: impl FnOnce(&mut pb::TicketPolicy)) -> World {
    let world = World::new().await;
    let mut policy = policy();
    more(&mut policy);
    world.admin().apply("group", policy).await.unwrap();
    world
}

fn attempt(name: &str) -> pb::RecordContactAttemptRequest {
    pb::RecordContactAttemptRequest {
        name: name.into(),
        attempt: Some(pb::ContactAttempt {
            channel: pb::TicketChannel::Phone.into(),
            note: "无人接听".into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn close(name: &str) -> pb::CloseTicketRequest {
    pb::CloseTicketRequest {
        name: name.into(),
        reason: "三天三次均未联系上".into(),
        ..Default::default()
    }
}

async fn records(desk: &mut Desk, name: &str) -> Vec<pb::HandlingRecord> {
    let request = pb::ListHandlingRecordsRequest { parent: name.into(), ..Default::default() };
    desk.handling.list_handling_records(request).await.unwrap().into_inner().records
}

#[tokio::test]
async fn t09_a_ticket_closes_without_a_verdict_after_three_documented_failures() {
    let world = world_with(|policy| {
        policy.contact_attempts = Some(pb::ContactAttemptRule {
            failed_attempts: 3,
            distinct_days: true,
            ..Default::default()
        });
    })
    .await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    world.manager().handle(&ticket.name).await;
    let mut quality = world.quality();
    for more in (1..=3).rev() {
        let error = quality.handling.close_ticket(close(&ticket.name)).await.unwrap_err();
        assert_eq!(lacking(&error), ["CONTACT_ATTEMPTS"]);
        assert_eq!(metadata(&error, "state"), "RESULT_FED_BACK");
        let missing = error.get_details_precondition_failure().unwrap().violations;
        assert!(missing[0].description.starts_with(&format!("{more} more")), "{missing:?}");
        quality.handling.record_contact_attempt(attempt(&ticket.name)).await.unwrap();
        world.pass_hours(24).await;
    }
    let error = world.manager().handling.close_ticket(close(&ticket.name)).await.unwrap_err();
    assert_eq!(reason(&error), "SEPARATION_OF_DUTIES");
    let error = world.clerk().handling.close_ticket(close(&ticket.name)).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    let closed = quality.handling.close_ticket(close(&ticket.name)).await.unwrap().into_inner();
    assert_eq!((closed.state(), closed.verdicts.len()), (pb::TicketState::Closed, 0));
    assert_eq!(closed.close_reason, "三天三次均未联系上");
    assert_eq!(quality.get(&ticket.name).await, closed);
    let records = records(&mut quality, &ticket.name).await;
    assert_eq!(records.len(), 3);
    let Some(Content::ContactAttempt(first)) = &records[0].content else { panic!("{records:?}") };
    assert!(first.counts && !first.reached);
    assert_eq!(first.note, "无人接听");
    let error = quality.handling.record_contact_attempt(attempt(&ticket.name)).await.unwrap_err();
    assert_eq!(lacking(&error), ["NOT_ENDED"]);
}

#[tokio::test]
async fn x02_x03_x06_a_handling_command_is_safe_to_retry_and_names_every_wrong_field() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    let mut desk = world.manager();
    let mut request = attempt(&ticket.name);
    request.request_id = request_id(7);
    let first = desk.handling.record_contact_attempt(request.clone()).await.unwrap().into_inner();
    let again = desk.handling.record_contact_attempt(request.clone()).await.unwrap().into_inner();
    assert_eq!(first, again);
    assert_eq!(world.count("SELECT count(*) FROM handling_record").await, 1);
    request.request_id = request_id(8);
    request.etag = ticket.etag.clone();
    let error = desk.handling.record_contact_attempt(request).await.unwrap_err();
    assert_eq!(reason(&error), "ETAG_STALE");
    let wrong = pb::RecordContactAttemptRequest {
        name: "tickets/x".into(),
        etag: "?".into(),
        attempt: Some(pb::ContactAttempt {
            channel: 99,
            attempt_time: at("2099-01-01T00:00:00Z"),
            note: "\u{0}".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let error = desk.handling.record_contact_attempt(wrong).await.unwrap_err();
    let mut fields = violations(&error);
    fields.sort();
    let expected = ["attempt.attempt_time", "attempt.channel", "attempt.note", "etag", "name"];
    assert_eq!(fields, expected);
    let items = (0..51).map(|_| pb::PlanItem::default()).collect();
    let many = pb::SetHandlingPlanRequest { name: ticket.name, items, ..Default::default() };
    let error = desk.handling.set_handling_plan(many).await.unwrap_err();
    assert_eq!(violations(&error), ["items"]);
}

#[tokio::test]
async fn t10_a_plan_is_agreed_done_and_seen_when_it_is_overdue() {
    let world = world_with(|policy| {
        policy.handling_plan = Some(pb::PlanRule { severities: vec![1], agreement: true });
    })
    .await;
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    let mut desk = world.manager();
    assert_eq!(lacking(&desk.resolve(&ticket.name).await.unwrap_err()), ["PLAN"]);
    let item = |what: &str, due: &str| pb::PlanItem {
        who: "王工".into(),
        what: what.into(),
        due_time: at(due),
        ..Default::default()
    };
    let plan = pb::SetHandlingPlanRequest {
        name: ticket.name.clone(),
        items: vec![
            item("查明渗漏点", "2026-03-02T06:00:00Z"),
            item("更换防水层", "2026-03-05T06:00:00Z"),
        ],
        ..Default::default()
    };
    desk.handling.set_handling_plan(plan.clone()).await.unwrap();
    assert_eq!(lacking(&desk.resolve(&ticket.name).await.unwrap_err()), ["PLAN_AGREEMENT"]);
    let agreement = Some(pb::PlanAgreement { how: "电话确认".into(), agree_time: None });
    let agree =
        pb::AgreeHandlingPlanRequest { name: ticket.name.clone(), agreement, ..Default::default() };
    desk.handling.agree_handling_plan(agree).await.unwrap();
    world.pass_hours(5).await;
    let overdue = |org_unit: &str| pb::ListOverduePlanItemsRequest {
        org_unit: org_unit.into(),
        ..Default::default()
    };
    let seen = desk.handling.list_overdue_plan_items(overdue("group")).await.unwrap().into_inner();
    assert_eq!(seen.items.len(), 1);
    assert!(seen.items[0].overdue && seen.items[0].what == "查明渗漏点");
    let south = desk.handling.list_overdue_plan_items(overdue("group/south")).await.unwrap();
    assert!(south.into_inner().items.is_empty());
    let done =
        pb::CompletePlanItemRequest { name: ticket.name.clone(), item: 1, ..Default::default() };
    desk.handling.complete_plan_item(done.clone()).await.unwrap();
    let error = desk.handling.complete_plan_item(done).await.unwrap_err();
    assert_eq!(lacking(&error), ["OPEN_ITEM"]);
    let get = pb::GetHandlingPlanRequest { name: ticket.name.clone() };
    let kept = desk.handling.get_handling_plan(get.clone()).await.unwrap().into_inner();
    assert_eq!(kept.agreement.as_ref().unwrap().how, "电话确认");
    assert_eq!((kept.version, kept.items[0].done_by.as_str()), (1, "manager"));
    assert!(kept.items[0].done_time.is_some() && kept.items[1].done_time.is_none());
    let late = desk.handling.set_handling_plan(plan).await.unwrap_err();
    assert_eq!(violations(&late), ["items[0].due_time"]);
    desk.resolve(&ticket.name).await.unwrap();
    desk.feed_back(&ticket.name).await.unwrap();
    world.quality().verdict(&ticket.name, 1).await.unwrap();
    world.pass_hours(24 * 30).await;
    let seen = desk.handling.list_overdue_plan_items(overdue("group")).await.unwrap().into_inner();
    assert!(seen.items.is_empty(), "nobody does anything for a closed ticket");
}

#[tokio::test]
async fn t10_a_reopened_ticket_needs_a_plan_of_its_own_also_one_from_before_plans_had_cycles() {
    let world = world_with(|policy| {
        policy.handling_plan = Some(pb::PlanRule { severities: vec![], agreement: true });
    })
    .await;
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    let mut desk = world.manager();
    let plan = |what: &str, due: &str| pb::SetHandlingPlanRequest {
        name: ticket.name.clone(),
        items: vec![pb::PlanItem {
            who: "王工".into(),
            what: what.into(),
            due_time: at(due),
            ..Default::default()
        }],
        agreement: Some(pb::PlanAgreement { how: "电话确认".into(), agree_time: None }),
        ..Default::default()
    };
    let first = plan("更换防水层", "2026-03-05T06:00:00Z");
    desk.handling.set_handling_plan(first).await.unwrap();
    desk.handle(&ticket.name).await;
    world.quality().verdict(&ticket.name, 4).await.unwrap();
    let get = pb::GetHandlingPlanRequest { name: ticket.name.clone() };
    let kept = desk.handling.get_handling_plan(get.clone()).await.unwrap().into_inner();
    assert_eq!((kept.version, kept.cycle), (1, 1), "still there to be seen");
    assert_eq!(lacking(&desk.resolve(&ticket.name).await.unwrap_err()), ["PLAN"]);
    let agree = pb::AgreeHandlingPlanRequest {
        name: ticket.name.clone(),
        agreement: kept.agreement,
        ..Default::default()
    };
    let error = desk.handling.agree_handling_plan(agree).await.unwrap_err();
    assert_eq!(lacking(&error), ["PLAN"]);
    let second = plan("重做防水层", "2026-03-09T06:00:00Z");
    desk.handling.set_handling_plan(second).await.unwrap();
    let kept = desk.handling.get_handling_plan(get.clone()).await.unwrap().into_inner();
    assert_eq!((kept.version, kept.cycle), (2, 2));
    // As a release before this one has stored it: what migration 0034 does to it, and what it does not look at.
    let forget = "UPDATE ticket SET handling = handling #- '{plan,cycle}'";
    let owner = world.database.owner_pool().unwrap();
    sqlx::query(forget).execute(&owner).await.unwrap();
    let first = desk.handling.get_handling_plan(get.clone()).await.unwrap().into_inner();
    assert_eq!(first.cycle, 1, "without one it is of the first");
    let migration = include_str!("../../migrations/0034_late.sql");
    let update =
        migration.split_inclusive(';').find(|part| part.contains("UPDATE ticket")).unwrap();
    sqlx::raw_sql(update).execute(&owner).await.unwrap();
    let told = desk.handling.get_handling_plan(get).await.unwrap().into_inner();
    assert_eq!(told.cycle, 2, "the journal tells");
    desk.resolve(&ticket.name).await.unwrap();
}

#[tokio::test]
async fn t10_meetings_and_findings_are_on_record_and_never_leave() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    let mut desk = world.manager();
    let meeting = pb::Meeting {
        meet_time: at("2026-03-02T01:00:00Z"),
        participants: vec!["王工".into(), "李经理".into()],
        decisions: "更换防水层，费用由公司承担".into(),
    };
    let request = pb::RecordMeetingRequest {
        name: ticket.name.clone(),
        meeting: Some(meeting.clone()),
        ..Default::default()
    };
    desk.handling.record_meeting(request).await.unwrap();
    let finding = Some(pb::Finding { finding: "施工时未做闭水试验".into() });
    let request = pb::RecordFindingRequest {
        name: ticket.name.clone(),
        finding: finding.clone(),
        ..Default::default()
    };
    desk.handling.record_finding(request).await.unwrap();
    let found = records(&mut desk, &ticket.name).await;
    assert_eq!(found[0].content, Some(Content::Meeting(meeting)));
    assert_eq!(found[1].content, finding.map(Content::Finding));
    let published =
        "SELECT count(*) FROM journal WHERE aggregate_type = 'ticket' AND event IS NOT NULL";
    assert_eq!(world.count(published).await, 1, "only the registration");
    let history = desk.history(&ticket.name).await;
    assert_eq!((history.len(), history[1].action.as_str()), (3, "RecordMeeting"));
    assert!(history[1].after_json.contains("费用由公司承担"));
}

#[tokio::test]
async fn t12_a_level_without_authority_escalates_and_the_form_is_filled_in() {
    let world = world_with(|policy| {
        policy.authorities = vec![pb::LevelAuthority {
            level: 1,
            categories: vec!["服务".into()],
            ..Default::default()
        }];
        policy.handling_form_required = true;
    })
    .await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    let mut desk = world.desk("wang", "group", role::HANDLER);
    let error = desk.resolve(&ticket.name).await.unwrap_err();
    assert_eq!(lacking(&error), ["AUTHORITY"]);
    let escalate = pb::EscalateTicketRequest {
        name: ticket.name.clone(),
        reason: "超出权限".into(),
        ..Default::default()
    };
    let raised = desk.tickets.escalate_ticket(escalate).await.unwrap().into_inner();
    assert_eq!(raised.escalations[0].cause(), pb::EscalationCause::Authority);
    assert_eq!(desk.get(&ticket.name).await, raised);
    let error = desk.resolve(&ticket.name).await.unwrap_err();
    assert_eq!(lacking(&error), ["HANDLING_FORM"]);
    let form = pb::HandlingForm { form: 0, opinion: "同意".into(), decision: "退款".into() };
    let request = pb::CompleteHandlingFormRequest {
        name: ticket.name.clone(),
        form: Some(form),
        ..Default::default()
    };
    world.manager().handling.complete_handling_form(request.clone()).await.unwrap();
    let error = world.manager().handling.complete_handling_form(request).await.unwrap_err();
    assert_eq!(lacking(&error), ["EMPTY_FORM"]);
    let found = records(&mut desk, &ticket.name).await;
    let Some(Content::HandlingForm(form)) = &found[0].content else { panic!("{found:?}") };
    assert_eq!((form.form, form.decision.as_str()), (1, "退款"));
    desk.resolve(&ticket.name).await.unwrap();
}

#[tokio::test]
async fn t12_a_level_resolves_up_to_its_amount_and_says_so_in_both_languages() {
    let world = world_with(|policy| {
        policy.authorities = vec![pb::LevelAuthority {
            level: 1,
            max_amount_cents: 500_000,
            currency: "CNY".into(),
            ..Default::default()
        }];
    })
    .await;
    let about = |amount_cents| pb::Ticket {
        amount_cents,
        currency: "CNY".into(),
        ..complaint("group", "要求退款")
    };
    let mut desk = world.desk("wang", "group", role::HANDLER);
    let small = world.clerk().create(about(500_000)).await;
    desk.resolve(&small.name).await.unwrap();
    let large = world.clerk().create(about(1_200_050)).await;
    let request = pb::ResolveTicketRequest {
        name: large.name.clone(),
        solution: "全额退款".into(),
        ..Default::default()
    };
    let error = desk.tickets.resolve_ticket(in_chinese(request)).await.unwrap_err();
    assert_eq!(lacking(&error), ["AUTHORITY"]);
    let english = error.get_details_precondition_failure().unwrap().violations;
    let why = &english[0].description;
    assert!(why.contains("up to 5000.00 CNY, and it is about 12000.50 CNY"), "{why}");
    let zh = said(&error);
    assert!(zh.contains("办结限额为 5000.00 CNY，本单金额 12000.50 CNY"), "{zh}");
    let escalate = pb::EscalateTicketRequest {
        name: large.name.clone(),
        reason: "超出限额".into(),
        ..Default::default()
    };
    let raised = desk.tickets.escalate_ticket(escalate).await.unwrap().into_inner();
    assert_eq!(raised.escalations[0].cause(), pb::EscalationCause::Authority);
    desk.resolve(&large.name).await.unwrap();
}

#[tokio::test]
async fn t12_a_level_is_for_those_who_have_it_and_an_escalation_gives_nobody_its_authority() {
    let world = world_with(|policy| {
        policy.levels[1].roles = vec![role::MANAGER.to_owned()];
        policy.handling_form_required = true;
    })
    .await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    let mut desk = world.desk("wang", "group", role::HANDLER);
    let escalate = pb::EscalateTicketRequest {
        name: ticket.name.clone(),
        reason: "超出权限".into(),
        ..Default::default()
    };
    desk.tickets.escalate_ticket(escalate).await.unwrap();
    let form = pb::HandlingForm { form: 0, opinion: "同意".into(), decision: "退款".into() };
    let request = pb::CompleteHandlingFormRequest {
        name: ticket.name.clone(),
        form: Some(form),
        ..Default::default()
    };
    world.manager().handling.complete_handling_form(request).await.unwrap();
    let before = desk.get(&ticket.name).await;
    let error = desk.resolve(&ticket.name).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied, "{error:?}");
    let lack = error.get_details_precondition_failure().unwrap().violations;
    assert_eq!(lack[0].r#type, "LEVEL");
    assert!(error.message().contains("level 2: manager"), "{}", error.message());
    assert_eq!(desk.get(&ticket.name).await, before);
    let resolved = world.manager().resolve(&ticket.name).await.unwrap();
    assert_eq!(resolved.state(), pb::TicketState::Resolved);
}

#[tokio::test]
async fn t12_only_the_executives_end_their_review_with_a_decision_on_record() {
    let world = World::new().await;
    let severe = pb::Ticket { severity: 3, ..complaint("group", "有人受伤") };
    let ticket = world.clerk().create(severe).await;
    for _ in 0..2 {
        world.manager().handle(&ticket.name).await;
        world.quality().verdict(&ticket.name, 5).await.unwrap();
    }
    let error = world.manager().resolve(&ticket.name).await.unwrap_err();
    assert_eq!(lacking(&error), ["EXECUTIVE_DECISION"]);
    let request = pb::DecideExecutiveReviewRequest {
        name: ticket.name.clone(),
        decision: Some(pb::ExecutiveDecision {
            decision: "全额赔付并致歉".into(),
            outcome: pb::ExecutiveOutcome::Solution.into(),
        }),
        ..Default::default()
    };
    let error = world.manager().handling.decide_executive_review(request.clone()).await;
    assert_eq!(error.unwrap_err().code(), Code::PermissionDenied);
    let mut director = world.desk("director", "group", role::DIRECTOR);
    let decided = director.handling.decide_executive_review(request).await.unwrap().into_inner();
    assert_eq!(decided.state(), pb::TicketState::Resolved);
    assert_eq!(decided.solution, "全额赔付并致歉");
    assert_eq!(director.get(&ticket.name).await, decided);
    let found = records(&mut director, &ticket.name).await;
    let Some(Content::ExecutiveDecision(decision)) = &found[0].content else { panic!("{found:?}") };
    assert_eq!(decision.outcome(), pb::ExecutiveOutcome::Solution);
}

#[tokio::test]
async fn x06_a_policy_with_faults_about_handling_is_refused_with_every_path() {
    let world = World::new().await;
    let mut policy = policy();
    policy.contact_attempts = Some(pb::ContactAttemptRule {
        failed_attempts: 21,
        min_interval: Some(prost_types::Duration { seconds: -1, nanos: 0 }),
        ..Default::default()
    });
    policy.authorities = vec![
        pb::LevelAuthority { level: 3, max_amount_cents: -1, ..Default::default() },
        pb::LevelAuthority { level: 1, currency: "CNY".into(), ..Default::default() },
    ];
    policy.headquarters_reporting = Some(pb::HeadquartersReporting {
        criteria: vec![pb::ReportCriterion {
            title: Some(text("Injury", "伤亡")),
            keywords: vec!["。".into()],
            ..Default::default()
        }],
        ..Default::default()
    });
    let error = world.admin().apply("group", policy).await.unwrap_err();
    let mut fields = violations(&error);
    fields.sort();
    let expected = [
        "policy.authorities[0].currency",
        "policy.authorities[0].level",
        "policy.authorities[0].max_amount_cents",
        "policy.authorities[1].currency",
        "policy.contact_attempts.failed_attempts",
        "policy.contact_attempts.min_interval",
        "policy.headquarters_reporting.criteria[0].keywords[0]",
    ];
    assert_eq!(fields, expected);
}
