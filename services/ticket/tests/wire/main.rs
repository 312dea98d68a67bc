//! The ticket context over the real wire, on real Postgres, with a clock that is set.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod breach;
mod corrective_action;
mod customer;
mod duty;
mod errors;
mod handling;
mod intake;
mod journal;
mod ledger;
mod life;
mod lists;
mod message;
mod neighbour;
mod pack;
mod packs;
mod policy;
mod product_hold;
mod races;
mod recount;
mod report;
mod report_document;
mod report_life;
mod routing;
mod shift;
mod suggestion;
mod supervision;
mod survey;
mod transfer;
mod violation;
mod watch;
mod work_order;
mod work_order_form;
mod work_order_number;
mod work_order_reply;
mod world;
