//! The answers in `SurveyService`.

use std::mem::take;

use kefu_api::survey::v1 as pb;
use kefu_rpc::{PageQuery, RequestContext, TextRule};
use tonic::{Request, Response, Status};

use super::{optional_id, page_size, status::status, token};
use crate::{
    app::{App, Call},
    domain::answer::{Draft, MAX_COMMENT},
    encode::answer::resource,
};

pub(super) async fn submit(
    app: &App,
    request: Request<pb::SubmitAnswerRequest>,
) -> Result<Response<pb::Answer>, Status> {
    const METHOD: &str = "kefu.survey.v1.SurveyService/SubmitAnswer";
    let context = RequestContext::of(&request);
    let mut request = request.into_inner();
    let mut violations = context.violations();
    let (id, text) = (take(&mut request.request_id), take(&mut request.token));
    // The token is not part of what is kept of the content, not even in a hash.
    let call = Call::of(&context, &mut violations, METHOD, &id, &request);
    let token = token(&mut violations, "token", &text);
    let comment = TextRule::paragraphs(MAX_COMMENT);
    let said = Draft {
        verdict: request.verdict,
        comment: violations.text("comment", &request.comment, comment),
    };
    if text.is_empty() {
        violations.check()?;
    }
    let answer = app.submit_answer(&call, token, said, violations).await;
    answer.map(Response::new).map_err(|error| status(&context, error))
}

pub(super) async fn list(
    app: &App,
    request: Request<pb::ListAnswersRequest>,
) -> Result<Response<pb::ListAnswersResponse>, Status> {
    let context = RequestContext::of(&request);
    let request = request.into_inner();
    let mut violations = context.violations();
    let query =
        PageQuery::new("survey.ListAnswers").field(&request.org_unit).field(&request.customer);
    let org_unit = violations.parse("org_unit", &request.org_unit);
    let size = page_size(&mut violations, request.page_size);
    let after = violations.page_token("page_token", &request.page_token, &query);
    let customer = optional_id(&mut violations, "customer", &request.customer, "customers");
    let org_unit = violations.finish(org_unit)?;
    let page = app.list_answers(context.caller(), &org_unit, customer, after, size).await;
    let page = page.map_err(|error| status(&context, error))?;
    Ok(Response::new(pb::ListAnswersResponse {
        answers: page.items.iter().map(resource).collect(),
        next_page_token: page.next.map(|next| query.token(&next)).unwrap_or_default(),
    }))
}
