//! Tokens that are no good (G-10).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use kefu::home::Home;
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::ticket_service_client::TicketServiceClient;
use kefu_clock::ManualClock;
use kefu_identity::{Caller, role};
use serde_json::json;
use std::sync::Arc;
use tonic::Code;

use crate::company::{LAKESIDE, RIVERSIDE, complaint, registration};
use crate::world::{Refusal, Way, World, bearing, metadata, refused, request_id, with_header};

fn part(value: &serde_json::Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// The same token with another payload, or under another header, its signature left as it was.
fn forged(
    token: &str,
    header: Option<serde_json::Value>,
    payload: Option<serde_json::Value>,
) -> String {
    let mut parts: Vec<String> = token.split('.').map(ToOwned::to_owned).collect();
    if let Some(header) = header {
        parts[0] = part(&header);
    }
    if let Some(payload) = payload {
        parts[1] = part(&payload);
    }
    parts.join(".")
}

#[tokio::test]
async fn g10_a_token_that_is_no_good_is_refused_at_the_door_and_changes_nothing() {
    let world = World::start(Way::Processes).await;
    let good = world.mesh.token(role::CLERK, "group");
    let claims: Vec<_> = good.split('.').collect();
    let payload = URL_SAFE_NO_PAD.decode(claims[1]).unwrap();
    let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    let with = |name: &str, value: serde_json::Value| {
        let mut changed = payload.clone();
        changed[name] = value;
        changed
    };
    // Made with a key that nobody here knows, for the same issuer and audience.
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(world.mesh.clock().now());
    let stranger = Home::open(folder.path()).unwrap().minter(Arc::new(clock)).unwrap();
    let clerk = Caller::staff(role::CLERK, "group".parse().unwrap(), [role::CLERK]);
    let strangers = stranger.mint(&clerk, SignedDuration::from_hours(1)).unwrap();
    let none = forged(&good, Some(json!({"alg": "none", "typ": "JWT"})), None);
    let unsigned = format!("{}.", none.rsplit_once('.').unwrap().0);
    let invalid = [
        strangers,
        none,
        unsigned,
        forged(&good, Some(json!({"alg": "HS256", "typ": "JWT"})), None),
        forged(&good, None, Some(with("roles", json!([role::ADMIN, role::MANAGER])))),
        forged(&good, None, Some(with("org_unit", json!("group/south")))),
        good[..good.len() - 4].to_owned(),
        "rubbish".to_owned(),
        "a.b.c".to_owned(),
    ];
    let before = world.on_record().await;
    let mut tickets = TicketServiceClient::new(world.nobody());
    let request = || registration(complaint(RIVERSIDE, "漏水"), request_id(1));
    for token in invalid {
        let answer = tickets.create_ticket(bearing(&token, request())).await;
        let expected = Refusal::new(Code::Unauthenticated, "TOKEN_INVALID", &[]);
        assert_eq!(refused(answer), expected, "{token}");
    }
    let basic = with_header(request(), "authorization", "Basic Y2xlcms6Y2xlcms=");
    assert_eq!(tickets.create_ticket(basic).await.unwrap_err().code(), Code::Unauthenticated);
    let answer = tickets.create_ticket(request()).await;
    assert_eq!(refused(answer), Refusal::new(Code::Unauthenticated, "TOKEN_MISSING", &[]));

    let short = world.mesh.token_for("li", "group", [role::CLERK], SignedDuration::from_hours(1));
    tickets.list_tickets(bearing(&short, list("group"))).await.unwrap();
    world.mesh.clock().advance(SignedDuration::from_hours(2)).await.unwrap();
    let answer = tickets.create_ticket(bearing(&short, request())).await;
    assert_eq!(refused(answer), Refusal::new(Code::Unauthenticated, "TOKEN_EXPIRED", &[]));
    assert_eq!(world.on_record().await, before);
    tickets.create_ticket(bearing(&good, request())).await.unwrap();
}

fn list(org_unit: &str) -> pb::ListTicketsRequest {
    pb::ListTicketsRequest { org_unit: org_unit.into(), ..Default::default() }
}

#[tokio::test]
async fn x07_a_token_of_another_org_unit_opens_nothing_here() {
    let world = World::start(Way::OneProcess).await;
    let here = world.client_at(role::CLERK, RIVERSIDE);
    let request = registration(complaint(RIVERSIDE, "漏水"), String::new());
    let ticket = here.tickets().create_ticket(request).await.unwrap().into_inner();
    let before = world.on_record().await;
    // A neighbour, the unit above another one, and one whose name begins alike.
    for home in [LAKESIDE, "group/south", "group/north/river", "grou"] {
        let mut there = world.client_at(role::MANAGER, home).tickets();
        let request = registration(complaint(RIVERSIDE, "漏水"), request_id(5));
        let status = there.create_ticket(request).await.unwrap_err();
        let expected = Refusal::new(Code::PermissionDenied, "PERMISSION_DENIED", &[]);
        assert_eq!(Refusal::of(&status), expected, "{home}");
        assert_eq!(metadata(&status, "action"), "ticket.CreateTicket");
        assert_eq!(metadata(&status, "org_unit"), RIVERSIDE);
        let request = pb::RespondTicketRequest {
            name: ticket.name.clone(),
            message: "不归我管".into(),
            ..Default::default()
        };
        assert_eq!(refused(there.respond_ticket(request).await), expected);
        assert_eq!(refused(there.list_tickets(list("group")).await), expected);
    }
    assert_eq!(world.on_record().await, before);
    let all = world.clerk().tickets().list_tickets(list("group")).await.unwrap().into_inner();
    assert_eq!(all.tickets, [ticket]);
}
