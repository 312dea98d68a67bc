//! S-02 and S-04: who is invited, and what a token opens.

use jiff::SignedDuration;
use kefu_api::survey::v1::{
    GetInvitationRequest, GetQuestionnaireRequest, InvitationState, RevokeInvitationRequest,
};
use kefu_identity::role;
use kefu_rpc::to_proto_timestamp;
use tonic::Code;

use crate::world::{EXPIRE_AFTER, World, policy, reason, text};

#[tokio::test]
async fn s02_a_contact_is_invited_when_the_result_was_fed_back() {
    let world = World::bare().await;
    let version = world.apply("group", policy(1, 5)).await;
    let (ticket, invitation) = world.invited("group/north/riverside").await;
    assert_eq!(invitation.org_unit, "group/north/riverside");
    assert_eq!(invitation.campaign, "ticket-call-back");
    assert_eq!(invitation.ticket, ticket.summary.ticket);
    assert_eq!(invitation.ticket_number, "T-2026-000001");
    assert_eq!(invitation.ticket_cycle, 1);
    assert_eq!(invitation.customer, ticket.summary.customer);
    assert_eq!(invitation.contact, ticket.summary.contact);
    assert_eq!(invitation.state(), InvitationState::Created);
    assert_eq!(invitation.create_time, Some(world.now()));
    let expires = world.shared_clock.now() + EXPIRE_AFTER;
    assert_eq!(invitation.expire_time, Some(to_proto_timestamp(expires)));
    assert_eq!((invitation.answer_time, invitation.policy_version), (None, version.name));
    assert_eq!(world.manager().get(&invitation.name).await.etag, invitation.etag);
}

#[tokio::test]
async fn s02_nobody_is_invited_where_no_policy_asks() {
    let world = World::bare().await;
    world.apply("group/north", policy(1, 5)).await;
    let silent = kefu_api::survey::v1::SurveyPolicy { ticket_call_back: None, ..policy(1, 5) };
    world.apply("group/north/riverside", silent).await;
    for (org_unit, invitations) in
        [("group/north", 1), ("group/south", 0), ("group/north/riverside", 0)]
    {
        let mut ticket = world.ticket(org_unit);
        world.feed_back(&mut ticket).await;
        world.settle().await;
        assert_eq!(world.invitations(&ticket).await.len(), invitations, "{org_unit}");
    }
}

#[tokio::test]
async fn s02_an_unregistered_complainant_is_asked_too() {
    let world = World::new().await;
    let mut ticket = world.ticket("group/north");
    ticket.summary.customer.clear();
    ticket.summary.contact.clear();
    world.feed_back(&mut ticket).await;
    world.settle().await;
    let [invitation] = world.invitations(&ticket).await.try_into().unwrap();
    assert_eq!((invitation.customer.as_str(), invitation.contact.as_str()), ("", ""));
    let token = world.manager().issue(&invitation.name).await.unwrap();
    world.anonymous().answer(&token, 1).await.unwrap();
}

#[tokio::test]
async fn s04_each_cycle_is_asked_about_once_however_often_it_is_told() {
    let world = World::new().await;
    let mut ticket = world.ticket("group/north");
    for _ in 0..3 {
        world.feed_back(&mut ticket).await;
    }
    world.settle().await;
    assert_eq!(world.invitations(&ticket).await.len(), 1);
    world.reopen(&mut ticket).await;
    world.feed_back(&mut ticket).await;
    world.settle().await;
    let cycles: Vec<_> =
        world.invitations(&ticket).await.iter().map(|found| found.ticket_cycle).collect();
    assert_eq!(cycles, [2, 1]);
    assert_eq!(world.count("SELECT count(*) FROM journal WHERE action = 'survey.Invite'").await, 2);
}

#[tokio::test]
async fn s04_the_holder_of_the_token_sees_what_is_asked_and_needs_no_sign_in() {
    let world = World::new().await;
    let (_, invitation, token) = world.issued("group/north").await;
    assert_eq!(token.len(), 43);
    let request = GetQuestionnaireRequest { token };
    let asked = world.anonymous().surveys.get_questionnaire(request).await.unwrap().into_inner();
    let questionnaire = asked.questionnaire.unwrap();
    assert_eq!(
        questionnaire.question,
        Some(text("Are you content with the result?", "您对处理结果满意吗？"))
    );
    assert_eq!(questionnaire.scale.map(|scale| (scale.min, scale.max)), Some((1, 5)));
    assert_eq!(asked.ticket_number, "T-2026-000001");
    assert_eq!(asked.expire_time, invitation.expire_time);
    let found = world.manager().get(&invitation.name).await;
    assert_eq!(found.state(), InvitationState::Issued);
}

/// Unknown, invented, retired, expired, revoked: nobody can tell which.
#[tokio::test]
async fn s04_a_token_that_does_not_work_tells_nothing() {
    let world = World::new().await;
    let (_, rotated, retired) = world.issued("group/north").await;
    world.manager().issue(&rotated.name).await.unwrap();
    let (_, taken_back, revoked) = world.issued("group/north").await;
    let request = RevokeInvitationRequest { name: taken_back.name, ..Default::default() };
    world.manager().surveys.revoke_invitation(request).await.unwrap();
    let (_, _, expired) = world.issued("group/north").await;
    world.pass(EXPIRE_AFTER).await;

    let invented = "A".repeat(43);
    let longest = "长".repeat(10_000);
    let strange = ["x", "' OR 1=1 --", "令牌😡", "AAAA=", "\u{7}", longest.as_str()];
    let mut told = Vec::new();
    for token in
        [&retired, &revoked, &expired, &invented].map(String::as_str).iter().chain(&strange)
    {
        let request = GetQuestionnaireRequest { token: (*token).into() };
        told.push(world.anonymous().surveys.get_questionnaire(request).await.unwrap_err());
        told.push(world.anonymous().answer(token, 99).await.unwrap_err());
    }
    for status in &told {
        assert_eq!(status.code(), Code::NotFound, "{status:?}");
        assert_eq!(reason(status), "INVITATION_INVALID");
        assert_eq!((status.message(), status.details()), (told[0].message(), told[0].details()));
    }
}

#[tokio::test]
async fn s04_an_invitation_expires_once_at_its_time() {
    let mut world = World::new().await;
    world.start_replica().await;
    let (_, first, token) = world.issued("group/north").await;
    let (_, second) = world.invited("group/north").await;
    world.pass(EXPIRE_AFTER - SignedDuration::from_micros(1)).await;
    world.anonymous().answer(&token, 5).await.unwrap();
    let open = world.manager().get(&second.name).await;
    assert_eq!(open.state(), InvitationState::Created);

    world.pass(SignedDuration::from_micros(1)).await;
    let expired = world.manager().get(&second.name).await;
    assert_eq!(expired.state(), InvitationState::Expired);
    let answered = world.manager().get(&first.name).await;
    assert_eq!(answered.state(), InvitationState::Answered);
    world.pass(EXPIRE_AFTER).await;
    let expired = "SELECT count(*) FROM journal WHERE action = 'survey.Expire'";
    assert_eq!(world.count(expired).await, 1);
}

#[tokio::test]
async fn s04_what_has_ended_is_neither_issued_nor_revoked() {
    let world = World::new().await;
    let mut manager = world.manager();
    let (_, invitation) = world.invited("group/north").await;
    world.pass(EXPIRE_AFTER).await;
    let refused = manager.issue(&invitation.name).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(reason(&refused), "INVITATION_INVALID");
    let request = RevokeInvitationRequest { name: invitation.name, ..Default::default() };
    let refused = manager.surveys.revoke_invitation(request).await.unwrap_err();
    assert_eq!(reason(&refused), "INVITATION_INVALID");

    let (_, invitation, token) = world.issued("group/north").await;
    world.anonymous().answer(&token, 1).await.unwrap();
    let refused = manager.issue(&invitation.name).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::AlreadyExists, "ALREADY_ANSWERED".into())
    );
    let request = RevokeInvitationRequest { name: invitation.name, ..Default::default() };
    let refused = manager.surveys.revoke_invitation(request).await.unwrap_err();
    assert_eq!(reason(&refused), "ALREADY_ANSWERED");
}

#[tokio::test]
async fn s04_an_invitation_that_is_not_there_is_not_found() {
    let world = World::new().await;
    let name = format!("invitations/{}", world.id());
    let mut manager = world.manager();
    let missing = manager.issue(&name).await.unwrap_err();
    assert_eq!((missing.code(), reason(&missing)), (Code::NotFound, "RESOURCE_NOT_FOUND".into()));
    let request = GetInvitationRequest { name };
    let missing = manager.surveys.get_invitation(request).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
}

/// The handler would otherwise ask himself.
#[tokio::test]
async fn t13_whoever_handled_the_ticket_does_not_get_the_token() {
    let world = World::new().await;
    let (_, invitation) = world.invited("group/north").await;
    let mut handler = world.desk("wang.fang", "group", role::HANDLER);
    let refused = handler.issue(&invitation.name).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(reason(&refused), "SEPARATION_OF_DUTIES");
    world.desk("sun.li", "group", role::HANDLER).issue(&invitation.name).await.unwrap();
}

/// Wang answered and Li resolved: both handled the cycle, whoever of them was the last.
#[tokio::test]
async fn t13_s05_none_of_several_handlers_gets_the_token_or_enters_the_answer() {
    let world = World::new().await;
    let mut ticket = world.ticket("group/north");
    ticket.summary.handler = "li.na".into();
    ticket.summary.cycle_handlers = vec!["wang.fang".into(), "li.na".into()];
    world.feed_back(&mut ticket).await;
    world.settle().await;
    let [invitation] = world.invitations(&ticket).await.try_into().unwrap();
    let token = world.manager().issue(&invitation.name).await.unwrap();
    for subject in ["wang.fang", "li.na"] {
        let mut handler = world.desk(subject, "group", role::HANDLER);
        let issued = handler.issue(&invitation.name).await.map(drop);
        let answered = handler.answer(&token, 1).await.map(drop);
        for refused in [issued.unwrap_err(), answered.unwrap_err()] {
            assert_eq!(refused.code(), Code::PermissionDenied, "{subject}");
            assert_eq!(reason(&refused), "SEPARATION_OF_DUTIES");
        }
    }
    world.desk("sun.li", "group", role::CLERK).answer(&token, 3).await.unwrap();
}

/// A row of the version before the list of handlers, which a replica of that version may write during an update.
#[tokio::test]
async fn t13_the_handler_that_an_older_version_noted_is_refused_too() {
    let world = World::new().await;
    let (_, invitation) = world.invited("group/north").await;
    let older = "UPDATE invitation SET handlers = '{}'";
    sqlx::query(older).execute(&world.pool).await.unwrap();
    let mut handler = world.desk("wang.fang", "group", role::HANDLER);
    let refused = handler.issue(&invitation.name).await.unwrap_err();
    assert_eq!(reason(&refused), "SEPARATION_OF_DUTIES");
}
