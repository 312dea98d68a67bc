//! T-06, T-07, T-08, T-11: the customer and the staff are told, once, and what is on record is what happened.

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::automation_step::Step;
use kefu_identity::role;
use tonic::{Code, Status};

use crate::automation::{step, templates, trigger, wording};
use crate::delivery::{by, deliveries, messages, send, with_adapters};
use crate::pack::{hours, text};
use crate::receiver::{Mail, MailServer};
use crate::world::{Desk, World, at, complaint, request_id, violations};

fn telling() -> pb::TicketPolicy {
    let mut message_templates = templates();
    message_templates.push(pb::MessageTemplate {
        situation: "reminder".into(),
        title: Some(text("", "催办")),
        text: Some(text("", "您好，工单{ticket.number}仍在等待您的资料。")),
    });
    pb::TicketPolicy {
        message_templates,
        pause_reasons: vec![pb::PauseReason {
            code: "documents".into(),
            title: Some(text("", "等待客户资料")),
            remind_after: hours(48),
            reminder: Some(pb::CustomerReminder {
                adapter: "customer-mail".into(),
                wording: Some(wording("reminder", "zh")),
            }),
            ..pb::PauseReason::default()
        }],
        forbidden_phrases: vec![pb::ForbiddenPhrase {
            phrase: "不归我们管".into(),
            suggestion: Some(text("", "我们帮您转接")),
        }],
        ..with_adapters()
    }
}

async fn world(config: &str, policy: pb::TicketPolicy) -> World {
    let world = World::sending(config).await;
    world.admin().apply("group", policy).await.unwrap();
    world
}

/// The next mails; with two replicas nobody knows which of them is still sending.
async fn next(server: &mut MailServer, count: usize) -> Vec<Mail> {
    let mut mails = Vec::new();
    while mails.len() < count {
        mails.push(server.mails.recv().await.unwrap());
    }
    mails.sort_by(|a, b| a.to.cmp(&b.to));
    mails
}

async fn pause(desk: &mut Desk, name: &str, recipient: &str) -> Result<pb::Ticket, Status> {
    let request = pb::PauseTicketRequest {
        name: name.into(),
        reason: "等待照片".into(),
        pause_reason: "documents".into(),
        reminder_recipient: recipient.into(),
        ..Default::default()
    };
    desk.tickets.pause_ticket(request).await.map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t06_two_replicas_send_each_reminder_once_and_it_is_on_record_as_sent() {
    let mut server = MailServer::start().await;
    let config = format!("adapters:\n{}", server.adapter("customer-mail"));
    let mut world = world(&config, telling()).await;
    world.start_replica().await;
    let (mut clerk, mut manager) = (world.clerk(), world.manager());
    let mut names = Vec::new();
    for index in 0..10 {
        let ticket = clerk.create(complaint("group/north", &format!("投诉 {index}"))).await;
        let bad = pause(&mut manager, &ticket.name, "王女士").await.unwrap_err();
        assert_eq!(violations(&bad), ["reminder_recipient"]);
        pause(&mut manager, &ticket.name, &format!("c{index}@example.cn")).await.unwrap();
        names.push(ticket.name);
    }
    let unknown = clerk.create(complaint("group/north", "没有地址")).await.name;
    pause(&mut manager, &unknown, "").await.unwrap();
    world.set_time("2026-03-04T02:00:00Z").await;
    let mails = next(&mut server, 10).await;
    world.pass_hours(24 * 30).await;
    assert!(server.all().is_empty(), "once");
    let to: Vec<_> = mails.iter().map(|mail| mail.to[0].clone()).collect();
    assert_eq!(to, (0..10).map(|n| format!("<c{n}@example.cn>")).collect::<Vec<_>>(), "each once");
    let number = manager.get(&names[3]).await.number;
    assert_eq!(mails[3].body(), format!("您好，工单{number}仍在等待您的资料。"));
    let said = messages(&mut manager, &names[3]).await;
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].purpose(), pb::TicketMessagePurpose::Reminder);
    assert_eq!(said[0].sent_by, "system/timers");
    let follow_up = manager.get(&names[3]).await.follow_up.unwrap();
    assert_eq!(follow_up.remind_time, at("2026-03-04T02:00:00Z"));
    assert_eq!(follow_up.reminder_noted_time, None);

    let follow_up = manager.get(&unknown).await.follow_up.unwrap();
    assert_eq!(follow_up.remind_time, None, "nobody was told");
    assert_eq!(follow_up.reminder_noted_time, at("2026-03-04T02:00:00Z"));
    let actions = |history: Vec<pb::TicketHistoryEntry>| -> Vec<String> {
        history.into_iter().map(|entry| entry.action).collect()
    };
    let noted = manager.history(&unknown).await;
    let due = noted.iter().find(|entry| entry.action == "NoteReminderDue").unwrap();
    assert!(due.after_json.contains("no_recipient"), "{}", due.after_json);
    assert!(!actions(noted).contains(&"RemindCustomer".to_owned()));
    assert!(actions(manager.history(&names[3]).await).contains(&"RemindCustomer".to_owned()));
    let sent =
        "SELECT count(*) FROM journal WHERE action = 'CreateDelivery' AND actor = 'system/timers'";
    assert_eq!(world.count(sent).await, 10);
}

#[tokio::test]
async fn t06_without_an_address_the_reminder_follows_the_last_message() {
    let mut server = MailServer::start().await;
    let config = format!("adapters:\n{}", server.adapter("customer-mail"));
    let world = world(&config, telling()).await;
    let mut manager = world.manager();
    let ticket = manager.create(complaint("group", "漏水")).await;
    let to = by("customer-mail", "wang@example.cn");
    send(&mut manager, &ticket.name, "请提供照片", to).await.unwrap();
    pause(&mut manager, &ticket.name, "").await.unwrap();
    world.pass_hours(48).await;
    let mails = server.all();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[1].to, ["<wang@example.cn>"]);
    let said = messages(&mut manager, &ticket.name).await;
    assert_eq!(said[1].delivery_state(), pb::MessageDeliveryState::Sent);
    assert_eq!(mails[1].header("Auto-Submitted"), "auto-generated", "nobody wrote it");
}

#[tokio::test]
async fn t06_a_policy_whose_reminder_names_what_is_not_there_is_refused() {
    let world = World::new().await;
    let mut policy = telling();
    policy.pause_reasons[0].remind_after = None;
    policy.pause_reasons[0].reminder = Some(pb::CustomerReminder {
        adapter: "fax".into(),
        wording: Some(wording("nothing", "fr")),
    });
    let error = world.admin().apply("group", policy).await.unwrap_err();
    let path = |field: &str| format!("policy.pause_reasons[0].reminder{field}");
    assert_eq!(
        violations(&error),
        [path(""), path(".adapter"), path(".wording.language"), path(".wording.situation")]
    );
}

fn delay(name: &str, reason: &str) -> pb::AnnounceDelayRequest {
    pb::AnnounceDelayRequest {
        name: name.into(),
        rule: "resolution".into(),
        new_due_time: at("2026-03-10T02:00:00Z"),
        reason: reason.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn t08_the_customer_is_sent_the_reason_and_the_new_date_once() {
    let mut server = MailServer::start().await;
    let config = format!("adapters:\n{}", server.adapter("customer-mail"));
    let world = world(&config, telling()).await;
    let mut manager = world.manager();
    let ticket = manager.create(complaint("group", "漏水")).await;
    let request = pb::AnnounceDelayRequest {
        delivery: by("customer-mail", "wang@example.cn"),
        request_id: request_id(1),
        ..delay(&ticket.name, "配件缺货")
    };
    let first = manager.tickets.announce_delay(request.clone()).await.unwrap().into_inner();
    let again = manager.tickets.announce_delay(request).await.unwrap().into_inner();
    assert_eq!(first, again);
    world.settle().await;
    let mails = server.all();
    assert_eq!(mails.len(), 1);
    let body = mails[0].body().replace("\r\n", "\n");
    let date = "新的预计完成时间：2026年3月10日 10:00。\nNew expected date: 10 March 2026, 10:00.";
    assert_eq!(body, format!("配件缺货\n{date}"));
    let said = messages(&mut manager, &ticket.name).await;
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].purpose(), pb::TicketMessagePurpose::Delay);
    assert_eq!(said[0].delivery_state(), pb::MessageDeliveryState::Sent);
    assert_eq!(first.first_response_time, None, "that it will be late is no answer");
    assert_eq!(first.state(), pb::TicketState::Registered);
}

#[tokio::test]
async fn t08_forbidden_phrases_are_caught_in_a_delay_unless_a_supervisor_overrides_them() {
    let world = world("adapters: {}\n", telling()).await;
    let mut handler = world.desk("wang", "group", role::HANDLER);
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    let rude = delay(&ticket.name, "这不归我们管");
    let error = handler.tickets.announce_delay(rude.clone()).await.unwrap_err();
    assert_eq!(violations(&error), ["reason"]);
    let own = pb::AnnounceDelayRequest {
        message: "这不归我们管".into(),
        delivery: by("fax", "1"),
        ..delay(&ticket.name, "缺货")
    };
    let error = handler.tickets.announce_delay(own).await.unwrap_err();
    assert_eq!(violations(&error), ["message", "delivery.adapter"]);
    let overriding = pb::AnnounceDelayRequest { override_forbidden_phrases: true, ..rude };
    let error = handler.tickets.announce_delay(overriding.clone()).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    assert!(messages(&mut handler, &ticket.name).await.is_empty());
    let mut manager = world.manager();
    manager.tickets.announce_delay(overriding).await.unwrap();
    let said = messages(&mut manager, &ticket.name).await;
    assert_eq!(said[0].overridden_phrases, ["不归我们管"]);
    assert_eq!(said[0].delivery_state(), pb::MessageDeliveryState::Recorded);
}

#[tokio::test]
async fn t11_the_customer_is_sent_who_has_the_ticket_now() {
    let mut server = MailServer::start().await;
    let config = format!("adapters:\n{}", server.adapter("customer-mail"));
    let world = world(&config, telling()).await;
    let ticket = world.clerk().create(complaint("group/north", "电梯故障")).await;
    let mut north = world.desk("bei", "group/north", role::HANDLER);
    let mut south = world.desk("nan", "group/south", role::HANDLER);
    let transfer = pb::TransferTicketRequest {
        name: ticket.name.clone(),
        to_org_unit: "group/south".into(),
        handover_note: "请回电".into(),
        ..Default::default()
    };
    north.handling.transfer_ticket(transfer).await.unwrap();
    let accept = pb::AcceptTransferRequest {
        name: ticket.name.clone(),
        message: "您的投诉现由南区处理".into(),
        delivery: by("fax", "wang@example.cn"),
        ..Default::default()
    };
    let error = south.handling.accept_transfer(accept.clone()).await.unwrap_err();
    assert_eq!(violations(&error), ["delivery.adapter"]);
    let to = by("customer-mail", "wang@example.cn");
    let accept = pb::AcceptTransferRequest { delivery: to, ..accept };
    south.handling.accept_transfer(accept).await.unwrap();
    world.settle().await;
    let mails = server.all();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].body(), "您的投诉现由南区处理");
    let seen = deliveries(&mut south, "group/south", &[pb::DeliveryState::Sent]).await;
    assert_eq!(seen.len(), 1, "it belongs to whoever has the ticket");
}

fn notify(recipients: &str) -> Vec<pb::AutomationStep> {
    vec![step(Step::Notify(pb::NoticeStep {
        adapter: "customer-mail".into(),
        recipients: recipients.into(),
        wording: Some(wording("alarm", "zh")),
    }))]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t07_the_owner_hears_the_warning_and_the_next_level_the_breach_each_once() {
    let mut server = MailServer::start().await;
    let config = format!(
        "adapters:\n{}addresses:\n  customer-mail:\n    staff: {{clerk: clerk@kefu.example}}\n    levels:\n      group: {{2: \
         [boss@kefu.example]}}\n      group/north: {{2: [north-boss@kefu.example, deputy@kefu.example]}}\n",
        server.adapter("customer-mail")
    );
    let mut policy = telling();
    let (warned, breached) = (pb::TriggerEvent::ClockWarned, pb::TriggerEvent::ClockBreached);
    policy.clocks[0].breach_raises_level = false;
    policy.triggers = vec![
        trigger("warn-owner", warned, None, notify("owner")),
        trigger("warn-first", warned, None, notify("first-contact-owner")),
        trigger("tell-level", breached, None, notify("receiver-level")),
    ];
    let mut world = world(&config, policy).await;
    world.start_replica().await;
    let mut clerk = world.clerk();
    let north = clerk.create(complaint("group/north/riverside", "漏水")).await;
    let south = clerk.create(complaint("group/south", "停电")).await;
    world.set_time("2026-03-02T21:30:00Z").await;
    // Two rules, two tickets.
    let warnings = next(&mut server, 4).await;
    assert!(warnings.iter().all(|mail| mail.to == ["<clerk@kefu.example>"]));
    world.set_time("2026-03-03T03:00:00Z").await;
    let told = next(&mut server, 2).await;
    let of = |number: &str| told.iter().find(|mail| mail.body().contains(number)).unwrap();
    assert_eq!(of(&north.number).to, ["<north-boss@kefu.example>", "<deputy@kefu.example>"]);
    assert_eq!(of(&south.number).to, ["<boss@kefu.example>"]);
    assert_eq!(clerk.get(&north.name).await.receiver_level, 1, "told without being raised");
    world.pass_hours(20).await;
    assert!(server.all().is_empty());
    let recorded =
        "SELECT count(*) FROM delivery WHERE recipient = 'level:2@group/north/riverside'";
    assert_eq!(world.count(recorded).await, 1);
}

#[tokio::test]
async fn t07_whoever_has_no_address_is_seen_by_the_operators_at_once() {
    let server = MailServer::start().await;
    let config = format!("adapters:\n{}", server.adapter("customer-mail"));
    let mut policy = telling();
    policy.triggers = vec![
        trigger("warn", pb::TriggerEvent::ClockWarned, None, notify("owner")),
        trigger("tell", pb::TriggerEvent::ClockBreached, None, notify("receiver-level")),
    ];
    let world = world(&config, policy).await;
    world.clerk().create(complaint("group/north", "漏水")).await;
    world.set_time("2026-03-03T03:00:00Z").await;
    world.settle().await;
    let mut operator = world.desk("yun-wei", "group", role::OPERATOR);
    let parked = deliveries(&mut operator, "group", &[pb::DeliveryState::Parked]).await;
    let why: Vec<_> =
        parked.iter().map(|parked| (&*parked.recipient, &*parked.last_error)).collect();
    let error =
        |who: &str| format!("this service's configuration has no address of {who} for the adapter");
    let (level, staff) = (error("level 2 of group/north"), error("staff clerk"));
    assert_eq!(why, [("level:2@group/north", &*level), ("staff:clerk", &*staff)]);
    assert!(parked.iter().all(|parked| parked.attempts == 1));
}
