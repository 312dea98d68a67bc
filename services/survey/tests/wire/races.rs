//! S-05 and X-01: one end, whatever the race.

use futures::future::join_all;
use kefu_api::survey::v1::{InvitationState, RevokeInvitationRequest, SubmitAnswerRequest};
use kefu_journal::reset_cursor;
use tonic::Code;

use crate::world::{EXPIRE_AFTER, World, reason, request_id, submission};

#[tokio::test(flavor = "multi_thread")]
async fn s05_of_many_submissions_at_once_exactly_one_wins() {
    let mut world = World::new().await;
    world.start_replica().await;
    let (_, _, token) = world.issued("group/north").await;
    let submissions = (0..32_u8).map(|number| {
        let mut desk = world.anonymous_at(usize::from(number % 2));
        let request = SubmitAnswerRequest {
            comment: format!("第 {number} 次"),
            request_id: request_id(u128::from(number) + 1),
            ..submission(&token, i32::from(number % 5) + 1)
        };
        async move { desk.submit(request).await }
    });
    let (won, lost): (Vec<_>, Vec<_>) =
        join_all(submissions).await.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    for refused in lost.into_iter().map(Result::unwrap_err) {
        assert_eq!(refused.code(), Code::AlreadyExists);
        assert_eq!(reason(&refused), "ALREADY_ANSWERED");
    }
    assert_eq!(world.count("SELECT count(*) FROM answer").await, 1);
    let told = "SELECT count(*) FROM journal WHERE event_type = 'kefu.survey.v1.CallBackAnswered'";
    assert_eq!(world.count(told).await, 1);
}

/// One button, pressed many times by an impatient thumb.
#[tokio::test(flavor = "multi_thread")]
async fn x02_the_same_submission_many_times_at_once_is_one() {
    let mut world = World::new().await;
    world.start_replica().await;
    let (_, _, token) = world.issued("group/north").await;
    let request = SubmitAnswerRequest { request_id: request_id(1), ..submission(&token, 3) };
    let submissions = (0..32_usize).map(|number| {
        let (mut desk, request) = (world.anonymous_at(number % 2), request.clone());
        async move { desk.submit(request).await.unwrap() }
    });
    let answers = join_all(submissions).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(world.count("SELECT count(*) FROM answer").await, 1);
}

/// At the very time at which they expire: an answer, a revocation and two timers.
#[tokio::test(flavor = "multi_thread")]
async fn s04_answer_revocation_and_expiry_end_an_invitation_once() {
    let mut world = World::new().await;
    world.start_replica().await;
    let mut all = Vec::new();
    for _ in 0..24 {
        let (_, invitation, token) = world.issued("group/north").await;
        all.push((invitation.name, token));
    }
    let calls = all.iter().map(|(name, token)| {
        let (mut respondent, mut manager) = (world.anonymous_at(1), world.manager());
        let revoke = RevokeInvitationRequest { name: name.clone(), ..Default::default() };
        async move {
            tokio::join!(respondent.answer(token, 1), manager.surveys.revoke_invitation(revoke))
        }
    });
    let clock = world.clock.clone();
    let expire = async {
        // Somewhere among the calls.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        clock.advance(EXPIRE_AFTER).unwrap();
    };
    let (ends, ()) = tokio::join!(join_all(calls), expire);
    world.settle().await;

    let mut manager = world.manager();
    for ((name, _), (answered, revoked)) in all.iter().zip(ends) {
        let state = manager.get(name).await.state();
        let expected = match (answered.is_ok(), revoked.is_ok()) {
            (true, false) => InvitationState::Answered,
            (false, true) => InvitationState::Revoked,
            (false, false) => InvitationState::Expired,
            (true, true) => panic!("{name} was answered and revoked"),
        };
        assert_eq!(state, expected);
    }
    let ended = "SELECT count(*) FROM journal WHERE action IN
        ('survey.SubmitAnswer', 'survey.RevokeInvitation', 'survey.Expire')";
    assert_eq!(world.count(ended).await, 24);
    let unequal =
        "SELECT count(*) FROM invitation AS i LEFT JOIN answer AS a ON a.invitation_id = i.id
        WHERE (i.state = 'answered') <> (a.id IS NOT NULL)";
    assert_eq!(world.count(unequal).await, 0);
}

/// The cursor lost, the whole feed again, two replicas: nothing happens twice.
#[tokio::test]
async fn x01_a_feed_read_again_from_the_beginning_changes_nothing() {
    let mut world = World::new().await;
    world.start_replica().await;
    let (mut reopened, ..) = world.issued("group/north").await;
    world.reopen(&mut reopened).await;
    // Of the cycle that is read about again, too, somebody may have been asked.
    world.feed_back(&mut reopened).await;
    let (_, _, token) = world.issued("group/north").await;
    world.anonymous().answer(&token, 1).await.unwrap();
    world.invited("group/south").await;
    world.settle().await;
    let changes = "SELECT count(*) FROM journal";
    let before = world.count(changes).await;

    reset_cursor(&world.pool, "invitations", "ticket").await.unwrap();
    reset_cursor(&world.pool, "copies", "customer").await.unwrap();
    // News, by which both consumers find out.
    let mut ticket = world.ticket("group/north");
    world.close_channels(&ticket, 1, &["SMS"]).await;
    world.feed_back(&mut ticket).await;
    world.settle().await;
    assert_eq!(world.count(changes).await, before + 1);
    assert_eq!(world.count("SELECT count(*) FROM invitation").await, 5);
    let open = "SELECT count(*) FROM invitation WHERE state = 'created'";
    assert_eq!(world.count(open).await, 3, "nobody's link has died of it");
}

/// While the ticket context is away, invitations are answered as ever.
#[tokio::test]
async fn x01_answers_are_taken_while_the_other_contexts_are_down() {
    let world = World::new().await;
    let (_, _, token) = world.issued("group/north").await;
    let mut respondent = world.anonymous();
    let World { tickets, customers, replicas: _replicas, .. } = world;
    tickets.stop().await;
    customers.stop().await;
    respondent.answer(&token, 1).await.unwrap();
}
