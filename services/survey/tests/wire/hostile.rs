//! bad input gets a clear error, all of it at once.

use kefu_api::survey::v1::{
    ApplySurveyPolicyRequest, GetInvitationRequest, IssueInvitationTokenRequest,
    ListAnswersRequest, ListInvitationsRequest, RevokeInvitationRequest,
};
use kefu_identity::role;

use crate::world::{World, policy, text, violations};

#[tokio::test]
async fn x06_all_wrong_fields_of_a_call_are_named_at_once() {
    let world = World::new().await;
    let mut manager = world.manager();
    let request = ListInvitationsRequest {
        org_unit: "Group North".into(),
        page_size: -1,
        page_token: "?".into(),
        ticket: "tickets/1".into(),
        customer: "customers".into(),
    };
    let refused = manager.surveys.list_invitations(request).await.unwrap_err();
    let expected = ["customer", "org_unit", "page_size", "page_token", "ticket"];
    assert_eq!(violations(&refused), expected);

    let request = ListAnswersRequest {
        org_unit: String::new(),
        page_size: i32::MIN,
        page_token: "=".repeat(5_000),
        customer: "客户".into(),
    };
    let refused = manager.surveys.list_answers(request).await.unwrap_err();
    assert_eq!(violations(&refused), ["customer", "org_unit", "page_size", "page_token"]);

    let request = RevokeInvitationRequest {
        name: "invitations/../1".into(),
        etag: "7".into(),
        request_id: "00000000-0000-0000-0000-000000000000".into(),
    };
    let refused = manager.surveys.revoke_invitation(request).await.unwrap_err();
    assert_eq!(violations(&refused), ["etag", "name", "request_id"]);

    let request = IssueInvitationTokenRequest { name: "x\0".into(), request_id: "x".into() };
    let refused = manager.surveys.issue_invitation_token(request).await.unwrap_err();
    assert_eq!(violations(&refused), ["name", "request_id"]);

    let refused = manager.surveys.get_invitation(GetInvitationRequest::default()).await;
    assert_eq!(violations(&refused.unwrap_err()), ["name"]);
}

#[tokio::test]
async fn x06_every_fault_of_a_policy_is_named_with_its_path() {
    let world = World::bare().await;
    let mut admin = world.desk("admin", "group", role::ADMIN);
    let mut faulty = policy(5, 1);
    faulty.title = Some(text("", "制度\u{7}"));
    faulty.ticket_call_back.as_mut().unwrap().expire_after = None;
    let request = ApplySurveyPolicyRequest {
        org_unit: "group//north".into(),
        policy: Some(faulty),
        effective_time: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }),
        request_id: "no".into(),
    };
    let refused = admin.policies.apply_survey_policy(request).await.unwrap_err();
    let expected = [
        "effective_time",
        "org_unit",
        "policy.ticket_call_back.expire_after",
        "policy.ticket_call_back.questionnaire.scale.max",
        "policy.title.zh",
        "request_id",
    ];
    assert_eq!(violations(&refused), expected);
    let nothing = ApplySurveyPolicyRequest::default();
    let refused = admin.policies.apply_survey_policy(nothing).await.unwrap_err();
    assert_eq!(violations(&refused), ["org_unit", "policy"]);
    assert_eq!(world.count("SELECT count(*) FROM policy_version").await, 0);
}
