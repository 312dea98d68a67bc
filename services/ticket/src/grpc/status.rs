//! The one table from errors to statuses.

use std::time::Duration;

use kefu_rpc::{Etag, Failure, Fault, Precondition, Reason, RequestContext};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::app::Error;
use crate::domain::{Missing, Refusal, StepRefusal, Text};
use crate::encode::ticket;

/// When to try again while the customer context is away.
const CONTEXT_RETRY: Duration = Duration::from_millis(500);
/// When to try again while too much is to be registered.
const OVERLOAD_RETRY: Duration = Duration::from_millis(100);

/// What the caller learns: the reason and what it can do about it, in its language, and nothing of our inside.
pub(super) fn status(context: &RequestContext, error: Error) -> Status {
    kefu_rpc::in_language(told(context, error), context.language())
}

fn told(context: &RequestContext, error: Error) -> Status {
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
        Error::DeliveryRefused(refusal) => super::delivery::refused(context, refusal),
        Error::FileRefused(fault) => super::attachment::refused(context, &fault),
        Error::NoRoom(what, most) => super::attachment::no_room(context, what, most),
        Error::BrokenOff(status) => status,
        Error::Files(error) => super::attachment::store_failed(&error),
        Error::NotFound { kind, name } => kefu_rpc::not_found(kind, &name),
        Error::Denied { action, org_unit } => context.denied(action, org_unit.as_str()),
        Error::EtagStale { current } => {
            kefu_rpc::aborted_stale_etag(&Etag::of_revision(current).to_string())
        }
        Error::OtherEtagStale { name, current } => {
            kefu_rpc::aborted_stale_etag_of(&name, &Etag::of_revision(current).to_string())
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
    let language = context.language();
    match refusal {
        Refusal::IllegalState { state, command, missing } => Failure::new(
            Code::FailedPrecondition,
            Reason::IllegalState,
            Refusal::IllegalState { state, command, missing: missing.clone() }.to_string(),
        )
        .metadata("state", state.code().to_uppercase())
        .metadata("command", command)
        .preconditions(language, missing.into_iter().map(precondition))
        .into_status(),
        Refusal::SeparationOfDuties { state, command, .. } => Failure::new(
            Code::PermissionDenied,
            Reason::SeparationOfDuties,
            "whoever handled the ticket in this cycle, or works on an order for it, may not enter its \
             verdict or end it without",
        )
        .localized(language, "本周期的经办人及派工单承办人不得录入该工单的评价，也不得在无评价时关闭")
        .metadata("state", state.code().to_uppercase())
        .metadata("command", command)
        .into_status(),
        Refusal::Authority { state, command, level, needed, money, missing } => {
            let message = Refusal::Authority {
                state,
                command,
                level,
                needed,
                money: None,
                missing: Vec::new(),
            };
            let (level, needed) = (level.number(), needed.number());
            let (en, zh) = match money {
                Some((amount, limit)) => (
                    format!(
                        "level {level} may resolve up to {limit}, and it is about {amount}: escalate \
                         it to level {needed}"
                    ),
                    format!(
                        "{level} 级办结限额为 {limit}，本单金额 {amount}，须先升级至 {needed} 级"
                    ),
                ),
                None => (
                    format!("level {level} may not resolve it: escalate it to level {needed}"),
                    format!("{level} 级无权办结，须先升级至 {needed} 级"),
                ),
            };
            let lack = Precondition::new("AUTHORITY", "ticket", en, zh);
            Failure::new(Code::FailedPrecondition, Reason::IllegalState, message.to_string())
                .metadata("state", state.code().to_uppercase())
                .metadata("command", command)
                .preconditions(language, missing.into_iter().map(precondition).chain([lack]))
                .into_status()
        }
        Refusal::NotOfLevel { state, command, level, roles } => {
            let (number, whose) = (level.number(), roles.join(", "));
            let lack = Precondition::new(
                "LEVEL",
                "ticket",
                format!("level {number} belongs to: {whose}"),
                format!("{number} 级由以下角色受理：{whose}"),
            );
            let message = Refusal::NotOfLevel { state, command, level, roles };
            Failure::new(Code::PermissionDenied, Reason::PermissionDenied, message.to_string())
                .metadata("state", state.code().to_uppercase())
                .metadata("command", command)
                .preconditions(language, [lack])
                .into_status()
        }
        Refusal::Attempts { state, command, more, next_from } => {
            let message = Refusal::Attempts { state, command, more, next_from }.to_string();
            let from = next_from.map(|at| format!("; the next counts from {at}"));
            let from = from.unwrap_or_default();
            let since = next_from.map(|at| format!("，下一次自 {at} 起计"));
            let since = since.unwrap_or_default();
            let english = format!(
                "{more} more failed attempts to reach the customer must be on record{from}"
            );
            let chinese = format!("尚须登记 {more} 次未联系上客户的记录{since}");
            let lack = Precondition::new("CONTACT_ATTEMPTS", "ticket", english, chinese);
            Failure::new(Code::FailedPrecondition, Reason::IllegalState, message)
                .metadata("state", state.code().to_uppercase())
                .metadata("command", command)
                .preconditions(language, [lack])
                .into_status()
        }
        Refusal::FieldsMissing { state, command, fields } => {
            let message = Refusal::FieldsMissing { state, command, fields: fields.clone() };
            Failure::new(Code::FailedPrecondition, Reason::IllegalState, message.to_string())
                .metadata("state", state.code().to_uppercase())
                .metadata("command", command)
                .preconditions(
                    language,
                    fields.iter().map(|field| {
                        let chinese = format!("须先填写自定义字段“{field}”");
                        Precondition::new("CUSTOM_FIELD", field, "must be filled in first", chinese)
                    }),
                )
                .into_status()
        }
        refusal @ Refusal::ProcessRuns { .. } => super::process::runs(context, refusal),
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
        .preconditions(
            language,
            variables.into_iter().map(|variable| {
                let english = "the wording says it, and the ticket has no value for it";
                let chinese = format!("话术用到变量“{}”，而工单没有该值", variable.code());
                Precondition::new("TEMPLATE_VARIABLE", variable.code(), english, chinese)
            }),
        )
        .into_status(),
        Refusal::Merged { command, into } => {
            let message = Refusal::Merged { command, into }.to_string();
            Failure::new(Code::FailedPrecondition, Reason::IllegalState, message)
                .metadata("state", "MERGED")
                .metadata("command", command)
                .metadata("survivor", ticket::name(into))
                .preconditions(language, [not_merged("ticket", into)])
                .into_status()
        }
        Refusal::NoDeadline { rule, error } => Failure::new(
            Code::FailedPrecondition,
            Reason::IllegalState,
            format!("the deadline of {rule} cannot be computed: {error}"),
        )
        .preconditions(
            language,
            [Precondition::new(
                "COMPUTABLE_DEADLINE",
                rule,
                "the policy's calendar must reach the deadline",
                "制度的日历须覆盖该时限",
            )],
        )
        .into_status(),
    }
}

fn step_refused(context: &RequestContext, refusal: StepRefusal) -> Status {
    let message = refusal.to_string();
    let language = context.language();
    match refusal {
        StepRefusal::IllegalState { subject, state, command, missing } => {
            let missing = missing
                .into_iter()
                .map(|need| Precondition::new(need.code.to_uppercase(), subject, need.en, need.zh));
            Failure::new(Code::FailedPrecondition, Reason::IllegalState, message)
                .metadata("state", state.to_uppercase())
                .metadata("command", command)
                .preconditions(language, missing)
                .into_status()
        }
        StepRefusal::Lacking { state, command, missing, subjects } => {
            let code = missing.code.to_uppercase();
            let lacking = subjects.iter().map(|subject| {
                let chinese = format!("{}：{subject}", missing.zh);
                Precondition::new(code.clone(), subject, missing.en, chinese)
            });
            Failure::new(Code::FailedPrecondition, Reason::IllegalState, message)
                .metadata("state", state.to_uppercase())
                .metadata("command", command)
                .preconditions(language, lacking)
                .into_status()
        }
        StepRefusal::Merged { command, merged } => {
            let mut failure = Failure::new(Code::FailedPrecondition, Reason::IllegalState, message)
                .metadata("state", "MERGED")
                .metadata("command", command);
            if let [(_, survivor)] = &*merged {
                failure = failure.metadata("survivor", ticket::name(*survivor));
            }
            let lacking = merged.into_iter().map(|(id, into)| not_merged(&ticket::name(id), into));
            failure.preconditions(language, lacking).into_status()
        }
        StepRefusal::NotYours { state, command, duty } => {
            Failure::new(Code::PermissionDenied, Reason::SeparationOfDuties, message)
                .localized(language, duty.zh)
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

fn not_merged(subject: &str, survivor: Uuid) -> Precondition {
    let survivor = ticket::name(survivor);
    let english = format!("the ticket was merged: {survivor} is handled instead");
    let chinese = format!("工单已合并，请处理 {survivor}");
    Precondition::new("NOT_MERGED", subject, english, chinese)
}

fn precondition(missing: Missing) -> Precondition {
    let Text { en, zh } = missing.words();
    Precondition::new(missing.code().to_uppercase(), "ticket", en, zh)
}

pub(super) fn named(violations: kefu_rpc::Violations) -> Status {
    violations
        .into_result()
        .err()
        .unwrap_or_else(|| kefu_rpc::internal("a request was refused without naming a field"))
}
