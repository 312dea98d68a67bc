//! what a change leaves behind.

use std::sync::Arc;

use kefu_identity::role;
use kefu_journal::{Upstream, conformance};
use serde_json::Value;

use crate::world::{World, complaint, request_id};

#[tokio::test]
async fn x04_the_history_tells_who_when_what_before_and_after() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let ticket = clerk.try_create(complaint("group", "漏水"), request_id(1)).await.unwrap();
    world.manager().respond(&ticket.name).await.unwrap();
    let history = clerk.history(&ticket.name).await;
    let created = &history[0];
    assert_eq!((created.action.as_str(), created.actor.as_str()), ("CreateTicket", "clerk"));
    assert_eq!((created.revision, created.before_json.as_str()), (1, ""));
    assert!(created.origin.contains("127.0.0.1"), "{}", created.origin);
    let after: Value = serde_json::from_str(&created.after_json).unwrap();
    assert_eq!((&after["number"], &after["subject"]), (&ticket.number.into(), &"漏水".into()));
    assert!(after["clocks"]["first-response/1"]["due_at"].is_string());
    let answered = &history[1];
    let before: Value = serde_json::from_str(&answered.before_json).unwrap();
    let after: Value = serde_json::from_str(&answered.after_json).unwrap();
    assert_eq!((&before["state"], &after["state"]), (&"registered".into(), &"in_progress".into()));
    assert_eq!(after["message"], "我们正在处理");
    assert_eq!(before.get("subject"), None, "only what changed");
    let stored = "SELECT count(*) FROM journal WHERE request_id <> ''";
    assert_eq!(world.count(stored).await, 1);
}

#[tokio::test]
async fn x04_the_application_can_delete_nothing_and_change_no_evidence() {
    let world = World::new().await;
    for statement in [
        "DELETE FROM ticket",
        "DELETE FROM ticket_clock",
        "DELETE FROM violation",
        "UPDATE verdict SET value = 1",
        "UPDATE escalation SET reason = ''",
        "UPDATE message SET body = 'x'",
        "UPDATE journal SET actor = 'x'",
    ] {
        let error = sqlx::query(statement).execute(&world.pool).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501", "{statement}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x01_the_feed_conforms() {
    let world = World::empty().await;
    let token = world.bearer("service/survey", "group", role::SERVICE);
    let sign = move |metadata: &mut tonic::metadata::MetadataMap| {
        metadata.insert("authorization", token.clone());
    };
    let subject = conformance::Subject {
        pool: world.pool.clone(),
        upstream: Upstream::new(world.transport(0), Arc::new(sign)),
        clock: Arc::clone(&world.shared_clock),
    };
    conformance::run(&subject).await;
}
