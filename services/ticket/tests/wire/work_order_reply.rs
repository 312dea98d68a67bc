//! T-16, T-19: a reply that does not come.

use kefu_api::ticket::v1 as pb;

use crate::pack::{policy, text, working_days};
use crate::work_order::{LATER, order, wang};
use crate::world::{World, at, violations};

/// A company whose policy says what a missed reply costs.
async fn strict() -> World {
    let world = World::new().await;
    let mut strict = policy();
    strict.violations.push(pb::ViolationRule {
        code: "late-work-order".into(),
        description: Some(text("No reply in time", "逾期未反馈")),
        amount_cents: 3_000,
        currency: "CNY".into(),
        ..Default::default()
    });
    world.admin().apply("group", strict).await.unwrap();
    world
}

fn overdue(centre: &str) -> pb::ListWorkOrdersRequest {
    pb::ListWorkOrdersRequest {
        dispatch_centre: centre.into(),
        overdue: true,
        ..Default::default()
    }
}

#[tokio::test]
async fn t16_a_reply_that_does_not_come_is_a_proposed_violation_once() {
    let world = strict().await;
    let (mut clerk, mut wang) = (world.clerk(), wang(&world));
    let name = clerk.issue(order("group/north", "换密封圈")).await.name;
    wang.accept(&name).await.unwrap();
    world.set_time("2026-03-02T03:59:59Z").await;
    assert!(clerk.orders(overdue("group")).await.is_empty());
    world.set_time("2026-03-02T04:00:00Z").await;
    let late = clerk.order(&name).await;
    assert_eq!((late.overdue_time, late.missed_replies), (at("2026-03-02T04:00:00Z"), 1));
    assert_eq!((late.next_reply_time, late.state()), (None, pb::WorkOrderState::Accepted));
    assert_eq!(clerk.orders(overdue("group")).await.len(), 1);
    world.pass_hours(24 * 30).await;
    let violations = world.manager().violations("group").await;
    assert_eq!(violations.len(), 1, "once");
    let violation = &violations[0];
    assert_eq!((&*violation.code, &*violation.staff), ("late-work-order", "wang"));
    assert_eq!((violation.amount_cents, &*violation.currency), (3_000, "CNY"));
    assert_eq!((&violation.work_order, &*violation.ticket), (&name, ""));
    assert_eq!(violation.org_unit, "group/north");
    assert!(violation.evidence.contains(&late.number), "{}", violation.evidence);
    // The answer comes late, and the miss stays on record.
    let reported = wang.report(&name, LATER).await.unwrap();
    assert_eq!((reported.overdue_time, reported.missed_replies), (None, 1));
    assert!(clerk.orders(overdue("group")).await.is_empty());
}

#[tokio::test]
async fn t16_no_report_frees_an_order_of_its_deadline() {
    let world = strict().await;
    let (mut clerk, mut wang) = (world.clerk(), wang(&world));
    let name = clerk.issue(order("group", "换密封圈")).await.name;
    let accepted = wang.accept(&name).await.unwrap();
    let nothing = pb::ReportWorkOrderProgressRequest { name: name.clone(), ..Default::default() };
    let error = wang.orders.report_work_order_progress(nothing).await.unwrap_err();
    assert_eq!(violations(&error), ["note", "next_reply_time"]);
    for late in ["2026-03-02T02:00:00Z", "2026-03-01T00:00:00Z"] {
        let error = wang.report(&name, Some(late)).await.unwrap_err();
        assert_eq!(violations(&error), ["next_reply_time"], "{late}");
    }
    assert_eq!(clerk.order(&name).await, accepted, "still due when it was");
    // However often it is reported on, each promise falls due.
    for (missed, now, next) in [
        (0, "2026-03-02T03:00:00Z", "2026-03-03T04:00:00Z"),
        (1, "2026-03-03T05:00:00Z", "2026-03-04T04:00:00Z"),
        (2, "2026-03-05T05:00:00Z", "2026-03-06T04:00:00Z"),
    ] {
        world.set_time(now).await;
        let reported = wang.report(&name, Some(next)).await.unwrap();
        assert_eq!((reported.missed_replies, reported.next_reply_time), (missed, at(next)));
    }
    world.set_time("2026-03-09T04:00:00Z").await;
    assert_eq!(clerk.order(&name).await.missed_replies, 3);
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 3);
}

#[tokio::test]
async fn t16_the_policy_limits_how_far_ahead_a_report_promises() {
    let world = World::new().await;
    let mut limited = policy();
    let rules = limited.learning.get_or_insert_default();
    // Eight hours of work: from ten o'clock on Monday in Shanghai to Tuesday morning.
    rules.order_reply_within = working_days(1);
    let version = world.admin().apply("group", limited.clone()).await.unwrap();
    assert_eq!(version.policy.unwrap().learning.unwrap().order_reply_within, working_days(1));
    let (mut clerk, mut wang) = (world.clerk(), wang(&world));
    let name = clerk.issue(order("group", "换密封圈")).await.name;
    wang.accept(&name).await.unwrap();
    let error = wang.report(&name, Some("2026-03-04T02:00:00Z")).await.unwrap_err();
    assert_eq!(violations(&error), ["next_reply_time"]);
    wang.report(&name, Some("2026-03-03T01:00:00Z")).await.unwrap();
    let rules = limited.learning.get_or_insert_default();
    rules.order_reply_within = working_days(0);
    let error = world.admin().apply("group", limited).await.unwrap_err();
    assert_eq!(violations(&error), ["policy.learning.order_reply_within.working_days"]);
}

#[tokio::test]
async fn t16_progress_in_time_is_a_reply_and_promises_the_next() {
    let world = strict().await;
    let (mut clerk, mut wang) = (world.clerk(), wang(&world));
    let name = clerk.issue(order("group", "换密封圈")).await.name;
    wang.accept(&name).await.unwrap();
    world.set_time("2026-03-02T03:59:59Z").await;
    wang.report(&name, Some("2026-03-03T04:00:00Z")).await.unwrap();
    world.set_time("2026-03-03T03:00:00Z").await;
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 0);
    world.set_time("2026-03-03T05:00:00Z").await;
    assert_eq!(clerk.order(&name).await.missed_replies, 1, "what was promised is due as well");
    wang.complete(&name).await.unwrap();
    world.pass_hours(100).await;
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 1);
}

#[tokio::test]
async fn t16_what_nobody_took_is_the_dispatchers() {
    let world = strict().await;
    let mut clerk = world.clerk();
    let team = pb::WorkOrder {
        assignee: String::new(),
        assignee_team: "维修一班".into(),
        ..order("group", "查")
    };
    clerk.issue(team).await;
    world.pass_hours(3).await;
    let violations = world.manager().violations("group").await;
    assert_eq!((&*violations[0].staff, violations[0].amount_cents), ("clerk", 3_000));
}

#[tokio::test]
async fn t19_a_missed_reply_proposes_what_the_policy_says_and_nothing_where_it_is_silent() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let silent = clerk.issue(order("group/north", "查")).await.name;
    let mut named = policy();
    named.violations.push(pb::ViolationRule {
        code: "no-reply".into(),
        description: Some(text("No reply", "未反馈")),
        ..Default::default()
    });
    let rules =
        pb::LearningRules { late_work_order_violation: "no-reply".into(), ..Default::default() };
    named.learning = Some(rules);
    world.admin().apply("group/south", named).await.unwrap();
    clerk.issue(order("group/south", "查")).await;
    world.pass_hours(3).await;
    assert_eq!(clerk.order(&silent).await.missed_replies, 1, "missed all the same");
    let violations = world.manager().violations("group").await;
    let codes: Vec<_> = violations.iter().map(|v| (&*v.code, v.amount_cents)).collect();
    assert_eq!(codes, [("no-reply", 0)]);
}

#[tokio::test]
async fn t16_what_is_done_or_voided_owes_no_reply() {
    let world = strict().await;
    let (mut clerk, mut wang) = (world.clerk(), wang(&world));
    let done = clerk.issue(order("group", "一")).await.name;
    wang.accept(&done).await.unwrap();
    wang.complete(&done).await.unwrap();
    let voided = clerk.issue(order("group", "二")).await.name;
    world.manager().void(&voided).await.unwrap();
    world.pass_hours(100).await;
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t16_two_replicas_record_each_missed_reply_once() {
    let mut world = strict().await;
    world.start_replica().await;
    world.start_replica().await;
    let mut clerk = world.clerk();
    for index in 0..30 {
        clerk.issue(order("group/north", &format!("{index}"))).await;
    }
    // One call moves the clock that all replicas share: the timers of all of them wake.
    world.pass_hours(24).await;
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 30);
    assert_eq!(world.count("SELECT count(DISTINCT work_order_id) FROM violation").await, 30);
    let missed = "SELECT count(*) FROM journal WHERE action = 'MissWorkOrderReply'";
    assert_eq!(world.count(missed).await, 30);
    assert_eq!(world.count("SELECT sum(missed_replies)::bigint FROM work_order").await, 30);
}

#[tokio::test]
async fn t16_a_reply_missed_during_downtime_is_recorded_as_of_when_it_was_due() {
    let mut world = strict().await;
    let name = world.clerk().issue(order("group", "换")).await.name;
    world.replicas.remove(0).stop().await.unwrap();
    world.clock.set("2026-03-20T00:00:00Z".parse().unwrap()).unwrap();
    world.start_replica().await;
    world.settle().await;
    let late = world.clerk().order(&name).await;
    assert_eq!((late.overdue_time, late.missed_replies), (at("2026-03-02T04:00:00Z"), 1));
}
