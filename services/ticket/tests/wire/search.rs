//! T-23, X-09: full-text search.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;

use crate::world::{Desk, World, complaint, violations};

fn of(query: &str) -> pb::SearchTicketsRequest {
    pb::SearchTicketsRequest { org_unit: "group".into(), query: query.into(), ..Default::default() }
}

async fn found(desk: &mut Desk, query: &str) -> Vec<String> {
    let answer = desk.queues.search_tickets(of(query)).await.unwrap().into_inner();
    answer.tickets.into_iter().map(|ticket| ticket.subject).collect()
}

#[tokio::test]
async fn x09_chinese_and_other_words_are_found_in_all_that_was_written() {
    let world = World::new().await;
    let (mut clerk, mut manager) = (world.clerk(), world.manager());
    let ticket = pb::Ticket {
        description: "下雨天客厅天花板漏水，物业三天没有人来。".into(),
        product: "ＡＢＣ－９００ 水泵".into(),
        tags: vec!["媒体关注".into()],
        ..complaint("group/north", "甲栋报修")
    };
    let first = clerk.create(ticket).await;
    clerk.create(complaint("group/south", "噪音 noise at night")).await;
    manager.respond(&first.name).await.unwrap();
    let note = pb::AddTicketNoteRequest {
        name: first.name.clone(),
        note: "业主曾向报社投诉".into(),
        ..Default::default()
    };
    manager.tickets.add_ticket_note(note).await.unwrap();
    manager.resolve(&first.name).await.unwrap();
    world.settle().await;
    let solution = manager.tickets.get_ticket(pb::GetTicketRequest { name: first.name.clone() });
    let solution = solution.await.unwrap().into_inner().solution;
    for query in [
        "漏水",
        "天花板",
        "甲栋",
        "abc-900",
        "媒体",
        "报社",
        "報社 漏水",
        first.number.as_str(),
        &solution,
    ] {
        assert_eq!(found(&mut clerk, query).await, ["甲栋报修"], "{query}");
    }
    assert_eq!(found(&mut clerk, "NOISE").await, ["噪音 noise at night"]);
    for query in ["水漏", "nois", "漏水 noise", "花板客厅"] {
        assert!(found(&mut clerk, query).await.is_empty(), "{query}");
    }
    // What was said is found as soon as it is on record, and what was corrected no longer.
    let changed =
        pb::Ticket { name: first.name, subject: "乙栋报修".into(), ..Default::default() };
    let update = pb::UpdateTicketRequest { ticket: Some(changed), ..Default::default() };
    clerk_update(&mut manager, update).await;
    world.settle().await;
    assert!(found(&mut clerk, "甲栋").await.is_empty());
    assert_eq!(found(&mut clerk, "乙栋 漏水").await, ["乙栋报修"]);
    assert_eq!(world.count("SELECT count(*) FROM search_document").await, 2);
}

async fn clerk_update(desk: &mut Desk, update: pb::UpdateTicketRequest) {
    desk.tickets.update_ticket(update).await.unwrap();
}

#[tokio::test]
async fn x07_a_search_is_of_the_callers_org_unit_and_for_people() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    for unit in ["group/north", "group/north/riverside", "group/south"] {
        clerk.create(complaint(unit, &format!("漏水 {unit}"))).await;
    }
    world.settle().await;
    let mut north = world.desk("li", "group/north", role::CLERK);
    let request = pb::SearchTicketsRequest { org_unit: "group/north".into(), ..of("漏水") };
    let answer = north.queues.search_tickets(request).await.unwrap().into_inner();
    assert_eq!(answer.tickets.len(), 2);
    assert!(answer.tickets.iter().all(|ticket| ticket.org_unit.starts_with("group/north")));
    let error = north.queues.search_tickets(of("漏水")).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::PermissionDenied);
    // Notes are among what is found, so no other context may ask.
    let mut service = world.desk("service/survey", "group", role::SERVICE);
    let error = service.queues.search_tickets(of("漏水")).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::PermissionDenied);
}

#[tokio::test]
async fn t23_pages_of_hits_are_newest_first_and_stable_while_rows_change() {
    let world = World::new().await;
    let (mut clerk, mut manager) = (world.clerk(), world.manager());
    let mut names = Vec::new();
    for index in 0..7 {
        names.push(clerk.create(complaint("group/north", &format!("漏水 {index}"))).await.name);
        world.settle().await;
    }
    let mut request = pb::SearchTicketsRequest { page_size: 3, ..of("漏水") };
    let mut hits = Vec::new();
    for _ in 0..10 {
        let answer = clerk.queues.search_tickets(request.clone()).await.unwrap().into_inner();
        hits.extend(answer.tickets.into_iter().map(|ticket| ticket.subject));
        if answer.next_page_token.is_empty() {
            break;
        }
        request.page_token = answer.next_page_token;
        // New ones come, old ones change.
        clerk.create(complaint("group/north", "漏水 新")).await;
        manager.respond(&names[5]).await.unwrap();
        world.settle().await;
    }
    let expected: Vec<_> = (0..7).rev().map(|index| format!("漏水 {index}")).collect();
    assert_eq!(hits, expected);
}

/// As if many others had come between the documents: to other blocks of each size.
async fn move_documents<const N: usize>(world: &World, places: [(i64, i64); N]) {
    for (place, at) in places {
        sqlx::query(
            "UPDATE search_document SET place = $2, tokens =
                 ARRAY(SELECT token FROM unnest(tokens) AS token WHERE token >= 0) || ARRAY[
                     (-1 - ($2 >> 11))::integer, (-268435456 - ($2 >> 14))::integer,
                     (-536870912 - ($2 >> 17))::integer]
             WHERE place = $1",
        )
        .bind(place)
        .bind(at)
        .execute(&world.pool)
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn t23_a_word_that_the_index_is_not_asked_for_must_still_be_there_as_a_whole() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    for subject in ["漏水，电梯故障，7 号楼", "漏水，电梯故障，77 号楼", "7 号", "7 号", "7 号"]
    {
        clerk.create(complaint("group/north", subject)).await;
    }
    world.settle().await;
    // Far behind the newest, most of which have the 7 but nothing else that is looked for.
    move_documents(&world, [(4, 900_002), (3, 900_001), (2, 900_000)]).await;
    assert_eq!(found(&mut clerk, "漏水 电梯故障 7").await, ["漏水，电梯故障，7 号楼"]);
    assert_eq!(found(&mut clerk, "漏水 电梯故障 77").await, ["漏水，电梯故障，77 号楼"]);
}

#[tokio::test]
async fn t23_hits_are_found_through_all_blocks_of_places() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    for index in 0..4 {
        clerk.create(complaint("group/north", &format!("漏水 {index}"))).await;
    }
    world.settle().await;
    move_documents(&world, [(0, 0), (1, 3_000), (2, 40_000), (3, 900_000)]).await;
    assert_eq!(found(&mut clerk, "漏水").await, ["漏水 3", "漏水 2", "漏水 1", "漏水 0"]);
    let mut request = pb::SearchTicketsRequest { page_size: 1, ..of("漏水") };
    for expected in ["漏水 3", "漏水 2", "漏水 1", "漏水 0"] {
        let answer = clerk.queues.search_tickets(request.clone()).await.unwrap().into_inner();
        assert_eq!(answer.tickets[0].subject, expected);
        request.page_token = answer.next_page_token;
    }
    assert_eq!(request.page_token, "");
    // The next one goes on after the last.
    clerk.create(complaint("group/north", "漏水 4")).await;
    world.settle().await;
    assert_eq!(world.count("SELECT max(place) FROM search_document").await, 900_001);
    assert_eq!(found(&mut clerk, "漏水 4").await, ["漏水 4"]);
}

#[tokio::test]
async fn x06_what_is_looked_for_must_be_something_and_not_too_much() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    for query in ["", "，。！", "a b c d e f g h i j k", &"漏".repeat(201), "漏\u{0}水"] {
        let request = pb::SearchTicketsRequest { org_unit: "!".into(), ..of(query) };
        let error = clerk.queues.search_tickets(request).await.unwrap_err();
        let mut fields = violations(&error);
        fields.sort();
        assert_eq!(fields, ["org_unit", "query"], "{query}");
    }
    for query in ["%", "'; DROP TABLE ticket; --", "漏水%_\\"] {
        let answer = clerk.queues.search_tickets(of(query)).await;
        assert!(answer.is_ok() || query == "%", "{query}");
    }
}
