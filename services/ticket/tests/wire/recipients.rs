//! T-01, T-04, T-14: whoever a ticket turns out not to be of hears nothing of it any more.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use prost_types::FieldMask;

use crate::delivery::{deliveries, send};
use crate::mass_answer::{answers, family, results};
use crate::merged::waiting;
use crate::receiver::MailServer;
use crate::undelivered::{to, world};
use crate::work_order::order;
use crate::world::{Desk, World, complaint};

/// It is of this person, who is no customer.
pub async fn correct(desk: &mut Desk, ticket: &str, complainant: &str) -> pb::Ticket {
    let pb::Ticket { name, etag, .. } = desk.get(ticket).await;
    let complainant = complainant.to_owned();
    let request = pb::CorrectTicketRequest {
        ticket: Some(pb::Ticket { name, etag, complainant, ..Default::default() }),
        update_mask: Some(FieldMask { paths: vec!["customer".into(), "complainant".into()] }),
        reason: "登记时听错了姓名".into(),
        ..Default::default()
    };
    desk.tickets.correct_ticket(request).await.unwrap().into_inner()
}

/// Whether a child's customer was reached by mail.
async fn outcomes(world: &World, parent: &str) -> Vec<pb::MassAnswerOutcome> {
    let mut manager = world.manager();
    send(&mut manager, parent, "18 点恢复供水", to()).await.unwrap();
    world.settle().await;
    let last = answers(&mut manager, parent).await.remove(0);
    let found = results(&mut manager, &last.name, "group").await;
    found.iter().map(pb::MassAnswerResult::outcome).collect()
}

#[tokio::test]
async fn t04_after_a_correction_no_answer_to_the_parent_goes_to_whom_the_child_was_not_of() {
    use pb::MassAnswerOutcome::{NoRecipient, Reached};
    let mut server = MailServer::start().await;
    let world = world(&server).await;
    let mut manager = world.manager();
    // One was written to; of the other it was said where to write when it was linked.
    let (parent, children) = family(&world, 1).await;
    send(&mut manager, &children[0].name, "已受理", to()).await.unwrap();
    let told = world.clerk().create(complaint("group/north", "没水")).await;
    let request = pb::LinkTicketRequest {
        name: told.name.clone(),
        parent: parent.name.clone(),
        delivery: to(),
        ..Default::default()
    };
    manager.links.link_ticket(request).await.unwrap();
    assert_eq!(outcomes(&world, &parent.name).await, [Reached, Reached]);
    assert_eq!(server.all().len(), 4);

    correct(&mut manager, &children[0].name, "李四").await;
    correct(&mut manager, &told.name, "李四").await;
    assert_eq!(outcomes(&world, &parent.name).await, [NoRecipient, NoRecipient]);
    assert_eq!(server.all().len(), 1, "only the parent's own customer is written to");

    // Whoever is written to from then on is reached.
    send(&mut manager, &children[0].name, "已受理", to()).await.unwrap();
    assert_eq!(outcomes(&world, &parent.name).await, [Reached, NoRecipient]);
}

#[tokio::test]
async fn t14_what_has_not_left_when_a_ticket_turns_out_to_be_somebody_elses_is_not_sent() {
    let mut server = MailServer::start().await;
    let world = world(&server).await;
    let mut manager = world.manager();
    let complainant = "张三".to_owned();
    let ticket = pb::Ticket { complainant, ..complaint("group", "漏水") };
    let ticket = world.clerk().create(ticket).await;
    server.will(["550 no", "451 later"]);
    for message in ["一", "二"] {
        send(&mut manager, &ticket.name, message, to()).await.unwrap();
        world.settle().await;
    }
    let states =
        |found: Vec<pb::Delivery>| -> Vec<_> { found.iter().map(pb::Delivery::state).collect() };
    let before = states(deliveries(&mut manager, "group", &[]).await);
    assert_eq!(before, [pb::DeliveryState::Pending, pb::DeliveryState::Parked]);
    // Of the same one it goes on.
    let shop = pb::CorrectTicketRequest {
        ticket: Some(pb::Ticket { shop: "S-7".into(), ..manager.get(&ticket.name).await }),
        update_mask: Some(FieldMask { paths: vec!["shop".into()] }),
        reason: "门店有误".into(),
        ..Default::default()
    };
    manager.tickets.correct_ticket(shop).await.unwrap();
    assert_eq!(states(deliveries(&mut manager, "group", &[]).await), before);

    let corrected = correct(&mut manager, &ticket.name, "李四").await;
    let lost = corrected.undelivered.clone().unwrap();
    let cancelled = deliveries(&mut manager, "group", &[]).await;
    assert_eq!((&lost.delivery, lost.cancelled), (&cancelled[0].name, true), "the latest is shown");
    assert_eq!(manager.get(&ticket.name).await, corrected);
    assert_eq!(states(cancelled), [pb::DeliveryState::Cancelled; 2]);
    world.pass_hours(24).await;
    world.settle().await;
    assert_eq!(server.all().len(), 0);
    let told = "SELECT count(*) FROM journal WHERE action = 'CancelDelivery' AND actor = 'manager'
                 AND event_type = 'kefu.ticket.v1.DeliveryChanged'";
    assert_eq!(world.count(told).await, 2);
    // Said to the right one, the mark goes.
    assert_eq!(manager.respond(&ticket.name).await.unwrap().undelivered, None);
}

#[tokio::test]
async fn t01_what_is_put_on_record_of_a_work_order_at_that_moment_is_of_the_right_customer_too() {
    let world = World::new().await;
    let mut manager = world.manager();
    let (wrong, ticket) = (world.customer(1).await, complaint("group/north", "漏水"));
    world.settle().await;
    let ticket = world.clerk().create(pb::Ticket { customer: wrong, ..ticket }).await;
    let issued =
        pb::WorkOrder { ticket: ticket.name.clone(), ..order("group/north", "换密封圈") };
    manager.issue(issued).await;
    let report = pb::ReportViolationRequest {
        ticket: ticket.name.clone(),
        code: "late-first-response".into(),
        staff: "wang".into(),
        evidence: "客户来电核实".into(),
        ..Default::default()
    };
    manager.penalties.report_violation(report).await.unwrap();
    // As its alarm does: with the order's row held, a violation of the customer that it has.
    let mut held = kefu_postgres::begin(&world.pool).await.unwrap();
    let lock = "SELECT id FROM work_order FOR UPDATE";
    sqlx::query(lock).execute(&mut *held).await.unwrap();
    let alarm = "INSERT INTO violation SELECT (jsonb_populate_record(violation, jsonb_build_object(
                     'id', gen_random_uuid(), 'staff', 'li'))).* FROM violation";
    sqlx::query(alarm).execute(&mut *held).await.unwrap();
    let mut other = world.desk("wang", "group", role::HANDLER);
    let name = ticket.name.clone();
    let correcting = tokio::spawn(async move { correct(&mut other, &name, "李四").await });
    waiting(&world, 1).await;
    held.commit().await.unwrap();
    correcting.await.unwrap();
    let left = "SELECT count(*) FROM violation WHERE customer_id IS NOT NULL";
    assert_eq!(world.count(left).await, 0);
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 2);
}
