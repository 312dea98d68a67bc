//! bad input, foreign org units.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;

use crate::world::{World, at, complaint, metadata, reason, violations};

#[tokio::test]
async fn x06_every_wrong_field_of_a_registration_is_named_at_once() {
    let world = World::new().await;
    let ticket = pb::Ticket {
        org_unit: "Group North".into(),
        kind: 99,
        channel: 0,
        customer: "customers/nobody".into(),
        subject: "长".repeat(1 << 20),
        description: "铃\u{7}响".into(),
        severity: 4,
        occur_time: at("2026-03-02T03:00:00Z"),
        tags: vec!["好".into(), String::new()],
        ..pb::Ticket::default()
    };
    let error = world.clerk().try_create(ticket, "not-a-uuid".into()).await.unwrap_err();
    assert_eq!(reason(&error), "FIELDS_INVALID");
    let mut found = violations(&error);
    found.sort();
    let expected = [
        "request_id",
        "ticket.channel",
        "ticket.customer",
        "ticket.description",
        "ticket.kind",
        "ticket.occur_time",
        "ticket.org_unit",
        "ticket.severity",
        "ticket.subject",
        "ticket.tags[1]",
    ];
    assert_eq!(found, expected);
    assert_eq!(world.count("SELECT count(*) FROM ticket").await, 0);
}

/// Not whether there is such a ticket, nor what is wrong with the request.
#[tokio::test]
async fn g10_without_a_token_nothing_is_told() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    let transport = world.transport(0);
    let mut tickets = pb::ticket_service_client::TicketServiceClient::new(transport.clone());
    let mut policies = pb::ticket_policy_service_client::TicketPolicyServiceClient::new(transport);
    for name in [ticket.name, format!("tickets/{}", uuid::Uuid::from_u128(1)), "x".into()] {
        let answer = tickets.get_ticket(pb::GetTicketRequest { name: name.clone() }).await;
        assert_eq!(reason(&answer.unwrap_err()), "TOKEN_MISSING", "{name}");
        let request = pb::ResolveTicketRequest { name: name.clone(), ..Default::default() };
        let answer = tickets.resolve_ticket(request).await;
        assert_eq!(reason(&answer.unwrap_err()), "TOKEN_MISSING", "{name}");
    }
    let answer = policies.apply_ticket_policy(pb::ApplyTicketPolicyRequest::default()).await;
    assert_eq!(reason(&answer.unwrap_err()), "TOKEN_MISSING");
}

#[tokio::test]
async fn x06_an_empty_request_and_wrong_names_are_answered() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let error = clerk.tickets.create_ticket(pb::CreateTicketRequest::default()).await.unwrap_err();
    assert_eq!(violations(&error), ["ticket"]);
    let error = clerk.tickets.get_ticket(pb::GetTicketRequest { name: "ticket/1".into() }).await;
    assert_eq!(violations(&error.unwrap_err()), ["name"]);
    let name = format!("tickets/{}", uuid::Uuid::from_u128(1));
    let error = clerk.tickets.get_ticket(pb::GetTicketRequest { name }).await.unwrap_err();
    assert_eq!(
        (error.code(), reason(&error).as_str()),
        (tonic::Code::NotFound, "RESOURCE_NOT_FOUND")
    );
    let error = world.manager().respond("tickets/x").await.unwrap_err();
    assert_eq!(violations(&error), ["name"]);
}

#[tokio::test]
async fn x06_an_answer_from_the_future_or_before_the_registration_is_a_wrong_field() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    for time in ["2026-03-02T02:06:00Z", "2026-03-02T01:59:00Z"] {
        let request = pb::RespondTicketRequest {
            name: ticket.name.clone(),
            message: "好的".into(),
            send_time: at(time),
            ..Default::default()
        };
        let error = world.manager().tickets.respond_ticket(request).await.unwrap_err();
        assert_eq!(violations(&error), ["send_time"], "{time}");
    }
}

#[tokio::test]
async fn x07_scope_holds_for_every_call() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    let mut south = world.desk("li", "group/south", role::MANAGER);
    let error =
        south.try_create(complaint("group/north", "漏水"), String::new()).await.unwrap_err();
    assert_eq!(
        (error.code(), reason(&error).as_str()),
        (tonic::Code::PermissionDenied, "PERMISSION_DENIED")
    );
    assert_eq!(metadata(&error, "action"), "ticket.CreateTicket");
    assert_eq!(metadata(&error, "org_unit"), "group/north");
    let name = ticket.name.clone();
    let denied = [
        south.tickets.get_ticket(pb::GetTicketRequest { name: name.clone() }).await.err(),
        south.respond(&name).await.err(),
        south.resolve(&name).await.err(),
        south.verdict(&name, 1).await.err(),
        south
            .tickets
            .list_tickets(pb::ListTicketsRequest { org_unit: "group".into(), ..Default::default() })
            .await
            .err(),
        south
            .tickets
            .list_violations(pb::ListViolationsRequest {
                org_unit: "group".into(),
                ..Default::default()
            })
            .await
            .err(),
        south
            .tickets
            .explain_deadline(pb::ExplainDeadlineRequest { name: name.clone() })
            .await
            .err(),
        south
            .tickets
            .list_ticket_history(pb::ListTicketHistoryRequest {
                parent: name,
                ..Default::default()
            })
            .await
            .err(),
        south
            .tickets
            .watch_tickets(pb::WatchTicketsRequest {
                org_unit: "group".into(),
                ..Default::default()
            })
            .await
            .err(),
        south
            .reports
            .get_complaint_report(pb::GetComplaintReportRequest {
                org_unit: "group".into(),
                ..Default::default()
            })
            .await
            .err(),
        south.apply("group/south", crate::pack::policy()).await.err(),
    ];
    for (index, error) in denied.into_iter().enumerate() {
        assert_eq!(error.map(|e| e.code()), Some(tonic::Code::PermissionDenied), "call {index}");
    }
    assert_eq!(world.clerk().get(&ticket.name).await, ticket);
}
