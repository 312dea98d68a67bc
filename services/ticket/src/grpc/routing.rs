//! `kefu.ticket.v1.RoutingService` (T-03).

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::routing_service_server::RoutingService;
use kefu_rpc::{Fault, RequestContext, TextRule, Violations};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::status::status;
use super::{Grpc, ticket, values};
use crate::app::Call;
use crate::app::registration::NewRegistration;
use crate::app::routing::NewOwner;
use crate::domain::Supposed;

/// Somebody by the subject of its token.
const STAFF: TextRule = TextRule::line(120);
/// A category or product.
const LINE: TextRule = TextRule::line(200);

#[tonic::async_trait]
impl RoutingService for Grpc {
    async fn assign_ticket(
        &self,
        request: Request<pb::AssignTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        const METHOD: &str = "kefu.ticket.v1.RoutingService/AssignTicket";
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let call = Call::of(&context, &mut violations, METHOD, &request_id, &message);
        let id = violations.resource_id("name", &message.name, "tickets");
        let etag = violations.etag("etag", &message.etag);
        let team = violations.resource_id("team", &message.team, "teams");
        let owner = violations.text("owner", &message.owner, STAFF);
        let reason = violations.take("reason", values::REASON.apply(&message.reason));
        let decoded = id.zip(etag).zip(team).zip(reason);
        let (((id, etag), team), reason) = violations.finish(decoded)?;
        let owner = Some(owner).filter(|owner| !owner.is_empty()).map(Into::into);
        let answer =
            self.app.assign_ticket(&call, id, etag, NewOwner { team, owner, reason }).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn explain_routing(
        &self,
        request: Request<pb::ExplainRoutingRequest>,
    ) -> Result<Response<pb::ExplainRoutingResponse>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let id = violations.resource_id("name", &request.get_ref().name, "tickets");
        let id = violations.finish(id)?;
        let steps = self.app.explain_routing(context.caller(), id).await;
        let steps = steps.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::ExplainRoutingResponse { steps }))
    }

    async fn simulate_routing(
        &self,
        request: Request<pb::SimulateRoutingRequest>,
    ) -> Result<Response<pb::SimulateRoutingResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let asked = simulation(&mut violations, &message, self.app.now());
        let answer = match violations.finish(asked)? {
            Asked::Draft(new) => {
                let by = (&**context.caller(), context.deadline());
                Box::pin(self.app.simulate_registration(by, &new)).await
            }
            Asked::Present(id, supposed) => {
                self.app.simulate_rerouting(context.caller(), id, supposed).await
            }
        };
        answer.map(Response::new).map_err(|error| status(&context, error))
    }
}

/// What is simulated.
enum Asked {
    Draft(Box<NewRegistration>),
    Present(Uuid, Supposed),
}

fn simulation(
    violations: &mut Violations,
    message: &pb::SimulateRoutingRequest,
    now: Timestamp,
) -> Option<Asked> {
    let not_allowed =
        || Fault::new("NOT_ALLOWED", "must be unset with `draft`", "已填写 draft 时不得填写");
    if message.draft.is_some() {
        let others = [
            ("name", !message.name.is_empty()),
            ("category", !message.category.is_empty()),
            ("product", !message.product.is_empty()),
            ("severity", message.severity != 0),
        ];
        for (field, _) in others.into_iter().filter(|(_, is_set)| *is_set) {
            violations.add(field, not_allowed());
        }
        let new = ticket::registration(violations, "draft", message.draft.as_ref(), now)?;
        return Some(Asked::Draft(Box::new(new)));
    }
    let id = violations.resource_id("name", &message.name, "tickets");
    let mut line = |field: &str, value: &str| {
        let value = violations.text(field, value, LINE);
        Some(value).filter(|value| !value.is_empty())
    };
    let category = line("category", &message.category);
    let product = line("product", &message.product);
    let severity = match message.severity {
        0 => Some(None),
        number => values::severity(violations, "severity", number).map(Some),
    };
    let supposed = Supposed { category, product, severity: severity? };
    Some(Asked::Present(id?, supposed))
}
