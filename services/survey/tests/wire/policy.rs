//! Survey policies: where they apply, from when on, and for which org units.

use jiff::SignedDuration;
use kefu_api::survey::v1::{ApplySurveyPolicyRequest, GetEffectiveSurveyPolicyRequest};
use kefu_clock::Clock as _;
use kefu_identity::role;
use kefu_rpc::to_proto_timestamp;
use tonic::Code;

use crate::{
    upstream::FRESH,
    world::{World, metadata, policy, reason, request_id},
};

fn effective(org_unit: &str) -> GetEffectiveSurveyPolicyRequest {
    GetEffectiveSurveyPolicyRequest { org_unit: org_unit.into(), time: None }
}

#[tokio::test]
async fn x10_a_version_applies_from_its_time_on_and_is_inherited_downwards() {
    let world = World::bare().await;
    let mut admin = world.desk("admin", "group", role::ADMIN);
    let missing = admin.policies.get_effective_survey_policy(effective("group")).await.unwrap_err();
    assert_eq!(missing.code(), Code::FailedPrecondition);
    assert_eq!(
        (reason(&missing), metadata(&missing, "org_unit")),
        ("POLICY_MISSING".into(), "group".into())
    );

    let first = world.apply("group", policy(1, 5)).await;
    assert_eq!((first.version, first.org_unit.as_str()), (1, "group"));
    let later = world.clock.now() + SignedDuration::from_hours(24);
    let request = ApplySurveyPolicyRequest {
        org_unit: "group/north".into(),
        policy: Some(policy(0, 10)),
        effective_time: Some(to_proto_timestamp(later)),
        request_id: request_id(1),
    };
    let second = admin.policies.apply_survey_policy(request.clone()).await.unwrap().into_inner();
    let again = admin.policies.apply_survey_policy(request.clone()).await.unwrap().into_inner();
    assert_eq!(second, again);

    let find = |mut admin: crate::world::Desk, request| async move {
        admin.policies.get_effective_survey_policy(request).await.unwrap().into_inner().name
    };
    assert_eq!(find(admin.clone(), effective("group/north/riverside")).await, first.name);
    let then = GetEffectiveSurveyPolicyRequest {
        time: Some(to_proto_timestamp(later)),
        ..effective("group/north/riverside")
    };
    assert_eq!(find(admin.clone(), then).await, second.name);
    world.pass(SignedDuration::from_hours(24)).await;
    assert_eq!(find(admin.clone(), effective("group/north/riverside")).await, second.name);
    assert_eq!(find(admin.clone(), effective("group/south")).await, first.name);

    // Who did not hear the answer may ask again after the time has come.
    world.pass(SignedDuration::from_hours(1)).await;
    let again = admin.policies.apply_survey_policy(request).await.unwrap().into_inner();
    assert_eq!(second, again);
}

#[tokio::test]
async fn x06_a_policy_needs_an_org_unit_that_exists() {
    let world = World::bare().await;
    let mut admin = world.desk("admin", "group", role::ADMIN);
    let unknown = ApplySurveyPolicyRequest {
        org_unit: "group/nowhere".into(),
        policy: Some(policy(1, 5)),
        ..Default::default()
    };
    let refused = admin.policies.apply_survey_policy(unknown.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(reason(&refused), "ORG_UNIT_UNKNOWN");
    assert_eq!(metadata(&refused, "org_unit"), "group/nowhere");
    // Created a moment ago: the customer context is asked.
    let fresh = ApplySurveyPolicyRequest { org_unit: FRESH.into(), ..unknown.clone() };
    admin.policies.apply_survey_policy(fresh.clone()).await.unwrap();

    let World { customers, .. } = world;
    customers.stop().await;
    let refused = admin.policies.apply_survey_policy(unknown).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "not known is not the same as not there");
    assert_eq!(reason(&refused), "CONTEXT_UNAVAILABLE");
    admin.policies.apply_survey_policy(fresh).await.unwrap();
}
