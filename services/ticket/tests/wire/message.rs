//! T-14: what is said to a customer, what must not be said, and what never leaves.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::neighbour::known_only_there;
use crate::pack::{policy, text};
use crate::world::{Desk, World, at, complaint, metadata, reason, request_id, violations};

fn phrase(phrase: &str, en: &str, zh: &str) -> pb::ForbiddenPhrase {
    pb::ForbiddenPhrase { phrase: phrase.into(), suggestion: Some(text(en, zh)) }
}

fn template(situation: &str, en: &str, zh: &str) -> pb::MessageTemplate {
    pb::MessageTemplate {
        situation: situation.into(),
        title: Some(text("First response", "首次回复")),
        text: Some(text(en, zh)),
    }
}

/// The regulation with forbidden phrases and standard wordings.
fn polite() -> pb::TicketPolicy {
    pb::TicketPolicy {
        forbidden_phrases: vec![
            phrase("不关我的事", "I will find out who can help", "我来帮您联系负责的同事"),
            phrase("滚", "", "请稍候"),
            phrase("stupid", "let us look at it together", "我们一起看一下"),
        ],
        message_templates: vec![
            template(
                "first-response",
                "Dear {customer.name},\nwe answer {ticket.number} by {due_time}.",
                "尊敬的{customer.name}：\n工单{ticket.number}将于{due_time}前答复。",
            ),
            template("result", "", "处理结果：{ticket.solution}"),
        ],
        ..policy()
    }
}

async fn world() -> World {
    let world = World::new().await;
    world.admin().apply("group", polite()).await.unwrap();
    world
}

async fn say(
    desk: &mut Desk,
    name: &str,
    message: &str,
    override_forbidden_phrases: bool,
) -> Result<pb::Ticket, Status> {
    let (name, message) = (name.into(), message.into());
    let request = pb::RespondTicketRequest {
        name,
        message,
        override_forbidden_phrases,
        ..Default::default()
    };
    desk.tickets.respond_ticket(request).await.map(tonic::Response::into_inner)
}

async fn tell(
    desk: &mut Desk,
    name: &str,
    message: &str,
    override_forbidden_phrases: bool,
) -> Result<pb::Ticket, Status> {
    let (name, message) = (name.into(), message.into());
    let request = pb::FeedBackTicketRequest {
        name,
        message,
        override_forbidden_phrases,
        ..Default::default()
    };
    desk.tickets.feed_back_ticket(request).await.map(tonic::Response::into_inner)
}

async fn note(desk: &mut Desk, name: &str, note: &str) -> Result<pb::Ticket, Status> {
    let request =
        pb::AddTicketNoteRequest { name: name.into(), note: note.into(), ..Default::default() };
    desk.tickets.add_ticket_note(request).await.map(tonic::Response::into_inner)
}

async fn render(desk: &mut Desk, name: &str, situation: &str) -> Result<(String, String), Status> {
    let (name, situation) = (name.into(), situation.into());
    let request = pb::RenderMessageTemplateRequest { name, situation };
    let answer = desk.tickets.render_message_template(request).await?.into_inner();
    let text = answer.text.unwrap_or_default();
    Ok((text.en, text.zh))
}

async fn messages(desk: &mut Desk, name: &str) -> Vec<pb::TicketMessage> {
    let request = pb::ListTicketMessagesRequest { parent: name.into(), ..Default::default() };
    desk.tickets.list_ticket_messages(request).await.unwrap().into_inner().messages
}

/// Each wrong field with its reason, what is said of it, and the same in the caller's language.
fn told(status: &Status) -> Vec<(String, String, String, String)> {
    let bad = status.get_details_bad_request().unwrap();
    let told = bad.field_violations.into_iter().map(|violation| {
        let local = violation.localized_message.map(|local| local.message).unwrap_or_default();
        (violation.field, violation.reason, violation.description, local)
    });
    told.collect()
}

#[tokio::test]
async fn t14_forbidden_phrases_are_refused_all_at_once_with_what_to_say_instead() {
    let world = world().await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    let mut manager = world.manager();
    let mut request = Request::new(pb::RespondTicketRequest {
        name: ticket.name.clone(),
        message: "ＳＴＵ-pid！不 關 我 的 事，滾".into(),
        ..Default::default()
    });
    request.metadata_mut().insert("accept-language", "zh-CN".parse().unwrap());
    let error = manager.tickets.respond_ticket(request).await.unwrap_err();
    assert_eq!((error.code(), &*reason(&error)), (Code::InvalidArgument, "FIELDS_INVALID"));
    let expected = [
        ("stupid", "let us look at it together / 我们一起看一下"),
        ("不关我的事", "I will find out who can help / 我来帮您联系负责的同事"),
        ("滚", "请稍候"),
    ];
    let found = told(&error);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for ((phrase, suggestion), (field, reason, english, chinese)) in expected.iter().zip(&found) {
        assert_eq!((&**field, &**reason), ("message", "FORBIDDEN_PHRASE"));
        assert_eq!(
            *english,
            format!("holds the forbidden phrase “{phrase}”; suggestion: {suggestion}")
        );
        assert!(chinese.starts_with(&format!("含有禁忌语“{phrase}”；建议：")), "{chinese}");
    }
    assert_eq!(world.clerk().get(&ticket.name).await, ticket, "nothing was said");
    let kind = "It would be a stupidity not to look. 摇一摇，没问题。";
    say(&mut manager, &ticket.name, kind, false).await.unwrap();
    manager.resolve(&ticket.name).await.unwrap();
    let error = tell(&mut manager, &ticket.name, "s.t.u.p.i.d", false).await.unwrap_err();
    assert_eq!(violations(&error), ["message"]);
    tell(&mut manager, &ticket.name, "已修好", false).await.unwrap();
}

#[tokio::test]
async fn t14_only_a_supervisor_overrides_and_it_stays_on_record() {
    let world = world().await;
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    let words = "客户问：谁说“滾”？是我们，很抱歉。";
    let mut handler = world.desk("wang", "group/north", role::HANDLER);
    // Whether or not there is something to override.
    for words in [words, "您好"] {
        let error = say(&mut handler, &ticket.name, words, true).await.unwrap_err();
        assert_eq!((error.code(), &*reason(&error)), (Code::PermissionDenied, "PERMISSION_DENIED"));
        assert_eq!(metadata(&error, "action"), "ticket.OverrideForbiddenPhrases");
    }
    let mut manager = world.desk("li", "group/north", role::MANAGER);
    say(&mut manager, &ticket.name, words, true).await.unwrap();
    manager.resolve(&ticket.name).await.unwrap();
    tell(&mut manager, &ticket.name, "Stupid of us. 滚!", true).await.unwrap();
    let said = messages(&mut manager, &ticket.name).await;
    assert_eq!(said[0].overridden_phrases, ["滚"]);
    assert_eq!(said[1].overridden_phrases, ["stupid", "滚"]);
    let history = manager.history(&ticket.name).await;
    let told = history.iter().find(|entry| entry.action == "FeedBackTicket").unwrap();
    let after: serde_json::Value = serde_json::from_str(&told.after_json).unwrap();
    assert_eq!(after["overridden_phrases"], serde_json::json!(["stupid", "滚"]));
    let other = world.clerk().create(complaint("group/north", "停电")).await;
    say(&mut manager, &other.name, "正在处理", true).await.unwrap();
    let history = manager.history(&other.name).await;
    assert!(!history[1].after_json.contains("overridden"), "{}", history[1].after_json);
}

#[tokio::test]
async fn t14_x10_a_ticket_is_judged_by_the_phrases_of_its_own_policy_version() {
    let world = World::new().await;
    let before = world.clerk().create(complaint("group", "漏水")).await;
    world.admin().apply("group", polite()).await.unwrap();
    let after = world.clerk().create(complaint("group", "漏水")).await;
    say(&mut world.manager(), &before.name, "滚", false).await.unwrap();
    let error = say(&mut world.manager(), &after.name, "滚", false).await.unwrap_err();
    assert_eq!(violations(&error), ["message"]);
}

#[tokio::test]
async fn t14_x06_a_policy_names_every_fault_of_its_phrases_and_wordings() {
    let world = World::new().await;
    let mut wrong = polite();
    wrong.forbidden_phrases.push(phrase("", "", "好的"));
    wrong.forbidden_phrases.push(phrase("滾", "", "好的"));
    wrong.forbidden_phrases.push(phrase("100%", "", "好的"));
    wrong.forbidden_phrases.push(phrase("骗子", "", ""));
    wrong.forbidden_phrases.push(phrase("骗子们", "", &"好".repeat(201)));
    wrong.message_templates.push(template(
        "waiting",
        "{ticket.numbr}",
        "你真ｓｔｕｐｉｄ，{due_time",
    ));
    let mut faulty = template("first-response", "", "");
    faulty.title = None;
    wrong.message_templates.push(faulty);
    let error = world.admin().apply("group", wrong).await.unwrap_err();
    let mut found = violations(&error);
    found.sort();
    let expected = [
        "policy.forbidden_phrases[3].phrase",
        "policy.forbidden_phrases[4].phrase",
        "policy.forbidden_phrases[5].phrase",
        "policy.forbidden_phrases[6].suggestion",
        "policy.forbidden_phrases[7].suggestion.zh",
        "policy.message_templates[2].text.en",
        "policy.message_templates[2].text.zh",
        "policy.message_templates[3].situation",
        "policy.message_templates[3].text",
        "policy.message_templates[3].title",
    ];
    assert_eq!(found, expected);
    // Forbidden phrases inside a wording are looked for once the phrases themselves are sound.
    let mut rude = polite();
    rude.message_templates.push(template("waiting", "", "你真ｓｔｕｐｉｄ，{ticket.number}"));
    let error = world.admin().apply("group", rude).await.unwrap_err();
    assert_eq!(violations(&error), ["policy.message_templates[2].text.zh"]);
    assert!(told(&error)[0].2.contains("“stupid”"), "{error:?}");
}

#[tokio::test]
async fn t14_x08_phrases_have_limits_and_one_of_one_character_counts() {
    let world = World::new().await;
    let phrases = |count: usize| pb::TicketPolicy {
        forbidden_phrases: (0..count).map(|n| phrase(&format!("禁语{n}"), "", "好")).collect(),
        ..policy()
    };
    for (count, field) in
        [(100_000, "policy.forbidden_phrases"), (1_001, "policy.forbidden_phrases")]
    {
        let error = world.admin().apply("group", phrases(count)).await.unwrap_err();
        assert_eq!(violations(&error), [field]);
    }
    world.admin().apply("group", phrases(1_000)).await.unwrap();
    world.admin().apply("group/north", polite()).await.unwrap();
    let all = world.clerk().create(complaint("group", "漏水")).await;
    let everything: String = (0..1_000).map(|n| format!("禁-语{n}，")).collect();
    let error = say(&mut world.manager(), &all.name, &everything, false).await.unwrap_err();
    let listed = violations(&error).len();
    let more: usize = metadata(&error, "violations_not_listed").parse().unwrap();
    // 禁语1 is in 禁语10 no more than `ass` is in `assembly`.
    assert_eq!(listed + more, 1_000);
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    let mut manager = world.manager();
    let long = |end: &str| format!("{}{end}", "好".repeat(19_999));
    say(&mut manager, &ticket.name, &long("的"), false).await.unwrap();
    let error = say(&mut manager, &ticket.name, &long("滾"), false).await.unwrap_err();
    assert!(told(&error)[0].2.contains("“滚”"), "{error:?}");
    let error = say(&mut manager, &ticket.name, &long("的的"), false).await.unwrap_err();
    assert_eq!(told(&error)[0].1, "TOO_LONG");
}

#[tokio::test]
async fn t14_a_standard_wording_is_filled_in_for_a_ticket() {
    let world = world().await;
    let mut clerk = world.clerk();
    // Monday, ten o'clock in Shanghai: 24 hours to the first response.
    let customer = format!("customers/{}", known_only_there(1));
    let known = pb::Ticket { customer, ..complaint("group", "漏水") };
    let known = clerk.create(known).await;
    let (en, zh) = render(&mut clerk, &known.name, "first-response").await.unwrap();
    let number = &known.number;
    assert_eq!(en, format!("Dear 滨河物业,\nwe answer {number} by 3 March 2026, 10:00."));
    assert_eq!(zh, format!("尊敬的滨河物业：\n工单{number}将于2026年3月3日 10:00前答复。"));
    let named = pb::Ticket { complainant: "王女士".into(), ..complaint("group", "漏水") };
    let named = clerk.create(named).await;
    let (_, zh) = render(&mut clerk, &named.name, "first-response").await.unwrap();
    assert!(zh.starts_with("尊敬的王女士："), "{zh}");
    let nobody = clerk.create(complaint("group", "漏水")).await;
    let (en, _) = render(&mut clerk, &nobody.name, "first-response").await.unwrap();
    assert!(en.starts_with("Dear customer,"), "{en}");
    let error = render(&mut clerk, &nobody.name, "result").await.unwrap_err();
    assert_eq!((error.code(), &*reason(&error)), (Code::FailedPrecondition, "ILLEGAL_STATE"));
    let missing = error.get_details_precondition_failure().unwrap().violations;
    assert_eq!(
        (&*missing[0].r#type, &*missing[0].subject),
        ("TEMPLATE_VARIABLE", "ticket.solution")
    );
    world.manager().resolve(&nobody.name).await.unwrap();
    let (en, zh) = render(&mut clerk, &nobody.name, "result").await.unwrap();
    assert_eq!((&*en, &*zh), ("", "处理结果：已更换电机"));
    for situation in ["unknown", "", &"x".repeat(64)] {
        let error = render(&mut clerk, &nobody.name, situation).await.unwrap_err();
        assert_eq!(violations(&error), ["situation"]);
    }
    let error = render(&mut clerk, "tickets/x", "").await.unwrap_err();
    assert_eq!(violations(&error), ["name", "situation"]);
    let untouched = "SELECT count(*) FROM journal WHERE action LIKE 'Render%'";
    assert_eq!(world.count(untouched).await, 0);
}

#[tokio::test]
async fn t14_a_wording_that_names_the_customer_says_so_when_nobody_can_tell() {
    let mut world = world().await;
    let customer = format!("customers/{}", known_only_there(1));
    let ticket = pb::Ticket { customer, ..complaint("group", "漏水") };
    let ticket = world.clerk().create(ticket).await;
    world.manager().resolve(&ticket.name).await.unwrap();
    world.neighbours.take().unwrap().stop().await.unwrap();
    let error = render(&mut world.clerk(), &ticket.name, "first-response").await.unwrap_err();
    assert_eq!((error.code(), &*reason(&error)), (Code::Unavailable, "CONTEXT_UNAVAILABLE"));
    render(&mut world.clerk(), &ticket.name, "result").await.unwrap();
}

#[tokio::test]
async fn t14_an_internal_note_is_in_the_history_and_never_leaves() {
    const SECRET: &str = "内部：客户情绪激动 internal-only";
    let world = world().await;
    let mut clerk = world.clerk();
    let ticket = clerk.create(complaint("group", "漏水")).await;
    let request = pb::AddTicketNoteRequest {
        name: ticket.name.clone(),
        // What must not be said to the customer may be noted.
        note: format!("{SECRET}：客户说“滚”"),
        etag: ticket.etag.clone(),
        request_id: request_id(7),
    };
    let noted = clerk.tickets.add_ticket_note(request.clone()).await.unwrap().into_inner();
    assert_ne!(noted.etag, ticket.etag);
    assert_eq!(clerk.tickets.add_ticket_note(request.clone()).await.unwrap().into_inner(), noted);
    let stale = pb::AddTicketNoteRequest { request_id: String::new(), ..request };
    let error = clerk.tickets.add_ticket_note(stale).await.unwrap_err();
    assert_eq!((error.code(), &*reason(&error)), (Code::Aborted, "ETAG_STALE"));
    world.manager().handle(&ticket.name).await;
    world.quality().verdict(&ticket.name, 1).await.unwrap();
    note(&mut clerk, &ticket.name, &format!("{SECRET}，已结案")).await.unwrap();
    let history = clerk.history(&ticket.name).await;
    let notes: Vec<_> = history.iter().filter(|entry| entry.action == "AddTicketNote").collect();
    assert_eq!(notes.len(), 2);
    assert!(notes.iter().all(|entry| entry.actor == "clerk" && entry.after_json.contains(SECRET)));
    // The feed, which the 360° view, the survey context and the live stream read, has no event of it at all; and no event
    // of anything else has it inside.
    let events =
        "SELECT count(*) FROM journal WHERE action = 'AddTicketNote' AND event_type IS NOT NULL";
    assert_eq!(world.count(events).await, 0);
    let leaks = "SELECT count(*) FROM journal
                 WHERE position(convert_to('internal-only', 'UTF8') IN event) > 0";
    assert_eq!(world.count(leaks).await, 0);
    let public = "SELECT count(*) FROM journal WHERE event IS NOT NULL";
    assert!(world.count(public).await > 3);
    // Nor has the resource, nor what the customer was told, nor a wording.
    let found = format!(
        "{:?}{:?}{:?}",
        clerk.get(&ticket.name).await,
        messages(&mut clerk, &ticket.name).await,
        render(&mut clerk, &ticket.name, "result").await.unwrap(),
    );
    assert!(!found.contains("内部") && !found.contains("internal-only"), "{found}");
    let error = note(&mut clerk, &ticket.name, " ").await.unwrap_err();
    assert_eq!(violations(&error), ["note"]);
    let error = note(&mut clerk, &ticket.name, &"长".repeat(20_001)).await.unwrap_err();
    assert_eq!(violations(&error), ["note"]);
}

#[tokio::test]
async fn t14_what_was_said_is_listed_oldest_first_by_pages() {
    let world = world().await;
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    world.pass_hours(2).await;
    let mut manager = world.manager();
    for (index, sent) in ["03:10", "03:00", "03:10", "03:40", "02:30"].into_iter().enumerate() {
        let request = pb::RespondTicketRequest {
            name: ticket.name.clone(),
            message: format!("第{index}次答复"),
            send_time: at(&format!("2026-03-02T{sent}:00Z")),
            ..Default::default()
        };
        manager.tickets.respond_ticket(request).await.unwrap();
    }
    manager.resolve(&ticket.name).await.unwrap();
    tell(&mut manager, &ticket.name, "电梯已修好", false).await.unwrap();
    let mut request = pb::ListTicketMessagesRequest {
        parent: ticket.name.clone(),
        page_size: 2,
        ..Default::default()
    };
    let mut found = Vec::new();
    loop {
        let page =
            manager.tickets.list_ticket_messages(request.clone()).await.unwrap().into_inner();
        assert!(page.messages.len() <= 2);
        found.extend(page.messages);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let bodies: Vec<&str> = found.iter().map(|message| &*message.body).collect();
    let expected = ["第4次答复", "第1次答复", "第0次答复", "第2次答复", "第3次答复", "电梯已修好"];
    assert_eq!(bodies, expected);
    let (first, last) = (&found[0], &found[5]);
    assert!(first.name.starts_with(&format!("{}/messages/", ticket.name)), "{}", first.name);
    assert_eq!(
        (first.purpose(), last.purpose()),
        (pb::TicketMessagePurpose::Answer, pb::TicketMessagePurpose::Result,)
    );
    assert_eq!(
        (first.send_time, &*first.sent_by, first.cycle),
        (at("2026-03-02T02:30:00Z"), "manager", 1)
    );
    assert_eq!(first.create_time, at("2026-03-02T04:00:00Z"));
    assert!(found.iter().all(|m| m.delivery_state() == pb::MessageDeliveryState::Recorded));
    let foreign = pb::ListTicketMessagesRequest {
        parent: world.clerk().create(complaint("group", "停电")).await.name,
        ..request.clone()
    };
    let error = manager.tickets.list_ticket_messages(foreign).await.unwrap_err();
    assert_eq!(violations(&error), ["page_token"]);
    let absent = pb::ListTicketMessagesRequest {
        parent: format!("tickets/{}", uuid::Uuid::nil()),
        ..Default::default()
    };
    let error = manager.tickets.list_ticket_messages(absent).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
}

#[tokio::test]
async fn x07_messages_notes_and_wordings_are_for_the_org_unit_and_above() {
    let world = world().await;
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    let mut south = world.desk("li", "group/south", role::MANAGER);
    let list = pb::ListTicketMessagesRequest { parent: ticket.name.clone(), ..Default::default() };
    let denied = [
        south.tickets.list_ticket_messages(list).await.err(),
        note(&mut south, &ticket.name, "好").await.err(),
        render(&mut south, &ticket.name, "first-response").await.err(),
        note(&mut world.desk("chen", "group", role::AUDITOR), &ticket.name, "好").await.err(),
    ];
    for (index, error) in denied.into_iter().enumerate() {
        assert_eq!(error.map(|e| e.code()), Some(Code::PermissionDenied), "call {index}");
    }
    assert_eq!(world.clerk().get(&ticket.name).await, ticket);
}
