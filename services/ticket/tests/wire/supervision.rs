//! T-15: supervision by headquarters, urging, and what is reported by itself.

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::handling_record::Content;
use kefu_identity::role;

use crate::handling::{lacking, world_with};
use crate::pack::{hours, text};
use crate::world::{Desk, World, at, complaint, violations};

pub fn headquarters(world: &World) -> Desk {
    world.desk("hq", "group", role::HEADQUARTERS)
}

pub fn supervise(name: &str, due: &str) -> pb::SuperviseTicketRequest {
    pb::SuperviseTicketRequest {
        name: name.into(),
        instruction: "请于明日前说明原因和整改措施".into(),
        answer_due_time: at(due),
        ..Default::default()
    }
}

pub fn answer(name: &str) -> pb::AnswerSupervisionRequest {
    pb::AnswerSupervisionRequest {
        name: name.into(),
        answer: "已更换电机，三日内复检".into(),
        ..Default::default()
    }
}

pub fn missed_answer(policy: &mut pb::TicketPolicy) {
    policy.violations.push(pb::ViolationRule {
        code: "no-answer".into(),
        description: Some(text("Headquarters was not answered", "未按期答复督办")),
        amount_cents: 10_000,
        currency: "CNY".into(),
        ..pb::ViolationRule::default()
    });
    let missed_answer_violation = "no-answer".to_owned();
    policy.supervision = Some(pb::SupervisionRule { missed_answer_violation });
}

#[tokio::test]
async fn t15_headquarters_supervises_urges_and_ends_and_the_unit_answers() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group/north", "电梯故障")).await;
    let mut hq = headquarters(&world);
    let request = supervise(&ticket.name, "2026-03-03T02:00:00Z");
    let error = world.manager().handling.supervise_ticket(request.clone()).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::PermissionDenied);
    let past = hq.handling.supervise_ticket(supervise(&ticket.name, "2026-03-02T02:00:00Z")).await;
    assert_eq!(violations(&past.unwrap_err()), ["answer_due_time"]);
    let watched = hq.handling.supervise_ticket(request).await.unwrap().into_inner();
    assert_eq!(watched.supervision.as_ref().unwrap().supervised_by, "hq");
    assert_eq!(hq.get(&ticket.name).await, watched);
    for number in 1..=2 {
        let request = pb::UrgeTicketRequest {
            name: ticket.name.clone(),
            text: "请尽快答复".into(),
            ..Default::default()
        };
        let urged = hq.handling.urge_ticket(request).await.unwrap().into_inner();
        assert_eq!(urged.supervision.unwrap().urgings, number);
    }
    let mut unit = world.desk("bei", "group/north", role::HANDLER);
    unit.handling.answer_supervision(answer(&ticket.name)).await.unwrap();
    let error = unit.handling.answer_supervision(answer(&ticket.name)).await.unwrap_err();
    assert_eq!(lacking(&error), ["OWED_ANSWER"]);
    let end = pb::EndSupervisionRequest {
        name: ticket.name.clone(),
        conclusion: "整改到位".into(),
        ..Default::default()
    };
    let error = unit.handling.end_supervision(end.clone()).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::PermissionDenied);
    let ended = hq.handling.end_supervision(end).await.unwrap().into_inner();
    assert_eq!(ended.supervision, None);
    let request =
        pb::ListHandlingRecordsRequest { parent: ticket.name.clone(), ..Default::default() };
    let records = unit.handling.list_handling_records(request).await.unwrap().into_inner().records;
    let notes: Vec<_> = records
        .into_iter()
        .map(|record| match record.content {
            Some(Content::SupervisionNote(note)) => (note.kind(), note.urging),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        (pb::SupervisionNoteKind::Instruction, 0),
        (pb::SupervisionNoteKind::Urging, 1),
        (pb::SupervisionNoteKind::Urging, 2),
        (pb::SupervisionNoteKind::Answer, 0),
        (pb::SupervisionNoteKind::Conclusion, 0),
    ];
    assert_eq!(notes, expected);
}

#[tokio::test]
async fn t15_a_missed_answer_is_on_record_once_with_two_replicas() {
    let mut world = world_with(missed_answer).await;
    world.start_replica().await;
    let ticket = world.clerk().create(complaint("group/north", "电梯故障")).await;
    world.manager().respond(&ticket.name).await.unwrap();
    let mut hq = headquarters(&world);
    hq.handling.supervise_ticket(supervise(&ticket.name, "2026-03-02T08:00:00Z")).await.unwrap();
    let open = |overdue| pb::ListSupervisionsRequest {
        org_unit: "group".into(),
        overdue,
        ..Default::default()
    };
    let listed = hq.handling.list_supervisions(open(true)).await.unwrap().into_inner();
    assert!(listed.supervisions.is_empty());
    world.pass_hours(12).await;
    let late = hq.get(&ticket.name).await;
    assert_eq!(late.supervision.as_ref().unwrap().missed_time, at("2026-03-02T08:00:00Z"));
    let missed = "SELECT count(*) FROM journal WHERE action = 'MissSupervisionAnswer'";
    assert_eq!(world.count(missed).await, 1);
    let found = world.manager().violations("group").await;
    assert_eq!((found.len(), &*found[0].code, &*found[0].staff), (1, "no-answer", "manager"));
    let listed = hq.handling.list_supervisions(open(true)).await.unwrap().into_inner();
    assert_eq!(listed.supervisions[0].org_unit, "group/north");
    world.manager().handling.answer_supervision(answer(&ticket.name)).await.unwrap();
    let listed = hq.handling.list_supervisions(open(true)).await.unwrap().into_inner();
    assert!(listed.supervisions.is_empty(), "late, but answered");
    let listed = hq.handling.list_supervisions(open(false)).await.unwrap().into_inner();
    assert_eq!(listed.supervisions.len(), 1);
    assert!(listed.supervisions[0].missed_time.is_some(), "and late it stays");
}

#[tokio::test]
async fn t15_a_major_complaint_is_reported_by_itself_right_after_its_registration() {
    let mut world = world_with(|policy| {
        policy.headquarters_reporting = Some(pb::HeadquartersReporting {
            criteria: vec![
                pb::ReportCriterion {
                    title: Some(text("Very serious", "非常严重")),
                    severities: vec![3],
                    ..Default::default()
                },
                pb::ReportCriterion {
                    title: Some(text("Publicity", "舆情")),
                    keywords: vec!["媒体曝光".into()],
                    ..Default::default()
                },
            ],
            supervise_within: hours(24),
        });
    })
    .await;
    world.start_replica().await;
    let quiet = world.clerk().create(complaint("group", "电梯异响")).await;
    let severe = pb::Ticket { severity: 3, ..complaint("group/north", "有人被困") };
    let severe = world.clerk().create(severe).await;
    let worded = world.clerk().create(complaint("group", "不解决就找媒 體 曝 光")).await;
    world.settle().await;
    let mut hq = headquarters(&world);
    let reported = hq.get(&severe.name).await;
    assert_eq!(reported.report_time, severe.create_time);
    assert_eq!(reported.supervision.as_ref().unwrap().supervised_by, "system/timers");
    assert_eq!(reported.supervision.unwrap().answer_due_time, at("2026-03-03T02:00:00Z"));
    assert!(hq.get(&worded.name).await.report_time.is_some());
    assert_eq!(hq.get(&quiet.name).await, quiet);
    let assess = pb::AssessTicketRequest {
        name: quiet.name.clone(),
        severity: 3,
        reason: "有人受伤".into(),
        ..Default::default()
    };
    let grown = world.manager().tickets.assess_ticket(assess).await.unwrap().into_inner();
    assert!(grown.report_time.is_some());
    let told = "SELECT count(*) FROM journal WHERE action = 'ReportToHeadquarters'
                AND event_type = 'kefu.ticket.v1.TicketReportedToHeadquarters'";
    assert_eq!(world.count(told).await, 3);
    assert_eq!(world.count("SELECT count(*) FROM supervision").await, 3);
    world.settle().await;
    assert_eq!(world.count(told).await, 3, "once each");
    assert_eq!(world.count("SELECT count(*) FROM ticket WHERE attend_at IS NULL").await, 0);
}

#[tokio::test]
async fn t15_a_look_that_finds_nothing_to_report_is_not_taken_for_ever() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group", "电梯异响")).await;
    // As if an earlier version of this program had found a criterion met that this one does not.
    let owner = world.database.owner_pool().unwrap();
    sqlx::query("UPDATE ticket SET attend_at = created_at").execute(&owner).await.unwrap();
    world.settle().await;
    assert_eq!(world.count("SELECT count(*) FROM ticket WHERE attend_at IS NULL").await, 1);
    assert_eq!(world.clerk().get(&ticket.name).await, ticket);
}
