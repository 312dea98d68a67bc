//! The wire: decode with all violations at once, one call of the app, encode.

mod duty;
mod handling;
mod message;
mod policy;
mod policy_handling;
mod report;
mod routing;
mod routing_policy;
mod status;
mod team;
mod ticket;
mod values;
mod violation;
mod watch;
mod work_order;

use std::sync::Arc;

use kefu_api::ticket::v1::duty_service_server::DutyServiceServer;
use kefu_api::ticket::v1::handling_service_server::HandlingServiceServer;
use kefu_api::ticket::v1::report_service_server::ReportServiceServer;
use kefu_api::ticket::v1::routing_service_server::RoutingServiceServer;
use kefu_api::ticket::v1::team_service_server::TeamServiceServer;
use kefu_api::ticket::v1::ticket_policy_service_server::TicketPolicyServiceServer;
use kefu_api::ticket::v1::ticket_service_server::TicketServiceServer;
use kefu_api::ticket::v1::work_order_service_server::WorkOrderServiceServer;
use kefu_rpc::{PageLimits, Violations};
use tonic::service::Routes;

use crate::app::App;

/// The context's gRPC services over the app.
#[derive(Clone, Debug)]
pub struct Grpc {
    app: Arc<App>,
}

impl Grpc {
    /// The services of the context.
    pub fn routes(app: Arc<App>) -> Routes {
        let grpc = Self { app };
        Routes::new(TicketServiceServer::new(grpc.clone()))
            .add_service(TicketPolicyServiceServer::new(grpc.clone()))
            .add_service(ReportServiceServer::new(grpc.clone()))
            .add_service(HandlingServiceServer::new(grpc.clone()))
            .add_service(RoutingServiceServer::new(grpc.clone()))
            .add_service(TeamServiceServer::new(grpc.clone()))
            .add_service(DutyServiceServer::new(grpc.clone()))
            .add_service(WorkOrderServiceServer::new(grpc))
    }
}

/// The page size of every list here.
fn page_size(violations: &mut Violations, value: i32) -> u32 {
    violations.page_size("page_size", value, PageLimits::default())
}
