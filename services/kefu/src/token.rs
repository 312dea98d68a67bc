//! `kefu token`: a token for development, made with a private key at hand.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use jiff::SignedDuration;
use kefu_clock::SystemClock;
use kefu_identity::{Caller, Minter, OrgUnit, role};

use crate::home::{AUDIENCE, Home, ISSUER};

/// The roles of whoever sits at the machine: all that a person can have. Its own verdicts it may still not enter (T-13).
pub const EVERYTHING: [&str; 8] = [
    role::ADMIN,
    role::CLERK,
    role::HANDLER,
    role::MANAGER,
    role::DIRECTOR,
    role::HEADQUARTERS,
    role::QUALITY,
    role::OPERATOR,
];

/// Whom to make a token for.
#[derive(Clone, Debug, clap::Args)]
pub struct TokenArgs {
    /// Who it is for: the token's subject.
    #[arg(long, default_value = "you")]
    pub subject: String,

    /// Where that person belongs; the roles count there and below.
    #[arg(long, default_value = "group")]
    pub org_unit: OrgUnit,

    /// A role, e.g. `clerk`; may be given several times. Without one: everything that a person can do.
    #[arg(long = "role")]
    pub roles: Vec<String>,

    /// How long it is valid, e.g. `12h`.
    #[arg(long, default_value = "12h")]
    pub ttl: SignedDuration,

    /// The private key to make it with (Ed25519, PKCS#8 PEM), instead of that of the data directory.
    #[arg(long, env = "KEFU_DEV_KEY_FILE")]
    pub key: Option<PathBuf>,

    /// The issuer that it names.
    #[arg(long, env = "KEFU_ISSUER", default_value = ISSUER)]
    pub issuer: String,

    /// Whom it is for, by name of the audience.
    #[arg(long, env = "KEFU_AUDIENCE", default_value = AUDIENCE)]
    pub audience: String,
}

/// The token.
///
/// # Errors
/// When there is no key, or the life time is not positive.
pub fn make(args: &TokenArgs, data: &Path) -> anyhow::Result<String> {
    let key = match &args.key {
        Some(key) => key.clone(),
        None => {
            let key = Home::open(data)?.key();
            anyhow::ensure!(
                key.exists(),
                "there is no key in {}: start `kefu up` there first, or name one with --key",
                data.display()
            );
            key
        }
    };
    let minter = Minter::load(&key, &args.issuer, &args.audience, Arc::new(SystemClock))
        .with_context(|| key.display().to_string())?;
    let roles: Vec<&str> = match args.roles.as_slice() {
        [] => EVERYTHING.to_vec(),
        roles => roles.iter().map(String::as_str).collect(),
    };
    let caller = Caller::staff(args.subject.as_str(), args.org_unit.clone(), roles);
    Ok(minter.mint(&caller, args.ttl)?)
}
