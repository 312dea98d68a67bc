//! T-05, T-06 and T-11 over the wire: promises under a changed regulation, on a changed calendar, in another org unit.

use kefu_api::policy::v1 as policy_pb;
use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use prost::Name as _;
use tonic::{Code, Status};

use crate::pack::{calendar, hours, policy, text, working_days};
use crate::world::{Desk, World, at, clock, complaint, reason, request_id, violations};

fn ask(name: &str) -> pb::RecomputeClocksRequest {
    pb::RecomputeClocksRequest {
        name: name.into(),
        reason: "制度修订：缩短时限".into(),
        ..Default::default()
    }
}

/// The usual policy with another target for the first answer and the solution.
pub fn shorter() -> pb::TicketPolicy {
    let mut policy = policy();
    policy.clocks[0].target = hours(4);
    policy.clocks[1].target = working_days(2);
    policy
}

pub fn recomputing(mut policy: pb::TicketPolicy) -> pb::TicketPolicy {
    policy.clock_changes = Some(pb::ClockChangeRules {
        open_tickets: pb::GivenPromises::Recompute.into(),
        ..Default::default()
    });
    policy
}

/// In Berlin, Monday to Friday nine to five and on Saturday half a day.
fn berlin() -> pb::TicketPolicy {
    let mut calendar = policy_pb::BusinessCalendar {
        time_zone: "Europe/Berlin".into(),
        exceptions: Vec::new(),
        ..calendar()
    };
    calendar.weekly_hours.push(policy_pb::WeeklyHours {
        day_of_week: 6,
        intervals: vec![policy_pb::OpenInterval {
            open_time: "09:00".into(),
            close_time: "13:00".into(),
        }],
    });
    pb::TicketPolicy { calendar: Some(calendar), ..policy() }
}

/// The last round of a promise.
pub fn last<'a>(ticket: &'a pb::Ticket, rule: &str) -> &'a pb::Clock {
    ticket.clocks.iter().rfind(|clock| clock.rule == rule).unwrap()
}

impl Desk {
    async fn recompute(
        &mut self,
        request: pb::RecomputeClocksRequest,
    ) -> Result<pb::RecomputeClocksResponse, Status> {
        self.ledger.recompute_clocks(request).await.map(tonic::Response::into_inner)
    }

    async fn rollouts(&mut self) -> Vec<pb::PolicyRollout> {
        let request =
            pb::ListPolicyRolloutsRequest { org_unit: "group".into(), ..Default::default() };
        self.ledger.list_policy_rollouts(request).await.unwrap().into_inner().rollouts
    }

    pub async fn deadlines(&mut self, name: &str) -> Vec<pb::DeadlineExplanation> {
        let request = pb::ExplainDeadlineRequest { name: name.into() };
        self.tickets.explain_deadline(request).await.unwrap().into_inner().explanations
    }
}

fn outcomes(comparisons: &[pb::ClockComparison]) -> Vec<pb::ClockOutcome> {
    comparisons.iter().map(pb::ClockComparison::outcome).collect()
}

#[tokio::test]
async fn t05_t06_a_manager_sees_what_a_new_version_would_do_and_does_it_once() {
    let world = World::new().await;
    let (mut clerk, mut manager) = (world.clerk(), world.manager());
    let ticket = clerk.create(complaint("group/north", "漏水")).await;
    world.pass_hours(1).await;
    let version = world.admin().apply("group", shorter()).await.unwrap();
    assert_eq!(manager.get(&ticket.name).await.clocks, ticket.clocks, "what was given is kept");
    let before = manager.get(&ticket.name).await;
    let preview = pb::RecomputeClocksRequest {
        validate_only: true,
        request_id: request_id(1),
        ..ask(&ticket.name)
    };
    let shown = manager.recompute(preview.clone()).await.unwrap();
    assert_eq!(manager.get(&ticket.name).await, before, "nothing was written");
    assert_eq!(outcomes(&shown.comparisons), [pb::ClockOutcome::Sooner; 2]);
    let why = shown.comparisons[0].why.as_ref().unwrap();
    assert!(why.zh.contains("已用时间与暂停均保留"), "{why:?}");

    let stale = pb::RecomputeClocksRequest { etag: "7".into(), ..ask(&ticket.name) };
    assert!(manager.recompute(stale).await.is_err());
    let request = pb::RecomputeClocksRequest { validate_only: false, etag: before.etag, ..preview };
    let done = manager.recompute(request.clone()).await.unwrap();
    assert_eq!(done.comparisons, shown.comparisons);
    let after = done.ticket.clone().unwrap();
    assert_eq!(after.clocks, shown.ticket.unwrap().clocks);
    assert_eq!(manager.get(&ticket.name).await, after, "as it is stored");
    assert_eq!(
        (&after.promise_version, &after.policy_version),
        (&version.name, &ticket.policy_version)
    );
    // Four hours from ten, and two working days.
    assert_eq!(last(&after, "first-response").due_time, at("2026-03-02T06:00:00Z"));
    assert_eq!(last(&after, "resolution").due_time, at("2026-03-04T02:00:00Z"));
    assert_eq!(last(&after, "resolution").policy_version, version.name);
    let old = clock(&after, "resolution", 1);
    assert_eq!(
        (old.state(), &old.policy_version),
        (pb::ClockState::Cancelled, &ticket.policy_version)
    );
    assert_eq!(old.due_time, clock(&ticket, "resolution", 1).due_time, "evidence");
    assert_eq!(manager.recompute(request).await.unwrap(), done, "a retry gets the same answer");
    let again = manager.recompute(ask(&ticket.name)).await.unwrap();
    assert_eq!(again.ticket.unwrap().etag, after.etag, "once per version");

    assert_eq!(pb::TicketClocksRecomputed::full_name(), "kefu.ticket.v1.TicketClocksRecomputed");
    let events = "SELECT count(*) FROM journal WHERE action = 'RecomputeClocks'
                  AND event_type = 'kefu.ticket.v1.TicketClocksRecomputed' AND actor = 'manager'";
    assert_eq!(world.count(events).await, 1);
    let history = manager.history(&ticket.name).await;
    assert!(history.last().unwrap().after_json.contains("缩短时限"));
    let explained = manager.deadlines(&ticket.name).await;
    let resolution = explained.last().unwrap();
    assert_eq!(resolution.policy_version, version.name);
    assert_eq!(resolution.stretches[0].policy_version, ticket.policy_version);
    // The new deadline rings, once, by the new version.
    world.set_time("2026-03-02T06:00:00Z").await;
    let late = manager.get(&ticket.name).await;
    assert_eq!(last(&late, "first-response").breach_time, at("2026-03-02T06:00:00Z"));
    assert_eq!(manager.violations("group/north").await.len(), 1);
}

#[tokio::test]
async fn t05_x06_x07_only_managers_recompute_and_only_by_what_is_in_force_there() {
    let world = World::new().await;
    let (mut clerk, mut manager) = (world.clerk(), world.manager());
    let ticket = clerk.create(complaint("group/north", "漏水")).await;
    let south = world.admin().apply("group/south", shorter()).await.unwrap();
    let later = pb::ApplyTicketPolicyRequest {
        org_unit: "group/north".into(),
        policy: Some(shorter()),
        effective_time: at("2026-04-01T00:00:00Z"),
        ..Default::default()
    };
    let later = world.admin().policies.apply_ticket_policy(later).await.unwrap().into_inner();
    for (who, place) in
        [(role::CLERK, "group"), (role::HANDLER, "group"), (role::MANAGER, "group/south")]
    {
        let denied = world.desk("x", place, who).recompute(ask(&ticket.name)).await.unwrap_err();
        assert_eq!(denied.code(), Code::PermissionDenied);
    }
    let unknown = "ticketPolicyVersions/00000000-0000-0000-0000-000000000009".to_owned();
    for version in [south.name, later.name, unknown] {
        for validate_only in [true, false] {
            let policy_version = version.clone();
            let request =
                pb::RecomputeClocksRequest { policy_version, validate_only, ..ask(&ticket.name) };
            let wrong = manager.recompute(request).await.unwrap_err();
            assert_eq!(violations(&wrong), ["policy_version"]);
        }
    }
    let hostile = pb::RecomputeClocksRequest {
        name: "tickets/';--".into(),
        policy_version: "x".into(),
        reason: String::new(),
        etag: "\u{0}".into(),
        request_id: "1".into(),
        validate_only: false,
    };
    let mut fields = violations(&manager.recompute(hostile).await.unwrap_err());
    fields.sort();
    assert_eq!(fields, ["etag", "name", "policy_version", "reason", "request_id"]);
    manager.handle(&ticket.name).await;
    world.quality().verdict(&ticket.name, 1).await.unwrap();
    let ended = manager.recompute(ask(&ticket.name)).await.unwrap_err();
    assert_eq!(ended.code(), Code::FailedPrecondition);
    assert_eq!(reason(&ended), "ILLEGAL_STATE");
}

#[tokio::test]
async fn t11_promises_follow_a_ticket_to_berlin_over_the_change_of_daylight_saving() {
    let world = World::new().await;
    let berlin = world.admin().apply("group/south", berlin()).await.unwrap();
    // Friday, ten in the morning in Shanghai.
    world.set_time("2026-03-27T02:00:00Z").await;
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    let mut north = world.desk("bei", "group/north", role::HANDLER);
    let mut south = world.desk("nan", "group/south", role::HANDLER);
    let transfer = pb::TransferTicketRequest {
        name: ticket.name.clone(),
        to_org_unit: "group/south".into(),
        handover_note: "客户在柏林".into(),
        ..Default::default()
    };
    north.handling.transfer_ticket(transfer).await.unwrap();
    // Seven of twenty-four working hours are used up by five o'clock; it is accepted on Saturday at nine in Berlin.
    world.set_time("2026-03-28T08:00:00Z").await;
    let simulate =
        pb::SimulateTransferRequest { name: ticket.name.clone(), org_unit: "group/south".into() };
    let shown = south.ledger.simulate_transfer(simulate.clone()).await.unwrap().into_inner();
    assert_eq!(shown.policy_version, berlin.name);
    let stays =
        pb::SimulateTransferRequest { org_unit: "group/north/riverside".into(), ..simulate };
    let stays = north.ledger.simulate_transfer(stays).await.unwrap().into_inner();
    assert_eq!(stays, pb::SimulateTransferResponse::default(), "the same regulation holds there");
    let accept = pb::AcceptTransferRequest {
        name: ticket.name.clone(),
        message: "您的投诉现由柏林处理".into(),
        request_id: request_id(5),
        ..Default::default()
    };
    let accepted = south.handling.accept_transfer(accept.clone()).await.unwrap().into_inner();
    assert_eq!((&*accepted.org_unit, &accepted.promise_version), ("group/south", &berlin.name));
    assert_eq!(accepted.policy_version, ticket.policy_version, "judged as when it began");
    let shown: Vec<_> = shown.comparisons.into_iter().filter_map(|one| one.after).collect();
    let resolution = last(&accepted, "resolution");
    assert!(shown.contains(resolution), "as it was shown");
    // Seventeen hours are left: four on Saturday, eight on Monday and five on Tuesday, which begin an hour earlier by then.
    assert_eq!(resolution.due_time, at("2026-03-31T12:00:00Z"));
    assert_eq!(resolution.start_time, ticket.create_time);
    let retried = south.handling.accept_transfer(accept).await.unwrap().into_inner();
    assert_eq!(retried, accepted);
    let explained = south.deadlines(&ticket.name).await;
    let told = explained.iter().rfind(|one| one.clock.as_ref() == Some(resolution)).unwrap();
    assert_eq!(
        (&*told.time_zone, &*told.stretches[0].time_zone),
        ("Europe/Berlin", "Asia/Shanghai")
    );
    let counted: i64 = told
        .segments
        .iter()
        .filter(|segment| segment.counted)
        .map(|segment| segment.end_time.unwrap().seconds - segment.start_time.unwrap().seconds)
        .sum();
    assert_eq!(counted, 24 * 3_600);
    let action = "SELECT count(*) FROM journal WHERE action = 'RecomputeClocks' AND actor = 'nan'";
    assert_eq!(world.count(action).await, 1);
    world.set_time("2026-03-31T12:00:00Z").await;
    let late = south.get(&ticket.name).await;
    assert_eq!(last(&late, "resolution").breach_time, at("2026-03-31T12:00:00Z"));
}

#[tokio::test]
async fn t11_a_receiver_whose_policy_keeps_promises_keeps_them_until_they_are_recomputed() {
    let world = World::new().await;
    let mut keeping = berlin();
    keeping.clock_changes = Some(pb::ClockChangeRules {
        transferred_tickets: pb::GivenPromises::Keep.into(),
        ..Default::default()
    });
    world.admin().apply("group/south", keeping).await.unwrap();
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    let transfer = pb::TransferTicketRequest {
        name: ticket.name.clone(),
        to_org_unit: "group/south".into(),
        handover_note: "请接手".into(),
        ..Default::default()
    };
    world
        .desk("bei", "group/north", role::HANDLER)
        .handling
        .transfer_ticket(transfer)
        .await
        .unwrap();
    let accept = pb::AcceptTransferRequest {
        name: ticket.name.clone(),
        message: "现由南区处理".into(),
        ..Default::default()
    };
    let mut south = world.desk("nan", "group/south", role::HANDLER);
    let accepted = south.handling.accept_transfer(accept).await.unwrap().into_inner();
    assert_eq!(
        (&accepted.clocks, &accepted.promise_version),
        (&ticket.clocks, &ticket.policy_version)
    );
    let moved = world.manager().recompute(ask(&ticket.name)).await.unwrap().ticket.unwrap();
    assert_ne!(moved.promise_version, ticket.policy_version);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t05_a_new_version_goes_over_all_open_tickets_once_with_two_replicas() {
    const TICKETS: usize = 70;
    let mut world = World::new().await;
    world.start_replica().await;
    let mut clerk = world.clerk();
    world.admin().apply("group/south", policy()).await.unwrap();
    let mut names = Vec::new();
    for number in 0..TICKETS {
        let unit = if number % 2 == 0 { "group/north" } else { "group/north/riverside" };
        names.push(clerk.create(complaint(unit, "漏水")).await.name);
    }
    let elsewhere = clerk.create(complaint("group/south", "漏水")).await;
    world.manager().handle(&names[0]).await;
    world.quality().verdict(&names[0], 1).await.unwrap();
    let ended = clerk.get(&names[0]).await;
    let mut waits = world.manager();
    let pause = pb::PauseTicketRequest {
        name: names[1].clone(),
        reason: "等待客户".into(),
        ..Default::default()
    };
    waits.tickets.pause_ticket(pause).await.unwrap();
    // Announced at noon for six in the afternoon: by then four hours will be over.
    world.pass_hours(2).await;
    let preview = pb::PreviewPolicyChangeRequest {
        org_unit: "group".into(),
        policy: Some(recomputing(shorter())),
        page_size: 50,
        ..Default::default()
    };
    let mut manager = world.manager();
    let first = manager.ledger.preview_policy_change(preview.clone()).await.unwrap().into_inner();
    let rest = pb::PreviewPolicyChangeRequest {
        page_token: first.next_page_token.clone(),
        ..preview.clone()
    };
    let rest = manager.ledger.preview_policy_change(rest).await.unwrap().into_inner();
    assert_eq!((first.open_tickets + rest.open_tickets, &*rest.next_page_token), (69, ""));
    assert_eq!((first.changed_tickets + rest.changed_tickets, first.overdue_tickets), (69, 0));
    let other = pb::PreviewPolicyChangeRequest {
        page_token: first.next_page_token,
        policy: Some(policy()),
        ..preview
    };
    let wrong = manager.ledger.preview_policy_change(other).await.unwrap_err();
    assert_eq!(violations(&wrong), ["page_token"], "a page of another policy");
    let request = pb::ApplyTicketPolicyRequest {
        org_unit: "group".into(),
        policy: Some(recomputing(shorter())),
        effective_time: at("2026-03-02T10:00:00Z"),
        ..Default::default()
    };
    let version = world.admin().policies.apply_ticket_policy(request).await.unwrap().into_inner();
    let planned = &manager.rollouts().await[0];
    assert_eq!((&planned.policy_version, planned.start_time), (&version.name, None));
    world.set_time("2026-03-02T09:59:59Z").await;
    assert_eq!(manager.get(&names[2]).await.promise_version, ended.policy_version, "not before");

    world.set_time("2026-03-02T10:00:00Z").await;
    let rolled = &manager.rollouts().await[0];
    assert_eq!(
        (rolled.open_tickets, rolled.recomputed_tickets, rolled.overdue_tickets),
        (69, 69, 69)
    );
    assert_eq!((rolled.start_time, rolled.finish_time), (at("2026-03-02T10:00:00Z"), None));
    for name in &names[1..] {
        let moved = manager.get(name).await;
        assert_eq!(moved.promise_version, version.name);
        // Eight hours were over, four are allowed: overdue as of now.
        assert_eq!(last(&moved, "first-response").breach_time, at("2026-03-02T10:00:00Z"));
    }
    let paused = manager.get(&names[1]).await;
    assert_eq!(last(&paused, "resolution").state(), pb::ClockState::Paused);
    assert_eq!(manager.get(&names[0]).await, ended, "what has ended stays");
    assert_eq!(manager.get(&elsewhere.name).await.clocks, elsewhere.clocks, "a policy of its own");
    let count = "SELECT count(*) FROM journal WHERE action = 'RecomputeClocks'";
    assert_eq!(world.count(count).await, 69);
    // Registered while it came into force, and committed after the first sweep.
    sqlx::query(
        "UPDATE ticket SET promise_version_id = NULL
         WHERE id = (SELECT id FROM ticket WHERE state = 'registered' AND org_unit = 'group/north' LIMIT 1)",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    world.set_time("2026-03-02T10:01:00Z").await;
    let rolled = &manager.rollouts().await[0];
    assert_eq!((rolled.recomputed_tickets, rolled.finish_time), (70, at("2026-03-02T10:01:00Z")));
    assert_eq!(world.count(count).await, 70);
    let rang = "SELECT count(*) FROM violation WHERE code = 'late-first-response'";
    assert_eq!(world.count(rang).await, 69, "none twice, none lost");
}

#[tokio::test]
async fn t05_a_holiday_with_its_make_up_day_is_announced_for_open_tickets() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    world.pass_hours(4).await;
    let mut announced = recomputing(policy());
    let exceptions = &mut announced.calendar.as_mut().unwrap().exceptions;
    let open =
        vec![policy_pb::OpenInterval { open_time: "09:00".into(), close_time: "13:00".into() }];
    exceptions.push(policy_pb::CalendarException {
        date: "2026-03-05".into(),
        label: Some(text("Factory holiday", "厂庆放假")),
        intervals: Vec::new(),
    });
    exceptions.push(policy_pb::CalendarException {
        date: "2026-03-07".into(),
        label: Some(text("Make-up half day", "调休半天")),
        intervals: open,
    });
    world.admin().apply("group/north", announced).await.unwrap();
    world.settle().await;
    let moved = world.manager().get(&ticket.name).await;
    assert_eq!(clock(&ticket, "resolution", 1).due_time, at("2026-03-05T02:00:00Z"));
    // The last hour was Thursday's, which is a holiday now: it is Friday's.
    let resolution = last(&moved, "resolution");
    assert_eq!(resolution.due_time, at("2026-03-06T02:00:00Z"));
    assert_eq!(resolution.revisions[0].previous_due_time, at("2026-03-05T02:00:00Z"));
    assert_eq!(
        last(&moved, "first-response"),
        last(&ticket, "first-response"),
        "knows no holidays"
    );
    let wrong = pb::PreviewPolicyChangeRequest { org_unit: "../etc".into(), ..Default::default() };
    let wrong = world.manager().ledger.preview_policy_change(wrong).await.unwrap_err();
    let mut fields = violations(&wrong);
    fields.sort();
    assert_eq!(fields, ["org_unit", "policy"]);
    let mut unknown = policy();
    unknown.clock_changes = Some(pb::ClockChangeRules { open_tickets: 9, transferred_tickets: 8 });
    let wrong = world.admin().apply("group", unknown).await.unwrap_err();
    let paths = ["policy.clock_changes.open_tickets", "policy.clock_changes.transferred_tickets"];
    assert_eq!(violations(&wrong), paths);
}
