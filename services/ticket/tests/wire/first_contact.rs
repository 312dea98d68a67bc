//! T-02: whoever was asked first stays answerable for pushing it to the end, whoever handles it.

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::handling_record::Content;
use kefu_identity::{Caller, role};
use tonic::{Code, Status};

use crate::handling::lacking;
use crate::world::{Desk, World, at, complaint, reason, request_id, violations};

/// A ticket that a clerk of the north took and the south has.
async fn gone(world: &World) -> (Desk, pb::Ticket) {
    world.org_unit("group/north").await;
    world.org_unit("group/south").await;
    world.settle().await;
    let mut owner = world.desk("mei", "group/north", role::CLERK);
    let ticket = owner.create(complaint("group/north", "电梯故障")).await;
    let send = pb::TransferTicketRequest {
        name: ticket.name.clone(),
        to_org_unit: "group/south".into(),
        handover_note: "客户要求明天上午回电".into(),
        ..Default::default()
    };
    let mut north = world.desk("bei", "group/north", role::HANDLER);
    north.handling.transfer_ticket(send).await.unwrap();
    let accept = pb::AcceptTransferRequest {
        name: ticket.name.clone(),
        message: "您的投诉现由南区处理".into(),
        ..Default::default()
    };
    let mut south = world.desk("nan", "group/south", role::HANDLER);
    let accepted = south.handling.accept_transfer(accept).await.unwrap().into_inner();
    (owner, accepted)
}

fn urge(name: &str) -> pb::UrgeTicketRequest {
    pb::UrgeTicketRequest {
        name: name.into(),
        text: "客户又来电，请尽快回复".into(),
        ..Default::default()
    }
}

fn code<T>(answer: Result<T, Status>) -> Code {
    answer.err().map_or(Code::Ok, |status| status.code())
}

#[tokio::test]
async fn t02_whoever_was_asked_first_reads_what_he_took_wherever_it_has_gone() {
    let world = World::new().await;
    let (mut owner, ticket) = gone(&world).await;
    assert_eq!((&*ticket.org_unit, &*ticket.first_contact_owner), ("group/south", "mei"));
    assert_eq!(owner.get(&ticket.name).await, ticket);
    assert_eq!(owner.history(&ticket.name).await.len(), 3);
    let messages =
        pb::ListTicketMessagesRequest { parent: ticket.name.clone(), ..Default::default() };
    let told = owner.tickets.list_ticket_messages(messages.clone()).await.unwrap().into_inner();
    assert_eq!(told.messages[0].body, "您的投诉现由南区处理");
    // Nobody else of the unit that had it, whatever he may do there, and not who has the owner's name and no role.
    let caller = Caller::staff("mei", "group/north".parse().unwrap(), [] as [&str; 0]);
    let token = world.minter.mint(&caller, jiff::SignedDuration::from_hours(1)).unwrap();
    let others = [
        world.desk("lan", "group/north", role::CLERK),
        world.desk("jing", "group/north", role::MANAGER),
        world.desk("mei", "group/north", role::AUDITOR),
        world.desk_with(format!("Bearer {token}").parse().unwrap()),
    ];
    for mut other in others {
        let get = pb::GetTicketRequest { name: ticket.name.clone() };
        assert_eq!(code(other.tickets.get_ticket(get).await), Code::PermissionDenied);
        let history =
            pb::ListTicketHistoryRequest { parent: ticket.name.clone(), ..Default::default() };
        let history = other.tickets.list_ticket_history(history).await;
        assert_eq!(code(history), Code::PermissionDenied);
        let messages = other.tickets.list_ticket_messages(messages.clone()).await;
        assert_eq!(code(messages), Code::PermissionDenied);
        let urged = other.handling.urge_ticket(urge(&ticket.name)).await;
        assert_eq!(code(urged), Code::PermissionDenied);
    }
    // And he reads and does nothing more.
    let mut owner = world.desk("mei", "group/north", role::MANAGER);
    assert_eq!(code(owner.respond(&ticket.name).await), Code::PermissionDenied);
    let records =
        pb::ListHandlingRecordsRequest { parent: ticket.name.clone(), ..Default::default() };
    let records = owner.handling.list_handling_records(records).await;
    assert_eq!(code(records), Code::PermissionDenied);
    let plan = pb::GetHandlingPlanRequest { name: ticket.name.clone() };
    let plan = owner.handling.get_handling_plan(plan).await;
    assert_eq!(code(plan), Code::PermissionDenied);
    let list = pb::ListTicketsRequest { org_unit: "group/south".into(), ..Default::default() };
    assert_eq!(code(owner.tickets.list_tickets(list).await), Code::PermissionDenied);
}

#[tokio::test]
async fn t02_whoever_was_asked_first_urges_until_it_ends() {
    let world = World::new().await;
    let (mut owner, ticket) = gone(&world).await;
    let request = pb::UrgeTicketRequest { request_id: request_id(1), ..urge(&ticket.name) };
    let first = owner.handling.urge_ticket(request.clone()).await.unwrap().into_inner();
    let again = owner.handling.urge_ticket(request).await.unwrap().into_inner();
    assert_eq!(first, again, "asked again, urged once");
    let stale = pb::UrgeTicketRequest { etag: ticket.etag.clone(), ..urge(&ticket.name) };
    let error = owner.handling.urge_ticket(stale).await.unwrap_err();
    assert_eq!(reason(&error), "ETAG_STALE");
    owner.handling.urge_ticket(urge(&ticket.name)).await.unwrap();
    // By when it is answered is for headquarters to say.
    let dated =
        pb::UrgeTicketRequest { answer_due_time: at("2099-01-01T00:00:00Z"), ..urge(&ticket.name) };
    let error = owner.handling.urge_ticket(dated).await.unwrap_err();
    assert_eq!(violations(&error), ["answer_due_time"]);
    let mut south = world.desk("nan", "group/south", role::HANDLER);
    let records =
        pb::ListHandlingRecordsRequest { parent: ticket.name.clone(), ..Default::default() };
    let records = south.handling.list_handling_records(records).await.unwrap().into_inner().records;
    let urged: Vec<_> = records
        .into_iter()
        .filter_map(|record| match record.content {
            Some(Content::SupervisionNote(note)) => {
                Some((record.recorded_by, note.kind(), note.supervision, note.urging))
            }
            _ => None,
        })
        .collect();
    let urging = |number| ("mei".to_owned(), pb::SupervisionNoteKind::Urging, 0, number);
    assert_eq!(urged, [urging(1), urging(2)]);
    let told = "SELECT count(*) FROM journal WHERE event_type = 'kefu.ticket.v1.TicketUrged' AND actor = 'mei'";
    assert_eq!(world.count(told).await, 2);
    // Another clerk of the unit where it is does not urge, and headquarters still only about what it supervises.
    let mut clerk = world.desk("hua", "group/south", role::CLERK);
    let urged = clerk.handling.urge_ticket(urge(&ticket.name)).await;
    assert_eq!(code(urged), Code::PermissionDenied);
    let mut hq = world.desk("hq", "group", role::HEADQUARTERS);
    let error = hq.handling.urge_ticket(urge(&ticket.name)).await.unwrap_err();
    assert_eq!(lacking(&error), ["SUPERVISION"]);
    let mut south = world.desk("jing", "group/south", role::MANAGER);
    let cancel = pb::CancelTicketRequest {
        name: ticket.name.clone(),
        reason: "客户撤诉".into(),
        ..Default::default()
    };
    south.tickets.cancel_ticket(cancel).await.unwrap();
    let error = owner.handling.urge_ticket(urge(&ticket.name)).await.unwrap_err();
    assert_eq!(lacking(&error), ["NOT_ENDED"]);
}
