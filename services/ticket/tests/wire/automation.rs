//! T-26: triggers act once, on record and without loops; macros are one step.

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::automation_step::Step;
use kefu_identity::role;
use tonic::{Code, Status};

use crate::delivery::{by, deliveries, messages, with_adapters};
use crate::pack::text;
use crate::receiver::{Endpoint, MailServer};
use crate::world::{Desk, World, complaint, reason, request_id, violations};

pub fn step(step: Step) -> pb::AutomationStep {
    pb::AutomationStep { step: Some(step) }
}

pub fn tags(tags: &[&str]) -> pb::AutomationStep {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    step(Step::AddTags(pb::TagList { tags }))
}

pub fn wording(situation: &str, language: &str) -> pb::WordingStep {
    pb::WordingStep { situation: situation.into(), language: language.into() }
}

pub fn trigger(
    name: &str,
    when: pb::TriggerEvent,
    condition: Option<pb::TicketCondition>,
    then: Vec<pb::AutomationStep>,
) -> pb::Trigger {
    pb::Trigger {
        name: name.into(),
        title: Some(text("", "规则")),
        when: vec![when.into()],
        r#if: condition,
        then,
    }
}

pub fn templates() -> Vec<pb::MessageTemplate> {
    let template = |situation: &str, en: &str, zh: &str| pb::MessageTemplate {
        situation: situation.into(),
        title: Some(text("", "话术")),
        text: Some(text(en, zh)),
    };
    vec![
        template("alarm", "", "工单{ticket.number}需要立即处理"),
        template("first-response", "We are on it.", "您好，工单{ticket.number}已受理。"),
        template("fixed", "", "已按标准流程处理完毕"),
        template("told", "", "处理结果：{ticket.solution}"),
    ]
}

pub fn automatic(triggers: Vec<pb::Trigger>) -> pb::TicketPolicy {
    pb::TicketPolicy { triggers, message_templates: templates(), ..with_adapters() }
}

pub async fn with(world: World, policy: pb::TicketPolicy) -> World {
    world.admin().apply("group", policy).await.unwrap();
    world
}

pub async fn runs(desk: &mut Desk, ticket: &str) -> Vec<(String, pb::TriggerOutcome, i32, String)> {
    let request = pb::ListTriggerRunsRequest { parent: ticket.into(), ..Default::default() };
    let runs = desk.automation.list_trigger_runs(request).await.unwrap().into_inner().trigger_runs;
    runs.into_iter()
        .map(|run| (run.trigger.clone(), run.outcome(), run.depth, run.detail))
        .collect()
}

pub async fn retag(desk: &mut Desk, name: &str, tags: &[&str]) {
    let ticket = pb::Ticket {
        name: name.into(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..Default::default()
    };
    let request = pb::UpdateTicketRequest { ticket: Some(ticket), ..Default::default() };
    desk.tickets.update_ticket(request).await.unwrap();
}

#[tokio::test]
async fn t26_a_trigger_does_what_the_policy_says_and_it_is_on_record_as_done_by_the_rule() {
    let mut server = MailServer::start().await;
    let mut endpoint = Endpoint::start().await;
    let config = format!(
        "adapters:\n{}{}recipients:\n  night-shift: [a@kefu.example, b@kefu.example]\n",
        server.adapter("customer-mail"),
        endpoint.adapter("partner", 5_000)
    );
    let condition = pb::TicketCondition {
        keywords: vec!["困人".into()],
        org_units: vec!["group/north".into()],
        ..Default::default()
    };
    let notice = pb::NoticeStep {
        adapter: "customer-mail".into(),
        recipients: "night-shift".into(),
        wording: Some(wording("alarm", "zh")),
    };
    let then = vec![
        tags(&["电梯困人", "急"]),
        step(Step::RaisePriority(pb::TicketPriority::Urgent.into())),
        step(Step::Escalate("困人事件须部门经理受理".into())),
        step(Step::AddNote("内部：已按困人预案启动".into())),
        step(Step::Notify(notice)),
        step(Step::CallWebhook("partner".into())),
    ];
    let rule = trigger("trapped", pb::TriggerEvent::Registered, Some(condition), then);
    let world = with(World::sending(&config).await, automatic(vec![rule])).await;
    let mut manager = world.manager();
    let hit = manager.create(complaint("group/north/riverside", "電梯 困 人了")).await;
    let elsewhere = manager.create(complaint("group/south/riverside", "电梯困人了")).await;
    let other = manager.create(complaint("group/north/riverside", "漏水")).await;
    world.settle().await;
    let ticket = manager.get(&hit.name).await;
    assert_eq!(ticket.tags, ["电梯困人", "急"]);
    assert_eq!((ticket.priority(), ticket.receiver_level), (pb::TicketPriority::Urgent, 2));
    for unhit in [&elsewhere, &other] {
        assert_eq!(manager.get(&unhit.name).await, *unhit);
        assert!(runs(&mut manager, &unhit.name).await.is_empty());
    }
    let acted = runs(&mut manager, &hit.name).await;
    assert_eq!(acted, [("trapped".to_owned(), pb::TriggerOutcome::Acted, 0, String::new())]);
    let history = manager.history(&hit.name).await;
    let done: Vec<_> =
        history.iter().skip(1).map(|entry| (&*entry.action, &*entry.actor)).collect();
    let rule = "system/trigger/trapped";
    let expected = ["UpdateTicket", "RaisePriority", "EscalateTicket", "AddTicketNote"];
    assert_eq!(done, expected.map(|action| (action, rule)));

    let mails = server.all();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, ["<a@kefu.example>", "<b@kefu.example>"]);
    assert_eq!(mails[0].body(), format!("工单{}需要立即处理", hit.number));
    assert_eq!(mails[0].header("Auto-Submitted"), "auto-generated");
    let got = endpoint.all();
    assert_eq!(got.len(), 1);
    let event: serde_json::Value = serde_json::from_str(&got[0].body).unwrap();
    assert_eq!(event["type"], "kefu.ticket.v1.TicketRegistered");
    assert_eq!(event["data"]["ticket"], hit.name);
    assert_eq!(event["data"]["trigger"], "trapped");
    assert!(!got[0].body.contains("预案"), "notes never leave");
    let sent = deliveries(&mut manager, "group", &[pb::DeliveryState::Sent]).await;
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|sent| sent.trigger == "trapped" && sent.created_by == rule));
}

#[tokio::test]
async fn t26_triggers_that_cause_each_other_come_to_an_end() {
    let updated = pb::TriggerEvent::Updated;
    let note = |text: &str| step(Step::AddNote(text.into()));
    let policy = automatic(vec![
        trigger("ping", updated, None, vec![tags(&["ping"]), note("一")]),
        trigger("pong", updated, None, vec![tags(&["pong"]), note("二")]),
        trigger("late", updated, None, vec![tags(&["late"])]),
    ]);
    let policy = pb::TicketPolicy { max_trigger_depth: 10, ..policy };
    let world = with(World::new().await, policy).await;
    let mut manager = world.manager();
    let ticket = manager.create(complaint("group", "漏水")).await;
    world.settle().await;
    assert!(runs(&mut manager, &ticket.name).await.is_empty());
    retag(&mut manager, &ticket.name, &["x"]).await;
    world.settle().await;
    // Each ran after the first event; what they changed is of the same chain, in which each has run.
    let names: Vec<_> =
        runs(&mut manager, &ticket.name).await.into_iter().map(|run| run.0).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, ["late", "ping", "pong"]);
    assert_eq!(manager.get(&ticket.name).await.tags, ["x", "ping", "pong", "late"]);
    let history = manager.history(&ticket.name).await;
    let notes = history.iter().filter(|entry| entry.action == "AddTicketNote").count();
    assert_eq!(notes, 2, "each once in the chain");
    world.settle().await;
    assert_eq!(manager.history(&ticket.name).await.len(), history.len());
    // Another change by a person is another chain; that nothing is left to tag is no loop either.
    retag(&mut manager, &ticket.name, &["y"]).await;
    world.settle().await;
    assert_eq!(runs(&mut manager, &ticket.name).await.len(), 6);
}

#[tokio::test]
async fn t26_a_chain_that_is_too_long_stops_and_says_so() {
    let (updated, raised) = (pb::TriggerEvent::Updated, pb::TriggerEvent::PriorityRaised);
    let policy = automatic(vec![
        trigger("first", pb::TriggerEvent::Registered, None, vec![tags(&["新"])]),
        trigger(
            "second",
            updated,
            None,
            vec![step(Step::RaisePriority(pb::TicketPriority::High.into()))],
        ),
        trigger("third", raised, None, vec![step(Step::Escalate("太急".into()))]),
    ]);
    let policy = pb::TicketPolicy { max_trigger_depth: 2, ..policy };
    let world = with(World::new().await, policy).await;
    let mut manager = world.manager();
    let ticket = manager.create(complaint("group", "漏水")).await;
    world.settle().await;
    let runs = runs(&mut manager, &ticket.name).await;
    let told: Vec<_> = runs.iter().map(|run| (&*run.0, run.1, run.2)).collect();
    let (acted, deep) = (pb::TriggerOutcome::Acted, pb::TriggerOutcome::TooDeep);
    assert_eq!(told, [("first", acted, 0), ("second", acted, 1), ("third", deep, 2)]);
    assert_eq!(manager.get(&ticket.name).await.receiver_level, 1);
}

#[tokio::test]
async fn t26_what_a_ticket_does_not_allow_is_done_not_in_part_and_on_record() {
    let then = vec![tags(&["已升级"]), step(Step::Escalate("再升级".into()))];
    let not_yet = pb::TicketCondition { without_tags: vec!["先".into()], ..Default::default() };
    let up = trigger("up", pb::TriggerEvent::Escalated, Some(not_yet), then);
    let world = with(World::new().await, automatic(vec![up])).await;
    let mut manager = world.manager();
    let first = pb::Ticket { tags: vec!["先".into()], ..complaint("group", "漏水") };
    let ticket = manager.create(first).await;
    let escalate = pb::EscalateTicketRequest {
        name: ticket.name.clone(),
        reason: "请上级处理".into(),
        ..Default::default()
    };
    manager.tickets.escalate_ticket(escalate.clone()).await.unwrap();
    // Only the second time is it followed, when nobody is above.
    world.settle().await;
    let untag = pb::TagTicketRequest {
        name: ticket.name.clone(),
        remove: vec!["先".into()],
        ..Default::default()
    };
    manager.tickets.tag_ticket(untag).await.unwrap();
    manager.tickets.escalate_ticket(escalate).await.unwrap();
    world.settle().await;
    let ticket = manager.get(&ticket.name).await;
    assert_eq!((ticket.receiver_level, ticket.tags.len()), (3, 0), "at the top already");
    let runs = runs(&mut manager, &ticket.name).await;
    let [run] = &runs[..] else { panic!("{runs:?}") };
    assert_eq!(run.1, pb::TriggerOutcome::Refused);
    assert!(run.3.starts_with("then[1]: EscalateTicket is not possible"), "{}", run.3);
}

#[tokio::test]
async fn x01_with_two_replicas_and_a_restart_each_trigger_acts_once() {
    let mut endpoint = Endpoint::start().await;
    let config = format!("adapters:\n{}", endpoint.adapter("partner", 5_000));
    let then = vec![step(Step::AddNote("自动".into())), step(Step::CallWebhook("partner".into()))];
    let rules = vec![trigger("tell", pb::TriggerEvent::Registered, None, then)];
    let mut world = with(World::sending(&config).await, automatic(rules)).await;
    world.start_replica().await;
    let creates = (0..30).map(|n| {
        let mut desk = world.desk_at(n % 2, "clerk", "group", role::CLERK);
        async move { desk.create(complaint("group", "漏水")).await }
    });
    futures::future::join_all(creates).await;
    world.settle().await;
    world.replicas.remove(0).stop().await.unwrap();
    world.start_replica().await;
    world.settle().await;
    for table in [
        "SELECT count(*) FROM trigger_run WHERE outcome = 'acted'",
        "SELECT count(*) FROM journal WHERE action = 'AddTicketNote' AND actor = 'system/trigger/tell'",
        "SELECT count(*) FROM delivery",
    ] {
        assert_eq!(world.count(table).await, 30, "{table}");
    }
    let mut got = Vec::new();
    while got.len() < 30 {
        got.push(endpoint.got.recv().await.unwrap().header("webhook-id").to_owned());
    }
    got.sort_unstable();
    got.dedup();
    assert_eq!(got.len(), 30);
}

#[tokio::test]
async fn x10_a_ticket_is_followed_by_the_triggers_of_its_own_policy() {
    let world = with(World::new().await, automatic(Vec::new())).await;
    let mut manager = world.manager();
    let old = manager.create(complaint("group", "漏水")).await;
    world.pass_hours(1).await;
    let rules = vec![trigger("new", pb::TriggerEvent::Updated, None, vec![tags(&["新制度"])])];
    let world = with(world, automatic(rules)).await;
    let new = manager.create(complaint("group", "漏水")).await;
    for ticket in [&old, &new] {
        retag(&mut manager, &ticket.name, &["x"]).await;
    }
    world.settle().await;
    assert_eq!(manager.get(&old.name).await.tags, ["x"]);
    assert_eq!(manager.get(&new.name).await.tags, ["x", "新制度"]);
}

#[tokio::test]
async fn t26_a_loop_through_another_system_is_slowed_down_and_on_record() {
    let rules = vec![trigger("tag", pb::TriggerEvent::Updated, None, vec![tags(&["新"])])];
    let policy = pb::TicketPolicy { max_trigger_runs_per_hour: 2, ..automatic(rules) };
    let world = with(World::new().await, policy).await;
    let mut manager = world.manager();
    let ticket = manager.create(complaint("group", "漏水")).await;
    for round in 0..4 {
        retag(&mut manager, &ticket.name, &[&format!("第{round}次")]).await;
        world.settle().await;
    }
    let outcomes: Vec<_> = runs(&mut manager, &ticket.name).await.iter().map(|run| run.1).collect();
    let (acted, often) = (pb::TriggerOutcome::Acted, pb::TriggerOutcome::TooOften);
    let count = |outcome| outcomes.iter().filter(|known| **known == outcome).count();
    assert_eq!((count(acted), count(often)), (2, 2));
    assert_eq!(manager.get(&ticket.name).await.tags, ["第3次"]);
    world.pass_hours(2).await;
    retag(&mut manager, &ticket.name, &["又一次"]).await;
    world.settle().await;
    assert_eq!(manager.get(&ticket.name).await.tags, ["又一次", "新"]);
}

#[tokio::test]
async fn t14_what_a_customer_could_not_be_told_goes_up_by_itself_and_causes_no_loop() {
    let server = MailServer::start().await;
    let config = format!(
        "adapters:\n{}recipients: {{night-shift: [a@b.cn]}}\n",
        server.adapter("customer-mail")
    );
    let notice = pb::NoticeStep {
        adapter: "customer-mail".into(),
        recipients: "night-shift".into(),
        wording: Some(wording("alarm", "zh")),
    };
    let then = vec![step(Step::Escalate("客户未收到答复".into())), step(Step::Notify(notice))];
    let rules = vec![trigger("unreached", pb::TriggerEvent::MessageParked, None, then)];
    let world = with(World::sending(&config).await, automatic(rules)).await;
    let mut manager = world.manager();
    let ticket = manager.create(complaint("group", "漏水")).await;
    server.will(["550 no such user", "550 no such user", "550 no such user"]);
    crate::delivery::send(&mut manager, &ticket.name, "好", by("customer-mail", "w@example.cn"))
        .await
        .unwrap();
    world.settle().await;
    let ticket = manager.get(&ticket.name).await;
    assert_eq!(ticket.receiver_level, 2);
    let acted = ("unreached".to_owned(), pb::TriggerOutcome::Acted, 0, String::new());
    assert_eq!(runs(&mut manager, &ticket.name).await, [acted]);
    // The message and the notice; that the notice was refused, too, is for people to see.
    let parked = deliveries(&mut manager, "group", &[pb::DeliveryState::Parked]).await;
    assert_eq!(parked.len(), 2);
}

fn with_macros() -> pb::TicketPolicy {
    let one =
        |code: &str, steps| pb::Macro { code: code.into(), title: Some(text("", "宏")), steps };
    pb::TicketPolicy {
        macros: vec![
            one(
                "usual",
                vec![
                    tags(&["常规"]),
                    step(Step::Respond(wording("first-response", "zh"))),
                    step(Step::Resolve(wording("fixed", "zh"))),
                    step(Step::FeedBack(wording("told", "zh"))),
                ],
            ),
            one("raise", vec![tags(&["急"]), step(Step::Escalate("请上级处理".into()))]),
            one("label", vec![tags(&["已读"])]),
        ],
        ..automatic(Vec::new())
    }
}

async fn apply(desk: &mut Desk, request: pb::ApplyMacroRequest) -> Result<pb::Ticket, Status> {
    desk.automation.apply_macro(request).await.map(tonic::Response::into_inner)
}

fn asked(ticket: &str, code: &str) -> pb::ApplyMacroRequest {
    pb::ApplyMacroRequest { name: ticket.into(), r#macro: code.into(), ..Default::default() }
}

#[tokio::test]
async fn t26_a_macro_is_one_step_with_a_preview_and_a_safe_retry() {
    let mut server = MailServer::start().await;
    let config = format!("adapters:\n{}", server.adapter("customer-mail"));
    let world = with(World::sending(&config).await, with_macros()).await;
    let mut handler = world.desk("handler", "group", role::HANDLER);
    let ticket = handler.create(complaint("group", "漏水")).await;
    let request = pb::ApplyMacroRequest {
        delivery: by("customer-mail", "wang@example.cn"),
        etag: ticket.etag.clone(),
        request_id: request_id(5),
        ..asked(&ticket.name, "usual")
    };
    let preview = pb::ApplyMacroRequest { validate_only: true, ..request.clone() };
    let shown = apply(&mut handler, preview).await.unwrap();
    assert_eq!(shown.state(), pb::TicketState::ResultFedBack);
    assert_eq!(shown.etag, ticket.etag);
    assert_eq!(handler.get(&ticket.name).await, ticket, "a look changes nothing");
    assert!(server.all().is_empty());

    let done = apply(&mut handler, request.clone()).await.unwrap();
    assert_eq!(
        (done.state(), &*done.tags),
        (pb::TicketState::ResultFedBack, &["常规".to_owned()][..])
    );
    assert_eq!(apply(&mut handler, request.clone()).await.unwrap(), done, "the first answer");
    let stale = pb::ApplyMacroRequest { request_id: String::new(), ..request };
    assert_eq!(apply(&mut handler, stale).await.unwrap_err().code(), Code::Aborted);
    let said = messages(&mut handler, &ticket.name).await;
    let bodies: Vec<_> = said.iter().map(|message| message.body.clone()).collect();
    let first = format!("您好，工单{}已受理。", ticket.number);
    assert!(bodies.contains(&first), "{bodies:?}");
    assert!(bodies.contains(&"处理结果：已按标准流程处理完毕".to_owned()), "{bodies:?}");
    world.settle().await;
    assert_eq!(server.all().len(), 2);
    let by_one =
        "SELECT count(DISTINCT request_id) FROM journal WHERE actor = 'handler' AND revision > 1
                  AND aggregate_type = 'ticket'";
    assert_eq!(world.count(by_one).await, 1);
}

#[tokio::test]
async fn t26_a_macro_is_done_whole_or_not_at_all_and_by_whoever_may_do_each_step() {
    let world = with(World::new().await, with_macros()).await;
    let mut manager = world.manager();
    let ticket = manager.create(complaint("group", "漏水")).await;
    apply(&mut manager, asked(&ticket.name, "raise")).await.unwrap();
    apply(&mut manager, asked(&ticket.name, "raise")).await.unwrap();
    let top = manager.get(&ticket.name).await;
    assert_eq!(top.receiver_level, 3);
    let other = manager.create(complaint("group", "噪音")).await;
    apply(&mut manager, asked(&other.name, "usual")).await.unwrap();
    let fed_back = manager.get(&other.name).await;
    let error = apply(&mut manager, asked(&other.name, "usual")).await.unwrap_err();
    assert_eq!((error.code(), &*reason(&error)), (Code::FailedPrecondition, "ILLEGAL_STATE"));
    assert_eq!(manager.get(&other.name).await, fed_back, "not in part");

    // A clerk may neither answer nor raise; quality may add nothing to tickets but decides on them.
    let mut clerk = world.clerk();
    for code in ["usual", "raise", "label"] {
        let error = apply(&mut clerk, asked(&ticket.name, code)).await.unwrap_err();
        assert_eq!(error.code(), Code::PermissionDenied, "{code}");
    }
    let mut south = world.desk("south", "group/south", role::MANAGER);
    let error = apply(&mut south, asked(&ticket.name, "label")).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    let error = apply(&mut manager, asked(&ticket.name, "unknown")).await.unwrap_err();
    assert_eq!(violations(&error), ["macro"]);
    let sent = pb::ApplyMacroRequest {
        delivery: by("customer-mail", "wang@example.cn"),
        ..asked(&ticket.name, "label")
    };
    assert_eq!(violations(&apply(&mut manager, sent).await.unwrap_err()), ["delivery"]);
    let bad = pb::ApplyMacroRequest {
        name: "tickets/x".into(),
        etag: "x".into(),
        request_id: "x".into(),
        delivery: by("", ""),
        ..Default::default()
    };
    let mut fields = violations(&apply(&mut manager, bad).await.unwrap_err());
    fields.sort_unstable();
    let expected =
        ["delivery.adapter", "delivery.recipient", "etag", "macro", "name", "request_id"];
    assert_eq!(fields, expected);
}
