//! The one table from errors to statuses.

use std::time::Duration;

use kefu_rpc::{Etag, Failure, Reason, RequestContext};
use tonic::{Code, Status};

use crate::{app::Error, domain::refusal::Refusal};

/// When to try again while the customer context is away.
const CUSTOMER_RETRY: Duration = Duration::from_millis(250);

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
        Error::TokenInvalid => failure(
            Code::NotFound,
            Reason::InvitationInvalid,
            "the invitation does not exist, has expired or was taken back",
        )
        .into_status(),
        Error::Refused { name, refusal } => refused(&name, refusal),
        Error::Denied { action, org_unit } => context.denied(action, org_unit.as_str()),
        Error::EtagStale { current } => {
            kefu_rpc::aborted_stale_etag(&Etag::of_revision(current).to_string())
        }
        Error::RequestIdReused { request_id } => kefu_rpc::request_id_reused(&request_id),
        Error::OrgUnitUnknown(org_unit) => failure(
            Code::FailedPrecondition,
            Reason::OrgUnitUnknown,
            format!("the org unit {org_unit} does not exist"),
        )
        .metadata("org_unit", org_unit.as_str())
        .into_status(),
        Error::PolicyMissing(org_unit) => failure(
            Code::FailedPrecondition,
            Reason::PolicyMissing,
            format!("no survey policy is in force for {org_unit}"),
        )
        .metadata("org_unit", org_unit.as_str())
        .into_status(),
        Error::CustomerUnavailable => kefu_rpc::context_unavailable("customer", CUSTOMER_RETRY),
        Error::Store(error) => kefu_service::store_status(&error),
        Error::Defect(cause) => kefu_rpc::internal(&cause),
    }
}

fn refused(name: &str, refusal: Refusal) -> Status {
    let (code, reason, message) = match refusal {
        Refusal::Ended => (
            Code::FailedPrecondition,
            Reason::InvitationInvalid,
            format!("{name} has expired or was taken back"),
        ),
        Refusal::AlreadyAnswered => {
            (Code::AlreadyExists, Reason::AlreadyAnswered, format!("{name} has been answered"))
        }
        Refusal::OwnWork => (
            Code::PermissionDenied,
            Reason::SeparationOfDuties,
            "whoever handled the ticket may neither hold nor use the token of its call-back"
                .to_owned(),
        ),
    };
    failure(code, reason, message).into_status()
}

fn failure(code: Code, reason: Reason, message: impl Into<String>) -> Failure {
    Failure::new(code, reason, message)
}
