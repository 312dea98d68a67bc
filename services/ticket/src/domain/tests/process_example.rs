//! T-22: staged processes, by example.

use super::process::*;
use super::*;

#[test]
fn t22_a_small_request_skips_what_is_for_large_ones_and_a_large_one_does_not() {
    for (capacity, double, route, stages) in [
        (10.0, false, "small", 6),
        (10.5, false, "large", 7),
        (2_000.0, false, "large", 7),
        (0.0, true, "large", 7),
    ] {
        let mut site = Site::at(capacity, double);
        assert_eq!(site.template().route(&site.process.agreed), Some(route), "{capacity} {double}");
        site.finish();
        assert_eq!(site.process.runs.len(), stages, "{capacity} {double}");
    }
}

#[test]
fn t22_a_stage_is_completed_with_everything_and_all_that_is_missing_is_named_at_once() {
    let mut site = Site::at(700.0, false);
    let complete = |stage: &str| ProcessCommand::Complete { stage: stage.into() };
    assert_eq!(
        lacking(site.asks(HANDLER, complete("application"))),
        [(NeedKind::Document, "form".to_owned())]
    );
    assert_eq!(
        lacking(site.asks(HANDLER, complete("review"))),
        [(NeedKind::RunningStage, "review".to_owned())]
    );
    assert_eq!(duty(site.asks(MANAGER, complete("application"))), ProcessDuty::Role);
    while site.running() != ["review"] {
        assert!(site.diligent());
    }
    assert_eq!(
        lacking(site.asks(HANDLER, complete("review"))),
        [(NeedKind::Document, "drawings".to_owned()), (NeedKind::Submission, "review".to_owned())]
    );
    let submit = || ProcessCommand::Submit { stage: "review".into() };
    assert_eq!(
        lacking(site.asks(HANDLER, submit())),
        [(NeedKind::Document, "drawings".to_owned())]
    );
    site.does(HANDLER, document("review", "drawings"));
    site.does(HANDLER, submit());
    assert_eq!(
        lacking(site.asks(HANDLER, complete("review"))),
        [
            (NeedKind::Approval, "manager".to_owned()),
            (NeedKind::Approval, "headquarters, director".to_owned())
        ]
    );
    // What was submitted stays as it is.
    let again = site.asks(HANDLER, document("review", "drawings"));
    assert_eq!(lacking(again), [(NeedKind::NoSubmission, "review".to_owned())]);
}

#[test]
fn t22_nobody_approves_its_own_twice_or_for_another_role() {
    let mut site = Site::at(700.0, false);
    while site.running() != ["review"] {
        assert!(site.diligent());
    }
    let as_both = |subject: &str, role: &str| ProcessActor {
        subject: subject.into(),
        roles: codes(&["handler", role]),
    };
    let rules = (site.template(), site.policy.calendar());
    let documented = decide_process(
        &site.process,
        rules,
        document("review", "drawings"),
        &as_both(FITTER, "manager"),
        site.now,
    );
    let submit = ProcessCommand::Submit { stage: "review".into() };
    let submitted = decide_process(
        &documented.expect("documented"),
        rules,
        submit.clone(),
        &as_both(HANDLER, "director"),
        site.now,
    );
    let submitted = submitted.expect("submitted");
    // Neither whoever drew it nor whoever handed it in.
    for (subject, role) in [(FITTER, "manager"), (HANDLER, "director")] {
        let actor = as_both(subject, role);
        let refused = decide_process(&submitted, rules, approve(), &actor, site.now).map(|_| ());
        assert_eq!(duty(refused), ProcessDuty::NotSubmitter, "{subject}");
    }
    site.process = submitted;
    assert_eq!(duty(site.asks(CLERK, approve())), ProcessDuty::Role);
    site.does(HEADS[0], approve());
    assert_eq!(duty(site.asks(HEADS[0], approve())), ProcessDuty::NotApprover);
    site.does(MANAGER, approve());
    // A rejection ends the submission with its approvals; it is handed in and approved anew.
    let reject = ProcessCommand::Reject { stage: "review".into(), reason: "图纸不清".into() };
    site.does(DIRECTOR, reject);
    assert_eq!(
        lacking(site.asks(MANAGER, approve())),
        [(NeedKind::PendingSubmission, "review".to_owned())]
    );
    site.does(HANDLER, submit);
    let run = site.process.running().next().expect("one").clone();
    assert_eq!(run.record.submissions.len(), 2);
    assert_eq!(site.process.missing(site.template(), &run).len(), 2);
    site.finish();
}

#[test]
fn t22_inspections_go_on_as_their_outcomes_say_between_the_least_and_the_most() {
    let mut site = Site::at(5.0, false);
    while site.running() != ["construction"] {
        assert!(site.diligent());
    }
    let complete = ProcessCommand::Complete { stage: "construction".into() };
    let more = [(NeedKind::Inspection, "construction".to_owned())];
    site.does(HANDLER, inspection("passed"));
    assert_eq!(lacking(site.asks(HANDLER, complete.clone())), more, "two are the least");
    site.does(HANDLER, inspection("rework"));
    assert_eq!(lacking(site.asks(HANDLER, complete.clone())), more);
    let run = site.process.running().next().expect("one").clone();
    let (_, rules) = site.template().stage("construction").expect("there");
    assert_eq!(run.next_inspection(rules), Some(&text("again")));
    site.does(HANDLER, inspection("rework"));
    let mut passing = Site { policy: powered(), process: site.process.clone(), now: site.now };
    passing.does(HANDLER, inspection("passed"));
    let done = passing.asks(HANDLER, inspection("passed"));
    assert_eq!(lacking(done), [(NeedKind::NoInspection, "construction".to_owned())]);
    passing.does(HANDLER, complete.clone());
    // The fourth is the last.
    site.does(HANDLER, inspection("rework"));
    let exhausted = [(NeedKind::InspectionsExhausted, "construction".to_owned())];
    assert_eq!(lacking(site.asks(HANDLER, inspection("passed"))), exhausted);
    assert_eq!(lacking(site.asks(HANDLER, complete)), exhausted);
    site.finish();
}

#[test]
fn t22_the_promised_answer_is_a_message_of_this_stage_that_was_not_given_up() {
    let mut site = Site::at(5.0, false);
    site.now = hours(1);
    while site.running() != ["plan", "fee"] {
        assert!(site.diligent());
    }
    let complete = ProcessCommand::Complete { stage: "plan".into() };
    let promised = [(NeedKind::Answer, "plan".to_owned())];
    assert_eq!(lacking(site.asks(HANDLER, complete.clone())), promised);
    let void = Said { message: Uuid::from_u128(9), sent_at: hours(2), is_void: true };
    for said in [None, Some(Said { sent_at: hours(0), is_void: false, ..void }), Some(void)] {
        let refused = site.asks(HANDLER, named_answer("plan", said));
        let Err(ProcessRefusal::Fields(faults)) = refused else { panic!("{refused:?}") };
        assert_eq!(faults[0].path, "message");
    }
    assert_eq!(lacking(site.asks(HANDLER, complete.clone())), promised);
    site.does(HANDLER, answer("plan", hours(1)));
    site.does(HANDLER, complete);
    assert_eq!(site.running(), ["fee"], "they run beside each other");
}

#[test]
fn t22_an_approved_change_goes_back_as_far_as_it_has_to_and_keeps_what_was() {
    let mut site = Site::at(5.0, false);
    while site.running() != ["construction"] {
        assert!(site.diligent());
    }
    site.does(HANDLER, inspection("passed"));
    // Named by the template: from the plan on. What asks something else on the new route is done as well: the survey.
    site.does(HANDLER, change(50.0));
    let complete = ProcessCommand::Complete { stage: "construction".into() };
    let waits = lacking(site.asks(HANDLER, complete));
    assert!(waits.contains(&(NeedKind::ChangeDecision, "construction".to_owned())));
    assert_eq!(lacking(site.asks(FITTER, change(60.0)))[0].0, NeedKind::ChangeDecision);
    let agree = |agreed| ProcessCommand::DecideChange { agreed, decision: "已核".into() };
    assert_eq!(duty(site.asks(HANDLER, agree(true))), ProcessDuty::Role);
    site.does(MANAGER, agree(false));
    assert_eq!(site.running(), ["construction"], "not agreed, nothing changes");
    site.does(MANAGER, change(50.0));
    assert_eq!(duty(site.asks(MANAGER, agree(true))), ProcessDuty::NotRequester);
    let before = site.process.runs.clone();
    site.does(DIRECTOR, agree(true));
    assert_eq!(site.running(), ["survey"]);
    for (old, new) in before.iter().zip(&site.process.runs) {
        assert_eq!(old.record, new.record, "what was done stays on record");
        let counts = matches!(new.state, RunState::Completed);
        assert_eq!(counts, new.stage == "application", "{}", new.stage);
    }
    site.finish();
    assert_eq!(site.process.runs.iter().filter(|run| run.stage == "plan").count(), 2);
    assert_eq!(
        lacking(site.asks(HANDLER, change(70.0))),
        [(NeedKind::RunningProcess, "process".into())]
    );
}

#[test]
fn t22_a_change_named_for_a_late_stage_cannot_carry_an_approval_to_what_it_was_not_for() {
    let mut site = Site::at(5.0, false);
    while site.running() != ["check"] {
        assert!(site.diligent());
    }
    // `double` names the check; but the review was approved for a small one.
    let values = vec![("double".to_owned(), Value::Flag(true))];
    site.does(HANDLER, ProcessCommand::RequestChange { values, reason: "双电源".into() });
    site.does(MANAGER, ProcessCommand::DecideChange { agreed: true, decision: "是".into() });
    assert_eq!(site.running(), ["survey"]);
    // The same on the route that it is on already goes back to the named stage only.
    let mut site = Site::at(500.0, false);
    while site.running() != ["check"] {
        assert!(site.diligent());
    }
    let values = vec![("double".to_owned(), Value::Flag(true))];
    site.does(
        HANDLER,
        ProcessCommand::RequestChange { values: values.clone(), reason: "双电源".into() },
    );
    site.does(MANAGER, ProcessCommand::DecideChange { agreed: true, decision: "是".into() });
    assert_eq!(site.running(), ["check"]);
    let again =
        site.asks(HANDLER, ProcessCommand::RequestChange { values, reason: "双电源".into() });
    assert_eq!(lacking(again), [(NeedKind::NewValues, "process".to_owned())]);
}

#[test]
fn t22_a_deadline_is_noticed_once_as_of_itself_whenever_somebody_comes() {
    let mut site = Site::at(700.0, false);
    site.does(HANDLER, document("application", "form"));
    site.does(HANDLER, ProcessCommand::Complete { stage: "application".into() });
    let warning = ("survey".to_owned(), RunAlarm::Warn, hours(24));
    let breach = ("survey".to_owned(), RunAlarm::Breach, hours(48));
    assert_eq!(site.process.next_fire_at(), Some(hours(24)));
    site.now = hours(48);
    assert_eq!(site.settle(false), [warning], "a command at the deadline is in time");
    assert_eq!(site.settle(true), std::slice::from_ref(&breach));
    assert_eq!(site.settle(true), []);
    site.now = hours(300);
    assert_eq!(site.settle(true), []);
    assert_eq!(site.process.next_fire_at(), None);
    while site.running() == ["survey"] {
        assert!(site.diligent());
    }
    let late = site.process.counting("survey").expect("completed");
    assert_eq!((late.state, late.breached_at), (RunState::Completed, Some(hours(48))));
    // The clock of the plan is the one for large ones, from when the plan began.
    assert_eq!(site.process.due(), Some(hours(372)));
    let calendar = site.policy.calendar();
    let explained = explain_process(&site.process, site.template(), calendar, site.now);
    let explained = explained.expect("explained");
    assert_eq!(explained.len(), 2);
    assert!(explained[0].1.summary.zh.contains("已逾期"), "{}", explained[0].1.summary.zh);
    assert_eq!(explained[1].1.due, Some(hours(372)));
}

#[test]
fn t22_a_month_is_one_of_the_calendar() {
    let calendar = calendar();
    let month = Length::Months(1);
    for (start, due) in [
        ("2019-09-25T10:00:00+08:00", "2019-10-25T10:00:00+08:00"),
        ("2019-01-31T23:30:00+08:00", "2019-02-28T23:30:00+08:00"),
        ("2020-01-31T00:00:00+08:00", "2020-02-29T00:00:00+08:00"),
    ] {
        let target = month.from(at(start), &calendar).expect("in range");
        assert_eq!(calendar.due_at(at(start), target), Ok(at(due)), "{start}");
    }
}

#[test]
fn t22_values_are_checked_against_the_template_all_at_once() {
    let policy = powered();
    let template = policy.process("power").expect("there");
    let given = vec![
        ("capacity".to_owned(), number(2_000.5)),
        ("colour".to_owned(), Value::Flag(true)),
        ("capacity".to_owned(), Value::Choice("red".into())),
    ];
    let faults = template.agree(given, false).expect_err("wrong");
    let paths: Vec<_> = faults.iter().map(|fault| &*fault.path).collect();
    assert_eq!(
        paths,
        [
            "attributes[0].number",
            "attributes[1].attribute",
            "attributes[2]",
            "attributes[2].attribute",
            "attributes"
        ]
    );
    assert_ne!(faults[0].chinese, faults[0].description);
}
