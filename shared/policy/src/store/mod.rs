//! The SQL of this crate. Tables are unqualified: the context's schema is first on the role's search path.

pub(crate) mod org_unit;
pub(crate) mod policy_version;
