//! The command `kefu`: the whole mesh on a laptop, and the tools around it.
//!
//! - [`up`]: all services in one process, or one process each, beside a private Postgres in a data directory. What was
//!   answered OK is there again after the next start; a stop drains in the order gateway, contexts, Postgres.
//! - [`demo`]: a small story in two languages through the public API, loaded once however often it is started.
//! - [`policy`]: pack files. A key that the API does not know is refused with its path, and so is every value that does
//!   not fit, all of them at once.
//! - [`replay`]: real complaints of past years on a manual clock, through the public API only. Every complaint is
//!   registered and answered at its own time, every promise that breaks in between is on record at its own time (T-07), and
//!   a row that cannot be read is told with its line and costs itself only.
//! - [`mesh`]: the services in one process, which the tests use as well.
//!
//! Nothing here decides about customers, tickets or surveys; what is typed here could be called by anybody with a token.

pub mod children;
pub mod cli;
pub mod client;
pub mod database;
pub mod demo;
pub mod home;
pub mod mesh;
pub mod policy;
pub mod replay;
pub mod token;
pub mod up;
