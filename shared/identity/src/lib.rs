//! Who is calling, and what it may do (G-10, X-07).
//!
//! - [`OrgUnit`]: a node of the company's tree, as a path.
//! - [`Caller`]: whom a verified token proves, or an anonymous caller.
//! - [`Authenticator`]: from a bearer token to a caller. Signature, issuer, audience and time are checked; a token
//!   cannot choose the algorithm; keys that cannot be fetched do not take verification down.
//! - [`Authorizer`]: from a caller, an action and an org unit to yes or no, by Cedar policy text. What no policy
//!   permits is denied, and every denial explains itself to the operator, not to the caller.
//! - [`Minter`]: a small identity provider for development and tests.

mod authorizer;
mod caller;
mod org_unit;
mod token;

pub use authorizer::{
    Action, Authorizer, BESIDE_METHODS, DEFAULT_PERMISSIONS, Denied, Group, PermissionsError,
};
pub use caller::{Caller, Roles, Staff, role};
pub use org_unit::{MAX_SEGMENT_LEN, MAX_SEGMENTS, OrgUnit, OrgUnitError};
pub use token::{
    AuthenticationError, Authenticator, AuthenticatorOptions, ClaimNames, KeyError, KeySource,
    MintError, Minter, bearer_token,
};
