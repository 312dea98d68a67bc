//! Time and randomness, the two things a program takes from outside without being asked to.
//!
//! This crate is the only place in the workspace that reads the machine's clock or its entropy;
//! clippy refuses both everywhere else. What it promises:
//!
//! * **One resolution.** Every [`Timestamp`] given out here is a whole number of microseconds,
//!   which is what Postgres stores, so a value written and read back is equal to itself.
//! * **A clock that tests can set.** [`ManualClock`] stands still until it is moved, never goes
//!   backwards, and a move wakes everybody whose time has come. Code that waits through
//!   [`Clock::sleep_until`] cannot miss a move, however it interleaves with it.
//! * **Ids in order.** [`IdSource`] makes version 7 UUIDs from the given clock. Ids of one source
//!   are strictly increasing even while the clock stands still or is set back by its operator, and
//!   knowing one id does not help to guess the next.
//! * **Randomness fit for secrets.** [`random_bytes`] comes from the operating system or not at
//!   all.
//!
//! What has no business here: business time. That is `kefu-calendar`, which is pure.

mod entropy;
mod ids;
mod manual;
mod system;

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use jiff::Timestamp;

pub use crate::{
    entropy::random_bytes,
    ids::IdSource,
    manual::{ClockError, ManualClock},
    system::{SystemClock, monotonic},
};

/// A boxed future which can be sent between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A clock shared by everything in a process.
pub type SharedClock = Arc<dyn Clock>;

/// Where the time comes from.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present, in whole microseconds.
    fn now(&self) -> Timestamp;

    /// Completes once [`now`](Self::now) has reached `at`; immediately if it already has.
    ///
    /// The future looks at the clock when it is polled, not when it is made: a clock which moved
    /// in between is not missed. It can be dropped at any time.
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()>;

    /// Completes once the clock was *set* to something later than `seen`.
    ///
    /// For workers that look at more than one deadline: take `seen` from [`now`](Self::now) before
    /// the work, wait for this after it, and no move is lost in between. A clock that only flows
    /// is never set, so on it this never completes.
    fn set_past(&self, seen: Timestamp) -> BoxFuture<'static, ()> {
        let _ = seen;
        Box::pin(std::future::pending())
    }
}

/// Cuts an instant down to the whole microsecond at or before it, the resolution of everything
/// that is stored.
#[must_use]
pub fn to_micros(at: Timestamp) -> Timestamp {
    let floor = at.as_nanosecond().div_euclid(1_000);
    i64::try_from(floor).ok().and_then(|us| Timestamp::from_microsecond(us).ok()).unwrap_or(at)
}
