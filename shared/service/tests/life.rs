//! A service from its start to its end, over a real socket and inside the process.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use kefu_api::clock::v1::clock_service_client::ClockServiceClient;
use kefu_api::clock::v1::{GetTimeRequest, SetTimeRequest, SettleRequest};
use kefu_api::gateway::v1::gateway_service_client::GatewayServiceClient;
use kefu_api::gateway::v1::gateway_service_server::{GatewayService, GatewayServiceServer};
use kefu_api::gateway::v1::{CustomerOverview, GetCustomerOverviewRequest};
use kefu_clock::{Clock as _, IdSource, ManualClock};
use kefu_identity::{Authenticator, AuthenticatorOptions, Authorizer, Caller, Minter, role};
use kefu_postgres::PgSettings;
use kefu_rpc::{ChannelOptions, Transport};
use kefu_service::{
    Assembled, Context, Dependencies, LocalPeer, Peers, Running, ServiceToken, Settle,
    StartOptions, Worker, start_in_process,
};
use sqlx::migrate::Migrator;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};

/// A service with one slow method and one timer that is due every hour.
struct Slow;

/// The gates of the slow method: tells that it has begun, waits to be let go.
#[derive(Clone, Default)]
struct Door {
    begun: Arc<Notify>,
    go: Arc<Notify>,
}

static DOOR: std::sync::LazyLock<Door> = std::sync::LazyLock::new(Door::default);
static FIRED: AtomicUsize = AtomicUsize::new(0);

#[async_trait]
impl GatewayService for Door {
    async fn get_customer_overview(
        &self,
        _: Request<GetCustomerOverviewRequest>,
    ) -> Result<Response<CustomerOverview>, Status> {
        self.begun.notify_one();
        self.go.notified().await;
        Ok(Response::new(CustomerOverview::default()))
    }
}

struct Hourly {
    clock: kefu_clock::SharedClock,
    done: tokio::sync::watch::Sender<Timestamp>,
}

#[async_trait]
impl Settle for Hourly {
    async fn settle(&self) -> Result<(), Status> {
        let now = self.clock.now();
        let hour = SignedDuration::from_hours(1);
        let _ = self.done.subscribe().wait_for(|done| now.duration_since(*done) < hour).await;
        Ok(())
    }
}

impl Context for Slow {
    const NAME: &'static str = "gateway";

    fn migrators() -> Vec<&'static Migrator> {
        Vec::new()
    }

    async fn build(deps: Dependencies) -> anyhow::Result<Assembled> {
        let timer = Arc::new(Hourly {
            clock: deps.clock(),
            done: tokio::sync::watch::Sender::new(deps.clock().now()),
        });
        let hourly = Arc::clone(&timer);
        let worker = Worker::new("hourly", move |shutdown| {
            let timer = Arc::clone(&hourly);
            async move {
                loop {
                    let due = *timer.done.borrow() + SignedDuration::from_hours(1);
                    tokio::select! {
                        () = timer.clock.sleep_until(due) => {}
                        () = shutdown.cancelled() => return Ok(()),
                    }
                    FIRED.fetch_add(1, Ordering::SeqCst);
                    timer.done.send_replace(due);
                }
            }
        });
        let routes = Routes::new(GatewayServiceServer::new(DOOR.clone()));
        Ok(Assembled::new(routes).worker(worker).settles(timer))
    }
}

/// A context whose database cannot be reached.
struct Cut;

impl Context for Cut {
    const NAME: &'static str = "survey";

    fn migrators() -> Vec<&'static Migrator> {
        vec![&kefu_journal::MIGRATOR]
    }

    async fn build(deps: Dependencies) -> anyhow::Result<Assembled> {
        deps.pool()?;
        Ok(Assembled::new(Routes::new(GatewayServiceServer::new(DOOR.clone()))))
    }
}

struct World {
    clock: ManualClock,
    minter: Minter,
    deps: Dependencies,
}

fn world() -> World {
    let clock = ManualClock::new("2011-10-30T18:40:00Z".parse().unwrap());
    let shared: kefu_clock::SharedClock = Arc::new(clock.clone());
    let minter = Minter::generate("issuer", "kefu", Arc::clone(&shared)).unwrap();
    let authenticator = Authenticator::new(
        AuthenticatorOptions::new("issuer", "kefu"),
        minter.key_source(),
        Arc::clone(&shared),
    );
    let deps = Dependencies {
        database: None,
        clock: clock.clone().into(),
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
    World { clock, minter, deps }
}

impl World {
    fn request<T>(&self, role: &str, message: T) -> Request<T> {
        let caller = Caller::staff("op", "group".parse().unwrap(), [role]);
        let token = self.minter.mint(&caller, SignedDuration::from_hours(100_000)).unwrap();
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        request
    }

    async fn listening(&self) -> (Running, Transport) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = StartOptions { listener: Some(listener), ..StartOptions::default() };
        let running = start_in_process::<Slow>(self.deps.clone(), options).await.unwrap();
        let uri = format!("http://{}", running.address().unwrap());
        let transport = Transport::remote(&uri, &ChannelOptions::default()).unwrap();
        (running, transport)
    }
}

#[tokio::test]
async fn x05_setting_the_clock_returns_when_all_that_it_causes_has_happened() {
    let world = world();
    let (running, transport) = world.listening().await;
    running.ready().await.unwrap();
    let mut client = ClockServiceClient::new(transport);
    let later = world.clock.now() + SignedDuration::from_hours(30);
    let set = |skip_settle| SetTimeRequest {
        time: Some(kefu_rpc::to_proto_timestamp(later)),
        skip_settle,
    };
    let answer = client.set_time(world.request(role::OPERATOR, set(false))).await.unwrap();
    assert_eq!(FIRED.load(Ordering::SeqCst), 30);
    assert_eq!(answer.into_inner().time, Some(kefu_rpc::to_proto_timestamp(later)));
    assert_eq!(world.clock.now(), later);

    let read = world.request(role::OPERATOR, GetTimeRequest {});
    let read = client.get_time(read).await.unwrap().into_inner();
    assert_eq!(read.time, Some(kefu_rpc::to_proto_timestamp(later)));
    let settled = client.settle(world.request(role::OPERATOR, SettleRequest {})).await.unwrap();
    assert_eq!(settled.into_inner().journal_head, "", "it has no journal");

    let back = SetTimeRequest {
        time: Some(kefu_rpc::to_proto_timestamp(later - SignedDuration::from_secs(1))),
        skip_settle: true,
    };
    let refused = client.set_time(world.request(role::OPERATOR, back)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let empty = SetTimeRequest::default();
    let refused = client.set_time(world.request(role::OPERATOR, empty)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn x07_only_those_who_run_the_machinery_move_the_clock() {
    let world = world();
    let (running, transport) = world.listening().await;
    running.ready().await.unwrap();
    let mut client = ClockServiceClient::new(transport);
    let before = world.clock.now();
    let set = || SetTimeRequest {
        time: Some(kefu_rpc::to_proto_timestamp(before + SignedDuration::from_hours(1))),
        skip_settle: true,
    };
    let denied = client.set_time(world.request(role::DIRECTOR, set())).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    let unknown = client.set_time(set()).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Unauthenticated);
    assert_eq!(world.clock.now(), before);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn x01_stopping_finishes_what_is_under_way_and_takes_nothing_new() {
    let world = world();
    let (running, transport) = world.listening().await;
    running.ready().await.unwrap();
    let mut client = GatewayServiceClient::new(transport.clone());
    let request = world.request(role::CLERK, GetCustomerOverviewRequest::default());
    let call = tokio::spawn(async move { client.get_customer_overview(request).await });
    DOOR.begun.notified().await;

    let address = running.address().unwrap();
    let shutdown = world.deps.shutdown.clone();
    let stopping = tokio::spawn(running.stop());
    shutdown.cancelled().await;
    // The socket is closed as soon as the server has heard of it; the call that is under way keeps the rest up.
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!stopping.is_finished());
    DOOR.go.notify_one();
    call.await.unwrap().unwrap();
    stopping.await.unwrap().unwrap();
}

#[tokio::test]
async fn g01_a_place_for_a_local_context_works_from_when_it_is_filled_until_it_stops() {
    let world = world();
    let place = LocalPeer::new("gateway");
    let mut client = ClockServiceClient::new(place.transport());
    let ask = || world.request(role::OPERATOR, GetTimeRequest {});
    assert_eq!(client.get_time(ask()).await.unwrap_err().code(), Code::Unavailable);
    let options = StartOptions::default();
    let running = start_in_process::<Slow>(world.deps.clone(), options).await.unwrap();
    place.connect(running.served());
    running.ready().await.unwrap();
    client.get_time(ask()).await.unwrap();
    running.stop().await.unwrap();
    assert_eq!(client.get_time(ask()).await.unwrap_err().code(), Code::Unavailable);
    place.disconnect();
    assert_eq!(client.get_time(ask()).await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn x01_without_its_database_a_service_stays_up_and_says_so() {
    let mut world = world();
    // A port that was free a moment ago: nobody answers there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = PgSettings {
        acquire_timeout: Duration::from_millis(200),
        ..PgSettings::new(format!("postgres://nobody@127.0.0.1:{port}/nothing"))
    };
    world.deps.database = Some(kefu_postgres::connect(&settings).unwrap());
    let options = StartOptions { migrate_as: Some(settings), ..StartOptions::default() };
    let running = start_in_process::<Cut>(world.deps.clone(), options).await.unwrap();
    assert!(running.readiness().unmet().contains(&"schema"));
    let mut client = GatewayServiceClient::new(running.transport());
    let call = world.request(role::CLERK, GetCustomerOverviewRequest::default());
    assert_eq!(client.get_customer_overview(call).await.unwrap_err().code(), Code::Unavailable);
    let mut health = tonic_health::pb::health_client::HealthClient::new(running.transport());
    let status = health.check(tonic_health::pb::HealthCheckRequest::default()).await.unwrap();
    assert_eq!(
        status.into_inner().status(),
        tonic_health::pb::health_check_response::ServingStatus::NotServing
    );
    running.stop().await.unwrap();
}
