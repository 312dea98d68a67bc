//! The SQL of this crate. Tables are unqualified: the context's schema is first on the role's search path.

pub(crate) mod cursor;
pub(crate) mod identity;
pub(crate) mod journal;
pub(crate) mod request;
