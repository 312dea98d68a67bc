//! The one table from errors to statuses.

use kefu_rpc::{Etag, Failure, Reason, RequestContext};
use tonic::{Code, Status};

use crate::app::Error;

/// What the caller learns: the reason and what it can do about it, in its language, and nothing of our inside.
pub(super) fn status(context: &RequestContext, error: Error) -> Status {
    kefu_rpc::in_language(told(context, error), context.language())
}

fn told(context: &RequestContext, error: Error) -> Status {
    match error {
        Error::Invalid(violations) => violations
            .into_result()
            .err()
            .unwrap_or_else(|| kefu_rpc::internal("a request was refused without naming a field")),
        Error::NotFound { kind, name } => kefu_rpc::not_found(kind, &name),
        Error::AlreadyExists { kind, name } => kefu_rpc::already_exists(kind, &name),
        Error::Denied { action, org_unit } => context.denied(action, org_unit.as_str()),
        // Nothing is there whose etag could be read.
        Error::EtagStale { current: 0 } => kefu_rpc::aborted_stale_etag(""),
        Error::EtagStale { current } => {
            kefu_rpc::aborted_stale_etag(&Etag::of_revision(current).to_string())
        }
        Error::RequestIdReused { request_id } => kefu_rpc::request_id_reused(&request_id),
        Error::OrgUnitUnknown(org_unit) => Failure::new(
            Code::FailedPrecondition,
            Reason::OrgUnitUnknown,
            format!("the org unit {org_unit} does not exist"),
        )
        .metadata("org_unit", org_unit.as_str())
        .into_status(),
        Error::PolicyMissing(org_unit) => Failure::new(
            Code::FailedPrecondition,
            Reason::PolicyMissing,
            format!("no customer policy is in force for {org_unit}"),
        )
        .metadata("org_unit", org_unit.as_str())
        .into_status(),
        Error::Store(error) => kefu_service::store_status(&error),
        Error::Defect(cause) => kefu_rpc::internal(&cause),
    }
}
