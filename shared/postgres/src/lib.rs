//! What every context needs of Postgres, and nothing that only one of them needs.
//!
//! What this crate promises:
//!
//! * **A context owns its schema alone.** [`provision`] gives each context a pair of roles: the
//!   *owner* (`kefu_ticket_owner`) owns the schema and runs migrations, the *application*
//!   (`kefu_ticket`) reads and writes rows, and cannot see any other context's schema. A migration
//!   takes rights away where the rule says so; the journal does.
//! * **A service starts while Postgres is away** and recovers by itself: [`connect`] is lazy,
//!   [`migrate_until_done`] tries until it succeeds, and [`readiness`] says which it is.
//! * **Errors mean something.** [`StoreError`] tells a busy or absent database from a broken rule
//!   from a broken program, so that one table in each context can turn it into an answer.
//! * **Nothing is written into a transaction that somebody else gave up**: see [`begin`].
//! * **No wait without a bound** (X-08): acquiring a connection and every statement have a limit.
//! * **A laptop needs no Postgres of its own.** [`PrivateCluster`] finds or installs one, runs it as
//!   an unprivileged user in a data directory, and takes it down with the process that started it,
//!   however that process ends. Tests share a cluster of the same kind: see [`testing`].
//!
//! Nothing here keeps state in a session, listens, or locks outside a transaction, so the
//! application's connections may go through PgBouncer in transaction mode (1.21 or later, which
//! knows named prepared statements). Migrations want a direct connection: see [`migrate`].

mod cluster;
mod error;
mod metrics;
mod migrate;
mod provision;
mod readiness;
mod settings;
pub mod testing;
mod transaction;
mod url;

pub use crate::{
    cluster::{ClusterError, PrivateCluster, PrivateClusterOptions},
    error::StoreError,
    metrics::observe_pool,
    migrate::{MigrationError, migrate, migrate_until_done},
    provision::{ContextRoles, ContextUrls, RolePasswords, ensure_database, provision},
    readiness::readiness,
    settings::{PgSettings, connect},
    transaction::{begin, begin_snapshot},
};
