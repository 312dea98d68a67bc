//! who may do what where.

use kefu_api::customer::v1::{
    ApplyCustomerPolicyRequest, Contact, CreateContactRequest, CreateOrgUnitRequest, Customer,
    GetContactRequest, GetCustomerRequest, GetEffectiveCustomerPolicyRequest, GetOrgUnitRequest,
    ListContactsRequest, ListCustomersRequest, ListOrgUnitsRequest, ListStandingsRequest, OrgUnit,
    SetStandingRequest, UpdateContactRequest, UpdateCustomerRequest, UpdateOrgUnitRequest,
};
use kefu_identity::role;
use tonic::{Code, Status};

use crate::{
    standing::standing,
    world::{Desk, World, contact, customer, ladder, metadata, reason, registration, text},
};

/// One call of each method about things of `group/north`, with its name.
async fn every_call(
    desk: &mut Desk,
    customer_name: &str,
    contact_name: &str,
) -> Vec<(&'static str, Result<(), Status>)> {
    let org_unit = || "group/north".to_owned();
    let parent = || customer_name.to_owned();
    let title = || Some(text("", "新"));
    let mut outcomes = Vec::new();
    macro_rules! call {
        ($client:ident.$method:ident($request:expr) as $name:literal) => {
            outcomes.push(($name, desk.$client.$method($request).await.map(|_| ())));
        };
    }
    let unit = OrgUnit { path: "group/north/new".into(), title: title(), ..OrgUnit::default() };
    call!(org_units.create_org_unit(CreateOrgUnitRequest {
        org_unit: Some(unit),
        request_id: String::new()
    }) as "customer.CreateOrgUnit");
    let name = "orgUnits/group/north".to_owned();
    call!(org_units.get_org_unit(GetOrgUnitRequest { name: name.clone() }) as "customer.GetOrgUnit");
    call!(org_units.list_org_units(ListOrgUnitsRequest {
        org_unit: org_unit(),
        ..Default::default()
    }) as "customer.ListOrgUnits");
    call!(org_units.update_org_unit(UpdateOrgUnitRequest {
        org_unit: Some(OrgUnit { name, title: title(), ..OrgUnit::default() }),
        ..Default::default()
    }) as "customer.UpdateOrgUnit");
    call!(customers.create_customer(registration(customer("group/north", "客户")))
        as "customer.CreateCustomer");
    call!(customers.get_customer(GetCustomerRequest { name: parent() }) as "customer.GetCustomer");
    call!(customers.list_customers(ListCustomersRequest {
        org_unit: org_unit(),
        ..Default::default()
    }) as "customer.ListCustomers");
    call!(customers.update_customer(UpdateCustomerRequest {
        customer: Some(Customer {
            name: parent(),
            industry: "新".into(),
            ..Customer::default()
        }),
        ..Default::default()
    }) as "customer.UpdateCustomer");
    call!(customers.create_contact(CreateContactRequest {
        parent: parent(),
        contact: Some(contact("李伟")),
        request_id: String::new(),
    }) as "customer.CreateContact");
    call!(customers.get_contact(GetContactRequest { name: contact_name.into() })
        as "customer.GetContact");
    call!(customers.list_contacts(ListContactsRequest {
        parent: parent(),
        ..Default::default()
    }) as "customer.ListContacts");
    call!(customers.update_contact(UpdateContactRequest {
        contact: Some(Contact {
            name: contact_name.into(),
            title: "新".into(),
            ..Contact::default()
        }),
        ..Default::default()
    }) as "customer.UpdateContact");
    call!(customers.set_standing(SetStandingRequest {
        parent: parent(),
        standing: Some(standing("group/north", "vip")),
        request_id: String::new(),
    }) as "customer.SetStanding");
    call!(customers.list_standings(ListStandingsRequest {
        parent: parent(),
        ..Default::default()
    }) as "customer.ListStandings");
    call!(policies.apply_customer_policy(ApplyCustomerPolicyRequest {
        org_unit: org_unit(),
        policy: Some(ladder(&["vip"])),
        ..Default::default()
    }) as "customer.ApplyCustomerPolicy");
    call!(policies.get_effective_customer_policy(GetEffectiveCustomerPolicyRequest {
        org_unit: org_unit(),
        time: None,
    }) as "customer.GetEffectiveCustomerPolicy");
    outcomes
}

async fn world_with_a_customer() -> (World, String, String) {
    let world = World::new().await;
    world.admin().apply_ladder("group", &["vip"]).await;
    let mut desk = world.manager();
    let name = desk.register(customer("group/north", "客户")).await.name;
    let request = CreateContactRequest {
        parent: name.clone(),
        contact: Some(contact("王芳")),
        request_id: String::new(),
    };
    let contact = desk.customers.create_contact(request).await.unwrap().into_inner().name;
    (world, name, contact)
}

#[tokio::test]
async fn x07_nobody_sees_or_changes_anything_beside_or_above_his_org_unit() {
    let (world, customer, contact) = world_with_a_customer().await;
    for org_unit in ["group/south", "group/north/riverside", "group-x"] {
        for role in role::ALL.into_iter().filter(|role| *role != role::SERVICE) {
            let mut desk = world.desk("stranger", org_unit, role);
            for (action, outcome) in every_call(&mut desk, &customer, &contact).await {
                let status = outcome.expect_err(action);
                assert_eq!(status.code(), Code::PermissionDenied, "{role} {org_unit} {action}");
                assert_eq!(metadata(&status, "action"), action);
                assert_eq!(metadata(&status, "org_unit"), "group/north");
            }
        }
    }
    assert_eq!(world.count("SELECT count(*) FROM customer").await, 1);
}

#[tokio::test]
async fn x07_every_role_may_do_what_its_permissions_say() {
    let (world, customer, contact) = world_with_a_customer().await;
    let reads = |action: &str| action.contains(".Get") || action.contains(".List");
    let rules = |action: &str| action.contains("OrgUnit") || action.contains("Policy");
    for role in [role::CLERK, role::MANAGER, role::ADMIN, role::AUDITOR] {
        let mut desk = world.desk("somebody", "group/north", role);
        for (action, outcome) in every_call(&mut desk, &customer, &contact).await {
            let allowed = reads(action)
                || match role {
                    role::CLERK => action.contains(".Create") && !rules(action),
                    role::MANAGER => !rules(action),
                    role::ADMIN => rules(action),
                    _ => false,
                };
            let denied = outcome.is_err_and(|status| status.code() == Code::PermissionDenied);
            assert_eq!(denied, !allowed, "{role} {action}");
        }
    }
}

#[tokio::test]
async fn x07_a_caller_without_a_token_is_asked_for_one() {
    let (world, customer, contact) = world_with_a_customer().await;
    for (action, outcome) in every_call(&mut world.anonymous(), &customer, &contact).await {
        let status = outcome.expect_err(action);
        assert_eq!(status.code(), Code::Unauthenticated, "{action}");
        assert_eq!(reason(&status), "TOKEN_MISSING", "{action}");
    }
}

#[tokio::test]
async fn x07_a_department_grades_a_customer_whose_archive_is_owned_above_it() {
    let (world, customer, _) = world_with_a_customer().await;
    let mut desk = world.desk("sales", "group/north/sales", role::MANAGER);
    assert!(desk.grade(&customer, standing("group/north/sales", "vip")).await.is_ok());
    let status = desk.grade(&customer, standing("group/north", "vip")).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}
