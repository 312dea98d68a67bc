//! S-05 and S-08: the answer, once, and what becomes of it.

use kefu_api::survey::v1::{
    CallBackAnswered, GetQuestionnaireRequest, InvitationState, ListAnswersRequest,
    SubmitAnswerRequest,
};
use kefu_identity::role;
use prost::{Message as _, Name as _};
use tonic::Code;

use crate::world::{World, policy, reason, submission, violations};

#[tokio::test]
async fn s05_an_answer_is_kept_as_it_was_said() {
    let world = World::new().await;
    let (_, invitation, token) = world.issued("group/north").await;
    let comment = "还是不行😡\n第二天又坏了 — A\u{308}rger";
    let request = SubmitAnswerRequest { comment: comment.into(), ..submission(&token, 4) };
    let answer = world.anonymous().submit(request).await.unwrap();
    assert_eq!(answer.invitation, invitation.name);
    assert_eq!((answer.verdict, answer.comment.as_str()), (4, "还是不行😡\n第二天又坏了 — Ärger"));
    assert_eq!(answer.submit_time, Some(world.now()));
    assert_eq!(answer.policy_version, invitation.policy_version);

    let answered = world.manager().get(&invitation.name).await;
    assert_eq!(answered.state(), InvitationState::Answered);
    assert_eq!(answered.answer_time, Some(world.now()));
    let request = ListAnswersRequest { org_unit: "group".into(), ..Default::default() };
    let listed = world.manager().surveys.list_answers(request).await.unwrap().into_inner();
    assert_eq!(listed.answers, [answer]);
}

#[tokio::test]
async fn s08_an_answered_call_back_is_told_with_its_verdict() {
    let world = World::new().await;
    let (ticket, invitation, token) = world.issued("group/north").await;
    let request = SubmitAnswerRequest { comment: "谢谢".into(), ..submission(&token, 2) };
    let answer = world.anonymous().submit(request).await.unwrap();
    let (event_type, event): (String, Vec<u8>) = sqlx::query_as(
        "SELECT event_type, event FROM journal WHERE action = 'survey.SubmitAnswer' AND actor = 'anonymous'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(event_type, CallBackAnswered::full_name());
    let expected = CallBackAnswered {
        answer: answer.name,
        invitation: invitation.name,
        ticket: ticket.summary.ticket,
        ticket_cycle: 1,
        verdict: 2,
        comment: "谢谢".into(),
        submit_time: answer.submit_time,
    };
    assert_eq!(CallBackAnswered::decode(event.as_slice()).unwrap(), expected);
}

#[tokio::test]
async fn s05_a_second_submission_is_refused() {
    let world = World::new().await;
    let (_, _, token) = world.issued("group/north").await;
    world.anonymous().answer(&token, 4).await.unwrap();
    for verdict in [4, 1] {
        let refused = world.anonymous().answer(&token, verdict).await.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists);
        assert_eq!(reason(&refused), "ALREADY_ANSWERED");
    }
    let request = GetQuestionnaireRequest { token };
    let refused = world.anonymous().surveys.get_questionnaire(request).await.unwrap_err();
    assert_eq!(reason(&refused), "ALREADY_ANSWERED");
    assert_eq!(world.count("SELECT count(*) FROM answer").await, 1);
}

#[tokio::test]
async fn s05_everything_wrong_with_an_answer_is_named_at_once() {
    let world = World::new().await;
    let (_, _, token) = world.issued("group/north").await;
    let too_long = "长".repeat(2_001);
    let megabyte = "A".repeat(1 << 20);
    for comment in ["\u{7}", "\u{202E}abc", "\0", &too_long, &megabyte] {
        let request = SubmitAnswerRequest {
            comment: comment.into(),
            request_id: "no".into(),
            ..submission(&token, 6)
        };
        let refused = world.anonymous().submit(request).await.unwrap_err();
        assert_eq!(violations(&refused), ["comment", "request_id", "verdict"]);
    }
    for verdict in [0, 6, -1, i32::MAX, i32::MIN] {
        let refused = world.anonymous().answer(&token, verdict).await.unwrap_err();
        assert_eq!(violations(&refused), ["verdict"]);
    }
    let nothing = world.anonymous().submit(SubmitAnswerRequest::default()).await.unwrap_err();
    assert_eq!(violations(&nothing), ["token"]);

    let longest = "😀".repeat(2_000);
    let request = SubmitAnswerRequest { comment: longest.clone(), ..submission(&token, 5) };
    assert_eq!(world.anonymous().submit(request).await.unwrap().comment, longest);
}

#[tokio::test]
async fn s05_staff_may_enter_it_but_not_the_handler_of_the_matter() {
    let world = World::new().await;
    let (_, _, token) = world.issued("group/north").await;
    let mut handler = world.desk("wang.fang", "group/north", role::HANDLER);
    let refused = handler.answer(&token, 1).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(reason(&refused), "SEPARATION_OF_DUTIES");
    world.desk("chen.jing", "group/south", role::CLERK).answer(&token, 3).await.unwrap();
    let by: String =
        sqlx::query_scalar("SELECT submitted_by FROM answer").fetch_one(&world.pool).await.unwrap();
    assert_eq!(by, "chen.jing");
}

/// what was asked stays what is answered.
#[tokio::test]
async fn x10_an_answer_is_judged_by_the_version_by_which_it_was_asked() {
    let world = World::new().await;
    let (_, _, token) = world.issued("group/north").await;
    world.apply("group", policy(0, 10)).await;
    let request = GetQuestionnaireRequest { token: token.clone() };
    let asked = world.anonymous().surveys.get_questionnaire(request).await.unwrap().into_inner();
    assert_eq!(asked.questionnaire.unwrap().scale.unwrap().max, 5);
    let refused = world.anonymous().answer(&token, 7).await.unwrap_err();
    assert_eq!(violations(&refused), ["verdict"]);

    let (_, invitation, wider) = world.issued("group/north").await;
    let answer = world.anonymous().answer(&wider, 7).await.unwrap();
    assert_eq!(answer.policy_version, invitation.policy_version);
    world.anonymous().answer(&token, 5).await.unwrap();
}

/// A result that was fed back before there was a policy asks nobody, although it is read afterwards.
#[tokio::test]
async fn x10_the_policy_in_force_when_the_result_was_fed_back_decides() {
    let world = World::new().await;
    let start = world.now();
    let later = kefu_rpc::timestamp(&start).unwrap() + jiff::SignedDuration::from_hours(1);
    let request = kefu_api::survey::v1::ApplySurveyPolicyRequest {
        org_unit: "group/south".into(),
        policy: Some(policy(0, 10)),
        effective_time: Some(kefu_rpc::to_proto_timestamp(later)),
        request_id: String::new(),
    };
    let mut admin = world.desk("admin", "group", role::ADMIN);
    let planned = admin.policies.apply_survey_policy(request).await.unwrap().into_inner();
    let (_, before) = world.invited("group/south").await;
    world.pass(jiff::SignedDuration::from_hours(1)).await;
    let (_, after) = world.invited("group/south").await;
    assert_ne!(before.policy_version, planned.name);
    assert_eq!(after.policy_version, planned.name);
}
