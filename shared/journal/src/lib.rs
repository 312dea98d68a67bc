//! The journal of a context: who changed what, and how the others learn of it.
//!
//! One append-only table per context, written in the transaction of each change, read in three ways: as audit trail
//! as event feed for the other contexts, and as live stream for desks and wallboards. The crate promises:
//!
//! * **Nothing is lost, nothing is doubled .** [`append`] is part of the caller's transaction. Readers see only rows
//!   below the oldest running transaction, in the order of (transaction, sequence), so a row that commits late is read
//!   late but never skipped. A [`Subscriber`] applies an event and moves its cursor in one transaction.
//! * **Order within one aggregate is its revision,** even where the transaction with the older id made the newer revision,
//!   because it had written something else before it waited for its turn.
//! * **Retry is safe .** [`requests`] keeps the first answer under the caller's request id.
//! * **Cursors know where they count.** Transaction ids mean nothing in another database; a [`Cursor`] from elsewhere, or
//!   from a future that was lost by restoring a backup, is refused.
//! * **A slow reader delays nobody.** The [`Tail`] reads the journal once for all readers of a process and each reader
//!   takes batches at its own pace.
//!
//! One limit follows from the first promise: a transaction that has written anything, anywhere in the cluster, and stays
//! open holds back all feeds of that cluster until it ends. Statement and idle timeouts of the roles bound that.
//!
//! No `LISTEN`, no session state, no advisory locks: commits wake the tail of their own process, everything else is found
//! by a poll every 200 ms.

#[cfg(feature = "testing")]
pub mod conformance;
mod entry;
#[cfg(test)]
mod model;
mod position;
mod pulse;
mod recorded;
pub mod requests;
mod ring;
mod server;
mod store;
mod subscriber;
mod tail;
mod upstream;

use kefu_postgres::StoreError;
use sqlx::PgConnection;

pub use crate::{
    entry::{Entry, Provenance, PublicEvent, append},
    position::{Cursor, InvalidCursor, Position},
    pulse::Pulse,
    recorded::Recorded,
    server::FeedServer,
    subscriber::{ApplyError, Consumer, Progress, Subscriber, reset_cursor},
    tail::{Batch, FeedError, Follow, Start, Tail},
    upstream::{Sign, Upstream},
};

/// The migrations of the journal's tables, recorded in `_journal_migrations`. A context applies them, as the owner of its
/// schema, before its own.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// After a dump was restored into a younger cluster, its rows carry transaction ids that this cluster has yet to give out,
/// and readers would wait for them. This puts them before everything else, in the order of insertion. To be called by the
/// owner of the schema after each migration; does nothing, and locks nothing, where there is nothing to do. Returns the
/// number of rows renumbered.
///
/// # Errors
/// [`StoreError::Other`] when called by another role than the owner and there is something to do.
pub async fn rebase_restored(owner: &mut PgConnection) -> Result<u64, StoreError> {
    store::journal::rebase(owner).await
}
