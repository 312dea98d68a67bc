//! The wire: decode with all violations at once, one call of the app, encode.

mod automation;
mod delivery;
mod message;
mod policy;
mod policy_automation;
mod report;
mod status;
mod ticket;
mod values;
mod violation;
mod watch;
mod work_order;

use std::sync::Arc;

use kefu_api::ticket::v1::automation_service_server::AutomationServiceServer;
use kefu_api::ticket::v1::delivery_service_server::DeliveryServiceServer;
use kefu_api::ticket::v1::report_service_server::ReportServiceServer;
use kefu_api::ticket::v1::ticket_policy_service_server::TicketPolicyServiceServer;
use kefu_api::ticket::v1::ticket_service_server::TicketServiceServer;
use kefu_api::ticket::v1::work_order_service_server::WorkOrderServiceServer;
use kefu_journal::{Provenance, requests::fingerprint};
use kefu_rpc::{PageLimits, RequestContext, Violations};
use prost::Message;
use tonic::service::Routes;

use crate::app::{App, Call, RequestKey};

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
            .add_service(DeliveryServiceServer::new(grpc.clone()))
            .add_service(AutomationServiceServer::new(grpc.clone()))
            .add_service(WorkOrderServiceServer::new(grpc))
    }
}

/// Who calls, and how a retry is recognised. `message` is the request without its `request_id`, so that the same id
/// written in another case is the same request.
fn call(
    context: &RequestContext,
    violations: &mut Violations,
    method: &'static str,
    request_id: &str,
    message: &impl Message,
) -> Call {
    // Empty gives no protection; anything else has to be an id.
    let id = if request_id.is_empty() {
        None
    } else {
        violations.request_id("request_id", request_id).map(|id| id.to_string())
    };
    Call {
        by: Provenance::of(context, id.as_deref().unwrap_or_default()),
        caller: Arc::clone(context.caller()),
        deadline: context.deadline(),
        request: id.map(|id| RequestKey { id, method, fingerprint: fingerprint(method, message) }),
    }
}

/// The page size of every list here.
fn page_size(violations: &mut Violations, value: i32) -> u32 {
    violations.page_size("page_size", value, PageLimits::default())
}
