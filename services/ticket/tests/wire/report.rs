//! T-20: the complaint report.

use kefu_api::ticket::v1 as pb;
use prost_types::Duration;

use crate::world::{Desk, World, at, complaint, violations};

#[tokio::test]
async fn t08_an_announced_delay_is_late_all_the_same_and_the_report_tells_how_many_were() {
    let world = World::new().await;
    let mut manager = world.manager();
    let mut names = Vec::new();
    for _ in 0..3 {
        names.push(world.clerk().create(complaint("group", "漏水")).await.name);
    }
    // The first says so and is late, the second says so and makes it, the third is late.
    for name in &names[..2] {
        let request = pb::AnnounceDelayRequest {
            name: name.clone(),
            rule: "first-response".into(),
            new_due_time: at("2026-03-06T02:00:00Z"),
            reason: "配件缺货".into(),
            ..Default::default()
        };
        manager.tickets.announce_delay(request).await.unwrap();
    }
    world.pass_hours(1).await;
    manager.respond(&names[1]).await.unwrap();
    world.pass_hours(30).await;
    // Before the new date, and long after the one that was promised.
    manager.respond(&names[0]).await.unwrap();
    let request = pb::GetComplaintReportRequest { org_unit: "group".into(), ..Default::default() };
    let report = manager.reports.get_complaint_report(request.clone()).await.unwrap().into_inner();
    let rule = report.compliance.iter().find(|rule| rule.rule == "first-response").unwrap();
    assert_eq!((rule.met, rule.breached, rule.announced), (1, 2, 1));
    assert_eq!(rule.rate, Some(1.0 / 3.0), "the original deadline counts");
    let silent = report.compliance.iter().find(|rule| rule.rule == "resolution").unwrap();
    assert_eq!(silent.announced, 0);
    // As of before the deadline nothing was broken yet.
    let as_of_time = at("2026-03-02T03:00:00Z");
    let request = pb::GetComplaintReportRequest { as_of_time, ..request };
    let report = manager.reports.get_complaint_report(request).await.unwrap().into_inner();
    let rule = report.compliance.iter().find(|rule| rule.rule == "first-response").unwrap();
    assert_eq!((rule.breached, rule.announced), (0, 0));
}

#[tokio::test]
async fn t20_the_report_counts_what_was_promised_and_kept() {
    let world = World::new().await;
    let (mut clerk, mut manager, mut quality) = (world.clerk(), world.manager(), world.quality());
    let mut names = Vec::new();
    for (index, unit) in ["group/north", "group/north/riverside", "group/south"].iter().enumerate()
    {
        let channel = if index == 0 { pb::TicketChannel::Web } else { pb::TicketChannel::Phone };
        let ticket = pb::Ticket { channel: channel.into(), ..complaint(unit, "漏水") };
        names.push(clerk.create(ticket).await.name);
    }
    let inquiry =
        pb::Ticket { kind: pb::TicketKind::Inquiry.into(), ..complaint("group", "几点开门") };
    clerk.create(inquiry).await;
    world.pass_hours(1).await;
    manager.respond(&names[0]).await.unwrap();
    world.pass_hours(2).await;
    manager.respond(&names[1]).await.unwrap();
    manager.resolve(&names[1]).await.unwrap();
    manager.feed_back(&names[1]).await.unwrap();
    quality.verdict(&names[1], 2).await.unwrap();
    // The third stays unanswered and is broken, the inquiry too.
    world.pass_hours(24).await;

    let request = pb::GetComplaintReportRequest { org_unit: "group".into(), ..Default::default() };
    let report = clerk.reports.get_complaint_report(request.clone()).await.unwrap().into_inner();
    assert_eq!(report.start_time, at("2026-03-01T16:00:00Z"), "Monday in Shanghai");
    assert_eq!(report.end_time, at("2026-03-08T16:00:00Z"));
    let counts = (report.received, report.answered, report.resolved, report.closed, report.overdue);
    assert_eq!(counts, (3, 2, 1, 1, 1));
    let hours = |hours: i64| Some(Duration { seconds: hours * 3_600, nanos: 0 });
    let first = report.first_response.unwrap();
    assert_eq!((first.count, first.median, first.p90), (2, hours(1), hours(3)));
    assert_eq!(report.resolution.unwrap().median, hours(3));
    let compliance = report.compliance.iter().find(|c| c.rule == "first-response").unwrap();
    assert_eq!((compliance.met, compliance.breached, compliance.running), (2, 1, 0));
    assert_eq!(report.verdicts, [pb::VerdictCount { value: 2, count: 1, closing: 1 }]);
    assert_eq!(report.severities, [pb::SeverityCount { severity: 1, count: 3 }]);
    let units: Vec<_> = report.org_units.iter().map(|u| (u.org_unit.as_str(), u.count)).collect();
    assert_eq!(units, [("group/north", 1), ("group/north/riverside", 1), ("group/south", 1)]);
    assert_eq!(
        report.violations,
        [pb::ViolationCount { code: "late-first-response".into(), count: 1 }]
    );
    assert_eq!(report.escalations.len(), 1);
    assert_eq!(report.channels.len(), 2);

    let request = pb::GetComplaintReportRequest { org_unit: "group/north".into(), ..request };
    let report = clerk.reports.get_complaint_report(request).await.unwrap().into_inner();
    assert_eq!((report.received, report.overdue), (2, 0));
}

#[tokio::test]
async fn t20_an_empty_period_is_a_report_too() {
    let world = World::new().await;
    let request = pb::GetComplaintReportRequest {
        org_unit: "group".into(),
        start_time: at("2020-01-01T00:00:00Z"),
        end_time: at("2020-02-01T00:00:00Z"),
        ..Default::default()
    };
    let mut clerk = world.clerk();
    let report = clerk.reports.get_complaint_report(request.clone()).await.unwrap().into_inner();
    assert_eq!((report.received, report.first_response.unwrap().median), (0, None));
    let request = pb::GetComplaintReportRequest {
        start_time: request.end_time,
        end_time: request.start_time,
        kinds: vec![55],
        ..request
    };
    let error = clerk.reports.get_complaint_report(request).await.unwrap_err();
    assert_eq!(violations(&error), ["end_time", "kinds[0]"]);
}

fn week(week: &str) -> pb::GetComplaintReportRequest {
    pb::GetComplaintReportRequest {
        org_unit: "group".into(),
        week: week.into(),
        ..Default::default()
    }
}

async fn ask(desk: &mut Desk, request: pb::GetComplaintReportRequest) -> pb::ComplaintReport {
    desk.reports.get_complaint_report(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn t20_a_week_is_the_calendars_and_as_of_then_it_never_changes() {
    let world = World::new().await;
    let (mut clerk, mut manager) = (world.clerk(), world.manager());
    // The last moment of week 10 in Shanghai, and the first one of week 11.
    world.set_time("2026-03-08T15:59:59Z").await;
    let last = clerk.create(complaint("group", "周日")).await;
    world.set_time("2026-03-08T16:00:00Z").await;
    clerk.create(complaint("group", "周一")).await;
    let ten = ask(&mut clerk, week("2026-W10")).await;
    assert_eq!(
        (ten.received, ten.start_time, ten.end_time),
        (1, at("2026-03-01T16:00:00Z"), at("2026-03-08T16:00:00Z"))
    );
    assert_eq!((&*ten.iso_week, &*ten.time_zone), ("2026-W10", "Asia/Shanghai"));
    assert_eq!(ask(&mut clerk, week("2026-W11")).await.received, 1);
    let this_week = ask(&mut clerk, week("")).await;
    assert_eq!((&*this_week.iso_week, this_week.received), ("2026-W11", 1));
    let backlog = this_week.backlog.unwrap();
    assert_eq!((backlog.open_at_start, backlog.open_at_end), (1, 2));

    let then = pb::GetComplaintReportRequest {
        as_of_time: at("2026-03-08T16:00:00Z"),
        ..week("2026-W10")
    };
    let before = ask(&mut clerk, then.clone()).await;
    world.pass_hours(30).await;
    manager.respond(&last.name).await.unwrap();
    manager.resolve(&last.name).await.unwrap();
    manager
        .tickets
        .assess_ticket(pb::AssessTicketRequest {
            name: last.name.clone(),
            severity: 1,
            reason: "照旧".into(),
            ..Default::default()
        })
        .await
        .unwrap();
    let now = ask(&mut clerk, week("2026-W10")).await;
    assert_eq!((now.answered, now.resolved, now.violations.len()), (1, 1, 1));
    let mut after = ask(&mut clerk, then).await;
    assert_eq!((after.answered, after.resolved, after.overdue), (0, 0, 0));
    let rule = after.compliance.iter().find(|rule| rule.rule == "first-response").unwrap();
    assert_eq!((rule.met, rule.breached, rule.running, rule.rate), (0, 0, 1, None));
    after.report_time = before.report_time;
    // The tickets that it points to are told as they are.
    after.open.as_mut().unwrap().oldest.clone_from(&before.open.as_ref().unwrap().oldest);
    assert_eq!(after, before);
}

#[tokio::test]
async fn t20_half_a_week_is_compared_with_half_a_week() {
    let world = World::new().await;
    let (mut clerk, mut manager) = (world.clerk(), world.manager());
    // Monday at ten: answered at once. Friday: one more.
    let first = clerk.create(complaint("group", "周一")).await;
    manager.respond(&first.name).await.unwrap();
    world.set_time("2026-03-06T02:00:00Z").await;
    clerk.create(complaint("group", "周五")).await;
    world.set_time("2026-03-09T02:00:00Z").await;
    for subject in ["甲", "乙", "丙"] {
        clerk.create(complaint("group", subject)).await;
    }
    world.set_time("2026-03-11T02:00:00Z").await;
    let request = pb::GetComplaintReportRequest { compare: true, ..week("") };
    let report = ask(&mut clerk, request.clone()).await;
    assert_eq!(report.year_before, None, "there was nothing");
    let before = report.week_before.unwrap();
    let then = before.report.unwrap();
    assert_eq!((&*then.iso_week, then.as_of_time), ("2026-W10", at("2026-03-04T02:00:00Z")));
    assert_eq!((then.received, then.answered), (1, 1), "Friday was yet to come");
    let received =
        before.differences.iter().find(|d| d.metric() == pb::ReportMetric::Received).unwrap();
    assert_eq!((received.value, received.earlier), (Some(3.0), Some(1.0)));
    assert_eq!((received.difference, received.change), (Some(2.0), Some(2.0)));
    // The whole week before, when this one is over.
    world.set_time("2026-03-15T16:00:00Z").await;
    let request = pb::GetComplaintReportRequest { week: "2026-W11".into(), ..request };
    let then = ask(&mut clerk, request).await.week_before.unwrap().report.unwrap();
    assert_eq!((then.received, then.answered), (2, 1));
}

#[tokio::test]
async fn t20_categories_add_up_along_their_tree_and_repeats_need_the_same_matter() {
    let world = World::new().await;
    let customer = world.customer(1).await;
    let other = world.customer(2).await;
    world.settle().await;
    let mut clerk = world.clerk();
    let ticket = |customer: &str, unit: &str, category: &str, product: &str| pb::Ticket {
        customer: customer.into(),
        category: category.into(),
        product: product.into(),
        ..complaint(unit, "又来了")
    };
    for (customer, unit, category, product) in [
        (&*customer, "group/north", "service/attitude", ""),
        // The same main category: a repeat, but not for those who only see the south.
        (&customer, "group/south", "service/speed", "lift"),
        // The same product: a repeat.
        (&customer, "group/south", "quality/leak", "lift"),
        // Nothing in common.
        (&customer, "group/south", "sales", ""),
        (&other, "group/south", "service", "lift"),
        // Nobody knows who it was.
        ("", "group/south", "service", "lift"),
        ("", "group/south", "", ""),
    ] {
        clerk.create(ticket(customer, unit, category, product)).await;
        world.pass_hours(1).await;
    }
    let report = ask(&mut clerk, week("2026-W10")).await;
    let tree: Vec<_> = report
        .category_tree
        .iter()
        .map(|node| (&*node.category, node.count, node.own_count))
        .collect();
    assert_eq!(
        tree,
        [
            ("quality", 1, 0),
            ("quality/leak", 1, 1),
            ("sales", 1, 1),
            ("service", 4, 2),
            ("service/attitude", 1, 1),
            ("service/speed", 1, 1),
        ]
    );
    let products = report.products.unwrap();
    let entries: Vec<_> = products.entries.iter().map(|e| (&*e.label, e.count)).collect();
    assert_eq!((entries, products.others, products.total), (vec![("lift", 4), ("", 3)], 0, 7));
    assert_eq!(products.entries[1].cumulative_share, 1.0);
    let top = pb::GetComplaintReportRequest { top: 1, ..week("2026-W10") };
    let categories = ask(&mut clerk, top).await.categories.unwrap();
    assert_eq!((categories.entries.len(), categories.others, categories.total), (1, 5, 7));
    assert_eq!((&*categories.entries[0].label, categories.entries[0].count), ("service", 2));
    let repeats = report.repeats.unwrap();
    assert_eq!((repeats.count, repeats.customers), (2, 1));
    assert_eq!((&repeats.top[0].customer, repeats.top[0].tickets.len()), (&customer, 2));
    assert_eq!(repeats.window.unwrap().seconds, 90 * 86_400);
    let south =
        pb::GetComplaintReportRequest { org_unit: "group/south".into(), ..week("2026-W10") };
    assert_eq!(ask(&mut clerk, south).await.repeats.unwrap().count, 1);
}

#[tokio::test]
async fn x06_every_fault_of_a_question_is_named() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let request = pb::GetComplaintReportRequest {
        org_unit: "no unit".into(),
        start_time: at("2026-03-01T00:00:00Z"),
        end_time: at("2026-03-02T00:00:00Z"),
        kinds: vec![0],
        as_of_time: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }),
        top: -1,
        ..week("2026-W10")
    };
    let error = clerk.reports.get_complaint_report(request).await.unwrap_err();
    let mut found = violations(&error);
    found.sort();
    assert_eq!(found, ["as_of_time", "kinds[0]", "org_unit", "top", "week"]);
    for (request, field) in [
        (week("2025-W53"), "week"),
        (week("9999-W52"), "week"),
        (
            pb::GetComplaintReportRequest { as_of_time: at("2026-03-02T02:00:01Z"), ..week("") },
            "as_of_time",
        ),
    ] {
        let error = clerk.reports.get_complaint_report(request).await.unwrap_err();
        assert_eq!(violations(&error), [field]);
    }
    // All of time is a period like another; there is none before it.
    let all = pb::GetComplaintReportRequest {
        start_time: at("0001-01-01T00:00:00Z"),
        end_time: at("9999-12-30T00:00:00Z"),
        compare: true,
        ..week("")
    };
    let report = ask(&mut clerk, all).await;
    assert_eq!((report.week_before, report.year_before), (None, None));
    let policy = pb::TicketPolicy { repeat_window_days: 367, ..crate::pack::policy() };
    let error = world.admin().apply("group", policy).await.unwrap_err();
    assert_eq!(violations(&error), ["policy.repeat_window_days"]);
}

#[tokio::test]
async fn t20_however_many_reports_are_asked_for_registrations_go_on() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    // Nobody gets past this while it lasts.
    let mut held = kefu_postgres::begin(&world.pool).await.unwrap();
    sqlx::query("LOCK TABLE violation IN ACCESS EXCLUSIVE MODE").execute(&mut *held).await.unwrap();
    let mut reports = tokio::task::JoinSet::new();
    for _ in 0..24 {
        let mut clerk = clerk.clone();
        reports.spawn(async move { clerk.reports.get_complaint_report(week("")).await.map(drop) });
    }
    const WAITING: &str =
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'violation'::regclass";
    let mut waiting = 0;
    for _ in 0..10_000 {
        waiting = world.count(WAITING).await;
        if waiting == 2 {
            break;
        }
    }
    assert_eq!(waiting, 2);
    for _ in 0..5 {
        clerk.create(complaint("group", "漏水")).await;
    }
    assert_eq!(
        world.count(WAITING).await,
        2,
        "the others wait for their turn, without a connection"
    );
    held.rollback().await.unwrap();
    for report in reports.join_all().await {
        report.unwrap();
    }
}
