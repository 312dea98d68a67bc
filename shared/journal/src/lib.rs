//! The journal of a context: who changed what, and how the others learn of it.

mod entry;
mod position;
mod recorded;
pub mod requests;
mod store;

pub use crate::{
    entry::{Entry, Provenance, PublicEvent, append},
    position::{Cursor, InvalidCursor, Position},
    recorded::Recorded,
};

/// The migrations of the journal's tables. A context applies them, as the owner of its schema, before its own.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();
