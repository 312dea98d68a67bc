//! T-20: the complaint report.

use kefu_api::ticket::v1 as pb;
use prost_types::Duration;

use crate::world::{World, at, complaint};

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
    assert_eq!(report.verdicts, [pb::VerdictCount { value: 2, count: 1 }]);
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
    assert_eq!(crate::world::violations(&error), ["end_time", "kinds[0]"]);
}
