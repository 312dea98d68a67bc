//! S-03 in its first form: who does not want to be contacted is not asked.

use kefu_api::survey::v1::{InvitationState, ListInvitationsRequest};

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

/// The ticket context found out whose a ticket is (T-01).
#[tokio::test]
async fn t01_whose_a_ticket_turns_out_to_be_is_asked_and_nobody_else() {
    let world = World::new().await;
    let (mut ticket, invitation, token) = world.issued("group/north").await;
    let wrong = ticket.summary.clone();
    world.correct(&mut ticket, 7).await;
    world.settle().await;
    let [moved] = world.invitations(&ticket).await.try_into().unwrap();
    assert_eq!((&moved.name, moved.state()), (&invitation.name, InvitationState::Created));
    assert_eq!(
        (&moved.customer, &moved.contact),
        (&ticket.summary.customer, &ticket.summary.contact)
    );
    assert_eq!(moved.expire_time, invitation.expire_time);
    let refused = world.anonymous().answer(&token, 1).await.unwrap_err();
    assert_eq!(reason(&refused), "INVITATION_INVALID", "whom it was sent to by mistake");
    let of_wrong = ListInvitationsRequest {
        org_unit: "group".into(),
        customer: wrong.customer,
        ..ListInvitationsRequest::default()
    };
    let found = world.manager().surveys.list_invitations(of_wrong).await.unwrap().into_inner();
    assert_eq!(found.invitations, []);
    let token = world.manager().issue(&moved.name).await.unwrap();
    world.anonymous().answer(&token, 2).await.unwrap();
    // What was answered stays whose it is.
    world.correct(&mut ticket, 8).await;
    world.settle().await;
    let [answered] = world.invitations(&ticket).await.try_into().unwrap();
    assert_eq!((answered.state(), &answered.contact), (InvitationState::Answered, &moved.contact));
}

#[tokio::test]
async fn t01_an_opt_out_counts_for_whose_a_ticket_turns_out_to_be() {
    let world = World::new().await;
    // The right one does not want to be asked.
    let (mut ticket, invitation, _) = world.issued("group/north").await;
    let mut right = world.ticket("group/north");
    world.correct(&mut right, 7).await;
    world.close_channels(&right, 1, &ALL).await;
    world.settle().await;
    world.correct(&mut ticket, 7).await;
    world.settle().await;
    let [found] = world.invitations(&ticket).await.try_into().unwrap();
    assert_eq!((&found.name, found.state()), (&invitation.name, InvitationState::Revoked));
    // The wrong one did not want to be asked; the right one is.
    let mut ticket = world.ticket("group/north");
    world.close_channels(&ticket, 1, &ALL).await;
    world.settle().await;
    world.feed_back(&mut ticket).await;
    world.settle().await;
    assert_eq!(world.invitations(&ticket).await, []);
    world.correct(&mut ticket, 9).await;
    world.settle().await;
    let [asked] = world.invitations(&ticket).await.try_into().unwrap();
    assert_eq!(
        (&asked.contact, asked.state()),
        (&ticket.summary.contact, InvitationState::Created)
    );
    // A correction of something else asks nobody anew.
    world.correct(&mut ticket, 9).await;
    world.settle().await;
    assert_eq!(world.invitations(&ticket).await, [asked]);
}
