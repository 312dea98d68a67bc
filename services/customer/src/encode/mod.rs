//! From the domain to what others see: resources of the API, and public events. No phone, e-mail or other personal detail
//! beyond the name is in an event (C-24).

pub mod contact;
pub mod customer;
pub mod org_unit;
pub mod policy;
pub mod standing;

use jiff::civil::Date;
use kefu_rpc::Etag;

fn etag(revision: i64) -> String {
    Etag::of_revision(revision).to_string()
}

/// `YYYY-MM-DD`, empty where unknown.
fn date(date: Option<Date>) -> String {
    date.map(|date| date.to_string()).unwrap_or_default()
}
