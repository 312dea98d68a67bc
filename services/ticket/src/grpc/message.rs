//! The messages and wordings of `kefu.ticket.v1.TicketService` (T-14).

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_policy::decode::to_localized_text;
use kefu_rpc::{PageQuery, RequestContext, TextRule};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::status::status;
use super::{Grpc, page_size};
use crate::app::Error;
use crate::encode::message as encode;

/// The code of a situation; which ones there are is the policy's matter.
const SITUATION: TextRule = TextRule::line(63).required();

pub(super) async fn list(
    grpc: &Grpc,
    request: Request<pb::ListTicketMessagesRequest>,
) -> Result<Response<pb::ListTicketMessagesResponse>, Status> {
    let context = RequestContext::of(&request);
    let message = request.into_inner();
    let mut violations = context.violations();
    let id = violations.resource_id("parent", &message.parent, "tickets");
    let size = page_size(&mut violations, message.page_size);
    let query = PageQuery::new("ticket.ListTicketMessages").field(&message.parent);
    let after: Option<(i64, Uuid)> =
        violations.page_token("page_token", &message.page_token, &query);
    let after = after.and_then(|(at, id)| Some((Timestamp::from_microsecond(at).ok()?, id)));
    let id = violations.finish(id)?;
    let page = grpc.app.list_ticket_messages(context.caller(), id, after, size).await;
    let page = page.map_err(|error| status(&context, error))?;
    let messages: Result<Vec<_>, _> =
        page.items.iter().map(|row| encode::resource(id, row)).collect();
    let next = page.next.map(|(at, id)| query.token(&(at.as_microsecond(), id)));
    Ok(Response::new(pb::ListTicketMessagesResponse {
        messages: messages.map_err(|error| status(&context, Error::Store(error)))?,
        next_page_token: next.unwrap_or_default(),
    }))
}

pub(super) async fn render(
    grpc: &Grpc,
    request: Request<pb::RenderMessageTemplateRequest>,
) -> Result<Response<pb::RenderMessageTemplateResponse>, Status> {
    let context = RequestContext::of(&request);
    let message = request.into_inner();
    let mut violations = context.violations();
    let id = violations.resource_id("name", &message.name, "tickets");
    let situation = violations.take("situation", SITUATION.apply(&message.situation));
    let (id, situation) = violations.finish(id.zip(situation))?;
    let deadline = context.deadline();
    let text = grpc.app.render_message_template(context.caller(), id, &situation, deadline).await;
    let text = text.map_err(|error| status(&context, error))?;
    let text = Some(to_localized_text(&text));
    Ok(Response::new(pb::RenderMessageTemplateResponse { situation, text }))
}
