//! T-23: one command for many tickets, with a result for each.

use std::time::Duration;

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::run_bulk_request::Command;
use kefu_identity::role;
use prost::Message as _;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::world::{Desk, World, complaint, reason, request_id, violations};

fn items(names: &[&str]) -> Vec<pb::BulkItem> {
    let item = |name: &&str| pb::BulkItem { ticket: (*name).into(), etag: String::new() };
    names.iter().map(item).collect()
}

fn note(names: &[&str], note: &str, id: &str) -> pb::RunBulkRequest {
    let note = pb::AddTicketNoteRequest { note: note.into(), ..Default::default() };
    pb::RunBulkRequest {
        org_unit: "group".into(),
        items: items(names),
        command: Some(Command::AddNote(note)),
        request_id: id.into(),
    }
}

fn pause(names: &[&str], id: &str) -> pb::RunBulkRequest {
    let pause = pb::PauseTicketRequest { reason: "等待客户".into(), ..Default::default() };
    pb::RunBulkRequest { command: Some(Command::Pause(pause)), ..note(names, "", id) }
}

async fn run(desk: &mut Desk, request: pb::RunBulkRequest) -> pb::RunBulkResponse {
    desk.bulk.run_bulk(request).await.unwrap().into_inner()
}

fn codes(answer: &pb::RunBulkResponse) -> Vec<i32> {
    answer.results.iter().map(|result| result.status.as_ref().unwrap().code).collect()
}

/// What a bulk tells of a ticket, as a call of its own answers it.
fn as_status(item: &pb::ItemStatus) -> Status {
    let code = Code::from_i32(item.code);
    Status::with_details(code, item.message.clone(), item.encode_to_vec().into())
}

async fn tickets(world: &World, count: usize) -> Vec<String> {
    let mut clerk = world.clerk();
    let mut names = Vec::new();
    for number in 0..count {
        names.push(clerk.create(complaint("group/north", &format!("漏水 {number}"))).await.name);
    }
    names
}

async fn actions(desk: &mut Desk, name: &str, action: &str) -> usize {
    desk.history(name).await.iter().filter(|entry| entry.action == action).count()
}

#[tokio::test]
async fn t23_each_ticket_of_a_bulk_gets_what_a_call_of_its_own_would_get() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let fine = clerk.create(complaint("group/north", "甲")).await;
    let changed = clerk.create(complaint("group/north", "乙")).await;
    let elsewhere = clerk.create(complaint("group/south", "丙")).await;
    let ended = clerk.create(complaint("group/north", "丁")).await;
    let mut manager = world.manager();
    let cancel = pb::CancelTicketRequest {
        name: ended.name.clone(),
        reason: "重复".into(),
        ..Default::default()
    };
    manager.tickets.cancel_ticket(cancel).await.unwrap();
    manager.respond(&changed.name).await.unwrap();
    let nobody = format!("tickets/{}", request_id(77));
    let mut north = world.desk("li", "group/north", role::HANDLER);
    let names = [&*fine.name, &*changed.name, &*elsewhere.name, &*ended.name, &*nobody];
    let mut request = pause(&names, "");
    request.org_unit = "group/north".into();
    request.items[1].etag.clone_from(&changed.etag);
    let answer = run(&mut north, request).await;
    assert_eq!(answer.done_count, 1);
    let told: Vec<_> = answer.results.iter().map(|result| &*result.ticket).collect();
    assert_eq!(told, names, "in the order of the request");
    let first = &answer.results[0];
    let now = north.get(&fine.name).await;
    assert_eq!((first.status.as_ref().unwrap().code, &first.etag), (0, &now.etag));
    assert_eq!((first.state(), now.state()), (pb::TicketState::Waiting, pb::TicketState::Waiting));
    let expected =
        [Code::Aborted, Code::PermissionDenied, Code::FailedPrecondition, Code::NotFound];
    for (result, code) in answer.results[1..].iter().zip(expected) {
        let etag = if result.ticket == changed.name { changed.etag.clone() } else { String::new() };
        let alone = pb::PauseTicketRequest {
            name: result.ticket.clone(),
            reason: "等待客户".into(),
            etag,
            ..Default::default()
        };
        let alone = north.tickets.pause_ticket(alone).await.unwrap_err();
        assert_eq!(alone.code(), code);
        let status = result.status.as_ref().unwrap();
        let told = as_status(status);
        assert_eq!((told.code(), told.message()), (alone.code(), alone.message()));
        let info = |status: &Status| {
            let info = status.get_details_error_info().unwrap();
            (info.reason, info.domain, info.metadata)
        };
        assert_eq!(info(&told), info(&alone));
        let lacks = |status: &Status| {
            let failure = status.get_details_precondition_failure();
            format!("{failure:?} {:?}", status.get_details_resource_info())
        };
        assert_eq!(lacks(&told), lacks(&alone));
        assert_eq!((&*result.etag, result.state), ("", 0));
    }
}

#[tokio::test]
async fn x02_a_bulk_that_is_asked_again_goes_on_where_it_was_and_doubles_nothing() {
    let world = World::new().await;
    let names = tickets(&world, 3).await;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut manager = world.manager();
    // The second one waits already.
    run(&mut manager, pause(&names[1..2], "")).await;
    let id = request_id(1);
    let first = run(&mut manager, pause(&names, &id)).await;
    let refused = i32::from(Code::FailedPrecondition);
    assert_eq!(codes(&first), [0, refused, 0]);
    let resume = pb::ResumeTicketRequest { name: names[1].into(), ..Default::default() };
    manager.tickets.resume_ticket(resume).await.unwrap();
    // And the third one went on meanwhile: its part was done, and is not done again.
    let resume = pb::ResumeTicketRequest { name: names[2].into(), ..Default::default() };
    manager.tickets.resume_ticket(resume).await.unwrap();
    let again = run(&mut manager, pause(&names, &id.to_uppercase())).await;
    assert_eq!(codes(&again), [0, 0, 0]);
    assert_eq!(again.results[0], first.results[0], "the first answer");
    assert_eq!(again.results[2], first.results[2], "the first answer, also when it is overtaken");
    let mut counts = Vec::new();
    for name in &names {
        counts.push(actions(&mut manager, name, "PauseTicket").await);
    }
    assert_eq!(counts, [1, 2, 1], "one more for the second before this");
    let other = manager.bulk.run_bulk(note(&names, "别的", &id)).await.unwrap_err();
    assert_eq!(reason(&other), "REQUEST_ID_REUSED");
    let fewer = manager.bulk.run_bulk(pause(&names[..1], &id)).await.unwrap_err();
    assert_eq!(reason(&fewer), "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn x02_the_same_bulk_through_two_replicas_at_once_is_done_once() {
    let mut world = World::new().await;
    world.start_replica().await;
    let names = tickets(&world, 12).await;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let id = request_id(2);
    let mut desks: Vec<Desk> =
        (0..2).map(|replica| world.desk_at(replica, "manager", "group", role::MANAGER)).collect();
    let calls = desks.iter_mut().map(|desk| run(desk, note(&names, "请尽快处理", &id)));
    let answers = futures::future::join_all(calls).await;
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].done_count, 12);
    for name in &names {
        assert_eq!(actions(&mut desks[0], name, "AddTicketNote").await, 1);
    }
}

#[tokio::test]
async fn x08_a_bulk_answers_in_time_and_tells_what_it_did_not_reach() {
    let world = World::new().await;
    let names = tickets(&world, 7).await;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // Somebody is at all of them.
    let mut tx = kefu_postgres::begin(&world.pool).await.unwrap();
    sqlx::query("SELECT FROM ticket FOR UPDATE").execute(&mut *tx).await.unwrap();
    let mut manager = world.manager();
    let id = request_id(3);
    let mut request = Request::new(note(&names, "请尽快处理", &id));
    request.set_timeout(Duration::from_secs(2));
    let answer = manager.bulk.run_bulk(request).await.unwrap().into_inner();
    assert_eq!(answer.done_count, 0);
    let reached: Vec<String> = answer
        .results
        .iter()
        .map(|result| {
            let status = result.status.as_ref().unwrap();
            assert_eq!(status.code, i32::from(Code::DeadlineExceeded));
            let info = as_status(status).get_details_error_info().unwrap();
            assert_eq!(info.reason, "DEADLINE_EXCEEDED");
            info.metadata["reached"].clone()
        })
        .collect();
    assert_eq!(reached, ["true", "true", "true", "true", "false", "false", "false"]);
    tx.rollback().await.unwrap();
    let answer = run(&mut manager, note(&names, "请尽快处理", &id)).await;
    assert_eq!(answer.done_count, 7);
    for name in &names {
        assert_eq!(actions(&mut manager, name, "AddTicketNote").await, 1);
    }
}

#[tokio::test]
async fn x06_all_that_is_wrong_with_a_bulk_is_told_at_once() {
    let world = World::new().await;
    let mut manager = world.manager();
    let ticket = format!("tickets/{}", request_id(9));
    let assess = pb::AssessTicketRequest {
        name: ticket.clone(),
        severity: 2,
        etag: "x".into(),
        request_id: request_id(1),
        validate_only: true,
        ..Default::default()
    };
    let request = pb::RunBulkRequest {
        org_unit: "Group".into(),
        items: vec![
            pb::BulkItem { ticket: ticket.clone(), etag: String::new() },
            pb::BulkItem { ticket: "customers/1".into(), etag: "?".into() },
            pb::BulkItem { ticket: ticket.clone(), etag: String::new() },
        ],
        command: Some(Command::Assess(assess)),
        request_id: "1".into(),
    };
    let mut wrong = violations(&manager.bulk.run_bulk(request).await.unwrap_err());
    wrong.sort();
    let expected = [
        "assess.etag",
        "assess.name",
        "assess.request_id",
        "assess.validate_only",
        "items[1].etag",
        "items[1].ticket",
        "items[2].ticket",
        "org_unit",
        "request_id",
    ];
    assert_eq!(wrong, expected);
    let nothing = pb::RunBulkRequest { org_unit: "group".into(), ..Default::default() };
    let wrong = violations(&manager.bulk.run_bulk(nothing).await.unwrap_err());
    assert_eq!(wrong, ["items", "command"]);
    let many: Vec<String> = (0..201).map(|n| format!("tickets/{}", request_id(n))).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let wrong = violations(&manager.bulk.run_bulk(note(&many, "好", "")).await.unwrap_err());
    assert_eq!(wrong, ["items"]);
    // What is wrong in the command itself, each tells as a call of its own does.
    let ticket = tickets(&world, 1).await;
    let answer = run(&mut manager, note(&[&*ticket[0]], "", "")).await;
    assert_eq!(codes(&answer), [i32::from(Code::InvalidArgument)]);
}

#[tokio::test]
async fn x07_whoever_may_not_work_on_tickets_may_not_work_on_many() {
    let world = World::new().await;
    let ticket = tickets(&world, 1).await;
    for (who, org_unit, role) in
        [("auditor", "group", role::AUDITOR), ("li", "group/south", role::HANDLER)]
    {
        let mut desk = world.desk(who, org_unit, role);
        let refused = desk.bulk.run_bulk(note(&[&*ticket[0]], "好", "")).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{who}");
    }
    // A clerk may note something on many, and give none of them to anybody.
    let mut clerk = world.clerk();
    let assess =
        pb::AssessTicketRequest { severity: 2, reason: "严重".into(), ..Default::default() };
    let request = pb::RunBulkRequest {
        command: Some(Command::Assess(assess)),
        ..note(&[&*ticket[0]], "", "")
    };
    assert_eq!(codes(&run(&mut clerk, request).await), [i32::from(Code::PermissionDenied)]);
    assert_eq!(run(&mut clerk, note(&[&*ticket[0]], "好", "")).await.done_count, 1);
}

fn tagging(add: &[String], remove: &[&str]) -> pb::TagTicketRequest {
    let remove = remove.iter().map(ToString::to_string).collect();
    pb::TagTicketRequest { add: add.to_vec(), remove, ..Default::default() }
}

#[tokio::test]
async fn t23_tags_that_many_add_at_once_are_all_there_one_ticket_or_many_at_a_time() {
    let mut world = World::new().await;
    world.start_replica().await;
    let names = tickets(&world, 2).await;
    let mut desks: Vec<Desk> = (0..8)
        .map(|number| world.desk_at(number % 2, &format!("u{number}"), "group", role::HANDLER))
        .collect();
    let both: Vec<&str> = names.iter().map(String::as_str).collect();
    let calls = desks.iter_mut().enumerate().map(|(number, desk)| {
        let tag = tagging(&[format!("标签{number}"), "共同".into()], &["没有"]);
        let (first, both) = (&names[0], &both);
        async move {
            if number % 2 == 0 {
                desk.tickets
                    .tag_ticket(pb::TagTicketRequest { name: first.clone(), ..tag })
                    .await?;
            } else {
                let command = Some(Command::Tag(tag));
                let done = run(desk, pb::RunBulkRequest { command, ..note(both, "", "") }).await;
                assert_eq!(codes(&done), [0, 0]);
            }
            Ok::<_, Status>(())
        }
    });
    for answer in futures::future::join_all(calls).await {
        answer.unwrap();
    }
    let desk = &mut desks[0];
    let every: Vec<String> = (0..8).map(|number| format!("标签{number}")).collect();
    let odd: Vec<String> = every.iter().skip(1).step_by(2).cloned().collect();
    for (name, mut expected) in names.iter().zip([every, odd]) {
        let mut tags = desk.get(name).await.tags;
        tags.sort();
        expected.push("共同".into());
        expected.sort();
        assert_eq!(tags, expected);
    }
}

#[tokio::test]
async fn t23_a_tag_in_a_bulk_has_the_limits_and_the_etag_of_tag_ticket() {
    let world = World::new().await;
    let names = tickets(&world, 3).await;
    let mut desk = world.desk("li", "group", role::HANDLER);
    let seven: Vec<String> = (0..7).map(|number| format!("标签{number}")).collect();
    let tag = pb::TagTicketRequest { name: names[0].clone(), ..tagging(&seven, &[]) };
    let stale = desk.get(&names[1]).await.etag;
    for name in &names[..2] {
        let tag = pb::TagTicketRequest { name: name.clone(), ..tag.clone() };
        desk.tickets.tag_ticket(tag).await.unwrap();
    }
    let many: Vec<String> = (0..44).map(|number| format!("多{number}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let command = Some(Command::Tag(tagging(&many, &[])));
    let mut request = pb::RunBulkRequest { command, ..note(&all, "", "") };
    request.items[1].etag = stale;
    let answer = run(&mut desk, request).await;
    let expected = [Code::InvalidArgument, Code::Aborted, Code::Ok].map(i32::from);
    assert_eq!(codes(&answer), expected, "7 and 44 are more than 50");
    let too_many = as_status(answer.results[0].status.as_ref().unwrap());
    let alone = pb::TagTicketRequest { name: names[0].clone(), ..tagging(&many, &[]) };
    let alone = desk.tickets.tag_ticket(alone).await.unwrap_err();
    assert_eq!((violations(&too_many), alone.code()), (violations(&alone), too_many.code()));
    assert_eq!(violations(&alone), ["ticket.tags"]);
    assert_eq!(desk.get(&names[0]).await.tags, seven);
    assert_eq!(desk.get(&names[2]).await.tags, many);
    // One event of one kind, whoever tags and however many.
    assert_eq!(actions(&mut desk, &names[0], "UpdateTicket").await, 1);
    assert_eq!(actions(&mut desk, &names[2], "UpdateTicket").await, 1);

    let mut tag = async |add: &[&str], remove: &[&str]| {
        let add: Vec<String> = add.iter().map(ToString::to_string).collect();
        let request = pb::TagTicketRequest { name: names[0].clone(), ..tagging(&add, remove) };
        desk.tickets.tag_ticket(request).await.map(tonic::Response::into_inner)
    };
    assert_eq!(tag(&[], &["标签0", "没有"]).await.unwrap().tags, seven[1..]);
    let error = tag(&["甲"], &["甲", ""]).await.unwrap_err();
    assert_eq!(violations(&error), ["remove[1]", "remove[0]"]);
    assert_eq!(violations(&tag(&[], &[]).await.unwrap_err()), ["add"], "it asks for nothing");
}
