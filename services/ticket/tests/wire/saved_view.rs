//! T-23: queues under names.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::Code;

use crate::world::{Desk, World, complaint, metadata, reason, request_id, violations};

fn view(title: &str, filter: &str) -> pb::SavedView {
    pb::SavedView {
        title: title.into(),
        org_unit: "group/north".into(),
        filter: filter.into(),
        order: pb::QueueOrder::Newest.into(),
        ..Default::default()
    }
}

async fn save(desk: &mut Desk, view: pb::SavedView) -> Result<pb::SavedView, tonic::Status> {
    let request = pb::CreateSavedViewRequest { saved_view: Some(view), ..Default::default() };
    desk.views.create_saved_view(request).await.map(tonic::Response::into_inner)
}

async fn titles(desk: &mut Desk, org_unit: &str) -> Vec<String> {
    let request = pb::ListSavedViewsRequest { org_unit: org_unit.into(), ..Default::default() };
    let answer = desk.views.list_saved_views(request).await.unwrap().into_inner();
    answer.saved_views.into_iter().map(|view| view.title).collect()
}

fn naming(view: &pb::SavedView) -> pb::ListQueueRequest {
    pb::ListQueueRequest { saved_view: view.name.clone(), ..Default::default() }
}

#[tokio::test]
async fn t23_a_view_shows_its_queue_and_is_checked_when_it_is_saved() {
    let world = World::new().await;
    let (mut clerk, mut manager) = (world.clerk(), world.manager());
    clerk.create(complaint("group/north", "甲")).await;
    let answered = clerk.create(complaint("group/north", "乙")).await;
    clerk.create(complaint("group/south", "丙")).await;
    manager.respond(&answered.name).await.unwrap();
    world.settle().await;
    let saved = save(&mut clerk, view("待处理", "NOT handler = manager")).await.unwrap();
    assert_eq!((saved.owner.as_str(), saved.title.as_str()), ("clerk", "待处理"));
    let answer = clerk.queues.list_queue(naming(&saved)).await.unwrap().into_inner();
    let subjects: Vec<_> =
        answer.entries.into_iter().filter_map(|entry| entry.ticket).map(|t| t.subject).collect();
    assert_eq!(subjects, ["甲"]);
    let count = pb::CountQueueRequest { saved_view: saved.name.clone(), ..Default::default() };
    assert_eq!(clerk.queues.count_queue(count).await.unwrap().into_inner().total, 1);
    // Elsewhere, and not together with a filter of its own.
    let south = pb::ListQueueRequest { org_unit: "group/south".into(), ..naming(&saved) };
    assert_eq!(clerk.queues.list_queue(south).await.unwrap().into_inner().entries.len(), 1);
    let both = pb::ListQueueRequest { filter: "severity = 1".into(), order: 2, ..naming(&saved) };
    let error = clerk.queues.list_queue(both).await.unwrap_err();
    assert_eq!(violations(&error), ["filter", "order"]);

    let mut bad = view("", "colour = red");
    bad.order = 9;
    bad.org_unit = "!".into();
    let mut fields = violations(&save(&mut clerk, bad).await.unwrap_err());
    fields.sort();
    assert_eq!(
        fields,
        ["saved_view.filter", "saved_view.order", "saved_view.org_unit", "saved_view.title"]
    );
    let unknown = pb::SavedView { org_unit: "group/nowhere".into(), ..view("甲", "") };
    assert_eq!(reason(&save(&mut clerk, unknown).await.unwrap_err()), "ORG_UNIT_UNKNOWN");
}

#[tokio::test]
async fn x07_a_view_exists_for_its_owner_and_shared_for_those_who_read_there() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let mut other = world.desk("li", "group/north", role::CLERK);
    let mut south = world.desk("wang", "group/south", role::CLERK);
    let own = save(&mut clerk, view("私", "")).await.unwrap();
    let shared = pb::SavedView { shared: true, ..view("公", "first_contact_owner = me") };
    let shared = save(&mut clerk, shared).await.unwrap();
    assert_eq!(titles(&mut clerk, "group").await, ["私", "公"]);
    assert_eq!(titles(&mut other, "group/north").await, ["公"]);
    assert!(titles(&mut south, "group/south").await.is_empty());
    let get = |view: &pb::SavedView| pb::GetSavedViewRequest { name: view.name.clone() };
    assert_eq!(other.views.get_saved_view(get(&own)).await.unwrap_err().code(), Code::NotFound);
    assert!(other.views.get_saved_view(get(&shared)).await.is_ok());
    let error = other.queues.list_queue(naming(&own)).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    assert!(other.queues.list_queue(naming(&shared)).await.is_ok());
    let error = south.views.get_saved_view(get(&shared)).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    // Seen, but another's.
    let changed = pb::SavedView { title: "改".into(), ..shared.clone() };
    let update = pb::UpdateSavedViewRequest { saved_view: Some(changed), ..Default::default() };
    let error = other.views.update_saved_view(update).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    let delete = |view: &pb::SavedView| pb::DeleteSavedViewRequest {
        name: view.name.clone(),
        ..Default::default()
    };
    let error = other.views.delete_saved_view(delete(&shared)).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    let error = other.views.delete_saved_view(delete(&own)).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    let mut service = world.desk("service/survey", "group", role::SERVICE);
    let error = save(&mut service, view("x", "")).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn x02_x03_x04_a_view_is_saved_changed_and_deleted_once_and_on_record() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let create = pb::CreateSavedViewRequest {
        saved_view: Some(view("甲", "severity = 1")),
        request_id: request_id(1),
    };
    let first = clerk.views.create_saved_view(create.clone()).await.unwrap().into_inner();
    let again = clerk.views.create_saved_view(create.clone()).await.unwrap().into_inner();
    assert_eq!(first, again);
    let other = pb::CreateSavedViewRequest { saved_view: Some(view("乙", "")), ..create };
    let error = clerk.views.create_saved_view(other).await.unwrap_err();
    assert_eq!(error.code(), Code::AlreadyExists);

    let change = |title: &str, etag: &str| pb::UpdateSavedViewRequest {
        saved_view: Some(pb::SavedView {
            name: first.name.clone(),
            title: title.into(),
            etag: etag.into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let second = clerk.views.update_saved_view(change("乙", &first.etag)).await;
    let second = second.unwrap().into_inner();
    assert_eq!((second.title.as_str(), second.filter.as_str()), ("乙", "severity = 1"));
    let error = clerk.views.update_saved_view(change("丙", &first.etag)).await.unwrap_err();
    assert_eq!(error.code(), Code::Aborted);
    assert_eq!(metadata(&error, "current_etag"), second.etag);
    // A mask can empty what is not set.
    let mut emptied = change("", &second.etag);
    emptied.update_mask = Some(prost_types::FieldMask { paths: vec!["filter".into()] });
    let third = clerk.views.update_saved_view(emptied).await.unwrap().into_inner();
    assert_eq!((third.title.as_str(), third.filter.as_str()), ("乙", ""));

    let delete = pb::DeleteSavedViewRequest {
        name: first.name.clone(),
        etag: third.etag,
        request_id: request_id(2),
    };
    clerk.views.delete_saved_view(delete.clone()).await.unwrap();
    clerk.views.delete_saved_view(delete).await.unwrap();
    let get = pb::GetSavedViewRequest { name: first.name };
    assert_eq!(clerk.views.get_saved_view(get).await.unwrap_err().code(), Code::NotFound);
    let recorded = "SELECT count(*) FROM journal WHERE aggregate_type = 'saved_view'";
    assert_eq!(world.count(recorded).await, 4);
}

#[tokio::test]
async fn x08_nobody_has_more_than_a_hundred_views_however_many_are_saved_at_once() {
    let world = World::new().await;
    let clerk = world.clerk();
    let attempts = (0..130).map(|index| {
        let mut desk = clerk.clone();
        async move { save(&mut desk, view(&format!("{index}"), "")).await }
    });
    let outcomes = futures::future::join_all(attempts).await;
    let saved = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert!(saved <= 100 && saved > 0);
    let refused = outcomes.into_iter().filter_map(Result::err);
    assert!(refused.into_iter().all(|status| {
        matches!(status.code(), Code::Aborted | Code::InvalidArgument | Code::ResourceExhausted)
    }));
    let mut desk = clerk;
    let mut full = false;
    for index in saved..=100 {
        match save(&mut desk, view(&format!("n{index}"), "")).await {
            Ok(_) => assert!(index < 100),
            Err(status) => {
                assert_eq!((index, violations(&status)), (100, vec!["saved_view".to_owned()]));
                full = true;
            }
        }
    }
    assert!(full);
    assert_eq!(world.count("SELECT count(*) FROM saved_view").await, 100);
}
