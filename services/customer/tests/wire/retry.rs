//! retries are safe, and nobody overwrites what he has not seen.

use futures::future::join_all;
use kefu_api::customer::v1::{
    CreateContactRequest, Customer, SetStandingRequest, UpdateCustomerRequest,
};
use kefu_identity::role;
use tonic::Code;

use crate::{
    standing::standing,
    world::{World, contact, customer, metadata, reason, registration, request_id},
};

#[tokio::test]
async fn x02_a_retry_returns_the_first_answer_and_does_nothing() {
    let world = World::new().await;
    let mut desk = world.manager();
    let mut request = registration(customer("group/north", "客户"));
    request.request_id = request_id(1);
    let first = desk.try_register(request.clone()).await.unwrap();
    world.clock.set("2026-03-03T02:00:00Z".parse().unwrap()).unwrap();
    assert_eq!(desk.try_register(request.clone()).await.unwrap(), first);
    request.request_id = request_id(1).to_uppercase();
    assert_eq!(desk.try_register(request).await.unwrap(), first, "the id, not how it is written");
    assert_eq!(world.count("SELECT count(*) FROM customer").await, 1);
    assert_eq!(
        world.count("SELECT count(*) FROM journal WHERE aggregate_type = 'customer'").await,
        1
    );
}

#[tokio::test]
async fn x02_the_same_id_with_other_content_or_for_another_method_is_refused() {
    let world = World::new().await;
    let mut desk = world.manager();
    let mut request = registration(customer("group/north", "客户"));
    request.request_id = request_id(1);
    let parent = desk.try_register(request.clone()).await.unwrap().name;
    request.customer.as_mut().unwrap().display_name = "另一个".into();
    let status = desk.try_register(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::AlreadyExists, "REQUEST_ID_REUSED".into()));
    assert_eq!(metadata(&status, "request_id"), request_id(1));
    let request =
        CreateContactRequest {
            parent, contact: Some(contact("王芳")), request_id: request_id(1)
        };
    let status = desk.customers.create_contact(request).await.unwrap_err();
    assert_eq!(reason(&status), "REQUEST_ID_REUSED");
    assert_eq!(world.count("SELECT count(*) FROM customer").await, 1);
    assert_eq!(world.count("SELECT count(*) FROM contact").await, 0);
}

#[tokio::test]
async fn x02_the_ids_of_two_callers_never_meet() {
    let world = World::new().await;
    let mut request = registration(customer("group/north", "客户"));
    request.request_id = request_id(1);
    let one = world.desk("one", "group", role::CLERK).try_register(request.clone()).await.unwrap();
    request.customer.as_mut().unwrap().display_name = "另一个".into();
    let two = world.desk("two", "group", role::CLERK).try_register(request).await.unwrap();
    assert_ne!(one.name, two.name);
}

#[tokio::test]
async fn x02_a_refused_request_may_be_corrected_under_its_id() {
    let world = World::new().await;
    let mut desk = world.manager();
    let mut request = registration(customer("group/nowhere", "客户"));
    request.request_id = request_id(1);
    assert_eq!(reason(&desk.try_register(request.clone()).await.unwrap_err()), "ORG_UNIT_UNKNOWN");
    request.customer.as_mut().unwrap().org_unit = "group/north".into();
    assert!(desk.try_register(request).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x02_the_same_request_many_times_at_once_is_done_once() {
    let mut world = World::new().await;
    world.start_replica().await;
    world.admin().apply_ladder("group", &["vip"]).await;
    let mut request = registration(customer("group/north", "客户"));
    request.request_id = request_id(1);
    let calls = (0..16).map(|number| {
        let mut desk = world.desk_at(number % 2, "clerk", "group", role::CLERK);
        let request = request.clone();
        tokio::spawn(async move { desk.try_register(request).await.unwrap() })
    });
    let answers: Vec<Customer> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(world.count("SELECT count(*) FROM customer").await, 1);

    let request = SetStandingRequest {
        parent: answers[0].name.clone(),
        standing: Some(standing("group/north/sales", "vip")),
        request_id: request_id(2),
    };
    let calls = (0..16).map(|number| {
        let mut desk = world.desk_at(number % 2, "manager", "group", role::MANAGER);
        let request = request.clone();
        tokio::spawn(
            async move { desk.customers.set_standing(request).await.unwrap().into_inner() },
        )
    });
    let answers: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(
        world.count("SELECT count(*) FROM journal WHERE aggregate_type = 'standing'").await,
        1
    );
}

#[tokio::test]
async fn x03_an_update_with_a_stale_etag_is_refused_with_the_current_one() {
    let world = World::new().await;
    let mut desk = world.manager();
    let known = desk.register(customer("group", "客户")).await;
    let mut update = async |display_name: &str, etag: &str, id: u128| {
        let (name, etag) = (known.name.clone(), etag.to_owned());
        let customer =
            Customer { name, etag, display_name: display_name.into(), ..Customer::default() };
        let request_id = request_id(id);
        let request =
            UpdateCustomerRequest { customer: Some(customer), update_mask: None, request_id };
        desk.customers.update_customer(request).await.map(tonic::Response::into_inner)
    };
    let changed = update("甲", "r1", 1).await.unwrap();
    assert_eq!(changed.etag, "r2");
    let status = update("乙", "r1", 2).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::Aborted, "ETAG_STALE".into()));
    assert_eq!(metadata(&status, "current_etag"), "r2");
    assert_eq!(update("甲", "r1", 1).await.unwrap(), changed, "a retry is no second change");
    assert_eq!(update("丙", "", 3).await.unwrap().etag, "r3", "without an etag: whatever is there");
    assert_eq!(update("丁", "7", 4).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x03_of_many_updates_against_one_etag_one_wins() {
    let mut world = World::new().await;
    world.start_replica().await;
    let known = world.manager().register(customer("group", "客户")).await;
    let updates = (0..10).map(|number| {
        let mut desk = world.desk_at(number % 2, "handler", "group", role::HANDLER);
        let customer = Customer {
            name: known.name.clone(),
            etag: known.etag.clone(),
            display_name: format!("第 {number} 个"),
            ..Customer::default()
        };
        let request = UpdateCustomerRequest { customer: Some(customer), ..Default::default() };
        tokio::spawn(async move { desk.customers.update_customer(request).await })
    });
    let outcomes: Vec<_> = join_all(updates).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let refused = outcomes.into_iter().filter_map(Result::err);
    assert!(refused.into_iter().all(|status| reason(&status) == "ETAG_STALE"));
}

#[tokio::test]
async fn x03_a_standing_that_is_not_there_has_no_etag_to_match() {
    let world = World::new().await;
    let mut desk = world.manager();
    world.admin().apply_ladder("group", &["vip"]).await;
    let name = desk.register(customer("group", "客户")).await.name;
    let mut seen = standing("group/north", "vip");
    seen.etag = "r1".into();
    let status = desk.grade(&name, seen).await.unwrap_err();
    assert_eq!((status.code(), metadata(&status, "current_etag")), (Code::Aborted, String::new()));
}
