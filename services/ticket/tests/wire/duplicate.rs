//! T-04: likely duplicates are offered.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::Status;

use crate::pack::policy;
use crate::world::{Desk, World, complaint, contact, customer, violations};

async fn offered(
    desk: &mut Desk,
    request: pb::ListLikelyDuplicatesRequest,
) -> Result<Vec<pb::LikelyDuplicate>, Status> {
    Ok(desk.links.list_likely_duplicates(request).await?.into_inner().duplicates)
}

fn of(org_unit: &str, ticket: &str) -> pb::ListLikelyDuplicatesRequest {
    pb::ListLikelyDuplicatesRequest {
        org_unit: org_unit.into(),
        ticket: ticket.into(),
        draft: None,
    }
}

fn draft(org_unit: &str, draft: pb::DraftTicket) -> pb::ListLikelyDuplicatesRequest {
    pb::ListLikelyDuplicatesRequest {
        org_unit: org_unit.into(),
        draft: Some(draft),
        ..Default::default()
    }
}

#[tokio::test]
async fn t04_who_calls_again_in_other_words_is_found_before_it_is_registered() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let called = clerk.create(complaint("group/north", "三号楼二单元电梯坏了，没人来修")).await;
    clerk.create(complaint("group/north", "地下车库照明灯不亮")).await;
    let south = clerk.create(complaint("group/south", "三号楼二单元电梯坏了，没人来修")).await;
    world.settle().await;
    let again = pb::DraftTicket {
        subject: "三号樓二單元的电梯還是坏的，没人来修".into(),
        ..Default::default()
    };
    let found = offered(&mut clerk, draft("group/north", again.clone())).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    let likely = &found[0];
    assert_eq!((&likely.ticket, &likely.number), (&called.name, &called.number));
    assert_eq!(likely.reasons, [i32::from(pb::DuplicateReason::Text)]);
    assert!(likely.score >= 40 && likely.likeness_percent >= 40, "{likely:?}");
    let all = offered(&mut clerk, draft("group", again.clone())).await.unwrap();
    assert_eq!(all.len(), 2);
    // Registered, it is not its own duplicate, and neither is what was cancelled or merged.
    let mut manager = world.manager();
    let found = offered(&mut manager, of("group", &called.name)).await.unwrap();
    assert_eq!((found.len(), &found[0].ticket, found[0].score), (1, &south.name, 100));
    crate::merge::merge(&mut manager, &south.name, &called.name).await.unwrap();
    assert_eq!(offered(&mut manager, of("group", &called.name)).await.unwrap(), []);
    // The scope is the caller's.
    let mut north = world.desk("bei", "group/north", role::HANDLER);
    let denied = offered(&mut north, draft("group", again.clone())).await.unwrap_err();
    assert_eq!(denied.code(), tonic::Code::PermissionDenied);
    let denied = offered(&mut north, of("group/north", &south.name)).await.unwrap_err();
    assert_eq!(denied.code(), tonic::Code::PermissionDenied);
}

#[tokio::test]
async fn t04_the_policy_says_whether_the_same_customer_is_enough() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    world.customer(1).await;
    world.settle().await;
    let of_customer = |subject: &str| pb::Ticket {
        customer: customer(1),
        contact: contact(1),
        product: "A-7".into(),
        ..complaint("group/north", subject)
    };
    let first = clerk.create(of_customer("噪音扰民")).await;
    let again = pb::DraftTicket {
        customer: customer(1),
        contact: contact(1),
        subject: "漏水".into(),
        product: "A-7".into(),
        ..Default::default()
    };
    assert_eq!(offered(&mut clerk, draft("group", again.clone())).await.unwrap(), []);
    let links = pb::LinkRules { same_customer_is_enough: true, ..Default::default() };
    let rules = pb::TicketPolicy { links: Some(links), ..policy() };
    world.admin().apply("group", rules).await.unwrap();
    // Found at once, whether the search has it or not.
    let found = offered(&mut clerk, draft("group", again.clone())).await.unwrap();
    assert_eq!((found.len(), &found[0].ticket), (1, &first.name));
    let reasons: Vec<_> = found[0].reasons().collect();
    assert_eq!(
        reasons,
        [pb::DuplicateReason::Contact, pb::DuplicateReason::Customer, pb::DuplicateReason::Product]
    );
    world.pass_hours(31 * 24).await;
    assert_eq!(offered(&mut clerk, draft("group", again)).await.unwrap(), [], "another matter");
}

#[tokio::test]
async fn t04_a_question_that_says_nothing_names_every_wrong_field() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let error = offered(&mut clerk, pb::ListLikelyDuplicatesRequest::default()).await.unwrap_err();
    assert_eq!(violations(&error), ["org_unit", "ticket"]);
    let wrong = pb::DraftTicket {
        customer: "nobody".into(),
        subject: "漏".repeat(501),
        register_time: crate::world::at("2099-01-01T00:00:00Z"),
        ..Default::default()
    };
    let request =
        pb::ListLikelyDuplicatesRequest { ticket: "tickets/1".into(), ..draft("group", wrong) };
    let error = offered(&mut clerk, request).await.unwrap_err();
    assert_eq!(
        violations(&error),
        ["ticket", "draft.customer", "draft.subject", "draft.register_time"]
    );
    let silent = pb::DraftTicket { subject: " ！？".into(), ..Default::default() };
    let error = offered(&mut clerk, draft("group", silent)).await.unwrap_err();
    assert_eq!(violations(&error), ["draft.subject"]);
}
