//! C-01: archives.

use std::collections::BTreeSet;

use futures::future::join_all;
use kefu_api::customer::v1::{
    Customer, CustomerSize, GetCustomerRequest, ListContactsRequest, ListCustomersRequest,
    UpdateCustomerRequest,
};
use kefu_identity::role;
use prost_types::FieldMask;
use tonic::Code;

use crate::world::{World, contact, customer, metadata, reason, registration};

#[tokio::test]
async fn c01_a_customer_is_registered_with_its_contacts_in_one_step() {
    let world = World::new().await;
    let mut clerk = world.desk("clerk", "group/north/riverside", role::CLERK);
    let given = Customer {
        short_name: "长江电梯 🛗".into(),
        industry: "电梯".into(),
        size: CustomerSize::Medium.into(),
        address: "重庆市渝中区\n人民路 1 号".into(),
        source_channel: "展会".into(),
        cooperation_start_date: "2019-05-01".into(),
        account_manager: "li.wei".into(),
        product_lines: vec!["电梯".into(), "扶梯".into(), "电梯".into()],
        tags: vec!["重点".into()],
        ..customer("group/north/riverside", "重庆长江电梯有限公司")
    };
    let mut request = registration(given.clone());
    request.contacts = vec![contact("王芳"), contact("李伟")];
    let registered = clerk.try_register(request).await.unwrap();

    assert_eq!(registered.code, "C-2026-riverside-000001");
    assert_eq!(registered.etag, "r1");
    assert_eq!(registered.create_time, registered.update_time);
    let expected = Customer {
        name: registered.name.clone(),
        code: registered.code.clone(),
        create_time: registered.create_time,
        update_time: registered.update_time,
        etag: registered.etag.clone(),
        product_lines: vec!["电梯".into(), "扶梯".into()],
        ..given
    };
    assert_eq!(registered, expected);
    let name = registered.name.clone();
    let found = clerk.customers.get_customer(GetCustomerRequest { name: name.clone() }).await;
    assert_eq!(found.unwrap().into_inner(), registered);
    let request = ListContactsRequest { parent: name, ..ListContactsRequest::default() };
    let contacts = clerk.customers.list_contacts(request).await.unwrap().into_inner().contacts;
    let names: Vec<_> = contacts.iter().map(|contact| contact.display_name.as_str()).collect();
    assert_eq!(names, ["王芳", "李伟"]);
}

/// Two replicas, two org units with the same last segment, all at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c01_codes_are_without_doubles_and_gaps_however_many_register_at_once() {
    let mut world = World::new().await;
    world.start_replica().await;
    let registrations = (0..40).map(|number| {
        let mut desk = world.desk_at(number % 2, "clerk", "group", role::CLERK);
        let org_unit = ["group/north/riverside", "group/south/riverside"][number / 2 % 2];
        tokio::spawn(async move { desk.register(customer(org_unit, "客户")).await.code })
    });
    let codes: BTreeSet<String> =
        join_all(registrations).await.into_iter().map(Result::unwrap).collect();
    let expected = (1..=40).map(|number| format!("C-2026-riverside-{number:06}"));
    assert_eq!(codes, expected.collect());
}

#[tokio::test]
async fn c01_codes_count_anew_in_each_year() {
    let world = World::new().await;
    let mut clerk = world.manager();
    let code = |customer: Customer| customer.code;
    let org_unit = "group/north/riverside";
    assert_eq!(code(clerk.register(customer(org_unit, "甲")).await), "C-2026-riverside-000001");
    world.clock.set("2026-12-31T23:59:59Z".parse().unwrap()).unwrap();
    assert_eq!(code(clerk.register(customer(org_unit, "乙")).await), "C-2026-riverside-000002");
    world.clock.set("2027-01-01T00:00:00Z".parse().unwrap()).unwrap();
    assert_eq!(code(clerk.register(customer(org_unit, "丙")).await), "C-2027-riverside-000001");
}

#[tokio::test]
async fn c01_a_registration_that_is_refused_leaves_nothing_and_takes_no_number() {
    let world = World::new().await;
    let mut clerk = world.manager();
    let status =
        clerk.try_register(registration(customer("group/nowhere", "客户"))).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(reason(&status), "ORG_UNIT_UNKNOWN");
    assert_eq!(metadata(&status, "org_unit"), "group/nowhere");
    let mut request = registration(customer("group/north", "客户"));
    request.contacts = vec![contact("好"), contact("")];
    clerk.try_register(request).await.unwrap_err();
    assert_eq!(world.count("SELECT count(*) FROM customer").await, 0);
    assert_eq!(world.count("SELECT count(*) FROM contact").await, 0);
    assert_eq!(world.count("SELECT count(*) FROM customer_code_count").await, 0);
}

#[tokio::test]
async fn c01_an_update_changes_what_its_mask_names_and_nothing_else() {
    let world = World::new().await;
    let mut desk = world.manager();
    let before = desk
        .register(Customer {
            industry: "电梯".into(),
            tags: vec!["旧".into()],
            ..customer("group/north", "客户")
        })
        .await;
    world.clock.set("2026-03-03T02:00:00Z".parse().unwrap()).unwrap();
    let changed = Customer {
        display_name: "新名字".into(),
        industry: "不改".into(),
        tags: vec![],
        ..before.clone()
    };
    let request = UpdateCustomerRequest {
        customer: Some(changed),
        update_mask: Some(FieldMask { paths: vec!["display_name".into(), "tags".into()] }),
        ..UpdateCustomerRequest::default()
    };
    let after = desk.customers.update_customer(request).await.unwrap().into_inner();
    let expected = Customer {
        display_name: "新名字".into(),
        tags: vec![],
        etag: "r2".into(),
        update_time: after.update_time,
        ..before.clone()
    };
    assert_eq!(after, expected);
    assert_ne!(after.update_time, before.update_time);

    // Without a mask: what is set. A change to the same is none.
    let same =
        Customer { name: after.name.clone(), industry: "电梯".into(), ..Customer::default() };
    let request =
        UpdateCustomerRequest { customer: Some(same), ..UpdateCustomerRequest::default() };
    assert_eq!(desk.customers.update_customer(request).await.unwrap().into_inner(), after);
}

#[tokio::test]
async fn c01_a_customer_is_found_by_its_code_where_it_is_in_scope() {
    let world = World::new().await;
    let mut desk = world.manager();
    let wanted = desk.register(customer("group/north/riverside", "甲")).await;
    desk.register(customer("group/north/riverside", "乙")).await;
    let mut list = async |org_unit: &str, code: &str| {
        let (org_unit, code) = (org_unit.into(), code.into());
        let request = ListCustomersRequest { org_unit, code, ..ListCustomersRequest::default() };
        desk.customers.list_customers(request).await.unwrap().into_inner().customers
    };
    assert_eq!(list("group/north", &wanted.code).await, std::slice::from_ref(&wanted));
    assert_eq!(list("group/south", &wanted.code).await, []);
    assert_eq!(list("group", "C-2026-riverside-000099").await, []);
}
