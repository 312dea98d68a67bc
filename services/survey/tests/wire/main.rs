//! The survey context over the real wire, on real Postgres, beside real feeds, with a clock that is set.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answer;
mod call_back;
mod contact;
mod hostile;
mod invitation;
mod journal;
mod paging;
mod policy;
mod races;
mod retry;
mod scope;
mod upstream;
mod world;
