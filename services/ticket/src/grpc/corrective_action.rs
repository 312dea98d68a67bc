//! `kefu.ticket.v1.CorrectiveActionService` (T-18).

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::corrective_action_service_server::CorrectiveActionService;
use kefu_rpc::{PageQuery, RequestContext, TextRule, Violations};
use tonic::{Request, Response, Status};

use super::status::status;
use super::{Grpc, Target, decode, page_size, text, values};
use crate::app::corrective_action::{Finding, Plan};
use crate::app::product_hold::NewHold;
use crate::domain::{ActionCommand, ActionKind, ActionState, ActionVerdict};
use crate::encode::corrective_action as encode;
use crate::store::corrective_action::ActionQuery;

const COLLECTION: &str = "correctiveActions";
const CODE: TextRule = TextRule::line(63).required();
const METHOD_NAME: TextRule = TextRule::line(100).required();
const LONG: TextRule = TextRule::paragraphs(5_000).required();
const SHORT: TextRule = TextRule::paragraphs(2_000).required();
const STAFF: TextRule = TextRule::line(200);
const PRODUCT: TextRule = TextRule::line(200).required();

/// Every command on an action: decode, and hand over.
macro_rules! command {
    ($self:ident, $request:ident, $method:literal, |$violations:ident, $message:ident| $decode:expr) => {
        named_command!(
            $request, "CorrectiveActionService" / $method of COLLECTION,
            |$violations, $message| $decode,
            |target, command| {
                let Target { call, id, etag } = &target;
                $self.app.action_command(call, concat!("ticket.", $method), *id, *etag, command)
            }
        )
    };
}

#[tonic::async_trait]
impl CorrectiveActionService for Grpc {
    async fn record_root_cause(
        &self,
        request: Request<pb::RecordRootCauseRequest>,
    ) -> Result<Response<pb::RootCause>, Status> {
        creation!(request, "CorrectiveActionService" / "RecordRootCause", root_cause by finding, |call, new| {
            self.app.record_root_cause(&call, new)
        })
    }

    async fn list_root_causes(
        &self,
        request: Request<pb::ListRootCausesRequest>,
    ) -> Result<Response<pb::ListRootCausesResponse>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let id = violations.resource_id("parent", &request.get_ref().parent, "tickets");
        let id = violations.finish(id)?;
        let found = self.app.list_root_causes(context.caller(), id).await;
        let root_causes = found.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::ListRootCausesResponse { root_causes }))
    }

    async fn plan_corrective_action(
        &self,
        request: Request<pb::PlanCorrectiveActionRequest>,
    ) -> Result<Response<pb::CorrectiveAction>, Status> {
        creation!(request, "CorrectiveActionService" / "PlanCorrectiveAction", corrective_action by plan, |call, new| {
            self.app.plan_corrective_action(&call, new)
        })
    }

    async fn get_corrective_action(
        &self,
        request: Request<pb::GetCorrectiveActionRequest>,
    ) -> Result<Response<pb::CorrectiveAction>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let id = violations.resource_id("name", &request.get_ref().name, COLLECTION);
        let id = violations.finish(id)?;
        let answer = self.app.get_corrective_action(context.caller(), id).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn list_corrective_actions(
        &self,
        request: Request<pb::ListCorrectiveActionsRequest>,
    ) -> Result<Response<pb::ListCorrectiveActionsResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let size = page_size(&mut violations, message.page_size);
        let ticket = values::optional_id(&mut violations, "ticket", &message.ticket, "tickets");
        let owner = violations.text("owner", &message.owner, STAFF);
        let query = PageQuery::new("ticket.ListCorrectiveActions")
            .field(&message.org_unit)
            .field(&message.ticket)
            .field(&message.owner)
            .field([u8::from(message.overdue)]);
        let (query, states) = decode::states(&mut violations, query, &message.states, action_state);
        let after = decode::after(&mut violations, &message.page_token, &query);
        let (org_unit, ticket) = violations.finish(org_unit.zip(ticket))?;
        let now = self.app.now();
        let asked = ActionQuery {
            org_unit: org_unit.to_string(),
            ticket,
            owner: Some(owner).filter(|owner| !owner.is_empty()),
            states,
            overdue: message.overdue,
            now,
            after,
            limit: 0,
        };
        let caller = context.caller();
        let page = self.app.list_corrective_actions(caller, &org_unit, asked, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        let actions = page.items.iter().map(|action| encode::resource(action, now));
        Ok(Response::new(pb::ListCorrectiveActionsResponse {
            corrective_actions: actions.collect(),
            next_page_token: decode::next(&query, page.next),
        }))
    }

    async fn start_corrective_action(
        &self,
        request: Request<pb::StartCorrectiveActionRequest>,
    ) -> Result<Response<pb::CorrectiveAction>, Status> {
        command!(self, request, "StartCorrectiveAction", |violations, message| Some(
            ActionCommand::Start
        ))
    }

    async fn complete_corrective_action(
        &self,
        request: Request<pb::CompleteCorrectiveActionRequest>,
    ) -> Result<Response<pb::CorrectiveAction>, Status> {
        command!(self, request, "CompleteCorrectiveAction", |violations, message| {
            text(&mut violations, "evidence", &message.evidence, LONG)
                .map(|evidence| ActionCommand::Complete { evidence })
        })
    }

    async fn verify_corrective_action(
        &self,
        request: Request<pb::VerifyCorrectiveActionRequest>,
    ) -> Result<Response<pb::CorrectiveAction>, Status> {
        command!(self, request, "VerifyCorrectiveAction", |violations, message| {
            let verdict = violations.enumeration("verdict", message.verdict).and_then(verdict);
            let text = text(&mut violations, "verification", &message.verification, SHORT);
            let next_due = violations.optional_time("next_due_time", message.next_due_time);
            verdict.zip(text).zip(next_due).map(|((verdict, text), next_due)| {
                ActionCommand::Verify { verdict, text, next_due }
            })
        })
    }

    async fn cancel_corrective_action(
        &self,
        request: Request<pb::CancelCorrectiveActionRequest>,
    ) -> Result<Response<pb::CorrectiveAction>, Status> {
        command!(self, request, "CancelCorrectiveAction", |violations, message| {
            text(&mut violations, "reason", &message.reason, values::REASON)
                .map(|reason| ActionCommand::Cancel { reason })
        })
    }

    async fn reassign_corrective_action(
        &self,
        request: Request<pb::ReassignCorrectiveActionRequest>,
    ) -> Result<Response<pb::CorrectiveAction>, Status> {
        command!(self, request, "ReassignCorrectiveAction", |violations, message| {
            let owner = text(&mut violations, "owner", &message.owner, STAFF.required());
            let reason = text(&mut violations, "reason", &message.reason, values::REASON);
            owner.zip(reason).map(|(owner, reason)| {
                let owner = owner.into();
                ActionCommand::Reassign { owner, reason }
            })
        })
    }

    async fn place_product_hold(
        &self,
        request: Request<pb::PlaceProductHoldRequest>,
    ) -> Result<Response<pb::ProductHold>, Status> {
        creation!(request, "CorrectiveActionService" / "PlaceProductHold", product_hold by new_hold, |call, new| {
            self.app.place_product_hold(&call, new)
        })
    }

    async fn lift_product_hold(
        &self,
        request: Request<pb::LiftProductHoldRequest>,
    ) -> Result<Response<pb::ProductHold>, Status> {
        named_command!(
            request, "CorrectiveActionService" / "LiftProductHold" of "productHolds",
            |violations, message| text(&mut violations, "reason", &message.reason, values::REASON),
            |target, reason| {
                let Target { call, id, etag } = &target;
                self.app.lift_product_hold(call, *id, *etag, reason)
            }
        )
    }

    async fn list_product_holds(
        &self,
        request: Request<pb::ListProductHoldsRequest>,
    ) -> Result<Response<pb::ListProductHoldsResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let size = page_size(&mut violations, message.page_size);
        let lifted = message.include_lifted;
        let query = PageQuery::new("ticket.ListProductHolds")
            .field(&message.org_unit)
            .field([u8::from(lifted)]);
        let after = decode::after(&mut violations, &message.page_token, &query);
        let org_unit = violations.finish(org_unit)?;
        let caller = context.caller();
        let page = self.app.list_product_holds(caller, &org_unit, lifted, after, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::ListProductHoldsResponse {
            product_holds: page.items.iter().map(encode::hold).collect(),
            next_page_token: decode::next(&query, page.next),
        }))
    }
}

fn finding(violations: &mut Violations, cause: &pb::RootCause) -> Option<Finding> {
    let ticket = violations.resource_id("ticket", &cause.ticket, "tickets");
    let code = text(violations, "cause", &cause.cause, CODE);
    let method = text(violations, "method", &cause.method, METHOD_NAME);
    let finding = text(violations, "finding", &cause.finding, LONG);
    Some(Finding { ticket: ticket?, cause: code?, method: method?, finding: finding? })
}

fn plan(violations: &mut Violations, action: &pb::CorrectiveAction) -> Option<Plan> {
    let ticket = violations.resource_id("ticket", &action.ticket, "tickets");
    let kind = violations.enumeration("kind", action.kind).and_then(kind);
    let description = text(violations, "description", &action.description, SHORT);
    let owner = text(violations, "owner", &action.owner, STAFF.required());
    let due = violations.time("due_time", action.due_time);
    Some(Plan {
        ticket: ticket?,
        kind: kind?,
        description: description?,
        owner: owner?.into(),
        due: due?,
    })
}

fn new_hold(violations: &mut Violations, hold: &pb::ProductHold) -> Option<NewHold> {
    let org_unit = values::org_unit(violations, "org_unit", &hold.org_unit);
    let product = text(violations, "product", &hold.product, PRODUCT);
    let ticket = values::optional_id(violations, "ticket", &hold.ticket, "tickets");
    let reason = text(violations, "reason", &hold.reason, values::REASON);
    Some(NewHold { org_unit: org_unit?, product: product?, ticket: ticket?, reason: reason? })
}

fn kind(kind: pb::CorrectiveActionKind) -> Option<ActionKind> {
    Some(match kind {
        pb::CorrectiveActionKind::Unspecified => return None,
        pb::CorrectiveActionKind::Corrective => ActionKind::Corrective,
        pb::CorrectiveActionKind::Preventive => ActionKind::Preventive,
    })
}

fn verdict(verdict: pb::CorrectiveActionVerdict) -> Option<ActionVerdict> {
    Some(match verdict {
        pb::CorrectiveActionVerdict::Unspecified => return None,
        pb::CorrectiveActionVerdict::Effective => ActionVerdict::Effective,
        pb::CorrectiveActionVerdict::NotEffective => ActionVerdict::NotEffective,
    })
}

fn action_state(state: pb::CorrectiveActionState) -> Option<ActionState> {
    Some(match state {
        pb::CorrectiveActionState::Unspecified => return None,
        pb::CorrectiveActionState::Planned => ActionState::Planned,
        pb::CorrectiveActionState::Started => ActionState::Started,
        pb::CorrectiveActionState::Completed => ActionState::Completed,
        pb::CorrectiveActionState::Closed => ActionState::Closed,
        pb::CorrectiveActionState::Cancelled => ActionState::Cancelled,
    })
}
