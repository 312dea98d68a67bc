//! The company's tree.

use std::sync::Arc;

use kefu_api::customer::v1::{
    CreateOrgUnitRequest, GetOrgUnitRequest, ListOrgUnitsRequest, OrgUnit, OrgUnitChanged,
    UpdateOrgUnitRequest,
};
use kefu_identity::role;
use kefu_policy::{OrgUnitError, OrgUnits, apply_org_unit_changed};
use kefu_postgres::testing::TestDatabase;
use kefu_rpc::{ChannelOptions, Deadline, Transport};
use tonic::{Code, metadata::MetadataMap};
use uuid::Uuid;

use crate::world::{World, metadata, reason, text, violations};

fn creation(path: &str) -> CreateOrgUnitRequest {
    let title = Some(text("Unit", "单元"));
    let org_unit = Some(OrgUnit { path: path.into(), title, ..OrgUnit::default() });
    CreateOrgUnitRequest { org_unit, request_id: String::new() }
}

#[tokio::test]
async fn x07_the_tree_grows_below_what_is_there() {
    let world = World::empty().await;
    let mut admin = world.admin();
    let status = admin.org_units.create_org_unit(creation("group/north")).await.unwrap_err();
    assert_eq!(reason(&status), "ORG_UNIT_UNKNOWN");
    assert_eq!(metadata(&status, "org_unit"), "group");
    let root = admin.create_org_unit("group", "集团").await;
    assert_eq!((root.name.as_str(), root.etag.as_str()), ("orgUnits/group", "r1"));
    admin.create_org_unit("group/north", "北区").await;
    let status = admin.org_units.create_org_unit(creation("group/north")).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    assert_eq!(metadata(&status, "resource_name"), "orgUnits/group/north");
    let name = "orgUnits/group/north".to_owned();
    let found = admin.org_units.get_org_unit(GetOrgUnitRequest { name }).await.unwrap();
    assert_eq!(found.into_inner().title.unwrap().zh, "北区");
    let name = "orgUnits/group/south".to_owned();
    let status = admin.org_units.get_org_unit(GetOrgUnitRequest { name }).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn x08_org_units_are_listed_by_path_within_the_subtree() {
    let world = World::new().await;
    let mut admin = world.admin();
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListOrgUnitsRequest { org_unit: "group".into(), page_size: 2, page_token };
        let page = admin.org_units.list_org_units(request).await.unwrap().into_inner();
        assert!(page.org_units.len() <= 2);
        found.extend(page.org_units.into_iter().map(|unit| unit.path));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let expected = [
        "group",
        "group/north",
        "group/north/riverside",
        "group/north/sales",
        "group/south",
        "group/south/riverside",
    ];
    assert_eq!(found, expected, "and not group-x");
}

#[tokio::test]
async fn x03_a_title_is_changed_against_its_etag() {
    let world = World::new().await;
    let mut admin = world.admin();
    let update = |zh: &str, etag: &str| UpdateOrgUnitRequest {
        org_unit: Some(OrgUnit {
            name: "orgUnits/group/north".into(),
            title: Some(text("North", zh)),
            etag: etag.into(),
            ..OrgUnit::default()
        }),
        ..UpdateOrgUnitRequest::default()
    };
    let changed = admin.org_units.update_org_unit(update("华北", "r1")).await.unwrap().into_inner();
    assert_eq!(changed.etag, "r2");
    let status = admin.org_units.update_org_unit(update("北方", "r1")).await.unwrap_err();
    assert_eq!((status.code(), metadata(&status, "current_etag")), (Code::Aborted, "r2".into()));
}

#[tokio::test]
async fn x06_every_wrong_field_of_an_org_unit_is_named() {
    let world = World::new().await;
    let mut admin = world.admin();
    let mut wrong = creation("Group//北");
    wrong.request_id = "1".into();
    wrong.org_unit.as_mut().unwrap().title = Some(text("", &"长".repeat(101)));
    let status = admin.org_units.create_org_unit(wrong).await.unwrap_err();
    assert_eq!(violations(&status), ["request_id", "org_unit.path", "org_unit.title.zh"]);
    let status = admin.org_units.create_org_unit(CreateOrgUnitRequest::default()).await;
    assert_eq!(violations(&status.unwrap_err()), ["org_unit"]);
}

/// The tree as another context sees it: its own copy first, then this context.
#[tokio::test]
async fn x01_another_context_asks_for_an_org_unit_that_its_copy_lacks() {
    let world = World::new().await;
    let database = TestDatabase::context(&[&kefu_policy::MIGRATOR], "ticket").await.unwrap();
    let pool = database.pool().unwrap();
    let token = world.bearer("service/ticket", "group", role::SERVICE);
    let sign: Arc<dyn Fn(&mut MetadataMap) + Send + Sync> =
        Arc::new(move |metadata| drop(metadata.insert("authorization", token.clone())));
    let path = |text: &str| text.parse::<kefu_identity::OrgUnit>().unwrap();

    let asking = OrgUnits::new(pool.clone(), world.transport(0), Arc::clone(&sign));
    asking.require(&path("group/north"), Deadline(None)).await.unwrap();
    let refused = asking.require(&path("group/nowhere"), Deadline(None)).await.unwrap_err();
    assert!(matches!(&refused, OrgUnitError::Unknown(unit) if unit.as_str() == "group/nowhere"));

    // Nobody listens there any more.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = Transport::remote(&format!("http://{closed}"), &ChannelOptions::default()).unwrap();
    let alone = OrgUnits::new(pool.clone(), gone, sign);
    let failed = alone.require(&path("group/north"), Deadline(None)).await.unwrap_err();
    assert!(matches!(failed, OrgUnitError::CustomerUnavailable(Code::Unavailable)), "{failed:?}");
    let event = OrgUnitChanged { path: "group/north".into(), title: None };
    let now = world.shared_clock.now();
    let mut conn = pool.acquire().await.unwrap();
    apply_org_unit_changed(&mut conn, Uuid::from_u128(1), 1, now, &event).await.unwrap();
    drop(conn);
    alone.require(&path("group/north"), Deadline(None)).await.unwrap();
}
