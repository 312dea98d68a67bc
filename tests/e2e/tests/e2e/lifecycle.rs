//! Health, reflection, and a database that goes away and comes back.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use kefu::client::Client;
use kefu::database::{ContextName, Databases};
use kefu::home::Home;
use kefu::mesh::{Mesh, MeshOptions};
use kefu_clock::ManualClock;
use kefu_identity::{Caller, role};
use kefu_postgres::{PrivateCluster, PrivateClusterOptions};
use kefu_rpc::Transport;
use tokio::net::TcpListener;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::{v1, v1alpha};
use tonic_types::StatusExt as _;

use crate::company::{self, RIVERSIDE, complaint, registration};
use crate::world::{Refusal, Way, World, connect, request_id};

async fn health(way: &Transport, service: &str) -> Result<ServingStatus, Code> {
    let request = HealthCheckRequest { service: service.into() };
    let answer = HealthClient::new(way.clone()).check(request).await;
    answer.map(|answer| answer.into_inner().status()).map_err(|status| status.code())
}

/// Waits until the health of a service is as it should be.
async fn until(way: &Transport, service: &str, wanted: ServingStatus) {
    let request = HealthCheckRequest { service: service.into() };
    let changes = HealthClient::new(way.clone()).watch(request).await.unwrap().into_inner();
    let seen = changes.any(|change| {
        let seen = change.map(|change: HealthCheckResponse| change.status());
        std::future::ready(seen.unwrap() == wanted)
    });
    assert!(seen.await, "{service} never was {wanted:?}");
}

/// The services of some packages.
fn services(packages: &[&str]) -> BTreeSet<String> {
    let services = kefu_api::descriptor_pool().services();
    let services = services.filter(|service| {
        let package = service.package_name().split('.').nth(1).unwrap_or_default().to_owned();
        packages.contains(&&*package)
    });
    services.map(|service| service.full_name().to_owned()).collect()
}

/// What can be had at the gateway.
fn at_the_gateway() -> BTreeSet<String> {
    services(&["customer", "ticket", "survey", "gateway", "clock"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_told_for_each_service_and_overall_by_each_process_and_the_gateway() {
    let mut world = World::start(Way::Processes).await;
    let gateway = world.nobody();
    for service in at_the_gateway().iter().map(String::as_str).chain([""]) {
        // The gateway is ready by itself, and hears of the others soon after.
        until(&gateway, service, ServingStatus::Serving).await;
        assert_eq!(health(&gateway, service).await, Ok(ServingStatus::Serving), "{service}");
    }
    assert_eq!(health(&gateway, "kefu.ticket.v1.NoService").await, Err(Code::NotFound));
    for context in ContextName::ALL {
        let way = connect(&world.mesh.address_of(context).unwrap().to_string());
        for service in services(&[context.as_str(), "feed"]).iter().map(String::as_str).chain([""])
        {
            assert_eq!(health(&way, service).await, Ok(ServingStatus::Serving), "{service}");
        }
        assert_eq!(health(&way, "kefu.gateway.v1.GatewayService").await, Err(Code::NotFound));
    }

    // A context that is down costs its own services only.
    world.mesh.stop_context("survey").await.unwrap();
    let survey = services(&["survey"]);
    for service in &survey {
        until(&gateway, service, ServingStatus::NotServing).await;
    }
    for service in at_the_gateway().difference(&survey).map(String::as_str).chain([""]) {
        assert_eq!(health(&gateway, service).await, Ok(ServingStatus::Serving), "{service}");
    }
}

#[tokio::test]
async fn reflection_in_both_versions_shows_every_service_at_the_gateway() {
    let world = World::start(Way::OneProcess).await;
    let infrastructure = |name: &String| name.starts_with("grpc.");
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            "".into(),
        )),
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(world.nobody());
    let requests = futures::stream::iter([request]);
    let mut answers = client.server_reflection_info(requests).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let v1::server_reflection_response::MessageResponse::ListServicesResponse(list) = answer else {
        panic!("{answer:?}")
    };
    let listed = list.service.into_iter().map(|service| service.name);
    let (infra, listed): (BTreeSet<_>, BTreeSet<_>) = listed.partition(infrastructure);
    assert_eq!(listed, at_the_gateway());
    assert!(infra.contains("grpc.health.v1.Health"), "{infra:?}");

    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
                "kefu.ticket.v1.TicketService.WatchTickets".into(),
            ),
        ),
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(world.nobody());
    let list = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1alpha::server_reflection_request::MessageRequest::ListServices(
            "".into(),
        )),
    };
    let requests = futures::stream::iter([list, request]);
    let mut answers = client.server_reflection_info(requests).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    use v1alpha::server_reflection_response::MessageResponse;
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    let listed: BTreeSet<_> = list.service.into_iter().map(|service| service.name).collect();
    assert!(listed.is_superset(&at_the_gateway()), "{listed:?}");
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::FileDescriptorResponse(file) = answer else { panic!("{answer:?}") };
    assert!(!file.file_descriptor_proto.is_empty());
}

/// A mesh on a Postgres of its own, which can be stopped.
struct OnItsOwnPostgres {
    folder: tempfile::TempDir,
    cluster: Option<PrivateCluster>,
    mesh: Mesh,
    client: Client,
}

impl OnItsOwnPostgres {
    async fn start() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        // Postgres runs as somebody else where the test runs as root.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let cluster = cluster(&folder).await;
        let databases = Databases::provision(&cluster.admin_url("kefu")).await.unwrap();
        let home = Home::open(&folder.path().join("home")).unwrap();
        let clock = ManualClock::new(kefu_harness::START.parse().unwrap());
        let minter = home.minter(std::sync::Arc::new(clock.clone())).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = MeshOptions {
            pool_size: 8,
            ..MeshOptions::new(databases, clock, home.key(), listener)
        };
        let mesh = Mesh::start(options).await.unwrap();
        mesh.ready().await.unwrap();
        let caller = Caller::staff("you", "group".parse().unwrap(), [role::ADMIN, role::CLERK]);
        let token = minter.mint(&caller, jiff::SignedDuration::from_hours(1)).unwrap();
        let client = Client::new(&format!("http://{}", mesh.address()), &token).unwrap();
        company::found(&client).await;
        Self { folder, cluster: Some(cluster), mesh, client }
    }
}

async fn cluster(folder: &tempfile::TempDir) -> PrivateCluster {
    let options = PrivateClusterOptions::new(folder.path().join("postgres"));
    PrivateCluster::start(options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x01_a_service_whose_postgres_is_away_stays_up_says_so_and_recovers() {
    let mut world = OnItsOwnPostgres::start().await;
    let gateway = connect(&world.mesh.address().to_string());
    let asked = || registration(complaint(RIVERSIDE, "漏水"), request_id(1));
    let before = world.client.tickets().create_ticket(asked()).await.unwrap().into_inner();

    world.cluster.take().unwrap().stop().await;
    let ticket = "kefu.ticket.v1.TicketService";
    until(&gateway, ticket, ServingStatus::NotServing).await;
    let other = registration(complaint(RIVERSIDE, "漏电"), request_id(2));
    let status = world.client.tickets().create_ticket(other.clone()).await.unwrap_err();
    let expected = Refusal::new(Code::Unavailable, "STORE_UNAVAILABLE", &[]);
    assert_eq!(Refusal::of(&status), expected, "{status:?}");
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
    assert_eq!(
        health(&gateway, "").await,
        Ok(ServingStatus::Serving),
        "the door itself stays open"
    );

    world.cluster = Some(cluster(&world.folder).await);
    until(&gateway, ticket, ServingStatus::Serving).await;
    let again = world.client.tickets().create_ticket(asked()).await.unwrap().into_inner();
    assert_eq!(again, before, "the request id is still known");
    let next = world.client.tickets().create_ticket(other).await.unwrap().into_inner();
    assert_eq!(next.number, "T-2026-riverside-000002", "and the one that failed left nothing");
    world.mesh.stop().await.unwrap();
    world.cluster.unwrap().stop().await;
}
