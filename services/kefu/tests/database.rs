//! Jobs that prepare the database: they wait for Postgres, and make whole what a restored dump brings along.

use kefu::database::{self, ContextName};
use kefu_postgres::{
    ContextUrls, PgSettings, PrivateCluster, PrivateClusterOptions, RolePasswords, connect,
    testing::TestDatabase,
};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn x01_provisioning_and_migrating_wait_for_postgres_until_told_to_stop() {
    let directory = tempfile::tempdir().unwrap();
    let options = PrivateClusterOptions::new(directory.path());
    // The first start tells where the server will be; then it is away.
    let cluster = PrivateCluster::start(options.clone()).await.unwrap();
    let admin_url = cluster.admin_url("kefu");
    cluster.stop().await;
    let passwords = RolePasswords::default();
    let owner_url = ContextUrls::of(&admin_url, "survey", &passwords).unwrap().owner;

    let jobs = |stop: CancellationToken| {
        let (admin_url, owner_url) = (admin_url.clone(), owner_url.clone());
        let to_migrate = stop.clone();
        let provisioning = tokio::spawn(async move {
            let passwords = RolePasswords::default();
            database::provision(&[ContextName::Survey], &admin_url, &passwords, &stop).await
        });
        let migrating = tokio::spawn(async move {
            database::migrate(ContextName::Survey, &owner_url, &to_migrate).await
        });
        [provisioning, migrating]
    };
    let stop = CancellationToken::new();
    let stopped = jobs(stop.clone());
    stop.cancel();
    for job in stopped {
        let error = job.await.unwrap().unwrap_err();
        assert!(error.to_string().starts_with("told to stop"), "{error:#}");
    }

    let waiting = jobs(CancellationToken::new());
    let cluster = PrivateCluster::start(options).await.unwrap();
    for job in waiting {
        job.await.unwrap().unwrap();
    }
    let pool = connect(&PgSettings::new(&owner_url)).unwrap();
    let journal: i64 =
        sqlx::query_scalar("SELECT count(*) FROM journal").fetch_one(&pool).await.unwrap();
    assert_eq!(journal, 0);
    pool.close().await;
    cluster.stop().await;
}

/// What does not get better by waiting is said at once.
#[tokio::test]
async fn x01_provisioning_with_a_role_that_may_not_is_refused() {
    let database = TestDatabase::empty().await.unwrap();
    let stop = CancellationToken::new();
    let (contexts, passwords) = ([ContextName::Survey], RolePasswords::default());
    database::provision(&contexts, &database.admin_url, &passwords, &stop).await.unwrap();
    let owner = ContextUrls::of(&database.admin_url, "survey", &passwords).unwrap().owner;
    database::provision(&contexts, &owner, &passwords, &stop).await.unwrap_err();
}

/// Rows of a dump count in the transactions of the cluster that it was taken from; a feed would wait for these for ever.
#[tokio::test]
async fn x01_migrating_renumbers_a_journal_from_another_cluster() {
    let database = TestDatabase::empty().await.unwrap();
    let stop = CancellationToken::new();
    let (contexts, passwords) = ([ContextName::Survey], RolePasswords::default());
    database::provision(&contexts, &database.admin_url, &passwords, &stop).await.unwrap();
    let owner_url = ContextUrls::of(&database.admin_url, "survey", &passwords).unwrap().owner;
    database::migrate(ContextName::Survey, &owner_url, &stop).await.unwrap();
    let pool = connect(&PgSettings::new(&owner_url)).unwrap();
    // As if this cluster had begun to count only after the dump was taken.
    for statement in [
        "INSERT INTO journal (event_id, occurred_at, actor, actor_org_unit, origin, request_id,
                              traceparent, aggregate_type, aggregate_id, revision, action, org_unit)
         VALUES (gen_random_uuid(), now(), 'li', 'group', '', '', '', 'invitation',
                 gen_random_uuid(), 1, 'survey.Issue', 'group')",
        "ALTER TABLE journal DISABLE TRIGGER journal_append_only",
        "UPDATE journal SET xid = ((xid::text::bigint + (1::bigint << 40)))::text::xid8",
        "ALTER TABLE journal ENABLE TRIGGER journal_append_only",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    let served = "SELECT count(*) FROM journal WHERE xid < pg_snapshot_xmin(pg_current_snapshot())";
    let count = || sqlx::query_scalar::<_, i64>(served).fetch_one(&pool);
    assert_eq!(count().await.unwrap(), 0);
    database::migrate(ContextName::Survey, &owner_url, &stop).await.unwrap();
    assert_eq!(count().await.unwrap(), 1);
}
