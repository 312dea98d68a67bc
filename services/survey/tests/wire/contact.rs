//! S-03 in its first form: who does not want to be contacted is not asked.

use kefu_api::survey::v1::InvitationState;

use crate::world::{World, reason};

const ALL: [&str; 6] = ["PHONE", "SMS", "EMAIL", "MESSENGER", "LETTER", "VISIT"];

#[tokio::test]
async fn s03_a_contact_that_has_closed_every_channel_is_not_invited() {
    let world = World::new().await;
    let mut ticket = world.ticket("group/north");
    world.close_channels(&ticket, 1, &ALL).await;
    world.settle().await;
    world.feed_back(&mut ticket).await;
    world.settle().await;
    assert_eq!(world.invitations(&ticket).await, []);

    let mut ticket = world.ticket("group/north");
    world.close_channels(&ticket, 1, &ALL[1..]).await;
    world.settle().await;
    world.feed_back(&mut ticket).await;
    world.settle().await;
    assert_eq!(world.invitations(&ticket).await.len(), 1, "the telephone is left");
}

#[tokio::test]
async fn s03_closing_the_last_channel_takes_back_what_is_open() {
    let world = World::new().await;
    let (ticket, invitation, token) = world.issued("group/north").await;
    world.close_channels(&ticket, 1, &ALL[1..]).await;
    world.settle().await;
    assert_eq!(world.manager().get(&invitation.name).await.state(), InvitationState::Issued);
    world.close_channels(&ticket, 2, &ALL).await;
    world.settle().await;
    assert_eq!(world.manager().get(&invitation.name).await.state(), InvitationState::Revoked);
    let refused = world.anonymous().answer(&token, 1).await.unwrap_err();
    assert_eq!(reason(&refused), "INVITATION_INVALID");
}

/// The two feeds are read at the same time by two replicas each; whoever is first, nobody stays invited.
#[tokio::test]
async fn s03_an_opt_out_never_passes_an_invitation_unseen() {
    let mut world = World::new().await;
    world.start_replica().await;
    let mut tickets: Vec<_> = (0..40).map(|_| world.ticket("group/north")).collect();
    for ticket in &mut tickets {
        let told = ticket.clone();
        tokio::join!(world.feed_back(ticket), world.close_channels(&told, 1, &ALL));
    }
    world.settle().await;
    let open = "SELECT count(*) FROM invitation WHERE state IN ('created', 'issued')";
    assert_eq!(world.count(open).await, 0);
}
