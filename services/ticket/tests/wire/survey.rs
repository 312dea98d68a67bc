//! T-13, S-08: verdicts that customers give by answering a survey.

use kefu_api::survey::v1::CallBackAnswered;
use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use prost::Message as _;
use uuid::Uuid;

use crate::world::{World, complaint};

pub fn answer(number: u128, ticket: &str, cycle: i32, verdict: i32) -> CallBackAnswered {
    CallBackAnswered {
        answer: format!("answers/{}", Uuid::from_u128(number)),
        ticket: ticket.into(),
        ticket_cycle: cycle,
        verdict,
        comment: "还是漏水".into(),
        ..CallBackAnswered::default()
    }
}

#[tokio::test]
async fn t13_a_survey_answer_is_a_verdict() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    world.manager().handle(&ticket.name).await;
    world.tell("invitation", 1, 1, &answer(1, &ticket.name, 1, 4)).await;
    world.settle().await;
    let reopened = world.clerk().get(&ticket.name).await;
    assert_eq!((reopened.state(), reopened.cycle), (pb::TicketState::Reopened, 2));
    let verdict = &reopened.verdicts[0];
    assert_eq!(
        (verdict.source(), verdict.recorded_by.as_str()),
        (pb::VerdictSource::Survey, "system/survey")
    );
    assert_eq!(verdict.comment, "还是漏水");
}

/// The survey context refuses all of them its token and its answer, as this one refuses them the call-back.
#[tokio::test]
async fn t13_s05_events_name_everybody_who_handled_the_cycle() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    let [mut wang, mut li] =
        ["wang", "li"].map(|subject| world.desk(subject, "group", role::MANAGER));
    wang.respond(&ticket.name).await.unwrap();
    li.resolve(&ticket.name).await.unwrap();
    li.feed_back(&ticket.name).await.unwrap();
    let told: Vec<u8> = sqlx::query_scalar(
        "SELECT event FROM journal WHERE event_type = 'kefu.ticket.v1.TicketResultFedBack'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    let told = pb::TicketResultFedBack::decode(&*told).unwrap().ticket.unwrap();
    assert_eq!((told.handler.as_str(), told.cycle), ("li", 1));
    assert_eq!(told.cycle_handlers, ["wang", "li"]);
    for handler in [&mut wang, &mut li] {
        let refused = handler.verdict(&ticket.name, 1).await.unwrap_err();
        assert_eq!(crate::world::reason(&refused), "SEPARATION_OF_DUTIES");
    }
}

#[tokio::test]
async fn t13_a_second_or_late_answer_changes_nothing_and_is_on_record() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    world.manager().handle(&ticket.name).await;
    world.tell("invitation", 1, 1, &answer(1, &ticket.name, 1, 4)).await;
    world.tell("invitation", 2, 1, &answer(1, &ticket.name, 1, 4)).await;
    world.tell("invitation", 3, 1, &answer(2, &ticket.name, 1, 1)).await;
    world.tell("invitation", 4, 1, &answer(3, &ticket.name, 2, 9)).await;
    world.tell("invitation", 5, 1, &answer(4, &format!("tickets/{}", Uuid::nil()), 1, 1)).await;
    world.settle().await;
    let found = world.clerk().get(&ticket.name).await;
    assert_eq!((found.cycle, found.verdicts.len()), (2, 1));
    let taken = "SELECT count(*) FROM journal WHERE action = 'TakeAnswer'";
    let ignored = "SELECT count(*) FROM journal WHERE action = 'IgnoreAnswer'";
    assert_eq!((world.count(taken).await, world.count(ignored).await), (1, 1));
    let late = "SELECT count(*) FROM journal WHERE action = 'NoteLateAnswer' AND aggregate_type = 'survey_answer'";
    assert_eq!(world.count(late).await, 1, "the ticket's history has it");
}

#[tokio::test]
async fn t13_a_feed_that_is_read_again_from_its_beginning_doubles_nothing() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    world.manager().handle(&ticket.name).await;
    world.tell("invitation", 1, 1, &answer(1, &ticket.name, 1, 4)).await;
    world.settle().await;
    let before = world.count("SELECT count(*) FROM journal").await;
    kefu_journal::reset_cursor(&world.pool, "ticket-survey-verdicts", "survey").await.unwrap();
    let mut world = world;
    world.replicas.remove(0).stop().await.unwrap();
    world.start_replica().await;
    world.settle().await;
    assert_eq!(world.count("SELECT count(*) FROM journal").await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t13_a_call_and_an_answer_at_once_are_one_verdict() {
    let world = World::new().await;
    let mut tickets = Vec::new();
    for index in 0..10_u128 {
        let ticket = world.clerk().create(complaint("group", "漏水")).await;
        world.manager().handle(&ticket.name).await;
        tickets.push((index, ticket.name));
    }
    let calls: Vec<_> = tickets
        .iter()
        .map(|(_, name)| {
            let (mut desk, name) = (world.desk("quality", "group", role::QUALITY), name.clone());
            tokio::spawn(async move { desk.verdict(&name, 2).await })
        })
        .collect();
    for (index, name) in &tickets {
        world.tell("invitation", *index, 1, &answer(*index, name, 1, 2)).await;
    }
    for call in calls {
        // The answer may have been faster; then the ticket is closed already.
        if let Err(error) = call.await.unwrap() {
            assert_eq!(error.code(), tonic::Code::FailedPrecondition);
        }
    }
    world.settle().await;
    for (_, name) in &tickets {
        let ticket = world.clerk().get(name).await;
        assert_eq!((ticket.state(), ticket.verdicts.len()), (pb::TicketState::Closed, 1));
    }
}
