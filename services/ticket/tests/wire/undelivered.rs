//! T-07, T-14: a message that never left is seen at its ticket until the customer hears something.

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::automation_step::Step;
use kefu_identity::role;

use crate::automation::{step, templates, trigger, wording};
use crate::delivery::{by, deliveries, messages, send, with_adapters};
use crate::receiver::{Endpoint, MailServer};
use crate::world::{Desk, World, at, clock, complaint};

pub async fn world(server: &MailServer) -> World {
    crate::delivery::world(&server.adapter("customer-mail")).await
}

pub fn to() -> Option<pb::DeliveryRoute> {
    by("customer-mail", "wang@example.cn")
}

pub async fn queue(desk: &mut Desk, filter: &str) -> Vec<String> {
    let request = pb::ListQueueRequest {
        org_unit: "group".into(),
        filter: filter.into(),
        ..Default::default()
    };
    let page = desk.queues.list_queue(request).await.unwrap().into_inner();
    page.entries.into_iter().map(|entry| entry.ticket.unwrap().name).collect()
}

#[tokio::test]
async fn t14_an_answer_that_was_given_up_is_seen_and_its_clock_stays() {
    let mut server = MailServer::start().await;
    let world = world(&server).await;
    let mut manager = world.manager();
    let ticket = manager.create(complaint("group", "漏水")).await;
    server.will(["550 5.1.1 no such user"]);
    send(&mut manager, &ticket.name, "我们正在处理", to()).await.unwrap();
    world.settle().await;
    let marked = manager.get(&ticket.name).await;
    let lost = marked.undelivered.clone().unwrap();
    let said = messages(&mut manager, &ticket.name).await;
    assert_eq!((&lost.message, &lost.delivery), (&said[0].name, &said[0].delivery));
    assert_eq!((lost.send_time, lost.cancelled), (at("2026-03-02T02:00:00Z"), false));
    let first = clock(&marked, "first-response", 1);
    assert_eq!(first.state(), pb::ClockState::Met, "as of when it was sent (T-07)");
    // The queues settle before the outbox.
    world.settle().await;
    assert_eq!(queue(&mut manager, "undelivered:*").await, std::slice::from_ref(&ticket.name));
    assert_eq!(
        queue(&mut manager, "undelivered = PARKED").await,
        std::slice::from_ref(&ticket.name)
    );
    assert!(queue(&mut manager, "undelivered = CANCELLED").await.is_empty());
    let event =
        "SELECT count(*) FROM journal WHERE action = 'MarkUndelivered' AND actor = 'system/outbox'
                 AND event_type = 'kefu.ticket.v1.TicketAnswerUndelivered'";
    assert_eq!(world.count(event).await, 1);

    // The next one arrives.
    world.pass_hours(1).await;
    send(&mut manager, &ticket.name, "我们正在处理", to()).await.unwrap();
    assert!(manager.get(&ticket.name).await.undelivered.is_some(), "on its way is not there");
    world.settle().await;
    assert_eq!(server.all().len(), 1);
    assert_eq!(manager.get(&ticket.name).await.undelivered, None);
    world.settle().await;
    assert!(queue(&mut manager, "undelivered:*").await.is_empty());
    let event =
        "SELECT count(*) FROM journal WHERE event_type = 'kefu.ticket.v1.TicketAnswerDelivered'";
    assert_eq!(world.count(event).await, 1);
}

#[tokio::test]
async fn t14_a_person_who_cancels_a_message_leaves_the_mark_until_the_customer_is_told() {
    let server = MailServer::start().await;
    let world = world(&server).await;
    let mut manager = world.manager();
    let ticket = manager.create(complaint("group", "漏水")).await;
    server.will(["451 later"]);
    send(&mut manager, &ticket.name, "我们正在处理", to()).await.unwrap();
    world.settle().await;
    let pending = deliveries(&mut manager, "group", &[pb::DeliveryState::Pending]).await;
    assert_eq!(manager.get(&ticket.name).await.undelivered, None, "it is tried again");
    let cancel = pb::CancelDeliveryRequest {
        name: pending[0].name.clone(),
        reason: "改打电话".into(),
        request_id: crate::world::request_id(9),
        ..Default::default()
    };
    let first = manager.deliveries.cancel_delivery(cancel.clone()).await.unwrap().into_inner();
    let again = manager.deliveries.cancel_delivery(cancel).await.unwrap().into_inner();
    assert_eq!(first, again);
    let marked = manager.get(&ticket.name).await;
    assert!(marked.undelivered.as_ref().unwrap().cancelled);
    let by_whom =
        "SELECT count(*) FROM journal WHERE action = 'MarkUndelivered' AND actor = 'manager'";
    assert_eq!(world.count(by_whom).await, 1);
    // By telephone.
    let told = manager.respond(&ticket.name).await.unwrap();
    assert_eq!(told.undelivered, None);
}

#[tokio::test]
async fn t14_what_is_sent_after_all_takes_the_mark_away_and_what_was_overtaken_sets_none() {
    let mut server = MailServer::start().await;
    let world = world(&server).await;
    let mut manager = world.manager();
    let ticket = manager.create(complaint("group", "漏水")).await;
    server.will(["550 no"]);
    send(&mut manager, &ticket.name, "一", to()).await.unwrap();
    world.settle().await;
    let parked = deliveries(&mut manager, "group", &[pb::DeliveryState::Parked]).await;
    let retry = pb::RetryDeliveryRequest { name: parked[0].name.clone(), ..Default::default() };
    manager.deliveries.retry_delivery(retry).await.unwrap();
    world.settle().await;
    assert_eq!(server.all().len(), 1);
    assert_eq!(manager.get(&ticket.name).await.undelivered, None);

    // Given up only after a later one has arrived.
    server.will(["451 later"]);
    send(&mut manager, &ticket.name, "二", to()).await.unwrap();
    world.settle().await;
    let waiting = deliveries(&mut manager, "group", &[pb::DeliveryState::Pending]).await;
    send(&mut manager, &ticket.name, "三", to()).await.unwrap();
    world.settle().await;
    assert_eq!(server.all().len(), 1);
    let cancel = pb::CancelDeliveryRequest {
        name: waiting[0].name.clone(),
        reason: "过时".into(),
        ..Default::default()
    };
    manager.deliveries.cancel_delivery(cancel).await.unwrap();
    assert_eq!(manager.get(&ticket.name).await.undelivered, None);
    let marks = "SELECT count(*) FROM journal WHERE action = 'MarkUndelivered'";
    assert_eq!(world.count(marks).await, 1);
}

#[tokio::test]
async fn t14_whoever_handles_the_ticket_is_told_that_its_answer_never_left() {
    let mut server = MailServer::start().await;
    let config = format!(
        "adapters:\n{}addresses:\n  customer-mail:\n    staff: {{manager: manager@kefu.example}}\n",
        server.adapter("customer-mail")
    );
    let world = World::sending(&config).await;
    let notice = pb::NoticeStep {
        adapter: "customer-mail".into(),
        recipients: "owner".into(),
        wording: Some(wording("alarm", "zh")),
    };
    let rule = trigger(
        "undelivered",
        pb::TriggerEvent::AnswerUndelivered,
        None,
        vec![step(Step::Notify(notice))],
    );
    let policy = pb::TicketPolicy {
        triggers: vec![rule],
        message_templates: templates(),
        ..with_adapters()
    };
    world.admin().apply("group", policy).await.unwrap();
    let mut manager = world.manager();
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    server.will(["550 no"]);
    send(&mut manager, &ticket.name, "好", to()).await.unwrap();
    world.settle().await;
    world.settle().await;
    let mails = server.all();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, ["<manager@kefu.example>"], "whoever answered has it");
    assert_eq!(mails[0].body(), format!("工单{}需要立即处理", ticket.number));
}

/// However the outcomes of many messages of one ticket meet: what is shown in the end is what is true in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t14_outcomes_that_meet_at_one_ticket_leave_the_truth() {
    let endpoint = Endpoint::start().await;
    let world = crate::delivery::world(&endpoint.adapter("messenger", 5_000)).await;
    let ticket = world.manager().create(complaint("group", "漏水")).await;
    let gone = "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n";
    // Which of them are refused is chance; that some are is not.
    endpoint.will((0..12).map(|_| crate::receiver::Answer::Says(gone)));
    let sends = (0..24).map(|n| {
        let mut desk = world.desk("manager", "group", role::MANAGER);
        let name = ticket.name.clone();
        async move {
            send(&mut desk, &name, &format!("第{n}条"), by("messenger", "a")).await.unwrap();
        }
    });
    futures::future::join_all(sends).await;
    world.settle().await;
    assert_eq!(world.count("SELECT count(*) FROM delivery WHERE state = 'pending'").await, 0);
    assert_eq!(world.count("SELECT count(*) FROM delivery WHERE state = 'parked'").await, 12);
    let latest = "SELECT count(*) FROM delivery WHERE state = 'parked' AND message_id = (
                      SELECT id FROM message ORDER BY sent_at DESC, id DESC LIMIT 1)";
    let lost = world.count(latest).await == 1;
    let shown = world.manager().get(&ticket.name).await.undelivered;
    assert_eq!(shown.is_some(), lost, "marked if and only if the latest message never left");
}
