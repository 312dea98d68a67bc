//! The wire: decode with all violations at once, one call of the app, encode.

#[macro_use]
mod decode;

mod attachment;
mod attachment_stream;
mod automation;
mod bulk;
mod clock_ledger;
mod content;
mod correction;
mod corrective_action;
mod delivery;
mod duty;
mod handling;
mod link;
mod message;
mod policy;
mod policy_automation;
mod policy_handling;
mod policy_learning;
mod policy_process;
mod process;
mod queue;
mod report;
mod routing;
mod routing_policy;
mod saved_view;
mod shift;
mod status;
mod suggestion;
mod team;
mod ticket;
mod values;
mod viewer;
mod violation;
mod watch;
mod work_order;

use std::sync::Arc;

use kefu_api::ticket::v1::attachment_service_server::AttachmentServiceServer;
use kefu_api::ticket::v1::automation_service_server::AutomationServiceServer;
use kefu_api::ticket::v1::bulk_service_server::BulkServiceServer;
use kefu_api::ticket::v1::clock_ledger_service_server::ClockLedgerServiceServer;
use kefu_api::ticket::v1::corrective_action_service_server::CorrectiveActionServiceServer;
use kefu_api::ticket::v1::delivery_service_server::DeliveryServiceServer;
use kefu_api::ticket::v1::duty_service_server::DutyServiceServer;
use kefu_api::ticket::v1::handling_service_server::HandlingServiceServer;
use kefu_api::ticket::v1::process_service_server::ProcessServiceServer;
use kefu_api::ticket::v1::queue_service_server::QueueServiceServer;
use kefu_api::ticket::v1::report_service_server::ReportServiceServer;
use kefu_api::ticket::v1::routing_service_server::RoutingServiceServer;
use kefu_api::ticket::v1::saved_view_service_server::SavedViewServiceServer;
use kefu_api::ticket::v1::shift_service_server::ShiftServiceServer;
use kefu_api::ticket::v1::suggestion_service_server::SuggestionServiceServer;
use kefu_api::ticket::v1::team_service_server::TeamServiceServer;
use kefu_api::ticket::v1::ticket_link_service_server::TicketLinkServiceServer;
use kefu_api::ticket::v1::ticket_policy_service_server::TicketPolicyServiceServer;
use kefu_api::ticket::v1::ticket_service_server::TicketServiceServer;
use kefu_api::ticket::v1::viewer_service_server::ViewerServiceServer;
use kefu_api::ticket::v1::violation_service_server::ViolationServiceServer;
use kefu_api::ticket::v1::work_order_service_server::WorkOrderServiceServer;
use kefu_rpc::{Etag, PageLimits, RequestContext, TextRule, Violations};
use prost::Message;
use tonic::service::Routes;
use uuid::Uuid;

use crate::app::{App, Call};

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
            .add_service(ClockLedgerServiceServer::new(grpc.clone()))
            .add_service(HandlingServiceServer::new(grpc.clone()))
            .add_service(RoutingServiceServer::new(grpc.clone()))
            .add_service(TeamServiceServer::new(grpc.clone()))
            .add_service(DutyServiceServer::new(grpc.clone()))
            .add_service(ViolationServiceServer::new(grpc.clone()))
            .add_service(CorrectiveActionServiceServer::new(grpc.clone()))
            .add_service(SuggestionServiceServer::new(grpc.clone()))
            .add_service(ShiftServiceServer::new(grpc.clone()))
            .add_service(ProcessServiceServer::new(grpc.clone()))
            .add_service(QueueServiceServer::new(grpc.clone()))
            .add_service(SavedViewServiceServer::new(grpc.clone()))
            .add_service(DeliveryServiceServer::new(grpc.clone()))
            .add_service(AutomationServiceServer::new(grpc.clone()))
            .add_service(
                AttachmentServiceServer::new(grpc.clone())
                    .max_decoding_message_size(attachment::MAX_MESSAGE),
            )
            .add_service(BulkServiceServer::new(grpc.clone()))
            .add_service(ViewerServiceServer::new(grpc.clone()))
            .add_service(TicketLinkServiceServer::new(grpc.clone()))
            .add_service(WorkOrderServiceServer::new(grpc))
    }
}

/// What every command on something names.
struct Target {
    call: Call,
    id: Uuid,
    etag: Option<Etag>,
}

/// Its name, etag and request id; `method` and the collection in which the name is.
fn target(
    context: &RequestContext,
    violations: &mut Violations,
    (method, collection): (&'static str, &str),
    (name, etag, request_id): (&str, &str, &str),
    message: &impl Message,
) -> Option<Target> {
    let call = Call::of(context, violations, method, request_id, message);
    let id = violations.resource_id("name", name, collection);
    let etag = violations.etag("etag", etag);
    Some(Target { call, id: id?, etag: etag? })
}

/// A text of a request; `None` where it breaks the rule.
fn text(violations: &mut Violations, field: &str, value: &str, rule: TextRule) -> Option<String> {
    violations.take(field, rule.apply(value))
}

/// The page size of every list here.
fn page_size(violations: &mut Violations, value: i32) -> u32 {
    violations.page_size("page_size", value, PageLimits::default())
}
