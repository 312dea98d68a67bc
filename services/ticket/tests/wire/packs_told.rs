//! What the packs say beside their numbers: who is told, in which words, and who may do what; each lived through.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::delivery::{deliveries, messages};
use crate::handling::lacking;
use crate::packs::{Company, fills_in, pack};
use crate::receiver::{Endpoint, MailServer};
use crate::suggestion::suggestion;
use crate::work_order::order;
use crate::world::{Desk, World, at, complaint, violations};

/// The ways out of the operator's example, to servers of this test.
fn ways_out(mail: &MailServer, partner: &Endpoint) -> String {
    let example = include_str!("../../../../deploy/delivery/example.yaml");
    let (_, rest) = example.split_once("\nrecipients:").unwrap();
    let adapters = [mail.adapter("customer-mail"), partner.adapter("partner-events", 5_000)];
    format!("adapters:\n{}\nrecipients:{rest}", adapters.concat())
}

fn of(channel: pb::TicketChannel, subject: &str) -> pb::Ticket {
    pb::Ticket { channel: channel.into(), ..complaint("group/north", subject) }
}

#[tokio::test]
async fn t26_contact_centre_tells_whoever_has_to_know_once_by_the_operators_example() {
    let (mut mail, mut partner) = (MailServer::start().await, Endpoint::start().await);
    let world = World::sending(&ways_out(&mail, &partner)).await;
    world.admin().apply("group", pack!("contact-centre")).await.unwrap();
    let mut zhang = world.desk("zhang-wei", "group", role::CLERK);
    let call = zhang.create(of(pb::TicketChannel::Phone, "空调不制冷")).await;
    let press = zhang.create(of(pb::TicketChannel::Letter, "再不处理就找媒體 曝光")).await;
    world.settle().await;
    let urgent = zhang.get(&press.name).await;
    assert_eq!(
        (urgent.priority(), &*urgent.tags),
        (pb::TicketPriority::Urgent, &["舆情".to_owned()][..])
    );
    let told = |mails: Vec<crate::receiver::Mail>| {
        let mut told: Vec<_> = mails
            .iter()
            .map(|mail| {
                (mail.to.join(" ").replace(['<', '>'], ""), mail.body().contains(&call.number))
            })
            .collect();
        told.sort();
        told
    };
    assert_eq!(told(mail.all()), [("night@example.com".to_owned(), false)]);
    // Half of the time, four fifths of it, all of it, and four hours more: each told once, to whom the example says.
    let expected = [
        ("2026-03-02T14:00:00Z", "north-manager@example.com"),
        ("2026-03-02T21:12:00Z", "zhang.wei@example.com"),
        ("2026-03-03T02:00:00Z", "north-manager@example.com"),
        ("2026-03-03T06:00:00Z", "director@example.com"),
    ];
    for (time, address) in expected {
        world.set_time(time).await;
        world.settle().await;
        assert_eq!(told(mail.all()), [(address.to_owned(), true)], "{time}");
    }
    assert_eq!(zhang.get(&call.name).await.receiver_level, 3);
    // A transfer is announced to its receiver, and what became of it to whoever sent it.
    let mut sender = world.desk("zhang-wei", "group/north", role::HANDLER);
    let transfer = pb::TransferTicketRequest {
        name: press.name.clone(),
        to_org_unit: "group/south".into(),
        handover_note: "请回电".into(),
        ..Default::default()
    };
    sender.handling.transfer_ticket(transfer).await.unwrap();
    world.settle().await;
    assert!(mail.all().is_empty(), "the south has nobody at level 1, nor has the group");
    let parked = deliveries(&mut world.manager(), "group", &[pb::DeliveryState::Parked]).await;
    assert_eq!(parked.len(), 1);
    assert_eq!(
        (&*parked[0].recipient, &*parked[0].trigger),
        ("level:1@group/south", "tell-receiver")
    );
    let back = pb::ReturnTransferRequest {
        name: press.name.clone(),
        reason: "不属于本区".into(),
        ..Default::default()
    };
    world.desk("nan", "group/south", role::HANDLER).handling.return_transfer(back).await.unwrap();
    world.settle().await;
    assert_eq!(told(mail.all()), [("zhang.wei@example.com".to_owned(), false)]);
    // What is closed is told to the partner.
    let mut director = world.desk("zong", "group", role::DIRECTOR);
    director.handle(&call.name).await;
    world.quality().verdict(&call.name, 1).await.unwrap();
    world.settle().await;
    let got = partner.all();
    assert_eq!(got.len(), 1);
    let event: serde_json::Value = serde_json::from_str(&got[0].body).unwrap();
    assert_eq!(
        (&event["data"]["number"], &event["data"]["facts"]["verdict"]["value"]),
        (&call.number.into(), &1.into())
    );
}

#[tokio::test]
async fn t14_contact_centre_has_words_for_its_agents_and_none_of_the_forbidden_ones() {
    let mut company = Company::under(pack!("contact-centre")).await;
    let ticket = company.takes(complaint("group", "空调不制冷")).await;
    let mut agent = company.world.desk("zhang-wei", "group", role::HANDLER);
    for forbidden in ["这个 不 归 我 们 管！", "This is NOT my problem."] {
        let request = pb::RespondTicketRequest {
            name: ticket.name.clone(),
            message: forbidden.into(),
            ..Default::default()
        };
        let error = agent.tickets.respond_ticket(request).await.unwrap_err();
        assert_eq!(violations(&error), ["message"], "{forbidden}");
    }
    let apply = async |agent: &mut Desk, code: &str, ticket: &pb::Ticket| {
        let request = pb::ApplyMacroRequest {
            name: ticket.name.clone(),
            r#macro: code.into(),
            ..Default::default()
        };
        agent.automation.apply_macro(request).await.map(tonic::Response::into_inner)
    };
    apply(&mut agent, "accept", &ticket).await.unwrap();
    let waits = apply(&mut agent, "ask-for-documents", &ticket).await.unwrap();
    assert_eq!(waits.state(), pb::TicketState::Waiting);
    let other = pb::PauseTicketRequest {
        name: ticket.name.clone(),
        reason: "等通知".into(),
        pause_reason: "mood".into(),
        ..Default::default()
    };
    let second = company.takes(complaint("group", "又坏了")).await;
    let other = pb::PauseTicketRequest { name: second.name.clone(), ..other };
    let error = agent.tickets.pause_ticket(other).await.unwrap_err();
    assert_eq!(violations(&error), ["pause_reason"]);
    let solved = apply(&mut agent, "standard-solution", &second).await.unwrap();
    assert_eq!(solved.state(), pb::TicketState::ResultFedBack);
    let said = messages(&mut agent, &second.name).await;
    assert_eq!(said[0].body, format!("工单{}处理结果：已按标准流程处理完毕。", second.number));
    // What is very serious is not for an agent, and what was raised is for those of its level.
    let grave = pb::Ticket { severity: 3, ..complaint("group", "有人受伤") };
    let grave = company.takes(grave).await;
    let error = apply(&mut agent, "standard-solution", &grave).await.unwrap_err();
    assert_eq!(lacking(&error), ["AUTHORITY"]);
    let strange = pb::Ticket {
        custom_fields: vec![pb::CustomFieldValue {
            field: "skill_group".into(),
            values: vec!["astrology".into()],
        }],
        ..complaint("group", "空调不制冷")
    };
    let error = company.world.clerk().try_create(strange, String::new()).await.unwrap_err();
    assert_eq!(violations(&error), ["ticket.custom_fields.skill_group"]);
}

#[tokio::test]
async fn t12_franchise_complaints_are_resolved_at_their_level_with_its_form() {
    let mut company = Company::under(pack!("franchise-complaints")).await;
    let mut front = company.world.desk("xiao-li", "group", role::HANDLER);
    let mut manager = company.world.desk("jing-li", "group", role::MANAGER);
    let mut director = company.world.desk("zong", "group", role::DIRECTOR);
    let grave = pb::Ticket { severity: 3, ..complaint("group", "店员打人") };
    let grave = company.takes(grave).await;
    front.respond(&grave.name).await.unwrap();
    for desk in [&mut front, &mut manager] {
        let error = desk.resolve(&grave.name).await.unwrap_err();
        assert_eq!(error.code(), Code::PermissionDenied, "{error:?}");
        let lack = error.get_details_precondition_failure().unwrap().violations;
        assert_eq!(lack[0].r#type, "LEVEL");
        assert!(error.message().contains("level 3: director"), "{}", error.message());
    }
    assert_eq!(director.resolve(&grave.name).await.unwrap().state(), pb::TicketState::Resolved);
    // What a verdict raises is a matter of the next level, and of a new form.
    let plain = company.takes(complaint("group", "送餐迟到")).await;
    front.handle(&plain.name).await;
    let risen = company.quality.verdict(&plain.name, 4).await.unwrap();
    assert_eq!(risen.receiver_level, 2);
    manager.respond(&plain.name).await.unwrap();
    let error = manager.resolve(&plain.name).await.unwrap_err();
    assert_eq!(lacking(&error), ["HANDLING_FORM"]);
    let error = front.resolve(&plain.name).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    fills_in(&mut manager, &risen).await;
    manager.resolve(&plain.name).await.unwrap();
    // Nobody forges a verdict here; whoever says that somebody did says it by the table, within its range.
    let report = pb::ReportViolationRequest {
        ticket: plain.name.clone(),
        code: "verdict-forged".into(),
        staff: "xiao-li".into(),
        evidence: "录音与登记不符".into(),
        ..Default::default()
    };
    let forged = company.quality.penalties.report_violation(report).await.unwrap().into_inner();
    assert_eq!((forged.amount_cents, forged.max_amount_cents), (5_000, 10_000));
}

#[tokio::test]
async fn t18_manufacturing_quality_names_its_causes() {
    let mut company = Company::under(pack!("manufacturing-quality")).await;
    let ticket = pb::Ticket { category: "quality".into(), ..complaint("group", "阀门漏水") };
    let ticket = company.takes(ticket).await;
    let cause = |cause: &str| pb::RecordRootCauseRequest {
        root_cause: Some(pb::RootCause {
            ticket: ticket.name.clone(),
            cause: cause.into(),
            method: "五个为什么".into(),
            finding: "密封圈过软".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let error = company.quality.actions.record_root_cause(cause("bad-luck")).await.unwrap_err();
    assert_eq!(violations(&error), ["root_cause.cause"]);
    for known in ["people", "machine", "material", "method", "measurement", "design"] {
        company.quality.actions.record_root_cause(cause(known)).await.unwrap();
    }
}

#[tokio::test]
async fn t21_real_estate_group_decides_on_a_suggestion_in_ten_working_days() {
    let mut company = Company::under(pack!("real-estate-group")).await;
    let ticket =
        pb::Ticket { category: "service-attitude".into(), ..complaint("group", "态度差") };
    let ticket = company.takes(ticket).await;
    let asked = pb::Suggestion { org_unit: "group".into(), ..suggestion(&ticket.name) };
    let made = company.manager.suggest(asked).await.unwrap();
    assert_eq!(made.due_time, at("2026-03-16T02:00:00Z"));
}

#[tokio::test]
async fn t16_dispatch_centre_puts_the_next_reply_off_by_a_day_at_most() {
    let mut company = Company::under(pack!("dispatch-centre")).await;
    let issued = company.manager.issue(order("group", "换水表")).await;
    let mut worker = company.world.desk("wang", "group", role::HANDLER);
    worker.accept(&issued.name).await.unwrap();
    let error = worker.report(&issued.name, Some("2026-03-03T02:00:01Z")).await.unwrap_err();
    assert_eq!(violations(&error), ["next_reply_time"]);
    worker.report(&issued.name, Some("2026-03-03T02:00:00Z")).await.unwrap();
}
