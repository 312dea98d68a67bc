//! `kefu.ticket.v1.RoutingService` (T-03).

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::routing_service_server::RoutingService;
use kefu_rpc::{RequestContext, TextRule};
use tonic::{Request, Response, Status};

use super::status::status;
use super::{Grpc, values};
use crate::app::Call;
use crate::app::routing::NewOwner;

/// Somebody by the subject of its token.
const STAFF: TextRule = TextRule::line(120);

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
}
