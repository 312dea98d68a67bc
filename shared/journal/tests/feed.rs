//! The feed over a real socket.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests, too")]

mod support;

use kefu_api::feed::v1::SubscribeRequest;
use kefu_identity::role;
use kefu_journal::conformance::{self, Subject};
use kefu_journal::{Cursor, FeedError, MIGRATOR, Position, Start};
use sqlx::Connection as _;
use support::Bench;
use tonic::Code;
use tonic_types::StatusExt as _;

#[tokio::test]
async fn x01_x02_x04_the_feed_conforms() {
    let bench = Bench::new().await;
    let feed = bench.serve_to_contexts().await;
    let (pool, clock) = (bench.pool.clone(), bench.clock.clone());
    conformance::run(&Subject { pool, upstream: feed.upstream, clock }).await;
}

#[tokio::test]
async fn x07_only_contexts_read_the_feed() {
    let bench = Bench::new().await;
    for role in [role::CLERK, role::DIRECTOR, role::HEADQUARTERS, role::AUDITOR] {
        let feed = bench.serve(role).await;
        let refusal = feed.upstream.subscribe(SubscribeRequest::default()).await.unwrap_err();
        assert_eq!(refusal.code(), Code::PermissionDenied, "{role}");
        assert_eq!(
            feed.upstream.head().await.unwrap_err().code(),
            Code::PermissionDenied,
            "{role}"
        );
    }
}

#[tokio::test]
async fn x06_all_wrong_fields_of_a_subscription_are_named() {
    let bench = Bench::new().await;
    let feed = bench.serve_to_contexts().await;
    let request = SubscribeRequest {
        cursor: "nonsense 🙂".to_owned(),
        event_types: vec!["x".to_owned(); 51],
        max_batch_size: -1,
    };
    let refusal = feed.upstream.subscribe(request).await.unwrap_err();
    assert_eq!(refusal.code(), Code::InvalidArgument);
    let details = refusal.get_details_bad_request().unwrap();
    let fields: Vec<_> = details.field_violations.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["cursor", "event_types", "max_batch_size"]);
}

#[tokio::test]
async fn x01_a_quiet_feed_says_at_once_that_this_is_all() {
    let bench = Bench::new().await;
    let feed = bench.serve_to_contexts().await;
    let mut stream = feed.upstream.subscribe(SubscribeRequest::default()).await.unwrap();
    let first = stream.message().await.unwrap().unwrap();
    assert!(first.caught_up && first.events.is_empty());
    let id = bench.commit_one().await;
    feed.tail.wake();
    let second = stream.message().await.unwrap().unwrap();
    assert_eq!(second.events[0].id, id.to_string());
    assert!(second.caught_up);
}

#[tokio::test]
async fn x01_a_reader_behind_the_ring_reads_pages_and_then_follows() {
    let bench = Bench::new().await;
    let before: Vec<_> = commit_in_thousands(&bench, 3).await;
    let feed = bench.serve_to_contexts().await;
    let mut follow = feed.tail.follow(Start::Oldest, 700).await.unwrap();
    let mut read = Vec::new();
    // Other tests write to the same server: what they have not committed may hide the end for a while.
    while read.len() < before.len() || !follow.is_caught_up() {
        let batch = follow.next().await.unwrap();
        assert!(batch.events.len() <= 700);
        read.extend(batch.events.iter().map(|event| event.event_id));
    }
    assert_eq!(read, before);
    let after = commit_in_thousands(&bench, 3).await;
    feed.tail.wake();
    while read.len() < before.len() + after.len() {
        read.extend(follow.next().await.unwrap().events.iter().map(|event| event.event_id));
    }
    assert_eq!(read[before.len()..], after);
}

async fn commit_in_thousands(bench: &Bench, thousands: usize) -> Vec<uuid::Uuid> {
    let mut ids = Vec::new();
    let mut conn = bench.pool.acquire().await.unwrap();
    for _ in 0..thousands {
        let entries: Vec<_> = (0..1_000).map(|_| bench.entry(bench.ids.uuid(), 1)).collect();
        kefu_journal::append(&mut conn, &entries).await.unwrap();
        ids.extend(entries.iter().map(|entry| entry.event_id));
    }
    ids
}

#[tokio::test]
async fn x01_a_live_stream_resumes_from_its_token_and_ends_at_shutdown() {
    let bench = Bench::new().await;
    bench.commit_one().await;
    let feed = bench.serve_to_contexts().await;
    let mut live = feed.tail.follow(Start::Now, 10).await.unwrap();
    assert!(live.next().await.unwrap().events.is_empty(), "the past is not live");
    let token: Cursor = live.cursor().to_string().parse().unwrap();
    drop(live);
    let missed = bench.commit_one().await;
    feed.tail.wake();
    let mut resumed = feed.tail.follow(Start::After(token), 10).await.unwrap();
    let mut events = Vec::new();
    while events.is_empty() {
        events = resumed.next().await.unwrap().events;
    }
    assert_eq!(events[0].event_id, missed);
    feed.shutdown.cancel();
    let end = loop {
        if let Err(end) = resumed.next().await {
            break end;
        }
    };
    assert!(matches!(end, FeedError::Closed));
    assert!(matches!(feed.tail.follow(Start::Now, 1).await, Err(FeedError::Closed)));
}

#[tokio::test]
async fn x01_a_copied_database_is_another_feed() {
    let bench = Bench::new().await;
    bench.commit_one().await;
    let cursor = bench.serve_to_contexts().await.tail.follow(Start::Now, 1).await.unwrap().cursor();
    let copy = Bench::new().await;
    // What a restored dump brings along.
    sqlx::query("INSERT INTO feed_identity VALUES (1, 1, 1, $1)")
        .bind(cursor.feed)
        .execute(&copy.database.owner_pool().unwrap())
        .await
        .unwrap();
    let feed = copy.serve_to_contexts().await;
    let refusal = feed.tail.follow(Start::After(cursor), 1).await.unwrap_err();
    assert!(matches!(refusal, FeedError::ForeignCursor { feed } if feed != cursor.feed));
}

#[tokio::test]
async fn x01_a_dump_from_an_older_cluster_is_renumbered_in_order() {
    let bench = Bench::new().await;
    let aggregate = bench.ids.uuid();
    let first = bench.entry(aggregate, 1);
    let second = bench.entry(aggregate, 2);
    let mut owner = bench.database.owner_pool().unwrap().acquire().await.unwrap().detach();
    for entry in [&first, &second] {
        kefu_journal::append(&mut owner, std::slice::from_ref(entry)).await.unwrap();
    }
    assert_eq!(kefu_journal::rebase_restored(&mut owner).await.unwrap(), 0);
    // As if this cluster had begun to count only now.
    let mut tx = owner.begin().await.unwrap();
    for statement in [
        "ALTER TABLE journal DISABLE TRIGGER journal_append_only",
        "UPDATE journal SET xid = ((xid::text::bigint + (1::bigint << 40)))::text::xid8",
        "ALTER TABLE journal ENABLE TRIGGER journal_append_only",
    ] {
        sqlx::query(statement).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    let unserved = bench.serve_to_contexts().await;
    assert!(matches!(unserved.tail.follow(Start::Oldest, 1).await, Err(FeedError::NotReady)));

    assert_eq!(kefu_journal::rebase_restored(&mut owner).await.unwrap(), 2);
    let third = bench.entry(aggregate, 3);
    kefu_journal::append(&mut owner, std::slice::from_ref(&third)).await.unwrap();
    let feed = bench.serve_to_contexts().await;
    let mut follow = feed.tail.follow(Start::Oldest, 10).await.unwrap();
    let mut revisions = Vec::new();
    while revisions.len() < 3 {
        revisions.extend(follow.next().await.unwrap().events.iter().map(|event| event.revision));
    }
    assert_eq!(revisions, [1, 2, 3]);
    let statement = "UPDATE journal SET actor = 'x'";
    sqlx::query(statement).execute(&mut owner).await.unwrap_err();
}

#[tokio::test]
async fn x04_the_migrations_leave_the_application_only_what_it_needs() {
    let bench = Bench::new().await;
    let mut rights: Vec<(String, String)> = sqlx::query_as(
        "SELECT table_name::text, string_agg(privilege_type, ',' ORDER BY privilege_type)
         FROM information_schema.table_privileges
         WHERE grantee = 'kefu_journal' AND table_schema = 'journal' GROUP BY 1",
    )
    .fetch_all(&bench.pool)
    .await
    .unwrap();
    rights.retain(|(table, _)| table != &*MIGRATOR.table_name);
    rights.sort();
    let expected = [
        ("feed_cursor", "INSERT,SELECT,UPDATE"),
        ("feed_identity", "INSERT,SELECT"),
        ("journal", "INSERT,SELECT"),
        ("request", "DELETE,INSERT,SELECT,UPDATE"),
    ];
    let rights: Vec<_> = rights.iter().map(|(t, r)| (t.as_str(), r.as_str())).collect();
    assert_eq!(rights, expected);
}

#[tokio::test]
async fn x01_an_empty_journal_has_its_head_at_the_start() {
    let bench = Bench::new().await;
    let feed = bench.serve_to_contexts().await;
    assert_eq!(feed.upstream.head().await.unwrap().position, Position::START);
}
