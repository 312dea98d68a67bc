//! What the feed promises to any reader.

use kefu_api::feed::v1::SubscribeRequest;
use kefu_postgres::StoreError;
use sqlx::PgPool;
use tonic::Code;
use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::{NOISE, Probe, ids, next};
use crate::{Cursor, Position};

/// A transaction that began first and commits last is read late, but read.
pub(super) async fn late_commits_are_not_skipped(probe: &Probe) {
    let start = probe.head().await;
    let mut slow = kefu_postgres::begin(&probe.subject.pool).await.expect("begin");
    let late = probe.write(&mut slow, probe.ids.uuid(), 1).await;
    let early = probe.commit_one().await;

    // This reader has been told everything that can be told before the slow transaction ends.
    let before = next(&mut probe.open(Some(start), 0).await).await;
    assert!(before.events.is_empty(), "read past a running transaction");
    let cursor: Cursor = before.cursor.parse().expect("cursor");

    slow.commit().await.expect("commit");
    assert_eq!(ids(&probe.read_to_head(Some(cursor), 0).await), [late, early]);
}

/// Also when the newer revision was made by the transaction with the older id.
pub(super) async fn an_aggregate_is_told_in_order(probe: &Probe) {
    let start = probe.head().await;
    let aggregate = probe.ids.uuid();
    let mut older = kefu_postgres::begin(&probe.subject.pool).await.expect("begin");
    let unrelated = probe.write(&mut older, probe.ids.uuid(), 1).await;
    let mut younger = kefu_postgres::begin(&probe.subject.pool).await.expect("begin");
    let first = probe.write(&mut younger, aggregate, 1).await;
    younger.commit().await.expect("commit");
    let second = probe.write(&mut older, aggregate, 2).await;
    let third = probe.write(&mut older, aggregate, 3).await;
    older.commit().await.expect("commit");

    let read = probe.read_to_head(Some(start), 1).await;
    assert_eq!(ids(&read).len(), 4);
    assert!(read.iter().any(|read| read.id == unrelated));
    let told: Vec<Uuid> =
        read.iter().filter(|read| read.aggregate == aggregate).map(|read| read.id).collect();
    assert_eq!(told, [first, second, third]);
}

/// Whatever cursor a reader stored, it goes on with exactly the next event, whatever the size of its batches.
pub(super) async fn every_cursor_resumes_exactly(probe: &Probe) {
    let start = probe.head().await;
    let mut written = Vec::new();
    for size in [1, 3, 2] {
        let mut tx = kefu_postgres::begin(&probe.subject.pool).await.expect("begin");
        for _ in 0..size {
            written.push(probe.write(&mut tx, probe.ids.uuid(), 1).await);
        }
        tx.commit().await.expect("commit");
    }
    let all = probe.read_to_head(Some(start), 1).await;
    assert_eq!(ids(&all), written);
    for read in &all {
        assert_eq!(read.payload.as_ref(), read.id.as_bytes(), "the payload was changed");
    }
    for (index, read) in all.iter().enumerate() {
        for batch in [1, 2, 0] {
            let rest = probe.read_to_head(Some(read.cursor), batch).await;
            assert_eq!(ids(&rest), written[index + 1..], "resumed after event {index}");
        }
    }
    let from_the_beginning = ids(&probe.read_to_head(None, 0).await);
    assert!(from_the_beginning.ends_with(&written));
}

/// Events that were not asked for move the cursor all the same.
pub(super) async fn a_filtered_reader_reaches_the_head(probe: &Probe) {
    let start = probe.head().await;
    let mut conn = probe.subject.pool.acquire().await.expect("connection");
    for _ in 0..3 {
        probe.write_as(NOISE, &mut conn, probe.ids.uuid(), 1).await;
    }
    assert_eq!(ids(&probe.read_to_head(Some(start), 1).await), [] as [Uuid; 0]);
}

/// A cursor of another database, or from a future that this one has lost, is refused with the stable reason.
pub(super) async fn foreign_cursors_are_refused(probe: &Probe) {
    let head = probe.head().await;
    let elsewhere = Cursor { feed: probe.ids.uuid(), ..head };
    let lost = Cursor { position: Position { xid: head.position.xid + (1 << 40), seq: 1 }, ..head };
    for cursor in [elsewhere, lost] {
        let request = SubscribeRequest { cursor: cursor.to_string(), ..Default::default() };
        let Err(refusal) = probe.subject.upstream.subscribe(request).await else {
            panic!("a foreign cursor was accepted")
        };
        assert_eq!(refusal.code(), Code::FailedPrecondition);
        let info = refusal.get_details_error_info().expect("error info");
        assert_eq!(info.reason, "FEED_IDENTITY_CHANGED");
        assert_eq!(info.metadata["feed_id"], head.feed.to_string());
    }
}

/// the application's role can neither update nor delete what is in the journal.
pub(super) async fn the_application_cannot_change_the_past(probe: &Probe) {
    probe.commit_one().await;
    for statement in
        ["UPDATE journal SET actor = 'nobody'", "DELETE FROM journal", "TRUNCATE journal"]
    {
        let error = run(&probe.subject.pool, statement).await.expect_err(statement);
        assert!(error.to_string().contains("permission denied"), "{statement}: {error}");
    }
    let disable = "ALTER TABLE journal DISABLE TRIGGER journal_append_only";
    run(&probe.subject.pool, disable).await.expect_err(disable);
}

async fn run(pool: &PgPool, statement: &'static str) -> Result<(), StoreError> {
    sqlx::query(statement).execute(pool).await?;
    Ok(())
}
