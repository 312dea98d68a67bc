//! The audit trail: written whole, in order, with its change, and never changed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests, too")]

mod support;

use kefu_journal::{PublicEvent, append};
use kefu_postgres::StoreError;
use serde_json::json;
use support::Bench;

#[tokio::test]
async fn x04_a_row_tells_who_when_from_where_before_and_after() {
    let mut bench = Bench::new().await;
    bench.by.actor_org_unit = "group/north".to_owned();
    bench.by.origin = "192.0.2.7 (desk/1.0)".to_owned();
    bench.by.request_id = "r-1".to_owned();
    bench.by.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
    let (id, customer) = (bench.ids.uuid(), bench.ids.uuid());
    let mut entry = bench.entry(id, 7);
    entry.customer_id = Some(customer);
    entry.before = Some(json!({"level": 1}));
    entry.after = Some(json!({"level": 2, "note": "升级"}));
    entry.event = Some(PublicEvent { type_name: "kefu.x.v1.Y".to_owned(), payload: vec![0, 255] });
    let mut conn = bench.pool.acquire().await.unwrap();
    append(&mut conn, &[entry.clone()]).await.unwrap();

    let row: serde_json::Value =
        sqlx::query_scalar("SELECT to_jsonb(j) - 'seq' - 'xid' FROM journal j")
            .fetch_one(&bench.pool)
            .await
            .unwrap();
    let expected = json!({
        "event_id": entry.event_id, "occurred_at": "2026-03-02T09:00:00+00:00", "actor": "anna",
        "actor_org_unit": "group/north", "origin": "192.0.2.7 (desk/1.0)", "request_id": "r-1",
        "traceparent": bench.by.traceparent, "aggregate_type": "thing", "aggregate_id": id, "revision": 7,
        "action": "thing.Change", "org_unit": "group/north", "customer_id": customer,
        "before": {"level": 1}, "after": {"level": 2, "note": "升级"},
        "event_type": "kefu.x.v1.Y", "event": "\\x00ff",
    });
    assert_eq!(row, expected);
}

#[tokio::test]
async fn x01_many_entries_are_one_statement_in_their_order() {
    let bench = Bench::new().await;
    let entries: Vec<_> = (0..500).map(|_| bench.entry(bench.ids.uuid(), 1)).collect();
    let mut conn = bench.pool.acquire().await.unwrap();
    append(&mut conn, &entries).await.unwrap();
    append(&mut conn, &[]).await.unwrap();
    let stored: Vec<uuid::Uuid> = sqlx::query_scalar("SELECT event_id FROM journal ORDER BY seq")
        .fetch_all(&bench.pool)
        .await
        .unwrap();
    assert_eq!(stored, entries.iter().map(|entry| entry.event_id).collect::<Vec<_>>());
    let transactions: i64 = sqlx::query_scalar("SELECT count(DISTINCT xid::text) FROM journal")
        .fetch_one(&bench.pool)
        .await
        .unwrap();
    assert_eq!(transactions, 1);
}

#[tokio::test]
async fn x01_a_change_that_is_rolled_back_leaves_no_row() {
    let bench = Bench::new().await;
    let mut tx = kefu_postgres::begin(&bench.pool).await.unwrap();
    append(&mut tx, &[bench.entry(bench.ids.uuid(), 1)]).await.unwrap();
    tx.rollback().await.unwrap();
    let rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM journal").fetch_one(&bench.pool).await.unwrap();
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn x03_the_same_revision_cannot_be_written_twice() {
    let bench = Bench::new().await;
    let id = bench.ids.uuid();
    let mut conn = bench.pool.acquire().await.unwrap();
    append(&mut conn, &[bench.entry(id, 1)]).await.unwrap();
    let error = append(&mut conn, &[bench.entry(id, 1)]).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Unique { constraint } if constraint == "journal_revision_key")
    );
}

#[tokio::test]
async fn x04_nobody_changes_the_past() {
    let bench = Bench::new().await;
    bench.commit_one().await;
    let owner = bench.database.owner_pool().unwrap();
    for statement in
        ["UPDATE journal SET actor = 'nobody'", "DELETE FROM journal", "TRUNCATE journal"]
    {
        let error = sqlx::query(statement).execute(&bench.pool).await.unwrap_err().to_string();
        assert!(error.contains("permission denied"), "{statement}: {error}");
        let error = sqlx::query(statement).execute(&owner).await.unwrap_err().to_string();
        assert!(error.contains("append-only"), "{statement}: {error}");
    }
    let forge =
        "INSERT INTO feed_identity (system_identifier, database_oid, journal_oid) VALUES (1, 1, 1)";
    sqlx::query(forge).execute(&bench.pool).await.unwrap();
    sqlx::query("DELETE FROM feed_identity").execute(&bench.pool).await.unwrap_err();
}
