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
        Routes::new(OrgUnitServiceServer::new(grpc.clone()))
            .add_service(CustomerServiceServer::new(grpc.clone()))
            .add_service(CustomerPolicyServiceServer::new(grpc))
    }
}

/// The page size of every list here.
fn page_size(violations: &mut Violations, value: i32) -> u32 {
    violations.page_size("page_size", value, PageLimits::default())
}
