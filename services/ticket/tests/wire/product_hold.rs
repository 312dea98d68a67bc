//! T-18: product holds, by quality and by the policy.

use jiff::SignedDuration;
use kefu_api::ticket::v1 as pb;
use kefu_clock::Clock as _;
use kefu_identity::role;
use prost::Message as _;
use tonic::{Code, Response, Status};

use crate::pack::policy;
use crate::world::{Desk, World, complaint, reason, violations};

fn hold(org_unit: &str, product: &str) -> pb::PlaceProductHoldRequest {
    let product_hold = Some(pb::ProductHold {
        org_unit: org_unit.into(),
        product: product.into(),
        reason: "密封圈不合格".into(),
        ..Default::default()
    });
    pb::PlaceProductHoldRequest { product_hold, ..Default::default() }
}

impl Desk {
    async fn hold(&mut self, org_unit: &str, product: &str) -> Result<pb::ProductHold, Status> {
        self.actions.place_product_hold(hold(org_unit, product)).await.map(Response::into_inner)
    }

    async fn lift(&mut self, name: &str) -> Result<pb::ProductHold, Status> {
        let request = pb::LiftProductHoldRequest {
            name: name.into(),
            reason: "复检合格".into(),
            ..Default::default()
        };
        self.actions.lift_product_hold(request).await.map(Response::into_inner)
    }

    async fn holds(&mut self, org_unit: &str, include_lifted: bool) -> Vec<pb::ProductHold> {
        let request = pb::ListProductHoldsRequest {
            org_unit: org_unit.into(),
            include_lifted,
            ..Default::default()
        };
        self.actions.list_product_holds(request).await.unwrap().into_inner().product_holds
    }
}

/// A complaint about a product's quality.
fn faulty(product: &str) -> pb::Ticket {
    pb::Ticket {
        category: "产品质量".into(),
        product: product.into(),
        ..complaint("group/north", "漏水")
    }
}

async fn careful() -> World {
    let world = World::new().await;
    let mut careful = policy();
    careful.learning = Some(pb::LearningRules {
        product_hold_categories: vec!["产品质量".into()],
        ..Default::default()
    });
    world.admin().apply("group", careful).await.unwrap();
    world
}

#[tokio::test]
async fn t18_a_category_holds_with_all_that_stands_below_it_and_not_with_its_neighbours() {
    let world = careful().await;
    for (category, holds) in [("产品质量/密封", 1), ("产品质量问题", 1), ("产品", 1)]
    {
        let ticket = pb::Ticket {
            category: category.into(),
            product: "电梯 K7".into(),
            ..complaint("group/north", "漏水")
        };
        world.clerk().create(ticket).await;
        assert_eq!(world.count("SELECT count(*) FROM product_hold").await, holds, "{category}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t18_of_holds_on_one_product_at_once_one_is_placed() {
    let mut world = World::new().await;
    world.start_replica().await;
    let calls: Vec<_> = (0..8_usize)
        .map(|index| {
            let mut desk = world.desk_at(index % 2, "quality", "group", role::QUALITY);
            // However it is written: full width, capitals.
            let product = if index % 3 == 0 { "电梯 K7" } else { "电梯 ｋ７" };
            tokio::spawn(async move { desk.hold("group/north", product).await })
        })
        .collect();
    let mut placed = Vec::new();
    for call in calls {
        match call.await.unwrap() {
            Ok(hold) => placed.push(hold.name),
            Err(error) => assert_eq!(error.code(), Code::AlreadyExists, "{error:?}"),
        }
    }
    assert_eq!(placed.len(), 1);
    assert_eq!(world.count("SELECT count(*) FROM product_hold").await, 1);
    let told = "SELECT count(*) FROM journal WHERE event_type = 'kefu.ticket.v1.ProductHoldPlaced'";
    assert_eq!(world.count(told).await, 1);
    // Elsewhere it is another hold, and once lifted it can be placed again.
    world.quality().hold("group/south", "电梯 K7").await.unwrap();
    let lifted = world.quality().lift(&placed[0]).await.unwrap();
    assert_eq!((&*lifted.lifter, &*lifted.lift_reason), ("quality", "复检合格"));
    assert_eq!(reason(&world.quality().lift(&placed[0]).await.unwrap_err()), "ILLEGAL_STATE");
    // Later, for of two replicas at one instant either may have the greater id.
    world.clock.set(world.clock.now() + SignedDuration::from_secs(1)).unwrap();
    let again = world.quality().hold("group/north", "电梯 K7").await.unwrap();
    let mut clerk = world.clerk();
    let names =
        |holds: Vec<pb::ProductHold>| holds.into_iter().map(|hold| hold.name).collect::<Vec<_>>();
    assert_eq!(names(clerk.holds("group/north", false).await), [&*again.name]);
    assert_eq!(names(clerk.holds("group/north", true).await), [&*again.name, &*placed[0]]);
    assert_eq!(clerk.holds("group", false).await.len(), 2);
}

#[tokio::test]
async fn t18_only_quality_places_and_lifts_and_only_in_its_scope() {
    let world = World::new().await;
    let name = world.quality().hold("group/north", "电梯").await.unwrap().name;
    for role in [role::CLERK, role::HANDLER, role::MANAGER, role::DIRECTOR, role::HEADQUARTERS] {
        let mut desk = world.desk("somebody", "group", role);
        let refused =
            [desk.hold("group", "阀").await.unwrap_err(), desk.lift(&name).await.unwrap_err()];
        assert!(refused.iter().all(|error| error.code() == Code::PermissionDenied), "{role}");
    }
    let mut south = world.desk("south", "group/south", role::QUALITY);
    assert_eq!(south.lift(&name).await.unwrap_err().code(), Code::PermissionDenied);
    let error = world
        .quality()
        .actions
        .place_product_hold(pb::PlaceProductHoldRequest::default())
        .await
        .unwrap_err();
    let expected = ["org_unit", "product", "reason"];
    assert_eq!(violations(&error), expected.map(|field| format!("product_hold.{field}")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t18_a_quality_complaint_holds_its_product_at_once() {
    let mut world = careful().await;
    world.start_replica().await;
    let calls: Vec<_> = (0..10_usize)
        .map(|index| {
            let mut desk = world.desk_at(index % 2, "clerk", "group", role::CLERK);
            tokio::spawn(async move {
                let product = if index % 2 == 0 { "电梯" } else { "阀门" };
                desk.create(faulty(product)).await;
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    let holds = world.clerk().holds("group", false).await;
    let mut products: Vec<_> = holds.iter().map(|hold| &*hold.product).collect();
    products.sort_unstable();
    assert_eq!(products, ["电梯", "阀门"]);
    assert!(holds.iter().all(|hold| hold.placer == "system/policy" && !hold.ticket.is_empty()));
    // Told with the complaint: neither is on the feed without the other.
    let event: Vec<u8> = sqlx::query_scalar(
        "SELECT event FROM journal WHERE event_type = 'kefu.ticket.v1.ProductHoldPlaced' LIMIT 1",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    let told = pb::ProductHoldPlaced::decode(&*event).unwrap().product_hold.unwrap();
    assert!(holds.contains(&told));
    assert_eq!(world.count("SELECT count(*) FROM ticket").await, 10);
}

#[tokio::test]
async fn t18_a_complaint_that_turns_out_to_be_about_quality_holds_its_product() {
    let world = careful().await;
    let mut clerk = world.clerk();
    // No product, another category, no complaint: no hold.
    clerk.create(faulty("")).await;
    clerk.create(pb::Ticket { category: "服务态度".into(), ..faulty("电梯") }).await;
    let inquiry = pb::Ticket { kind: pb::TicketKind::Inquiry.into(), ..faulty("电梯") };
    clerk.create(inquiry).await;
    let other = clerk.create(pb::Ticket { category: "其他".into(), ..faulty("电梯") }).await;
    assert!(clerk.holds("group", true).await.is_empty());
    let request = pb::UpdateTicketRequest {
        ticket: Some(pb::Ticket {
            name: other.name.clone(),
            category: "产品质量".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    world.manager().tickets.update_ticket(request).await.unwrap();
    let holds = clerk.holds("group", true).await;
    assert_eq!((holds.len(), &*holds[0].ticket), (1, &*other.name));
    // Lifted is lifted: what happens to the ticket later does not place it again.
    world.quality().lift(&holds[0].name).await.unwrap();
    world.manager().respond(&other.name).await.unwrap();
    assert!(clerk.holds("group", false).await.is_empty());
}
