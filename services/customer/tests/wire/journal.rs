//! what a change leaves behind.

use std::sync::Arc;

use kefu_api::customer::v1::{
    Contact, ContactChanged, CustomerChanged, StandingChanged, UpdateContactRequest,
};
use kefu_identity::role;
use kefu_journal::{Upstream, conformance};
use prost::{Message as _, Name as _};
use serde_json::{Value, json};
use sqlx::Row as _;

use crate::{
    standing::standing,
    world::{World, contact, customer, registration, request_id},
};

/// One row of the journal.
struct Entry {
    action: String,
    actor: String,
    org_unit: String,
    request_id: String,
    revision: i64,
    before: Option<Value>,
    after: Option<Value>,
    event_type: Option<String>,
    event: Option<Vec<u8>>,
}

async fn journal(world: &World, aggregate_type: &str) -> Vec<Entry> {
    let rows = sqlx::query(
        "SELECT action, actor, org_unit, request_id, revision, before, after, event_type, event
         FROM journal WHERE aggregate_type = $1 ORDER BY seq",
    )
    .bind(aggregate_type)
    .fetch_all(&world.pool)
    .await
    .unwrap();
    rows.iter()
        .map(|row| Entry {
            action: row.get("action"),
            actor: row.get("actor"),
            org_unit: row.get("org_unit"),
            request_id: row.get("request_id"),
            revision: row.get("revision"),
            before: row.get("before"),
            after: row.get("after"),
            event_type: row.get("event_type"),
            event: row.get("event"),
        })
        .collect()
}

#[tokio::test]
async fn x04_a_change_records_who_what_before_and_after_without_numbers_of_contacts() {
    let world = World::new().await;
    let mut desk = world.desk("li.wei", "group", role::HANDLER);
    let person = Contact {
        phones: vec!["+8613800138042".into()],
        emails: vec!["wang.fang@example.com".into()],
        messengers: vec!["wechat:wangfang".into()],
        birthday: "1988-08-08".into(),
        ..contact("王芳")
    };
    let mut request = registration(customer("group/north", "客户"));
    request.contacts = vec![person];
    request.request_id = request_id(1);
    let customer = desk.try_register(request).await.unwrap();

    let archive = &journal(&world, "customer").await[0];
    assert_eq!(archive.action, "customer.CreateCustomer");
    assert_eq!((archive.actor.as_str(), archive.org_unit.as_str()), ("li.wei", "group/north"));
    assert_eq!((archive.request_id.clone(), archive.revision), (request_id(1), 1));
    assert_eq!(archive.before, None);
    let after = archive.after.as_ref().unwrap();
    assert_eq!((&after["code"], &after["display_name"]), (&json!(customer.code), &json!("客户")));

    let created = &journal(&world, "contact").await[0];
    let after = created.after.as_ref().unwrap();
    assert_eq!(after["phones"], json!(["+***********42"]));
    assert_eq!(after["emails"], json!(["w***@example.com"]));
    assert_eq!(after["messengers"], json!(["wechat:***"]));
    assert_eq!(after["birthday"], json!("****-**-**"));

    let event = ContactChanged::decode(created.event.as_deref().unwrap()).unwrap();
    let changed =
        Contact { name: event.contact, phones: vec!["13900139042".into()], ..Contact::default() };
    let request = UpdateContactRequest { contact: Some(changed), ..Default::default() };
    desk.customers.update_contact(request).await.unwrap();
    let update = &journal(&world, "contact").await[1];
    assert_eq!((update.action.as_str(), update.revision), ("customer.UpdateContact", 2));
    assert_eq!(update.before, Some(json!({"phones": ["+***********42"]})), "only what changed");
    assert_eq!(update.after, Some(json!({"phones": ["*********42"]})));
    for entry in journal(&world, "contact").await {
        let bytes = entry.event.unwrap();
        for secret in ["138042", "wang.fang", "wangfang", "1988"] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} is in the public event");
        }
    }
}

#[tokio::test]
async fn x01_every_change_tells_the_other_contexts_its_whole_new_state() {
    let world = World::new().await;
    let mut desk = world.manager();
    world.admin().apply_ladder("group", &["vip"]).await;
    let registered = desk.register(customer("group/north", "客户")).await;
    desk.grade(&registered.name, standing("group/north/sales", "vip")).await.unwrap();

    let entry = &journal(&world, "customer").await[0];
    assert_eq!(entry.event_type, Some(CustomerChanged::full_name()));
    let event = CustomerChanged::decode(entry.event.as_deref().unwrap()).unwrap();
    let expected = CustomerChanged {
        customer: registered.name.clone(),
        code: registered.code,
        org_unit: "group/north".into(),
        display_name: "客户".into(),
        account_manager: String::new(),
    };
    assert_eq!(event, expected);
    let entry = &journal(&world, "standing").await[0];
    assert_eq!(entry.org_unit, "group/north/sales");
    let event = StandingChanged::decode(entry.event.as_deref().unwrap()).unwrap();
    let expected = StandingChanged {
        customer: registered.name,
        department: "group/north/sales".into(),
        product_line: String::new(),
        grade: "vip".into(),
    };
    assert_eq!(event, expected);
    let policy = &journal(&world, "customer_policy").await[0];
    assert_eq!(policy.event_type, None);
    assert_eq!(policy.after.as_ref().unwrap()["policy"]["grades"][0]["code"], json!("vip"));
    assert_eq!(journal(&world, "org_unit").await.len(), 7);
}

#[tokio::test]
async fn x04_the_application_can_delete_nothing() {
    let world = World::new().await;
    for statement in [
        "DELETE FROM customer",
        "DELETE FROM contact",
        "DELETE FROM standing",
        "DELETE FROM org_unit",
        "UPDATE customer_scope SET org_unit = 'x'",
    ] {
        let error = sqlx::query(statement).execute(&world.pool).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501", "{statement}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x01_the_feed_conforms() {
    let world = World::empty().await;
    let token = world.bearer("service/ticket", "group", role::SERVICE);
    let sign = move |metadata: &mut tonic::metadata::MetadataMap| {
        metadata.insert("authorization", token.clone());
    };
    let subject = conformance::Subject {
        pool: world.pool.clone(),
        upstream: Upstream::new(world.transport(0), Arc::new(sign)),
        clock: Arc::clone(&world.shared_clock),
    };
    conformance::run(&subject).await;
}
