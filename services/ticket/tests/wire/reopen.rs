//! T-13: a dissatisfied customer does not vanish in a closed ticket.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use prost::Message as _;
use tonic::{Code, Status};

use crate::handling::{lacking, world_with};
use crate::pack::{hours, working_days};
use crate::survey::answer;
use crate::world::{Desk, World, clock, complaint, reason, request_id, violations};

/// A world whose policy lets what is closed be reopened for two days.
async fn world() -> World {
    world_with(|policy| policy.reopening = Some(pb::ReopeningRule { within: hours(48) })).await
}

/// A ticket that a verdict has closed.
async fn closed(world: &World) -> pb::Ticket {
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    world.manager().handle(&ticket.name).await;
    world.quality().verdict(&ticket.name, 3).await.unwrap()
}

fn request(name: &str, customer_dissatisfied: bool) -> pb::ReopenTicketRequest {
    pb::ReopenTicketRequest {
        name: name.into(),
        reason: "客户来电：又漏水了".into(),
        customer_dissatisfied,
        ..Default::default()
    }
}

async fn reopen(desk: &mut Desk, name: &str, dissatisfied: bool) -> Result<pb::Ticket, Status> {
    let answer = desk.handling.reopen_ticket(request(name, dissatisfied)).await;
    answer.map(tonic::Response::into_inner)
}

async fn queue(desk: &mut Desk) -> Vec<String> {
    let request = pb::ListQueueRequest { org_unit: "group".into(), ..Default::default() };
    let page = desk.queues.list_queue(request).await.unwrap().into_inner();
    page.entries.into_iter().map(|entry| entry.ticket.unwrap().name).collect()
}

#[tokio::test]
async fn t13_a_closed_ticket_is_reopened_with_a_new_cycle_of_clocks_one_level_up() {
    let world = world().await;
    let ticket = closed(&world).await;
    let mut handler = world.desk("wang", "group", role::HANDLER);
    world.settle().await;
    assert!(queue(&mut handler).await.is_empty());
    for mut desk in
        [world.clerk(), world.quality(), world.desk("wang", "group/north", role::HANDLER)]
    {
        let error = reopen(&mut desk, &ticket.name, true).await.unwrap_err();
        assert_eq!(error.code(), Code::PermissionDenied);
    }
    let open = reopen(&mut handler, &ticket.name, true).await.unwrap();
    assert_eq!(handler.get(&ticket.name).await, open);
    assert_eq!((open.state(), open.cycle), (pb::TicketState::Reopened, 2));
    assert_eq!((open.receiver_level, open.escalations.len()), (ticket.receiver_level + 1, 1));
    assert_eq!(open.escalations[0].cause(), pb::EscalationCause::Verdict);
    assert_eq!(open.verdicts, ticket.verdicts, "the verdict that closed it stays");
    assert_eq!(clock(&open, "first-response", 2).state(), pb::ClockState::Running);
    assert_eq!(clock(&open, "first-response", 1), clock(&ticket, "first-response", 1));
    world.settle().await;
    assert_eq!(queue(&mut handler).await, [ticket.name.clone()]);
    let told: Vec<u8> = sqlx::query_scalar(
        "SELECT event FROM journal WHERE event_type = 'kefu.ticket.v1.TicketReopened'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    let told = pb::TicketReopened::decode(&*told).unwrap();
    assert_eq!((told.verdict, &*told.reason), (None, "客户来电：又漏水了"));
    let last = handler.history(&ticket.name).await.pop().unwrap();
    assert_eq!((&*last.action, &*last.actor), ("ReopenTicket", "wang"));
    // Its life goes on to another verdict, and it can come back again.
    world.manager().handle(&ticket.name).await;
    let closed = world.quality().verdict(&ticket.name, 1).await.unwrap();
    assert_eq!((closed.state(), closed.verdicts.len()), (pb::TicketState::Closed, 2));
    let again = reopen(&mut handler, &ticket.name, false).await.unwrap();
    assert_eq!((again.cycle, again.receiver_level), (3, closed.receiver_level));
}

#[tokio::test]
async fn t13_a_plan_counts_again_when_its_ticket_does() {
    let world = world().await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    let mut manager = world.manager();
    let due = kefu_rpc::to_proto_timestamp(
        kefu_clock::Clock::now(&world.clock) + jiff::SignedDuration::from_hours(1),
    );
    let plan = pb::SetHandlingPlanRequest {
        name: ticket.name.clone(),
        items: vec![pb::PlanItem {
            who: "wang".into(),
            what: "换管".into(),
            due_time: Some(due),
            ..Default::default()
        }],
        ..Default::default()
    };
    manager.handling.set_handling_plan(plan).await.unwrap();
    manager.handle(&ticket.name).await;
    world.quality().verdict(&ticket.name, 3).await.unwrap();
    world.pass_hours(2).await;
    let overdue =
        pb::ListOverduePlanItemsRequest { org_unit: "group".into(), ..Default::default() };
    let listed = async |desk: &mut Desk| {
        let answer = desk.handling.list_overdue_plan_items(overdue.clone()).await;
        answer.unwrap().into_inner().items.len()
    };
    assert_eq!(listed(&mut manager).await, 0, "what ended is not overdue");
    reopen(&mut manager, &ticket.name, false).await.unwrap();
    assert_eq!(listed(&mut manager).await, 1);
}

#[tokio::test]
async fn t13_what_cannot_be_reopened_says_why_and_every_wrong_field_is_named() {
    let world = World::new().await;
    let ticket = closed(&world).await;
    let mut manager = world.manager();
    let error = reopen(&mut manager, &ticket.name, true).await.unwrap_err();
    assert_eq!(lacking(&error), ["REOPENING"]);
    let within = Some(pb::ReopeningRule { within: hours(48) });
    let mut policy = crate::pack::policy();
    policy.reopening = within;
    world.admin().apply("group", policy).await.unwrap();
    let error = reopen(&mut manager, &ticket.name, true).await.unwrap_err();
    assert_eq!(lacking(&error), ["REOPENING"], "by the policy in force when it began (X-10)");
    let open = world.clerk().create(complaint("group", "停电")).await;
    let error = reopen(&mut manager, &open.name, true).await.unwrap_err();
    assert_eq!(lacking(&error), ["CLOSED"]);
    let cancel = pb::CancelTicketRequest {
        name: open.name.clone(),
        reason: "重复".into(),
        ..Default::default()
    };
    manager.tickets.cancel_ticket(cancel).await.unwrap();
    let error = reopen(&mut manager, &open.name, true).await.unwrap_err();
    assert_eq!(lacking(&error), ["CLOSED"]);
    let wrong = pb::ReopenTicketRequest {
        name: "tickets/x".into(),
        etag: "?".into(),
        request_id: "x".into(),
        ..Default::default()
    };
    let error = manager.handling.reopen_ticket(wrong).await.unwrap_err();
    let mut fields = violations(&error);
    fields.sort();
    assert_eq!(fields, ["etag", "name", "reason", "request_id"]);
    let mut policy = crate::pack::policy();
    policy.reopening = Some(pb::ReopeningRule::default());
    let error = world.admin().apply("group", policy).await.unwrap_err();
    assert_eq!(violations(&error), ["policy.reopening.within"]);
}

/// Closed on Friday at half past four in Shanghai: one working day ends on Monday at half past four.
#[tokio::test]
async fn t13_the_time_to_reopen_is_counted_on_the_calendar_of_the_org_unit() {
    let within = working_days(1);
    let world = world_with(|policy| policy.reopening = Some(pb::ReopeningRule { within })).await;
    world.set_time("2026-03-06T08:30:00Z").await;
    let [early, late] = [closed(&world).await, closed(&world).await];
    world.set_time("2026-03-09T08:30:00Z").await;
    reopen(&mut world.manager(), &early.name, false).await.unwrap();
    world.set_time("2026-03-09T08:30:01Z").await;
    let error = reopen(&mut world.manager(), &late.name, false).await.unwrap_err();
    assert_eq!(lacking(&error), ["REOPENING_TIME"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t13_x02_of_many_who_reopen_at_once_one_wins_and_its_retry_gets_its_answer() {
    let mut world = world().await;
    world.start_replica().await;
    let ticket = closed(&world).await;
    let calls: Vec<_> = (0..12_usize)
        .map(|index| {
            let mut desk = world.desk_at(index % 2, "wang", "group", role::HANDLER);
            let request_id = request_id(if index < 4 { 1 } else { 100 + index as u128 });
            let request = pb::ReopenTicketRequest { request_id, ..request(&ticket.name, true) };
            tokio::spawn(async move { desk.handling.reopen_ticket(request).await })
        })
        .collect();
    let mut won = Vec::new();
    for call in calls {
        match call.await.unwrap() {
            Ok(answer) => won.push(answer.into_inner()),
            Err(error) => assert_eq!(lacking(&error), ["CLOSED"]),
        }
    }
    assert!(matches!(won.len(), 1 | 4), "{} won", won.len());
    assert!(won.iter().all(|answer| *answer == won[0]));
    let found = world.manager().get(&ticket.name).await;
    assert_eq!((&found, found.cycle, found.escalations.len()), (&won[0], 2, 1));
    assert_eq!(world.count("SELECT count(*) FROM ticket_reopening").await, 1);
    let stale = pb::ReopenTicketRequest { etag: ticket.etag, ..request(&ticket.name, true) };
    let error = world.manager().handling.reopen_ticket(stale).await.unwrap_err();
    assert_eq!(reason(&error), "ETAG_STALE");
}

#[tokio::test]
async fn t13_a_dissatisfied_answer_that_comes_after_the_close_opens_the_ticket_again() {
    let world = world_with(|policy| {
        policy.reopening = Some(pb::ReopeningRule { within: hours(48) });
        policy.contact_attempts =
            Some(pb::ContactAttemptRule { failed_attempts: 1, ..Default::default() });
    })
    .await;
    // One that a call has judged, one that was closed because nobody could be reached.
    let judged = closed(&world).await;
    let silent = world.clerk().create(complaint("group", "停水")).await;
    world.manager().handle(&silent.name).await;
    let mut quality = world.quality();
    let attempt = pb::RecordContactAttemptRequest {
        name: silent.name.clone(),
        attempt: Some(pb::ContactAttempt {
            channel: pb::TicketChannel::Phone.into(),
            note: "无人接听".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    quality.handling.record_contact_attempt(attempt).await.unwrap();
    let close = pb::CloseTicketRequest {
        name: silent.name.clone(),
        reason: "联系不上".into(),
        ..Default::default()
    };
    quality.handling.close_ticket(close).await.unwrap();
    world.pass_hours(24).await;
    for (number, name) in [(1, &judged.name), (2, &silent.name)] {
        world.tell("invitation", number, 1, &answer(number, name, 1, 5)).await;
        world.tell("invitation", number, 2, &answer(number, name, 1, 5)).await;
    }
    world.settle().await;
    for name in [&judged.name, &silent.name] {
        let open = quality.get(name).await;
        assert_eq!(
            (open.state(), open.cycle, open.receiver_level),
            (pb::TicketState::Reopened, 2, 2)
        );
        assert_eq!(open.close_reason, "");
        assert!(open.escalations[0].reason.contains("还是漏水"), "{:?}", open.escalations);
        let actions: Vec<_> = quality
            .history(name)
            .await
            .into_iter()
            .map(|entry| (entry.action, entry.actor))
            .collect();
        let last: Vec<_> = actions.iter().rev().take(2).map(|(a, by)| (&**a, &**by)).collect();
        assert_eq!(last, [("ReopenTicket", "system/survey"), ("NoteLateAnswer", "system/survey")]);
    }
    let told: Vec<u8> = sqlx::query_scalar(
        "SELECT event FROM journal WHERE event_type = 'kefu.ticket.v1.TicketAnsweredLate' ORDER BY seq LIMIT 1",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    let told = pb::TicketAnsweredLate::decode(&*told).unwrap();
    assert_eq!((&told.ticket, told.cycle, told.value), (&judged.name, 1, 5));
    assert!(told.dissatisfied);
    assert_eq!(told.comment, "还是漏水");
    let until: Vec<u8> = sqlx::query_scalar(
        "SELECT event FROM journal WHERE event_type = 'kefu.ticket.v1.TicketClosed' AND action = 'CloseTicket'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert!(pb::TicketClosed::decode(&*until).unwrap().reopen_until_time.is_some());
}

#[tokio::test]
async fn t13_an_answer_after_the_time_or_a_contented_one_is_seen_and_reopens_nothing() {
    let world = world().await;
    let [content, late] = [closed(&world).await, closed(&world).await];
    world.tell("invitation", 1, 1, &answer(1, &content.name, 1, 2)).await;
    world.pass_hours(49).await;
    world.tell("invitation", 2, 1, &answer(2, &late.name, 1, 5)).await;
    world.settle().await;
    let mut clerk = world.clerk();
    for name in [&content.name, &late.name] {
        let found = clerk.get(name).await;
        assert_eq!((found.state(), found.cycle), (pb::TicketState::Closed, 1));
        let last = clerk.history(name).await.pop().unwrap();
        assert_eq!(last.action, "NoteLateAnswer");
        assert!(last.after_json.contains("还是漏水"), "{}", last.after_json);
    }
}
