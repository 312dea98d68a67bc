//! The violations of `kefu.ticket.v1.TicketService`.

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_rpc::{PageQuery, RequestContext};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::status::status;
use super::{Grpc, page_size, values};
use crate::encode::violation as encode;
use crate::store::violation::ViolationQuery;

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
    let query =
        PageQuery::new("ticket.ListViolations").field(&message.org_unit).field(&message.ticket);
    let after: Option<(i64, Uuid)> =
        violations.page_token("page_token", &message.page_token, &query);
    let after = after.and_then(|(at, id)| Some((Timestamp::from_microsecond(at).ok()?, id)));
    let (org_unit, ticket) = violations.finish(org_unit.zip(ticket))?;
    let asked = ViolationQuery { org_unit: org_unit.to_string(), ticket, after, limit: 0 };
    let page = grpc.app.list_violations(context.caller(), &org_unit, asked, size).await;
    let page = page.map_err(|error| status(&context, error))?;
    let next = page.next.map(|(at, id)| query.token(&(at.as_microsecond(), id)));
    Ok(Response::new(pb::ListViolationsResponse {
        violations: page.items.iter().map(encode::resource).collect(),
        next_page_token: next.unwrap_or_default(),
    }))
}
