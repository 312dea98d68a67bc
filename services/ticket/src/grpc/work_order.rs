//! `kefu.ticket.v1.WorkOrderService` (T-16).

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::sign_off_work_order_request::Signature as SignatureKind;
use kefu_api::ticket::v1::work_order_service_server::WorkOrderService;
use kefu_rpc::{
    Failure, Fault, Language, PageQuery, Precondition, Reason, RequestContext, TextRule, Violations,
};
use tonic::{Code, Request, Response, Status};

use super::status::{named, status};
use super::{Grpc, Target, decode, page_size, text, values};
use crate::app::addressee::Addressee;
use crate::app::work_order::NewOrder;
use crate::domain::{
    Brief, DisputeOutcome, OrderCommand, OrderMissing, OrderRefusal, OrderStateName, Signature,
    Text,
};
use crate::encode::work_order as encode;
use crate::store::work_order::OrderQuery;

const COLLECTION: &str = "workOrders";
const TASK: TextRule = TextRule::line(500).required();
const REQUIREMENTS: TextRule = TextRule::paragraphs(5_000).required();
const PLACE: TextRule = TextRule::line(200);
const ASSIGNEE: TextRule = TextRule::line(200);
const TEAM: TextRule = TextRule::line(100);
const NOTE: TextRule = TextRule::paragraphs(2_000).required();
const RESULT: TextRule = TextRule::paragraphs(5_000).required();
const CUSTOMER_NAME: TextRule = TextRule::line(100).required();
const IMAGE: TextRule = TextRule::line(500).required();
const CODE: TextRule = TextRule::line(50).required();

/// Every command on an order: decode, and hand over.
macro_rules! command {
    ($self:ident, $request:ident, $method:literal, |$violations:ident, $message:ident| $decode:expr) => {
        named_command!(
            $request, "WorkOrderService" / $method of COLLECTION,
            |$violations, $message| $decode,
            |target, command| {
                let Target { call, id, etag } = &target;
                $self.app.order_command(call, concat!("ticket.", $method), *id, *etag, command)
            }
        )
    };
}

#[tonic::async_trait]
impl WorkOrderService for Grpc {
    async fn issue_work_order(
        &self,
        request: Request<pb::IssueWorkOrderRequest>,
    ) -> Result<Response<pb::WorkOrder>, Status> {
        creation!(request, "WorkOrderService" / "IssueWorkOrder", work_order by new_order, |call, new| {
            self.app.issue_work_order(&call, new)
        })
    }

    async fn get_work_order(
        &self,
        request: Request<pb::GetWorkOrderRequest>,
    ) -> Result<Response<pb::WorkOrder>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let id = violations.resource_id("name", &request.get_ref().name, "workOrders");
        let id = violations.finish(id)?;
        let order = self.app.get_work_order(context.caller(), id).await;
        let order = order.map_err(|error| status(&context, error))?;
        Ok(Response::new(encode::resource(&order)))
    }

    async fn list_work_orders(
        &self,
        request: Request<pb::ListWorkOrdersRequest>,
    ) -> Result<Response<pb::ListWorkOrdersResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let centre = values::org_unit(&mut violations, "dispatch_centre", &message.dispatch_centre);
        let size = page_size(&mut violations, message.page_size);
        let ticket = values::optional_id(&mut violations, "ticket", &message.ticket, "tickets");
        let assignee = violations.text("assignee", &message.assignee, ASSIGNEE);
        let query = PageQuery::new("ticket.ListWorkOrders")
            .field(&message.dispatch_centre)
            .field(&message.assignee)
            .field(&message.ticket)
            .field([u8::from(message.overdue)]);
        let (query, states) = decode::states(&mut violations, query, &message.states, order_state);
        let after = decode::after(&mut violations, &message.page_token, &query);
        let (centre, ticket) = violations.finish(centre.zip(ticket))?;
        let asked = OrderQuery {
            centre: centre.to_string(),
            states,
            overdue: message.overdue,
            now: self.app.now(),
            ticket,
            assignees: None,
            after,
            limit: 0,
        };
        let asked = (asked, Addressee::named(assignee));
        let page = self.app.list_work_orders(context.caller(), &centre, asked, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::ListWorkOrdersResponse {
            work_orders: page.items.iter().map(encode::resource).collect(),
            next_page_token: decode::next(&query, page.next),
        }))
    }

    async fn accept_work_order(
        &self,
        request: Request<pb::AcceptWorkOrderRequest>,
    ) -> Result<Response<pb::WorkOrder>, Status> {
        let now = self.app.now();
        command!(self, request, "AcceptWorkOrder", |violations, message| {
            values::past_time(&mut violations, "accept_time", message.accept_time, now)
                .map(|at| OrderCommand::Accept { at, stands_in: false })
        })
    }

    async fn report_work_order_progress(
        &self,
        request: Request<pb::ReportWorkOrderProgressRequest>,
    ) -> Result<Response<pb::WorkOrder>, Status> {
        command!(self, request, "ReportWorkOrderProgress", |violations, message| {
            let note = text(&mut violations, "note", &message.note, NOTE);
            let next = violations.time("next_reply_time", message.next_reply_time);
            note.zip(next).map(|(note, next)| OrderCommand::Report { note, next, in_place: false })
        })
    }

    async fn dispute_work_order(
        &self,
        request: Request<pb::DisputeWorkOrderRequest>,
    ) -> Result<Response<pb::WorkOrder>, Status> {
        command!(self, request, "DisputeWorkOrder", |violations, message| {
            text(&mut violations, "reason", &message.reason, NOTE)
                .map(|reason| OrderCommand::Dispute { reason })
        })
    }

    async fn decide_work_order_dispute(
        &self,
        request: Request<pb::DecideWorkOrderDisputeRequest>,
    ) -> Result<Response<pb::WorkOrder>, Status> {
        command!(self, request, "DecideWorkOrderDispute", |violations, message| {
            let outcome = violations.enumeration("outcome", message.outcome).and_then(outcome);
            text(&mut violations, "decision", &message.decision, values::REASON)
                .zip(outcome)
                .map(|(decision, outcome)| OrderCommand::DecideDispute { outcome, decision })
        })
    }

    async fn reassign_work_order(
        &self,
        request: Request<pb::ReassignWorkOrderRequest>,
    ) -> Result<Response<pb::WorkOrder>, Status> {
        command!(self, request, "ReassignWorkOrder", |violations, message| {
            let assignee =
                text(&mut violations, "assignee", &message.assignee, ASSIGNEE.required());
            let reason = text(&mut violations, "reason", &message.reason, values::REASON);
            let next = violations.optional_time("next_reply_time", message.next_reply_time);
            assignee.zip(reason).zip(next).map(|((assignee, reason), next)| {
                let assignee = assignee.into();
                OrderCommand::Reassign { assignee, reason, next, supervisor: false }
            })
        })
    }

    async fn complete_work_order(
        &self,
        request: Request<pb::CompleteWorkOrderRequest>,
    ) -> Result<Response<pb::WorkOrder>, Status> {
        command!(self, request, "CompleteWorkOrder", |violations, message| {
            text(&mut violations, "result", &message.result, RESULT)
                .map(|result| OrderCommand::Complete { result, in_place: false })
        })
    }

    async fn sign_off_work_order(
        &self,
        request: Request<pb::SignOffWorkOrderRequest>,
    ) -> Result<Response<pb::WorkOrder>, Status> {
        let now = self.app.now();
        command!(self, request, "SignOffWorkOrder", |violations, message| {
            let customer =
                text(&mut violations, "customer_name", &message.customer_name, CUSTOMER_NAME);
            let at = values::past_time(&mut violations, "sign_time", message.sign_time, now);
            let signature = signature(&mut violations, message.signature.as_ref());
            customer.zip(at).zip(signature).map(|((customer, at), signature)| {
                OrderCommand::SignOff { customer, at, signature }
            })
        })
    }

    async fn call_back_work_order(
        &self,
        request: Request<pb::CallBackWorkOrderRequest>,
    ) -> Result<Response<pb::WorkOrder>, Status> {
        command!(self, request, "CallBackWorkOrder", |violations, message| {
            text(&mut violations, "comment", &message.comment, NOTE)
                .map(|comment| OrderCommand::CallBack { comment, supervisor: false })
        })
    }

    async fn archive_work_order(
        &self,
        request: Request<pb::ArchiveWorkOrderRequest>,
    ) -> Result<Response<pb::WorkOrder>, Status> {
        command!(self, request, "ArchiveWorkOrder", |violations, message| Some(
            OrderCommand::Archive
        ))
    }

    async fn void_work_order(
        &self,
        request: Request<pb::VoidWorkOrderRequest>,
    ) -> Result<Response<pb::WorkOrder>, Status> {
        command!(self, request, "VoidWorkOrder", |violations, message| {
            text(&mut violations, "reason", &message.reason, values::REASON)
                .map(|reason| OrderCommand::Void { reason })
        })
    }

    async fn render_work_order(
        &self,
        request: Request<pb::RenderWorkOrderRequest>,
    ) -> Result<Response<pb::RenderWorkOrderResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let id = violations.resource_id("name", &message.name, "workOrders");
        let language = language(&mut violations, &message.language_code, context.language());
        let (id, language) = violations.finish(id.zip(language))?;
        let html = self.app.render_work_order(context.caller(), id, language).await;
        let html = html.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::RenderWorkOrderResponse { html }))
    }
}

/// All that is required is there, or every missing field is named.
fn new_order(violations: &mut Violations, order: &pb::WorkOrder) -> Option<NewOrder> {
    let centre = values::org_unit(violations, "dispatch_centre", &order.dispatch_centre);
    let ticket = values::optional_id(violations, "ticket", &order.ticket, "tickets");
    let task = text(violations, "task", &order.task, TASK);
    let requirements = text(violations, "requirements", &order.requirements, REQUIREMENTS);
    let place = text(violations, "place", &order.place, PLACE);
    let reply_by = violations.time("reply_by_time", order.reply_by_time);
    let assignee = text(violations, "assignee", &order.assignee, ASSIGNEE);
    let team = text(violations, "assignee_team", &order.assignee_team, TEAM);
    let (assignee, team) = (assignee?, team?);
    if assignee.is_empty() && team.is_empty() {
        let fault = Fault::new(
            "REQUIRED",
            "is required, or assignee_team is",
            "承办人与承办班组至少填写一项",
        );
        violations.add("assignee", fault);
    }
    let centre = centre?;
    Some(NewOrder {
        brief: Brief {
            dispatch_centre: centre.to_string(),
            ticket: ticket?,
            task: task?,
            requirements: requirements?,
            place: place?,
            reply_by: reply_by?,
            team: Some(team).filter(|team| !team.is_empty()),
        },
        centre,
        assignee: Some(assignee).filter(|assignee| !assignee.is_empty()).map(Into::into),
    })
}

fn signature(violations: &mut Violations, signature: Option<&SignatureKind>) -> Option<Signature> {
    match violations.required("signature", signature)? {
        SignatureKind::Image(image) => {
            text(violations, "image", image, IMAGE).map(Signature::Image)
        }
        SignatureKind::Code(code) => text(violations, "code", code, CODE).map(Signature::Code),
    }
}

pub(super) fn language(
    violations: &mut Violations,
    code: &str,
    otherwise: Language,
) -> Option<Language> {
    match code.split('-').next().unwrap_or_default() {
        "" => Some(otherwise),
        tag if tag.eq_ignore_ascii_case("en") => Some(Language::English),
        tag if tag.eq_ignore_ascii_case("zh") => Some(Language::Chinese),
        _ => {
            violations.add("language_code", Fault::malformed("`en` or `zh`", "`en` 或 `zh`"));
            None
        }
    }
}

fn order_state(state: pb::WorkOrderState) -> Option<OrderStateName> {
    Some(match state {
        pb::WorkOrderState::Unspecified => return None,
        pb::WorkOrderState::Issued => OrderStateName::Issued,
        pb::WorkOrderState::Accepted => OrderStateName::Accepted,
        pb::WorkOrderState::Done => OrderStateName::Done,
        pb::WorkOrderState::SignedOff => OrderStateName::SignedOff,
        pb::WorkOrderState::CalledBack => OrderStateName::CalledBack,
        pb::WorkOrderState::Archived => OrderStateName::Archived,
        pb::WorkOrderState::Voided => OrderStateName::Voided,
    })
}

fn outcome(outcome: pb::WorkOrderDisputeOutcome) -> Option<DisputeOutcome> {
    Some(match outcome {
        pb::WorkOrderDisputeOutcome::Unspecified => return None,
        pb::WorkOrderDisputeOutcome::Stands => DisputeOutcome::Stands,
        pb::WorkOrderDisputeOutcome::Withdrawn => DisputeOutcome::Withdrawn,
    })
}

/// Why a work order's command was refused, as a status.
pub(super) fn refused(context: &RequestContext, refusal: OrderRefusal) -> Status {
    let message = refusal.to_string();
    match refusal {
        OrderRefusal::IllegalState { state, command, missing } => {
            Failure::new(Code::FailedPrecondition, Reason::IllegalState, message)
                .metadata("state", state.code().to_uppercase())
                .metadata("command", command)
                .preconditions(context.language(), missing.into_iter().map(precondition))
                .into_status()
        }
        OrderRefusal::NotYours { state, command, duty } => {
            Failure::new(Code::PermissionDenied, Reason::SeparationOfDuties, message)
                .metadata("state", state.code().to_uppercase())
                .metadata("command", command)
                .metadata("duty", duty.code().to_uppercase())
                .localized(context.language(), duty.words().zh)
                .into_status()
        }
        OrderRefusal::Fields(faults) => {
            let mut violations = context.violations();
            for fault in faults {
                let told = Fault::new(fault.reason, fault.description, fault.chinese);
                violations.add(&fault.path, told);
            }
            named(violations)
        }
    }
}

fn precondition(missing: OrderMissing) -> Precondition {
    let Text { en, zh } = missing.words();
    Precondition::new(missing.code().to_uppercase(), "work_order", en, zh)
}
