//! T-17: the list of what is unfinished before the end of a shift, and the handover that both shifts sign.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

use crate::pack::{policy, text};
use crate::work_order::{order, wang};
use crate::world::{Desk, World, at, metadata, reason, violations};

type Answer = Result<pb::Shift, Status>;

/// A list ten minutes before the end, and a violation for one that does not come.
pub async fn strict() -> World {
    let world = World::new().await;
    let mut strict = policy();
    strict.violations.push(pb::ViolationRule {
        code: "no-shift-list".into(),
        description: Some(text("No list of unfinished orders", "未按时提交未完成清单")),
        amount_cents: 3_000,
        currency: "CNY".into(),
        ..Default::default()
    });
    strict.learning = Some(pb::LearningRules {
        shifts: Some(pb::ShiftRules {
            list_before_end: Some(prost_types::Duration { seconds: 600, nanos: 0 }),
            missed_list_violation: "no-shift-list".into(),
            ..Default::default()
        }),
        ..Default::default()
    });
    world.admin().apply("group", strict).await.unwrap();
    world
}

/// At group/north from nine to five in Shanghai.
pub fn day(members: &[&str]) -> pb::Shift {
    pb::Shift {
        dispatch_centre: "group/north".into(),
        start_time: at("2026-03-02T01:00:00Z"),
        end_time: at("2026-03-02T09:00:00Z"),
        members: members.iter().map(ToString::to_string).collect(),
        leader: members[0].into(),
        ..Default::default()
    }
}

/// The one after it.
pub fn night(members: &[&str]) -> pb::Shift {
    let (start_time, end_time) = (at("2026-03-02T09:00:00Z"), at("2026-03-02T17:00:00Z"));
    pb::Shift { start_time, end_time, ..day(members) }
}

impl Desk {
    pub async fn plan_shift(&mut self, shift: pb::Shift) -> Answer {
        let request = pb::PlanShiftRequest { shift: Some(shift), ..Default::default() };
        self.shifts.plan_shift(request).await.map(Response::into_inner)
    }

    pub async fn shift(&mut self, name: &str) -> pb::Shift {
        let request = pb::GetShiftRequest { name: name.into() };
        self.shifts.get_shift(request).await.unwrap().into_inner()
    }

    async fn shift_list(&mut self, name: &str) -> (Vec<pb::UnfinishedWorkOrder>, bool) {
        let request = pb::GetShiftListRequest { name: name.into(), ..Default::default() };
        let list = self.shifts.get_shift_list(request).await.unwrap().into_inner();
        (list.work_orders, list.frozen)
    }

    pub async fn why(
        &mut self,
        name: &str,
        work_order: &str,
        reason: &str,
    ) -> Result<pb::UnfinishedWorkOrder, Status> {
        let request = pb::SetUnfinishedReasonRequest {
            name: name.into(),
            work_order: work_order.into(),
            reason: reason.into(),
            ..Default::default()
        };
        self.shifts.set_unfinished_reason(request).await.map(Response::into_inner)
    }

    pub async fn submit_list(&mut self, name: &str) -> Answer {
        let request = pb::SubmitShiftListRequest { name: name.into(), ..Default::default() };
        self.shifts.submit_shift_list(request).await.map(Response::into_inner)
    }

    pub async fn sign_shift(&mut self, name: &str, incoming: &str) -> Answer {
        let request = pb::SignShiftHandoverRequest {
            name: name.into(),
            incoming_shift: incoming.into(),
            ..Default::default()
        };
        self.shifts.sign_shift_handover(request).await.map(Response::into_inner)
    }
}

/// Of what something is missing.
fn lacking(error: &Status) -> Vec<String> {
    assert_eq!(reason(error), "ILLEGAL_STATE", "{error:?}");
    let details = error.get_details_precondition_failure().unwrap();
    details.violations.into_iter().map(|violation| violation.subject).collect()
}

#[tokio::test]
async fn t17_the_list_has_reasons_and_both_shifts_sign_what_was_unfinished() {
    let world = strict().await;
    let mut li = world.desk("li", "group/north", role::CLERK);
    let mut chen = world.desk("chen", "group/north", role::CLERK);
    let outgoing = world.manager().plan_shift(day(&["li", "sun"])).await.unwrap();
    assert_eq!(outgoing.list_due_time, at("2026-03-02T08:50:00Z"));
    let incoming = world.manager().plan_shift(night(&["chen", "li"])).await.unwrap().name;
    let (outgoing, outgoing_etag) = (outgoing.name, outgoing.etag);
    let mut orders = Vec::new();
    for task in ["换密封圈", "查漏水", "装表"] {
        orders.push(world.clerk().issue(order("group/north", task)).await);
    }
    // Of another centre: not on this list.
    let elsewhere = world.clerk().issue(order("group/south", "查")).await.name;
    let error = li.submit_list(&outgoing).await.unwrap_err();
    let numbers: Vec<_> = orders.iter().map(|order| order.number.clone()).collect();
    assert_eq!(lacking(&error), numbers);
    for order in &orders {
        li.why(&outgoing, &order.name, "等配件").await.unwrap();
    }
    let stale = pb::SetUnfinishedReasonRequest {
        name: outgoing.clone(),
        work_order: orders[0].name.clone(),
        reason: "我也说".into(),
        etag: outgoing_etag,
        ..Default::default()
    };
    let error = li.shifts.set_unfinished_reason(stale).await.unwrap_err();
    assert_eq!(reason(&error), "ETAG_STALE", "what a colleague said meanwhile is not overwritten");
    let told = li.why(&outgoing, &orders[0].name, "客户不在家").await.unwrap();
    assert_eq!((&*told.reason, &*told.reason_author), ("客户不在家", "li"));
    let error = li.why(&outgoing, &elsewhere, "等").await.unwrap_err();
    assert_eq!(violations(&error), ["work_order"]);
    let error = chen.why(&outgoing, &orders[0].name, "等").await.unwrap_err();
    assert_eq!((error.code(), &*metadata(&error, "duty")), (Code::PermissionDenied, "MEMBER"));
    let error = li.sign_shift(&outgoing, "").await.unwrap_err();
    assert_eq!(reason(&error), "ILLEGAL_STATE", "no signature without a list");
    li.submit_list(&outgoing).await.unwrap();
    // Between the list and the signature one order is done and another comes.
    let mut wang = wang(&world);
    wang.accept(&orders[1].name).await.unwrap();
    wang.complete(&orders[1].name).await.unwrap();
    let fresh = world.clerk().issue(order("group/north", "换阀门")).await;
    let error = li.sign_shift(&outgoing, "").await.unwrap_err();
    assert_eq!(lacking(&error), [&*fresh.number]);
    assert!(!li.shift_list(&outgoing).await.1, "a refused signature freezes nothing");
    li.why(&outgoing, &fresh.name, "刚派发").await.unwrap();
    let error = chen.sign_shift(&outgoing, &incoming).await.unwrap_err();
    assert_eq!(reason(&error), "ILLEGAL_STATE", "the outgoing shift signs first");
    let signed = li.sign_shift(&outgoing, "").await.unwrap();
    assert_eq!(signed.state(), pb::ShiftState::SignedOut);
    assert_eq!(signed.handover.unwrap().unfinished_count, 3);
    // What happens later changes nothing about what was signed.
    wang.accept(&orders[2].name).await.unwrap();
    wang.complete(&orders[2].name).await.unwrap();
    let (list, frozen) = chen.shift_list(&outgoing).await;
    let said: Vec<_> = list.iter().map(|line| (&*line.number, &*line.reason)).collect();
    let expected =
        [(&*numbers[0], "客户不在家"), (&*numbers[2], "等配件"), (&*fresh.number, "刚派发")];
    assert_eq!((said.as_slice(), frozen), (expected.as_slice(), true));
    assert_eq!(list[1].state(), pb::WorkOrderState::Issued);
    assert_eq!(reason(&li.why(&outgoing, &fresh.name, "改").await.unwrap_err()), "ILLEGAL_STATE");
    // Li is on both shifts, and still one person does not sign for both.
    let error = li.sign_shift(&outgoing, &incoming).await.unwrap_err();
    assert_eq!(metadata(&error, "duty"), "SOMEBODY_ELSE");
    let mut stranger = world.desk("stranger", "group/north", role::CLERK);
    let error = stranger.sign_shift(&outgoing, &incoming).await.unwrap_err();
    assert_eq!(metadata(&error, "duty"), "INCOMING_MEMBER");
    let error = chen.sign_shift(&outgoing, &outgoing).await.unwrap_err();
    assert_eq!(violations(&error), ["incoming_shift"]);
    let done = chen.sign_shift(&outgoing, &incoming).await.unwrap();
    let handover = done.handover.clone().unwrap();
    assert_eq!(done.state(), pb::ShiftState::HandedOver);
    assert_eq!((&*handover.outgoing_signer, &*handover.incoming_signer), ("li", "chen"));
    assert_eq!(handover.incoming_shift, incoming);
    let told = "SELECT count(*) FROM journal WHERE event_type = 'kefu.ticket.v1.ShiftHandedOver'";
    assert_eq!(world.count(told).await, 1);
    world.pass_hours(24).await;
    assert_eq!(chen.shift(&outgoing).await.list_missed_time, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t17_a_list_that_does_not_come_is_recorded_once_with_its_violation() {
    let mut world = strict().await;
    world.start_replica().await;
    let mut names = Vec::new();
    for index in 0..6 {
        let leader = format!("leader-{index}");
        names.push(world.manager().plan_shift(day(&[&leader])).await.unwrap().name);
    }
    let mut leader = world.desk("leader-0", "group/north", role::CLERK);
    world.set_time("2026-03-02T08:49:59Z").await;
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 0);
    leader.submit_list(&names[0]).await.unwrap();
    world.set_time("2026-03-02T08:50:00Z").await;
    world.pass_hours(1).await;
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 5);
    let told = "SELECT count(*) FROM journal WHERE action = 'MissShiftList'
        AND event_type = 'kefu.ticket.v1.ShiftListMissed' AND actor = 'system/timers'";
    assert_eq!(world.count(told).await, 5);
    let found = world.manager().violations("group").await;
    let of_one = found.iter().find(|violation| violation.staff == "leader-1").unwrap();
    assert_eq!((&*of_one.code, of_one.amount_cents), ("no-shift-list", 3_000));
    assert_eq!((&of_one.shift, &of_one.occur_time), (&names[1], &at("2026-03-02T08:50:00Z")));
    // It comes late, is taken, and the miss stays on record.
    let mut late = world.desk("leader-1", "group/north", role::CLERK);
    let listed = late.submit_list(&names[1]).await.unwrap();
    assert!(listed.list_missed_time.is_some());
    assert_eq!(listed.state(), pb::ShiftState::Listed);
}

#[tokio::test]
async fn t17_a_shift_over_the_night_when_clocks_go_back_is_as_long_as_it_is() {
    let world = strict().await;
    // 22:00 to 06:00 in Berlin, nine hours: the clocks go back at three.
    let shift = pb::Shift {
        start_time: at("2026-10-24T20:00:00Z"),
        end_time: at("2026-10-25T05:00:00Z"),
        ..day(&["li"])
    };
    let planned = world.manager().plan_shift(shift).await.unwrap();
    assert_eq!(planned.list_due_time, at("2026-10-25T04:50:00Z"));
    world.set_time("2026-10-25T04:49:00Z").await;
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 0);
    world.set_time("2026-10-25T04:50:00Z").await;
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 1);
}

#[tokio::test]
async fn t17_what_cannot_be_planned_is_named_all_at_once_and_lists_are_bounded() {
    let world = strict().await;
    let error = world.manager().plan_shift(Default::default()).await.unwrap_err();
    let expected = ["dispatch_centre", "start_time", "end_time", "members", "leader"];
    assert_eq!(violations(&error), expected.map(|field| format!("shift.{field}")));
    let wrong =
        pb::Shift { end_time: at("2026-03-03T01:00:01Z"), leader: "nobody".into(), ..day(&["li"]) };
    let error = world.manager().plan_shift(wrong).await.unwrap_err();
    assert_eq!(violations(&error), ["shift.end_time", "shift.leader"]);
    let twice = world.manager().plan_shift(day(&["li", "li"])).await.unwrap_err();
    assert_eq!(violations(&twice), ["shift.members[1]"]);
    let error = world.clerk().plan_shift(day(&["li"])).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    let early = world.manager().plan_shift(night(&["li"])).await.unwrap().name;
    let mut li = world.desk("li", "group/north", role::CLERK);
    let error = li.submit_list(&early).await.unwrap_err();
    assert_eq!(reason(&error), "ILLEGAL_STATE", "it has not begun");
    let late = world.manager().plan_shift(day(&["li"])).await.unwrap().name;
    let mut request = pb::ListShiftsRequest {
        dispatch_centre: "group".into(),
        page_size: 1,
        ..Default::default()
    };
    let page = world.manager().shifts.list_shifts(request.clone()).await.unwrap().into_inner();
    assert_eq!(page.shifts[0].name, early, "the one that begins last comes first");
    request.page_token = page.next_page_token;
    let page = world.manager().shifts.list_shifts(request).await.unwrap().into_inner();
    assert_eq!((&*page.shifts[0].name, &*page.next_page_token), (&*late, ""));
    let mut south = world.desk("li", "group/south", role::CLERK);
    let error = south.submit_list(&late).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
}
