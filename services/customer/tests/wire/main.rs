//! The customer context over the real wire, on real Postgres, with a clock that is set.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod archive;
mod contact;
mod errors;
mod journal;
mod org_unit;
mod paging;
mod policy;
mod retry;
mod scope;
mod standing;
mod world;
