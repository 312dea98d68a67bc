//! bad input, foreign org units.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic_types::StatusExt as _;

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

/// For whoever prefers it.
pub fn in_chinese<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("accept-language", "zh-CN,zh;q=0.9".parse().unwrap());
    request
}

pub fn said(error: &tonic::Status) -> String {
    let localized = error.get_details_localized_message().unwrap();
    assert_eq!(localized.locale, "zh-CN");
    localized.message
}

#[tokio::test]
async fn x09_refusals_are_said_in_chinese_to_whoever_reads_that() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    let (mut manager, name) = (world.manager(), ticket.name.clone());
    // Everything that is missing.
    let feed_back = pb::FeedBackTicketRequest {
        name: name.clone(),
        message: "已修好".into(),
        ..Default::default()
    };
    let error = manager.tickets.feed_back_ticket(in_chinese(feed_back.clone())).await.unwrap_err();
    assert_eq!(said(&error), "须先登记处理方案");
    let english = error.get_details_precondition_failure().unwrap().violations;
    assert_eq!(english[0].description, "a solution must be on record first", "for developers");
    // Whoever does not ask for it gets no more than before.
    let error = manager.tickets.feed_back_ticket(feed_back).await.unwrap_err();
    assert!(error.get_details_localized_message().is_none());
    // Whose it is.
    manager.handle(&name).await;
    let own = pb::RecordVerdictRequest { name: name.clone(), value: 1, ..Default::default() };
    let error = manager.tickets.record_verdict(in_chinese(own)).await.unwrap_err();
    assert_eq!(reason(&error), "SEPARATION_OF_DUTIES");
    assert!(said(&error).contains("经办人"), "{}", said(&error));
    // What the smaller nouns need.
    let unlink = pb::UnlinkTicketRequest {
        name: name.clone(),
        reason: "另有原因".into(),
        ..Default::default()
    };
    let error = manager.links.unlink_ticket(in_chinese(unlink)).await.unwrap_err();
    assert_eq!(said(&error), "工单没有上级工单");
    // What only the ticket shows to be wrong, field by field.
    let verdict = pb::RecordVerdictRequest { name: name.clone(), value: 9, ..Default::default() };
    let error = world.quality().tickets.record_verdict(in_chinese(verdict)).await.unwrap_err();
    let wrong = error.get_details_bad_request().unwrap().field_violations;
    assert_eq!(wrong[0].field, "value");
    // And what every call can be refused for.
    let nowhere = pb::GetTicketRequest { name: format!("tickets/{}", uuid::Uuid::from_u128(7)) };
    let error = manager.tickets.get_ticket(in_chinese(nowhere)).await.unwrap_err();
    assert_eq!(
        (reason(&error), said(&error)),
        ("RESOURCE_NOT_FOUND".into(), "未找到所指的资源".into())
    );
    let stale = pb::AddTicketNoteRequest {
        name: name.clone(),
        note: "备注".into(),
        etag: ticket.etag,
        ..Default::default()
    };
    let error = manager.tickets.add_ticket_note(in_chinese(stale)).await.unwrap_err();
    assert_eq!(said(&error), "内容已被他人更改，请重新读取");
    assert_eq!(metadata(&error, "current_etag"), manager.get(&name).await.etag);
    let mut south = world.desk("nan", "group/south", role::HANDLER);
    let denied = pb::GetTicketRequest { name };
    let error = south.tickets.get_ticket(in_chinese(denied)).await.unwrap_err();
    assert!(said(&error).contains("权限"), "{}", said(&error));
}
