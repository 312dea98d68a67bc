//! `kefu.ticket.v1.AutomationService` (T-26).

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::automation_service_server::AutomationService;
use kefu_rpc::{PageQuery, RequestContext, TextRule};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::status::status;
use super::{Grpc, delivery, page_size};
use crate::app::Call;
use crate::app::macros::MacroCall;
use crate::encode::automation as encode;

/// The code of a macro; which ones there are is the policy's matter.
const MACRO: TextRule = TextRule::line(63).required();

#[tonic::async_trait]
impl AutomationService for Grpc {
    async fn apply_macro(
        &self,
        request: Request<pb::ApplyMacroRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        const METHOD: &str = "kefu.ticket.v1.AutomationService/ApplyMacro";
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let call = Call::of(&context, &mut violations, METHOD, &request_id, &message);
        let id = violations.resource_id("name", &message.name, "tickets");
        let etag = violations.etag("etag", &message.etag);
        let code = violations.take("macro", MACRO.apply(&message.r#macro));
        let route = delivery::route(&mut violations, message.delivery.as_ref());
        let decoded = id.zip(etag).zip(code.zip(route));
        let ((id, etag), (code, route)) = violations.finish(decoded)?;
        let asked = MacroCall { code, route, validate_only: message.validate_only };
        let answer = Box::pin(self.app.apply_macro(&call, id, etag, &asked)).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn list_trigger_runs(
        &self,
        request: Request<pb::ListTriggerRunsRequest>,
    ) -> Result<Response<pb::ListTriggerRunsResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let id = violations.resource_id("parent", &message.parent, "tickets");
        let size = page_size(&mut violations, message.page_size);
        let query = PageQuery::new("ticket.ListTriggerRuns").field(&message.parent);
        let after: Option<(i64, Uuid, String)> =
            violations.page_token("page_token", &message.page_token, &query);
        let after = after
            .and_then(|(at, root, rule)| Some((Timestamp::from_microsecond(at).ok()?, root, rule)));
        let id = violations.finish(id)?;
        let page = self.app.list_trigger_runs(context.caller(), id, after, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        let next =
            page.next.map(|(at, root, rule)| query.token(&(at.as_microsecond(), root, rule)));
        Ok(Response::new(pb::ListTriggerRunsResponse {
            trigger_runs: page.items.iter().map(encode::run).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }
}
