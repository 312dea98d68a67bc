//! The ticket context over the real wire, on real Postgres, with a clock that is set.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::large_futures, reason = "messages by value; a test has the stack for them")]

mod automation;
mod automation_policy;
mod breach;
mod corrective_action;
mod customer;
mod delivery;
mod delivery_trouble;
mod duty;
mod errors;
mod handling;
mod hands;
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
mod queue;
mod races;
mod receiver;
mod recount;
mod report;
mod report_document;
mod report_life;
mod routing;
mod saved_view;
mod search;
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
