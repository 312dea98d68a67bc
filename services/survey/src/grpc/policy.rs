//! `SurveyPolicyService`.

use std::mem::take;

use kefu_api::survey::v1::{
    ApplySurveyPolicyRequest, GetEffectiveSurveyPolicyRequest, SurveyPolicyVersion,
    survey_policy_service_server::SurveyPolicyService,
};
use kefu_policy::{Policy as _, requested_effective_time};
use kefu_rpc::RequestContext;
use tonic::{Request, Response, Status, async_trait};

use super::{Grpc, status::status};
use crate::app::Call;
use crate::domain::policy::SurveyPolicy;

#[async_trait]
impl SurveyPolicyService for Grpc {
    async fn apply_survey_policy(
        &self,
        request: Request<ApplySurveyPolicyRequest>,
    ) -> Result<Response<SurveyPolicyVersion>, Status> {
        const METHOD: &str = "kefu.survey.v1.SurveyPolicyService/ApplySurveyPolicy";
        let context = RequestContext::of(&request);
        let mut request = request.into_inner();
        let mut violations = context.violations();
        let id = take(&mut request.request_id);
        let call = Call::of(&context, &mut violations, METHOD, &id, &request);
        let org_unit = violations.parse("org_unit", &request.org_unit);
        let policy = violations.required("policy", request.policy);
        if let Some(policy) = &policy {
            violations.within("policy", |violations| SurveyPolicy::decode(policy, violations));
        }
        let requested =
            requested_effective_time(&mut violations, request.effective_time, self.app.now());
        let decoded = org_unit.zip(policy).zip(requested);
        let ((org_unit, policy), effective_at) = violations.finish(decoded)?;
        let applied = self.app.apply_survey_policy(&call, org_unit, &policy, effective_at).await;
        applied.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn get_effective_survey_policy(
        &self,
        request: Request<GetEffectiveSurveyPolicyRequest>,
    ) -> Result<Response<SurveyPolicyVersion>, Status> {
        let context = RequestContext::of(&request);
        let request = request.into_inner();
        let mut violations = context.violations();
        let org_unit = violations.parse("org_unit", &request.org_unit);
        let time = violations.optional_time("time", request.time);
        let (org_unit, time) = violations.finish(org_unit.zip(time))?;
        let at = time.unwrap_or_else(|| self.app.now());
        let found = self.app.effective_survey_policy(context.caller(), org_unit, at).await;
        found.map(Response::new).map_err(|error| status(&context, error))
    }
}
