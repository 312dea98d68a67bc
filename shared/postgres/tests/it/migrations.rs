//! Bringing a schema up to date, whoever else does the same.

use std::future::{pending, ready};

use kefu_postgres::{
    ContextUrls, MigrationError, PgSettings, PrivateCluster, PrivateClusterOptions, RolePasswords,
    StoreError, connect, ensure_database, migrate, migrate_until_done, provision, readiness,
    testing::TestDatabase,
};
use sqlx::Executor;

use crate::migrator;

const FIRST: &str = "CREATE TABLE first (id int)";
const SECOND: &str = "CREATE TABLE second (id int)";

/// An owner's settings in a database where only the context is provisioned.
async fn owner(context: &str) -> PgSettings {
    let database = TestDatabase::empty().await.unwrap();
    let urls = provision(&database.admin_url, context, &RolePasswords::default()).await.unwrap();
    PgSettings::new(urls.owner)
}

#[tokio::test]
async fn x01_replicas_that_start_at_once_apply_each_migration_once() {
    let owner = owner("ticket").await;
    let replicas = (0..6).map(|_| {
        let owner = owner.clone();
        tokio::spawn(async move {
            let journal = migrator("_journal_migrations", &["CREATE TABLE journal (id int)"]);
            let own = migrator("_migrations", &[FIRST, SECOND]);
            migrate(&owner, &[&journal, &own]).await
        })
    });
    for replica in replicas.collect::<Vec<_>>() {
        replica.await.unwrap().unwrap();
    }
    let pool = connect(&owner).unwrap();
    let applied: (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM ticket._journal_migrations),
                (SELECT count(*) FROM ticket._migrations)",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(applied, (1, 2));
}

#[tokio::test]
async fn a_changed_migration_is_refused_and_an_unknown_one_left_alone() {
    let owner = owner("ticket").await;
    migrate(&owner, &[&migrator("_migrations", &[FIRST, SECOND])]).await.unwrap();
    // The version before, restarted in the middle of a rolling update.
    migrate(&owner, &[&migrator("_migrations", &[FIRST])]).await.unwrap();
    let changed = migrate(&owner, &[&migrator("_migrations", &[SECOND])]).await;
    assert!(matches!(changed, Err(MigrationError::Broken { .. })), "{changed:?}");
}

#[tokio::test]
async fn x01_a_migration_that_fails_leaves_nothing() {
    let owner = owner("ticket").await;
    let broken = migrator("_migrations", &["CREATE TABLE half (id int); SELECT nonsense"]);
    let failed = migrate_until_done(&owner, &[&broken], pending()).await;
    assert!(matches!(failed, Err(MigrationError::Broken { .. })), "{failed:?}");
    migrate(&owner, &[&migrator("_migrations", &["CREATE TABLE half (id int)"])]).await.unwrap();
}

#[tokio::test]
async fn two_sets_of_migrations_need_two_tables() {
    let owner = owner("ticket").await;
    let (one, other) = (migrator("_migrations", &[FIRST]), migrator("_migrations", &[SECOND]));
    let refused = migrate(&owner, &[&one, &other]).await;
    assert!(matches!(refused, Err(MigrationError::SharedTable(_))), "{refused:?}");
}

#[tokio::test]
async fn a_service_starts_before_its_postgres_and_survives_its_restart() {
    let directory = tempfile::tempdir().unwrap();
    let options = PrivateClusterOptions::new(directory.path());
    // The first start tells where the server will be; then it is away.
    let cluster = PrivateCluster::start(options.clone()).await.unwrap();
    let admin_url = cluster.admin_url("kefu");
    cluster.stop().await;

    let none = RolePasswords::default();
    let urls = ContextUrls::of(&admin_url, "ticket", &none).unwrap();
    // With one connection, which one the restart has broken is no question of chance.
    let settings = PgSettings { max_connections: 1, ..PgSettings::new(&urls.application) };
    let pool = connect(&settings).unwrap();
    let away = readiness(&pool).await;
    assert!(matches!(away, Err(StoreError::Unavailable(_))), "{away:?}");
    let own = migrator("_migrations", &[FIRST]);
    let owner = PgSettings::new(&urls.owner);
    assert!(!migrate_until_done(&owner, &[&own], ready(())).await.unwrap(), "told to stop");

    let waiting = tokio::spawn(async move {
        let own = migrator("_migrations", &[FIRST]);
        migrate_until_done(&owner, &[&own], pending()).await
    });
    let cluster = PrivateCluster::start(options.clone()).await.unwrap();
    ensure_database(&admin_url).await.unwrap();
    provision(&admin_url, "ticket", &none).await.unwrap();
    assert!(waiting.await.unwrap().unwrap());
    readiness(&pool).await.unwrap();
    pool.execute("INSERT INTO first VALUES (1)").await.unwrap();

    cluster.stop().await;
    let away = StoreError::from(pool.execute("INSERT INTO first VALUES (2)").await.unwrap_err());
    assert!(matches!(away, StoreError::Unavailable(_)), "{away:?}");
    let cluster = PrivateCluster::start(options).await.unwrap();
    let kept: i64 =
        sqlx::query_scalar("SELECT count(*) FROM first").fetch_one(&pool).await.unwrap();
    assert_eq!(kept, 1);
    cluster.stop().await;
}
