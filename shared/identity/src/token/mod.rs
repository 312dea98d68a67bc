//! Tokens: verifying them, the keys they are verified with, and minting them for development and tests.

mod authenticator;
mod claims;
mod fetch;
mod keys;
mod minter;

pub use authenticator::{AuthenticationError, Authenticator, AuthenticatorOptions, bearer_token};
pub use claims::ClaimNames;
pub use keys::{KeyError, KeySource};
pub use minter::{MintError, Minter};
