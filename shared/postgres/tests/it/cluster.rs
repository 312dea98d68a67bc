//! A Postgres of one's own.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::{Command, Stdio},
};

use kefu_postgres::{
    ClusterError, PgSettings, PrivateCluster, PrivateClusterOptions, StoreError, connect,
};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Executor, PgPool};

async fn start(directory: &Path) -> Result<PrivateCluster, ClusterError> {
    PrivateCluster::start(PrivateClusterOptions::new(directory)).await
}

fn pool(url: &str) -> PgPool {
    connect(&PgSettings::new(url)).unwrap()
}

async fn count(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM kept").fetch_one(pool).await.unwrap()
}

fn postmaster(directory: &Path) -> Pid {
    let file = fs::read_to_string(directory.join("data/postmaster.pid")).unwrap();
    Pid::from_raw(file.lines().next().unwrap().trim().parse().unwrap()).unwrap()
}

#[tokio::test]
async fn data_is_kept_and_nobody_else_gets_in() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = start(directory.path()).await.unwrap();
    pool(&cluster.admin_url("postgres")).execute("CREATE TABLE kept (id int)").await.unwrap();
    let rights = fs::metadata(cluster.socket_directory()).unwrap().mode();
    assert_eq!(rights & 0o077, 0, "other accounts may not enter: {rights:o}");
    let addresses: String = sqlx::query_scalar("SELECT current_setting('listen_addresses')")
        .fetch_one(&pool(&cluster.admin_url("postgres")))
        .await
        .unwrap();
    assert_eq!(addresses, "");
    let second = start(directory.path()).await;
    assert!(matches!(second, Err(ClusterError::InUse(_))), "{second:?}");
    cluster.stop().await;
    assert!(!directory.path().join("data/postmaster.pid").exists(), "stopped cleanly");

    let cluster = start(directory.path()).await.unwrap();
    assert_eq!(count(&pool(&cluster.admin_url("postgres"))).await, 0);
    cluster.stop().await;
}

#[tokio::test]
async fn x09_letters_of_every_language_have_case_and_are_letters() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = start(directory.path()).await.unwrap();
    let (lower, word): (String, bool) = sqlx::query_as("SELECT lower('ÉΩЖ'), '客服' ~ '^\\w+$'")
        .fetch_one(&pool(&cluster.admin_url("postgres")))
        .await
        .unwrap();
    assert_eq!((&*lower, word), ("éωж", true));
    cluster.stop().await;
}

#[tokio::test]
async fn a_path_may_be_longer_than_a_socket_can_be_and_hold_anything() {
    let parent = tempfile::tempdir().unwrap();
    fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let long = parent.path().join(format!("客服 data, \"{}\"", "x".repeat(120)));
    for directory in [long, parent.path().join("客 服,\"")] {
        let cluster = start(&directory).await.unwrap();
        let pool = pool(&cluster.admin_url("postgres"));
        pool.execute("CREATE TABLE kept (id int)").await.unwrap();
        assert!(directory.join("data/PG_VERSION").exists());
        let socket = cluster.socket_directory().to_owned();
        cluster.stop().await;
        assert!(socket.starts_with(&directory) || !socket.exists(), "nothing is left behind");
    }
}

#[tokio::test]
async fn x01_a_server_that_is_killed_comes_back_with_what_was_committed() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = start(directory.path()).await.unwrap();
    let pool = pool(&cluster.admin_url("postgres"));
    pool.execute("CREATE TABLE kept (id int)").await.unwrap();
    pool.execute("INSERT INTO kept VALUES (1)").await.unwrap();
    let mut watching = pool.acquire().await.unwrap();
    let killed = postmaster(directory.path());
    let watched = watching.execute("SELECT pg_sleep(60)");
    kill_process(killed, Signal::KILL).unwrap();
    // The orphaned backend notices and goes; from then on there is no old server to answer.
    watched.await.unwrap_err();
    drop(watching);
    let recovered = async {
        while pool.execute("INSERT INTO kept VALUES (2)").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    let limit = std::time::Duration::from_secs(30);
    tokio::time::timeout(limit, recovered).await.expect("it is started again");
    assert_eq!(count(&pool).await, 2);
    assert_ne!(postmaster(directory.path()), killed);
    cluster.stop().await;
}

/// Names the directory in which [`a_child_that_is_killed`] runs a cluster.
const CHILD: &str = "KEFU_TEST_CLUSTER_OF_A_CHILD";

/// Not a test of its own: the process that the next test kills.
#[tokio::test]
async fn a_child_that_is_killed() {
    let Some(directory) = env::var_os(CHILD) else { return };
    let cluster = start(Path::new(&directory)).await.unwrap();
    println!("\nurl={}", cluster.admin_url("postgres"));
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn x01_postgres_ends_with_its_parent_however_that_ends() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "cluster::a_child_that_is_killed", "--nocapture"])
        .env(CHILD, directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut lines = output.lines().map_while(Result::ok);
    let url = lines.find_map(|line| Some(line.strip_prefix("url=")?.to_owned())).unwrap();
    let pool = pool(&url);
    pool.execute("CREATE TABLE kept AS SELECT 1").await.unwrap();
    let mut watching = pool.acquire().await.unwrap();
    // Only a shutdown ends this before the minute is over.
    let (ended, ()) = tokio::join!(watching.execute("SELECT pg_sleep(60)"), async {
        child.kill().unwrap();
        child.wait().unwrap();
    });
    let ended = StoreError::from(ended.unwrap_err());
    assert!(matches!(ended, StoreError::Unavailable(_)), "{ended:?}");

    let cluster = start(directory.path()).await.unwrap();
    assert_eq!(count(&self::pool(&url)).await, 1);
    cluster.stop().await;
}

#[tokio::test]
async fn a_stale_mark_of_a_server_is_not_believed() {
    let directory = tempfile::tempdir().unwrap();
    start(directory.path()).await.unwrap().stop().await;
    // As after a restart of a container: the number now belongs to another process.
    let mark = directory.path().join("data/postmaster.pid");
    fs::write(&mark, format!("{}\n{}\n", std::process::id(), directory.path().display())).unwrap();
    start(directory.path()).await.unwrap().stop().await;
}

#[tokio::test]
async fn a_directory_with_something_else_in_it_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("thesis.txt"), "years").unwrap();
    let before = fs::metadata(directory.path()).unwrap();
    let refused = start(directory.path()).await;
    assert!(matches!(refused, Err(ClusterError::NotACluster(_))), "{refused:?}");
    let after = fs::metadata(directory.path()).unwrap();
    assert_eq!((before.uid(), before.mode()), (after.uid(), after.mode()));
}

#[tokio::test]
async fn data_of_another_version_is_refused_with_the_way_out() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("data")).unwrap();
    fs::write(directory.path().join("data/PG_VERSION"), "9\n").unwrap();
    let options =
        PrivateClusterOptions { install: false, ..PrivateClusterOptions::new(directory.path()) };
    let refused = PrivateCluster::start(options).await.unwrap_err();
    assert!(matches!(refused, ClusterError::OtherVersion { data: 9, .. }), "{refused}");
}

#[tokio::test]
async fn root_puts_the_cluster_where_postgres_can_reach_it() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // A temporary directory of root's is closed to everybody else.
    let parent = tempfile::tempdir().unwrap();
    let asked = parent.path().join("data directory");
    let cluster = start(&asked).await.unwrap();
    pool(&cluster.admin_url("postgres")).execute("CREATE TABLE kept (id int)").await.unwrap();
    cluster.stop().await;
    let cluster = start(&asked).await.unwrap();
    assert_eq!(count(&pool(&cluster.admin_url("postgres"))).await, 0);
    cluster.stop().await;
    fs::remove_dir_all(asked.canonicalize().unwrap()).unwrap();
}
