//! By which policy version a promise is made, and so on whose calendar its time counts (T-05, T-06, X-10).
//!
//! A ticket is judged by the version in force when it was registered, and that never changes. Only its promises can be made
//! anew by another version, see [`recompute`](super::recompute). Rules and calendar of a version never change, so to name the
//! version is to pin both.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use kefu_calendar::Calendar;
use uuid::Uuid;

use super::policy::Policy;

/// A policy version as it was issued: rules and calendar under a name, for ever the same.
pub trait Issued: fmt::Debug + Send + Sync {
    /// Which version.
    fn id(&self) -> Uuid;
    /// What it says.
    fn policy(&self) -> &Policy;
}

/// By which policy version something is promised.
#[derive(Clone, Default)]
pub enum Terms {
    /// By the one that judges the ticket.
    #[default]
    Registered,
    /// By another one, because the promises were computed anew.
    Revised(Arc<dyn Issued>),
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Terms").field(&self.version()).finish()
    }
}

impl PartialEq for Terms {
    fn eq(&self, other: &Self) -> bool {
        self.version() == other.version()
    }
}

impl Eq for Terms {}

impl Terms {
    /// The version; none for the one that judges the ticket.
    #[must_use]
    pub fn version(&self) -> Option<Uuid> {
        match self {
            Self::Registered => None,
            Self::Revised(version) => Some(version.id()),
        }
    }

    /// What the version says, given the policy that judges the ticket.
    #[must_use]
    pub fn policy<'a>(&'a self, registered: &'a Policy) -> &'a Policy {
        match self {
            Self::Registered => registered,
            Self::Revised(version) => version.policy(),
        }
    }

    pub(super) fn calendar<'a>(&'a self, registered: &'a Policy) -> &'a Calendar {
        self.policy(registered).calendar()
    }
}

/// A stretch of a promise's time that counts by other terms than what comes after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Era {
    /// The terms by which it was promised then.
    pub terms: Terms,
    /// Up to when; the first begins with the promise, the next where this one ends.
    pub until: Timestamp,
}
