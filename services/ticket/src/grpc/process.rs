//! `kefu.ticket.v1.ProcessService` (T-22).

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::process_attribute_value::Value as Told;
use kefu_api::ticket::v1::process_service_server::ProcessService;
use kefu_rpc::{
    Failure, Fault, PageLimits, PageQuery, Precondition, Reason, RequestContext, TextRule,
    Violations,
};
use tonic::{Code, Request, Response, Status};

use super::status::{named, status};
use super::{Grpc, Target, decode, text, values};
use crate::app::Call;
use crate::domain::{
    Named, NamedFile, Number, ProcessCommand, ProcessNeed, ProcessRefusal, ProcessState, Refusal,
    Value,
};
use crate::store::process_list::ProcessQuery;

const MAX_ATTRIBUTES: usize = 20;
/// A process is long.
const PAGE: PageLimits = PageLimits { default: 50, max: 100 };
const COLLECTION: &str = "processes";
const CODE: TextRule = TextRule::line(63).required();
const REFERENCE: TextRule = TextRule::line(500);
const LONG: TextRule = TextRule::paragraphs(5_000).required();
const WHY: TextRule = TextRule::paragraphs(2_000).required();

/// Every command on a process: decode, and hand over.
macro_rules! command {
    ($self:ident, $request:ident, $method:literal, |$violations:ident, $message:ident| $decode:expr) => {
        named_command!(
            $request, "ProcessService" / $method of COLLECTION,
            |$violations, $message| $decode,
            |target, command| {
                let Target { call, id, etag } = &target;
                $self.app.process_command(call, concat!("ticket.", $method), (*id, *etag), command)
            }
        )
    };
}

#[tonic::async_trait]
impl ProcessService for Grpc {
    async fn start_process(
        &self,
        request: Request<pb::StartProcessRequest>,
    ) -> Result<Response<pb::Process>, Status> {
        const METHOD: &str = "kefu.ticket.v1.ProcessService/StartProcess";
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let call = Call::of(&context, &mut violations, METHOD, &request_id, &message);
        let ticket = violations.resource_id("ticket", &message.ticket, "tickets");
        let template = text(&mut violations, "template", &message.template, CODE);
        let values = agreed(&mut violations, &message.attributes, false);
        let ((ticket, template), values) = violations.finish(ticket.zip(template).zip(values))?;
        let answer = self.app.start_process(&call, ticket, &template, values).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn get_process(
        &self,
        request: Request<pb::GetProcessRequest>,
    ) -> Result<Response<pb::Process>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let id = violations.resource_id("name", &request.get_ref().name, COLLECTION);
        let id = violations.finish(id)?;
        let answer = self.app.get_process(context.caller(), id).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn list_processes(
        &self,
        request: Request<pb::ListProcessesRequest>,
    ) -> Result<Response<pb::ListProcessesResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let size = violations.page_size("page_size", message.page_size, PAGE);
        let ticket = values::optional_id(&mut violations, "ticket", &message.ticket, "tickets");
        let template = violations.text("template", &message.template, values::CODE);
        let stage = violations.text("stage", &message.stage, values::CODE);
        let query = PageQuery::new("ticket.ListProcesses")
            .field(&message.org_unit)
            .field(&message.ticket)
            .field(&message.template)
            .field(&message.stage)
            .field([u8::from(message.overdue)]);
        let (query, states) =
            decode::states(&mut violations, query, &message.states, process_state);
        let after = decode::after(&mut violations, &message.page_token, &query);
        let (org_unit, ticket) = violations.finish(org_unit.zip(ticket))?;
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        let asked = ProcessQuery {
            org_unit: org_unit.to_string(),
            ticket,
            template: given(template),
            stage: given(stage),
            states,
            overdue: message.overdue,
            now: self.app.now(),
            after,
            limit: 0,
        };
        let page = self.app.list_processes(context.caller(), &org_unit, asked, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::ListProcessesResponse {
            processes: page.items,
            next_page_token: decode::next(&query, page.next),
        }))
    }

    async fn explain_process_deadlines(
        &self,
        request: Request<pb::ExplainProcessDeadlinesRequest>,
    ) -> Result<Response<pb::ExplainProcessDeadlinesResponse>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let id = violations.resource_id("name", &request.get_ref().name, COLLECTION);
        let id = violations.finish(id)?;
        let deadlines = self.app.explain_process_deadlines(context.caller(), id).await;
        let deadlines = deadlines.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::ExplainProcessDeadlinesResponse { deadlines }))
    }

    async fn record_process_answer(
        &self,
        request: Request<pb::RecordProcessAnswerRequest>,
    ) -> Result<Response<pb::Process>, Status> {
        command!(self, request, "RecordProcessAnswer", |violations, message| {
            let stage = text(&mut violations, "stage", &message.stage, CODE);
            let message = of_ticket(&mut violations, "message", &message.message, "messages");
            stage.zip(message).map(|(stage, message)| ProcessCommand::RecordAnswer {
                stage,
                message,
                said: None,
            })
        })
    }

    async fn record_process_document(
        &self,
        request: Request<pb::RecordProcessDocumentRequest>,
    ) -> Result<Response<pb::Process>, Status> {
        command!(self, request, "RecordProcessDocument", |violations, message| {
            let stage = text(&mut violations, "stage", &message.stage, CODE);
            let document = text(&mut violations, "document", &message.document, CODE);
            let kept = kept(&mut violations, &message.reference, &message.attachment);
            stage.zip(document).zip(kept).map(|((stage, document), (reference, file))| {
                ProcessCommand::RecordDocument { stage, document, reference, file }
            })
        })
    }

    async fn record_process_inspection(
        &self,
        request: Request<pb::RecordProcessInspectionRequest>,
    ) -> Result<Response<pb::Process>, Status> {
        command!(self, request, "RecordProcessInspection", |violations, message| {
            let stage = text(&mut violations, "stage", &message.stage, CODE);
            let outcome = text(&mut violations, "outcome", &message.outcome, CODE);
            let finding = text(&mut violations, "finding", &message.finding, LONG);
            stage.zip(outcome).zip(finding).map(|((stage, outcome), finding)| {
                ProcessCommand::RecordInspection { stage, outcome, finding }
            })
        })
    }

    async fn submit_process_stage(
        &self,
        request: Request<pb::SubmitProcessStageRequest>,
    ) -> Result<Response<pb::Process>, Status> {
        command!(self, request, "SubmitProcessStage", |violations, message| {
            let stage = text(&mut violations, "stage", &message.stage, CODE);
            stage.map(|stage| ProcessCommand::Submit { stage })
        })
    }

    async fn approve_process_stage(
        &self,
        request: Request<pb::ApproveProcessStageRequest>,
    ) -> Result<Response<pb::Process>, Status> {
        command!(self, request, "ApproveProcessStage", |violations, message| {
            let stage = text(&mut violations, "stage", &message.stage, CODE);
            let comment = text(&mut violations, "comment", &message.comment, values::COMMENT);
            stage.zip(comment).map(|(stage, comment)| ProcessCommand::Approve { stage, comment })
        })
    }

    async fn reject_process_stage(
        &self,
        request: Request<pb::RejectProcessStageRequest>,
    ) -> Result<Response<pb::Process>, Status> {
        command!(self, request, "RejectProcessStage", |violations, message| {
            let stage = text(&mut violations, "stage", &message.stage, CODE);
            let reason = text(&mut violations, "reason", &message.reason, WHY);
            stage.zip(reason).map(|(stage, reason)| ProcessCommand::Reject { stage, reason })
        })
    }

    async fn complete_process_stage(
        &self,
        request: Request<pb::CompleteProcessStageRequest>,
    ) -> Result<Response<pb::Process>, Status> {
        command!(self, request, "CompleteProcessStage", |violations, message| {
            let stage = text(&mut violations, "stage", &message.stage, CODE);
            stage.map(|stage| ProcessCommand::Complete { stage })
        })
    }

    async fn request_process_change(
        &self,
        request: Request<pb::RequestProcessChangeRequest>,
    ) -> Result<Response<pb::Process>, Status> {
        command!(self, request, "RequestProcessChange", |violations, message| {
            let values = agreed(&mut violations, &message.attributes, true);
            let reason = text(&mut violations, "reason", &message.reason, WHY);
            values
                .zip(reason)
                .map(|(values, reason)| ProcessCommand::RequestChange { values, reason })
        })
    }

    async fn decide_process_change(
        &self,
        request: Request<pb::DecideProcessChangeRequest>,
    ) -> Result<Response<pb::Process>, Status> {
        command!(self, request, "DecideProcessChange", |violations, message| {
            let agreed = outcome(&mut violations, message.outcome);
            let decision = text(&mut violations, "decision", &message.decision, WHY);
            agreed
                .zip(decision)
                .map(|(agreed, decision)| ProcessCommand::DecideChange { agreed, decision })
        })
    }

    async fn cancel_process(
        &self,
        request: Request<pb::CancelProcessRequest>,
    ) -> Result<Response<pb::Process>, Status> {
        command!(self, request, "CancelProcess", |violations, message| {
            text(&mut violations, "reason", &message.reason, values::REASON)
                .map(|reason| ProcessCommand::Cancel { reason })
        })
    }
}

/// Where a document is: a reference, a file of a ticket, or both; what names a file is one.
fn kept(
    violations: &mut Violations,
    reference: &str,
    attachment: &str,
) -> Option<(String, Option<NamedFile>)> {
    let named = |file| NamedFile { file, state: None };
    if attachment.is_empty() && reference.starts_with("tickets/") {
        let file = of_ticket(violations, "reference", reference, "attachments");
        return file.map(|file| (String::new(), Some(named(file))));
    }
    if attachment.is_empty() {
        let reference = text(violations, "reference", reference, REFERENCE.required());
        return reference.map(|reference| (reference, None));
    }
    let reference = text(violations, "reference", reference, REFERENCE);
    let file = of_ticket(violations, "attachment", attachment, "attachments");
    reference.zip(file).map(|(reference, file)| (reference, Some(named(file))))
}

/// Something of a ticket: `tickets/UUID/{collection}/UUID`.
fn of_ticket(
    violations: &mut Violations,
    field: &str,
    name: &str,
    collection: &str,
) -> Option<Named> {
    let Some((ticket, _)) = name.split_once(&format!("/{collection}/")) else {
        let form = format!("tickets/UUID/{collection}/UUID");
        let english = format!("a name of the form {form}");
        violations.add(field, Fault::malformed(&english, &format!("形如 {form} 的名称")));
        return None;
    };
    let id = violations.resource_id(field, name, &format!("{ticket}/{collection}"))?;
    Some(Named { ticket: violations.resource_id(field, ticket, "tickets")?, id })
}

/// The values of attributes; `some` where there must be any.
fn agreed(
    violations: &mut Violations,
    attributes: &[pb::ProcessAttributeValue],
    some: bool,
) -> Option<Vec<(String, Value)>> {
    if !violations.at_most("attributes", attributes.len(), MAX_ATTRIBUTES) {
        return None;
    }
    if some && attributes.is_empty() {
        violations.add("attributes", Fault::required());
    }
    let attributes = attributes.iter().enumerate();
    let values: Vec<_> = attributes
        .map(|(index, attribute)| {
            violations.item("attributes", index, |violations| {
                let code = text(violations, "attribute", &attribute.attribute, CODE);
                let value = match &attribute.value {
                    None => {
                        violations.add("value", Fault::required());
                        None
                    }
                    Some(Told::Number(number)) => {
                        let number = Number::new(*number);
                        if number.is_none() {
                            violations
                                .add("number", Fault::malformed("a finite number", "有限的数"));
                        }
                        number.map(Value::Number)
                    }
                    Some(Told::Flag(flag)) => Some(Value::Flag(*flag)),
                    Some(Told::Choice(choice)) => {
                        text(violations, "choice", choice, CODE).map(Value::Choice)
                    }
                };
                code.zip(value)
            })
        })
        .collect();
    values.into_iter().collect()
}

/// Whether a change is agreed.
fn outcome(violations: &mut Violations, outcome: i32) -> Option<bool> {
    match violations.enumeration("outcome", outcome)? {
        pb::ProcessChangeState::Approved => Some(true),
        pb::ProcessChangeState::Rejected => Some(false),
        _ => {
            let form = "must be APPROVED or REJECTED";
            violations.add("outcome", Fault::new("NOT_ALLOWED", form, "须为批准或驳回"));
            None
        }
    }
}

fn process_state(state: pb::ProcessState) -> Option<ProcessState> {
    Some(match state {
        pb::ProcessState::Unspecified => return None,
        pb::ProcessState::Running => ProcessState::Running,
        pb::ProcessState::Completed => ProcessState::Completed,
        pb::ProcessState::Cancelled => ProcessState::Cancelled,
    })
}

fn lack(need: &ProcessNeed) -> Precondition {
    let words = need.words();
    Precondition::new(need.kind.code().to_uppercase(), need.subject.clone(), words.en, words.zh)
}

/// Why a command on a ticket was refused whose process is under way: at which stages, and what these lack.
pub(super) fn runs(context: &RequestContext, refusal: Refusal) -> Status {
    let message = refusal.to_string();
    let Refusal::ProcessRuns { state, command, process, stages, missing } = refusal else {
        return kefu_rpc::internal("a process that does not run was to be told");
    };
    let process = crate::encode::process::name(process);
    let stages: Vec<Precondition> = stages
        .into_iter()
        .map(|stage| {
            let english = format!("{process}: complete the stage {stage}, or cancel the process");
            let chinese = format!("{process}：须先完成环节 {stage}，或取消流程");
            Precondition::new("PROCESS_STAGE", stage, english, chinese)
        })
        .collect();
    Failure::new(Code::FailedPrecondition, Reason::IllegalState, message)
        .metadata("state", state.code().to_uppercase())
        .metadata("command", command)
        .metadata("process", process)
        .preconditions(context.language(), stages.into_iter().chain(missing.iter().map(lack)))
        .into_status()
}

/// Why a command was refused, with everything that is missing.
pub(super) fn refused(context: &RequestContext, refusal: ProcessRefusal) -> Status {
    let message = refusal.to_string();
    match refusal {
        ProcessRefusal::Lacking { command, missing } => {
            Failure::new(Code::FailedPrecondition, Reason::IllegalState, message)
                .metadata("command", command)
                .preconditions(context.language(), missing.iter().map(lack))
                .into_status()
        }
        ProcessRefusal::NotYours { command, duty } => {
            Failure::new(Code::PermissionDenied, Reason::SeparationOfDuties, message)
                .metadata("command", command)
                .metadata("duty", duty.code().to_uppercase())
                .localized(context.language(), duty.words().zh)
                .into_status()
        }
        ProcessRefusal::Fields(faults) => {
            let mut violations = context.violations();
            for fault in faults {
                let told = Fault::new(fault.reason, fault.description, fault.chinese);
                violations.add(&fault.path, told);
            }
            named(violations)
        }
        ProcessRefusal::NoDeadline => {
            Failure::new(Code::FailedPrecondition, Reason::IllegalState, message)
                .preconditions(
                    context.language(),
                    [Precondition::new(
                        "COMPUTABLE_DEADLINE",
                        "process",
                        "the policy's calendar must reach the deadline",
                        "制度的日历须覆盖该时限",
                    )],
                )
                .into_status()
        }
    }
}
