//! A policy is refused with every fault and its path.

use super::*;

fn paths(draft: PolicyDraft) -> Vec<String> {
    let faults = Policy::try_new(draft).expect_err("faults");
    faults.into_iter().map(|fault| fault.path).collect()
}

#[test]
fn x06_an_empty_policy_names_all_that_it_needs() {
    assert_eq!(
        paths(PolicyDraft::default()),
        [
            "code",
            "calendar",
            "levels",
            "verdict_scale.options",
            "verdict_scale.options",
            "verdict_scale.options"
        ]
    );
}

#[test]
fn x06_every_fault_of_a_policy_is_named_with_its_path() {
    let mut faulty = draft();
    faulty.clocks[0].name = "First response".into();
    faulty.clocks[0].breach_violation = "unknown".into();
    faulty.clocks[0].warn_percent = 100;
    faulty.clocks[0].severities = vec![1, 4, 1];
    faulty.clocks[0].channels = vec![Some(Channel::Web), None, Some(Channel::Web)];
    faulty.clocks[1].kind = None;
    faulty.clocks[1].target = Some(Target::Elapsed(Duration::ZERO));
    faulty.clocks[2].name = "call-back".into();
    faulty.clocks[2].target = None;
    faulty.levels[1].level = 3;
    faulty.levels[1].roles = ["manager", "chief", "manager"].map(Into::into).into();
    faulty.severities.push(SeverityDraft { severity: 3, receiver_level: 4 });
    faulty.severities.push(SeverityDraft { severity: 0, receiver_level: 1 });
    faulty.verdict_options[0].outcome = None;
    faulty.verdict_options[1].value = 5;
    faulty.verdict_options[2].value = 11;
    faulty.grade_priorities.push(GradePriorityDraft { grade: "vip".into(), priority: None });
    faulty.violations[0].currency.clear();
    faulty.violations.push(ViolationDraft {
        code: "late-first-response".into(),
        amount_cents: -1,
        currency: "yuan".into(),
        ..ViolationDraft::default()
    });
    let mut found = paths(faulty);
    found.sort();
    let mut expected = [
        "clocks[0].name",
        "clocks[0].breach_violation",
        "clocks[0].warn_percent",
        "clocks[0].severities[1]",
        "clocks[0].severities[2]",
        "clocks[0].channels[1]",
        "clocks[0].channels[2]",
        "clocks[1].kind",
        "clocks[1].target.elapsed",
        "clocks[2].target",
        "clocks[3].name",
        "levels[1].level",
        "levels[1].roles[1]",
        "levels[1].roles[2]",
        "severities[1].severity",
        "severities[1].receiver_level",
        "severities[2].severity",
        "verdict_scale.options[0].outcome",
        "verdict_scale.options[2].value",
        "verdict_scale.options[4].value",
        "grade_priorities[1].grade",
        "grade_priorities[1].priority",
        "violations[0].currency",
        "violations[1].code",
        "violations[1].description",
        "violations[1].amount_cents",
        "violations[1].currency",
    ];
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn t13_a_scale_both_closes_and_reopens() {
    let mut closes = draft();
    let mut reopens = draft();
    closes.verdict_options.iter_mut().for_each(|o| o.outcome = Some(VerdictOutcome::Close));
    reopens.verdict_options.iter_mut().for_each(|o| o.outcome = Some(VerdictOutcome::Reopen));
    assert_eq!(paths(closes), ["verdict_scale.options"]);
    assert_eq!(paths(reopens), ["verdict_scale.options"]);
}

#[test]
fn t05_a_promise_that_the_calendar_cannot_keep_is_refused() {
    let rare = |week: Vec<DayHours>, exceptions| {
        Calendar::new(&CalendarDraft {
            time_zone: "Asia/Shanghai".into(),
            week,
            exceptions,
            working_day: Duration::from_secs(8 * 3_600),
        })
        .expect("sound as such")
    };
    // Open one minute a week: 366 working days would take thousands of years.
    let minute = DayHours { day_of_week: 1, intervals: vec![Hours::new("09:00", "09:01")] };
    let mut slow = draft();
    slow.calendar = Some(rare(vec![minute], Vec::new()));
    slow.clocks[3].target = Some(Target::WorkingDays(366));
    assert_eq!(paths(slow), ["clocks[3].target"]);
    // Open on one date and never again.
    let once = Exception {
        date: "2026-01-01".into(),
        label: Label::new("Opening", "开业"),
        hours: ExceptionHours::Open(vec![Hours::new("09:00", "10:00")]),
    };
    let mut ends = draft();
    ends.calendar = Some(rare(Vec::new(), vec![once]));
    assert_eq!(paths(ends), ["calendar.weekly_hours"]);
}

#[test]
fn t05_lists_have_limits() {
    let mut long = draft();
    long.clocks =
        (0..51).map(|n| clock(&format!("clock-{n}"), ClockKind::CallBack, elapsed(1))).collect();
    assert_eq!(paths(long), ["clocks"]);
}

#[test]
fn codes_read_back_as_what_they_were() {
    for kind in ClockKind::ALL {
        assert_eq!(kind.code().parse::<ClockKind>().as_ref(), Ok(kind));
    }
    for name in StateName::ALL {
        assert_eq!(name.to_string().parse::<StateName>().as_ref(), Ok(name));
    }
    let unknown = "postcard".parse::<Channel>().expect_err("unknown");
    assert_eq!(unknown.to_string(), "\"postcard\" is no Channel");
}
