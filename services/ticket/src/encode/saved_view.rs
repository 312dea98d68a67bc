//! Saved views as others see them.

use kefu_api::ticket::v1 as pb;
use kefu_rpc::Etag;
use uuid::Uuid;

use super::time;
use crate::domain::{QueueOrder, SavedView};

/// `savedViews/{uuid}`.
pub fn name(id: Uuid) -> String {
    format!("savedViews/{id}")
}

/// The resource.
pub fn resource(view: &SavedView) -> pb::SavedView {
    let order = match view.order {
        QueueOrder::DueTime => pb::QueueOrder::DueTime,
        QueueOrder::Priority => pb::QueueOrder::Priority,
        QueueOrder::Newest => pb::QueueOrder::Newest,
    };
    pb::SavedView {
        name: name(view.id),
        title: view.title.clone(),
        org_unit: view.org_unit.clone(),
        shared: view.shared,
        filter: view.filter.clone(),
        order: order.into(),
        owner: view.owner.clone(),
        create_time: time(view.created_at),
        update_time: time(view.updated_at),
        etag: Etag::of_revision(view.revision).to_string(),
    }
}
