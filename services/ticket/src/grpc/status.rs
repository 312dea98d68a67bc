//! The one table from errors to statuses.

use std::time::Duration;

use kefu_rpc::{Etag, Failure, Fault, Precondition, Reason, RequestContext};
use tonic::{Code, Status};

use crate::app::Error;
use crate::domain::{Missing, Refusal, StepRefusal};

/// When to try again while the customer context is away.
const CONTEXT_RETRY: Duration = Duration::from_millis(500);
/// When to try again while too much is to be registered.
const OVERLOAD_RETRY: Duration = Duration::from_millis(100);

/// What the caller learns: the reason and what it can do about it, and nothing of our inside.
pub(super) fn status(context: &RequestContext, error: Error) -> Status {
    match error {
        Error::Invalid(field, fault) => {
            let mut violations = context.violations();
            violations.add(field, fault);
            named(violations)
        }
        Error::Refused(refusal) => refused(context, refusal),
        Error::OrderRefused(refusal) => super::work_order::refused(context, refusal),
        Error::StepRefused(refusal) => step_refused(context, refusal),
        Error::ProcessRefused(refusal) => super::process::refused(context, refusal),
        Error::AlreadyExists { kind, name } => kefu_rpc::already_exists(kind, &name),
        Error::DeliveryRefused(refusal) => super::delivery::refused(refusal),
        Error::FileRefused(fault) => super::attachment::refused(context, &fault),
        Error::NoRoom(what, most) => super::attachment::no_room(what, most),
        Error::BrokenOff(status) => status,
        Error::Files(error) => super::attachment::store_failed(&error),
        Error::NotFound { kind, name } => kefu_rpc::not_found(kind, &name),
        Error::Denied { action, org_unit } => context.denied(action, org_unit.as_str()),
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
            format!("no ticket policy is in force for {org_unit}"),
        )
        .metadata("org_unit", org_unit.as_str())
        .into_status(),
        Error::CustomerUnavailable => kefu_rpc::context_unavailable("customer", CONTEXT_RETRY),
        Error::Overloaded => kefu_rpc::resource_exhausted(OVERLOAD_RETRY),
        Error::Conflict => kefu_rpc::aborted_conflict(),
        Error::Store(error) => kefu_service::store_status(&error),
        Error::Defect(cause) => kefu_rpc::internal(&cause),
    }
}

fn refused(context: &RequestContext, refusal: Refusal) -> Status {
    match refusal {
        Refusal::IllegalState { state, command, missing } => Failure::new(
            Code::FailedPrecondition,
            Reason::IllegalState,
            Refusal::IllegalState { state, command, missing: missing.clone() }.to_string(),
        )
        .metadata("state", state.code().to_uppercase())
        .metadata("command", command)
        .preconditions(missing.into_iter().map(precondition))
        .into_status(),
        Refusal::SeparationOfDuties { state, command, .. } => Failure::new(
            Code::PermissionDenied,
            Reason::SeparationOfDuties,
            "whoever handled the ticket in this cycle may not enter its verdict or close it without one",
        )
        .metadata("state", state.code().to_uppercase())
        .metadata("command", command)
        .into_status(),
        Refusal::Authority { state, command, level, needed, missing } => {
            let message = Refusal::Authority { state, command, level, needed, missing: Vec::new() };
            let lack = format!(
                "level {} may not resolve it: escalate it to level {}, which may",
                level.number(),
                needed.number()
            );
            let lack = Precondition::new("AUTHORITY", "ticket", lack);
            Failure::new(Code::FailedPrecondition, Reason::IllegalState, message.to_string())
                .metadata("state", state.code().to_uppercase())
                .metadata("command", command)
                .preconditions(missing.into_iter().map(precondition).chain([lack]))
                .into_status()
        }
        Refusal::NotOfLevel { state, command, level, roles } => {
            let lack = format!("level {} belongs to: {}", level.number(), roles.join(", "));
            let lack = Precondition::new("LEVEL", "ticket", lack);
            let message = Refusal::NotOfLevel { state, command, level, roles };
            Failure::new(Code::PermissionDenied, Reason::PermissionDenied, message.to_string())
                .metadata("state", state.code().to_uppercase())
                .metadata("command", command)
                .preconditions([lack])
                .into_status()
        }
        Refusal::Attempts { state, command, more, next_from } => {
            let message = Refusal::Attempts { state, command, more, next_from }.to_string();
            let from = next_from.map(|at| format!("; the next counts from {at}"));
            let from = from.unwrap_or_default();
            let lack = format!(
                "{more} more failed attempts to reach the customer must be on record{from}"
            );
            Failure::new(Code::FailedPrecondition, Reason::IllegalState, message)
                .metadata("state", state.code().to_uppercase())
                .metadata("command", command)
                .preconditions([Precondition::new("CONTACT_ATTEMPTS", "ticket", lack)])
                .into_status()
        }
        Refusal::FieldsMissing { state, command, fields } => {
            let message = Refusal::FieldsMissing { state, command, fields: fields.clone() };
            Failure::new(Code::FailedPrecondition, Reason::IllegalState, message.to_string())
                .metadata("state", state.code().to_uppercase())
                .metadata("command", command)
                .preconditions(fields.iter().map(|field| {
                    Precondition::new("CUSTOM_FIELD", field, "must be filled in first")
                }))
                .into_status()
        }
        refusal @ Refusal::ProcessRuns { .. } => super::process::runs(refusal),
        Refusal::Fields(faults) => {
            let mut violations = context.violations();
            for fault in faults {
                let told = Fault::new(fault.reason, fault.description, fault.chinese);
                violations.add(&fault.path, told);
            }
            named(violations)
        }
        Refusal::NoValue { state, variables } => Failure::new(
            Code::FailedPrecondition,
            Reason::IllegalState,
            Refusal::NoValue { state, variables: variables.clone() }.to_string(),
        )
        .metadata("state", state.code().to_uppercase())
        .metadata("command", "RenderMessageTemplate")
        .preconditions(variables.into_iter().map(|variable| {
            let description = "the wording says it, and the ticket has no value for it";
            Precondition::new("TEMPLATE_VARIABLE", variable.code(), description)
        }))
        .into_status(),
        Refusal::Merged { command, into } => {
            let survivor = crate::encode::ticket::name(into);
            let message = Refusal::Merged { command, into }.to_string();
            let lack = format!("the ticket was merged: {survivor} is handled instead");
            Failure::new(Code::FailedPrecondition, Reason::IllegalState, message)
                .metadata("state", "MERGED")
                .metadata("command", command)
                .metadata("survivor", survivor)
                .preconditions([Precondition::new("NOT_MERGED", "ticket", lack)])
                .into_status()
        }
        Refusal::NoDeadline { rule, error } => Failure::new(
            Code::FailedPrecondition,
            Reason::IllegalState,
            format!("the deadline of {rule} cannot be computed: {error}"),
        )
        .preconditions([Precondition::new(
            "COMPUTABLE_DEADLINE",
            rule,
            "the policy's calendar must reach the deadline",
        )])
        .into_status(),
    }
}

fn step_refused(context: &RequestContext, refusal: StepRefusal) -> Status {
    let message = refusal.to_string();
    match refusal {
        StepRefusal::IllegalState { subject, state, command, missing } => {
            let missing = missing
                .into_iter()
                .map(|need| Precondition::new(need.code.to_uppercase(), subject, need.en));
            Failure::new(Code::FailedPrecondition, Reason::IllegalState, message)
                .metadata("state", state.to_uppercase())
                .metadata("command", command)
                .preconditions(missing)
                .into_status()
        }
        StepRefusal::Lacking { state, command, missing, subjects } => {
            let code = missing.code.to_uppercase();
            let lacking =
                subjects.iter().map(|subject| Precondition::new(code.clone(), subject, missing.en));
            Failure::new(Code::FailedPrecondition, Reason::IllegalState, message)
                .metadata("state", state.to_uppercase())
                .metadata("command", command)
                .preconditions(lacking)
                .into_status()
        }
        StepRefusal::NotYours { state, command, duty } => {
            Failure::new(Code::PermissionDenied, Reason::SeparationOfDuties, message)
                .metadata("state", state.to_uppercase())
                .metadata("command", command)
                .metadata("duty", duty.code.to_uppercase())
                .into_status()
        }
        StepRefusal::Fields(faults) => {
            let mut violations = context.violations();
            for fault in faults {
                let told = Fault::new(fault.reason, fault.description, fault.chinese);
                violations.add(&fault.path, told);
            }
            named(violations)
        }
    }
}

fn precondition(missing: Missing) -> Precondition {
    Precondition::new(missing.code().to_uppercase(), "ticket", missing.words().en)
}

pub(super) fn named(violations: kefu_rpc::Violations) -> Status {
    violations
        .into_result()
        .err()
        .unwrap_or_else(|| kefu_rpc::internal("a request was refused without naming a field"))
}
