//! The book against real Postgres, as the application's role, with two replicas.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use kefu_api::{customer::v1::OrgUnitChanged, policy::v1::LocalizedText};
use kefu_clock::{IdSource, ManualClock};
use kefu_identity::OrgUnit;
use kefu_policy::{NewVersion, Policy, PolicyBook, apply_org_unit_changed, is_known};
use kefu_postgres::{StoreError, testing::TestDatabase};
use kefu_rpc::{Fault, Violations};
use sqlx::PgPool;
use uuid::Uuid;

/// A policy that is nothing but a title.
#[derive(Debug, PartialEq)]
struct Title(String);

impl Policy for Title {
    type Message = LocalizedText;

    fn decode(message: &LocalizedText, violations: &mut Violations) -> Option<Self> {
        if message.zh.is_empty() {
            violations.add("zh", Fault::required());
        }
        Some(Self(message.zh.clone()))
    }
}

struct Replica {
    pool: PgPool,
    ids: IdSource,
    book: PolicyBook<Title>,
}

impl Replica {
    fn new(pool: &PgPool) -> Self {
        let clock = ManualClock::new("2024-02-09T08:00:00Z".parse().unwrap());
        let ids = IdSource::new(std::sync::Arc::new(clock));
        Self { pool: pool.clone(), ids, book: PolicyBook::new(pool.clone()) }
    }

    async fn apply(&self, org_unit: &str, title: &str, effective: &str) -> i32 {
        let mut tx = kefu_postgres::begin(&self.pool).await.unwrap();
        let version = self.apply_in(&mut tx, org_unit, title, effective).await.unwrap();
        tx.commit().await.unwrap();
        version
    }

    async fn apply_in(
        &self,
        conn: &mut sqlx::PgConnection,
        org_unit: &str,
        title: &str,
        effective: &str,
    ) -> Result<i32, StoreError> {
        let org_unit: OrgUnit = org_unit.parse().unwrap();
        let message = LocalizedText { en: String::new(), zh: title.into() };
        let place = self.book.place(conn).await?;
        let new = NewVersion {
            id: self.ids.uuid(),
            org_unit: &org_unit,
            effective_at: effective.parse().unwrap(),
            message: &message,
            created_at: "2024-02-09T08:00:00Z".parse().unwrap(),
            created_by: "admin",
        };
        Ok(self.book.apply(conn, place, new).await?.version)
    }

    async fn title(&self, org_unit: &str, at: &str) -> Option<String> {
        let mut conn = self.pool.acquire().await.unwrap();
        let snapshot = self.book.current(&mut conn).await.unwrap();
        let found = snapshot.effective(&org_unit.parse().unwrap(), at.parse().unwrap());
        found.map(|version| version.policy.0.clone())
    }
}

async fn pool() -> PgPool {
    let context = TestDatabase::context(&[&kefu_policy::MIGRATOR], "policy").await.unwrap();
    context.pool().unwrap()
}

#[tokio::test]
async fn x10_a_version_applied_by_one_replica_holds_in_the_other_at_once() {
    let pool = pool().await;
    let (one, two) = (Replica::new(&pool), Replica::new(&pool));
    assert_eq!(two.title("group/north", "2024-03-01T00:00:00Z").await, None);
    assert_eq!(one.apply("group", "旧制度", "2024-02-10T00:00:00Z").await, 1);
    assert_eq!(two.title("group/north", "2024-03-01T00:00:00Z").await.unwrap(), "旧制度");
    assert_eq!(one.apply("group", "新制度", "2024-04-01T00:00:00Z").await, 2);
    assert_eq!(two.title("group/north", "2024-03-31T23:59:59Z").await.unwrap(), "旧制度");
    assert_eq!(two.title("group/north", "2024-04-01T00:00:00Z").await.unwrap(), "新制度");
    assert_eq!(two.title("group/north", "2024-02-09T23:59:59Z").await, None);
    assert_eq!(two.book.snapshot().seq(), 2);
}

/// The later seq must not commit first: a reader that saw it would believe that its copy is whole.
#[tokio::test]
async fn x10_versions_commit_in_the_order_of_their_seq() {
    let pool = pool().await;
    let (one, two) = (Replica::new(&pool), Replica::new(&pool));
    let mut first = kefu_postgres::begin(&pool).await.unwrap();
    one.apply_in(&mut first, "group", "first", "2024-02-10T00:00:00Z").await.unwrap();

    let second = two.apply("group", "second", "2024-02-11T00:00:00Z");
    let mut second = std::pin::pin!(second);
    let waited = tokio::time::timeout(Duration::from_millis(200), second.as_mut()).await;
    assert!(waited.is_err(), "the second waits for the first");
    assert_eq!(two.title("group", "2024-03-01T00:00:00Z").await, None, "readers do not wait");

    first.commit().await.unwrap();
    assert_eq!(second.await, 2);
    assert_eq!(one.title("group", "2024-02-10T12:00:00Z").await.unwrap(), "first");
    assert_eq!(one.title("group", "2024-03-01T00:00:00Z").await.unwrap(), "second");
}

#[tokio::test]
async fn x10_a_version_that_was_rolled_back_leaves_no_trace() {
    let pool = pool().await;
    let one = Replica::new(&pool);
    let mut tx = kefu_postgres::begin(&pool).await.unwrap();
    one.apply_in(&mut tx, "group", "never", "2024-02-10T00:00:00Z").await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(one.title("group", "2024-03-01T00:00:00Z").await, None);
    assert_eq!(one.apply("group", "first", "2024-02-10T00:00:00Z").await, 1);
}

#[tokio::test]
async fn x10_the_application_cannot_change_a_version() {
    let pool = pool().await;
    let one = Replica::new(&pool);
    one.apply("group", "fixed", "2024-02-10T00:00:00Z").await;
    for statement in
        ["UPDATE policy_version SET effective_at = now()", "DELETE FROM policy_version"]
    {
        let error = sqlx::query(statement).execute(&pool).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501", "{statement}");
    }
}

#[tokio::test]
async fn x10_a_faulty_policy_is_not_stored() {
    let pool = pool().await;
    let one = Replica::new(&pool);
    let mut tx = kefu_postgres::begin(&pool).await.unwrap();
    let refused = one.apply_in(&mut tx, "group", "", "2024-02-10T00:00:00Z").await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
}

#[tokio::test]
async fn x01_a_repeated_or_overtaken_event_leaves_the_copy_of_the_tree_alone() {
    let pool = pool().await;
    let mut conn = pool.acquire().await.unwrap();
    let id = Uuid::from_u128(7);
    let now = "2024-02-09T08:00:00Z".parse().unwrap();
    let event = |zh: &str| OrgUnitChanged {
        path: "group/north".into(),
        title: Some(LocalizedText { en: String::new(), zh: zh.into() }),
    };
    for (revision, title) in [(1, "北区"), (3, "华北"), (2, "北方"), (3, "重复")] {
        apply_org_unit_changed(&mut conn, id, revision, now, &event(title)).await.unwrap();
    }
    let title: String =
        sqlx::query_scalar("SELECT title_zh FROM org_unit").fetch_one(&mut *conn).await.unwrap();
    assert_eq!(title, "华北");
    assert!(is_known(&mut conn, &"group/north".parse().unwrap()).await.unwrap());
    assert!(!is_known(&mut conn, &"group".parse().unwrap()).await.unwrap());
}
