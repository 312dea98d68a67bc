//! T-13 as this context sees it: the verdict comes in another way, or the ticket goes on.

use kefu_api::survey::v1::{InvitationEnded, InvitationRevocation, InvitationState};
use prost::Message as _;

use crate::world::{World, reason};

async fn why(world: &World, name: &str) -> (String, String, InvitationRevocation) {
    let id: uuid::Uuid = name.trim_start_matches("invitations/").parse().unwrap();
    let (why, event): (Option<String>, Vec<u8>) = sqlx::query_as(
        "SELECT after->>'why', event FROM journal WHERE aggregate_id = $1 ORDER BY revision DESC LIMIT 1",
    )
    .bind(id)
    .fetch_one(&world.pool)
    .await
    .unwrap();
    let event = InvitationEnded::decode(event.as_slice()).unwrap();
    assert_eq!(event.invitation, name);
    let revocation = event.revocation();
    (why.unwrap_or_default(), event.state, revocation)
}

#[tokio::test]
async fn t13_a_verdict_by_telephone_takes_the_invitation_back() {
    let world = World::new().await;
    let (mut reopened, first, token) = world.issued("group/north").await;
    world.reopen(&mut reopened).await;
    let (mut closed, second) = world.invited("group/north").await;
    world.close(&mut closed).await;
    let (mut cancelled, third) = world.invited("group/north").await;
    world.cancel(&mut cancelled).await;
    let (_, open) = world.invited("group/north").await;
    world.settle().await;
    let expected = [
        ("verdict_given", InvitationRevocation::VerdictGiven),
        ("verdict_given", InvitationRevocation::VerdictGiven),
        ("ticket_cancelled", InvitationRevocation::TicketCancelled),
    ];
    for (invitation, (word, expected)) in [first, second, third].iter().zip(expected) {
        let found = world.manager().get(&invitation.name).await;
        assert_eq!((found.state(), found.revocation()), (InvitationState::Revoked, expected));
        let told = (word.to_owned(), "REVOKED".to_owned(), expected);
        assert_eq!(why(&world, &invitation.name).await, told);
    }
    let open = world.manager().get(&open.name).await;
    assert_eq!(open.revocation(), InvitationRevocation::Unspecified);
    let refused = world.anonymous().answer(&token, 1).await.unwrap_err();
    assert_eq!(reason(&refused), "INVITATION_INVALID");
}

/// Nobody has given a verdict where the customer could not be reached, and nobody is told that one was given.
#[tokio::test]
async fn t09_a_ticket_closed_without_a_verdict_takes_its_invitation_back_for_that_reason() {
    let world = World::new().await;
    let (mut unreached, invitation, token) = world.issued("group/north").await;
    world.close_unasked(&mut unreached).await;
    let (mut answered, second, its_token) = world.issued("group/north").await;
    world.anonymous().answer(&its_token, 2).await.unwrap();
    world.close_unasked(&mut answered).await;
    world.settle().await;
    let found = world.manager().get(&invitation.name).await;
    let reason_of_its_own = InvitationRevocation::ClosedWithoutVerdict;
    assert_eq!((found.state(), found.revocation()), (InvitationState::Revoked, reason_of_its_own));
    let told = ("closed_without_verdict".to_owned(), "REVOKED".to_owned(), reason_of_its_own);
    assert_eq!(why(&world, &invitation.name).await, told);
    let refused = world.anonymous().answer(&token, 1).await.unwrap_err();
    assert_eq!(reason(&refused), "INVITATION_INVALID");
    // What was answered before stays answered.
    let found = world.manager().get(&second.name).await;
    assert_eq!(found.state(), InvitationState::Answered);
}

/// Whoever could not be reached by telephone may answer yet, and that opens the ticket again; somebody who reopens it asks anew.
#[tokio::test]
async fn t13_an_invitation_stays_open_while_its_answer_can_reopen_the_ticket() {
    let world = World::new().await;
    let (mut silent, first, token) = world.issued("group/north").await;
    world.close_reopenable(&mut silent).await;
    let (mut reopened, second, its_token) = world.issued("group/north").await;
    world.close_reopenable(&mut reopened).await;
    world.reopen_closed(&mut reopened).await;
    world.settle().await;
    world.anonymous().answer(&token, 5).await.unwrap();
    let found = world.manager().get(&first.name).await;
    assert_eq!(found.state(), InvitationState::Answered);
    let found = world.manager().get(&second.name).await;
    let why = InvitationRevocation::ClosedWithoutVerdict;
    assert_eq!((found.state(), found.revocation()), (InvitationState::Revoked, why));
    let refused = world.anonymous().answer(&its_token, 5).await.unwrap_err();
    assert_eq!(reason(&refused), "INVITATION_INVALID");
}

/// The ticket context closes or reopens because of our own answer: nothing is left to take back.
#[tokio::test]
async fn t13_an_answered_invitation_stays_answered_when_the_ticket_goes_on() {
    let world = World::new().await;
    let (mut ticket, invitation, token) = world.issued("group/north").await;
    world.anonymous().answer(&token, 4).await.unwrap();
    world.reopen(&mut ticket).await;
    world.feed_back(&mut ticket).await;
    world.settle().await;
    let [second, first] = world.invitations(&ticket).await.try_into().unwrap();
    assert_eq!(
        (first.name.as_str(), first.state()),
        (&*invitation.name, InvitationState::Answered)
    );
    assert_eq!((second.ticket_cycle, second.state()), (2, InvitationState::Created));

    let token = world.manager().issue(&second.name).await.unwrap();
    world.anonymous().answer(&token, 2).await.unwrap();
    world.close(&mut ticket).await;
    world.settle().await;
    let answered = world.count("SELECT count(*) FROM invitation WHERE state = 'answered'").await;
    assert_eq!(answered, 2);
}

/// All of a ticket's story in one batch, as after an hour of downtime.
#[tokio::test]
async fn s08_a_whole_story_read_at_once_ends_like_one_read_step_by_step() {
    let mut world = World::bare().await;
    world.apply("group", crate::world::policy(1, 5)).await;
    world.start_replica().await;
    let mut tickets: Vec<_> = (0..20).map(|_| world.ticket("group/north")).collect();
    for ticket in &mut tickets {
        world.feed_back(ticket).await;
        world.reopen(ticket).await;
        world.feed_back(ticket).await;
    }
    world.settle().await;
    for ticket in &tickets {
        let mut states: Vec<_> =
            world.invitations(ticket).await.iter().map(|i| (i.ticket_cycle, i.state())).collect();
        // The clock stands, and two replicas may have invited: which is listed first is a matter of their ids.
        states.sort_by_key(|(cycle, _)| *cycle);
        let expected = [(1, InvitationState::Revoked), (2, InvitationState::Created)];
        assert_eq!(states, expected);
    }
}
