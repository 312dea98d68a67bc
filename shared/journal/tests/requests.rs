//! Retry is safe.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests, too")]

mod support;

use kefu_api::feed::v1::SubscribeRequest;
use kefu_journal::requests::{self, Claim, RequestKey};
use kefu_postgres::StoreError;
use support::Bench;

const METHOD: &str = "kefu.thing.v1.ThingService/Create";

fn key<'a>(caller: &'a str, request_id: &'a str, content: &str) -> RequestKey<'a> {
    let message = SubscribeRequest { cursor: content.to_owned(), ..Default::default() };
    let fingerprint = requests::fingerprint(METHOD, &message);
    RequestKey { caller, request_id, method: METHOD, fingerprint }
}

async fn answer(bench: &Bench, key: &RequestKey<'_>, response: &[u8]) {
    let mut tx = kefu_postgres::begin(&bench.pool).await.unwrap();
    assert_eq!(requests::claim(&mut tx, key).await.unwrap(), Claim::New);
    requests::complete(&mut tx, key, response).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn x02_the_same_request_gets_the_first_answer() {
    let bench = Bench::new().await;
    answer(&bench, &key("anna", "r-1", "a"), b"first").await;
    let mut conn = bench.pool.acquire().await.unwrap();
    let again = key("anna", "r-1", "a");
    assert_eq!(requests::claim(&mut conn, &again).await.unwrap(), Claim::Replay(b"first".to_vec()));
    assert_eq!(
        requests::lookup(&mut conn, &again).await.unwrap(),
        Claim::Replay(b"first".to_vec())
    );
}

#[tokio::test]
async fn x02_same_request_id_other_content_is_refused() {
    let bench = Bench::new().await;
    answer(&bench, &key("anna", "r-1", "a"), b"first").await;
    let mut conn = bench.pool.acquire().await.unwrap();
    let other = key("anna", "r-1", "b");
    assert_eq!(requests::claim(&mut conn, &other).await.unwrap(), Claim::Mismatch);
    assert_eq!(requests::lookup(&mut conn, &other).await.unwrap(), Claim::Mismatch);
    let other_method = RequestKey { method: "another", ..key("anna", "r-1", "a") };
    assert_eq!(requests::claim(&mut conn, &other_method).await.unwrap(), Claim::Mismatch);
    let other_caller = key("bert", "r-1", "b");
    assert_eq!(requests::claim(&mut conn, &other_caller).await.unwrap(), Claim::New);
}

#[tokio::test]
async fn x02_a_failed_command_leaves_its_request_id_free() {
    let bench = Bench::new().await;
    let mut tx = kefu_postgres::begin(&bench.pool).await.unwrap();
    requests::claim(&mut tx, &key("anna", "r-1", "wrong")).await.unwrap();
    tx.rollback().await.unwrap();
    answer(&bench, &key("anna", "r-1", "right"), b"ok").await;
}

#[tokio::test]
async fn x02_a_concurrent_retry_waits_for_the_first_and_gets_its_answer() {
    let bench = Bench::new().await;
    let mut first = kefu_postgres::begin(&bench.pool).await.unwrap();
    let key = key("anna", "r-1", "a");
    requests::claim(&mut first, &key).await.unwrap();
    requests::complete(&mut first, &key, b"first").await.unwrap();

    let mut conn = bench.pool.acquire().await.unwrap();
    let mut retry = Box::pin(requests::claim(&mut conn, &key));
    // The retry cannot finish before the first has committed, however long it is given.
    let waits = async {
        let blocked = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid IN (
            SELECT pid FROM pg_stat_activity WHERE datname = current_database()))";
        while !sqlx::query_scalar::<_, bool>(blocked).fetch_one(&bench.pool).await.unwrap() {}
    };
    tokio::select! {
        claim = &mut retry => panic!("did not wait: {claim:?}"),
        () = waits => {}
    }
    first.commit().await.unwrap();
    assert_eq!(retry.await.unwrap(), Claim::Replay(b"first".to_vec()));
}

#[tokio::test]
async fn x02_misuse_is_reported_not_answered() {
    let bench = Bench::new().await;
    let mut conn = bench.pool.acquire().await.unwrap();
    let key = key("anna", "r-1", "a");
    let never_claimed = requests::complete(&mut conn, &key, b"x").await.unwrap_err();
    assert!(matches!(never_claimed, StoreError::Corrupt(_)));
    requests::claim(&mut conn, &key).await.unwrap();
    let never_completed = requests::claim(&mut conn, &key).await.unwrap_err();
    assert!(matches!(never_completed, StoreError::Corrupt(_)));
}

#[tokio::test]
async fn x02_answers_are_kept_for_48_hours() {
    let bench = Bench::new().await;
    for (id, age) in [("old", 49), ("young", 47), ("new", 0)] {
        answer(&bench, &key("anna", id, "a"), b"x").await;
        sqlx::query("UPDATE request SET created_at = now() - make_interval(hours => $2) WHERE request_id = $1")
            .bind(id)
            .bind(age)
            .execute(&bench.pool)
            .await
            .unwrap();
    }
    assert_eq!(requests::prune(&bench.pool).await.unwrap(), 1);
    let kept: Vec<String> = sqlx::query_scalar("SELECT request_id FROM request ORDER BY 1")
        .fetch_all(&bench.pool)
        .await
        .unwrap();
    assert_eq!(kept, ["new", "young"]);
}
