//! T-19, X-05, X-09: what stands on record against somebody is in both languages, and its times are those of the place.

use super::*;

/// Every rule that the system sees a violation of.
fn strict() -> Policy {
    let mut draft = draft();
    let code = || "late-first-response".to_owned();
    draft.handling.missed_answer_violation = code();
    draft.learning.late_work_order = code();
    draft.learning.refused_order = Some((elapsed(1), code()));
    draft.learning.required_fields = vec![RequiredFieldsDraft {
        moment: Some(RequiredMoment::Registered),
        fields: vec![Some(RequiredField::Category)],
        kinds: Vec::new(),
        within: elapsed(2),
        violation: code(),
    }];
    draft.learning.shifts = Some(ShiftRulesDraft {
        list_before_end: Some(Duration::from_secs(600)),
        missed_list_violation: code(),
        ..ShiftRulesDraft::default()
    });
    Policy::try_new(draft).expect("a sound policy")
}

/// In both languages, at the wall clock of the place with its offset, and never at that of another place.
fn is_told_locally(evidence: &str, number: &str, time: &str) {
    let (english, chinese) = evidence.split_once(" / ").expect("both languages");
    for told in [english, chinese] {
        assert!(told.contains(number), "{number} in {told}");
        assert!(told.contains(&format!("{time} +08:00")), "{time} in {told}");
        assert!(!told.contains('Z'), "of another place: {told}");
    }
    assert!(chinese.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)), "{chinese}");
}

fn proposed(changes: &[Change]) -> Vec<String> {
    changes.iter().filter_map(|change| Some(change.violation()?.evidence.clone())).collect()
}

#[test]
fn t19_x05_evidence_about_a_ticket_is_told_at_its_place() {
    let policy = strict();
    let mut desk = Desk::with(policy.clone(), Severity::Ordinary);
    desk.ticket.look_for_fields(&policy);
    let lacking = proposed(&desk.fires(hours(2)));
    is_told_locally(&lacking[0], "T-2019-riverside-000001", "2019-09-25 12:00");
    desk.does(HANDLER, hours(3), handling::supervise(hours(15)));
    let missed = proposed(&desk.fires(hours(15)));
    is_told_locally(&missed[0], "1", "2019-09-26 01:00");
    let late = proposed(&desk.fires(hours(24)));
    is_told_locally(&late[0], "first-response", "2019-09-26 10:00");
    assert!(late[0].contains("Asia/Shanghai"));
}

#[test]
fn t19_x05_evidence_about_an_order_a_shift_and_a_stage_is_told_at_its_place() {
    let policy = strict();
    let issued = expecting_acceptance(work_order::issued(3), &policy);
    let fired = |order: &WorkOrder, now| {
        let fired = decide_order(order, &policy, OrderCommand::FireTimer, &Actor::TIMERS, now);
        let fired = fired.expect("never refused");
        let told = fired.iter().filter_map(|change| Some(change.violation()?.evidence.clone()));
        (told.collect::<Vec<_>>(), with_changes(order, &fired))
    };
    let (refused, issued) = fired(&issued, hours(1));
    is_told_locally(&refused[0], "W-2019-north-000001", "2019-09-25 11:00");
    let (late, _) = fired(&issued, hours(3));
    is_told_locally(&late[0], "W-2019-north-000001", "2019-09-25 13:00");
    let shift = plan_shift(learning::shift(hours(0), hours(8)), &policy, hours(0)).expect("sound");
    let (_, missed) = miss_list(&shift, &policy, hours(9), true).expect("missed");
    is_told_locally(&missed.expect("proposed").evidence, "group/north", "2019-09-25 17:50");
    let titles = (&Text::new("Connection", "接电"), &Text::new("", "勘察"));
    let stage = late_stage(&policy, "T-2019-riverside-000001", titles, hours(15));
    is_told_locally(&stage, "T-2019-riverside-000001", "2019-09-26 01:00");
    assert!(
        stage.contains("process Connection: stage 勘察") && stage.contains("流程“接电”"),
        "{stage}"
    );
}

/// The hour that comes twice when clocks are put back.
#[test]
fn x05_a_stamp_means_one_moment_also_where_clocks_are_put_back() {
    let week = [DayHours { day_of_week: 1, intervals: vec![Hours::new("09:00", "17:00")] }];
    let berlin = Calendar::new(&CalendarDraft {
        time_zone: "Europe/Berlin".into(),
        week: week.into(),
        exceptions: Vec::new(),
        working_day: Duration::from_secs(8 * 3_600),
    })
    .expect("a sound calendar");
    let told = |time| explain::stamp(&berlin, at(time));
    assert_eq!(told("2026-10-25T00:30:00Z"), "2026-10-25 02:30 +02:00");
    assert_eq!(told("2026-10-25T01:30:00Z"), "2026-10-25 02:30 +01:00");
    assert_eq!(told("2026-10-25T01:30:07Z"), "2026-10-25 02:30:07 +01:00");
}
