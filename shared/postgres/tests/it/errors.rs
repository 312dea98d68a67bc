//! Errors mean something.

use std::time::Duration;

use kefu_postgres::{
    PgSettings, StoreError, connect, readiness,
    testing::{TestContext, TestDatabase},
};
use sqlx::{Executor, PgPool};

use crate::migrator;

async fn context() -> TestContext {
    let own = migrator(
        "_migrations",
        &["CREATE TABLE parent (id int CONSTRAINT parent_key PRIMARY KEY);
           CREATE TABLE child (
               id int NOT NULL,
               parent int CONSTRAINT child_parent REFERENCES parent,
               level int CONSTRAINT child_level CHECK (level < 4),
               span int4range,
               CONSTRAINT child_span EXCLUDE USING gist (span WITH &&));
           CREATE TABLE tally (id int, amount int);
           INSERT INTO tally VALUES (1, 0), (2, 0);"],
    );
    TestDatabase::context(&[&own], "errors").await.unwrap()
}

async fn failure(pool: &PgPool, sql: &'static str) -> StoreError {
    StoreError::from(pool.execute(sql).await.expect_err(sql))
}

#[tokio::test]
async fn a_broken_constraint_is_told_by_kind_and_name() {
    let pool = context().await.pool().unwrap();
    pool.execute("INSERT INTO parent VALUES (1)").await.unwrap();
    pool.execute("INSERT INTO child VALUES (1, 1, 1, '[1,5)')").await.unwrap();

    let error = failure(&pool, "INSERT INTO parent VALUES (1)").await;
    assert!(error.is_unique("parent_key") && !error.is_unique("other"), "{error:?}");
    let error = failure(&pool, "INSERT INTO child VALUES (1, 1, 1, '[2,3)')").await;
    assert!(error.is_unique("child_span"), "{error:?}");
    let error = failure(&pool, "INSERT INTO child VALUES (1, 2, 1, NULL)").await;
    assert!(
        matches!(&error, StoreError::ForeignKey { constraint } if constraint == "child_parent"),
        "{error:?}"
    );
    let error = failure(&pool, "INSERT INTO child VALUES (1, 1, 4, NULL)").await;
    assert!(
        matches!(&error, StoreError::Check { constraint } if constraint == "child_level"),
        "{error:?}"
    );
    let error = failure(&pool, "INSERT INTO child VALUES (NULL, 1, 1, NULL)").await;
    assert!(matches!(&error, StoreError::Check { constraint } if constraint == "id"), "{error:?}");
    assert!(matches!(failure(&pool, "SELECT nonsense").await, StoreError::Other(_)));
}

#[tokio::test]
async fn x03_of_two_concurrent_changes_the_second_is_a_conflict() {
    let pool = context().await.pool().unwrap();
    let mut first = kefu_postgres::begin(&pool).await.unwrap();
    let mut second = kefu_postgres::begin(&pool).await.unwrap();
    for tx in [&mut first, &mut second] {
        tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    }
    second.execute("SELECT * FROM tally").await.unwrap();
    first.execute("UPDATE tally SET amount = 1 WHERE id = 1").await.unwrap();
    first.commit().await.unwrap();
    let error = second.execute("UPDATE tally SET amount = 2 WHERE id = 1").await.unwrap_err();
    let error = StoreError::from(error);
    assert!(matches!(error, StoreError::Conflict(_)) && error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn x08_a_statement_is_stopped_at_its_limit() {
    let settings = context().await.settings();
    let limit = Some(Duration::from_millis(50));
    let pool = connect(&PgSettings { statement_timeout: limit, ..settings }).unwrap();
    let error = failure(&pool, "SELECT pg_sleep(30)").await;
    assert!(matches!(error, StoreError::Timeout(_)), "{error:?}");
    readiness(&pool).await.unwrap();
}

#[tokio::test]
async fn x08_waiting_for_a_connection_has_an_end() {
    let settings = context().await.settings();
    let acquire_timeout = Duration::from_millis(50);
    let settings = PgSettings { max_connections: 1, acquire_timeout, ..settings };
    let pool = connect(&settings).unwrap();
    let busy = pool.acquire().await.unwrap();
    let error = failure(&pool, "SELECT 1").await;
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    readiness(&pool).await.expect("busy is not away");
    drop(busy);
    pool.execute("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn a_value_of_another_type_is_corrupt() {
    let pool = context().await.pool().unwrap();
    let error = sqlx::query_scalar::<_, i64>("SELECT 'x'::text").fetch_one(&pool).await;
    assert!(matches!(error.map_err(StoreError::from), Err(StoreError::Corrupt(_))));
}

#[tokio::test]
async fn a_lost_connection_is_replaced() {
    let context = context().await;
    let settings = PgSettings { max_connections: 1, ..context.settings() };
    let pool = connect(&settings).unwrap();
    let mut connection = pool.acquire().await.unwrap();
    let ended = connection.execute("SELECT pg_terminate_backend(pg_backend_pid())").await;
    let error = StoreError::from(ended.unwrap_err());
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    drop(connection);
    pool.execute("SELECT 1").await.unwrap();
}
