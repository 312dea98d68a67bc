//! T-22: the regulation of electricity connections, lived through from the application to the check after supply with the clock
//! in its hand.

use jiff::{SignedDuration, Timestamp, ToSpan as _};
use kefu_api::ticket::v1 as pb;
use kefu_clock::Clock as _;
use kefu_identity::role;

use crate::process::{
    STATION, agreed, company, duty, fitter, lack, missing, number, request, run, running, time,
};
use crate::world::{Desk, World, at};

/// A customer who wants electricity, and those who see to it.
struct Connection {
    world: World,
    fitter: Desk,
    ticket: String,
    name: String,
}

impl Connection {
    async fn of(capacity: f64, double_feed: bool) -> Self {
        let world = company().await;
        let mut fitter = fitter(&world);
        let ticket = fitter.create(request()).await.name;
        let name = fitter.start_process(&ticket, capacity, double_feed).await.unwrap().name;
        Self { world, fitter, ticket, name }
    }

    async fn now(&mut self) -> pb::Process {
        self.fitter.process(&self.name).await
    }

    async fn does(&mut self, stage: &str, documents: &[&str]) -> pb::Process {
        self.fitter.does(&self.name, stage, documents).await
    }

    /// Application, survey, and the plan answered in writing.
    async fn planned(&mut self, documents: &[&str]) {
        self.does("application", documents).await;
        self.surveyed().await;
    }

    async fn surveyed(&mut self) {
        let Self { fitter, name, ticket, .. } = self;
        fitter.does(name, "survey", &["survey-record"]).await;
        fitter.hands_in(name, "supply-plan", &["supply-plan"]).await;
        // The customer was promised a written answer; without one on the ticket it does not go on.
        let error = fitter.complete_stage(name, "supply-plan").await.unwrap_err();
        assert_eq!(missing(&error), [lack("ANSWER", "supply-plan")]);
        let message = fitter.writes(ticket).await;
        fitter.stage_answer(name, "supply-plan", &message).await.unwrap();
        let next = fitter.complete_stage(name, "supply-plan").await.unwrap();
        assert_eq!(running(&next), ["design-review"]);
        let answer = next.stages.iter().rev().find_map(|run| run.answer.clone()).unwrap();
        assert_eq!(answer.message, message);
    }

    async fn submits(&mut self) {
        let Self { fitter, name, .. } = self;
        fitter.hands_in(name, "design-review", &["design-drawings", "design-review"]).await;
        fitter.submit_stage(name, "design-review").await.unwrap();
    }

    /// Whoever does not have the authority for this capacity does not approve; whoever has it does.
    async fn approved_by(&mut self, wrong: &[(&str, &str)], right: (&str, &str)) {
        for (unit, role) in wrong {
            let error =
                self.world.desk("li", unit, role).approve_stage(&self.name, "design-review").await;
            assert_eq!(duty(&error.unwrap_err()), "ROLE", "{role}");
        }
        let (unit, role) = right;
        self.world
            .desk("zhao", unit, role)
            .approve_stage(&self.name, "design-review")
            .await
            .unwrap();
        let built = self.fitter.complete_stage(&self.name, "design-review").await.unwrap();
        assert_eq!(running(&built), ["construction"]);
    }

    async fn inspects(&mut self, outcomes: &[&str]) -> pb::Process {
        for outcome in outcomes {
            self.fitter
                .inspection(&self.name, "construction", outcome, "接地电阻 4 欧")
                .await
                .unwrap();
        }
        self.fitter.complete_stage(&self.name, "construction").await.unwrap()
    }

    /// The stage that is under way has to be completed by then.
    async fn due(&mut self, stage: &str, due: Timestamp) {
        let process = self.now().await;
        assert_eq!(running(&process), [stage]);
        assert_eq!(time(run(&process, stage).due_time), due, "{stage}");
        assert_eq!(process.due_time, run(&process, stage).due_time);
    }

    /// From the completion report to the end, each at the last moment, the check a month after supply.
    async fn accepted_and_supplied(&mut self, contract: &[&str]) -> pb::Process {
        self.does("acceptance", &["acceptance-record"]).await;
        self.does("contract", contract).await;
        for (stage, document, days) in
            [("meter-order", "meter-order", 1), ("meter-installation", "meter-record", 2)]
        {
            let due = self.world.clock.now() + SignedDuration::from_hours(24 * days);
            self.due(stage, due).await;
            self.world.set_time(&due.to_string()).await;
            // At the deadline the timers have come; a microsecond before, a promise is kept.
            assert!(run(&self.now().await, stage).breach_time.is_some(), "{stage}");
            self.does(stage, &[document]).await;
        }
        let supplied =
            self.world.clock.now().to_zoned(jiff::tz::TimeZone::get("Asia/Shanghai").unwrap());
        self.due("check", supplied.checked_add(1.month()).unwrap().timestamp()).await;
        self.world.pass_hours(24 * 20).await;
        let checked = self.does("check", &["check-record"]).await;
        assert_eq!(checked.state(), pb::ProcessState::Completed);
        checked
    }

    async fn violations(&mut self) -> Vec<String> {
        let found = self.world.manager().violations("group").await;
        assert!(found.iter().all(|found| found.ticket == self.ticket && found.staff == "fitter"));
        found.into_iter().map(|found| found.code).collect()
    }
}

#[tokio::test]
async fn t22_power_connection_for_a_small_customer_is_decided_by_the_station() {
    let mut site = Connection::of(10.0, false).await;
    let begun = site.now().await;
    assert_eq!((&*begun.route, running(&begun)), ("station", vec!["application"]));
    let codes: Vec<_> = begun.stages.iter().map(|run| &*run.stage).collect();
    let all = [
        "application",
        "survey",
        "supply-plan",
        "design-review",
        "construction",
        "completion-report",
        "acceptance",
        "contract",
        "meter-order",
        "meter-installation",
        "check",
    ];
    assert_eq!(codes, all);
    assert_eq!(begun.stages[10].title.as_ref().unwrap().zh, "送电后检查");
    // Everything that is missing at once.
    let error = site.fitter.complete_stage(&site.name, "application").await.unwrap_err();
    let lacks = [lack("DOCUMENT", "application-form"), lack("DOCUMENT", "identity")];
    assert_eq!(missing(&error), lacks);
    let named = &begun.stages[0].missing;
    assert_eq!((named.len(), &*named[0].code), (2, "DOCUMENT"));
    assert_eq!(named[0].description.as_ref().unwrap().zh, "须登记资料 application-form");
    // Out of turn nothing is completed.
    let error = site.fitter.complete_stage(&site.name, "check").await.unwrap_err();
    assert_eq!(missing(&error), [lack("RUNNING_STAGE", "check")]);
    site.planned(&["application-form", "identity"]).await;
    site.submits().await;
    let wrong = [("group", role::QUALITY), (STATION, role::HANDLER)];
    site.approved_by(&wrong, (STATION, role::MANAGER)).await;
    site.inspects(&["passed"]).await;
    let due = site.world.clock.now() + SignedDuration::from_hours(72);
    site.due("completion-report", due).await;
    site.world.set_time(&(due - SignedDuration::from_secs(1)).to_string()).await;
    let reported = site.does("completion-report", &["completion-report"]).await;
    let report = run(&reported, "completion-report");
    assert!(report.warn_time.is_some() && report.breach_time.is_none(), "warned, and kept");
    assert!(site.violations().await.is_empty());
    let ended = site.accepted_and_supplied(&["supply-contract"]).await;
    assert_eq!(site.violations().await, ["late-stage", "late-stage"], "order and meter");
    let states = ended.stages.iter().all(|run| run.state() == pb::ProcessStageState::Completed);
    assert!(states && ended.end_time.is_some() && ended.stages.len() == all.len());
    let error = site.fitter.complete_stage(&site.name, "check").await.unwrap_err();
    assert_eq!(missing(&error), [lack("RUNNING_PROCESS", "process")]);
}

#[tokio::test]
async fn t22_power_connection_below_1000_kva_with_a_rejected_design_and_repeated_inspections() {
    let mut site = Connection::of(999.5, false).await;
    assert_eq!(site.now().await.route, "branch");
    let error = site.fitter.complete_stage(&site.name, "application").await.unwrap_err();
    assert!(missing(&error).contains(&lack("DOCUMENT", "load-list")));
    site.planned(&["application-form", "identity", "load-list"]).await;
    site.submits().await;
    let mut branch = site.world.desk("qian", "group/branch", role::DIRECTOR);
    let rejected = branch.reject_stage(&site.name, "design-review", "进线截面不足").await.unwrap();
    let review = run(&rejected, "design-review");
    assert_eq!(review.submissions[0].state(), pb::ProcessSubmissionState::Rejected);
    assert_eq!(
        (&*review.submissions[0].rejecter, &*review.submissions[0].reject_reason),
        ("qian", "进线截面不足")
    );
    let error = site.fitter.complete_stage(&site.name, "design-review").await.unwrap_err();
    assert_eq!(missing(&error), [lack("SUBMISSION", "design-review")]);
    site.submits().await;
    let wrong = [(STATION, role::MANAGER), ("group", role::HEADQUARTERS)];
    site.approved_by(&wrong, ("group/branch", role::DIRECTOR)).await;
    let error = site.fitter.complete_stage(&site.name, "construction").await.unwrap_err();
    assert_eq!(missing(&error), [lack("INSPECTION", "construction")]);
    let built = site.inspects(&["continued", "rework", "passed"]).await;
    let inspections = &run(&built, "construction").inspections;
    let titles: Vec<_> =
        inspections.iter().map(|one| one.title.as_ref().map(|title| &*title.zh)).collect();
    assert_eq!(titles, [None, Some("下一阶段中间检查"), Some("整改后复验")]);
    // The report is three days late: broken as of its deadline, once, and it is completed all the same.
    let due = site.world.clock.now() + SignedDuration::from_hours(72);
    site.world.pass_hours(24 * 6).await;
    let late = site.now().await;
    assert_eq!(time(run(&late, "completion-report").breach_time), due);
    assert_eq!(site.violations().await, ["late-stage"]);
    let overdue = pb::ListProcessesRequest {
        org_unit: "group".into(),
        overdue: true,
        stage: "completion-report".into(),
        ..Default::default()
    };
    assert_eq!(
        site.fitter
            .process_list(pb::ListProcessesRequest { org_unit: STATION.into(), ..overdue.clone() })
            .await,
        [&*site.name]
    );
    let reported = site.does("completion-report", &["completion-report", "test-report"]).await;
    assert_eq!(time(run(&reported, "completion-report").breach_time), due, "never unmade");
    let overdue = pb::ListProcessesRequest { org_unit: STATION.into(), ..overdue };
    assert!(site.fitter.process_list(overdue).await.is_empty());
    site.accepted_and_supplied(&["supply-contract"]).await;
    let breaches = "SELECT count(*) FROM journal WHERE action = 'BreachProcessStage'
        AND event_type = 'kefu.ticket.v1.ProcessStageBreached' AND actor = 'system/timers'";
    assert_eq!(site.world.count(breaches).await, 3);
}

#[tokio::test]
async fn t22_power_connection_of_a_large_customer_who_changes_his_mind() {
    let mut site = Connection::of(1_000.0, false).await;
    assert_eq!(site.now().await.route, "city", "a thousand is not below a thousand");
    site.planned(&["application-form", "identity", "load-list", "approval-of-project"]).await;
    site.submits().await;
    let wrong = [(STATION, role::MANAGER), ("group/branch", role::DIRECTOR)];
    site.approved_by(&wrong, ("group", role::HEADQUARTERS)).await;
    site.fitter.inspection(&site.name, "construction", "rework", "接地不良").await.unwrap();
    let waits = site.now().await;
    assert_eq!(run(&waits, "construction").next_inspection.as_ref().unwrap().zh, "整改后复验");
    // He wants more: until that is decided nothing is completed, and not by whoever asks.
    let asked =
        site.fitter.request_change(&site.name, vec![number("capacity", 1_600.0)]).await.unwrap();
    assert_eq!(
        (asked.changes.len(), asked.changes[0].state()),
        (1, pb::ProcessChangeState::Pending)
    );
    site.fitter.inspection(&site.name, "construction", "passed", "接地良好").await.unwrap();
    let error = site.fitter.complete_stage(&site.name, "construction").await.unwrap_err();
    assert_eq!(missing(&error), [lack("CHANGE_DECISION", "construction")]);
    let approved = pb::ProcessChangeState::Approved;
    let error = site.fitter.decide_change(&site.name, approved).await.unwrap_err();
    assert_eq!(duty(&error), "ROLE");
    let mut director = site.world.desk("qian", "group/branch", role::DIRECTOR);
    director.decide_change(&site.name, pb::ProcessChangeState::Rejected).await.unwrap();
    let same = site.now().await;
    assert_eq!((running(&same), &same.attributes), (vec!["construction"], &agreed(1_000.0, false)));
    // He wants less: from the survey on everything is done again, by the authority for that.
    director.request_change(&site.name, vec![number("capacity", 800.0)]).await.unwrap();
    let error = director.decide_change(&site.name, approved).await.unwrap_err();
    assert_eq!(duty(&error), "NOT_REQUESTER");
    let mut manager = site.world.desk("wu", STATION, role::MANAGER);
    let changed = manager.decide_change(&site.name, approved).await.unwrap();
    assert_eq!((&*changed.route, &changed.attributes), ("branch", &agreed(800.0, false)));
    // The branch asks for other documents with the application than the city company: that is looked at again as well.
    assert_eq!(running(&changed), ["application"]);
    let old: Vec<_> = changed
        .stages
        .iter()
        .filter(|run| run.state() == pb::ProcessStageState::Superseded)
        .collect();
    assert_eq!(old.len(), 5);
    assert_eq!(
        old[3].submissions[0].state(),
        pb::ProcessSubmissionState::Approved,
        "history stays"
    );
    assert_eq!(old[4].inspections.len(), 2);
    assert_eq!(run(&changed, "application").run, 2);
    site.planned(&["application-form", "identity", "load-list"]).await;
    site.submits().await;
    let wrong = [("group", role::HEADQUARTERS)];
    site.approved_by(&wrong, ("group/branch", role::DIRECTOR)).await;
    site.inspects(&["passed"]).await;
    site.does("completion-report", &["completion-report", "test-report"]).await;
    let ended = site.accepted_and_supplied(&["supply-contract"]).await;
    assert_eq!((ended.changes.len(), ended.stages.len()), (2, 16));
}

#[tokio::test]
async fn t22_power_connection_thresholds_are_where_the_regulation_puts_them() {
    let world = company().await;
    let mut fitter = fitter(&world);
    for (capacity, double_feed, route) in [
        (0.1, false, "station"),
        (10.0, false, "station"),
        (10.000_001, false, "branch"),
        (999.999, false, "branch"),
        (1_000.0, false, "city"),
        (1_000_000.0, false, "city"),
        (5.0, true, "city"),
    ] {
        let ticket = fitter.create(request()).await.name;
        let process = fitter.start_process(&ticket, capacity, double_feed).await.unwrap();
        assert_eq!(process.route, route, "{capacity} {double_feed}");
    }
}

#[tokio::test]
async fn t22_power_connection_explains_its_deadlines() {
    let mut site = Connection::of(5.0, false).await;
    // The last day of January: a month later is the last of February.
    site.world.set_time("2027-01-20T02:00:00Z").await;
    site.planned(&["application-form", "identity"]).await;
    site.submits().await;
    site.approved_by(&[], (STATION, role::MANAGER)).await;
    site.inspects(&["passed"]).await;
    site.does("completion-report", &["completion-report"]).await;
    site.does("acceptance", &["acceptance-record"]).await;
    site.does("contract", &["supply-contract"]).await;
    site.does("meter-order", &["meter-order"]).await;
    site.world.set_time("2027-01-31T03:00:00Z").await;
    site.does("meter-installation", &["meter-record"]).await;
    let request = pb::ExplainProcessDeadlinesRequest { name: site.name.clone() };
    let told = site.fitter.processes.explain_process_deadlines(request).await.unwrap().into_inner();
    let stages: Vec<_> = told.deadlines.iter().map(|deadline| &*deadline.stage).collect();
    assert_eq!(stages, ["completion-report", "meter-order", "meter-installation", "check"]);
    let check = told.deadlines[3].explanation.clone().unwrap();
    assert_eq!(check.segments.last().unwrap().end_time, at("2027-02-28T03:00:00Z"));
    let words = check.summary.unwrap();
    assert!(
        words.zh.contains("截止于 2027-02-28 11:00") && words.zh.contains("送电后检查"),
        "{}",
        words.zh
    );
    let late = told.deadlines[2].explanation.clone().unwrap().summary.unwrap();
    assert!(late.zh.contains("已逾期") && late.en.contains("completed late"), "{late:?}");
}
