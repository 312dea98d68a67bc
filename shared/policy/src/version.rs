//! One version of a policy.

use std::fmt;

use jiff::Timestamp;
use kefu_identity::OrgUnit;
use kefu_rpc::{Fault, Violations};
use uuid::Uuid;

/// A context's policy: a message of its API, checked and made ready for use.
pub trait Policy: fmt::Debug + Sized + Send + Sync + 'static {
    /// The message that is applied, stored and shown.
    type Message: prost::Message + prost::Name + Default + Clone + PartialEq + fmt::Debug;

    /// Checks the message; every fault is added with its path. `None` only where `violations` has some.
    fn decode(message: &Self::Message, violations: &mut Violations) -> Option<Self>;
}

/// A version of a policy as it was applied. Never changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Version<P: Policy> {
    /// Order of commits over all org units.
    pub seq: i64,
    /// Its id.
    pub id: Uuid,
    /// The org unit that it is attached to.
    pub org_unit: OrgUnit,
    /// Counts the versions of this org unit from 1.
    pub version: i32,
    /// From when it applies.
    pub effective_at: Timestamp,
    /// When it was applied.
    pub created_at: Timestamp,
    /// Subject of who applied it.
    pub created_by: String,
    /// As it was applied.
    pub message: P::Message,
    /// Ready for use.
    pub policy: P,
}

/// A version that is about to be applied.
#[derive(Clone, Copy, Debug)]
pub struct NewVersion<'a, M> {
    /// Its id, from the service's id source.
    pub id: Uuid,
    /// The org unit; the caller has made sure that it exists.
    pub org_unit: &'a OrgUnit,
    /// From when it applies, see [`effective_time`].
    pub effective_at: Timestamp,
    /// The policy; the caller has decoded it, so it has no faults.
    pub message: &'a M,
    /// The present.
    pub created_at: Timestamp,
    /// Subject of the caller.
    pub created_by: &'a str,
}

/// From when a policy applies that asks for `requested`: unset means now.
///
/// # Errors
/// [`Fault`] for a time in the past, for that would change what already happened.
pub fn effective_time(requested: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Fault> {
    match requested {
        None => Ok(now),
        Some(at) if at >= now => Ok(at),
        Some(_) => Err(Fault::new(
            "IN_THE_PAST",
            "lies in the past, which a new version does not change; leave it out for now",
            "时间不能早于当前时间；留空表示立即生效",
        )),
    }
}

/// The field `effective_time` of a request to apply a policy, `None` in it where it was left out. Whether the time has passed is
/// found out with [`effective_time`] when the version gets its place, for a retry may come later than that; but where
/// other fields are wrong as well it is named here along with them.
pub fn requested_effective_time(
    violations: &mut Violations,
    value: Option<prost_types::Timestamp>,
    now: Timestamp,
) -> Option<Option<Timestamp>> {
    let requested = violations.optional_time("effective_time", value)?;
    if !violations.is_empty() {
        violations.take("effective_time", effective_time(requested, now));
    }
    Some(requested)
}
