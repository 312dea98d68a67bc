//! T-07, T-13: what is entered or heard of later than it happened counts as of when it happened, also after a downtime.

use jiff::{SignedDuration, Timestamp};
use kefu_api::survey::v1::CallBackAnswered;
use kefu_api::ticket::v1 as pb;
use kefu_clock::Clock as _;
use kefu_identity::role;
use kefu_rpc::to_proto_timestamp;
use tonic_types::StatusExt as _;

use crate::delivery::messages;
use crate::errors::{in_chinese, said};
use crate::handling::world_with;
use crate::mass_answer::{family, link};
use crate::mass_order::{add_named, say, settle_in_vain};
use crate::neighbour::{silent, speak};
use crate::survey::answer;
use crate::work_order::{order, wang};
use crate::world::{START, World, clock, complaint, reason, violations};

/// So many hours after the tests begin.
fn hour(count: i64) -> Option<prost_types::Timestamp> {
    let start: Timestamp = START.parse().unwrap();
    Some(to_proto_timestamp(start + SignedDuration::from_hours(count)))
}

/// What is wrong with a field, in Chinese.
fn wrong_with(error: &tonic::Status, field: &str) -> String {
    let violations = error.get_details_bad_request().unwrap().field_violations;
    let violation = violations.into_iter().find(|violation| violation.field == field).unwrap();
    violation.localized_message.unwrap().message
}

/// Whether it was kept, when, and whether a breach is on record in spite of that.
fn kept(ticket: &pb::Ticket, rule: &str) -> (pb::ClockState, Option<prost_types::Timestamp>, bool) {
    let promise = clock(ticket, rule, 1);
    (promise.state(), promise.fulfill_time, promise.breach_time.is_some())
}

#[tokio::test]
async fn t07_the_result_counts_as_of_when_the_customer_was_told() {
    let world = World::new().await;
    let mut manager = world.manager();
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    world.pass_hours(1).await;
    manager.resolve(&ticket.name).await.unwrap();
    world.pass_hours(60).await;
    let told = |send_time| pb::FeedBackTicketRequest {
        name: ticket.name.clone(),
        message: "已电话告知".into(),
        send_time,
        ..Default::default()
    };
    for wrong in [hour(0), hour(62)] {
        let error = manager.tickets.feed_back_ticket(told(wrong)).await.unwrap_err();
        assert_eq!(violations(&error), ["send_time"]);
    }
    let early = in_chinese(told(hour(0)));
    let error = manager.tickets.feed_back_ticket(early).await.unwrap_err();
    let why = wrong_with(&error, "send_time");
    assert!(why.contains("不得早于处理方案登记时间"), "{why}");
    let told = manager.tickets.feed_back_ticket(told(hour(20))).await.unwrap().into_inner();
    for rule in ["first-response", "result-feedback"] {
        // The breach stays on record, as where an answer is entered too late.
        assert_eq!(kept(&told, rule), (pb::ClockState::Met, hour(20), true), "{rule}");
    }
    assert_eq!(told.first_response_time, hour(20));
    assert_eq!(clock(&told, "call-back", 1).start_time, hour(20));
    assert_eq!(messages(&mut manager, &ticket.name).await[0].send_time, hour(20));
    // It is stored so.
    assert_eq!(world.clerk().get(&ticket.name).await, told);
}

#[tokio::test]
async fn t13_a_verdict_counts_as_of_when_the_customer_was_asked() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    world.pass_hours(1).await;
    world.manager().handle(&ticket.name).await;
    world.pass_hours(80).await;
    let mut quality = world.quality();
    let asked = |value, call_time| pb::RecordVerdictRequest {
        name: ticket.name.clone(),
        value,
        call_time,
        ..Default::default()
    };
    let error = quality.tickets.record_verdict(asked(1, hour(82))).await.unwrap_err();
    assert_eq!(violations(&error), ["call_time"]);
    let both = in_chinese(asked(9, hour(0)));
    let error = quality.tickets.record_verdict(both).await.unwrap_err();
    assert_eq!(violations(&error), ["value", "call_time"]);
    let why = wrong_with(&error, "call_time");
    assert!(why.contains("不得早于向客户反馈结果的时间"), "{why}");
    let closed = quality.tickets.record_verdict(asked(2, hour(70))).await.unwrap().into_inner();
    assert_eq!(kept(&closed, "call-back"), (pb::ClockState::Met, hour(70), true));
    let verdict = &closed.verdicts[0];
    assert_eq!((verdict.give_time, verdict.record_time), (hour(70), hour(81)));
    assert_eq!(closed.close_time, hour(81));
    assert_eq!(world.clerk().get(&ticket.name).await, closed);
}

#[tokio::test]
async fn t13_whoever_has_or_had_an_order_for_the_ticket_enters_no_verdict_in_that_cycle() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let [mut first, mut wu] = [wang(&world), world.desk("wu", "group", role::HANDLER)];
    let ticket = clerk.create(complaint("group/north", "漏水")).await.name;
    let brief = |what| pb::WorkOrder { ticket: ticket.clone(), ..order("group/north", what) };
    // One of wang, who leaves it to wu; and one of zhang that nobody needed.
    let name = clerk.issue(brief("换密封圈")).await.name;
    first.accept(&name).await.unwrap();
    let request = pb::ReassignWorkOrderRequest {
        name: name.clone(),
        assignee: "wu".into(),
        reason: "王师傅请假".into(),
        ..Default::default()
    };
    clerk.orders.reassign_work_order(request).await.unwrap();
    wu.accept(&name).await.unwrap();
    wu.complete(&name).await.unwrap();
    let needless = pb::WorkOrder { assignee: "zhang".into(), ..brief("量尺寸") };
    let needless = clerk.issue(needless).await.name;
    world.manager().void(&needless).await.unwrap();
    world.manager().handle(&ticket).await;
    for worker in [&mut first, &mut wu] {
        let error = worker.verdict(&ticket, 1).await.unwrap_err();
        assert_eq!(reason(&error), "SEPARATION_OF_DUTIES");
    }
    let own = pb::RecordVerdictRequest { name: ticket.clone(), value: 1, ..Default::default() };
    let error = wu.tickets.record_verdict(in_chinese(own)).await.unwrap_err();
    assert!(said(&error).contains("派工单承办人"), "{}", said(&error));
    world.pass_hours(1).await;
    let mut zhang = world.desk("zhang", "group", role::HANDLER);
    zhang.verdict(&ticket, 5).await.unwrap();
    // In the next cycle it was done by others.
    world.manager().handle(&ticket).await;
    wu.verdict(&ticket, 2).await.unwrap();
}

#[tokio::test]
async fn t13_t07_a_survey_answer_in_time_keeps_the_promise_even_after_downtime() {
    let mut world = World::new().await;
    let mut tickets = Vec::new();
    for _ in 0..2 {
        let ticket = world.clerk().create(complaint("group", "漏水")).await;
        world.manager().handle(&ticket.name).await;
        tickets.push(ticket.name);
    }
    world.replicas.remove(0).stop().await.unwrap();
    for (number, submitted) in [(0, hour(5)), (1, hour(80))] {
        let ticket = &tickets[usize::try_from(number).unwrap()];
        let given = CallBackAnswered { submit_time: submitted, ..answer(number, ticket, 1, 1) };
        world.tell("invitation", number, 1, &given).await;
    }
    // The call-back was due after 72 hours; nothing ran meanwhile.
    world.clock.set(world.clock.now() + SignedDuration::from_hours(100)).unwrap();
    world.start_replica().await;
    world.settle().await;
    let closed = world.clerk().get(&tickets[0]).await;
    assert_eq!(closed.state(), pb::TicketState::Closed);
    let call_back = clock(&closed, "call-back", 1);
    assert_eq!((call_back.state(), call_back.fulfill_time), (pb::ClockState::Met, hour(5)));
    assert_eq!(closed.verdicts[0].give_time, hour(5));
    let closed = world.clerk().get(&tickets[1]).await;
    assert_eq!(kept(&closed, "call-back"), (pb::ClockState::Breached, hour(80), true));
    let confirmed = "SELECT count(*) FROM violation WHERE state = 'confirmed'";
    assert_eq!(world.count(confirmed).await, 0);
}

#[tokio::test]
async fn t07_a_parents_answer_in_time_is_in_time_for_its_children_even_after_downtime() {
    let mut world = world_with(|policy| {
        let links = pb::LinkRules { resolve_children: true, ..Default::default() };
        policy.links = Some(links);
    })
    .await;
    let (parent, mut children) = family(&world, 1).await;
    let customer = silent(43);
    let name = world.customer(customer).await;
    world.settle().await;
    children.push(add_named(&world, &parent.name, &name).await);
    // One that was reached before is reached by what the system sends.
    let mut manager = world.manager();
    let alone = world.clerk().create(complaint("group/north", "停水")).await;
    link(&mut manager, &alone.name, &parent.name).await.unwrap();
    children.push(alone);
    world.clock.set(START.parse::<Timestamp>().unwrap() + SignedDuration::from_hours(1)).unwrap();
    // It waits for a name, and what comes after it waits for it.
    say(&mut manager, &parent.name, "{customer.name}您好，正在抢修", false).await.unwrap();
    manager.resolve(&parent.name).await.unwrap();
    manager.feed_back(&parent.name).await.unwrap();
    settle_in_vain(&world).await;
    let told = "SELECT count(*) FROM ticket WHERE state = 'result_fed_back'";
    assert_eq!(world.count(told).await, 1, "the parent, and no child yet");
    world.replicas.remove(0).stop().await.unwrap();
    world.clock.set(START.parse::<Timestamp>().unwrap() + SignedDuration::from_hours(60)).unwrap();
    speak(customer);
    world.start_replica().await;
    world.settle().await;
    for child in &children {
        let child = world.clerk().get(&child.name).await;
        let first = clock(&child, "first-response", 1);
        assert_eq!((first.state(), first.fulfill_time), (pb::ClockState::Met, hour(1)));
        let feedback = clock(&child, "result-feedback", 1);
        assert_eq!((feedback.state(), feedback.breach_time), (pb::ClockState::Met, None));
        assert_eq!((child.state(), child.cycle), (pb::TicketState::ResultFedBack, 1));
        let said = messages(&mut world.manager(), &child.name).await;
        assert!(said.iter().all(|said| said.send_time == hour(1)), "{said:?}");
        assert_eq!(said.len(), 2);
    }
}
