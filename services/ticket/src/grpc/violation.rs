//! The violations of `kefu.ticket.v1.TicketService`, and `kefu.ticket.v1.ViolationService` (T-19).

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::violation_service_server::ViolationService;
use kefu_rpc::{Fault, PageQuery, RequestContext, TextRule, Violations};
use tonic::{Request, Response, Status};

use super::status::status;
use super::{Grpc, Target, decode, page_size, text, values};
use crate::app::Call;
use crate::app::violation::{About, Report};
use crate::domain::{AppealOutcome, ViolationCommand, ViolationStateName};
use crate::encode::violation as encode;
use crate::store::violation::ViolationQuery;

const COLLECTION: &str = "violations";
const CODE: TextRule = TextRule::line(63).required();
const STAFF: TextRule = TextRule::line(200);
const EVIDENCE: TextRule = TextRule::paragraphs(2_000).required();
const REASON: TextRule = TextRule::paragraphs(500);

pub(super) async fn list(
    grpc: &Grpc,
    request: Request<pb::ListViolationsRequest>,
) -> Result<Response<pb::ListViolationsResponse>, Status> {
    let context = RequestContext::of(&request);
    let message = request.into_inner();
    let mut violations = context.violations();
    let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
    let size = page_size(&mut violations, message.page_size);
    let ticket = values::optional_id(&mut violations, "ticket", &message.ticket, "tickets");
    let staff = violations.text("staff", &message.staff, STAFF);
    let query = PageQuery::new("ticket.ListViolations")
        .field(&message.org_unit)
        .field(&message.ticket)
        .field(&message.staff);
    let (query, states) = decode::states(&mut violations, query, &message.states, violation_state);
    let after = decode::after(&mut violations, &message.page_token, &query);
    let (org_unit, ticket) = violations.finish(org_unit.zip(ticket))?;
    let asked = ViolationQuery {
        org_unit: org_unit.to_string(),
        ticket,
        staff: Some(staff).filter(|staff| !staff.is_empty()),
        states,
        after,
        limit: 0,
    };
    let page = grpc.app.list_violations(context.caller(), &org_unit, asked, size).await;
    let page = page.map_err(|error| status(&context, error))?;
    Ok(Response::new(pb::ListViolationsResponse {
        violations: page.items.iter().map(encode::resource).collect(),
        next_page_token: decode::next(&query, page.next),
    }))
}

/// Every command on a violation: decode, and hand over.
macro_rules! command {
    ($self:ident, $request:ident, $method:literal, |$violations:ident, $message:ident| $decode:expr) => {
        named_command!(
            $request, "ViolationService" / $method of COLLECTION,
            |$violations, $message| $decode,
            |target, command| {
                let Target { call, id, etag } = &target;
                $self.app.violation_command(call, concat!("ticket.", $method), *id, *etag, command)
            }
        )
    };
}

#[tonic::async_trait]
impl ViolationService for Grpc {
    async fn report_violation(
        &self,
        request: Request<pb::ReportViolationRequest>,
    ) -> Result<Response<pb::Violation>, Status> {
        const METHOD: &str = "kefu.ticket.v1.ViolationService/ReportViolation";
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let call = Call::of(&context, &mut violations, METHOD, &request_id, &message);
        let about = about(&mut violations, &message);
        let code = text(&mut violations, "code", &message.code, CODE);
        let staff = text(&mut violations, "staff", &message.staff, STAFF.required());
        let evidence = text(&mut violations, "evidence", &message.evidence, EVIDENCE);
        let now = self.app.now();
        let at = values::past_time(&mut violations, "occur_time", message.occur_time, now);
        let decoded = about.zip(code).zip(staff).zip(evidence).zip(at);
        let ((((about, code), staff), evidence), at) = violations.finish(decoded)?;
        let report = Report { about, code, staff: staff.into(), evidence, at };
        let answer = self.app.report_violation(&call, report).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn get_violation(
        &self,
        request: Request<pb::GetViolationRequest>,
    ) -> Result<Response<pb::Violation>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let id = violations.resource_id("name", &request.get_ref().name, COLLECTION);
        let id = violations.finish(id)?;
        let answer = self.app.get_violation(context.caller(), id).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn confirm_violation(
        &self,
        request: Request<pb::ConfirmViolationRequest>,
    ) -> Result<Response<pb::Violation>, Status> {
        command!(self, request, "ConfirmViolation", |violations, message| {
            let amount_cents = message.amount_cents;
            text(&mut violations, "reason", &message.reason, REASON)
                .map(|reason| ViolationCommand::Confirm { amount_cents, reason })
        })
    }

    async fn dismiss_violation(
        &self,
        request: Request<pb::DismissViolationRequest>,
    ) -> Result<Response<pb::Violation>, Status> {
        command!(self, request, "DismissViolation", |violations, message| {
            text(&mut violations, "reason", &message.reason, REASON.required())
                .map(|reason| ViolationCommand::Dismiss { reason })
        })
    }

    async fn appeal_violation(
        &self,
        request: Request<pb::AppealViolationRequest>,
    ) -> Result<Response<pb::Violation>, Status> {
        command!(self, request, "AppealViolation", |violations, message| {
            text(&mut violations, "reason", &message.reason, EVIDENCE)
                .map(|reason| ViolationCommand::Appeal { reason })
        })
    }

    async fn decide_violation_appeal(
        &self,
        request: Request<pb::DecideViolationAppealRequest>,
    ) -> Result<Response<pb::Violation>, Status> {
        command!(self, request, "DecideViolationAppeal", |violations, message| {
            let outcome = violations.enumeration("outcome", message.outcome).and_then(outcome);
            text(&mut violations, "decision", &message.decision, REASON.required())
                .zip(outcome)
                .map(|(decision, outcome)| ViolationCommand::DecideAppeal { outcome, decision })
        })
    }

    async fn get_violation_statement(
        &self,
        request: Request<pb::GetViolationStatementRequest>,
    ) -> Result<Response<pb::ViolationStatement>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let staff = text(&mut violations, "staff", &message.staff, STAFF.required());
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let year = violations.range("year", message.year, 2_000, 9_998);
        let month = violations.range("month", message.month, 1, 12);
        let year = year.and_then(|year| i16::try_from(year).ok());
        let month = month.and_then(|month| i8::try_from(month).ok());
        let decoded = staff.zip(org_unit).zip(year.zip(month));
        let ((staff, org_unit), month) = violations.finish(decoded)?;
        let caller = context.caller();
        let answer = self.app.violation_statement(caller, staff, &org_unit, month).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }
}

fn about(violations: &mut Violations, message: &pb::ReportViolationRequest) -> Option<About> {
    let ticket = values::optional_id(violations, "ticket", &message.ticket, "tickets");
    let order = values::optional_id(violations, "work_order", &message.work_order, "workOrders");
    match (ticket?, order?) {
        (None, None) => {
            values::org_unit(violations, "org_unit", &message.org_unit).map(About::OrgUnit)
        }
        (Some(ticket), None) => Some(About::Ticket(ticket)),
        (None, Some(order)) => Some(About::WorkOrder(order)),
        (Some(_), Some(_)) => {
            let fault = "must be empty where a ticket is named";
            let fault = Fault::new("NOT_ALLOWED", fault, "已填写工单时无须填写派工单");
            violations.add("work_order", fault);
            None
        }
    }
}

fn violation_state(state: pb::ViolationState) -> Option<ViolationStateName> {
    Some(match state {
        pb::ViolationState::Unspecified => return None,
        pb::ViolationState::Proposed => ViolationStateName::Proposed,
        pb::ViolationState::Confirmed => ViolationStateName::Confirmed,
        pb::ViolationState::Dismissed => ViolationStateName::Dismissed,
        pb::ViolationState::Appealed => ViolationStateName::Appealed,
        pb::ViolationState::Upheld => ViolationStateName::Upheld,
        pb::ViolationState::Overturned => ViolationStateName::Overturned,
    })
}

fn outcome(outcome: pb::ViolationAppealOutcome) -> Option<AppealOutcome> {
    Some(match outcome {
        pb::ViolationAppealOutcome::Unspecified => return None,
        pb::ViolationAppealOutcome::Upheld => AppealOutcome::Upheld,
        pb::ViolationAppealOutcome::Overturned => AppealOutcome::Overturned,
    })
}
