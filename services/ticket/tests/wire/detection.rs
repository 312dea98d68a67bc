//! T-19: what the system sees by itself: missing fields, refused orders. Each proposed once, with evidence and the rule's amount,
//! and nothing charged without a confirmation.

use kefu_api::ticket::v1 as pb;

use crate::pack::{hours, policy, text, working_days};
use crate::work_order::{order, wang};
use crate::world::{World, at, complaint};

fn violation(code: &str, amount_cents: i64, max_amount_cents: i64) -> pb::ViolationRule {
    pb::ViolationRule {
        code: code.into(),
        description: Some(text(code, "违规")),
        amount_cents,
        max_amount_cents,
        currency: "CNY".into(),
    }
}

fn required(
    moment: pb::RequiredFieldsMoment,
    fields: &[pb::RequiredField],
    within: Option<kefu_api::policy::v1::Target>,
) -> pb::RequiredFieldsRule {
    pb::RequiredFieldsRule {
        moment: moment.into(),
        fields: fields.iter().map(|field| (*field).into()).collect(),
        ticket_kinds: vec![pb::TicketKind::Complaint.into()],
        within,
        violation: "missing-field".into(),
    }
}

/// Who at once, the category within two hours, the product when it is resolved; orders accepted within one hour.
pub async fn strict() -> World {
    use pb::RequiredField as Field;
    use pb::RequiredFieldsMoment as Moment;
    let mut world = World::new().await;
    world.start_replica().await;
    let mut strict = policy();
    strict.violations.push(violation("missing-field", 3_000, 0));
    strict.violations.push(violation("refused-order", 10_000, 0));
    strict.learning = Some(pb::LearningRules {
        required_fields: vec![
            required(Moment::Registered, &[Field::Complainant], None),
            required(Moment::Registered, &[Field::Category, Field::Description], hours(2)),
            required(Moment::Resolved, &[Field::Product, Field::Category], None),
        ],
        refused_order: Some(pb::RefusedOrderRule {
            accept_within: hours(1),
            violation: "refused-order".into(),
        }),
        ..Default::default()
    });
    world.admin().apply("group", strict).await.unwrap();
    world
}

async fn proposed(world: &World) -> Vec<(String, String)> {
    let mut found = world.manager().violations("group").await;
    found.reverse();
    let told = |found: pb::Violation| {
        assert_eq!(found.state(), pb::ViolationState::Proposed, "nothing is charged");
        assert_eq!(found.source(), pb::ViolationSource::System);
        (found.staff, found.evidence)
    };
    found.into_iter().map(told).collect()
}

#[tokio::test]
async fn t19_what_a_registration_lacks_is_proposed_once_when_its_time_is_over() {
    let world = strict().await;
    let mut clerk = world.clerk();
    let described =
        pb::Ticket { description: "漏水".into(), ..complaint("group/north", "漏水") };
    let anonymous = clerk.create(described.clone()).await;
    // It is registered at once, whatever it lacks.
    assert_eq!(anonymous.state(), pb::TicketState::Registered);
    world.settle().await;
    let found = proposed(&world).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "clerk", "the first-contact owner's");
    assert!(found[0].1.contains("who complains") && found[0].1.contains("投诉人"));
    // Noted in time: nothing. Of an inquiry nothing is asked.
    let update = pb::UpdateTicketRequest {
        ticket: Some(pb::Ticket {
            name: anonymous.name.clone(),
            category: "服务/态度".into(),
            ..pb::Ticket::default()
        }),
        ..Default::default()
    };
    world
        .desk("wang", "group", kefu_identity::role::HANDLER)
        .tickets
        .update_ticket(update)
        .await
        .unwrap();
    let inquiry = pb::Ticket { kind: pb::TicketKind::Inquiry.into(), ..described.clone() };
    clerk.create(inquiry).await;
    let late = pb::Ticket { complainant: "张三".into(), ..described };
    let late = clerk.create(late).await;
    world.set_time("2026-03-02T03:59:59Z").await;
    assert_eq!(proposed(&world).await.len(), 1);
    world.set_time("2026-03-02T04:00:00Z").await;
    let found = proposed(&world).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[1].1.contains("category"), "{}", found[1].1);
    let named = world.manager().violations("group").await;
    assert_eq!((&named[0].ticket, named[0].amount_cents), (&late.name, 3_000));
    assert_eq!(named[0].occur_time, at("2026-03-02T04:00:00Z"));
    // Nothing comes again, however often somebody looks.
    world.pass_hours(1).await;
    world.manager().respond(&late.name).await.unwrap();
    assert_eq!(proposed(&world).await.len(), 2);
    let armed = "SELECT count(*) FROM ticket WHERE attend_at IS NOT NULL";
    assert_eq!(world.count(armed).await, 0, "no timer is left");
    let event =
        "SELECT count(*) FROM journal WHERE event_type = 'kefu.ticket.v1.TicketFieldMissing'";
    assert_eq!(world.count(event).await, 2);
}

#[tokio::test]
async fn t19_what_a_resolution_lacks_is_the_handlers_one_violation_for_each_field_once() {
    let world = strict().await;
    let mut clerk = world.clerk();
    let bare = pb::Ticket {
        complainant: "张三".into(),
        description: "漏水".into(),
        ..complaint("group/north", "漏水")
    };
    let ticket = clerk.create(bare).await.name;
    // The category was missed at registration already: it is not proposed twice.
    world.pass_hours(3).await;
    assert_eq!(proposed(&world).await.len(), 1);
    let mut wang = wang(&world);
    wang.respond(&ticket).await.unwrap();
    wang.resolve(&ticket).await.unwrap();
    let found = proposed(&world).await;
    assert_eq!(found.len(), 2, "{found:?}");
    // Two replicas may have proposed at the same moment: whose comes first is not promised.
    let hers: Vec<_> = found.iter().filter(|(staff, _)| staff == "wang").collect();
    assert_eq!(hers.len(), 1, "{found:?}");
    let evidence = &hers[0].1;
    assert!(evidence.contains("product") && evidence.contains("处理完成"), "{evidence}");
    wang.feed_back(&ticket).await.unwrap();
    world.quality().verdict(&ticket, 5).await.unwrap();
    wang.respond(&ticket).await.unwrap();
    wang.resolve(&ticket).await.unwrap();
    assert_eq!(proposed(&world).await.len(), 2, "a second cycle proposes nothing again");
    // A confirmation charges it, and nothing before did.
    let charged = "SELECT count(*) FROM violation WHERE charged_cents IS NOT NULL";
    assert_eq!(world.count(charged).await, 0);
}

#[tokio::test]
async fn t19_an_order_that_nobody_takes_or_disputes_counts_as_refused_once() {
    let world = strict().await;
    let mut clerk = world.clerk();
    let refused = clerk.issue(order("group/north", "换密封圈")).await;
    assert_eq!(refused.accept_by_time, at("2026-03-02T03:00:00Z"));
    let taken = clerk.issue(order("group/north", "查漏水")).await.name;
    let disputed = clerk.issue(order("group/north", "装表")).await.name;
    let mut wang = wang(&world);
    wang.accept(&taken).await.unwrap();
    world.set_time("2026-03-02T02:40:00Z").await;
    wang.dispute(&disputed).await.unwrap();
    world.set_time("2026-03-02T02:59:59Z").await;
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 0);
    world.set_time("2026-03-02T03:00:00Z").await;
    let found = world.manager().violations("group").await;
    assert_eq!(found.len(), 1, "an objection is no refusal");
    assert_eq!((&*found[0].code, &*found[0].staff), ("refused-order", "wang"));
    assert_eq!((&found[0].work_order, found[0].amount_cents), (&refused.name, 10_000));
    assert!(found[0].evidence.contains(&refused.number) && found[0].evidence.contains("不得拒接"));
    // Decided after an hour: the twenty minutes that were left are left.
    world.set_time("2026-03-02T03:40:00Z").await;
    let outcome = pb::WorkOrderDisputeOutcome::Stands;
    let stands = world.manager().settle_dispute(&disputed, outcome).await.unwrap();
    assert_eq!(stands.accept_by_time, at("2026-03-02T04:00:00Z"));
    world.set_time("2026-03-02T04:00:00Z").await;
    let codes = "SELECT count(*) FROM violation WHERE code = 'refused-order'";
    assert_eq!(world.count(codes).await, 2);
    // It can still be taken, and the refusal stays on record.
    let late = wang.accept(&refused.name).await.unwrap();
    assert_eq!(late.refuse_time, at("2026-03-02T03:00:00Z"));
    world.pass_hours(48).await;
    assert_eq!(world.count(codes).await, 2, "once each");
    let armed = "SELECT count(*) FROM work_order WHERE accept_fire_at IS NOT NULL";
    assert_eq!(world.count(armed).await, 0);
}

#[tokio::test]
async fn t19_a_working_day_to_accept_an_order_is_one_of_the_calendar() {
    let world = World::new().await;
    let mut strict = policy();
    strict.violations.push(violation("refused-order", 10_000, 0));
    strict.learning = Some(pb::LearningRules {
        refused_order: Some(pb::RefusedOrderRule {
            accept_within: working_days(1),
            violation: "refused-order".into(),
        }),
        ..Default::default()
    });
    world.admin().apply("group", strict).await.unwrap();
    let issued = world.clerk().issue(order("group/north", "换密封圈")).await;
    // One working day from ten o'clock on Monday, not 24 hours.
    assert_eq!(issued.accept_by_time, at("2026-03-03T02:00:00Z"));
    assert_eq!(issued.refuse_time, None);
}
