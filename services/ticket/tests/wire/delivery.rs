//! T-14: what is said to a customer goes out, and what became of it is shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use sha2::Sha256;
use tonic::{Code, Status};

use crate::pack::{policy, text};
use crate::receiver::{Answer, Endpoint, Got, MailServer, SECRET};
use crate::world::{Desk, World, at, complaint, reason, request_id, violations};

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

/// Three attempts, the waits a minute and two.
pub fn adapter(code: &str, kind: pb::ChannelAdapterKind) -> pb::ChannelAdapter {
    pb::ChannelAdapter {
        code: code.into(),
        kind: kind.into(),
        title: Some(text("", "渠道")),
        max_attempts: 3,
        first_retry: seconds(60),
        longest_retry: seconds(3_600),
    }
}

/// The regulation with ways out.
pub fn with_adapters() -> pb::TicketPolicy {
    pb::TicketPolicy {
        channel_adapters: vec![
            adapter("customer-mail", pb::ChannelAdapterKind::Mail),
            adapter("messenger", pb::ChannelAdapterKind::Webhook),
            adapter("partner", pb::ChannelAdapterKind::Webhook),
        ],
        ..policy()
    }
}

pub async fn world(config: &str) -> World {
    let world = World::sending(&format!("adapters:\n{config}")).await;
    world.admin().apply("group", with_adapters()).await.unwrap();
    world
}

pub fn by(adapter: &str, recipient: &str) -> Option<pb::DeliveryRoute> {
    Some(pb::DeliveryRoute { adapter: adapter.into(), recipient: recipient.into() })
}

pub async fn send(
    desk: &mut Desk,
    ticket: &str,
    message: &str,
    delivery: Option<pb::DeliveryRoute>,
) -> Result<pb::Ticket, Status> {
    let request = pb::RespondTicketRequest {
        name: ticket.into(),
        message: message.into(),
        delivery,
        ..Default::default()
    };
    desk.tickets.respond_ticket(request).await.map(tonic::Response::into_inner)
}

pub async fn messages(desk: &mut Desk, name: &str) -> Vec<pb::TicketMessage> {
    let request = pb::ListTicketMessagesRequest { parent: name.into(), ..Default::default() };
    desk.tickets.list_ticket_messages(request).await.unwrap().into_inner().messages
}

pub async fn deliveries(
    desk: &mut Desk,
    org_unit: &str,
    states: &[pb::DeliveryState],
) -> Vec<pb::Delivery> {
    let request = pb::ListDeliveriesRequest {
        org_unit: org_unit.into(),
        states: states.iter().map(|state| (*state).into()).collect(),
        ..Default::default()
    };
    desk.deliveries.list_deliveries(request).await.unwrap().into_inner().deliveries
}

/// The only delivery there is.
pub async fn only(desk: &mut Desk) -> pb::Delivery {
    let mut found = deliveries(desk, "group", &[]).await;
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// Checks a signature as a receiver would.
fn verify(got: &Got) {
    let key = STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    let (id, time) = (got.header("webhook-id"), got.header("webhook-timestamp"));
    mac.update(format!("{id}.{time}.{}", got.body).as_bytes());
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(got.header("webhook-signature"), expected);
}

#[tokio::test]
async fn t14_a_message_in_chinese_is_mailed_once_and_its_state_is_shown() {
    let mut server = MailServer::start().await;
    let world = world(&server.adapter("customer-mail")).await;
    let mut manager = world.manager();
    let ticket =
        manager.create(complaint("group/north/riverside", "三号楼电梯漏水，请尽快处理")).await;
    let message = "尊敬的王女士：\n我们已安排维修。\n.\n此致";
    send(&mut manager, &ticket.name, message, by("customer-mail", "wang@example.cn"))
        .await
        .unwrap();
    manager.respond(&ticket.name).await.unwrap();
    world.settle().await;
    let mails = server.all();
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert_eq!(mail.to, ["<wang@example.cn>"]);
    assert!(mail.from.starts_with("<care@kefu.example>"), "{}", mail.from);
    let subject = format!("[{}] 三号楼电梯漏水，请尽快处理", ticket.number);
    assert_eq!(mail.read_header("Subject"), subject);
    assert_eq!(mail.header("To"), "wang@example.cn");
    assert_eq!(mail.body().replace("\r\n", "\n"), message);
    assert_eq!(mail.header("Auto-Submitted"), "", "a person wrote it");

    let delivery = only(&mut manager).await;
    let id = delivery.name.strip_prefix("deliveries/").unwrap();
    assert_eq!(mail.header("Message-ID"), format!("<{id}@kefu.example>"));
    assert_eq!(delivery.state(), pb::DeliveryState::Sent);
    assert_eq!((delivery.attempts, &*delivery.provider_id), (1, "2.0.0 queued as 4F2A"));
    assert_eq!((&*delivery.ticket, &*delivery.created_by), (&*ticket.name, "manager"));
    let said = messages(&mut manager, &ticket.name).await;
    let states: Vec<_> = said.iter().map(|message| message.delivery_state()).collect();
    let (sent, recorded) = (pb::MessageDeliveryState::Sent, pb::MessageDeliveryState::Recorded);
    assert!(states.contains(&sent) && states.contains(&recorded), "{states:?}");
    let carried = said.iter().find(|message| message.delivery == delivery.name).unwrap();
    assert_eq!(delivery.message, carried.name);

    world.pass_hours(200).await;
    assert!(server.all().is_empty(), "once");
}

#[tokio::test]
async fn t14_a_refusal_for_good_is_parked_at_once_and_taken_up_again_by_an_operator() {
    let mut server = MailServer::start().await;
    let world = world(&server.adapter("customer-mail")).await;
    let mut manager = world.manager();
    let ticket = manager.create(complaint("group/north/riverside", "漏水")).await;
    server.will(["550 5.1.1 \u{1b}[31m查无此人"]);
    send(&mut manager, &ticket.name, "好", by("customer-mail", "wang@example.cn")).await.unwrap();
    world.settle().await;
    let mut operator = world.desk("yun-wei", "group", role::OPERATOR);
    let parked = deliveries(&mut operator, "group", &[pb::DeliveryState::Parked]).await;
    assert_eq!(parked.len(), 1);
    let delivery = &parked[0];
    assert_eq!((delivery.attempts, delivery.next_attempt_time), (1, None));
    assert!(delivery.last_error.contains("5.1.1 [31m查无此人"), "{}", delivery.last_error);
    let shown = messages(&mut manager, &ticket.name).await;
    assert_eq!(shown[0].delivery_state(), pb::MessageDeliveryState::Parked);
    world.pass_hours(200).await;
    assert!(server.all().is_empty(), "nobody tries by himself");

    let stale = pb::RetryDeliveryRequest {
        name: delivery.name.clone(),
        etag: manager.get(&ticket.name).await.etag,
        ..Default::default()
    };
    let error = operator.deliveries.retry_delivery(stale).await.unwrap_err();
    assert_eq!(error.code(), Code::Aborted);
    let retry = pb::RetryDeliveryRequest {
        name: delivery.name.clone(),
        etag: delivery.etag.clone(),
        request_id: request_id(77),
    };
    let first = operator.deliveries.retry_delivery(retry.clone()).await.unwrap().into_inner();
    assert_eq!((first.state(), first.max_attempts), (pb::DeliveryState::Pending, 4));
    let again = operator.deliveries.retry_delivery(retry).await.unwrap().into_inner();
    assert_eq!(first, again, "the first answer");
    world.settle().await;
    assert_eq!(server.all().len(), 1);
    assert_eq!(only(&mut manager).await.state(), pb::DeliveryState::Sent);
    let retry = pb::RetryDeliveryRequest { name: delivery.name.clone(), ..Default::default() };
    let error = operator.deliveries.retry_delivery(retry).await.unwrap_err();
    assert_eq!((error.code(), &*reason(&error)), (Code::FailedPrecondition, "ILLEGAL_STATE"));
}

#[tokio::test]
async fn t14_a_server_that_is_busy_is_tried_again_until_it_takes_the_mail() {
    let mut server = MailServer::start().await;
    let world = world(&server.adapter("customer-mail")).await;
    let mut manager = world.manager();
    let ticket = manager.create(complaint("group", "漏水")).await;
    server.will(["451 4.3.2 try later", "451 4.3.2 try later"]);
    send(&mut manager, &ticket.name, "好", by("customer-mail", "wang@example.cn")).await.unwrap();
    world.settle().await;
    let waiting = only(&mut manager).await;
    assert_eq!((waiting.state(), waiting.attempts), (pb::DeliveryState::Pending, 1));
    assert!(waiting.last_error.contains("4.3.2 try later"), "{}", waiting.last_error);
    world.settle().await;
    assert_eq!(only(&mut manager).await.attempts, 1, "not before its time");
    // The first wait is half a minute to a minute, the second one to two.
    world.set_time("2026-03-02T02:01:00Z").await;
    assert_eq!(only(&mut manager).await.attempts, 2);
    world.set_time("2026-03-02T02:03:00Z").await;
    let sent = only(&mut manager).await;
    assert_eq!((sent.state(), sent.attempts), (pb::DeliveryState::Sent, 3));
    assert_eq!(server.all().len(), 1);
    let history =
        world.count("SELECT count(*) FROM journal WHERE aggregate_type = 'delivery'").await;
    assert_eq!(history, 4, "put there, three attempts");
    let told = "SELECT count(*) FROM journal WHERE event_type = 'kefu.ticket.v1.DeliveryChanged'";
    assert_eq!(world.count(told).await, 1);
}

#[tokio::test]
async fn t14_a_webhook_is_signed_anew_and_carries_the_same_in_every_attempt() {
    let mut endpoint = Endpoint::start().await;
    let world = world(&endpoint.adapter("messenger", 5_000)).await;
    let mut manager = world.manager();
    let ticket = manager.create(complaint("group", "漏水")).await;
    let unavailable = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nretry-after: 1800\r\n\r\n";
    endpoint.will([Answer::Says(unavailable)]);
    send(&mut manager, &ticket.name, "我们正在处理", by("messenger", "openid-o6_bm"))
        .await
        .unwrap();
    world.settle().await;
    let waiting = only(&mut manager).await;
    assert_eq!(waiting.next_attempt_time, at("2026-03-02T02:30:00Z"), "as it was asked");
    world.pass_hours(1).await;
    let got = endpoint.all();
    assert_eq!(got.len(), 2);
    got.iter().for_each(verify);
    assert_eq!(got[0].body, got[1].body);
    assert_eq!(got[0].header("webhook-id"), got[1].header("webhook-id"));
    assert_ne!(got[0].header("webhook-timestamp"), got[1].header("webhook-timestamp"));
    let sent: serde_json::Value = serde_json::from_str(&got[0].body).unwrap();
    assert_eq!(sent["type"], "ticket.message");
    assert_eq!(sent["data"]["text"], "我们正在处理");
    assert_eq!(sent["data"]["recipients"][0], "openid-o6_bm");
    assert_eq!(sent["data"]["ticket"], ticket.name);
    assert_eq!(only(&mut manager).await.state(), pb::DeliveryState::Sent);
}

#[tokio::test]
async fn t14_everything_that_is_wrong_with_a_way_out_is_named_and_nothing_is_said() {
    let world =
        world("  customer-mail: {smtp: {host: 127.0.0.1, port: 9, tls: none, from: a@b.cn}}\n")
            .await;
    let mut manager = world.manager();
    let ticket = manager.create(complaint("group", "漏水")).await;
    let error = send(&mut manager, &ticket.name, "好", by("fax", "123")).await.unwrap_err();
    assert_eq!(violations(&error), ["delivery.adapter"]);
    for bad in ["wang", "wang@example.cn, li@example.cn", "王 <wang@example.cn>"] {
        let error =
            send(&mut manager, &ticket.name, "好", by("customer-mail", bad)).await.unwrap_err();
        assert_eq!(violations(&error), ["delivery.recipient"], "{bad}");
    }
    let smuggled = by("customer-mail", "wang@example.cn\r\nBcc: li@example.cn");
    let error = send(&mut manager, &ticket.name, "好", smuggled).await.unwrap_err();
    assert_eq!(violations(&error), ["delivery.recipient"]);
    let error = send(&mut manager, &ticket.name, "", by("", "")).await.unwrap_err();
    let mut fields = violations(&error);
    fields.sort_unstable();
    assert_eq!(fields, ["delivery.adapter", "delivery.recipient", "message"]);
    let request = pb::RespondTicketRequest {
        name: ticket.name.clone(),
        message: "好".into(),
        send_time: at("2026-03-02T02:00:00Z"),
        delivery: by("fax", "1"),
        ..Default::default()
    };
    let error = manager.tickets.respond_ticket(request).await.unwrap_err();
    let mut fields = violations(&error);
    fields.sort_unstable();
    assert_eq!(fields, ["delivery.adapter", "send_time"]);
    assert!(messages(&mut manager, &ticket.name).await.is_empty());
    assert_eq!(world.count("SELECT count(*) FROM delivery").await, 0);
}

#[tokio::test]
async fn x07_deliveries_are_seen_in_ones_own_org_unit_and_cancelled_by_whoever_decides() {
    let mut server = MailServer::start().await;
    let world = world(&server.adapter("customer-mail")).await;
    let mut manager = world.manager();
    let mut tickets = Vec::new();
    for place in ["group/north/riverside", "group/south/riverside"] {
        let ticket = manager.create(complaint(place, "漏水")).await;
        server.will(["550 no"]);
        send(&mut manager, &ticket.name, "好", by("customer-mail", "w@example.cn")).await.unwrap();
        world.settle().await;
        tickets.push(ticket);
    }
    let mut north = world.desk("handler-north", "group/north", role::HANDLER);
    let seen = deliveries(&mut north, "group/north", &[]).await;
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].ticket, tickets[0].name);
    let all = deliveries(&mut manager, "group", &[pb::DeliveryState::Parked]).await;
    let ours: Vec<_> = all.iter().map(|delivery| delivery.ticket.clone()).collect();
    assert_eq!(ours, [tickets[1].name.clone(), tickets[0].name.clone()], "newest first");
    let of_south = pb::ListDeliveriesRequest { org_unit: "group".into(), ..Default::default() };
    let error = north.deliveries.list_deliveries(of_south).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    let south = pb::GetDeliveryRequest { name: all[0].name.clone() };
    let error = north.deliveries.get_delivery(south.clone()).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    let retry = pb::RetryDeliveryRequest { name: all[0].name.clone(), ..Default::default() };
    let error = north.deliveries.retry_delivery(retry).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    let cancel = |reason: &str| pb::CancelDeliveryRequest {
        name: seen[0].name.clone(),
        reason: reason.into(),
        ..Default::default()
    };
    let error = north.deliveries.cancel_delivery(cancel("打过电话了")).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied, "a handler does not decide");
    let error = manager.deliveries.cancel_delivery(cancel(" ")).await.unwrap_err();
    assert_eq!(violations(&error), ["reason"]);
    let cancelled = manager.deliveries.cancel_delivery(cancel("打过电话了")).await.unwrap();
    assert_eq!(cancelled.into_inner().state(), pb::DeliveryState::Cancelled);
    let why = "SELECT count(*) FROM journal WHERE action = 'CancelDelivery' AND after->>'reason' = '打过电话了'
               AND actor = 'manager'";
    assert_eq!(world.count(why).await, 1);
    world.pass_hours(100).await;
    assert!(server.all().is_empty());
    let page =
        pb::ListDeliveriesRequest { org_unit: "group".into(), page_size: 1, ..Default::default() };
    let first = manager.deliveries.list_deliveries(page.clone()).await.unwrap().into_inner();
    assert_eq!(first.deliveries.len(), 1);
    let next = pb::ListDeliveriesRequest { page_token: first.next_page_token, ..page };
    let second = manager.deliveries.list_deliveries(next).await.unwrap().into_inner();
    assert_eq!(second.deliveries.len(), 1);
    assert_ne!(second.deliveries[0].name, first.deliveries[0].name);
    assert_eq!(second.next_page_token, "");
}
