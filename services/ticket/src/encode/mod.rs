//! From the domain to what others see: resources of the API, and public events.

pub mod attachment;
pub mod automation;
pub mod clock;
pub mod clock_ledger;
pub mod corrective_action;
pub mod delivery;
pub mod event;
pub mod handling;
pub mod link;
pub mod message;
pub mod policy;
pub mod process;
pub mod report;
pub mod report_compare;
pub mod report_document;
pub mod report_html;
mod report_learning;
pub mod report_sections;
mod report_words;
pub mod report_xlsx;
pub mod routing;
pub mod saved_view;
pub mod shift;
pub mod shift_form;
pub mod suggestion;
pub mod team;
pub mod ticket;
pub mod trigger_fact;
pub mod violation;
pub mod work_order;
pub mod work_order_form;

use jiff::Timestamp;
use kefu_rpc::to_proto_timestamp;

fn time(at: Timestamp) -> Option<prost_types::Timestamp> {
    Some(to_proto_timestamp(at))
}

fn optional_time(at: Option<Timestamp>) -> Option<prost_types::Timestamp> {
    at.map(to_proto_timestamp)
}

/// What is certainly far below the limit of the API's type.
fn number(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
