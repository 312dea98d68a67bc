//! Health and reflection show the whole mesh (G-01).

use kefu_rpc::Transport;
use tokio_stream::StreamExt as _;
use tonic::Streaming;
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::world::{BOTH, World};

async fn watch(connection: &Transport, service: &str) -> Streaming<HealthCheckResponse> {
    let request = HealthCheckRequest { service: service.to_owned() };
    let mut client = HealthClient::new(connection.clone());
    client.watch(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn g01_health_says_for_each_service_whether_it_can_be_had() {
    for way in BOTH {
        let mut world = World::start(way).await;
        let connection = world.connect();
        let survey = "kefu.survey.v1.SurveyService";
        let mut told = watch(&connection, survey).await;
        let mut until = async |wanted: ServingStatus| {
            while told.next().await.unwrap().unwrap().status() != wanted {}
        };
        until(ServingStatus::Serving).await;
        let migrations = world.survey.readiness.condition("migrations");
        until(ServingStatus::NotServing).await;
        for (service, status) in [
            ("", ServingStatus::Serving),
            ("kefu.gateway.v1.GatewayService", ServingStatus::Serving),
            ("kefu.survey.v1.SurveyPolicyService", ServingStatus::NotServing),
            (survey, ServingStatus::NotServing),
        ] {
            let request = HealthCheckRequest { service: service.to_owned() };
            let answer = HealthClient::new(connection.clone()).check(request).await.unwrap();
            assert_eq!(answer.into_inner().status(), status, "{service}");
        }
        migrations.set(true);
        until(ServingStatus::Serving).await;
        if way == BOTH[1] {
            world.survey.kill().await;
            until(ServingStatus::NotServing).await;
            world.survey.revive().await;
            until(ServingStatus::Serving).await;
        }
    }
}

#[tokio::test]
async fn g01_reflection_lists_the_services_of_all_contexts() {
    let world = World::start(BOTH[0]).await;
    let mut client = ServerReflectionClient::new(world.connect());
    let ask = |message_request| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message_request),
    };
    let symbol = "kefu.ticket.v1.TicketService".to_owned();
    let asked = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(symbol)),
    ];
    let answers = client.server_reflection_info(tokio_stream::iter(asked)).await.unwrap();
    let answers: Vec<_> = answers.into_inner().collect().await;
    let answers: Vec<_> =
        answers.into_iter().map(|answer| answer.unwrap().message_response.unwrap()).collect();
    let MessageResponse::ListServicesResponse(listed) = &answers[0] else { panic!() };
    let listed: Vec<_> = listed.service.iter().map(|service| service.name.as_str()).collect();
    for service in [
        "kefu.customer.v1.CustomerService",
        "kefu.ticket.v1.TicketService",
        "kefu.survey.v1.SurveyService",
        "kefu.gateway.v1.GatewayService",
        "kefu.clock.v1.ClockService",
        "grpc.health.v1.Health",
    ] {
        assert!(listed.contains(&service), "{service} in {listed:?}");
    }
    assert!(!listed.contains(&"kefu.feed.v1.FeedService"), "not routed, so not shown");
    assert!(matches!(answers[1], MessageResponse::FileDescriptorResponse(_)));
}
