//! `SurveyService`, and the invitations in it. Answers are decoded in a file of their own.

use std::mem::take;

use kefu_api::survey::v1 as pb;
use kefu_api::survey::v1::survey_service_server::SurveyService;
use kefu_rpc::{PageQuery, RequestContext};
use tonic::{Request, Response, Status, async_trait};

use super::{Grpc, answer, optional_id, page_size, status::status, token};
use crate::{
    app::{Call, invitation::Filter},
    encode::invitation::resource,
};

#[async_trait]
impl SurveyService for Grpc {
    async fn get_invitation(
        &self,
        request: Request<pb::GetInvitationRequest>,
    ) -> Result<Response<pb::Invitation>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let id = violations.resource_id("name", &request.get_ref().name, "invitations");
        let id = violations.finish(id)?;
        let found = self.app.get_invitation(context.caller(), id).await;
        found.map(|found| Response::new(resource(&found))).map_err(|error| status(&context, error))
    }

    async fn list_invitations(
        &self,
        request: Request<pb::ListInvitationsRequest>,
    ) -> Result<Response<pb::ListInvitationsResponse>, Status> {
        let context = RequestContext::of(&request);
        let request = request.into_inner();
        let mut violations = context.violations();
        let query = PageQuery::new("survey.ListInvitations")
            .field(&request.org_unit)
            .field(&request.ticket)
            .field(&request.customer);
        let org_unit = violations.parse("org_unit", &request.org_unit);
        let size = page_size(&mut violations, request.page_size);
        let after = violations.page_token("page_token", &request.page_token, &query);
        let filter = Filter {
            ticket: optional_id(&mut violations, "ticket", &request.ticket, "tickets"),
            customer: optional_id(&mut violations, "customer", &request.customer, "customers"),
        };
        let org_unit = violations.finish(org_unit)?;
        let caller = context.caller();
        let page = self.app.list_invitations(caller, &org_unit, filter, after, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::ListInvitationsResponse {
            invitations: page.items.iter().map(resource).collect(),
            next_page_token: page.next.map(|next| query.token(&next)).unwrap_or_default(),
        }))
    }

    async fn issue_invitation_token(
        &self,
        request: Request<pb::IssueInvitationTokenRequest>,
    ) -> Result<Response<pb::IssueInvitationTokenResponse>, Status> {
        const METHOD: &str = "kefu.survey.v1.SurveyService/IssueInvitationToken";
        let context = RequestContext::of(&request);
        let mut request = request.into_inner();
        let mut violations = context.violations();
        let id = take(&mut request.request_id);
        let call = Call::of(&context, &mut violations, METHOD, &id, &request);
        let id = violations.resource_id("name", &request.name, "invitations");
        let id = violations.finish(id)?;
        let issued = self.app.issue_invitation_token(&call, id).await;
        issued.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn get_questionnaire(
        &self,
        request: Request<pb::GetQuestionnaireRequest>,
    ) -> Result<Response<pb::GetQuestionnaireResponse>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let token = token(&mut violations, "token", &request.get_ref().token);
        violations.into_result()?;
        let found = self.app.get_questionnaire(context.caller(), token).await;
        found.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn submit_answer(
        &self,
        request: Request<pb::SubmitAnswerRequest>,
    ) -> Result<Response<pb::Answer>, Status> {
        answer::submit(&self.app, request).await
    }

    async fn revoke_invitation(
        &self,
        request: Request<pb::RevokeInvitationRequest>,
    ) -> Result<Response<pb::Invitation>, Status> {
        const METHOD: &str = "kefu.survey.v1.SurveyService/RevokeInvitation";
        let context = RequestContext::of(&request);
        let mut request = request.into_inner();
        let mut violations = context.violations();
        let id = take(&mut request.request_id);
        let call = Call::of(&context, &mut violations, METHOD, &id, &request);
        let id = violations.resource_id("name", &request.name, "invitations");
        let etag = violations.etag("etag", &request.etag);
        let (id, etag) = violations.finish(id.zip(etag))?;
        let revoked = self.app.revoke_invitation(&call, id, etag).await;
        revoked.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn list_answers(
        &self,
        request: Request<pb::ListAnswersRequest>,
    ) -> Result<Response<pb::ListAnswersResponse>, Status> {
        answer::list(&self.app, request).await
    }
}
