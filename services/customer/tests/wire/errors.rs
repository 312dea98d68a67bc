//! bad input gets a clear error, all of it at once, and leaves nothing behind.

use kefu_api::customer::v1::{
    CreateCustomerRequest, Customer, GetCustomerRequest, ListCustomersRequest, SetStandingRequest,
    UpdateCustomerRequest,
};
use prost_types::FieldMask;
use tonic::Code;

use crate::{
    standing::standing,
    world::{World, contact, customer, registration, violations},
};

#[tokio::test]
async fn x06_all_wrong_fields_are_named_at_once_with_their_nested_paths() {
    let world = World::new().await;
    let mut desk = world.manager();
    let wrong = Customer {
        org_unit: "GROUP".into(),
        customer_type: 77,
        display_name: " \t ".into(),
        short_name: "换\n行".into(),
        size: 9,
        address: "地".repeat(501),
        cooperation_start_date: "2027-01-01".into(),
        product_lines: vec!["好".into(), "".into()],
        tags: vec!["标".repeat(51)],
        ..Customer::default()
    };
    let mut request = registration(wrong);
    let mut person = contact("李伟");
    person.phones = vec!["nope".into()];
    request.contacts = vec![contact("王芳"), person, contact("")];
    request.request_id = "no".into();
    let status = desk.try_register(request).await.unwrap_err();
    let mut found = violations(&status);
    found.sort();
    assert_eq!(
        found,
        [
            "contacts[1].phones[0]",
            "contacts[2].display_name",
            "customer.address",
            "customer.cooperation_start_date",
            "customer.customer_type",
            "customer.display_name",
            "customer.lawful_basis",
            "customer.org_unit",
            "customer.product_lines[1]",
            "customer.short_name",
            "customer.size",
            "customer.tags[0]",
            "request_id",
        ]
    );
    assert_eq!(world.count("SELECT count(*) FROM customer").await, 0);
}

#[tokio::test]
async fn x06_emoji_are_text_and_control_characters_are_not() {
    let world = World::new().await;
    let mut desk = world.manager();
    let kept = desk.register(customer("group", "👨‍👩‍👧‍👦 幸福小区 🏡")).await;
    assert_eq!(kept.display_name, "👨‍👩‍👧‍👦 幸福小区 🏡");
    for bad in ["响\u{7}铃", "零\0", "反\u{202E}向", "\u{FEFF}标记"] {
        let status = desk.try_register(registration(customer("group", bad))).await.unwrap_err();
        assert_eq!(violations(&status), ["customer.display_name"], "{bad:?}");
    }
}

#[tokio::test]
async fn x08_a_megabyte_of_text_and_very_long_lists_are_refused() {
    let world = World::new().await;
    let mut desk = world.manager();
    let big = Customer { address: "字".repeat(350_000), ..customer("group", "客户") };
    let status = desk.try_register(registration(big)).await.unwrap_err();
    assert_eq!(violations(&status), ["customer.address"]);
    let many = Customer { tags: vec!["标".into(); 51], ..customer("group", "客户") };
    let mut request = registration(many);
    request.contacts = vec![contact("王芳"); 21];
    let status = desk.try_register(request).await.unwrap_err();
    assert_eq!(violations(&status), ["customer.tags", "contacts"]);
}

#[tokio::test]
async fn x06_requests_without_anything_say_what_is_missing() {
    let world = World::new().await;
    let mut desk = world.manager();
    let customers = &mut desk.customers;
    let status = customers.create_customer(CreateCustomerRequest::default()).await.unwrap_err();
    assert_eq!(violations(&status), ["customer"]);
    let status = customers.get_customer(GetCustomerRequest::default()).await.unwrap_err();
    assert_eq!(violations(&status), ["name"]);
    let status = customers.list_customers(ListCustomersRequest::default()).await.unwrap_err();
    assert_eq!(violations(&status), ["org_unit"]);
    let status = customers.set_standing(SetStandingRequest::default()).await.unwrap_err();
    assert_eq!(violations(&status), ["parent", "standing"]);
    let request = SetStandingRequest {
        parent: "customers/1".into(),
        standing: Some(standing("", "")),
        request_id: String::new(),
    };
    let status = customers.set_standing(request).await.unwrap_err();
    assert_eq!(violations(&status), ["parent", "standing.department", "standing.grade"]);
}

#[tokio::test]
async fn x06_a_mask_names_only_what_can_be_changed() {
    let world = World::new().await;
    let mut desk = world.manager();
    let known = desk.register(customer("group", "客户")).await;
    let request = UpdateCustomerRequest {
        customer: Some(Customer { name: known.name, ..Customer::default() }),
        update_mask: Some(FieldMask {
            paths: ["code", "display_name", "org_unit", "nothing"].map(Into::into).into(),
        }),
        request_id: String::new(),
    };
    let status = desk.customers.update_customer(request).await.unwrap_err();
    assert_eq!(
        violations(&status),
        [
            "update_mask.paths[0]",
            "update_mask.paths[2]",
            "update_mask.paths[3]",
            "customer.display_name",
        ]
    );
}

#[tokio::test]
async fn x06_an_unknown_customer_is_not_found() {
    let world = World::new().await;
    let mut desk = world.manager();
    let name = "customers/00000000-0000-7000-8000-000000000000".to_owned();
    let status = desk.customers.get_customer(GetCustomerRequest { name }).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}
