//! T-11: from one org unit to another.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::Status;

use crate::handling::lacking;
use crate::world::{Desk, World, at, clock, complaint, reason, request_id, violations};

fn transfer(name: &str, to: &str) -> pb::TransferTicketRequest {
    pb::TransferTicketRequest {
        name: name.into(),
        to_org_unit: to.into(),
        to_team: "elevators".into(),
        handover_note: "客户要求明天上午回电".into(),
        ..Default::default()
    }
}

fn accept(name: &str) -> pb::AcceptTransferRequest {
    pb::AcceptTransferRequest {
        name: name.into(),
        message: "您的投诉现由南区处理".into(),
        ..Default::default()
    }
}

fn give_back(name: &str) -> pb::ReturnTransferRequest {
    pb::ReturnTransferRequest {
        name: name.into(),
        reason: "不属于本区".into(),
        ..Default::default()
    }
}

async fn names(desk: &mut Desk, org_unit: &str) -> Vec<String> {
    let request = pb::ListTicketsRequest { org_unit: org_unit.into(), ..Default::default() };
    let listed = desk.tickets.list_tickets(request).await.unwrap().into_inner();
    listed.tickets.into_iter().map(|ticket| ticket.name).collect()
}

async fn incoming(desk: &mut Desk, org_unit: &str) -> Result<Vec<pb::Transfer>, Status> {
    let request = pb::ListTransfersRequest { org_unit: org_unit.into(), ..Default::default() };
    Ok(desk.handling.list_transfers(request).await?.into_inner().transfers)
}

struct Units {
    world: World,
    north: Desk,
    south: Desk,
    ticket: pb::Ticket,
}

/// A ticket in the north, and handlers there and in the south, where there never was one.
async fn units() -> Units {
    let world = World::new().await;
    crate::routing::team(&mut world.manager(), "group", "elevators", &[]).await;
    let ticket = world.clerk().create(complaint("group/north", "电梯故障")).await;
    let north = world.desk("bei", "group/north", role::HANDLER);
    let south = world.desk("nan", "group/south", role::HANDLER);
    Units { world, north, south, ticket }
}

#[tokio::test]
async fn t11_the_receiver_sees_what_is_on_its_way_and_answers_for_it_once_accepted() {
    let Units { world, mut north, mut south, ticket } = units().await;
    let get = pb::GetTicketRequest { name: ticket.name.clone() };
    let denied = south.tickets.get_ticket(get.clone()).await.unwrap_err();
    assert_eq!(denied.code(), tonic::Code::PermissionDenied);
    let sent = north.handling.transfer_ticket(transfer(&ticket.name, "group/south")).await;
    let sent = sent.unwrap().into_inner();
    assert_eq!((sent.state(), &*sent.org_unit), (pb::TicketState::Registered, "group/north"));
    assert_eq!(sent.clocks, ticket.clocks);
    // The receiver sees it, but it does nothing about it before it has it.
    assert_eq!(south.get(&ticket.name).await, sent);
    assert_eq!(south.history(&ticket.name).await.len(), 2);
    let error = south.respond(&ticket.name).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::PermissionDenied);
    let waiting = incoming(&mut south, "group/south").await.unwrap();
    assert_eq!((waiting.len(), &*waiting[0].handover_note), (1, "客户要求明天上午回电"));
    assert_eq!(
        incoming(&mut north, "group/south").await.unwrap_err().code(),
        tonic::Code::PermissionDenied
    );
    // The sender's org unit does not accept for the receiver.
    let error = north.handling.accept_transfer(accept(&ticket.name)).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::PermissionDenied);
    assert!(names(&mut south, "group/south").await.is_empty());
    world.pass_hours(1).await;
    let accepted = south.handling.accept_transfer(accept(&ticket.name)).await.unwrap().into_inner();
    assert_eq!((&*accepted.org_unit, &*accepted.receiver), ("group/south", "nan"));
    assert_eq!(accepted.received_by_team, "elevators");
    assert_eq!(
        (&accepted.number, &accepted.policy_version),
        (&ticket.number, &ticket.policy_version)
    );
    assert_eq!((accepted.transfer.is_none(), &accepted.clocks), (true, &ticket.clocks));
    assert_eq!(names(&mut south, "group/south").await, std::slice::from_ref(&ticket.name));
    assert!(names(&mut north, "group/north").await.is_empty());
    assert_eq!(
        north.tickets.get_ticket(get).await.unwrap_err().code(),
        tonic::Code::PermissionDenied
    );
    assert!(incoming(&mut south, "group/south").await.unwrap().is_empty());
    let request =
        pb::ListTicketMessagesRequest { parent: ticket.name.clone(), ..Default::default() };
    let told = south.tickets.list_ticket_messages(request).await.unwrap().into_inner().messages;
    assert_eq!(told[0].body, "您的投诉现由南区处理");
    // A breach after that is the south's, and its list has it.
    world.set_time("2026-03-03T03:00:00Z").await;
    let violations =
        world.desk("jing", "group/south", role::MANAGER).violations("group/south").await;
    assert_eq!(violations.len(), 1);
    let late = south.get(&ticket.name).await;
    assert_eq!(clock(&late, "first-response", 1).breach_time, at("2026-03-03T02:00:00Z"));
}

#[tokio::test]
async fn t11_a_transfer_comes_back_with_a_reason_or_is_withdrawn() {
    let Units { mut north, mut south, ticket, .. } = units().await;
    for _ in 0..2 {
        north.handling.transfer_ticket(transfer(&ticket.name, "group/south")).await.unwrap();
        let again = north.handling.transfer_ticket(transfer(&ticket.name, "group/south")).await;
        assert_eq!(lacking(&again.unwrap_err()), ["TRANSFER_ENDED"]);
        let mut request = give_back(&ticket.name);
        request.request_id = request_id(1);
        if north.get(&ticket.name).await.transfer.unwrap().number == 2 {
            request.request_id = request_id(2);
        }
        let returned = south.handling.return_transfer(request.clone()).await.unwrap().into_inner();
        // It may not see the ticket any more, and still learns that it gave it back.
        let retried = south.handling.return_transfer(request).await.unwrap().into_inner();
        assert_eq!(returned, retried);
        let error = south.handling.return_transfer(give_back(&ticket.name)).await.unwrap_err();
        assert_eq!(error.code(), tonic::Code::PermissionDenied);
    }
    north.handling.transfer_ticket(transfer(&ticket.name, "group/south")).await.unwrap();
    let withdraw = pb::WithdrawTransferRequest {
        name: ticket.name.clone(),
        reason: "转错了".into(),
        ..Default::default()
    };
    let error = south.handling.withdraw_transfer(withdraw.clone()).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::PermissionDenied);
    north.handling.withdraw_transfer(withdraw.clone()).await.unwrap();
    let error = north.handling.withdraw_transfer(withdraw).await.unwrap_err();
    assert_eq!(lacking(&error), ["PENDING_TRANSFER"]);
    let history = north.history(&ticket.name).await;
    assert!(history.last().unwrap().after_json.contains("转错了"));
}

#[tokio::test]
async fn t11_a_receiver_must_exist_and_be_another() {
    let Units { mut north, ticket, .. } = units().await;
    let error = north.handling.transfer_ticket(transfer(&ticket.name, "group/west")).await;
    assert_eq!(reason(&error.unwrap_err()), "ORG_UNIT_UNKNOWN");
    let same = pb::TransferTicketRequest {
        to_team: String::new(),
        ..transfer(&ticket.name, "group/north")
    };
    let error = north.handling.transfer_ticket(same).await.unwrap_err();
    assert_eq!(violations(&error), ["to_org_unit"]);
    let hostile = pb::TransferTicketRequest {
        to_team: "';--".into(),
        handover_note: String::new(),
        ..transfer(&ticket.name, "../etc")
    };
    let error = north.handling.transfer_ticket(hostile).await.unwrap_err();
    let mut fields = violations(&error);
    fields.sort();
    assert_eq!(fields, ["handover_note", "to_org_unit", "to_team"]);
    // To another team of the same org unit: somebody else there accepts.
    north.handling.transfer_ticket(transfer(&ticket.name, "")).await.unwrap();
    let own = north.handling.accept_transfer(accept(&ticket.name)).await.unwrap_err();
    assert_eq!(lacking(&own), ["OTHER_RECEIVER"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t11_of_accepting_returning_and_withdrawing_at_once_one_happens() {
    let Units { mut world, mut north, ticket, .. } = units().await;
    world.start_replica().await;
    for _ in 0..4 {
        north
            .handling
            .transfer_ticket(transfer(&ticket.name, "group/north/riverside"))
            .await
            .unwrap();
        let mut first = world.desk_at(0, "he", "group/north/riverside", role::HANDLER);
        let mut second = world.desk_at(1, "ma", "group/north/riverside", role::HANDLER);
        let mut third = world.desk_at(1, "bei", "group/north", role::HANDLER);
        let withdraw = pb::WithdrawTransferRequest {
            name: ticket.name.clone(),
            reason: "转错了".into(),
            ..Default::default()
        };
        let (accepted, returned, withdrawn) = tokio::join!(
            first.handling.accept_transfer(accept(&ticket.name)),
            second.handling.return_transfer(give_back(&ticket.name)),
            third.handling.withdraw_transfer(withdraw),
        );
        let happened = [accepted.is_ok(), returned.is_ok(), withdrawn.is_ok()];
        assert_eq!(happened.iter().filter(|happened| **happened).count(), 1, "{happened:?}");
        if accepted.is_ok() {
            first.handling.transfer_ticket(transfer(&ticket.name, "group/north")).await.unwrap();
            let mut other = world.desk("shi", "group/north", role::HANDLER);
            other.handling.accept_transfer(accept(&ticket.name)).await.unwrap();
        }
    }
    assert_eq!(world.count("SELECT count(*) FROM transfer WHERE state = 'pending'").await, 0);
}
