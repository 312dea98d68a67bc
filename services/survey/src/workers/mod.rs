//! What goes on without being called: reading the others' feeds, and the timer of the invitations.

pub mod customer_feed;
pub mod expiry;
pub mod ticket_feed;

use kefu_api::feed::v1::Event;
use kefu_journal::ApplyError;
use uuid::Uuid;

/// The ids in `customers/{uuid}/contacts/{uuid}`.
fn contact_ids(name: &str) -> Result<(Uuid, Uuid), ApplyError> {
    let (customer, contact) = name.split_once("/contacts/").ok_or("not a contact's name")?;
    Ok((id(customer, "customers/")?, contact.parse()?))
}

/// The id in a resource name.
fn id(name: &str, collection: &str) -> Result<Uuid, ApplyError> {
    Ok(name.strip_prefix(collection).ok_or("not a name of the expected kind")?.parse()?)
}

/// When an event happened, on its context's clock.
fn occurred_at(event: &Event) -> Result<jiff::Timestamp, ApplyError> {
    let time = event.occur_time.as_ref().ok_or("an event without a time")?;
    kefu_rpc::timestamp(time).map_err(|_| "an event at no time".into())
}
