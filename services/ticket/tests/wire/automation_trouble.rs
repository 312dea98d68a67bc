//! T-26: triggers that should have acted and did not, where an operator sees them; T-11, T-15, T-23: what waits for a receiver and
//! for headquarters is found.

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::automation_step::Step;
use kefu_identity::role;
use tonic::Code;

use crate::automation::{automatic, retag, runs, step, trigger, with};
use crate::pack::{hours, text};
use crate::supervision::{answer, headquarters, supervise};
use crate::world::{Desk, World, at, complaint, violations};

fn asked(org_unit: &str) -> pb::ListTroubledTriggerRunsRequest {
    pb::ListTroubledTriggerRunsRequest { org_unit: org_unit.into(), ..Default::default() }
}

async fn page(
    desk: &mut Desk,
    request: pb::ListTroubledTriggerRunsRequest,
) -> (Vec<(String, pb::TriggerOutcome, String)>, String) {
    let answer = desk.automation.list_troubled_trigger_runs(request).await.unwrap().into_inner();
    let told = |run: pb::TriggerRun| (run.ticket.clone(), run.outcome(), run.org_unit);
    (answer.trigger_runs.into_iter().map(told).collect(), answer.next_page_token)
}

#[tokio::test]
async fn t26_triggers_that_could_not_act_are_found_by_org_unit_outcome_and_time() {
    // At the top there is nobody above: the third time is refused. The fifth is once too often.
    let up = trigger(
        "up",
        pb::TriggerEvent::Updated,
        None,
        vec![step(Step::Escalate("请上级处理".into()))],
    );
    let policy = pb::TicketPolicy { max_trigger_runs_per_hour: 2, ..automatic(vec![up]) };
    let world = with(World::new().await, policy).await;
    let mut manager = world.manager();
    let north = manager.create(complaint("group/north/riverside", "漏水")).await.name;
    let severe = pb::Ticket { severity: 3, ..complaint("group/south", "停电") };
    let south = manager.create(severe).await.name;
    for round in 0..3 {
        for name in [&north, &south] {
            retag(&mut manager, name, &[&format!("第{round}次")]).await;
            world.settle().await;
        }
    }
    let mut operator = world.desk("yun-wei", "group", role::OPERATOR);
    let (refused, often) = (pb::TriggerOutcome::Refused, pb::TriggerOutcome::TooOften);
    let in_north = (north.clone(), often, "group/north/riverside".to_owned());
    let in_south = (south.clone(), refused, "group/south".to_owned());
    let (all, next) = page(&mut operator, asked("group")).await;
    assert_eq!((all.len(), &*next), (3, ""), "{all:?}");
    assert_eq!(all.iter().filter(|found| **found == in_north).count(), 1);
    assert_eq!(all.iter().filter(|found| **found == in_south).count(), 2);
    // Page by page it is the same, each once.
    let mut request = pb::ListTroubledTriggerRunsRequest { page_size: 1, ..asked("group") };
    let mut paged = Vec::new();
    for _ in 0..3 {
        let (found, next) = page(&mut operator, request.clone()).await;
        paged.extend(found);
        request.page_token = next;
    }
    assert_eq!((paged, &*request.page_token), (all, ""));
    let only = pb::ListTroubledTriggerRunsRequest {
        outcomes: vec![often.into(), often.into()],
        ..asked("group")
    };
    assert_eq!(page(&mut operator, only).await.0, [in_north]);
    assert_eq!(page(&mut operator, asked("group/south")).await.0, [in_south.clone(), in_south]);
    assert!(page(&mut operator, asked("group/sou")).await.0.is_empty(), "a name, not a path");
    let start = at("2026-03-02T02:00:00Z");
    let earlier = pb::ListTroubledTriggerRunsRequest { before_time: start, ..asked("group") };
    assert!(page(&mut operator, earlier).await.0.is_empty());
    let since = pb::ListTroubledTriggerRunsRequest { from_time: start, ..asked("group") };
    assert_eq!(page(&mut operator, since).await.0.len(), 3);
    // What is on record at the ticket is the same.
    let there = runs(&mut manager, &north).await;
    assert_eq!(there.iter().filter(|run| run.1 == often).count(), 1);
    assert_eq!(there.iter().filter(|run| run.1 == pb::TriggerOutcome::Acted).count(), 2);

    let mut elsewhere = world.desk("yun-wei", "group/south", role::OPERATOR);
    let denied = elsewhere.automation.list_troubled_trigger_runs(asked("group/north")).await;
    assert_eq!(denied.unwrap_err().code(), Code::PermissionDenied);
    let bad = pb::ListTroubledTriggerRunsRequest {
        org_unit: "Group".into(),
        outcomes: vec![pb::TriggerOutcome::Acted.into(), 99],
        from_time: start,
        before_time: start,
        page_size: -1,
        page_token: "x".into(),
    };
    let error = operator.automation.list_troubled_trigger_runs(bad).await.unwrap_err();
    let mut fields = violations(&error);
    fields.sort_unstable();
    let expected =
        ["before_time", "org_unit", "outcomes[0]", "outcomes[1]", "page_size", "page_token"];
    assert_eq!(fields, expected);
}

async fn subjects(desk: &mut Desk, org_unit: &str, filter: &str) -> Vec<String> {
    let request = pb::ListQueueRequest {
        org_unit: org_unit.into(),
        filter: filter.into(),
        ..Default::default()
    };
    let found = desk.queues.list_queue(request).await.unwrap().into_inner().entries;
    let mut found: Vec<_> =
        found.into_iter().filter_map(|entry| Some(entry.ticket?.subject)).collect();
    found.sort();
    found
}

#[tokio::test]
async fn t15_headquarters_finds_what_was_reported_and_watched_and_a_receiver_what_is_on_its_way() {
    let mut policy = automatic(Vec::new());
    policy.headquarters_reporting = Some(pb::HeadquartersReporting {
        criteria: vec![pb::ReportCriterion {
            title: Some(text("Very serious", "重大投诉")),
            severities: vec![3],
            ..Default::default()
        }],
        supervise_within: hours(48),
    });
    let world = with(World::new().await, policy).await;
    let mut hq = headquarters(&world);
    let mut clerk = world.clerk();
    let severe = pb::Ticket { severity: 3, ..complaint("group/north", "有人受伤") };
    let severe = clerk.create(severe).await.name;
    let watched = clerk.create(complaint("group/north", "电梯故障")).await.name;
    let sent = clerk.create(complaint("group/north", "停电")).await.name;
    clerk.create(complaint("group/north", "漏水")).await;
    hq.handling.supervise_ticket(supervise(&watched, "2026-03-03T02:00:00Z")).await.unwrap();
    let mut north = world.desk("bei", "group/north", role::HANDLER);
    let transfer = pb::TransferTicketRequest {
        name: sent.clone(),
        to_org_unit: "group/south".into(),
        handover_note: "请回电".into(),
        ..Default::default()
    };
    north.handling.transfer_ticket(transfer).await.unwrap();
    world.settle().await;
    let mut found = async |filter: &str| subjects(&mut hq, "group", filter).await;
    assert_eq!(found("report_time:*").await, ["有人受伤"]);
    assert_eq!(found("report_time >= \"2026-03-02T00:00:00Z\"").await, ["有人受伤"]);
    assert!(found("report_time < \"2026-03-02T00:00:00Z\"").await.is_empty());
    assert_eq!(found("supervision = OPEN").await, ["有人受伤", "电梯故障"]);
    assert_eq!(found("transfer_to:*").await, ["停电"]);
    assert_eq!(found("transfer_to:\"group/south\"").await, ["停电"]);
    assert!(found("transfer_to:\"group/north\"").await.is_empty());
    assert_eq!(found("NOT supervision:* AND NOT transfer_to:*").await, ["漏水"]);
    // One is answered, the other's date passes, and what was sent is accepted.
    north.handling.answer_supervision(answer(&severe)).await.unwrap();
    let accept = pb::AcceptTransferRequest {
        name: sent,
        message: "您的投诉现由南区处理".into(),
        ..Default::default()
    };
    world.desk("nan", "group/south", role::HANDLER).handling.accept_transfer(accept).await.unwrap();
    world.set_time("2026-03-03T02:00:00Z").await;
    world.settle().await;
    assert_eq!(found("supervision = ANSWERED").await, ["有人受伤"]);
    assert_eq!(found("supervision = MISSED").await, ["电梯故障"]);
    assert!(found("transfer_to:*").await.is_empty());
    let end = pb::EndSupervisionRequest {
        name: watched,
        conclusion: "整改到位".into(),
        ..Default::default()
    };
    headquarters(&world).handling.end_supervision(end).await.unwrap();
    world.settle().await;
    assert_eq!(found("supervision:*").await, ["有人受伤"]);
}
