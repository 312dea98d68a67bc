//! T-07, T-12, T-19: what happens when a promise is broken.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use prost::Message as _;

use crate::handling::world_with;
use crate::world::{World, at, clock, complaint};

#[tokio::test]
async fn t07_a_breach_is_recorded_with_violation_and_escalation() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let ticket = clerk.create(complaint("group/north", "漏水")).await;
    world.set_time("2026-03-03T01:59:59Z").await;
    assert_eq!(
        clock(&clerk.get(&ticket.name).await, "first-response", 1).state(),
        pb::ClockState::Running
    );
    world.set_time("2026-03-03T02:00:00Z").await;
    let broken = clerk.get(&ticket.name).await;
    let first = clock(&broken, "first-response", 1);
    assert_eq!(
        (first.state(), first.breach_time),
        (pb::ClockState::Breached, at("2026-03-03T02:00:00Z"))
    );
    assert_eq!(broken.receiver_level, 2);
    let form = &broken.escalations[0];
    assert_eq!((form.cause(), form.from_level, form.to_level), (pb::EscalationCause::Breach, 1, 2));
    let violations = clerk.violations("group").await;
    assert_eq!(violations.len(), 1);
    let violation = &violations[0];
    assert_eq!(
        (violation.code.as_str(), violation.staff.as_str()),
        ("late-first-response", "clerk")
    );
    assert_eq!((violation.amount_cents, violation.currency.as_str()), (5_000, "CNY"));
    assert_eq!((&violation.ticket, &*violation.org_unit), (&ticket.name, "group/north"));
    assert_eq!(violation.description.as_ref().unwrap().zh, "首次回复超时");
    let actions: Vec<_> =
        clerk.history(&ticket.name).await.into_iter().map(|e| (e.action, e.actor)).collect();
    let timers = "system/timers";
    let expected = [("CreateTicket", "clerk"), ("WarnClock", timers), ("BreachClock", timers)]
        .map(|(action, actor)| (action.to_owned(), actor.to_owned()));
    assert_eq!(actions, expected);
}

#[tokio::test]
async fn t05_a_broken_promise_says_who_was_answerable_also_without_a_violation() {
    let world = world_with(|policy| {
        policy.clocks[0].breach_violation.clear();
        policy.violations.clear();
    })
    .await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    assert_eq!(clock(&ticket, "first-response", 1).breach_answerable, "");
    world.pass_hours(1).await;
    let mut wang = world.desk("wang", "group", role::HANDLER);
    wang.resolve(&ticket.name).await.unwrap();
    // The first answer was due after 24 hours, the feedback of what wang did after 49.
    world.pass_hours(60).await;
    let who = |ticket: &pb::Ticket| {
        ["first-response", "result-feedback"]
            .map(|rule| clock(ticket, rule, 1).breach_answerable.clone())
    };
    let broken = world.clerk().get(&ticket.name).await;
    assert_eq!(who(&broken), ["clerk", "wang"]);
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 0);
    // Others hear it, and it stays so whoever has it later, in its next cycle as well.
    let told: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT event FROM journal WHERE event_type = 'kefu.ticket.v1.TicketClockBreached' ORDER BY revision",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let told = told.iter().map(|event| pb::TicketClockBreached::decode(&**event).unwrap());
    let told: Vec<_> = told.map(|told| told.clock.unwrap().breach_answerable).collect();
    assert_eq!(told, ["clerk", "wang"]);
    world.manager().feed_back(&ticket.name).await.unwrap();
    world.quality().verdict(&ticket.name, 5).await.unwrap();
    world.manager().respond(&ticket.name).await.unwrap();
    let later = world.clerk().get(&ticket.name).await;
    assert_eq!(who(&later), ["clerk", "wang"]);
    assert_eq!(clock(&later, "first-response", 2).breach_answerable, "");
}

#[tokio::test]
async fn t07_an_answer_in_time_keeps_the_promise() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    world.pass_hours(23).await;
    let answered = world.manager().respond(&ticket.name).await.unwrap();
    assert_eq!(clock(&answered, "first-response", 1).state(), pb::ClockState::Met);
    world.pass_hours(5).await;
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 0);
}

#[tokio::test]
async fn t07_a_reply_stops_the_clock_as_of_when_it_was_sent() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    world.pass_hours(30).await;
    let request = pb::RespondTicketRequest {
        name: ticket.name.clone(),
        message: "已于昨日电话回复".into(),
        send_time: at("2026-03-02T10:00:00Z"),
        ..Default::default()
    };
    let answered = world.manager().tickets.respond_ticket(request).await.unwrap().into_inner();
    let first = clock(&answered, "first-response", 1);
    assert_eq!(
        (first.state(), first.fulfill_time),
        (pb::ClockState::Met, at("2026-03-02T10:00:00Z"))
    );
    assert!(first.breach_time.is_some(), "the breach stays on record");
    assert_eq!(answered.first_response_time, at("2026-03-02T10:00:00Z"));
}

#[tokio::test]
async fn t07_tickets_that_nobody_understands_keep_no_other_waiting() {
    let world = World::new().await;
    // More than the timers look at in one round, and all due before the sound one.
    for _ in 0..10 {
        let calls = (0..30).map(|_| {
            let mut desk = world.clerk();
            async move { desk.create(complaint("group", "漏水")).await }
        });
        futures::future::join_all(calls).await;
    }
    let broken = "UPDATE ticket_clock SET rule = 'gone' WHERE rule = 'first-response'";
    sqlx::query(broken).execute(&world.pool).await.unwrap();
    world.pass_hours(1).await;
    let sound = world.clerk().create(complaint("group", "漏水")).await;
    world.clock.set("2026-03-03T03:00:00Z".parse().unwrap()).unwrap();
    let settle = kefu_api::clock::v1::SettleRequest::default();
    let mut operator = world.desk("operator", "group", role::OPERATOR);
    let refusal = operator.clock.settle(settle).await.unwrap_err();
    assert_eq!(refusal.code(), tonic::Code::Internal, "not everything is done");
    let late = world.clerk().get(&sound.name).await;
    assert_eq!(clock(&late, "first-response", 1).breach_time, at("2026-03-03T03:00:00Z"));
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 1);
    // Once they are repaired they are fired without anybody's doing.
    let repaired = "UPDATE ticket_clock SET rule = 'first-response' WHERE rule = 'gone'";
    sqlx::query(repaired).execute(&world.pool).await.unwrap();
    world.settle().await;
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 301);
}

#[tokio::test]
async fn t07_what_the_database_refuses_for_one_ticket_happens_to_those_beside_it() {
    let world = World::new().await;
    let mut tickets = Vec::new();
    for _ in 0..3 {
        tickets.push(world.clerk().create(complaint("group", "漏水")).await.name);
    }
    // A form where the breach of the second one will put its own: the transaction that takes all three is refused.
    let id: uuid::Uuid = tickets[1].strip_prefix("tickets/").unwrap().parse().unwrap();
    let form = "INSERT INTO escalation
                    (ticket_id, position, cause, from_level, to_level, cycle, reason, escalated_at)
                VALUES ($1, 1, 'manager', 1, 1, 1, 'x', now())";
    sqlx::query(form).bind(id).execute(&world.pool).await.unwrap();
    world.clock.set("2026-03-03T03:00:00Z".parse().unwrap()).unwrap();
    let mut operator = world.desk("operator", "group", role::OPERATOR);
    let settle = kefu_api::clock::v1::SettleRequest::default();
    operator.clock.settle(settle).await.unwrap_err();
    let mut states = Vec::new();
    for name in &tickets {
        states.push(clock(&world.clerk().get(name).await, "first-response", 1).state());
    }
    use pb::ClockState::{Breached, Running};
    assert_eq!(states, [Breached, Running, Breached]);
    let of_the_refused = "SELECT count(*) FROM journal WHERE action <> 'CreateTicket'
                          AND aggregate_id = (SELECT ticket_id FROM escalation WHERE reason = 'x')";
    assert_eq!(world.count(of_the_refused).await, 0, "nothing is half done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t07_two_replicas_record_each_breach_once() {
    let mut world = World::new().await;
    world.start_replica().await;
    world.start_replica().await;
    let mut clerk = world.clerk();
    for index in 0..40 {
        clerk.create(complaint("group/north", &format!("投诉 {index}"))).await;
    }
    // One call moves the clock that all replicas share: the timers of all of them wake.
    world.pass_hours(24 * 10).await;
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 40);
    assert_eq!(world.count("SELECT count(DISTINCT ticket_id) FROM violation").await, 40);
    assert_eq!(world.count("SELECT count(*) FROM escalation").await, 40);
    let breaches = "SELECT count(*) FROM journal WHERE action = 'BreachClock'";
    assert_eq!(world.count(breaches).await, 80, "first response and resolution of each");
    assert_eq!(
        world.count("SELECT count(*) FROM ticket_clock WHERE next_fire_at IS NOT NULL").await,
        0
    );
}

#[tokio::test]
async fn t07_a_breach_during_downtime_is_recorded_as_of_its_deadline() {
    let mut world = World::new().await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    world.replicas.remove(0).stop().await.unwrap();
    world.clock.set("2026-03-20T00:00:00Z".parse().unwrap()).unwrap();
    world.start_replica().await;
    world.settle().await;
    let late = world.clerk().get(&ticket.name).await;
    assert_eq!(clock(&late, "first-response", 1).breach_time, at("2026-03-03T02:00:00Z"));
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t07_a_transaction_that_was_cut_leaves_nothing_and_all_of_it_is_done_once_after() {
    let mut world = World::new().await;
    world.start_replica().await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    // Whoever records the breach has written ticket, clock and form, and waits to put the violation beside them.
    let mut held = kefu_postgres::begin(&world.pool).await.unwrap();
    sqlx::query("LOCK TABLE violation IN SHARE MODE").execute(&mut *held).await.unwrap();
    world.clock.set("2026-03-04T00:00:00Z".parse().unwrap()).unwrap();
    const WAITING: &str =
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'violation'::regclass";
    let mut looks = 0;
    while world.count(WAITING).await == 0 {
        looks += 1;
        assert!(looks < 60_000, "nobody records the breach");
    }
    // Then its connection is cut.
    let cut = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_locks
               WHERE NOT granted AND relation = 'violation'::regclass";
    assert_eq!(world.count(cut).await, 1, "one of the replicas does it");
    let half_done = "SELECT (SELECT count(*) FROM escalation) + (SELECT count(*) FROM violation)
        + (SELECT count(*) FROM ticket WHERE revision > 1 OR receiver_level > 1)
        + (SELECT count(*) FROM ticket_clock WHERE breached_at IS NOT NULL)
        + (SELECT count(*) FROM journal WHERE action <> 'CreateTicket' AND aggregate_type = 'ticket')";
    assert_eq!(world.count(half_done).await, 0);
    held.rollback().await.unwrap();
    world.settle().await;
    let broken = world.clerk().get(&ticket.name).await;
    assert_eq!((broken.receiver_level, broken.escalations.len()), (2, 1));
    let first = clock(&broken, "first-response", 1);
    assert_eq!(first.breach_time, at("2026-03-03T02:00:00Z"), "as of its deadline");
    assert_eq!(world.count("SELECT count(*) FROM violation").await, 1);
    let breaches = "SELECT count(*) FROM journal WHERE action = 'BreachClock'";
    assert_eq!(world.count(breaches).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t07_a_command_that_races_a_timer_changes_nothing_twice() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let mut tickets = Vec::new();
    for _ in 0..20 {
        tickets.push(clerk.create(complaint("group", "漏水")).await.name);
    }
    world.clock.set("2026-03-03T02:00:00Z".parse().unwrap()).unwrap();
    let answers: Vec<_> = tickets
        .iter()
        .map(|name| {
            let (mut desk, name) = (world.desk("wang", "group", role::HANDLER), name.clone());
            tokio::spawn(async move { desk.respond(&name).await.unwrap() })
        })
        .collect();
    for answer in answers {
        answer.await.unwrap();
    }
    world.settle().await;
    for name in &tickets {
        let ticket = clerk.get(name).await;
        let first = clock(&ticket, "first-response", 1);
        assert!(first.fulfill_time.is_some());
        assert_eq!(ticket.escalations.len(), usize::from(first.breach_time.is_some()));
        let history = clerk.history(name).await;
        let revisions: Vec<_> = history.iter().map(|entry| entry.revision).collect();
        assert_eq!(revisions, (1..=i64::try_from(history.len()).unwrap()).collect::<Vec<_>>());
    }
}
