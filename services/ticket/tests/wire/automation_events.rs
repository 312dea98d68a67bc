//! T-11, T-12, T-15, T-22, T-26: whatever happens to a ticket can be told by policy, once each time it happens.

use std::collections::BTreeMap;

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::automation_step::Step;
use kefu_identity::role;

use crate::automation::{automatic, retag, runs, step, trigger, with, wording};
use crate::delivery::with_adapters;
use crate::mass_answer::link;
use crate::merge::{merge, tickets, unmerge};
use crate::pack::text;
use crate::process::{company, fitter, request};
use crate::process_clocks::escalating;
use crate::receiver::Endpoint;
use crate::supervision::{answer, headquarters, missed_answer, supervise};
use crate::world::{Desk, World, at, complaint, violations};

fn notify(recipients: &str) -> Vec<pb::AutomationStep> {
    vec![step(Step::Notify(pb::NoticeStep {
        adapter: "customer-mail".into(),
        recipients: recipients.into(),
        wording: Some(wording("alarm", "zh")),
    }))]
}

/// The name of a trigger on an event.
fn named(event: pb::TriggerEvent) -> String {
    let name = event.as_str_name().trim_start_matches("TRIGGER_EVENT_");
    name.to_lowercase().replace('_', "-")
}

/// A trigger on each event that notifies somebody.
fn telling<const N: usize>(events: [(pb::TriggerEvent, &str); N]) -> Vec<pb::Trigger> {
    events.map(|(event, to)| trigger(&named(event), event, None, notify(to))).into()
}

/// How often each trigger ran on a ticket: all acted, and each at the beginning of a chain.
async fn ran(world: &World, desk: &mut Desk, ticket: &str) -> BTreeMap<String, usize> {
    world.settle().await;
    world.settle().await;
    let mut ran = BTreeMap::new();
    for (name, outcome, depth, detail) in runs(desk, ticket).await {
        assert_eq!((outcome, depth, &*detail), (pb::TriggerOutcome::Acted, 0, ""), "{name}");
        *ran.entry(name).or_default() += 1;
    }
    let acted = "SELECT count(*) FROM trigger_run WHERE outcome = 'acted'";
    let notices = "SELECT count(*) FROM delivery WHERE content = 'notice'";
    assert_eq!(world.count(acted).await, world.count(notices).await, "one notice each time");
    ran
}

fn times<const N: usize>(expected: [(pb::TriggerEvent, usize); N]) -> BTreeMap<String, usize> {
    expected.map(|(event, times)| (named(event), times)).into()
}

#[tokio::test]
async fn t11_the_receiver_of_a_transfer_is_told_and_the_sender_of_what_became_of_it_once_each() {
    use pb::TriggerEvent as On;
    let rules = telling([
        (On::TransferRequested, "transfer-receiver"),
        (On::TransferReturned, "transfer-sender"),
        (On::TransferWithdrawn, "transfer-receiver"),
        (On::TransferAccepted, "transfer-sender"),
        (On::Assigned, "owner"),
    ]);
    let world = with(World::new().await, automatic(rules)).await;
    let mut manager = world.manager();
    let lifts = crate::routing::team(&mut manager, "group", "lifts", &["an"]).await;
    let name = world.clerk().create(complaint("group/north/riverside", "电梯故障")).await.name;
    let mut north = world.desk("bei", "group/north", role::HANDLER);
    let mut south = world.desk("nan", "group/south", role::HANDLER);
    let send = pb::TransferTicketRequest {
        name: name.clone(),
        to_org_unit: "group/south".into(),
        handover_note: "请回电".into(),
        ..Default::default()
    };
    let reason = || "不属于本区".to_owned();
    north.handling.transfer_ticket(send.clone()).await.unwrap();
    let request =
        pb::ReturnTransferRequest { name: name.clone(), reason: reason(), ..Default::default() };
    south.handling.return_transfer(request).await.unwrap();
    north.handling.transfer_ticket(send.clone()).await.unwrap();
    let request =
        pb::WithdrawTransferRequest { name: name.clone(), reason: reason(), ..Default::default() };
    north.handling.withdraw_transfer(request).await.unwrap();
    north.handling.transfer_ticket(send).await.unwrap();
    let request = pb::AcceptTransferRequest {
        name: name.clone(),
        message: "您的投诉现由南区处理".into(),
        ..Default::default()
    };
    south.handling.accept_transfer(request).await.unwrap();
    let expected = times([
        (On::TransferRequested, 3),
        (On::TransferReturned, 1),
        (On::TransferWithdrawn, 1),
        (On::TransferAccepted, 1),
    ]);
    assert_eq!(ran(&world, &mut manager, &name).await, expected);
    // Whom it concerned then, although the triggers ran when the south had it already.
    for (recipient, count) in [
        ("SELECT count(*) FROM delivery WHERE recipient = 'level:1@group/south'", 4),
        ("SELECT count(*) FROM delivery WHERE recipient = 'staff:bei'", 2),
    ] {
        assert_eq!(world.count(recipient).await, count, "{recipient}");
    }
    let other = manager.create(complaint("group", "漏水")).await;
    crate::routing::assign(&mut manager, &other.name, &lifts, "an").await.unwrap();
    assert_eq!(ran(&world, &mut manager, &other.name).await, times([(On::Assigned, 1)]));
    let told = "SELECT count(*) FROM delivery WHERE recipient = 'staff:an'";
    assert_eq!(world.count(told).await, 1);
}

#[tokio::test]
async fn t15_headquarters_is_told_what_was_reported_and_what_it_was_not_answered_once_each() {
    use pb::TriggerEvent as On;
    let mut policy = automatic(telling([
        (On::Supervised, "receiver-level"),
        (On::Urged, "receiver-level"),
        (On::SupervisionAnswered, "headquarters"),
        (On::SupervisionAnswerMissed, "headquarters"),
        (On::SupervisionEnded, "receiver-level"),
        (On::ReportedToHeadquarters, "headquarters"),
    ]));
    missed_answer(&mut policy);
    policy.headquarters_reporting = Some(pb::HeadquartersReporting {
        criteria: vec![pb::ReportCriterion {
            title: Some(text("Very serious", "重大投诉")),
            severities: vec![3],
            ..Default::default()
        }],
        supervise_within: None,
    });
    let world = with(World::new().await, policy).await;
    let [mut manager, mut hq] = [world.manager(), headquarters(&world)];
    let mut unit = world.desk("bei", "group/north", role::HANDLER);
    let name = world.clerk().create(complaint("group/north", "电梯故障")).await.name;
    hq.handling.supervise_ticket(supervise(&name, "2026-03-03T02:00:00Z")).await.unwrap();
    unit.handling.answer_supervision(answer(&name)).await.unwrap();
    let urge = pb::UrgeTicketRequest {
        name: name.clone(),
        text: "仍未整改".into(),
        answer_due_time: at("2026-03-02T03:00:00Z"),
        ..Default::default()
    };
    hq.handling.urge_ticket(urge).await.unwrap();
    world.pass_hours(2).await;
    let end = pb::EndSupervisionRequest {
        name: name.clone(),
        conclusion: "整改到位".into(),
        ..Default::default()
    };
    hq.handling.end_supervision(end).await.unwrap();
    let expected = times([
        (On::Supervised, 1),
        (On::SupervisionAnswered, 1),
        (On::Urged, 1),
        (On::SupervisionAnswerMissed, 1),
        (On::SupervisionEnded, 1),
    ]);
    assert_eq!(ran(&world, &mut manager, &name).await, expected);
    let severe = pb::Ticket { severity: 3, ..complaint("group/north/riverside", "有人受伤") };
    let severe = world.clerk().create(severe).await.name;
    let expected = times([(On::ReportedToHeadquarters, 1)]);
    assert_eq!(ran(&world, &mut manager, &severe).await, expected);
    let told = "SELECT count(*) FROM delivery WHERE recipient = 'level:3@group'";
    assert_eq!(world.count(told).await, 3, "the top level of the whole company");
}

#[tokio::test]
async fn t12_an_executive_review_is_told_when_it_starts_and_when_it_is_decided() {
    use pb::TriggerEvent as On;
    let mut rules = telling([
        (On::ContactAttempted, "owner"),
        (On::ExecutiveReviewStarted, "headquarters"),
        (On::ExecutiveReviewDecided, "receiver-level"),
    ]);
    // What is two events at once is one occasion.
    let both = vec![On::ExecutiveReviewStarted.into(), On::Reopened.into()];
    rules.push(pb::Trigger { when: both, ..trigger("both", On::Closed, None, notify("owner")) });
    let world = with(World::new().await, automatic(rules)).await;
    let mut manager = world.manager();
    let severe = pb::Ticket { severity: 3, ..complaint("group", "有人受伤") };
    let name = world.clerk().create(severe).await.name;
    manager.handle(&name).await;
    let attempt = pb::RecordContactAttemptRequest {
        name: name.clone(),
        attempt: Some(pb::ContactAttempt {
            channel: pb::TicketChannel::Phone.into(),
            note: "无人接听".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    manager.handling.record_contact_attempt(attempt).await.unwrap();
    world.quality().verdict(&name, 5).await.unwrap();
    manager.handle(&name).await;
    world.quality().verdict(&name, 5).await.unwrap();
    let decide = pb::DecideExecutiveReviewRequest {
        name: name.clone(),
        decision: Some(pb::ExecutiveDecision {
            decision: "全额赔付并致歉".into(),
            outcome: pb::ExecutiveOutcome::Handle.into(),
        }),
        ..Default::default()
    };
    let mut director = world.desk("director", "group", role::DIRECTOR);
    director.handling.decide_executive_review(decide).await.unwrap();
    let mut expected = times([
        (On::ContactAttempted, 1),
        (On::ExecutiveReviewStarted, 1),
        (On::ExecutiveReviewDecided, 1),
    ]);
    expected.insert("both".into(), 2);
    assert_eq!(ran(&world, &mut manager, &name).await, expected);
}

#[tokio::test]
async fn t04_t19_what_is_merged_linked_or_lacks_a_field_is_told_once_each() {
    use pb::TriggerEvent as On;
    let mut policy = automatic(telling([
        (On::Merged, "owner"),
        (On::Unmerged, "owner"),
        (On::DuplicateTaken, "owner"),
        (On::Linked, "owner"),
        (On::Unlinked, "owner"),
        (On::FieldMissing, "first-contact-owner"),
    ]));
    policy.learning = Some(pb::LearningRules {
        required_fields: vec![pb::RequiredFieldsRule {
            moment: pb::RequiredFieldsMoment::Resolved.into(),
            fields: vec![pb::RequiredField::Product.into(), pb::RequiredField::Category.into()],
            violation: "late-first-response".into(),
            ..Default::default()
        }],
        ..Default::default()
    });
    let world = with(World::new().await, policy).await;
    let mut manager = world.manager();
    let [a, b, parent] = tickets(&world, ["电梯坏了", "电梯又坏了", "全区停电"]).await;
    merge(&mut manager, &a.name, &b.name).await.unwrap();
    unmerge(&mut manager, &a.name).await.unwrap();
    let expected = times([(On::Merged, 1), (On::Unmerged, 1)]);
    assert_eq!(ran(&world, &mut manager, &a.name).await, expected);
    assert_eq!(ran(&world, &mut manager, &b.name).await, times([(On::DuplicateTaken, 1)]));
    link(&mut manager, &a.name, &parent.name).await.unwrap();
    let take = pb::UnlinkTicketRequest {
        name: a.name.clone(),
        reason: "另有原因".into(),
        ..Default::default()
    };
    manager.links.unlink_ticket(take).await.unwrap();
    manager.handle(&a.name).await;
    let expected = times([
        (On::Merged, 1),
        (On::Unmerged, 1),
        (On::Linked, 1),
        (On::Unlinked, 1),
        (On::FieldMissing, 2),
    ]);
    assert_eq!(ran(&world, &mut manager, &a.name).await, expected);
}

#[tokio::test]
async fn t22_t26_stages_of_a_process_are_told_to_the_level_that_their_policy_names() {
    use pb::TriggerEvent as On;
    let world = company().await;
    let automatic = automatic(telling([
        (On::ProcessStarted, "owner"),
        (On::ProcessStageStarted, "owner"),
        (On::ProcessStageWarned, "owner"),
        (On::ProcessStageBreached, "receiver-level"),
        (On::ProcessStageEscalated, "receiver-level"),
    ]));
    let mut policy = escalating();
    policy.channel_adapters = automatic.channel_adapters;
    policy.message_templates = automatic.message_templates;
    policy.triggers = automatic.triggers;
    let survey = pb::TicketCondition { stages: vec!["survey".into()], ..Default::default() };
    let only = trigger("surveyed", On::ProcessStageStarted, Some(survey), notify("owner"));
    policy.triggers.push(only);
    world.admin().apply("group", policy).await.unwrap();
    let mut fitter = fitter(&world);
    let ticket = fitter.create(request()).await.name;
    let process = fitter.start_process(&ticket, 5.0, false).await.unwrap().name;
    let mut manager = world.manager();
    let begun = times([(On::ProcessStarted, 1), (On::ProcessStageStarted, 1)]);
    assert_eq!(ran(&world, &mut manager, &ticket).await, begun);
    world.pass_hours(24 * 4).await;
    let mut expected = times([
        (On::ProcessStarted, 1),
        (On::ProcessStageStarted, 1),
        (On::ProcessStageWarned, 1),
        (On::ProcessStageBreached, 1),
        (On::ProcessStageEscalated, 3),
    ]);
    assert_eq!(ran(&world, &mut manager, &ticket).await, expected);
    // Most of the time gone and the last hour; the breach and a day late.
    for (level, count) in [
        ("SELECT count(*) FROM delivery WHERE recipient = 'level:2@group/branch/station'", 2),
        ("SELECT count(*) FROM delivery WHERE recipient = 'level:3@group/branch/station'", 2),
    ] {
        assert_eq!(world.count(level).await, count, "{level}");
    }
    fitter.does(&process, "application", &["application-form", "identity"]).await;
    expected.insert(named(On::ProcessStageStarted), 2);
    expected.insert("surveyed".into(), 1);
    assert_eq!(ran(&world, &mut manager, &ticket).await, expected);
}

#[tokio::test]
async fn t26_triggers_that_give_a_ticket_to_each_other_come_to_an_end() {
    let world = World::new().await;
    let mut manager = world.manager();
    let mut teams = Vec::new();
    for code in ["lifts", "desk"] {
        teams.push(crate::routing::team(&mut manager, "group", code, &["an"]).await);
    }
    let give = |team: &str| {
        let to = pb::AssignStep { team: team.into(), ..Default::default() };
        vec![step(Step::Assign(to))]
    };
    let assigned = pb::TriggerEvent::Assigned;
    let having =
        |code: &str| Some(pb::TicketCondition { teams: vec![code.into()], ..Default::default() });
    let rules = vec![
        trigger("to-desk", assigned, having("lifts"), give("desk")),
        trigger("to-lifts", assigned, having("desk"), give("lifts")),
    ];
    let world = with(world, automatic(rules)).await;
    let name = manager.create(complaint("group", "漏水")).await.name;
    crate::routing::assign(&mut manager, &name, &teams[0], "").await.unwrap();
    world.settle().await;
    let told: Vec<_> = runs(&mut manager, &name).await.into_iter().map(|run| run.0).collect();
    assert_eq!(told, ["to-desk", "to-lifts"], "each once in the chain");
    assert_eq!(manager.get(&name).await.team, teams[0].name);
}

#[tokio::test]
async fn t12_t03_what_is_raised_to_a_level_is_given_to_the_team_of_that_level() {
    let world = World::new().await;
    let mut manager = world.manager();
    let team = crate::routing::team(&mut manager, "group", "managers", &["zhao"]).await;
    let rule = pb::Trigger {
        when: vec![pb::TriggerEvent::Escalated.into(), pb::TriggerEvent::Reopened.into()],
        ..trigger(
            "second-level",
            pb::TriggerEvent::Escalated,
            Some(pb::TicketCondition { receiver_levels: vec![2], ..Default::default() }),
            vec![step(Step::Assign(pb::AssignStep {
                team: "managers".into(),
                owner: "zhao".into(),
                ..Default::default()
            }))],
        )
    };
    let world = with(world, automatic(vec![rule])).await;
    let [raised, unhappy] = [
        manager.create(complaint("group/north", "漏水")).await,
        manager.create(complaint("group", "停电")).await,
    ];
    let severe = pb::Ticket { severity: 3, ..complaint("group", "有人受伤") };
    let severe = manager.create(severe).await;
    for name in [&raised.name, &severe.name] {
        let escalate = pb::EscalateTicketRequest {
            name: name.clone(),
            reason: "请上级处理".into(),
            ..Default::default()
        };
        manager.tickets.escalate_ticket(escalate).await.unwrap();
    }
    manager.handle(&unhappy.name).await;
    world.quality().verdict(&unhappy.name, 4).await.unwrap();
    world.settle().await;
    for name in [&raised.name, &unhappy.name] {
        let given = manager.get(name).await;
        let has = (given.receiver_level, &*given.team, &*given.owner);
        assert_eq!(has, (2, &*team.name, "zhao"));
        assert_eq!(runs(&mut manager, name).await.len(), 1);
    }
    // It began at the second level and went past it.
    let severe = manager.get(&severe.name).await;
    assert_eq!((severe.receiver_level, &*severe.team), (3, ""));
}

#[tokio::test]
async fn t26_another_system_is_told_what_the_event_says_and_nothing_that_people_wrote() {
    let mut endpoint = Endpoint::start().await;
    let config = format!("adapters:\n{}", endpoint.adapter("partner", 5_000));
    let call = || vec![step(Step::CallWebhook("partner".into()))];
    let late = pb::TicketCondition { clocks: vec!["first-response".into()], ..Default::default() };
    let rules = vec![
        trigger("updated", pb::TriggerEvent::Updated, None, call()),
        trigger("late", pb::TriggerEvent::ClockBreached, Some(late), call()),
        trigger("closed", pb::TriggerEvent::Closed, None, call()),
        trigger("escalated", pb::TriggerEvent::Escalated, None, call()),
    ];
    let world = with(World::sending(&config).await, automatic(rules)).await;
    let mut manager = world.manager();
    let name = manager.create(complaint("group", "漏水")).await.name;
    retag(&mut manager, &name, &["急"]).await;
    // The resolution is late as well, by then; nobody asked for that.
    world.pass_hours(24 * 7).await;
    let escalate = pb::EscalateTicketRequest {
        name: name.clone(),
        reason: "客户是王总的亲戚".into(),
        ..Default::default()
    };
    manager.tickets.escalate_ticket(escalate).await.unwrap();
    manager.handle(&name).await;
    world.quality().verdict(&name, 2).await.unwrap();
    world.settle().await;
    let got = endpoint.all();
    let bodies: Vec<serde_json::Value> =
        got.iter().map(|got| serde_json::from_str(&got.body).unwrap()).collect();
    let facts = |event: &str| {
        let of = |body: &&serde_json::Value| body["type"] == format!("kefu.ticket.v1.{event}");
        let mut found = bodies.iter().filter(of);
        let body = found.next().unwrap_or_else(|| panic!("no {event}: {bodies:?}"));
        assert!(found.next().is_none(), "{event} once");
        assert_eq!((&body["version"], &body["data"]["ticket"]), (&2.into(), &name.clone().into()));
        body["data"]["facts"].clone()
    };
    assert_eq!(facts("TicketUpdated"), serde_json::json!({"fields": ["tags"]}));
    let late = facts("TicketClockBreached");
    let clock = &late["clock"];
    assert_eq!(
        (&clock["rule"], &clock["kind"]),
        (&"first-response".into(), &"first_response".into())
    );
    assert_eq!(
        (&clock["due_time"], &clock["state"]),
        (&"2026-03-03T02:00:00Z".into(), &"breached".into())
    );
    assert_eq!((&late["notify_level"], &late["cause"]), (&2.into(), &"breach".into()));
    let raised = facts("TicketEscalated");
    let cause = serde_json::json!({"cause": "manager", "from_level": 2, "to_level": 3});
    assert_eq!(raised, cause);
    let closed = facts("TicketClosed");
    let verdict = serde_json::json!({"value": 2, "cycle": 1, "source": "call"});
    assert_eq!(closed["verdict"], verdict);
    assert!(got.iter().all(|got| !got.body.contains("王总")), "what people wrote stays here");
}

#[tokio::test]
async fn t26_a_condition_that_can_never_be_true_is_named_with_its_path() {
    let world = World::new().await;
    let condition = pb::TicketCondition {
        receiver_levels: vec![4],
        products: vec![String::new()],
        min_amount_cents: -1,
        below_amount_cents: 5,
        custom_fields: vec![
            pb::CustomFieldCondition { field: "batch".into(), values: vec!["二".into()] },
            pb::CustomFieldCondition { field: "none".into(), values: Vec::new() },
        ],
        teams: vec!["nobody".into()],
        clocks: vec!["first-response".into(), "none".into()],
        stages: vec!["survey".into()],
        ..Default::default()
    };
    let event = pb::TriggerEvent::Registered;
    let mut then = notify("transfer-sender");
    then.extend(notify("headquarters"));
    let mut policy = automatic(vec![trigger("a", event, Some(condition), then)]);
    policy.custom_fields = vec![pb::CustomFieldRule {
        code: "batch".into(),
        title: Some(text("Batch", "批次")),
        r#type: pb::CustomFieldType::Number.into(),
        ..Default::default()
    }];
    let error = world.admin().apply("group", policy.clone()).await.unwrap_err();
    let mut found = violations(&error);
    found.sort_unstable();
    let path = |field: &str| format!("policy.triggers[0].{field}");
    let expected = [
        "if.clocks",
        "if.clocks[1]",
        "if.currency",
        "if.custom_fields[0].values[0]",
        "if.custom_fields[1].field",
        "if.min_amount_cents",
        "if.products[0]",
        "if.receiver_levels[0]",
        "if.stages",
        "if.stages[0]",
        "then[0].notify.recipients",
    ];
    assert_eq!(found, expected.map(path));
    // Which teams there are is known where they are, once the rest is right.
    let condition = pb::TicketCondition { teams: vec!["nobody".into()], ..Default::default() };
    policy.triggers = vec![trigger("a", event, Some(condition), notify("headquarters"))];
    let error = world.admin().apply("group", policy).await.unwrap_err();
    assert_eq!(violations(&error), [path("if.teams[0]")]);
    let many = (0..300).map(|_| "x".to_owned()).collect();
    let condition = pb::TicketCondition { stages: many, ..Default::default() };
    let endless = pb::TicketPolicy {
        triggers: vec![trigger("a", event, Some(condition), notify("owner"))],
        ..with_adapters()
    };
    let error = world.admin().apply("group", endless).await.unwrap_err();
    assert_eq!(violations(&error), [path("if.stages")]);
}
