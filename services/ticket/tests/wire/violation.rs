//! T-19: violations from the report to the monthly statement.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

use crate::pack::{calendar, policy, text, working_days};
use crate::work_order::order;
use crate::world::{Desk, World, at, complaint, metadata, reason, request_id, violations};

type Answer = Result<pb::Violation, Status>;

/// A policy with a fixed penalty and a range, and five working days for an appeal.
fn penal() -> pb::TicketPolicy {
    let mut policy = policy();
    policy.violations.push(pb::ViolationRule {
        code: "broken-procedure".into(),
        description: Some(text("Broken procedure", "违反流程")),
        amount_cents: 3_000,
        max_amount_cents: 10_000,
        currency: "CNY".into(),
    });
    policy.learning =
        Some(pb::LearningRules { violation_appeal_within: working_days(5), ..Default::default() });
    policy
}

async fn strict() -> World {
    let world = World::new().await;
    world.admin().apply("group", penal()).await.unwrap();
    world
}

/// Something that wang did in group/north.
fn report(code: &str) -> pb::ReportViolationRequest {
    pb::ReportViolationRequest {
        org_unit: "group/north".into(),
        code: code.into(),
        staff: "wang".into(),
        evidence: "未按流程登记，客户来电核实".into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn t19_reports_about_two_work_orders_of_one_ticket_are_two_and_the_same_again_is_named() {
    let world = strict().await;
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    let mut names = Vec::new();
    for task in ["换密封圈", "查漏水"] {
        let order = order("group/north", task);
        let order = pb::WorkOrder { ticket: ticket.name.clone(), ..order };
        let order = world.clerk().issue(order).await;
        let request = pb::ReportViolationRequest {
            org_unit: String::new(),
            work_order: order.name,
            occur_time: at("2026-03-02T00:30:00Z"),
            ..report("broken-procedure")
        };
        names.push(world.clerk().report_violation(request.clone()).await.unwrap().name);
        let error = world.clerk().report_violation(request).await.unwrap_err();
        assert_eq!(error.code(), Code::AlreadyExists, "{error:?}");
        let named = error.get_details_resource_info().unwrap().resource_name;
        assert_eq!(Some(&named), names.last());
    }
    assert_ne!(names[0], names[1]);
}

impl Desk {
    async fn report_violation(&mut self, request: pb::ReportViolationRequest) -> Answer {
        self.penalties.report_violation(request).await.map(Response::into_inner)
    }

    async fn violation(&mut self, name: &str) -> Answer {
        let request = pb::GetViolationRequest { name: name.into() };
        self.penalties.get_violation(request).await.map(Response::into_inner)
    }

    async fn confirm(&mut self, name: &str, amount_cents: Option<i64>) -> Answer {
        let request = pb::ConfirmViolationRequest {
            name: name.into(),
            amount_cents,
            reason: "情节较重".into(),
            ..Default::default()
        };
        self.penalties.confirm_violation(request).await.map(Response::into_inner)
    }

    async fn dismiss(&mut self, name: &str) -> Answer {
        let request = pb::DismissViolationRequest {
            name: name.into(),
            reason: "查无此事".into(),
            ..Default::default()
        };
        self.penalties.dismiss_violation(request).await.map(Response::into_inner)
    }

    async fn appeal(&mut self, name: &str) -> Answer {
        let request = pb::AppealViolationRequest {
            name: name.into(),
            reason: "当时系统故障".into(),
            ..Default::default()
        };
        self.penalties.appeal_violation(request).await.map(Response::into_inner)
    }

    async fn decide(&mut self, name: &str, outcome: pb::ViolationAppealOutcome) -> Answer {
        let request = pb::DecideViolationAppealRequest {
            name: name.into(),
            outcome: outcome.into(),
            decision: "复核完毕".into(),
            ..Default::default()
        };
        self.penalties.decide_violation_appeal(request).await.map(Response::into_inner)
    }

    async fn statement(
        &mut self,
        staff: &str,
        org_unit: &str,
        (year, month): (i32, i32),
    ) -> Result<pb::ViolationStatement, Status> {
        let (staff, org_unit) = (staff.into(), org_unit.into());
        let request = pb::GetViolationStatementRequest { staff, org_unit, year, month };
        self.penalties.get_violation_statement(request).await.map(Response::into_inner)
    }
}

/// What a statement comes to: currency, amount, confirmed, given back.
fn totals(statement: &pb::ViolationStatement) -> Vec<(&str, i64, i32, i32)> {
    let totals = statement.totals.iter();
    totals.map(|t| (&*t.currency, t.amount_cents, t.confirmed_count, t.overturned_count)).collect()
}

#[tokio::test]
async fn t19_a_report_goes_to_a_supervisor_to_an_appeal_and_to_another_supervisor() {
    let world = strict().await;
    let mut zhao = world.desk("zhao", "group/north", role::CLERK);
    let mut wang = world.desk("wang", "group/north", role::HANDLER);
    let mut director = world.desk("director", "group", role::DIRECTOR);
    let proposed = zhao.report_violation(report("broken-procedure")).await.unwrap();
    assert_eq!(
        (proposed.state(), proposed.source()),
        (pb::ViolationState::Proposed, pb::ViolationSource::Report)
    );
    assert_eq!((&*proposed.reporter, &*proposed.staff), ("zhao", "wang"));
    assert_eq!((proposed.amount_cents, proposed.max_amount_cents), (3_000, 10_000));
    assert_eq!(totals(&director.statement("wang", "group", (2026, 3)).await.unwrap()), []);
    // Neither the person concerned nor whoever reported it decides, whatever their roles.
    for (subject, duty) in [("wang", "NOT_PERSON_CONCERNED"), ("zhao", "NOT_REPORTER")] {
        let error = world
            .desk(subject, "group", role::MANAGER)
            .confirm(&proposed.name, None)
            .await
            .unwrap_err();
        assert_eq!((error.code(), &*metadata(&error, "duty")), (Code::PermissionDenied, duty));
    }
    assert_eq!(
        wang.confirm(&proposed.name, None).await.unwrap_err().code(),
        Code::PermissionDenied
    );
    let confirmed = world.manager().confirm(&proposed.name, Some(8_000)).await.unwrap();
    let decision = confirmed.decision.clone().unwrap();
    assert_eq!((&*decision.decider, decision.amount_cents), ("manager", 8_000));
    // Monday, ten o'clock, and five working days of eight hours.
    assert_eq!(confirmed.appeal_until_time, at("2026-03-09T02:00:00Z"));
    let error = zhao.appeal(&proposed.name).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    let error = director.appeal(&proposed.name).await.unwrap_err();
    assert_eq!(metadata(&error, "duty"), "PERSON_CONCERNED");
    let appealed = wang.appeal(&proposed.name).await.unwrap();
    assert_eq!(appealed.state(), pb::ViolationState::Appealed);
    let upheld = pb::ViolationAppealOutcome::Upheld;
    let error = world.manager().decide(&proposed.name, upheld).await.unwrap_err();
    assert_eq!(metadata(&error, "duty"), "NOT_CONFIRMER");
    let settled =
        director.decide(&proposed.name, pb::ViolationAppealOutcome::Overturned).await.unwrap();
    assert_eq!(settled.state(), pb::ViolationState::Overturned);
    let appeal = settled.appeal.unwrap();
    assert_eq!((&*appeal.decider, &*appeal.decision), ("director", "复核完毕"));
    assert_eq!(settled.etag, "r4");
    assert_eq!(wang.appeal(&proposed.name).await.unwrap_err().code(), Code::FailedPrecondition);
    let journal = "SELECT count(*) FROM journal WHERE aggregate_type = 'violation'
        AND event_type = 'kefu.ticket.v1.ViolationChanged'";
    assert_eq!(world.count(journal).await, 4);
}

#[tokio::test]
async fn t19_everybody_sees_its_own_and_supervisors_see_all_in_their_scope() {
    let world = strict().await;
    let mut zhao = world.desk("zhao", "group/north", role::CLERK);
    let wang = zhao.report_violation(report("broken-procedure")).await.unwrap();
    let other = pb::ReportViolationRequest { staff: "li".into(), ..report("broken-procedure") };
    let li = zhao.report_violation(other).await.unwrap();
    // He works elsewhere by now and still sees what he is charged with.
    let mut moved = world.desk("wang", "group/south", role::CLERK);
    assert_eq!(moved.violation(&wang.name).await.unwrap().name, wang.name);
    assert_eq!(moved.violation(&li.name).await.unwrap_err().code(), Code::PermissionDenied);
    assert!(moved.statement("wang", "group/north", (2026, 3)).await.is_ok());
    let error = moved.statement("li", "group/north", (2026, 3)).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    let mut wang_desk = world.desk("wang", "group/north", role::HANDLER);
    let own: Vec<_> =
        wang_desk.violations("group/north").await.into_iter().map(|v| v.staff).collect();
    assert_eq!(own, ["wang"]);
    let of_li = pb::ListViolationsRequest {
        org_unit: "group/north".into(),
        staff: "li".into(),
        ..Default::default()
    };
    let error = wang_desk.tickets.list_violations(of_li.clone()).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    let mut auditor = world.desk("auditor", "group", role::AUDITOR);
    assert_eq!(auditor.violations("group").await.len(), 2);
    let found = auditor.tickets.list_violations(of_li).await.unwrap().into_inner().violations;
    assert_eq!(found.iter().map(|v| &*v.name).collect::<Vec<_>>(), [&*li.name]);
    let dismissed = pb::ListViolationsRequest {
        org_unit: "group".into(),
        states: vec![pb::ViolationState::Dismissed.into()],
        ..Default::default()
    };
    world.manager().dismiss(&li.name).await.unwrap();
    let found = auditor.tickets.list_violations(dismissed).await.unwrap().into_inner().violations;
    assert_eq!(found.iter().map(|v| &*v.name).collect::<Vec<_>>(), [&*li.name]);
    let mut south = world.desk("south", "group/south", role::MANAGER);
    assert_eq!(south.violation(&wang.name).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(south.confirm(&wang.name, None).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(auditor.dismiss(&wang.name).await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t19_of_two_supervisors_at_once_one_decides() {
    let mut world = strict().await;
    world.start_replica().await;
    for round in 0..6_u32 {
        let request = pb::ReportViolationRequest {
            staff: format!("wang-{round}"),
            ..report("broken-procedure")
        };
        let name = world.clerk().report_violation(request).await.unwrap().name;
        let mut one = world.desk_at(0, "manager", "group", role::MANAGER);
        let mut two = world.desk_at(1, "director", "group", role::DIRECTOR);
        let (confirmed, dismissed) = tokio::join!(one.confirm(&name, None), two.dismiss(&name));
        let both = (&confirmed, &dismissed);
        let ((Ok(_), Err(refused)) | (Err(refused), Ok(_))) = both else { panic!("{both:?}") };
        assert_eq!(
            (refused.code(), &*reason(refused)),
            (Code::FailedPrecondition, "ILLEGAL_STATE")
        );
        let now = one.violation(&name).await.unwrap();
        assert_eq!(now.etag, "r2");
        let expected = confirmed.is_ok().then_some(pb::ViolationState::Confirmed);
        assert_eq!(now.state(), expected.unwrap_or(pb::ViolationState::Dismissed));
    }
}

#[tokio::test]
async fn t19_an_appeal_is_in_time_to_the_last_instant_and_not_after() {
    let world = strict().await;
    let mut wang = world.desk("wang", "group/north", role::HANDLER);
    let mut names = Vec::new();
    for hour in ["00", "01"] {
        let occur_time = at(&format!("2026-03-01T{hour}:00:00Z"));
        let request = pb::ReportViolationRequest { occur_time, ..report("broken-procedure") };
        // The policy of the time when it happened: there was none before this Monday.
        let error = world.clerk().report_violation(request).await.unwrap_err();
        assert_eq!(reason(&error), "POLICY_MISSING");
        let occur_time = at(&format!("2026-03-02T{hour}:59:59Z"));
        let request = pb::ReportViolationRequest { occur_time, ..report("broken-procedure") };
        world.clerk().report_violation(request).await.unwrap_err();
    }
    for minute in 0..2 {
        world.pass_hours(1).await;
        let name = world.clerk().report_violation(report("broken-procedure")).await.unwrap().name;
        world.manager().confirm(&name, None).await.unwrap();
        names.push(name);
        assert_eq!(names.len(), minute + 1);
    }
    world.set_time("2026-03-09T03:00:00Z").await;
    wang.appeal(&names[0]).await.unwrap();
    world.set_time("2026-03-09T04:00:00.000001Z").await;
    let error = wang.appeal(&names[1]).await.unwrap_err();
    assert_eq!((error.code(), &*reason(&error)), (Code::FailedPrecondition, "ILLEGAL_STATE"));
    assert!(error.message().contains("time for an appeal"), "{error:?}");
}

#[tokio::test]
async fn t19_a_penalty_lies_within_the_policys_range() {
    let world = strict().await;
    let name = world.clerk().report_violation(report("broken-procedure")).await.unwrap().name;
    for amount in [-1, 0, 2_999, 10_001, i64::MIN, i64::MAX] {
        let error = world.manager().confirm(&name, Some(amount)).await.unwrap_err();
        assert_eq!(violations(&error), ["amount_cents"], "{amount}");
    }
    let request = pb::ConfirmViolationRequest {
        name: name.clone(),
        amount_cents: Some(3_001),
        ..Default::default()
    };
    let error = world.manager().penalties.confirm_violation(request.clone()).await.unwrap_err();
    assert_eq!(violations(&error), ["reason"], "more than the least needs a reason");
    let least = pb::ConfirmViolationRequest { amount_cents: None, etag: "r7".into(), ..request };
    let error = world.manager().penalties.confirm_violation(least.clone()).await.unwrap_err();
    assert_eq!(error.code(), Code::Aborted);
    let least = pb::ConfirmViolationRequest { etag: "r1".into(), ..least };
    let confirmed = world.manager().penalties.confirm_violation(least).await.unwrap().into_inner();
    assert_eq!(confirmed.decision.unwrap().amount_cents, 3_000);
    // What is fixed is fixed.
    let fixed = world.clerk().report_violation(report("late-first-response")).await.unwrap().name;
    let error = world.manager().confirm(&fixed, Some(5_001)).await.unwrap_err();
    assert_eq!(violations(&error), ["amount_cents"]);
    assert_eq!(
        world.manager().confirm(&fixed, Some(5_000)).await.unwrap().state(),
        pb::ViolationState::Confirmed
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t19_the_same_is_reported_once_and_again_only_after_it_was_dismissed() {
    let mut world = strict().await;
    world.start_replica().await;
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await.name;
    world.pass_hours(1).await;
    let request = pb::ReportViolationRequest {
        ticket: ticket.clone(),
        occur_time: at("2026-03-02T02:30:00Z"),
        ..report("broken-procedure")
    };
    let calls: Vec<_> = (0..8_usize)
        .map(|index| {
            let subject = format!("clerk-{index}");
            let mut desk = world.desk_at(index % 2, &subject, "group", role::CLERK);
            let request = request.clone();
            tokio::spawn(async move { desk.report_violation(request).await })
        })
        .collect();
    let mut reported = Vec::new();
    for call in calls {
        match call.await.unwrap() {
            Ok(violation) => reported.push(violation.name),
            Err(error) => assert_eq!(error.code(), Code::AlreadyExists, "{error:?}"),
        }
    }
    assert_eq!(reported.len(), 1);
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 1);
    let error = world.clerk().report_violation(request.clone()).await.unwrap_err();
    assert!(error.message().contains(&reported[0]), "{error:?}");
    world.manager().dismiss(&reported[0]).await.unwrap();
    let again = pb::ReportViolationRequest { request_id: request_id(5), ..request };
    let first = world.clerk().report_violation(again.clone()).await.unwrap();
    let retried = world.clerk().report_violation(again).await.unwrap();
    assert_eq!(first, retried);
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 2);
}

#[tokio::test]
async fn t19_what_cannot_be_reported_is_named_all_at_once() {
    let world = strict().await;
    let error = world.clerk().report_violation(Default::default()).await.unwrap_err();
    assert_eq!(violations(&error), ["org_unit", "code", "staff", "evidence"]);
    let error = world.clerk().report_violation(report("no-such-rule")).await.unwrap_err();
    assert_eq!(violations(&error), ["code"]);
    let south = world.clerk().create(complaint("group/south", "漏水")).await.name;
    let nowhere = "tickets/00000000-0000-0000-0000-000000000007".to_owned();
    for (ticket, code) in [(south, Code::PermissionDenied), (nowhere, Code::NotFound)] {
        let request = pb::ReportViolationRequest { ticket, ..report("broken-procedure") };
        let mut north = world.desk("north", "group/north", role::CLERK);
        assert_eq!(north.report_violation(request).await.unwrap_err().code(), code);
    }
    // About an order: its dispatch centre and its policy count.
    let issued = world.clerk().issue(order("group/north", "换密封圈")).await.name;
    let request = pb::ReportViolationRequest {
        work_order: issued.clone(),
        org_unit: String::new(),
        ..report("broken-procedure")
    };
    let reported = world.clerk().report_violation(request).await.unwrap();
    assert_eq!((&*reported.work_order, &*reported.org_unit), (&*issued, "group/north"));
    let mut faulty = penal();
    faulty.violations[1].max_amount_cents = 2_999;
    let rules = faulty.learning.as_mut().unwrap();
    rules.late_work_order_violation = "unheard-of".into();
    rules.violation_appeal_within = working_days(0);
    rules.root_causes = vec![pb::RootCauseRule { code: "Bad Code".into(), title: None }];
    rules.product_hold_categories = vec!["质量".into(), "质量".into()];
    rules.shifts = Some(pb::ShiftRules::default());
    let error = world.admin().apply("group", faulty).await.unwrap_err();
    let mut named = violations(&error);
    named.sort();
    let expected = [
        "policy.learning.late_work_order_violation",
        "policy.learning.product_hold_categories[1]",
        "policy.learning.root_causes[0].code",
        "policy.learning.root_causes[0].title",
        "policy.learning.shifts.list_before_end",
        "policy.learning.violation_appeal_within.working_days",
        "policy.violations[1].max_amount_cents",
    ];
    assert_eq!(named, expected);
}

#[tokio::test]
async fn t19_a_statement_counts_what_was_confirmed_and_never_changes_the_past() {
    let world = strict().await;
    let mut german = penal();
    german.calendar = Some(kefu_api::policy::v1::BusinessCalendar {
        time_zone: "Europe/Berlin".into(),
        ..calendar()
    });
    world.admin().apply("group/south", german).await.unwrap();
    let mut wang = world.desk("wang", "group", role::HANDLER);
    world.set_time("2026-03-20T00:00:00Z").await;
    let mut names = Vec::new();
    for unit in ["group/north", "group/south", "group/north"] {
        let request =
            pb::ReportViolationRequest { org_unit: unit.into(), ..report("broken-procedure") };
        names.push(world.clerk().report_violation(request).await.unwrap().name);
        world.pass_hours(1).await;
    }
    // Half an hour into April in Shanghai, still March in Berlin.
    world.set_time("2026-03-31T16:30:00Z").await;
    world.manager().confirm(&names[0], Some(4_000)).await.unwrap();
    world.manager().confirm(&names[1], Some(5_000)).await.unwrap();
    let march = |amount, count| vec![("CNY", amount, count, 0)];
    let north = wang.statement("wang", "group/north", (2026, 3)).await.unwrap();
    assert_eq!((north.end_time, totals(&north)), (at("2026-03-31T16:00:00Z"), vec![]));
    let north = wang.statement("wang", "group/north", (2026, 4)).await.unwrap();
    assert_eq!(totals(&north), march(4_000, 1));
    let south = wang.statement("wang", "group/south", (2026, 3)).await.unwrap();
    assert_eq!((south.end_time, totals(&south)), (at("2026-03-31T22:00:00Z"), march(5_000, 1)));
    let south = wang.statement("wang", "group/south", (2026, 4)).await.unwrap();
    assert_eq!(totals(&south), []);
    // The third is only proposed; an appeal pending takes nothing back, one that is granted gives back when it is.
    wang.appeal(&names[0]).await.unwrap();
    let april = wang.statement("wang", "group", (2026, 4)).await.unwrap();
    assert_eq!(totals(&april), march(9_000, 2), "by the group's own time zone");
    world.set_time("2026-05-01T00:00:00Z").await;
    let mut director = world.desk("director", "group", role::DIRECTOR);
    director.decide(&names[0], pb::ViolationAppealOutcome::Overturned).await.unwrap();
    let again = wang.statement("wang", "group", (2026, 4)).await.unwrap();
    assert_eq!(totals(&again), totals(&april), "the past stays");
    let may = director.statement("wang", "group", (2026, 5)).await.unwrap();
    assert_eq!(totals(&may), [("CNY", -4_000, 0, 1)]);
    assert_eq!(may.lines.len(), 1);
    assert!(may.lines[0].credit);
    assert_eq!(may.lines[0].violation, names[0]);
    let before_the_first_policy = wang.statement("wang", "group", (2025, 12)).await.unwrap();
    assert_eq!(
        (totals(&before_the_first_policy), before_the_first_policy.lines.len()),
        (vec![], 0)
    );
    let error = wang.statement("wang", "group", (2026, 13)).await.unwrap_err();
    assert_eq!(violations(&error), ["month"]);
}

#[tokio::test]
async fn t19_a_breach_is_judged_by_the_policy_of_its_ticket() {
    let world = strict().await;
    world.clerk().create(complaint("group/north", "漏水")).await;
    let mut milder = penal();
    milder.violations[0].amount_cents = 1;
    milder.learning = None;
    world.admin().apply("group", milder).await.unwrap();
    world.pass_hours(25).await;
    let proposed = world.manager().violations("group").await.remove(0);
    assert_eq!((proposed.amount_cents, proposed.source()), (5_000, pb::ViolationSource::System));
    assert_eq!(proposed.occur_time, at("2026-03-03T02:00:00Z"));
    let confirmed = world.manager().confirm(&proposed.name, None).await.unwrap();
    assert!(confirmed.appeal_until_time.is_some(), "appeals as in the ticket's policy (X-10)");
}
