//! What goes on without being called: the timers, the senders, and reading the feeds of the other contexts.

pub mod customer_feed;
pub mod duty;
pub mod learning;
pub mod mass_answers;
pub mod outbox;
pub mod policy_rollouts;
pub mod projections;
pub mod shift_plan;
pub mod survey_feed;
pub mod timers;
pub mod triggers;
pub mod uploads;
pub mod viewers;
pub mod work_orders;

use kefu_api::feed::v1::Event;
use kefu_journal::ApplyError;
use prost::Message;
use uuid::Uuid;

/// The payload of an event.
fn payload<M: Message + Default>(event: &Event) -> Result<M, ApplyError> {
    M::decode(event.payload.clone()).map_err(Into::into)
}

/// The id in a resource name such as `customers/0197…`.
fn id(name: &str, collection: &str) -> Result<Uuid, ApplyError> {
    let id = name.strip_prefix(collection).and_then(|rest| rest.strip_prefix('/'));
    let id = id.and_then(|id| Uuid::try_parse(id).ok());
    id.ok_or_else(|| format!("an event names something that is not in {collection}").into())
}
