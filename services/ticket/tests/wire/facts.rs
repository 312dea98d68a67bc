//! T-01, T-20, T-23: which product, order and shop a ticket concerns.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use prost_types::FieldMask;

use crate::world::{Desk, World, complaint, violations};

const ORDER: &str = "采购合同 HT-2026/017";
const SHOP: &str = "解放路店（S-017）";

fn about(product: &str, order: &str, shop: &str) -> pb::Ticket {
    pb::Ticket {
        product: product.into(),
        order_reference: order.into(),
        shop: shop.into(),
        ..complaint("group/north", &format!("甲{product}{order}{shop}"))
    }
}

async fn listed(desk: &mut Desk, filter: &str) -> Vec<String> {
    let request = pb::ListTicketsRequest {
        org_unit: "group".into(),
        filter: filter.into(),
        ..Default::default()
    };
    let tickets = desk.tickets.list_tickets(request).await.unwrap().into_inner().tickets;
    let mut found: Vec<_> = tickets.into_iter().map(|ticket| ticket.subject).collect();
    found.sort();
    found
}

async fn queued(desk: &mut Desk, filter: &str) -> Vec<String> {
    let request = pb::ListQueueRequest {
        org_unit: "group".into(),
        filter: filter.into(),
        ..Default::default()
    };
    let entries = desk.queues.list_queue(request).await.unwrap().into_inner().entries;
    let mut found: Vec<_> = entries.into_iter().map(|e| e.ticket.unwrap().subject).collect();
    found.sort();
    found
}

async fn hits(desk: &mut Desk, query: &str) -> usize {
    let request = pb::SearchTicketsRequest {
        org_unit: "group".into(),
        query: query.into(),
        ..Default::default()
    };
    desk.queues.search_tickets(request).await.unwrap().into_inner().tickets.len()
}

#[tokio::test]
async fn t01_a_ticket_says_which_product_order_and_shop_it_concerns() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let ticket = clerk.create(about("水泵", ORDER, SHOP)).await;
    assert_eq!((&*ticket.product, &*ticket.order_reference, &*ticket.shop), ("水泵", ORDER, SHOP));
    assert_eq!(clerk.get(&ticket.name).await, ticket, "what was answered is what is there");
    let bare = clerk.create(complaint("group/north", "漏水")).await;
    assert_eq!((&*bare.order_reference, &*bare.shop), ("", ""));

    let mut handler = world.desk("wang", "group", role::HANDLER);
    let update = |shop: &str, order: &str, paths: &[&str]| pb::UpdateTicketRequest {
        ticket: Some(pb::Ticket {
            name: ticket.name.clone(),
            shop: shop.into(),
            order_reference: order.into(),
            ..Default::default()
        }),
        update_mask: Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() }),
        ..Default::default()
    };
    let moved = handler.tickets.update_ticket(update("人民路店", "", &[])).await.unwrap();
    assert_eq!((&*moved.get_ref().shop, &*moved.get_ref().order_reference), ("人民路店", ORDER));
    let cleared = handler.tickets.update_ticket(update("", "", &["order_reference"])).await;
    assert_eq!(cleared.unwrap().into_inner().order_reference, "");
    let history = handler.history(&ticket.name).await;
    let [_, first, second] = &history[..] else { panic!("{history:?}") };
    assert_eq!(first.before_json, format!("{{\"shop\":\"{SHOP}\"}}"));
    assert_eq!(first.after_json, "{\"shop\":\"人民路店\"}");
    assert_eq!(second.before_json, format!("{{\"order_reference\":\"{ORDER}\"}}"));

    let long = "长".repeat(201);
    let error = clerk.try_create(about("水泵", &long, &long), String::new()).await.unwrap_err();
    let mut found = violations(&error);
    found.sort();
    assert_eq!(found, ["ticket.order_reference", "ticket.shop"]);
}

#[tokio::test]
async fn t23_orders_and_shops_are_filtered_and_found() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    for (product, order, shop) in
        [("泵", ORDER, ""), ("泵", "", SHOP), ("", "HT-9", SHOP), ("", "", "")]
    {
        clerk.create(about(product, order, shop)).await;
    }
    world.settle().await;
    let all = |found: &[&str]| {
        let mut found: Vec<_> = found.iter().map(ToString::to_string).collect();
        found.sort();
        found
    };
    let [first, second, third] =
        [format!("甲泵{ORDER}"), format!("甲泵{SHOP}"), format!("甲HT-9{SHOP}")];
    for (filter, expected) in [
        (format!("shop = \"{SHOP}\""), all(&[&second, &third])),
        (format!("shop != \"{SHOP}\" AND order_reference:*"), all(&[&first])),
        ("NOT shop:*".to_owned(), all(&["甲", &first])),
        (format!("order_reference = \"{ORDER}\""), all(&[&first])),
        ("order_reference = \"HT-*\" product != \"泵\"".to_owned(), all(&[&third])),
        (format!("product = \"泵\" shop = \"{SHOP}\""), all(&[&second])),
    ] {
        assert_eq!(
            listed(&mut clerk, &filter).await,
            queued(&mut clerk, &filter).await,
            "{filter}"
        );
        assert_eq!(listed(&mut clerk, &filter).await, expected, "{filter}");
    }
    assert_eq!(hits(&mut clerk, "解放路").await, 2);
    assert_eq!(hits(&mut clerk, "采购合同").await, 1);
}

#[tokio::test]
async fn t20_a_report_tells_shops_apart_from_products() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    for shop in ["解放路店", "人民路店", "解放路店", "", "S-3"] {
        clerk.create(about("解放路店", "", shop)).await;
    }
    let request =
        pb::GetComplaintReportRequest { org_unit: "group".into(), top: 2, ..Default::default() };
    let report = clerk.reports.get_complaint_report(request).await.unwrap().into_inner();
    let told = |pareto: Option<pb::Pareto>| {
        let pareto = pareto.unwrap();
        let entries = pareto.entries.into_iter().map(|entry| (entry.label, entry.count));
        (entries.collect::<Vec<_>>(), pareto.others, pareto.total)
    };
    let entries = |found: &[(&str, i64)]| -> Vec<(String, i64)> {
        found.iter().map(|(label, count)| ((*label).to_owned(), *count)).collect()
    };
    assert_eq!(told(report.shops), (entries(&[("解放路店", 2), ("", 1)]), 2, 5));
    assert_eq!(told(report.products), (entries(&[("解放路店", 5)]), 0, 5));
}
