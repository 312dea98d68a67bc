//! T-05 to T-08 over the wire: the clock ledger at the edges of time zones and with two replicas.

use std::time::Duration;

use kefu_api::policy::v1 as policy_pb;
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::escalation_step::When;
use prost::Name as _;
use tonic_types::StatusExt as _;

use crate::pack::{calendar, hours, policy, text, working_days};
use crate::world::{Desk, World, at, clock, complaint, metadata, reason, request_id, violations};

fn seconds(duration: Option<prost_types::Duration>) -> i64 {
    duration.unwrap().seconds
}

fn step(name: &str, when: When, notify_level: i32, raise_to_level: i32) -> pb::EscalationStep {
    pb::EscalationStep { name: name.into(), when: Some(when), notify_level, raise_to_level }
}

fn duration(hours: i64) -> prost_types::Duration {
    prost_types::Duration { seconds: hours * 3_600, nanos: 0 }
}

/// Everything that the ledger knows: steps, reasons, promises by severity, progress, a resolution that goes on.
fn ledger_policy() -> pb::TicketPolicy {
    let mut policy = policy();
    let resolution = &mut policy.clocks[1];
    resolution.on_reopen = pb::ReopenMode::Unspecified.into();
    resolution.severities = vec![1, 2];
    resolution.target = working_days(1);
    resolution.steps = vec![
        step("half-time", When::Percent(50), 2, 0),
        step("last-hour", When::Before(duration(1)), 0, 2),
        step("late", When::After(duration(2)), 3, 3),
    ];
    policy.clocks.push(pb::ClockRule {
        name: "resolution-grave".into(),
        kind: pb::ClockKind::Resolution.into(),
        severities: vec![3],
        target: hours(12),
        ..pb::ClockRule::default()
    });
    policy.clocks.push(pb::ClockRule {
        name: "progress".into(),
        kind: pb::ClockKind::ProgressUpdate.into(),
        target: hours(7 * 24),
        ..pb::ClockRule::default()
    });
    policy.pause_reasons = vec![pb::PauseReason {
        code: "documents".into(),
        title: Some(text("Waits for documents", "等待客户资料")),
        remind_after: working_days(2),
        propose_close_after: hours(7 * 24),
        reminder: None,
    }];
    policy
}

async fn world() -> World {
    let world = World::new().await;
    world.admin().apply("group", ledger_policy()).await.unwrap();
    world
}

impl Desk {
    async fn announce(
        &mut self,
        name: &str,
        rule: &str,
        new_due: &str,
    ) -> Result<pb::Ticket, tonic::Status> {
        let request = pb::AnnounceDelayRequest {
            name: name.into(),
            rule: rule.into(),
            new_due_time: at(new_due),
            reason: "配件缺货".into(),
            ..Default::default()
        };
        self.tickets.announce_delay(request).await.map(tonic::Response::into_inner)
    }

    async fn pause_for(&mut self, name: &str, code: &str) -> Result<pb::Ticket, tonic::Status> {
        let request = pb::PauseTicketRequest {
            name: name.into(),
            reason: "等待客户提供照片".into(),
            pause_reason: code.into(),
            ..Default::default()
        };
        self.tickets.pause_ticket(request).await.map(tonic::Response::into_inner)
    }

    async fn resume(&mut self, name: &str) -> pb::Ticket {
        let request = pb::ResumeTicketRequest { name: name.into(), ..Default::default() };
        self.tickets.resume_ticket(request).await.unwrap().into_inner()
    }

    async fn assess(
        &mut self,
        name: &str,
        severity: i32,
        validate_only: bool,
    ) -> Result<pb::Ticket, tonic::Status> {
        let request = pb::AssessTicketRequest {
            name: name.into(),
            severity,
            reason: "有人受伤".into(),
            validate_only,
            ..Default::default()
        };
        self.tickets.assess_ticket(request).await.map(tonic::Response::into_inner)
    }

    async fn explain(&mut self, name: &str) -> Vec<pb::DeadlineExplanation> {
        let request = pb::ExplainDeadlineRequest { name: name.into() };
        self.tickets.explain_deadline(request).await.unwrap().into_inner().explanations
    }

    async fn actions(&mut self, name: &str) -> Vec<String> {
        self.history(name).await.into_iter().map(|entry| entry.action).collect()
    }
}

#[tokio::test]
async fn t08_a_delay_is_announced_before_the_deadline_and_the_deadline_counts() {
    let world = World::new().await;
    let mut manager = world.manager();
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    manager.respond(&ticket.name).await.unwrap();
    // Three working days from Monday ten o'clock: Thursday ten o'clock.
    let due = at("2026-03-05T02:00:00Z");
    let said = manager.announce(&ticket.name, "resolution", "2026-03-09T02:00:00Z").await.unwrap();
    let resolution = clock(&said, "resolution", 1);
    assert_eq!((resolution.due_time, resolution.state()), (due, pb::ClockState::Running));
    let announced = &resolution.announcements[0];
    assert_eq!(announced.new_due_time, at("2026-03-09T02:00:00Z"));
    assert_eq!((&*announced.reason, &*announced.announced_by), ("配件缺货", "manager"));
    assert_eq!(manager.get(&ticket.name).await, said, "as it is stored");
    let explained = manager.explain(&ticket.name).await;
    let summary = explained[1].summary.as_ref().unwrap();
    assert!(summary.zh.contains("告知延期至 2026-03-09 10:00：配件缺货"), "{summary:?}");
    let event = "SELECT count(*) FROM journal WHERE action = 'AnnounceDelay' AND event_type = 'kefu.ticket.v1.TicketDelayAnnounced'";
    assert_eq!(pb::TicketDelayAnnounced::full_name(), "kefu.ticket.v1.TicketDelayAnnounced");
    assert_eq!(world.count(event).await, 1);

    world.set_time("2026-03-05T02:00:00Z").await;
    let broken = manager.get(&ticket.name).await;
    assert_eq!(clock(&broken, "resolution", 1).breach_time, due);
    let late = manager.announce(&ticket.name, "resolution", "2026-03-10T02:00:00Z").await;
    let late = late.unwrap_err();
    assert_eq!(
        (reason(&late), metadata(&late, "command")),
        ("ILLEGAL_STATE".into(), "AnnounceDelay".into())
    );
    assert_eq!(
        late.get_details_precondition_failure().unwrap().violations[0].r#type,
        "RUNNING_CLOCK"
    );
    let wrong = pb::AnnounceDelayRequest { name: ticket.name.clone(), ..Default::default() };
    let wrong = manager.tickets.announce_delay(wrong).await.unwrap_err();
    assert_eq!(violations(&wrong), ["reason", "new_due_time"]);
    let wrong = manager.announce(&ticket.name, "nothing", "2026-03-01T02:00:00Z").await;
    assert_eq!(violations(&wrong.unwrap_err()), ["rule", "new_due_time"]);
    let denied = world.clerk().announce(&ticket.name, "resolution", "2026-03-10T02:00:00Z").await;
    assert_eq!(denied.unwrap_err().code(), tonic::Code::PermissionDenied);
}

#[tokio::test]
async fn x02_x03_an_announcement_is_safe_to_retry_and_overwrites_nothing_silently() {
    let world = World::new().await;
    let mut manager = world.manager();
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    let request = pb::AnnounceDelayRequest {
        name: ticket.name.clone(),
        rule: "resolution".into(),
        new_due_time: at("2026-03-09T02:00:00Z"),
        reason: "配件缺货".into(),
        etag: ticket.etag.clone(),
        request_id: request_id(1),
        ..Default::default()
    };
    let first = manager.tickets.announce_delay(request.clone()).await.unwrap().into_inner();
    let again = manager.tickets.announce_delay(request.clone()).await.unwrap().into_inner();
    assert_eq!(first, again);
    let other = pb::AnnounceDelayRequest { request_id: request_id(2), ..request };
    let stale = manager.tickets.announce_delay(other).await.unwrap_err();
    assert_eq!(reason(&stale), "ETAG_STALE");
    assert_eq!(clock(&manager.get(&ticket.name).await, "resolution", 1).announcements.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t06_a_pause_reminds_and_proposes_to_close_once_with_two_replicas() {
    let mut world = world().await;
    world.start_replica().await;
    let (mut clerk, mut manager) = (world.clerk(), world.manager());
    let mut names = Vec::new();
    for index in 0..12 {
        let name = clerk.create(complaint("group/north", &format!("投诉 {index}"))).await.name;
        let wrong = manager.pause_for(&name, "holiday").await.unwrap_err();
        assert_eq!(violations(&wrong), ["pause_reason"]);
        let waiting = manager.pause_for(&name, "documents").await.unwrap();
        let follow_up = waiting.follow_up.unwrap();
        assert_eq!(follow_up.remind_due_time, at("2026-03-04T02:00:00Z"));
        assert_eq!(follow_up.propose_close_due_time, at("2026-03-09T02:00:00Z"));
        names.push(name);
    }
    manager.resume(&names[0]).await;
    world.set_time("2026-03-06T02:00:00Z").await;
    let reminded =
        "SELECT count(*) FROM journal WHERE event_type = 'kefu.ticket.v1.TicketReminderDue'";
    let proposed =
        "SELECT count(*) FROM journal WHERE event_type = 'kefu.ticket.v1.TicketCloseProposed'";
    assert_eq!((world.count(reminded).await, world.count(proposed).await), (11, 0));
    world.pass_hours(24 * 10).await;
    assert_eq!((world.count(reminded).await, world.count(proposed).await), (11, 11));
    let waiting = clerk.get(&names[1]).await;
    assert_eq!(waiting.state(), pb::TicketState::Waiting, "nothing closes by itself");
    let follow_up = waiting.follow_up.as_ref().unwrap();
    assert_eq!(follow_up.reminder_noted_time, at("2026-03-04T02:00:00Z"), "as of its time");
    assert_eq!(follow_up.remind_time, None, "nobody was told");
    assert_eq!(world.count("SELECT count(*) FROM message").await, 0);
    assert_eq!(follow_up.propose_close_time, at("2026-03-09T02:00:00Z"));
    assert_eq!(world.count("SELECT count(*) FROM ticket WHERE follow_up_at IS NOT NULL").await, 0);
    assert_eq!(manager.resume(&names[1]).await.follow_up, None);
    let resolution = manager.get(&names[1]).await;
    let resolution = clock(&resolution, "resolution", 1);
    assert_eq!(seconds(resolution.paused_duration), 14 * 24 * 3_600, "the sum of pauses");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t07_two_replicas_take_each_step_once() {
    let mut world = world().await;
    world.start_replica().await;
    let mut clerk = world.clerk();
    let mut names = Vec::new();
    for index in 0..20 {
        let created = clerk.create(complaint("group/north", &format!("投诉 {index}"))).await;
        assert_eq!(clerk.get(&created.name).await, created, "with its steps");
        assert_eq!(clock(&created, "resolution", 1).steps.len(), 3);
        names.push(created.name);
    }
    // Half of one working day from ten o'clock, an hour before its end, which is Monday's close, and two hours after.
    world.pass_hours(24 * 10).await;
    let taken =
        "SELECT count(*) FROM journal WHERE event_type = 'kefu.ticket.v1.TicketClockEscalated'";
    assert_eq!(world.count(taken).await, 60);
    let raised = "SELECT count(*) FROM escalation WHERE cause = 'step'";
    // What nobody answered is at the top already when the solution is two hours late.
    assert_eq!(world.count(raised).await, 20);
    assert_eq!(
        world.count("SELECT count(*) FROM ticket_clock WHERE next_fire_at IS NOT NULL").await,
        0
    );
    let ticket = clerk.get(&names[0]).await;
    assert_eq!(ticket.receiver_level, 3);
    let times: Vec<_> = clock(&ticket, "resolution", 1).steps.iter().map(|s| s.take_time).collect();
    let expected = ["2026-03-02T06:00:00Z", "2026-03-02T09:00:00Z", "2026-03-03T04:00:00Z"].map(at);
    assert_eq!(times, expected);
}

fn berlin() -> pb::TicketPolicy {
    let calendar = policy_pb::BusinessCalendar {
        time_zone: "Europe/Berlin".into(),
        exceptions: Vec::new(),
        ..calendar()
    };
    pb::TicketPolicy { calendar: Some(calendar), ..ledger_policy() }
}

#[tokio::test]
async fn t05_t07_deadlines_and_steps_keep_the_wall_clock_over_the_change_of_daylight_saving() {
    let world = world().await;
    world.org_unit("group/berlin").await;
    world.settle().await;
    world.admin().apply("group/berlin", berlin()).await.unwrap();
    // Friday noon in Berlin; on Sunday the clocks go forward. In Shanghai it is seven in the evening.
    world.set_time("2026-03-27T11:00:00Z").await;
    let mut clerk = world.clerk();
    let german = clerk.create(complaint("group/berlin", "Wasserschaden")).await;
    let chinese = clerk.create(complaint("group/north", "漏水")).await;
    let dues = |ticket: &pb::Ticket| {
        let resolution = clock(ticket, "resolution", 1);
        let steps = resolution.steps.iter().map(|step| step.due_time);
        steps.chain([resolution.due_time]).collect::<Vec<_>>()
    };
    let times = [
        // Friday 16:00; Monday 11:00, 14:00 and noon, which are two hours from UTC by then.
        "2026-03-27T15:00:00Z",
        "2026-03-30T09:00:00Z",
        "2026-03-30T12:00:00Z",
        "2026-03-30T10:00:00Z",
    ];
    assert_eq!(dues(&german), times.map(at));
    // From Monday nine o'clock in Shanghai: 13:00, 16:00, Tuesday 11:00, and Monday's close.
    let times = [
        "2026-03-30T05:00:00Z",
        "2026-03-30T08:00:00Z",
        "2026-03-31T03:00:00Z",
        "2026-03-30T09:00:00Z",
    ];
    assert_eq!(dues(&chinese), times.map(at));

    // A pause over the lost hour: 46 hours on the wall, 45 in truth.
    let mut manager = world.manager();
    world.set_time("2026-03-28T11:00:00Z").await;
    manager.pause_for(&german.name, "documents").await.unwrap();
    world.set_time("2026-03-30T08:00:00Z").await;
    let resumed = manager.resume(&german.name).await;
    let resolution = clock(&resumed, "resolution", 1);
    assert_eq!(seconds(resolution.paused_duration), 45 * 3_600);
    // One hour of Monday was paused: ten o'clock instead of nine.
    assert_eq!(resolution.due_time, at("2026-03-30T11:00:00Z"));
    let explained = manager.explain(&german.name).await;
    assert_eq!(explained[1].time_zone, "Europe/Berlin");
    let counted: i64 = explained[1]
        .segments
        .iter()
        .filter(|segment| segment.counted)
        .map(|s| s.end_time.unwrap().seconds - s.start_time.unwrap().seconds)
        .sum();
    assert_eq!(Duration::from_secs(counted.unsigned_abs()), Duration::from_secs(8 * 3_600));
}

#[tokio::test]
async fn t06_another_severity_is_shown_before_it_is_done_and_loses_nothing() {
    let world = world().await;
    let (mut clerk, mut manager) = (world.clerk(), world.manager());
    let ticket = clerk.create(complaint("group/north", "漏水")).await;
    manager.respond(&ticket.name).await.unwrap();
    manager.pause_for(&ticket.name, "documents").await.unwrap();
    world.pass_hours(2).await;
    let before = manager.resume(&ticket.name).await;
    let shown = manager.assess(&ticket.name, 3, true).await.unwrap();
    assert_eq!((shown.severity, &shown.etag), (3, &before.etag));
    assert_eq!(manager.get(&ticket.name).await, before, "nothing was written");
    let done = manager.assess(&ticket.name, 3, false).await.unwrap();
    assert_eq!(done.clocks, shown.clocks);
    assert_eq!((done.severity, done.receiver_level), (3, 2));
    assert_eq!(manager.get(&ticket.name).await, done);
    let grave = clock(&done, "resolution-grave", 1);
    // Twelve hours from ten o'clock, and two of waiting: midnight in Shanghai.
    assert_eq!(grave.due_time, at("2026-03-02T16:00:00Z"));
    assert_eq!((grave.start_time, seconds(grave.paused_duration)), (ticket.create_time, 7_200));
    assert_eq!(grave.revisions[0].from_rule, "resolution");
    assert_eq!(clock(&done, "resolution", 1).state(), pb::ClockState::Cancelled);
    let explained = manager.explain(&ticket.name).await;
    let summary = explained.last().unwrap().summary.as_ref().unwrap();
    assert!(summary.zh.contains("将级别由 1 调整为 3"), "{summary:?}");
    world.pass_hours(24).await;
    let broken = manager.get(&ticket.name).await;
    assert_eq!(clock(&broken, "resolution-grave", 1).breach_time, at("2026-03-02T16:00:00Z"));
    let back = manager.assess(&ticket.name, 1, false).await.unwrap();
    assert_eq!(
        clock(&back, "resolution-grave", 1),
        clock(&broken, "resolution-grave", 1),
        "no breach is unmade"
    );
    let actions = manager.actions(&ticket.name).await;
    assert_eq!(actions.iter().filter(|action| *action == "AssessTicket").count(), 2);
    let wrong = manager.assess(&ticket.name, 4, true).await.unwrap_err();
    assert_eq!(violations(&wrong), ["severity"]);
    let denied = clerk.assess(&ticket.name, 2, true).await.unwrap_err();
    assert_eq!(denied.code(), tonic::Code::PermissionDenied);
}

#[tokio::test]
async fn t05_t06_progress_counts_its_rounds_and_reopening_goes_on() {
    let world = world().await;
    let mut manager = world.manager();
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    for _ in 0..2 {
        world.pass_hours(1).await;
        manager.respond(&ticket.name).await.unwrap();
    }
    let answered = manager.get(&ticket.name).await;
    let rounds: Vec<_> = answered
        .clocks
        .iter()
        .filter(|clock| clock.kind() == pb::ClockKind::ProgressUpdate)
        .map(|clock| (clock.round, clock.state(), clock.due_time))
        .collect();
    assert_eq!(
        rounds,
        [
            (1, pb::ClockState::Met, at("2026-03-09T02:00:00Z")),
            (2, pb::ClockState::Met, at("2026-03-09T03:00:00Z")),
            (3, pb::ClockState::Running, at("2026-03-09T04:00:00Z")),
        ]
    );
    manager.resolve(&ticket.name).await.unwrap();
    let told = manager.feed_back(&ticket.name).await.unwrap();
    world.pass_hours(24).await;
    let reopened = world.quality().verdict(&ticket.name, 5).await.unwrap();
    let again = clock(&reopened, "resolution", 2);
    // Two of eight hours were used up by Monday noon; it is Tuesday noon.
    assert_eq!(again.start_time, ticket.create_time);
    assert_eq!(again.due_time, at("2026-03-04T02:00:00Z"));
    assert_eq!(seconds(again.paused_duration), 24 * 3_600);
    assert_eq!(clock(&reopened, "resolution", 1), clock(&told, "resolution", 1));
    assert_eq!(manager.get(&ticket.name).await, reopened);
}
