//! Policies as data: which version of a regulation holds for an org unit at a time, the same for every context.
//!
//! What this crate promises:
//!
//! - **Policies do not rewrite the past .** A version is attached to an org unit from a time on and never changed;
//!   [`Snapshot::effective`] answers for any time, past or future, and the answer for a past time stays the same.
//! - **Inherited downwards.** The nearest org unit at or above that has a version in force at that time decides; its
//!   policy holds whole, nothing is merged.
//! - **Never stale.** Versions are kept in memory, decoded once, and a command learns inside its own transaction
//!   whether the copy is whole ([`PolicyBook::current`]), so that replicas need no invalidation between them.
//! - **Every fault by its path .** [`decode`] turns the messages that policies share into checked values.
//! - **Known org units.** [`OrgUnits`] answers from the local copy and asks the customer context for what that does not
//!   know yet.

mod book;
pub mod decode;
mod json;
mod org_units;
mod snapshot;
mod store;
mod version;

pub use crate::{
    book::{Place, PolicyBook},
    json::{JsonError, to_json},
    org_units::{OrgUnitError, OrgUnits, apply_org_unit_changed, is_known},
    snapshot::Snapshot,
    version::{NewVersion, Policy, Version, effective_time, requested_effective_time},
};

/// The migrations of this crate's tables. A context applies them, as the owner of its schema, before its own.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();
