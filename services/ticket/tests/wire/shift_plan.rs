//! T-17: shifts are planned from patterns and rosters without anybody opening them, and the handover on paper.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::{Code, Response, Status};

use crate::pack::{policy, text};
use crate::routing::team;
use crate::shift::{day, night, strict};
use crate::work_order::order;
use crate::world::{Desk, World, at, reason, violations};

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

fn pattern(code: &str, start: &str, end: &str) -> pb::ShiftPattern {
    pb::ShiftPattern {
        code: code.into(),
        title: Some(text(code, "班")),
        team: "desk".into(),
        start_time: start.into(),
        end_time: end.into(),
        ..Default::default()
    }
}

/// Day and night, planned two hours ahead, a list ten minutes before the end.
fn shifts(patterns: Vec<pb::ShiftPattern>) -> pb::TicketPolicy {
    let mut shifts = policy();
    shifts.violations.push(pb::ViolationRule {
        code: "no-shift-list".into(),
        description: Some(text("No list of unfinished orders", "未按时提交未完成清单")),
        amount_cents: 3_000,
        currency: "CNY".into(),
        ..Default::default()
    });
    shifts.learning = Some(pb::LearningRules {
        shifts: Some(pb::ShiftRules {
            list_before_end: seconds(600),
            missed_list_violation: "no-shift-list".into(),
            patterns,
            plan_before_start: seconds(2 * 3_600),
        }),
        ..Default::default()
    });
    shifts
}

fn turn(staff: &str, from: &str, to: &str) -> pb::RosterShift {
    pb::RosterShift { staff: staff.into(), start_time: at(from), end_time: at(to) }
}

/// From the second to the fifth of March.
async fn roster(desk: &mut Desk, team: &str, shifts: Vec<pb::RosterShift>) {
    let request = pb::UpdateRosterRequest {
        team: team.into(),
        start_time: at("2026-03-01T16:00:00Z"),
        end_time: at("2026-03-05T16:00:00Z"),
        shifts,
        ..Default::default()
    };
    desk.duty.update_roster(request).await.unwrap();
}

async fn rostered(desk: &mut Desk, org_unit: &str, members: &[&str]) -> pb::Team {
    let team = team(desk, org_unit, "desk", members).await;
    let request = pb::UpdateTeamRequest {
        team: Some(pb::Team { rostered: true, ..team }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["rostered".into()] }),
        ..Default::default()
    };
    desk.teams.update_team(request).await.unwrap().into_inner()
}

impl Desk {
    async fn shift_names(&mut self) -> Vec<pb::Shift> {
        let request =
            pb::ListShiftsRequest { dispatch_centre: "group".into(), ..Default::default() };
        let mut shifts = self.shifts.list_shifts(request).await.unwrap().into_inner().shifts;
        shifts.reverse();
        shifts
    }

    async fn crew(
        &mut self,
        shift: &pb::Shift,
        members: &[&str],
        leader: &str,
    ) -> Result<pb::Shift, Status> {
        let shift = pb::Shift {
            name: shift.name.clone(),
            members: members.iter().map(ToString::to_string).collect(),
            leader: leader.into(),
            etag: shift.etag.clone(),
            ..Default::default()
        };
        let request = pb::UpdateShiftRequest { shift: Some(shift), ..Default::default() };
        self.shifts.update_shift(request).await.map(Response::into_inner)
    }

    async fn handover_page(&mut self, name: &str, language: &str) -> String {
        let request =
            pb::RenderShiftHandoverRequest { name: name.into(), language_code: language.into() };
        self.shifts.render_shift_handover(request).await.unwrap().into_inner().html
    }
}

#[tokio::test]
async fn t17_a_list_is_due_without_anybody_opening_the_shift_once_with_two_replicas() {
    let mut world = World::new().await;
    world.start_replica().await;
    let mut manager = world.manager();
    let desk = rostered(&mut manager, "group/north", &["li", "sun", "chen", "zhou"]).await;
    // In Shanghai: li from nine to five, sun from noon, chen the night, zhou an hour of each.
    let turns = vec![
        turn("li", "2026-03-03T01:00:00Z", "2026-03-03T09:00:00Z"),
        turn("sun", "2026-03-03T04:00:00Z", "2026-03-03T09:00:00Z"),
        turn("zhou", "2026-03-03T08:30:00Z", "2026-03-03T09:30:00Z"),
        turn("chen", "2026-03-03T09:00:00Z", "2026-03-03T17:00:00Z"),
    ];
    roster(&mut manager, &desk.name, turns).await;
    let patterns = vec![pattern("day", "09:00", "17:00"), pattern("night", "17:00", "01:00")];
    world.admin().apply("group", shifts(patterns)).await.unwrap();
    world.set_time("2026-03-02T22:59:59Z").await;
    assert!(manager.shift_names().await.is_empty(), "of the second nobody is on the roster");
    world.set_time("2026-03-02T23:00:00Z").await;
    let planned = manager.shift_names().await;
    assert_eq!(planned.len(), 1, "once, two hours ahead");
    let first = &planned[0];
    assert_eq!((&*first.dispatch_centre, &*first.pattern), ("group/north", "day"));
    assert_eq!((&first.team, &*first.leader), (&desk.name, "li"));
    assert_eq!(first.members, ["li", "sun"], "an hour is less than half");
    assert_eq!(first.start_time, at("2026-03-03T01:00:00Z"));
    assert_eq!(first.list_due_time, at("2026-03-03T08:50:00Z"));
    // A retry of the look plans nothing twice, and the next shift follows.
    world.settle().await;
    world.set_time("2026-03-03T08:49:59Z").await;
    let planned = manager.shift_names().await;
    assert_eq!(planned.len(), 2);
    assert_eq!((&*planned[1].leader, &*planned[1].pattern), ("chen", "night"));
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 0);
    world.set_time("2026-03-03T08:50:00Z").await;
    let found = manager.violations("group").await;
    assert_eq!(found.len(), 1, "the list was due");
    assert_eq!((&*found[0].code, &*found[0].staff), ("no-shift-list", "li"));
    // The incoming shift is there to sign.
    let (out, into) = (&planned[0].name, &planned[1].name);
    let mut li = world.desk("li", "group/north", role::CLERK);
    li.submit_list(out).await.unwrap();
    li.sign_shift(out, "").await.unwrap();
    let mut chen = world.desk("chen", "group/north", role::CLERK);
    let signed = chen.sign_shift(out, into).await.unwrap();
    assert_eq!(signed.state(), pb::ShiftState::HandedOver);
    let journal =
        "SELECT count(*) FROM journal WHERE aggregate_type = 'shift' AND action = 'PlanShift'
        AND actor = 'system/shift-planner'";
    assert_eq!(world.count(journal).await, 2);
}

#[tokio::test]
async fn t17_a_shift_follows_the_roster_until_it_begins_unless_somebody_has_decided() {
    let world = World::new().await;
    let mut manager = world.manager();
    let desk = rostered(&mut manager, "group/north", &["li", "sun", "chen"]).await;
    let on = |staff: &str| vec![turn(staff, "2026-03-03T01:00:00Z", "2026-03-03T09:00:00Z")];
    roster(&mut manager, &desk.name, on("li")).await;
    world.admin().apply("group", shifts(vec![pattern("day", "09:00", "17:00")])).await.unwrap();
    world.set_time("2026-03-02T23:30:00Z").await;
    let names = |shifts: &[pb::Shift]| shifts[0].members.clone();
    assert_eq!(names(&manager.shift_names().await), ["li"]);
    roster(&mut manager, &desk.name, on("sun")).await;
    world.set_time("2026-03-03T00:00:00Z").await;
    let planned = manager.shift_names().await;
    assert_eq!((&*planned[0].leader, names(&planned)), ("sun", vec!["sun".to_owned()]));
    // An absence counts as of the beginning: whoever stands in is on the shift (T-25).
    let absence = pb::Absence {
        staff: "sun".into(),
        end_time: at("2026-03-04T00:00:00Z"),
        substitute: "chen".into(),
        ..Default::default()
    };
    let request = pb::CreateAbsenceRequest { absence: Some(absence), ..Default::default() };
    manager.duty.create_absence(request).await.unwrap();
    world.set_time("2026-03-03T01:00:00Z").await;
    assert_eq!(names(&manager.shift_names().await), ["chen"]);
    // Begun, it follows no more; people still can say who is there.
    roster(&mut manager, &desk.name, on("li")).await;
    world.set_time("2026-03-03T02:00:00Z").await;
    let begun = manager.shift_names().await.remove(0);
    assert_eq!(begun.members, ["chen"]);
    let error = manager.crew(&begun, &["li", "li"], "nobody").await.unwrap_err();
    assert_eq!(violations(&error), ["shift.members[1]"]);
    let error = manager.crew(&begun, &["li"], "nobody").await.unwrap_err();
    assert_eq!(violations(&error), ["shift.leader"]);
    let mut handler = world.desk("chen", "group/north", role::HANDLER);
    let error = handler.crew(&begun, &["li"], "li").await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    let changed = manager.crew(&begun, &["li", "sun"], "li").await.unwrap();
    assert_eq!((&*changed.leader, &*changed.crewed_by), ("li", "manager"));
    let error = manager.crew(&begun, &["sun"], "sun").await.unwrap_err();
    assert_eq!(error.code(), Code::Aborted, "a stale etag");
    // Whoever leads now answers for the list, and whoever submitted it stays.
    world.set_time("2026-03-03T08:50:00Z").await;
    assert_eq!(manager.violations("group").await[0].staff, "li");
    let mut li = world.desk("li", "group/north", role::CLERK);
    let listed = li.submit_list(&changed.name).await.unwrap();
    let error = manager.crew(&listed, &["sun"], "sun").await.unwrap_err();
    assert_eq!(violations(&error), ["shift.members"]);
    let signed = li.sign_shift(&changed.name, "").await.unwrap();
    let error = manager.crew(&signed, &["li", "sun"], "sun").await.unwrap_err();
    assert_eq!(reason(&error), "ILLEGAL_STATE");
    // By hand before it begins: the roster does not take that back.
    let tomorrow = vec![turn("li", "2026-03-04T01:00:00Z", "2026-03-04T09:00:00Z")];
    roster(&mut manager, &desk.name, tomorrow).await;
    world.set_time("2026-03-03T23:30:00Z").await;
    let next = manager.shift_names().await.remove(1);
    manager.crew(&next, &["sun"], "sun").await.unwrap();
    world.set_time("2026-03-04T01:00:00Z").await;
    assert_eq!(manager.shift(&next.name).await.members, ["sun"]);
}

#[tokio::test]
async fn t17_who_could_not_hand_in_a_list_is_not_blamed_and_a_shift_by_hand_is_not_doubled() {
    let world = World::new().await;
    let mut manager = world.manager();
    // Not rostered: all members, by name.
    team(&mut manager, "group/north", "desk", &["sun", "li"]).await;
    team(&mut manager, "group/south", "other", &["nan"]).await;
    // Somebody opened today's by hand.
    manager.plan_shift(day(&["li"])).await.unwrap();
    world.admin().apply("group", shifts(vec![pattern("day", "09:00", "17:00")])).await.unwrap();
    world.settle().await;
    assert_eq!(manager.shift_names().await.len(), 1);
    // Nothing was up from the first day to five minutes before the end of the third.
    world.set_time("2026-03-04T08:55:00Z").await;
    let planned = manager.shift_names().await;
    assert_eq!(planned.len(), 2, "what is over nobody can hand over");
    let late = &planned[1];
    assert_eq!((&*late.leader, &late.members[..]), ("li", &["li".into(), "sun".into()][..]));
    assert_eq!(late.list_due_time, at("2026-03-04T09:00:00Z"), "as long as there is");
    let blamed = "SELECT count(*) FROM violation WHERE proposed_at > '2026-03-03'";
    assert_eq!(world.count(blamed).await, 0);
    world.set_time("2026-03-04T09:00:00Z").await;
    assert_eq!(world.count(blamed).await, 1);
}

#[tokio::test]
async fn t17_patterns_that_cannot_be_are_named_with_their_paths_all_at_once() {
    let world = World::new().await;
    let mut wrong = shifts(vec![
        pb::ShiftPattern { title: None, team: "Desk!".into(), ..pattern("Day", "9:00", "25:00") },
        pattern("long", "08:00", "07:00"),
        pb::ShiftPattern { days_of_week: vec![1, 8, 1], ..pattern("long", "08:00", "08:10") },
    ]);
    let rules = wrong.learning.as_mut().unwrap();
    rules.shifts.as_mut().unwrap().plan_before_start = seconds(8 * 24 * 3_600);
    rules.refused_order = Some(pb::RefusedOrderRule::default());
    rules.required_fields = vec![pb::RequiredFieldsRule {
        moment: pb::RequiredFieldsMoment::Resolved.into(),
        fields: vec![99, 5, 5],
        within: crate::pack::hours(1),
        ticket_kinds: vec![77],
        violation: "nothing".into(),
    }];
    let error = world.admin().apply("group", wrong).await.unwrap_err();
    let mut found = violations(&error);
    found.sort();
    let shifts = "policy.learning.shifts";
    let mut expected = [
        "plan_before_start",
        "patterns[0].code",
        "patterns[0].title",
        "patterns[0].team",
        "patterns[0].start_time",
        "patterns[0].end_time",
        "patterns[1].end_time",
        "patterns[2].code",
        "patterns[2].days_of_week[1]",
        "patterns[2].days_of_week[2]",
        "patterns[2].end_time",
    ]
    .map(|path| format!("{shifts}.{path}"))
    .to_vec();
    for path in [
        "refused_order.accept_within",
        "refused_order.violation",
        "required_fields[0].fields[0]",
        "required_fields[0].fields[2]",
        "required_fields[0].ticket_kinds[0]",
        "required_fields[0].within",
        "required_fields[0].violation",
    ] {
        expected.push(format!("policy.learning.{path}"));
    }
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn t17_the_handover_prints_in_both_languages_with_both_signatures() {
    let world = strict().await;
    let mut li = world.desk("li", "group/north", role::CLERK);
    let mut chen = world.desk("chen", "group/north", role::CLERK);
    let out = world.manager().plan_shift(day(&["li"])).await.unwrap().name;
    let into = world.manager().plan_shift(night(&["chen"])).await.unwrap().name;
    let task = "换密封圈</td><script>alert(1)</script>";
    let issued = world.clerk().issue(order("group/north", task)).await;
    let draft = li.handover_page(&out, "en").await;
    for words in ["DRAFT", "Outgoing shift", "class=\"line\"", &*issued.number, "not accepted"] {
        assert!(draft.contains(words), "{words}");
    }
    li.why(&out, &issued.name, "等配件 & \"备件\"").await.unwrap();
    li.submit_list(&out).await.unwrap();
    li.sign_shift(&out, "").await.unwrap();
    chen.sign_shift(&out, &into).await.unwrap();
    // What happens later is not on the record.
    world.clerk().issue(order("group/north", "后来的")).await;
    let pages = [li.handover_page(&out, "en-GB").await, chen.handover_page(&out, "zh").await];
    for words in ["<html lang=\"en\">", "Shift handover record", "Signed by: li", "Signed by: chen"]
    {
        assert!(pages[0].contains(words), "{words}");
    }
    for words in ["<html lang=\"zh-CN\">", "交班方", "接班方", "签字人: chen", "单元 (group/north)"]
    {
        assert!(pages[1].contains(words), "{words}");
    }
    for page in &pages {
        assert!(!page.contains("<script"), "hostile text is text");
        assert!(!page.contains("DRAFT") && !page.contains("草稿") && !page.contains("后来的"));
        assert!(page.contains("2026-03-02 09:00 – 2026-03-02 17:00"), "in Shanghai");
        assert!(page.contains("等配件 &amp; &quot;备件&quot;\nli 2026-03-02 10:00"));
        assert!(page.contains("@page{size:A4") && !page.contains("class=\"line\""));
    }
    let mut south = world.desk("nan", "group/south", role::MANAGER);
    let request = pb::RenderShiftHandoverRequest { name: out, ..Default::default() };
    let error = south.shifts.render_shift_handover(request).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    let request =
        pb::RenderShiftHandoverRequest { name: "shifts/x".into(), language_code: "tlh".into() };
    let error = li.shifts.render_shift_handover(request).await.unwrap_err();
    assert_eq!(violations(&error), ["name", "language_code"]);
}
