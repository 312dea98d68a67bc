//! A service and its Postgres: waiting for the schema, losing the server, finding it again.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use std::str::FromStr as _;
use std::sync::Arc;

use jiff::SignedDuration;
use kefu_api::clock::v1::SettleRequest;
use kefu_api::clock::v1::clock_service_client::ClockServiceClient;
use kefu_api::feed::v1::GetHeadRequest;
use kefu_api::feed::v1::feed_service_client::FeedServiceClient;
use kefu_clock::{IdSource, ManualClock, SharedClock};
use kefu_identity::{Authenticator, AuthenticatorOptions, Authorizer, Caller, Minter, role};
use kefu_journal::Tail;
use kefu_postgres::testing::TestDatabase;
use kefu_postgres::{PgSettings, RolePasswords};
use kefu_service::{
    Assembled, Context, Dependencies, Peers, Running, ServiceToken, StartOptions, start_in_process,
};
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection};
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic::service::Routes;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// A context that consists of its journal.
struct Diary;

impl Context for Diary {
    const NAME: &'static str = "survey";

    fn migrators() -> Vec<&'static Migrator> {
        vec![&kefu_journal::MIGRATOR]
    }

    async fn build(deps: Dependencies) -> anyhow::Result<Assembled> {
        let tail = Tail::new(deps.pool()?.clone(), Arc::clone(&deps.wake));
        Ok(Assembled::new(Routes::default()).journal(tail))
    }
}

struct World {
    minter: Minter,
    deps: Dependencies,
}

fn world(database_url: &str) -> World {
    let clock = ManualClock::new("2011-10-30T18:40:00Z".parse().unwrap());
    let shared: SharedClock = Arc::new(clock.clone());
    let minter = Minter::generate("issuer", "kefu", Arc::clone(&shared)).unwrap();
    let options = AuthenticatorOptions::new("issuer", "kefu");
    let authenticator = Authenticator::new(options, minter.key_source(), Arc::clone(&shared));
    let deps = Dependencies {
        database: Some(kefu_postgres::connect(&PgSettings::new(database_url)).unwrap()),
        clock: clock.into(),
        ids: Arc::new(IdSource::new(shared)),
        authenticator: Arc::new(authenticator.unwrap()),
        authorizer: Arc::new(Authorizer::with_defaults().unwrap()),
        peers: Peers::default(),
        token: ServiceToken::none(),
        wake: Arc::default(),
        delivery_file: None,
        attachment_store: None,
        shutdown: CancellationToken::new(),
    };
    World { minter, deps }
}

impl World {
    fn operator<T>(&self, message: T) -> Request<T> {
        let caller = Caller::staff("op", "group".parse().unwrap(), [role::OPERATOR]);
        let token = self.minter.mint(&caller, SignedDuration::from_hours(1)).unwrap();
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        request
    }
}

/// Waits until the service says this of itself.
async fn health_becomes(running: &Running, wanted: ServingStatus) {
    let mut client = HealthClient::new(running.transport());
    let watch = client.watch(HealthCheckRequest::default()).await.unwrap();
    let mut statuses = watch.into_inner();
    while statuses.message().await.unwrap().unwrap().status() != wanted {}
}

#[tokio::test]
async fn x01_a_service_is_ready_when_somebody_has_migrated_its_schema() {
    let database = TestDatabase::empty().await.unwrap();
    let passwords = RolePasswords::default();
    let urls = kefu_postgres::provision(&database.admin_url, "survey", &passwords).await.unwrap();
    let world = world(&urls.application);
    let options = StartOptions::default();
    let running = start_in_process::<Diary>(world.deps.clone(), options).await.unwrap();
    let mut feed = FeedServiceClient::new(running.transport());
    let refused = feed.get_head(world.operator(GetHeadRequest {})).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert!(running.readiness().unmet().contains(&"schema"));

    let owner = PgSettings::new(&urls.owner);
    kefu_postgres::migrate(&owner, &Diary::migrators()).await.unwrap();
    running.ready().await.unwrap();
    let mut clock = ClockServiceClient::new(running.transport());
    let settled = clock.settle(world.operator(SettleRequest {})).await.unwrap().into_inner();
    let head = feed.get_head(world.operator(GetHeadRequest {})).await.unwrap().into_inner();
    assert!(!settled.journal_head.is_empty());
    assert_eq!(settled.journal_head, head.cursor);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn x01_a_service_migrates_itself_where_it_is_given_the_owner() {
    let database = TestDatabase::empty().await.unwrap();
    let passwords = RolePasswords::default();
    let urls = kefu_postgres::provision(&database.admin_url, "survey", &passwords).await.unwrap();
    let world = world(&urls.application);
    let options =
        StartOptions { migrate_as: Some(PgSettings::new(&urls.owner)), ..StartOptions::default() };
    let running = start_in_process::<Diary>(world.deps.clone(), options).await.unwrap();
    running.ready().await.unwrap();
    running.stop().await.unwrap();
}

async fn set_reachable(admin: &mut PgConnection, database: &str, reachable: bool) {
    let switch = format!("ALTER DATABASE \"{database}\" WITH ALLOW_CONNECTIONS {reachable}");
    sqlx::raw_sql(AssertSqlSafe(switch)).execute(&mut *admin).await.unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
    sqlx::query(cut).bind(database).execute(admin).await.unwrap();
}

#[tokio::test]
async fn x01_a_service_that_loses_postgres_says_so_and_recovers_by_itself() {
    let test = TestDatabase::context(&Diary::migrators(), "survey").await.unwrap();
    let world = world(&test.urls.application);
    let options = StartOptions::default();
    let running = start_in_process::<Diary>(world.deps.clone(), options).await.unwrap();
    running.ready().await.unwrap();

    let beside = PgConnectOptions::from_str(&test.database.admin_url).unwrap();
    let mut admin = beside.database("postgres").connect().await.unwrap();
    set_reachable(&mut admin, &test.database.name, false).await;
    health_becomes(&running, ServingStatus::NotServing).await;
    set_reachable(&mut admin, &test.database.name, true).await;
    health_becomes(&running, ServingStatus::Serving).await;

    let mut feed = FeedServiceClient::new(running.transport());
    feed.get_head(world.operator(GetHeadRequest {})).await.unwrap();
    running.stop().await.unwrap();
}
