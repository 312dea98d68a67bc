//! T-22: a process and its ticket: what is refused while it runs, and clocks that stand still, escalate and end with it, with two
//! replicas, after a restart and whoever is faster.

use jiff::{SignedDuration, Timestamp};
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::process_escalation_step::When;
use kefu_api::ticket::v1::ticket_event::Change;
use kefu_clock::Clock as _;
use kefu_identity::role;
use tonic::{Response, Status};
use tonic_types::StatusExt as _;

use crate::merge::{merge, unmerge};
use crate::pack::hours;
use crate::process::{
    STATION, company, connections, fitter, fitter_at, lack, missing, request, run, running, time,
};
use crate::world::{Desk, World, metadata};

fn hour(hours: i64) -> prost_types::Duration {
    prost_types::Duration { seconds: hours * 3_600, nanos: 0 }
}

fn step(name: &str, when: When, notify: i32, raise: i32) -> pb::ProcessEscalationStep {
    let (notify_level, raise_to_level) = (notify, raise);
    pb::ProcessEscalationStep { name: name.into(), when: Some(when), notify_level, raise_to_level }
}

/// The application has 48 hours, and what follows at half of them, before their end and after it.
fn escalating() -> pb::TicketPolicy {
    let mut policy = connections();
    policy.process_templates[0].stages[0].clocks = vec![pb::ProcessClock {
        length: hours(48).map(pb::process_clock::Length::Target),
        warn_percent: 50,
        breach_violation: "late-stage".into(),
        breach_raises_level: true,
        steps: vec![
            step("most-of-it", When::Percent(75), 2, 0),
            step("last-hour", When::Before(hour(1)), 0, 2),
            step("a-day-late", When::After(hour(24)), 3, 3),
        ],
        routes: Vec::new(),
    }];
    policy
}

async fn escalating_company() -> World {
    let world = company().await;
    world.admin().apply("group", escalating()).await.unwrap();
    world
}

/// A ticket and its process, at the application.
pub async fn started(world: &World) -> (String, String) {
    let mut fitter = fitter(world);
    let ticket = fitter.create(request()).await.name;
    let name = fitter.start_process(&ticket, 5.0, false).await.unwrap().name;
    (ticket, name)
}

impl Desk {
    async fn waits(&mut self, ticket: &str) -> Result<pb::Ticket, Status> {
        let request = pb::PauseTicketRequest {
            name: ticket.into(),
            reason: "等客户补交资料".into(),
            ..Default::default()
        };
        self.tickets.pause_ticket(request).await.map(Response::into_inner)
    }

    async fn goes_on(&mut self, ticket: &str) -> Result<pb::Ticket, Status> {
        let request = pb::ResumeTicketRequest { name: ticket.into(), ..Default::default() };
        self.tickets.resume_ticket(request).await.map(Response::into_inner)
    }

    async fn calls_off(&mut self, ticket: &str) -> Result<pb::Ticket, Status> {
        let request = pb::CancelTicketRequest {
            name: ticket.into(),
            reason: "客户不再需要".into(),
            ..Default::default()
        };
        self.tickets.cancel_ticket(request).await.map(Response::into_inner)
    }
}

const APPLICATION: [&str; 2] = ["application-form", "identity"];

#[tokio::test]
async fn t22_a_ticket_is_resolved_only_when_its_process_is_over_and_says_what_that_lacks() {
    let world = company().await;
    let (ticket, name) = started(&world).await;
    let mut fitter = fitter(&world);
    let error = fitter.resolve(&ticket).await.unwrap_err();
    let lacks = [
        lack("PROCESS_STAGE", "application"),
        lack("DOCUMENT", "application-form"),
        lack("DOCUMENT", "identity"),
    ];
    assert_eq!(missing(&error), lacks);
    assert_eq!(metadata(&error, "process"), name);
    assert_eq!(metadata(&error, "command"), "ResolveTicket");
    let told = error.get_details_precondition_failure().unwrap().violations;
    assert!(told[0].description.contains(&name), "{}", told[0].description);
    fitter.does(&name, "application", &APPLICATION).await;
    let error = fitter.resolve(&ticket).await.unwrap_err();
    assert_eq!(
        missing(&error),
        [lack("PROCESS_STAGE", "survey"), lack("DOCUMENT", "survey-record")]
    );
    assert_eq!(fitter.get(&ticket).await.state(), pb::TicketState::Registered);
    // Called off with a reason, it is in nobody's way; and where there is a solution none begins.
    world.manager().cancel_process(&name, "客户改为临时用电").await.unwrap();
    fitter.resolve(&ticket).await.unwrap();
    let error = fitter.start_process(&ticket, 5.0, false).await.unwrap_err();
    assert_eq!(missing(&error), [lack("UNSOLVED_TICKET", "ticket")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t22_of_a_solution_and_a_process_at_once_there_is_one() {
    let mut world = company().await;
    world.start_replica().await;
    let mut calls = Vec::new();
    for index in 0..10_usize {
        let ticket = fitter(&world).create(request()).await.name;
        // Once the one is first on its way, once the other.
        let (mut solver, mut starter) =
            (fitter_at(&world, index % 2), fitter_at(&world, (index + 1) % 2));
        let of = ticket.clone();
        let solved = tokio::spawn(async move { solver.resolve(&of).await });
        let of = ticket.clone();
        let begun = tokio::spawn(async move { starter.start_process(&of, 5.0, false).await });
        calls.push((ticket, solved, begun));
    }
    for (ticket, solved, begun) in calls {
        let state = match (solved.await.unwrap(), begun.await.unwrap()) {
            (Ok(_), Err(late)) => {
                assert_eq!(missing(&late), [lack("UNSOLVED_TICKET", "ticket")]);
                pb::TicketState::Resolved
            }
            (Err(refused), Ok(process)) => {
                assert_eq!(metadata(&refused, "process"), process.name);
                assert!(missing(&refused).contains(&lack("PROCESS_STAGE", "application")));
                pb::TicketState::Registered
            }
            other => panic!("one of the two: {other:?}"),
        };
        assert_eq!(fitter(&world).get(&ticket).await.state(), state);
    }
    let both = "SELECT count(*) FROM process JOIN ticket ON ticket.id = ticket_id
        WHERE process.state = 'running' AND ticket.state = 'resolved'";
    assert_eq!(world.count(both).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t22_a_ticket_that_is_called_off_takes_its_process_along_whatever_else_is_asked_of_that() {
    let mut world = company().await;
    world.start_replica().await;
    let (ticket, name) = started(&world).await;
    fitter(&world).hands_in(&name, "application", &APPLICATION).await;
    let (mut manager, mut fitter) = (world.manager(), fitter_at(&world, 1));
    let (of, process) = (ticket.clone(), name.clone());
    let calls_off = tokio::spawn(async move { manager.calls_off(&of).await });
    let completes =
        tokio::spawn(async move { fitter.complete_stage(&process, "application").await });
    calls_off.await.unwrap().unwrap();
    if let Err(error) = completes.await.unwrap() {
        assert_eq!(missing(&error), [lack("RUNNING_PROCESS", "process")]);
    }
    // In the same transaction: nobody has to come for it.
    let ended = crate::process::fitter(&world).process(&name).await;
    assert_eq!(
        (ended.state(), &*ended.cancel_reason),
        (
            pb::ProcessState::Cancelled,
            "the ticket was cancelled: 客户不再需要 / 工单已取消：客户不再需要"
        )
    );
    assert!(running(&ended).is_empty() && ended.due_time.is_none());
    let by = "SELECT count(*) FROM journal WHERE action = 'CancelWithTicket' AND actor = 'manager'
        AND event_type = 'kefu.ticket.v1.ProcessChanged'";
    assert_eq!(world.count(by).await, 1);
    world.pass_hours(100).await;
    assert_eq!(world.count("SELECT count(*) FROM process WHERE next_fire_at IS NOT NULL").await, 0);
}

#[tokio::test]
async fn t22_a_stage_stands_still_while_its_ticket_waits_also_over_a_restart() {
    let mut world = escalating_company().await;
    let begun = world.clock.now();
    let after = |hours: i64| begun + SignedDuration::from_hours(hours);
    let (ticket, name) = started(&world).await;
    world.pass_hours(30).await;
    fitter(&world).waits(&ticket).await.unwrap();
    let still = fitter(&world).process(&name).await;
    let application = run(&still, "application");
    assert_eq!((application.due_time, still.due_time), (None, None));
    assert_eq!(time(application.warn_time), after(24));
    assert_eq!(time(still.pause_time), after(30));
    assert_eq!(
        (&*still.pause_reason, application.pause_time),
        ("等客户补交资料", still.pause_time)
    );
    assert_eq!(application.steps[0].due_time, None);
    // Nobody is there for a while, and nothing is lost of what was used up and of the pause.
    world.replicas.remove(0).stop().await.unwrap();
    world.clock.set(after(100)).unwrap();
    world.start_replica().await;
    let overdue =
        pb::ListProcessesRequest { org_unit: STATION.into(), overdue: true, ..Default::default() };
    assert!(fitter(&world).process_list(overdue.clone()).await.is_empty());
    let request = pb::ExplainProcessDeadlinesRequest { name: name.clone() };
    let told = fitter(&world).processes.explain_process_deadlines(request.clone()).await.unwrap();
    let told = told.into_inner().deadlines.remove(0).explanation.unwrap();
    let paused = told.segments.last().unwrap();
    assert_eq!(
        (paused.reason(), paused.counted, time(paused.start_time), time(paused.end_time)),
        (pb::SegmentReason::Paused, false, after(30), after(100))
    );
    assert!(told.summary.unwrap().zh.contains("暂停中"));
    fitter(&world).goes_on(&ticket).await.unwrap();
    let going = fitter(&world).process(&name).await;
    let application = run(&going, "application");
    assert_eq!((time(application.due_time), time(going.due_time)), (after(118), after(118)));
    assert_eq!(application.paused_duration, Some(hour(70)));
    assert_eq!((going.pause_time, &*going.pause_reason), (None, ""));
    let due: Vec<Timestamp> = application.steps.iter().map(|step| time(step.due_time)).collect();
    assert_eq!(due, [after(106), after(117), after(142)]);
    let told = fitter(&world).processes.explain_process_deadlines(request).await.unwrap();
    let told = told.into_inner().deadlines.remove(0).explanation.unwrap().summary.unwrap();
    assert!(told.zh.contains("已顺延暂停 2 天 22 小时"), "{}", told.zh);
    world.set_time(&after(117).to_string()).await;
    assert!(fitter(&world).process_list(overdue.clone()).await.is_empty());
    world.set_time(&after(119).to_string()).await;
    assert_eq!(fitter(&world).process_list(overdue).await, [&*name]);
    let broken = fitter(&world).process(&name).await;
    assert_eq!(time(run(&broken, "application").breach_time), after(118));
    let followed =
        "SELECT count(*) FROM journal WHERE action IN ('PauseWithTicket', 'ResumeWithTicket')
        AND actor = 'fitter' AND event_type = 'kefu.ticket.v1.ProcessChanged'";
    assert_eq!(world.count(followed).await, 2);
}

#[tokio::test]
async fn t22_a_stage_that_begins_while_the_ticket_waits_has_all_of_its_time_left() {
    let world = company().await;
    let mut policy = connections();
    policy.process_templates[0].stages[1].clocks = vec![pb::ProcessClock {
        length: hours(48).map(pb::process_clock::Length::Target),
        ..Default::default()
    }];
    world.admin().apply("group", policy).await.unwrap();
    let (ticket, name) = started(&world).await;
    let mut fitter = fitter(&world);
    fitter.waits(&ticket).await.unwrap();
    world.pass_hours(10).await;
    // Work on it is welcome while it waits.
    let next = fitter.does(&name, "application", &APPLICATION).await;
    assert_eq!((running(&next), run(&next, "survey").due_time), (vec!["survey"], None));
    world.pass_hours(10).await;
    fitter.goes_on(&ticket).await.unwrap();
    let due = world.clock.now() + SignedDuration::from_hours(48);
    assert_eq!(time(fitter.process(&name).await.due_time), due);
}

#[tokio::test]
async fn t22_a_stage_stands_still_while_its_ticket_is_merged_and_nobody_works_on_it() {
    let world = escalating_company().await;
    let begun = world.clock.now();
    let (ticket, name) = started(&world).await;
    let other = fitter(&world).create(request()).await.name;
    world.pass_hours(10).await;
    let mut manager = world.manager();
    merge(&mut manager, &ticket, &other).await.unwrap();
    world.pass_hours(100).await;
    let mut fitter = fitter(&world);
    let still = fitter.process(&name).await;
    assert!(still.pause_reason.contains("已并入其他工单"), "{}", still.pause_reason);
    assert_eq!((still.due_time, run(&still, "application").breach_time), (None, None));
    let error = fitter.stage_document(&name, "application", "identity", "x").await.unwrap_err();
    assert_eq!(missing(&error), [lack("UNMERGED_TICKET", "ticket")]);
    unmerge(&mut manager, &ticket).await.unwrap();
    let going = fitter.process(&name).await;
    assert_eq!(time(going.due_time), begun + SignedDuration::from_hours(148));
    fitter.hands_in(&name, "application", &["identity"]).await;
    // Merged again, it can be called off all the same.
    merge(&mut manager, &ticket, &other).await.unwrap();
    let ended = manager.cancel_process(&name, "并入后由他单办理").await.unwrap();
    assert_eq!((ended.state(), ended.pause_time), (pb::ProcessState::Cancelled, None));
    unmerge(&mut manager, &ticket).await.unwrap();
    assert_eq!(fitter.process(&name).await.state(), pb::ProcessState::Cancelled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t22_a_stage_escalates_once_with_two_replicas_and_raises_its_ticket() {
    let mut world = escalating_company().await;
    world.start_replica().await;
    let begun = world.clock.now();
    let mut watcher = world.desk("watcher", STATION, role::CLERK);
    let watch = pb::WatchTicketsRequest { org_unit: STATION.into(), ..Default::default() };
    let mut stream = watcher.tickets.watch_tickets(watch).await.unwrap().into_inner();
    stream.message().await.unwrap();
    let mut tickets = Vec::new();
    for _ in 0..3 {
        tickets.push(started(&world).await);
    }
    for hours in [23, 1, 12, 11, 1, 24, 48] {
        world.pass_hours(hours).await;
    }
    for (action, event, times) in [
        ("WarnProcessStage", "ProcessStageWarned", 3),
        ("EscalateProcessStage", "ProcessStageEscalated", 9),
        ("BreachProcessStage", "ProcessStageBreached", 3),
        ("EscalateTicket", "TicketEscalated", 6),
    ] {
        let counted: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM journal WHERE action = $1 AND event_type = 'kefu.ticket.v1.' || $2
             AND actor = 'system/timers'",
        )
        .bind(action)
        .bind(event)
        .fetch_one(&world.pool)
        .await
        .unwrap();
        assert_eq!(counted, times, "{action}");
    }
    assert_eq!(world.manager().violations("group").await.len(), 3);
    for (ticket, name) in &tickets {
        let raised = fitter(&world).get(ticket).await;
        assert_eq!(raised.receiver_level, 3);
        let forms: Vec<_> =
            raised.escalations.iter().map(|form| (form.from_level, form.to_level)).collect();
        assert_eq!(forms, [(1, 2), (2, 3)]);
        let reason = &raised.escalations[1].reason;
        assert!(reason.contains(&raised.number) && reason.contains("+08:00"), "{reason}");
        assert!(reason.contains("环节“"), "{reason}");
        let process = fitter(&world).process(name).await;
        let steps = &run(&process, "application").steps;
        let taken = steps.iter().map(|step| time(step.take_time).duration_since(begun).as_hours());
        assert_eq!(taken.collect::<Vec<_>>(), [36, 47, 72]);
    }
    // And everybody who looks is told, with the level that is to know.
    let mut told = Vec::new();
    for _ in 0..400 {
        let Some(event) = stream.message().await.unwrap().unwrap().event else { continue };
        match event.change {
            Some(Change::ProcessStageEscalated(step)) if event.ticket == tickets[0].0 => {
                told.push((step.step, step.notify_level, step.raised_to_level));
            }
            Some(Change::ProcessStageBreached(broken)) if event.ticket == tickets[0].0 => {
                told.push((broken.stage, broken.notify_level, broken.raised_to_level));
            }
            _ => {}
        }
        if told.len() == 4 {
            break;
        }
    }
    let expected =
        [("most-of-it", 2, 0), ("last-hour", 0, 2), ("application", 3, 3), ("a-day-late", 3, 0)];
    assert_eq!(told, expected.map(|(what, notify, raised)| (what.to_owned(), notify, raised)));
}

#[tokio::test]
async fn t22_what_was_under_way_before_follows_its_ticket_when_the_timers_come() {
    let world = escalating_company().await;
    let begun = world.clock.now();
    let (waiting, held) = started(&world).await;
    let (ended, over) = started(&world).await;
    world.pass_hours(10).await;
    fitter(&world).waits(&waiting).await.unwrap();
    world.manager().calls_off(&ended).await.unwrap();
    // As it was written before processes followed their tickets at once, and as the migration leaves it.
    let owner = world.database.owner_pool().unwrap();
    for statement in [
        "UPDATE process_stage SET pauses = NULL, due_at = started_at + interval '48 hours',
             warn_at = started_at + interval '24 hours', state = 'running', ended_by = NULL, ended_at = NULL",
        "UPDATE process SET held_at = NULL, held_reason = NULL, state = 'running', ended_by = NULL, ended_at = NULL,
             end_reason = NULL, current_stages = '{application}', next_fire_at = updated_at",
    ] {
        sqlx::query(statement).execute(&owner).await.unwrap();
    }
    world.pass_hours(50).await;
    let mut fitter = fitter(&world);
    let process = fitter.process(&held).await;
    assert_eq!(time(process.pause_time), begun + SignedDuration::from_hours(10));
    assert_eq!(run(&process, "application").breach_time, None);
    assert_eq!(fitter.process(&over).await.state(), pb::ProcessState::Cancelled);
    fitter.goes_on(&waiting).await.unwrap();
    let due = begun + SignedDuration::from_hours(98);
    assert_eq!(time(fitter.process(&held).await.due_time), due);
}

#[tokio::test]
async fn t22_a_page_of_processes_is_the_newest_of_all_org_units_whatever_is_asked() {
    let world = company().await;
    for unit in 0..4 {
        world.org_unit(&format!("group/unit-{unit}")).await;
    }
    world.settle().await;
    let mut clerk = world.desk("clerk", "group", role::HANDLER);
    let mut newest_first = Vec::new();
    // Of some org units many in a row, of others one now and then.
    for unit in [0, 0, 1, 2, 0, 3, 3, 1, 0, 2] {
        let ticket = pb::Ticket { org_unit: format!("group/unit-{unit}"), ..request() };
        let ticket = clerk.create(ticket).await.name;
        newest_first.insert(0, clerk.start_process(&ticket, 5.0, false).await.unwrap().name);
        world.pass_hours(1).await;
    }
    world.manager().cancel_process(&newest_first[3], "撤回").await.unwrap();
    let all =
        pb::ListProcessesRequest { org_unit: "group".into(), page_size: 3, ..Default::default() };
    let running =
        pb::ListProcessesRequest { states: vec![pb::ProcessState::Running.into()], ..all.clone() };
    let under_way: Vec<String> =
        newest_first.iter().filter(|name| **name != newest_first[3]).cloned().collect();
    for (asked, expected) in [(all, newest_first), (running, under_way)] {
        let (mut seen, mut page_token) = (Vec::new(), String::new());
        for _ in 0..10 {
            let page = pb::ListProcessesRequest { page_token, ..asked.clone() };
            let page = clerk.processes.list_processes(page).await.unwrap().into_inner();
            assert!(page.processes.len() <= 3);
            seen.extend(page.processes.into_iter().map(|process| process.name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, expected);
    }
}
