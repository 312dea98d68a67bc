//! From the domain to what others see: resources of the API, and public events. No token and no hash of one is in any.

pub mod answer;
pub mod invitation;
pub mod policy;

use uuid::Uuid;

/// `tickets/{uuid}`.
pub fn ticket_name(id: Uuid) -> String {
    format!("tickets/{id}")
}

/// `customers/{uuid}`.
pub fn customer_name(id: Uuid) -> String {
    format!("customers/{id}")
}

/// `customers/{uuid}/contacts/{uuid}`.
pub fn contact_name(customer: Uuid, id: Uuid) -> String {
    format!("customers/{customer}/contacts/{id}")
}
