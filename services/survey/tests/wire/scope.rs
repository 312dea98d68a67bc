//! who may do what, and where.

use kefu_api::survey::v1::{
    ApplySurveyPolicyRequest, GetInvitationRequest, ListAnswersRequest, ListInvitationsRequest,
    RevokeInvitationRequest,
};
use kefu_identity::role;
use tonic::Code;

use crate::world::{World, metadata, policy, reason};

#[tokio::test]
async fn x07_only_a_tokens_holder_gets_by_without_signing_in() {
    let world = World::new().await;
    let (_, invitation) = world.invited("group/north").await;
    let mut nobody = world.anonymous();
    let name = invitation.name;
    let get = nobody.surveys.get_invitation(GetInvitationRequest { name: name.clone() }).await;
    let revoke = RevokeInvitationRequest { name: name.clone(), ..Default::default() };
    let revoke = nobody.surveys.revoke_invitation(revoke).await;
    let list = ListInvitationsRequest { org_unit: "group".into(), ..Default::default() };
    let list = nobody.surveys.list_invitations(list).await;
    let answers = ListAnswersRequest { org_unit: "group".into(), ..Default::default() };
    let answers = nobody.surveys.list_answers(answers).await;
    let apply = ApplySurveyPolicyRequest {
        org_unit: "group".into(),
        policy: Some(policy(1, 5)),
        ..Default::default()
    };
    let apply = nobody.policies.apply_survey_policy(apply).await;
    let issue = nobody.issue(&name).await;
    let refusals = [
        get.unwrap_err(),
        revoke.unwrap_err(),
        list.unwrap_err(),
        answers.unwrap_err(),
        apply.unwrap_err(),
        issue.unwrap_err(),
    ];
    for refused in refusals {
        assert_eq!(refused.code(), Code::Unauthenticated);
        assert_eq!(reason(&refused), "TOKEN_MISSING");
    }
}

#[tokio::test]
async fn x07_rights_end_where_the_callers_org_unit_ends() {
    let world = World::new().await;
    let (_, invitation) = world.invited("group/north/riverside").await;
    for (org_unit, allowed) in [
        ("group", true),
        ("group/north", true),
        ("group/north/riverside", true),
        ("group/south", false),
        ("group-x", false),
    ] {
        let mut desk = world.desk("li.wei", org_unit, role::MANAGER);
        let request = GetInvitationRequest { name: invitation.name.clone() };
        let found = desk.surveys.get_invitation(request).await;
        assert_eq!(found.is_ok(), allowed, "{org_unit}");
        let issued = desk.issue(&invitation.name).await;
        assert_eq!(issued.is_ok(), allowed, "{org_unit}");
        if let Err(denied) = issued {
            assert_eq!(denied.code(), Code::PermissionDenied);
            assert_eq!(metadata(&denied, "action"), "survey.IssueInvitationToken");
        }
    }
    let mut north = world.desk("li.wei", "group/north", role::MANAGER);
    let request = ListInvitationsRequest { org_unit: "group".into(), ..Default::default() };
    let denied = north.surveys.list_invitations(request).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn x07_a_role_does_what_it_is_for() {
    let world = World::new().await;
    let (_, invitation) = world.invited("group/north").await;
    let name = &invitation.name;
    for (role, may_issue, may_revoke) in [
        (role::CLERK, false, false),
        (role::HANDLER, true, false),
        (role::AUDITOR, false, false),
        (role::ADMIN, false, false),
        (role::QUALITY, true, true),
    ] {
        let mut desk = world.desk("li.wei", "group/north", role);
        assert_eq!(desk.get(name).await.name, *name);
        assert_eq!(desk.issue(name).await.is_ok(), may_issue, "{role}");
        let request = RevokeInvitationRequest { name: name.clone(), ..Default::default() };
        let revoked = desk.surveys.revoke_invitation(request).await;
        assert_eq!(revoked.is_ok(), may_revoke, "{role}");
    }
}
