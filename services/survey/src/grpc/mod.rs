//! The wire: decode with all violations at once, one call of the app, encode.

mod answer;
mod invitation;
mod policy;
pub(crate) mod status;

use std::sync::Arc;

use kefu_api::survey::v1::{
    survey_policy_service_server::SurveyPolicyServiceServer,
    survey_service_server::SurveyServiceServer,
};
use kefu_rpc::{PageLimits, Violations};
use tonic::service::Routes;
use uuid::Uuid;

use crate::{
    app::App,
    domain::token::{Token, TokenHash},
};

/// The context's gRPC services over the app.
#[derive(Clone, Debug)]
pub struct Grpc {
    app: Arc<App>,
}

impl Grpc {
    /// The services of the context.
    pub fn routes(app: Arc<App>) -> Routes {
        let grpc = Self { app };
        Routes::new(SurveyServiceServer::new(grpc.clone()))
            .add_service(SurveyPolicyServiceServer::new(grpc))
    }
}

/// The page size of every list here.
fn page_size(violations: &mut Violations, value: i32) -> u32 {
    violations.page_size("page_size", value, PageLimits::default())
}

/// The hash of a token; `None` for what cannot be one, which is answered like one that opens nothing. One that is not even
/// there is a wrong field.
fn token(violations: &mut Violations, field: &str, text: &str) -> Option<TokenHash> {
    if text.is_empty() {
        violations.add(field, kefu_rpc::Fault::required());
    }
    Token::read(text).map(|token| token.hash())
}

/// A resource name that may be left out.
fn optional_id(
    violations: &mut Violations,
    field: &str,
    name: &str,
    collection: &str,
) -> Option<Uuid> {
    if name.is_empty() { None } else { violations.resource_id(field, name, collection) }
}
