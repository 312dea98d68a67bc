//! retries are safe, and nothing is overwritten silently.

use kefu_api::survey::v1::{
    InvitationState, IssueInvitationTokenRequest, RevokeInvitationRequest, SubmitAnswerRequest,
};
use tonic::Code;

use crate::world::{World, metadata, reason, request_id, submission};

#[tokio::test]
async fn x02_a_retried_answer_gets_the_first_answer() {
    let world = World::new().await;
    let (_, _, token) = world.issued("group/north").await;
    let request = SubmitAnswerRequest {
        comment: "谢谢".into(),
        request_id: request_id(1),
        ..submission(&token, 2)
    };
    let first = world.anonymous().submit(request.clone()).await.unwrap();
    world.pass(jiff::SignedDuration::from_hours(100)).await;
    assert_eq!(world.anonymous().submit(request.clone()).await.unwrap(), first);

    let other = SubmitAnswerRequest { verdict: 5, ..request.clone() };
    let refused = world.anonymous().submit(other).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
    assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
    let second = SubmitAnswerRequest { request_id: request_id(2), ..request };
    let refused = world.anonymous().submit(second).await.unwrap_err();
    assert_eq!(reason(&refused), "ALREADY_ANSWERED");
    assert_eq!(world.count("SELECT count(*) FROM answer").await, 1);
}

/// Anonymous callers are not one and the same.
#[tokio::test]
async fn x02_two_respondents_may_choose_the_same_request_id() {
    let world = World::new().await;
    for verdict in [1, 5] {
        let (_, invitation, token) = world.issued("group/north").await;
        let request =
            SubmitAnswerRequest { request_id: request_id(1), ..submission(&token, verdict) };
        let answer = world.anonymous().submit(request).await.unwrap();
        assert_eq!((answer.invitation, answer.verdict), (invitation.name, verdict));
    }
}

/// The first token was not stored, so it cannot be given again.
#[tokio::test]
async fn x02_a_retried_issue_makes_another_token_and_retires_the_first() {
    let world = World::new().await;
    let (_, invitation) = world.invited("group/north").await;
    let request =
        IssueInvitationTokenRequest { name: invitation.name.clone(), request_id: request_id(1) };
    let mut manager = world.manager();
    let first = manager.surveys.issue_invitation_token(request.clone()).await.unwrap().into_inner();
    let second = manager.surveys.issue_invitation_token(request).await.unwrap().into_inner();
    assert_ne!(first.token, second.token);
    assert_eq!(first.expire_time, second.expire_time);

    let (_, other) = world.invited("group/north").await;
    let request = IssueInvitationTokenRequest { name: other.name, request_id: request_id(1) };
    let refused = manager.surveys.issue_invitation_token(request).await.unwrap_err();
    assert_eq!(reason(&refused), "REQUEST_ID_REUSED");

    let refused = world.anonymous().answer(&first.token, 1).await.unwrap_err();
    assert_eq!(reason(&refused), "INVITATION_INVALID");
    world.anonymous().answer(&second.token, 1).await.unwrap();
}

#[tokio::test]
async fn x03_a_stale_etag_is_refused_with_the_current_one() {
    let world = World::new().await;
    let (_, invitation, token) = world.issued("group/north").await;
    let request = RevokeInvitationRequest {
        name: invitation.name.clone(),
        etag: invitation.etag.clone(),
        request_id: request_id(7),
    };
    let mut manager = world.manager();
    let refused = manager.surveys.revoke_invitation(request.clone()).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused)), (Code::Aborted, "ETAG_STALE".into()));
    let current = manager.get(&invitation.name).await.etag;
    assert_eq!(metadata(&refused, "current_etag"), current);
    assert_ne!(current, invitation.etag, "issuing a token is a change");

    // The refused attempt has left the request id free.
    let request = RevokeInvitationRequest { etag: current, ..request };
    let revoked = manager.surveys.revoke_invitation(request.clone()).await.unwrap().into_inner();
    assert_eq!(revoked.state(), InvitationState::Revoked);
    let again = manager.surveys.revoke_invitation(request).await.unwrap().into_inner();
    assert_eq!(again, revoked);
    let refused = world.anonymous().answer(&token, 1).await.unwrap_err();
    assert_eq!(reason(&refused), "INVITATION_INVALID");
}
