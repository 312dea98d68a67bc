//! T-09 to T-13 and T-15: attempts, transfer, authority, forms, review, plan, supervision.

use super::*;

const DIRECTOR: &str = "director-zhou";
const HEADQUARTERS: &str = "hq-chen";
const RECEIVER: &str = "receiver-sun";

fn handle(command: HandlingCommand) -> Command {
    Command::Handle(command)
}

pub fn attempt(reached: bool) -> Command {
    let note = "无人接听".into();
    handle(HandlingCommand::RecordAttempt { channel: Channel::Phone, at: None, reached, note })
}

pub fn close() -> Command {
    handle(HandlingCommand::Close { reason: "三次未联系上".into() })
}

pub fn send(to: &str) -> Command {
    let (to, note) = (Some(to.into()), "客户要求明天回电".into());
    handle(HandlingCommand::Transfer { to, team: None, note })
}

pub fn accept() -> Command {
    let message = Some("您的投诉由南区处理".into());
    let receiving = Receiving::default();
    handle(HandlingCommand::AcceptTransfer { message, route: None, receiving })
}

pub fn give_back() -> Command {
    handle(HandlingCommand::ReturnTransfer { reason: "不属于本区".into() })
}

pub fn withdraw() -> Command {
    handle(HandlingCommand::WithdrawTransfer { reason: "转错了".into() })
}

pub fn plan(due: Timestamp) -> Command {
    let item = PlanItem { who: "王工".into(), what: "更换窗框".into(), due };
    handle(HandlingCommand::SetPlan { items: vec![item], agreement: None })
}

pub fn supervise(answer_by: Timestamp) -> Command {
    handle(HandlingCommand::Supervise { instruction: "请说明原因".into(), answer_by })
}

pub fn urge(answer_by: Option<Timestamp>) -> Command {
    handle(HandlingCommand::Urge {
        text: "请尽快答复".into(), answer_by, first_contact: false
    })
}

pub fn answer() -> Command {
    handle(HandlingCommand::AnswerSupervision { answer: "已更换窗框".into() })
}

fn with(handling: HandlingDraft, severity: Severity) -> Desk {
    let policy = Policy::try_new(PolicyDraft { handling, ..draft() });
    Desk::with(policy.expect("a sound policy"), severity)
}

pub fn attempts() -> AttemptDraft {
    AttemptDraft { failed: 3, distinct_days: true, ..AttemptDraft::default() }
}

fn unreachable() -> Desk {
    let attempts = Some(attempts());
    let mut desk = with(HandlingDraft { attempts, ..HandlingDraft::default() }, Severity::Ordinary);
    desk.is_handled(hours(1));
    desk
}

#[test]
fn t09_where_a_policy_says_nothing_it_takes_three_failures_on_distinct_days() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.is_handled(hours(1));
    let more = |desk: &Desk, now| match desk.tries(QUALITY, now, close()) {
        Err(Refusal::Attempts { more, .. }) => more,
        other => panic!("{other:?}"),
    };
    for (day, missing) in [(0, 3), (1, 2), (2, 1)] {
        assert_eq!(more(&desk, hours(2 + 24 * day)), missing);
        desk.does(QUALITY, hours(2 + 24 * day), attempt(false));
        desk.does(QUALITY, hours(2 + 24 * day), attempt(false));
    }
    desk.does(QUALITY, hours(51), close());
    assert_eq!(desk.state(), StateName::Closed);
}

#[test]
fn t09_any_number_of_calls_in_one_day_leaves_room_for_those_of_the_next() {
    let mut desk = unreachable();
    for _ in 0..200 {
        desk.does(QUALITY, hours(2), attempt(false));
    }
    desk.does(QUALITY, hours(26), attempt(false));
    desk.does(QUALITY, hours(50), attempt(false));
    desk.does(QUALITY, hours(50), close());
    assert_eq!(desk.state(), StateName::Closed);
}

#[test]
fn t13_a_call_of_before_the_result_that_is_entered_late_undoes_no_failure_and_neither_does_a_handlers()
 {
    let mut desk = unreachable();
    desk.does(QUALITY, hours(2), attempt(false));
    let earlier = HandlingCommand::RecordAttempt {
        channel: Channel::Phone,
        at: Some(hours(0)),
        reached: true,
        note: "接通".into(),
    };
    desk.does(CLERK, hours(3), handle(earlier));
    desk.does(HANDLER, hours(3), attempt(true));
    assert_eq!(desk.ticket.handling.attempts, [hours(2)]);
    assert_eq!(desk.ticket.handling.reached_by, None);
}

#[test]
fn t13_whoever_documented_three_failures_is_not_charged_for_not_having_asked() {
    let mut draft = draft();
    draft.clocks[3].target = elapsed(100);
    draft.clocks[3].breach_violation = draft.violations[0].code.clone();
    let breach = |failures: i64| {
        let policy = Policy::try_new(draft.clone()).expect("a sound policy");
        let mut desk = Desk::with(policy, Severity::Ordinary);
        desk.is_handled(hours(1));
        for day in 0..failures {
            desk.does(QUALITY, hours(2 + 24 * day), attempt(false));
        }
        let fired = desk.fires(hours(300));
        fired.iter().filter_map(Change::violation).count()
    };
    assert_eq!((breach(2), breach(3)), (1, 0));
}

#[test]
fn t09_three_failures_on_distinct_days_close_and_two_say_how_many_are_missing() {
    let mut desk = unreachable();
    // Ten and eleven o'clock of one day in Shanghai count once.
    desk.does(QUALITY, hours(23), attempt(false));
    desk.does(QUALITY, hours(24), attempt(false));
    let refused = desk.tries(QUALITY, hours(24), close()).unwrap_err();
    let next_from = Some(at("2019-09-27T00:00:00+08:00"));
    let state = StateName::ResultFedBack;
    let expected = Refusal::Attempts { state, command: "CloseTicket", more: 2, next_from };
    assert_eq!(refused, expected);
    // One minute to midnight and one minute after it are two days there, though one in UTC.
    desk.does(QUALITY, at("2019-09-27T23:59:00+08:00"), attempt(false));
    desk.does(QUALITY, at("2019-09-28T00:01:00+08:00"), attempt(false));
    let now = at("2019-09-28T00:02:00+08:00");
    assert!(matches!(desk.tries(HANDLER, now, close()), Err(Refusal::SeparationOfDuties { .. })));
    let changes = desk.does(QUALITY, now, close());
    assert_eq!(actions(&changes).last(), Some(&"CloseTicket"));
    assert_eq!(desk.state(), StateName::Closed);
    assert_eq!(desk.ticket.handling.close_reason.as_deref(), Some("三次未联系上"));
    assert!(desk.ticket.verdicts.is_empty());
    assert!(desk.ticket.clocks.iter().all(|clock| !clock.is_live()));
}

#[test]
fn t13_what_a_handler_tries_and_what_was_before_the_result_does_not_count() {
    let mut desk = unreachable();
    let more = |desk: &Desk, now| match desk.tries(QUALITY, now, close()) {
        Err(Refusal::Attempts { more, .. }) => more,
        other => panic!("{other:?}"),
    };
    desk.does(HANDLER, hours(20), attempt(false));
    assert_eq!(more(&desk, hours(20)), 3);
    let before = HandlingCommand::RecordAttempt {
        channel: Channel::Sms,
        at: Some(hours(0)),
        reached: false,
        note: "未回".into(),
    };
    desk.does(QUALITY, hours(20), handle(before));
    assert_eq!(more(&desk, hours(20)), 3);
    desk.does(QUALITY, hours(21), attempt(false));
    assert_eq!(more(&desk, hours(21)), 2);
    // Whoever was reached can be asked: it starts anew.
    desk.does(QUALITY, hours(45), attempt(true));
    assert_eq!(more(&desk, hours(45)), 3);
}

#[test]
fn t09_attempts_count_only_so_far_apart() {
    let rule = AttemptDraft {
        failed: 2,
        min_interval: Duration::from_secs(4 * 3_600),
        ..AttemptDraft::default()
    };
    let draft = HandlingDraft { attempts: Some(rule), ..HandlingDraft::default() };
    let mut desk = with(draft, Severity::Ordinary);
    desk.is_handled(hours(1));
    desk.does(QUALITY, hours(2), attempt(false));
    desk.does(QUALITY, hours(5), attempt(false));
    assert!(desk.tries(QUALITY, hours(5), close()).is_err());
    desk.does(QUALITY, hours(6), attempt(false));
    desk.does(QUALITY, hours(6), close());
    assert_eq!(desk.state(), StateName::Closed);
}

#[test]
fn t19_a_verdict_that_nobody_asked_for_is_proposed_once_the_call_back_is_overdue() {
    let unasked = |reached: bool, failed: i64| {
        let rule = AttemptDraft { unasked_violation: "unasked".into(), ..attempts() };
        let mut draft = PolicyDraft {
            handling: HandlingDraft { attempts: Some(rule), ..HandlingDraft::default() },
            ..draft()
        };
        draft.violations.push(ViolationDraft {
            code: "unasked".into(),
            description: Text::new("Verdict not asked for", "未询问满意度"),
            amount_cents: 5_000,
            currency: "CNY".into(),
            ..ViolationDraft::default()
        });
        // Long enough to try on three days.
        draft.clocks[3].target = elapsed(200);
        let mut desk =
            Desk::with(Policy::try_new(draft).expect("a sound policy"), Severity::Ordinary);
        desk.is_handled(hours(1));
        for day in 0..failed {
            desk.does(QUALITY, hours(2 + 24 * day), attempt(false));
        }
        if reached {
            desk.does("quality-qian", hours(100), attempt(true));
        }
        let fired = desk.fires(hours(300));
        let violation = fired.iter().find_map(Change::violation).cloned();
        violation.map(|violation| (violation.code, violation.staff.to_string()))
    };
    let owed_by = |staff: &str| Some(("unasked".to_owned(), staff.to_owned()));
    assert_eq!(unasked(false, 0), owed_by(CLERK));
    assert_eq!(unasked(true, 3), owed_by("quality-qian"));
    assert_eq!(unasked(false, 3), None, "the customer could not be reached");
}

#[test]
fn t11_a_transfer_waits_for_its_receiver_and_no_clock_notices() {
    let mut desk = Desk::new(Severity::Ordinary);
    let clocks = desk.ticket.clocks.clone();
    desk.does(HANDLER, hours(1), send("group/south"));
    assert_eq!(
        (desk.state(), &*desk.ticket.org_unit),
        (StateName::Registered, "group/north/riverside")
    );
    for command in [resolve(), Command::Cancel { reason: "x".into() }, send("group/west")] {
        assert_eq!(missing(desk.tries(HANDLER, hours(2), command)), [Missing::TransferEnded]);
    }
    assert_eq!(missing(desk.tries(HANDLER, hours(2), accept())), [Missing::OtherReceiver]);
    desk.does(RECEIVER, hours(3), accept());
    let ticket = &desk.ticket;
    assert_eq!((&*ticket.org_unit, &**ticket.answerable()), ("group/south", RECEIVER));
    assert_eq!(ticket.clocks, clocks, "not even the first response: no question was answered");
    assert_eq!(&*ticket.first_contact_owner, CLERK);
    assert_eq!(missing(desk.tries(RECEIVER, hours(3), accept())), [Missing::PendingTransfer]);
    desk.does("handler-he", hours(4), respond());
    assert_eq!(&**desk.ticket.answerable(), "handler-he", "who handles it answers for it");
}

#[test]
fn t11_whoever_owned_it_before_a_transfer_has_it_no_more() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.ticket.team = Some(Uuid::from_u128(7));
    desk.ticket.owner = Some("an".into());
    desk.does(HANDLER, hours(1), send("group/south"));
    assert!(desk.ticket.burden().is_some(), "it is his until it is accepted");
    desk.does(RECEIVER, hours(2), accept());
    assert_eq!((desk.ticket.team, desk.ticket.burden()), (None, None));
    assert_eq!(&**desk.ticket.answerable(), RECEIVER);
}

#[test]
fn t11_a_returned_or_withdrawn_transfer_changes_nothing_else() {
    for back in [give_back(), withdraw()] {
        let mut desk = Desk::new(Severity::Ordinary);
        let before = desk.ticket.clone();
        desk.does(HANDLER, hours(1), send("group/south"));
        desk.does(RECEIVER, hours(2), back);
        assert_eq!(desk.ticket.handling.transfer, None);
        assert_eq!(
            (&desk.ticket.org_unit, &desk.ticket.clocks),
            (&before.org_unit, &before.clocks)
        );
        desk.does(HANDLER, hours(3), send("group/south"));
        let transfer = desk.ticket.handling.transfer.as_ref().expect("on its way again");
        assert_eq!(transfer.number, 2);
    }
}

#[test]
fn t11_the_customer_is_told_by_the_policys_wording_or_by_words_of_ones_own() {
    let mut silent = Desk::new(Severity::Ordinary);
    silent.does(HANDLER, hours(1), send("group/south"));
    let named = |customer_name: Option<&str>| {
        let customer_name = customer_name.map(Into::into);
        let receiving = Receiving { customer_name, ..Receiving::default() };
        handle(HandlingCommand::AcceptTransfer { message: None, route: None, receiving })
    };
    let unsaid = || named(None);
    assert_eq!(wrong_fields(silent.tries(RECEIVER, hours(2), unsaid())), ["message"]);
    let mut draft = draft();
    draft.message_templates.push(MessageTemplateDraft {
        situation: "transferred".into(),
        title: Text::new("Transferred", "转办"),
        text: Text::new("", "您的工单 {ticket.number} 已转办"),
    });
    let policy = Policy::try_new(draft).expect("a sound policy");
    let mut desk = Desk::with(policy, Severity::Ordinary);
    desk.does(HANDLER, hours(1), send("group/south"));
    let changes = desk.does(RECEIVER, hours(2), unsaid());
    let What::Handling(change) = &changes[0].what else { panic!("{changes:?}") };
    let HandlingChange::Accepted { message, .. } = &**change else { panic!("{change:?}") };
    assert_eq!(message, "您的工单 T-2019-riverside-000001 已转办");
    let mut draft = super::draft();
    draft.message_templates.push(MessageTemplateDraft {
        situation: "transferred".into(),
        title: Text::new("Transferred", "转办"),
        text: Text::new("", "{customer.name}，您好"),
    });
    let policy = Policy::try_new(draft).expect("a sound policy");
    assert!(transfer_names_customer(&policy));
    let mut desk = Desk::with(policy, Severity::Ordinary);
    let customer = Uuid::from_u128(9);
    desk.ticket.complainant = Complainant::Customer { customer, contact: None };
    desk.does(HANDLER, hours(1), send("group/south"));
    // What nobody knows is said in general.
    for (command, told) in [(unsaid(), "客户，您好"), (named(Some("王女士")), "王女士，您好")]
    {
        let changes = desk.tries(RECEIVER, hours(2), command).expect("accepted");
        let What::Handling(change) = &changes[0].what else { panic!("{changes:?}") };
        let HandlingChange::Accepted { message, .. } = &**change else { panic!("{change:?}") };
        assert_eq!(message, told);
    }
}

fn limited() -> HandlingDraft {
    HandlingDraft {
        authorities: vec![(1, vec![1], vec!["service".into()]), (2, vec![1, 2], Vec::new())],
        form_required: true,
        ..HandlingDraft::default()
    }
}

#[test]
fn t12_what_is_beyond_a_level_goes_to_the_lowest_that_may_resolve_it() {
    // Severity 3 starts at level 2, which may not; severity 1 of another category neither at level 1.
    for (severity, from, to) in [(Severity::VerySerious, 2, 3), (Severity::Ordinary, 1, 2)] {
        let mut desk = with(limited(), severity);
        let refused = desk.tries(HANDLER, hours(1), resolve()).unwrap_err();
        let Refusal::Authority { level, needed, .. } = refused else { panic!("{refused:?}") };
        assert_eq!((level.number(), needed.number()), (from, to));
        desk.does(HANDLER, hours(2), Command::Escalate { reason: "超出权限".into() });
        let form = desk.ticket.escalations.last().expect("a handling form");
        assert_eq!((form.cause, form.to.number()), (EscalationCause::Authority, to));
        assert_eq!(missing(desk.tries(DIRECTOR, hours(3), resolve())), [Missing::HandlingForm]);
        let form = |form| {
            let (opinion, decision) = ("同意".into(), "退款".into());
            handle(HandlingCommand::CompleteForm { form, opinion, decision })
        };
        assert_eq!(wrong_fields(desk.tries(DIRECTOR, hours(3), form(2))), ["form.form"]);
        desk.does(DIRECTOR, hours(3), form(0));
        assert_eq!(missing(desk.tries(DIRECTOR, hours(3), form(1))), [Missing::EmptyForm]);
        desk.does(DIRECTOR, hours(4), resolve());
        assert_eq!(desk.state(), StateName::Resolved);
    }
}

#[test]
fn t12_a_category_is_covered_with_all_below_it_and_no_namesake() {
    for (category, may) in
        [("service", true), ("service/attitude", true), ("services", false), ("", false)]
    {
        let mut desk = with(limited(), Severity::Ordinary);
        desk.ticket.details.category = category.into();
        assert_eq!(desk.tries(HANDLER, hours(1), resolve()).is_ok(), may, "{category}");
    }
}

fn in_review() -> Desk {
    let mut desk = Desk::new(Severity::VerySerious);
    desk.is_handled(hours(1));
    desk.does(QUALITY, hours(2), verdict(5));
    desk.is_handled(hours(3));
    desk.does(QUALITY, hours(4), verdict(5));
    assert_eq!(desk.state(), StateName::ExecutiveReview);
    desk
}

#[test]
fn t12_nobody_leaves_an_executive_review_without_a_decision() {
    let mut desk = in_review();
    assert_eq!(missing(desk.tries(HANDLER, hours(5), resolve())), [Missing::ExecutiveDecision]);
    assert_eq!(
        missing(desk.tries(HANDLER, hours(5), send("group/south"))),
        [Missing::ExecutiveDecision]
    );
    desk.does(DIRECTOR, hours(5), pause());
    assert_eq!(missing(desk.tries(HANDLER, hours(6), resolve())), [Missing::ExecutiveDecision]);
    let decide = || review(ExecutiveOutcome::Handle);
    assert_eq!(missing(desk.tries(DIRECTOR, hours(6), decide())), [Missing::NotWaiting]);
    desk.does(DIRECTOR, hours(6), Command::Resume);
    desk.does(DIRECTOR, hours(7), decide());
    assert_eq!(desk.state(), StateName::InProgress);
    desk.does(HANDLER, hours(8), resolve());
    assert_eq!(missing(desk.tries(DIRECTOR, hours(9), decide())), [Missing::ExecutiveReview]);
}

#[test]
fn t12_a_decision_can_be_the_solution() {
    let mut desk = in_review();
    let changes = desk.does(DIRECTOR, hours(5), review(ExecutiveOutcome::Solution));
    assert_eq!(actions(&changes), ["DecideExecutiveReview", "ResolveTicket"]);
    let solution = desk.ticket.solution().expect("a solution");
    assert_eq!((&*solution.text, &*solution.by), ("全额退款", DIRECTOR));
    desk.does(HANDLER, hours(6), feed_back());
    let own = desk.tries(DIRECTOR, hours(7), verdict(1));
    assert!(matches!(own, Err(Refusal::SeparationOfDuties { .. })), "{own:?}");
}

#[test]
fn t10_no_resolution_without_the_plan_that_the_customer_agreed_with() {
    let draft = HandlingDraft { plan: Some((vec![2], true)), ..HandlingDraft::default() };
    with(draft.clone(), Severity::Ordinary).does(HANDLER, hours(1), resolve());
    let mut desk = with(draft, Severity::Serious);
    assert_eq!(missing(desk.tries(HANDLER, hours(1), resolve())), [Missing::Plan]);
    let agree = || handle(HandlingCommand::AgreePlan { how: "电话确认".into(), at: None });
    assert_eq!(missing(desk.tries(HANDLER, hours(1), agree())), [Missing::Plan]);
    assert_eq!(wrong_fields(desk.tries(HANDLER, hours(1), plan(hours(1)))), ["items[0].due_time"]);
    desk.does(HANDLER, hours(1), plan(hours(20)));
    assert_eq!(missing(desk.tries(HANDLER, hours(1), resolve())), [Missing::PlanAgreement]);
    desk.does(HANDLER, hours(2), agree());
    assert_eq!(missing(desk.tries(HANDLER, hours(2), agree())), [Missing::UnagreedPlan]);
    let done = |item| handle(HandlingCommand::CompleteItem { item });
    for wrong in [0, 2, u32::MAX] {
        assert_eq!(wrong_fields(desk.tries(HANDLER, hours(2), done(wrong))), ["item"]);
    }
    desk.does(HANDLER, hours(3), done(1));
    assert_eq!(missing(desk.tries(HANDLER, hours(3), done(1))), [Missing::OpenItem]);
    desk.does(HANDLER, hours(4), resolve());
    // A new plan is to be agreed anew.
    let mut again = desk.clone();
    again.does(HANDLER, hours(5), plan(hours(20)));
    assert_eq!(again.ticket.handling.plan.as_ref().map(|plan| plan.version), Some(2));
    assert_eq!(again.ticket.handling.plan.and_then(|plan| plan.agreement), None);
}

#[test]
fn t15_an_answer_is_missed_once_as_of_its_date_and_one_at_the_date_is_in_time() {
    let mut desk = Desk::new(Severity::Ordinary);
    assert_eq!(missing(desk.tries(HANDLER, hours(1), answer())), [Missing::Supervision]);
    desk.does(HEADQUARTERS, hours(1), supervise(hours(10)));
    let again = desk.tries(HEADQUARTERS, hours(1), supervise(hours(10)));
    assert_eq!(missing(again), [Missing::NoSupervision]);
    assert_eq!(desk.ticket.handling.next_alarm(), Some(hours(10)));
    let mut late = desk.clone();
    let fired = late.fires(hours(12));
    assert_eq!(
        (actions(&fired), fired[0].effective_at),
        (vec!["MissSupervisionAnswer"], hours(10))
    );
    assert!(late.fires(hours(13)).is_empty());
    desk.does(HANDLER, hours(10), answer());
    assert!(desk.fires(hours(12)).is_empty(), "in time");
    assert_eq!(missing(desk.tries(HANDLER, hours(12), answer())), [Missing::OwedAnswer]);
    // Urging with a date asks again, without one it does not; each has its number.
    desk.does(HEADQUARTERS, hours(13), urge(None));
    assert_eq!(desk.ticket.handling.next_alarm(), None);
    desk.does(HEADQUARTERS, hours(13), urge(Some(hours(15))));
    assert_eq!(actions(&desk.fires(hours(16))), ["MissSupervisionAnswer"]);
    assert_eq!(desk.ticket.handling.supervision.as_ref().map(|watched| watched.urgings), Some(2));
    let end = || handle(HandlingCommand::EndSupervision { conclusion: "已整改".into() });
    desk.does(HEADQUARTERS, hours(17), end());
    assert_eq!(missing(desk.tries(HEADQUARTERS, hours(18), end())), [Missing::Supervision]);
}

pub fn reporting() -> ReportingDraft {
    let criterion = |title: &str| ReportingCriterionDraft {
        title: Text::new("", title),
        ..ReportingCriterionDraft::default()
    };
    ReportingDraft {
        criteria: vec![
            ReportingCriterionDraft { severities: vec![3], ..criterion("非常严重") },
            ReportingCriterionDraft { min_level: 3, ..criterion("升至总监") },
            ReportingCriterionDraft {
                keywords: vec!["媒体曝光".into()], ..criterion("舆情")
            },
        ],
        supervise_within: elapsed(24),
    }
}

#[test]
fn t15_a_major_complaint_is_reported_once_as_soon_as_it_is_one() {
    let draft = || HandlingDraft { reporting: Some(reporting()), ..HandlingDraft::default() };
    let mut born = with(draft(), Severity::VerySerious);
    assert_eq!(born.ticket.next_fire_at(), Some(hours(0)));
    let fired = born.fires(hours(1));
    assert_eq!((actions(&fired), fired[0].effective_at), (vec!["ReportToHeadquarters"], hours(0)));
    assert_eq!(born.ticket.handling.next_alarm(), Some(hours(24)));
    assert!(born.fires(hours(2)).is_empty());

    let mut grown = with(draft(), Severity::Ordinary);
    assert!(grown.fires(hours(1)).is_empty());
    let changes = grown.does(HANDLER, hours(2), assess(Severity::VerySerious));
    assert_eq!(actions(&changes), ["AssessTicket", "ReportToHeadquarters"]);
    assert_eq!(
        actions(&grown.does(HANDLER, hours(3), assess(Severity::Ordinary))),
        ["AssessTicket"]
    );

    let mut worded = with(draft(), Severity::Ordinary);
    let details =
        Details { subject: "再不处理就找 媒.体 曝光".into(), ..Details::default() };
    let changes = worded.does(HANDLER, hours(2), Command::UpdateDetails { details });
    assert_eq!(actions(&changes), ["UpdateTicket", "ReportToHeadquarters"]);

    let mut raised = with(draft(), Severity::Ordinary);
    for _ in 0..2 {
        raised.does(HANDLER, hours(2), Command::Escalate { reason: "超出权限".into() });
    }
    assert_eq!(raised.ticket.handling.reported_at, Some(hours(2)));
}

#[test]
fn x06_every_fault_of_the_rules_about_handling_is_named() {
    let mut reporting = reporting();
    reporting.criteria[0] = ReportingCriterionDraft::default();
    reporting.criteria[1].min_level = 4;
    reporting.criteria[2].keywords = vec!["！".into(), "媒体".into(), "媒 体".into()];
    let handling = HandlingDraft {
        attempts: Some(AttemptDraft {
            failed: 0,
            min_interval: Duration::from_secs(31 * 24 * 3_600),
            unasked_violation: "unknown".into(),
            ..AttemptDraft::default()
        }),
        plan: Some((vec![4], false)),
        authorities: vec![(3, vec![1, 1], vec!["a//b".into()])],
        missed_answer_violation: "unknown".into(),
        reporting: Some(reporting),
        ..HandlingDraft::default()
    };
    let faults = Policy::try_new(PolicyDraft { handling, ..draft() }).expect_err("faults");
    let mut paths: Vec<_> = faults.into_iter().map(|fault| fault.path).collect();
    paths.sort();
    let criteria = "headquarters_reporting.criteria";
    let mut expected = vec![
        "authorities[0].categories[0]".to_owned(),
        "authorities[0].level".to_owned(),
        "authorities[0].severities[1]".to_owned(),
        "contact_attempts.failed_attempts".to_owned(),
        "contact_attempts.min_interval".to_owned(),
        "contact_attempts.unasked_violation".to_owned(),
        "handling_plan.severities[0]".to_owned(),
        format!("{criteria}[0]"),
        format!("{criteria}[0].title"),
        format!("{criteria}[1].min_level"),
        format!("{criteria}[2].keywords[0]"),
        format!("{criteria}[2].keywords[2]"),
        "supervision.missed_answer_violation".to_owned(),
    ];
    expected.sort();
    assert_eq!(paths, expected);
}
