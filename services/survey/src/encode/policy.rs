//! Survey policies as others see them.

use kefu_api::survey::v1 as pb;
use kefu_policy::Version;
use kefu_rpc::to_proto_timestamp;
use uuid::Uuid;

use crate::domain::policy::SurveyPolicy;

/// `surveyPolicyVersions/{uuid}`.
pub fn name(id: Uuid) -> String {
    format!("surveyPolicyVersions/{id}")
}

/// The resource.
pub fn resource(version: &Version<SurveyPolicy>) -> pb::SurveyPolicyVersion {
    pb::SurveyPolicyVersion {
        name: name(version.id),
        org_unit: version.org_unit.to_string(),
        version: version.version,
        effective_time: Some(to_proto_timestamp(version.effective_at)),
        policy: Some(version.message.clone()),
        create_time: Some(to_proto_timestamp(version.created_at)),
    }
}
