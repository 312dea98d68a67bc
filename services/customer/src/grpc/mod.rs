//! The wire: decode with all violations at once, one call of the app, encode.

mod contact;
mod customer;
mod org_unit;
mod policy;
mod standing;
mod status;
mod values;

use std::sync::Arc;

use kefu_api::customer::v1::{
    customer_policy_service_server::CustomerPolicyServiceServer,
    customer_service_server::CustomerServiceServer, org_unit_service_server::OrgUnitServiceServer,
};
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
        Routes::new(OrgUnitServiceServer::new(grpc.clone()))
            .add_service(CustomerServiceServer::new(grpc.clone()))
            .add_service(CustomerPolicyServiceServer::new(grpc))
    }
}

/// Who calls, and how a retry is recognised. `message` is the request without its `request_id`, so that the same id written
/// in another case is the same request.
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
    let caller = context.caller();
    Call {
        by: Provenance {
            actor: caller.subject().to_owned(),
            actor_org_unit: caller.org_unit().map(ToString::to_string).unwrap_or_default(),
            origin: context.origin().to_string(),
            request_id: id.clone().unwrap_or_default(),
            traceparent: context.trace().to_string(),
        },
        caller: Arc::clone(caller),
        request: id.map(|id| RequestKey { id, method, fingerprint: fingerprint(method, message) }),
    }
}

/// The page size of every list here.
fn page_size(violations: &mut Violations, value: i32) -> u32 {
    violations.page_size("page_size", value, PageLimits::default())
}
