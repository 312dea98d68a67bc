//! The standings in `CustomerService`.

use std::mem::take;

use kefu_api::customer::v1 as pb;
use kefu_policy::decode;
use kefu_rpc::{PageQuery, RequestContext, TextRule, Violations};
use tonic::{Request, Response, Status};

use super::{page_size, status::status, values};
use crate::{
    app::{App, Call, standing::Grading},
    encode::standing::resource,
};

pub(super) async fn set(
    app: &App,
    request: Request<pb::SetStandingRequest>,
) -> Result<Response<pb::Standing>, Status> {
    const METHOD: &str = "kefu.customer.v1.CustomerService/SetStanding";
    let context = RequestContext::of(&request);
    let mut request = request.into_inner();
    let mut violations = context.violations();
    let id = take(&mut request.request_id);
    let call = Call::of(&context, &mut violations, METHOD, &id, &request);
    let customer = values::customer_name(&mut violations, "parent", &request.parent);
    let standing = violations.required("standing", request.standing);
    let grading = standing.and_then(|standing| {
        violations.within("standing", |violations| grading(&context, violations, &standing))
    });
    let (customer, grading) = violations.finish(customer.zip(grading))?;
    let set = app.set_standing(&call, customer, grading).await;
    set.map(Response::new).map_err(|error| status(&context, error))
}

pub(super) async fn list(
    app: &App,
    request: Request<pb::ListStandingsRequest>,
) -> Result<Response<pb::ListStandingsResponse>, Status> {
    let context = RequestContext::of(&request);
    let request = request.into_inner();
    let mut violations = context.violations();
    let query = PageQuery::new("customer.ListStandings").field(&request.parent);
    let customer = values::customer_name(&mut violations, "parent", &request.parent);
    let size = page_size(&mut violations, request.page_size);
    let after = violations.page_token("page_token", &request.page_token, &query);
    let customer = violations.finish(customer)?;
    let page = app.list_standings(context.caller(), customer, after, size).await;
    let page = page.map_err(|error| status(&context, error))?;
    Ok(Response::new(pb::ListStandingsResponse {
        standings: page.items.iter().map(resource).collect(),
        next_page_token: page.next.map(|next| query.token(&next)).unwrap_or_default(),
    }))
}

fn grading(
    context: &RequestContext,
    violations: &mut Violations,
    standing: &pb::Standing,
) -> Option<Grading> {
    let department = values::org_unit(violations, "department", &standing.department);
    let line = TextRule::line(100);
    let product_line = values::text(violations, "product_line", &standing.product_line, line);
    let grade = decode::code(violations, "grade", &standing.grade);
    let text = TextRule::paragraphs(500);
    let reason = values::text(violations, "reason", &standing.reason, text);
    let etag = violations.etag("etag", &standing.etag);
    Some(Grading {
        department: department?,
        product_line: product_line?,
        grade: grade?,
        reason: reason?,
        etag: etag?,
        violations: context.violations(),
    })
}
