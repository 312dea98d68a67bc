//! T-22: processes under concurrent callers, after a crash, with retries, and in the right hands only.

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::ticket_event::Change;
use kefu_identity::role;
use tonic::Code;

use crate::process::{
    STATION, agreed, company, fitter, fitter_at, lack, missing, request, run, running,
};
use crate::world::{Desk, World, reason, request_id};

async fn started(world: &World) -> (String, String) {
    let mut fitter = fitter(world);
    let ticket = fitter.create(request()).await.name;
    let name = fitter.start_process(&ticket, 5.0, false).await.unwrap().name;
    (ticket, name)
}

/// With the meter order under way, which is due a day later.
async fn with_meter_order(world: &World) -> String {
    let (ticket, name) = started(world).await;
    let mut fitter = fitter(world);
    fitter.does(&name, "application", &["application-form", "identity"]).await;
    fitter.does(&name, "survey", &["survey-record"]).await;
    fitter.hands_in(&name, "supply-plan", &["supply-plan"]).await;
    let message = fitter.writes(&ticket).await;
    fitter.stage_answer(&name, "supply-plan", &message).await.unwrap();
    fitter.complete_stage(&name, "supply-plan").await.unwrap();
    fitter.hands_in(&name, "design-review", &["design-drawings", "design-review"]).await;
    fitter.submit_stage(&name, "design-review").await.unwrap();
    world.desk("wu", STATION, role::MANAGER).approve_stage(&name, "design-review").await.unwrap();
    fitter.complete_stage(&name, "design-review").await.unwrap();
    fitter.inspection(&name, "construction", "passed", "好").await.unwrap();
    fitter.complete_stage(&name, "construction").await.unwrap();
    fitter.does(&name, "completion-report", &["completion-report"]).await;
    fitter.does(&name, "acceptance", &["acceptance-record"]).await;
    fitter.does(&name, "contract", &["supply-contract"]).await;
    name
}

const BREACHES: &str = "SELECT count(*) FROM journal WHERE action = 'BreachProcessStage'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t22_a_ticket_follows_one_process_and_a_stage_is_completed_once_whoever_is_faster() {
    let mut world = company().await;
    world.start_replica().await;
    let ticket = fitter(&world).create(request()).await.name;
    let calls: Vec<_> = (0..8_usize)
        .map(|index| {
            let (mut desk, ticket) = (fitter_at(&world, index % 2), ticket.clone());
            tokio::spawn(async move { desk.start_process(&ticket, 5.0, false).await })
        })
        .collect();
    let (mut names, mut refused) = (Vec::new(), 0);
    for call in calls {
        match call.await.unwrap() {
            Ok(process) => names.push(process.name),
            Err(error) => {
                assert_eq!(error.code(), Code::AlreadyExists, "{error:?}");
                refused += 1;
            }
        }
    }
    assert_eq!((names.len(), refused), (1, 7));
    let name = names.remove(0);
    let documents = ["application-form", "identity"];
    fitter(&world).hands_in(&name, "application", &documents).await;
    let calls: Vec<_> = (0..8_usize)
        .map(|index| {
            let (mut desk, name) = (fitter_at(&world, index % 2), name.clone());
            tokio::spawn(async move { desk.complete_stage(&name, "application").await })
        })
        .collect();
    let mut done = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(process) => {
                assert_eq!(running(&process), ["survey"]);
                done += 1;
            }
            Err(error) => assert_eq!(missing(&error), [lack("RUNNING_STAGE", "application")]),
        }
    }
    assert_eq!(done, 1);
    assert_eq!(world.count("SELECT count(*) FROM process_stage WHERE state = 'running'").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t22_a_missed_deadline_is_on_record_once_with_two_replicas() {
    let mut world = company().await;
    world.start_replica().await;
    let mut names = Vec::new();
    for _ in 0..3 {
        names.push(with_meter_order(&world).await);
    }
    world.pass_hours(23).await;
    assert_eq!(world.count(BREACHES).await, 0);
    let warned = "SELECT count(*) FROM journal WHERE action = 'WarnProcessStage'
        AND event_type = 'kefu.ticket.v1.ProcessStageWarned'";
    assert_eq!(world.count(warned).await, 3);
    world.pass_hours(1).await;
    assert_eq!(world.count(BREACHES).await, 3);
    world.pass_hours(48).await;
    assert_eq!((world.count(BREACHES).await, world.count(warned).await), (3, 3));
    assert_eq!(world.manager().violations("group").await.len(), 3);
    for name in &names {
        let process = fitter(&world).process(name).await;
        let order = run(&process, "meter-order");
        assert_eq!(order.breach_time, order.due_time);
    }
}

#[tokio::test]
async fn t22_what_fell_due_during_downtime_is_on_record_before_anything_else() {
    let mut world = company().await;
    let name = with_meter_order(&world).await;
    world.replicas.remove(0).stop().await.unwrap();
    world.clock.set("2026-03-20T00:00:00Z".parse().unwrap()).unwrap();
    world.start_replica().await;
    let done = fitter(&world).does(&name, "meter-order", &["meter-order"]).await;
    let order = run(&done, "meter-order");
    assert_eq!(
        (order.breach_time, order.state()),
        (order.due_time, pb::ProcessStageState::Completed)
    );
    world.settle().await;
    assert_eq!(world.count(BREACHES).await, 1);
    // As of its deadline, and before what came after it.
    let late = "SELECT count(*) FROM journal AS breach JOIN journal AS done USING (aggregate_id)
        WHERE breach.action = 'BreachProcessStage' AND done.action = 'CompleteProcessStage'
        AND done.revision > breach.revision AND breach.occurred_at = '2026-03-03T02:00:00Z'";
    assert_eq!(world.count(late).await, 1);
}

#[tokio::test]
async fn t22_retries_are_safe_and_stale_etags_refused() {
    let world = company().await;
    let mut fitter = fitter(&world);
    let ticket = fitter.create(request()).await.name;
    let start = pb::StartProcessRequest {
        ticket,
        template: "power-connection".into(),
        attributes: agreed(5.0, false),
        request_id: request_id(1),
    };
    let first = fitter.processes.start_process(start.clone()).await.unwrap().into_inner();
    let again = fitter.processes.start_process(start.clone()).await.unwrap().into_inner();
    assert_eq!(first, again);
    let other = pb::StartProcessRequest { attributes: agreed(6.0, false), ..start };
    let error = fitter.processes.start_process(other).await.unwrap_err();
    assert_eq!(error.code(), Code::AlreadyExists);
    let document = pb::RecordProcessDocumentRequest {
        name: first.name.clone(),
        stage: "application".into(),
        document: "identity".into(),
        reference: "身份证".into(),
        etag: first.etag.clone(),
        request_id: request_id(2),
        ..Default::default()
    };
    let recorded = fitter.processes.record_process_document(document.clone()).await.unwrap();
    let retried = fitter.processes.record_process_document(document.clone()).await.unwrap();
    assert_eq!(recorded.get_ref(), retried.get_ref());
    assert_eq!(recorded.get_ref().stages[0].documents.len(), 1);
    let stale = pb::RecordProcessDocumentRequest { request_id: request_id(3), ..document };
    let error = fitter.processes.record_process_document(stale).await.unwrap_err();
    assert_eq!(error.code(), Code::Aborted);
    let told = "SELECT count(*) FROM journal WHERE aggregate_type = 'process'
        AND event_type = 'kefu.ticket.v1.ProcessChanged' AND actor = 'fitter'";
    assert_eq!(world.count(told).await, 2);
}

fn everything(org_unit: &str) -> pb::ListProcessesRequest {
    pb::ListProcessesRequest { org_unit: org_unit.into(), ..Default::default() }
}

#[tokio::test]
async fn t22_processes_are_seen_and_touched_in_their_org_unit_and_go_with_their_ticket() {
    let world = company().await;
    let (ticket, name) = started(&world).await;
    let mut other = world.desk("other", "group/other", role::MANAGER);
    let denied = |error: &tonic::Status| (error.code(), reason(error));
    let refused = (Code::PermissionDenied, "PERMISSION_DENIED".to_owned());
    let get = pb::GetProcessRequest { name: name.clone() };
    assert_eq!(denied(&other.processes.get_process(get).await.unwrap_err()), refused);
    let explain = pb::ExplainProcessDeadlinesRequest { name: name.clone() };
    let error = other.processes.explain_process_deadlines(explain).await.unwrap_err();
    assert_eq!(denied(&error), refused);
    let error = other.processes.list_processes(everything(STATION)).await.unwrap_err();
    assert_eq!(denied(&error), refused);
    assert_eq!(denied(&other.complete_stage(&name, "application").await.unwrap_err()), refused);
    assert_eq!(denied(&other.start_process(&ticket, 5.0, false).await.unwrap_err()), refused);
    // A look is for the auditor, work is not; calling off is for those who decide.
    let mut auditor = world.desk("auditor", "group", role::AUDITOR);
    assert_eq!(auditor.process_list(everything("group")).await, [&*name]);
    assert_eq!(denied(&auditor.complete_stage(&name, "application").await.unwrap_err()), refused);
    let mut fitter = fitter(&world);
    assert_eq!(denied(&fitter.cancel_process(&name, "不要了").await.unwrap_err()), refused);
    // Handed over to another org unit, it is theirs.
    let transfer = pb::TransferTicketRequest {
        name: ticket.clone(),
        to_org_unit: "group/other".into(),
        handover_note: "属地变更".into(),
        ..Default::default()
    };
    fitter.handling.transfer_ticket(transfer).await.unwrap();
    fitter.hands_in(&name, "application", &["identity"]).await;
    let accept = pb::AcceptTransferRequest {
        name: ticket,
        message: "您的申请现由我处办理".into(),
        ..Default::default()
    };
    other.handling.accept_transfer(accept).await.unwrap();
    assert_eq!(other.process_list(everything("group/other")).await, [&*name]);
    assert_eq!(other.process(&name).await.org_unit, "group/other");
    let error = fitter.stage_document(&name, "application", "identity", "x").await.unwrap_err();
    assert_eq!(denied(&error), refused);
    let cancelled = other.cancel_process(&name, "客户不再申请").await.unwrap();
    assert_eq!(cancelled.state(), pb::ProcessState::Cancelled);
    assert_eq!(cancelled.stages.len(), 1, "nothing lies ahead");
    assert_eq!(cancelled.stages[0].state(), pb::ProcessStageState::Cancelled);
}

#[tokio::test]
async fn t22_the_live_stream_tells_of_processes() {
    let world = company().await;
    let mut watcher = world.desk("watcher", STATION, role::CLERK);
    let watch = pb::WatchTicketsRequest { org_unit: STATION.into(), ..Default::default() };
    let mut stream = watcher.tickets.watch_tickets(watch).await.unwrap().into_inner();
    stream.message().await.unwrap();
    let (ticket, name) = started(&world).await;
    // What was committed a moment before may come as well; this comes soon.
    for _ in 0..100 {
        let Some(event) = stream.message().await.unwrap().unwrap().event else { continue };
        let Some(Change::ProcessChanged(changed)) = event.change else { continue };
        assert_eq!((&event.ticket, event.revision), (&ticket, 0));
        assert_eq!((changed.process.unwrap().name, &*changed.method), (name, "StartProcess"));
        return;
    }
    panic!("nothing was told of it");
}

#[tokio::test]
async fn t22_a_cancelled_ticket_takes_its_process_with_it() {
    let world = company().await;
    let (ticket, name) = started(&world).await;
    let cancel = pb::CancelTicketRequest {
        name: ticket.clone(),
        reason: "重复登记".into(),
        ..Default::default()
    };
    world.manager().tickets.cancel_ticket(cancel).await.unwrap();
    world.settle().await;
    let process = fitter(&world).process(&name).await;
    assert_eq!((process.state(), process.due_time), (pb::ProcessState::Cancelled, None));
    assert!(process.cancel_reason.contains("工单已取消"), "{}", process.cancel_reason);
    let ended = "SELECT count(*) FROM journal WHERE action = 'CancelWithTicket'";
    assert_eq!(world.count(ended).await, 1);
    let error = fitter(&world).start_process(&ticket, 5.0, false).await.unwrap_err();
    assert_eq!(missing(&error), [lack("OPEN_TICKET", "ticket")]);
}

#[tokio::test]
async fn t22_a_new_version_of_the_policy_leaves_what_runs_as_it_is() {
    let world = company().await;
    let (_, name) = started(&world).await;
    let mut policy = crate::process::connections();
    policy.process_templates.clear();
    world.admin().apply("group", policy).await.unwrap();
    let mut fitter = fitter(&world);
    let next = fitter.does(&name, "application", &["application-form", "identity"]).await;
    assert_eq!((running(&next), next.stages.len()), (vec!["survey"], 11));
    let ticket = fitter.create(request()).await.name;
    let error = fitter.start_process(&ticket, 5.0, false).await.unwrap_err();
    assert_eq!(crate::world::violations(&error), ["template"]);
}

#[tokio::test]
async fn t22_lists_go_by_template_stage_state_and_ticket_a_page_at_a_time() {
    let world = company().await;
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(started(&world).await);
        world.pass_hours(1).await;
    }
    let mut fitter: Desk = fitter(&world);
    fitter.does(&made[1].1, "application", &["application-form", "identity"]).await;
    world.manager().cancel_process(&made[0].1, "撤回").await.unwrap();
    let all = everything(STATION);
    let newest_first = [&*made[2].1, &*made[1].1, &*made[0].1];
    assert_eq!(fitter.process_list(all.clone()).await, newest_first);
    let survey = pb::ListProcessesRequest { stage: "survey".into(), ..all.clone() };
    assert_eq!(fitter.process_list(survey).await, [&*made[1].1]);
    let over = vec![pb::ProcessState::Cancelled.into()];
    let over = pb::ListProcessesRequest { states: over, ..all.clone() };
    assert_eq!(fitter.process_list(over).await, [&*made[0].1]);
    let of = pb::ListProcessesRequest { ticket: made[2].0.clone(), ..all.clone() };
    assert_eq!(fitter.process_list(of).await, [&*made[2].1]);
    let water = pb::ListProcessesRequest { template: "water".into(), ..all.clone() };
    assert!(fitter.process_list(water).await.is_empty());
    let page = pb::ListProcessesRequest { page_size: 2, ..all };
    let first = fitter.processes.list_processes(page.clone()).await.unwrap().into_inner();
    assert_eq!(first.processes.len(), 2);
    let page_token = first.next_page_token;
    let next = pb::ListProcessesRequest { page_token: page_token.clone(), ..page.clone() };
    assert_eq!(fitter.process_list(next).await, [&*made[0].1]);
    let other = pb::ListProcessesRequest { page_token, overdue: true, ..page };
    let error = fitter.processes.list_processes(other).await.unwrap_err();
    assert_eq!(crate::world::violations(&error), ["page_token"]);
}

#[tokio::test]
async fn x08_a_page_of_long_processes_ends_where_it_is_long() {
    let world = company().await;
    let mut made = Vec::new();
    for _ in 0..6 {
        made.push(started(&world).await.1);
    }
    let mut fitter = fitter(&world);
    for name in &made {
        fitter.hands_in(name, "application", &["identity"]).await;
    }
    // As long as many documents of many stages make it.
    let owner = world.database.owner_pool().unwrap();
    let lengthen = "UPDATE process_stage SET record = jsonb_set(record, '{documents,0,reference}', to_jsonb(repeat('长', 150000)))";
    let longer = sqlx::query(lengthen).execute(&owner).await.unwrap();
    assert_eq!(longer.rows_affected(), 6);
    let mut request = everything(STATION);
    let mut pages = Vec::new();
    for _ in 0..=made.len() {
        let page = fitter.processes.list_processes(request.clone()).await.unwrap().into_inner();
        pages.push(page.processes.into_iter().map(|process| process.name).collect::<Vec<_>>());
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3], "450 kB each");
    let mut all = pages.concat();
    all.sort();
    made.sort();
    assert_eq!(all, made);
}
