//! The ticket context over the real wire, on real Postgres, with a clock that is set.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod automation;
mod automation_policy;
mod breach;
mod customer;
mod delivery;
mod delivery_trouble;
mod errors;
mod intake;
mod journal;
mod ledger;
mod life;
mod lists;
mod message;
mod neighbour;
mod pack;
mod policy;
mod races;
mod receiver;
mod report;
mod survey;
mod watch;
mod work_order;
mod work_order_form;
mod work_order_number;
mod work_order_reply;
mod world;
