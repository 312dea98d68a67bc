//! Transactions that are given up.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use kefu_postgres::{PgSettings, begin, begin_snapshot, connect, testing::TestDatabase};
use sqlx::PgPool;

/// A pool of one connection, so that whoever comes next gets the one that was left behind.
async fn pool() -> (PgPool, PgPool) {
    let database = TestDatabase::empty().await.unwrap();
    let settings = PgSettings { max_connections: 1, ..PgSettings::new(&database.admin_url) };
    let pool = connect(&settings).unwrap();
    sqlx::query("CREATE TABLE written (number integer)").execute(&pool).await.unwrap();
    (pool, connect(&settings).unwrap())
}

#[tokio::test]
async fn x01_what_is_written_after_a_transaction_was_given_up_at_its_beginning_is_on_disk() {
    let (pool, other) = pool().await;
    for polls in 1..=4 {
        {
            let mut beginning = pin!(begin(&pool));
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..polls {
                if beginning.as_mut().poll(&mut context).is_ready() {
                    break;
                }
            }
        }
        sqlx::query("INSERT INTO written VALUES ($1)").bind(polls).execute(&pool).await.unwrap();
        let seen: i64 =
            sqlx::query_scalar("SELECT count(*) FROM written").fetch_one(&other).await.unwrap();
        assert_eq!(seen, i64::from(polls), "seen by others after {polls} steps");
    }
}

#[tokio::test]
async fn x01_a_snapshot_given_up_at_its_beginning_is_nobody_elses() {
    let (pool, _) = pool().await;
    for polls in 1..=4 {
        {
            let mut beginning = pin!(begin_snapshot(&pool));
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..polls {
                if beginning.as_mut().poll(&mut context).is_ready() {
                    break;
                }
            }
        }
        let written = sqlx::query("INSERT INTO written VALUES ($1)").bind(polls).execute(&pool);
        written.await.unwrap_or_else(|error| panic!("after {polls} steps: {error}"));
    }
}

#[tokio::test]
async fn a_transaction_is_rolled_back_unless_it_is_committed() {
    let (pool, other) = pool().await;
    for commit in [false, true] {
        let mut tx = begin(&pool).await.unwrap();
        sqlx::query("INSERT INTO written VALUES (1)").execute(&mut *tx).await.unwrap();
        if commit {
            tx.commit().await.unwrap();
        }
    }
    let seen: i64 =
        sqlx::query_scalar("SELECT count(*) FROM written").fetch_one(&other).await.unwrap();
    assert_eq!(seen, 1);
}
