//! The gateway between real sockets and contexts that behave as a test asks for.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy does not see that helpers are tests")]
#![allow(missing_docs, reason = "tests are named by what they prove")]

mod clock;
mod fake;
mod json;
mod overview;
mod pass_through;
mod shown;
mod trouble;
mod web;
mod world;
