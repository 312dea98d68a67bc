//! What can be read after the story: how every deadline came about, the audit trail, the weekly report, and the customer
//! at a glance.

use std::collections::BTreeMap;
use std::time::Duration;

use kefu_api::gateway::v1::{
    CustomerOverview, GetCustomerOverviewRequest, SectionAvailability, SectionStatus,
};
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::SegmentReason::{
    Elapsed, Holiday, MakeUpDay, OutsideHours, WorkingHours,
};
use kefu_identity::role;
use tonic::{Request, Streaming};

use crate::company::{LAKESIDE, RIVERSIDE, hours, seconds, working_days};
use crate::story::violations;
use crate::world::{World, at, instant};

/// A stretch by its reason and its ends on the wall clock in Shanghai, in 2026.
type Stretch = (pb::SegmentReason, &'static str, &'static str);

/// From registration on Wednesday afternoon over the holiday to Thursday afternoon.
const FIRST_RESPONSE: [Stretch; 7] = [
    (WorkingHours, "09-30 15:00", "09-30 18:00"),
    (OutsideHours, "09-30 18:00", "10-01 00:00"),
    (Holiday, "10-01 00:00", "10-08 00:00"),
    (OutsideHours, "10-08 00:00", "10-08 09:00"),
    (WorkingHours, "10-08 09:00", "10-08 12:00"),
    (OutsideHours, "10-08 12:00", "10-08 13:00"),
    (WorkingHours, "10-08 13:00", "10-08 15:00"),
];

/// On from there, over Friday into the Saturday that makes up for the holiday.
const REST_OF_RESOLUTION: [Stretch; 9] = [
    (WorkingHours, "10-08 13:00", "10-08 18:00"),
    (OutsideHours, "10-08 18:00", "10-09 09:00"),
    (WorkingHours, "10-09 09:00", "10-09 12:00"),
    (OutsideHours, "10-09 12:00", "10-09 13:00"),
    (WorkingHours, "10-09 13:00", "10-09 18:00"),
    (OutsideHours, "10-09 18:00", "10-10 09:00"),
    (MakeUpDay, "10-10 09:00", "10-10 12:00"),
    (OutsideHours, "10-10 12:00", "10-10 13:00"),
    (MakeUpDay, "10-10 13:00", "10-10 15:00"),
];

fn segment((reason, from, to): Stretch) -> pb::DeadlineSegment {
    let shanghai = |local: &str| at(&format!("2026-{}:00+08:00", local.replace(' ', "T")));
    let label = match reason {
        Holiday => Some(crate::company::text("National Day", "国庆节")),
        MakeUpDay => Some(crate::company::text("National Day make-up day", "国庆节调休")),
        _ => None,
    };
    pb::DeadlineSegment {
        start_time: shanghai(from),
        end_time: shanghai(to),
        counted: !matches!(reason, OutsideHours | Holiday),
        reason: reason.into(),
        label,
    }
}

async fn explain(world: &World, name: &str) -> Vec<pb::DeadlineExplanation> {
    let request = pb::ExplainDeadlineRequest { name: name.into() };
    let answer = world.clerk().tickets().explain_deadline(request).await.unwrap().into_inner();
    assert!(answer.explanations.iter().all(|explained| !explained.truncated));
    answer.explanations
}

/// Every clock of both tickets says how its deadline came about, T-05.
pub async fn deadlines(world: &World, by_hours: &str, by_days: &str) {
    let explained = explain(world, by_hours).await;
    let promised = [
        ("first-response", 1, 24, "09-30 15:00", "10-01 15:00"),
        ("resolution", 1, 168, "09-30 15:00", "10-07 15:00"),
        ("result-feedback", 1, 48, "10-02 11:00", "10-04 11:00"),
        ("call-back", 1, 72, "10-02 12:00", "10-05 12:00"),
        ("first-response", 2, 24, "10-02 13:00", "10-03 13:00"),
        ("resolution", 2, 168, "10-02 13:00", "10-09 13:00"),
        ("result-feedback", 2, 48, "10-02 15:00", "10-04 15:00"),
        ("call-back", 2, 72, "10-02 16:00", "10-05 16:00"),
    ];
    assert_eq!(explained.len(), promised.len());
    for (explained, (rule, cycle, length, from, to)) in explained.iter().zip(promised) {
        let clock = explained.clock.as_ref().unwrap();
        assert_eq!((&*clock.rule, clock.cycle), (rule, cycle));
        assert_eq!(explained.target, hours(length), "{rule}");
        // The holiday makes no difference to elapsed time.
        assert_eq!(explained.segments, [segment((Elapsed, from, to))], "{rule} {cycle}");
    }

    let explained = explain(world, by_days).await;
    let rules: Vec<_> = explained.iter().map(|e| &*e.clock.as_ref().unwrap().rule).collect();
    assert_eq!(rules, ["first-response", "resolution", "result-feedback", "call-back"]);
    assert_eq!(explained[0].target, working_days(1));
    assert_eq!(explained[0].time_zone, "Asia/Shanghai");
    assert_eq!(explained[0].segments, FIRST_RESPONSE.map(segment));
    assert_eq!(explained[1].target, working_days(3));
    let before = FIRST_RESPONSE[..6].iter();
    let all: Vec<_> = before.chain(&REST_OF_RESOLUTION).copied().map(segment).collect();
    assert_eq!(explained[1].segments, all);
    assert_eq!(explained[2].segments, [segment((Elapsed, "10-10 14:00", "10-12 14:00"))]);
    assert_eq!(explained[3].segments, [segment((Elapsed, "10-10 14:30", "10-13 14:30"))]);
    let summary = explained[0].summary.clone().unwrap();
    assert!(
        summary.en.contains("due at 2026-10-08 15:00, not counting National Day"),
        "{summary:?}"
    );
    assert!(summary.zh.contains("截止于 2026-10-08 15:00，不计国庆节"), "{summary:?}");
}

/// Who did what in which order, X-04; and the live stream tells the same, T-24.
pub async fn trail(
    world: &World,
    by_hours: &str,
    by_days: &str,
    stream: Streaming<pb::WatchTicketsResponse>,
) {
    drop(stream);
    let timers = "system/timers";
    let expected = [
        ("CreateTicket", "clerk"),
        ("BreachClock", timers),
        ("RespondTicket", "manager"),
        ("ResolveTicket", "manager"),
        ("FeedBackTicket", "manager"),
        ("RecordVerdict", "system/survey"),
        ("RespondTicket", "director"),
        ("ResolveTicket", "director"),
        ("FeedBackTicket", "director"),
        ("RecordVerdict", "system/survey"),
    ];
    let history = history(world, by_hours).await;
    let found: Vec<_> = history.iter().map(|entry| (&*entry.action, &*entry.actor)).collect();
    assert_eq!(found, expected);
    let revisions: Vec<_> = history.iter().map(|entry| entry.revision).collect();
    assert_eq!(revisions, (1..=10).collect::<Vec<_>>());
    let breaches = self::history(world, by_days).await;
    let breaches = breaches.iter().filter(|entry| entry.action == "BreachClock").count();
    assert_eq!(breaches, 1);
    assert_eq!(violations(world).await.len(), 2, "one each");
}

pub async fn history(world: &World, ticket: &str) -> Vec<pb::TicketHistoryEntry> {
    let request = pb::ListTicketHistoryRequest { parent: ticket.into(), ..Default::default() };
    world.clerk().tickets().list_ticket_history(request).await.unwrap().into_inner().entries
}

/// The report of the week in which the tickets were registered, for the group and for one estate, T-20.
pub async fn report(world: &World) {
    let week = async |org_unit: &str| {
        let request = pb::GetComplaintReportRequest {
            org_unit: org_unit.into(),
            start_time: at("2026-09-28T00:00:00+08:00"),
            end_time: at("2026-10-05T00:00:00+08:00"),
            ..Default::default()
        };
        world.manager().reports().get_complaint_report(request).await.unwrap().into_inner()
    };
    let group = week("group").await;
    assert_eq!((group.received, group.answered, group.resolved), (3, 2, 2));
    assert_eq!((group.closed, group.cancelled, group.overdue), (2, 1, 0));
    let first = group.first_response.unwrap();
    // 43 hours, and 193 and a half.
    assert_eq!(
        (first.count, first.median, first.p90),
        (2, Some(seconds(154_800)), Some(seconds(696_600)))
    );
    let resolution = group.resolution.unwrap();
    // 44 hours, and 239.
    assert_eq!(
        (resolution.median, resolution.p90),
        (Some(seconds(158_400)), Some(seconds(860_400)))
    );
    let compliance: BTreeMap<_, _> = group
        .compliance
        .iter()
        .map(|rule| (&*rule.rule, (rule.met, rule.breached, rule.running)))
        .collect();
    let expected = [
        ("call-back", (3, 0, 0)),
        ("first-response", (1, 2, 0)),
        ("resolution", (3, 0, 0)),
        ("result-feedback", (3, 0, 0)),
    ];
    assert_eq!(compliance, BTreeMap::from(expected));
    let verdicts: Vec<_> = group.verdicts.iter().map(|v| (v.value, v.count)).collect();
    assert_eq!(verdicts, [(1, 1), (2, 1), (4, 1)]);
    let escalations: BTreeMap<_, _> =
        group.escalations.iter().map(|e| (e.cause, e.count)).collect();
    let causes = [(pb::EscalationCause::Breach, 2), (pb::EscalationCause::Verdict, 1)];
    assert_eq!(escalations, causes.into_iter().map(|(cause, n)| (cause.into(), n)).collect());
    let violations: Vec<_> = group.violations.iter().map(|v| (&*v.code, v.count)).collect();
    assert_eq!(violations, [("late-first-response", 2)]);
    let units: Vec<_> = group.org_units.iter().map(|u| (&*u.org_unit, u.count)).collect();
    assert_eq!(units, [(RIVERSIDE, 1), (LAKESIDE, 2)]);

    let riverside = week(RIVERSIDE).await;
    assert_eq!((riverside.received, riverside.answered, riverside.closed), (1, 1, 1));
    assert_eq!(riverside.first_response.unwrap().p90, Some(seconds(154_800)));
    let first = riverside.compliance.iter().find(|rule| rule.rule == "first-response").unwrap();
    assert_eq!(
        (first.met, first.breached),
        (1, 1),
        "broken in the first cycle, kept in the second"
    );
    let verdicts: Vec<_> = riverside.verdicts.iter().map(|v| (v.value, v.count)).collect();
    assert_eq!(verdicts, [(2, 1), (4, 1)]);

    // Nothing was registered in the week of now.
    let request = pb::GetComplaintReportRequest { org_unit: "group".into(), ..Default::default() };
    let now = world.manager().reports().get_complaint_report(request).await.unwrap().into_inner();
    assert_eq!((now.received, now.start_time), (0, at("2026-10-05T00:00:00+08:00")));
}

fn availability(status: &Option<SectionStatus>) -> SectionAvailability {
    status.as_ref().unwrap().availability()
}

async fn look(world: &World, role: &str, customer: &str) -> CustomerOverview {
    let deadline = Duration::from_secs(5);
    let mut request = Request::new(GetCustomerOverviewRequest { name: customer.into() });
    request.set_timeout(deadline);
    let started = kefu_clock::monotonic();
    let overview = world.client(role).gateway().get_customer_overview(request).await;
    assert!(started.elapsed() < deadline);
    overview.unwrap().into_inner()
}

/// 6. Everything about the customer in one call, also while the survey context is stopped, G-02.
pub async fn overview(world: &mut World, customer: &str, by_hours: &str, by_days: &str) {
    let whole = look(world, role::CLERK, customer).await;
    let archive = whole.archive.clone().unwrap();
    assert_eq!(availability(&archive.status), SectionAvailability::Available);
    assert_eq!((archive.contacts.len(), archive.standings.len()), (2, 1));
    assert_eq!(archive.customer.unwrap().display_name, "滨河花园业主委员会");
    let tickets = whole.tickets.clone().unwrap();
    assert_eq!(availability(&tickets.status), SectionAvailability::Available);
    let names: Vec<_> = tickets.tickets.iter().map(|ticket| &*ticket.name).collect();
    assert_eq!(names, [by_days, by_hours], "newest first");
    assert_eq!(tickets.tickets[1].clocks.len(), 8, "with their clocks");
    let surveys = whole.surveys.clone().unwrap();
    assert_eq!(availability(&surveys.status), SectionAvailability::Available);
    let verdicts: Vec<_> = surveys.answers.iter().map(|answer| answer.verdict).collect();
    assert_eq!((surveys.invitations.len(), verdicts), (3, vec![2, 4]));

    world.mesh.stop_context("survey").await.unwrap();
    let partial = look(world, role::CLERK, customer).await;
    assert_eq!(partial.archive, whole.archive);
    assert_eq!(partial.tickets, whole.tickets);
    let stale = partial.surveys.unwrap();
    assert_eq!(availability(&stale.status), SectionAvailability::Stale);
    assert_eq!((stale.answers, stale.invitations), (surveys.answers, surveys.invitations));
    let read = stale.status.unwrap().as_of_time.unwrap();
    assert_eq!(kefu_rpc::to_proto_timestamp(instant("2026-10-10T08:00:00Z")), read);
    // Somebody who has not seen it before gets no copy of what another one read.
    let new = look(world, role::AUDITOR, customer).await;
    let missing = new.surveys.unwrap();
    assert_eq!(availability(&missing.status), SectionAvailability::Unavailable);
    assert!(missing.answers.is_empty() && missing.invitations.is_empty());
    assert!(missing.status.unwrap().message.contains("survey"));
    assert_eq!((new.archive, new.tickets), (whole.archive, whole.tickets));
}
