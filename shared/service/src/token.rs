//! The token by which a service calls the other contexts in its own name.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use kefu_clock::SharedClock;
use kefu_identity::{Caller, Minter, OrgUnit, role};
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

/// How long a token that a service makes for itself is valid. It is replaced after half of that.
const LIFETIME: SignedDuration = SignedDuration::from_hours(1);

/// How often a token file is read.
const READ_EVERY: Duration = Duration::from_secs(10);

/// Where the services stand in the tree of org units: beside it. The permissions let them reach everything.
const HOME: &str = "kefu";

/// A service's own token, renewed by itself.
#[derive(Clone)]
pub struct ServiceToken(Arc<Source>);

type Header = MetadataValue<Ascii>;

enum Source {
    /// No token: calls onward are anonymous.
    None,
    File {
        path: PathBuf,
        read: Mutex<Option<(Instant, Header)>>,
    },
    Minted(Box<Mint>),
}

struct Mint {
    minter: Minter,
    caller: Caller,
    clock: SharedClock,
    made: Mutex<Option<(Timestamp, Header)>>,
}

impl ServiceToken {
    /// No token at all.
    pub fn none() -> ServiceToken {
        ServiceToken(Arc::new(Source::None))
    }

    /// The token in a file, which somebody else renews.
    pub fn from_file(path: PathBuf) -> ServiceToken {
        ServiceToken(Arc::new(Source::File { path, read: Mutex::default() }))
    }

    /// Tokens that the service of this name makes for itself.
    ///
    /// # Errors
    /// Never: the services' own org unit is well-formed.
    pub fn minted(
        minter: Minter,
        service: &str,
        clock: SharedClock,
    ) -> Result<ServiceToken, kefu_identity::OrgUnitError> {
        let home: OrgUnit = HOME.parse()?;
        let caller = Caller::staff(format!("service/{service}"), home, [role::SERVICE]);
        let mint = Mint { minter, caller, clock, made: Mutex::default() };
        Ok(ServiceToken(Arc::new(Source::Minted(Box::new(mint)))))
    }

    /// Adds the token to a call's metadata. Without one that can be had now, the call goes without, and the other
    /// side says so.
    pub fn sign(&self, metadata: &mut MetadataMap) {
        if let Some(value) = self.header() {
            metadata.insert("authorization", value);
        }
    }

    /// The present `authorization` header.
    fn header(&self) -> Option<Header> {
        match &*self.0 {
            Source::None => None,
            Source::File { path, read } => {
                let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
                let now = kefu_clock::monotonic();
                if let Some((at, value)) = &*read
                    && now.duration_since(*at) < READ_EVERY
                {
                    return Some(value.clone());
                }
                match fs::read_to_string(path) {
                    Ok(token) => *read = bearer(token.trim()).map(|value| (now, value)),
                    Err(error) => {
                        tracing::warn!(%error, "the service token's file cannot be read");
                    }
                }
                read.as_ref().map(|(_, value)| value.clone())
            }
            Source::Minted(mint) => {
                let Mint { minter, caller, clock, made } = &**mint;
                let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
                let now = clock.now();
                if let Some((renew_at, value)) = &*made
                    && now < *renew_at
                {
                    return Some(value.clone());
                }
                let token = minter
                    .mint(caller, LIFETIME)
                    .inspect_err(|error| tracing::error!(%error, "cannot make a service token"))
                    .ok()?;
                let value = bearer(&token)?;
                let renew_at = now.checked_add(LIFETIME / 2).unwrap_or(Timestamp::MAX);
                *made = Some((renew_at, value.clone()));
                Some(value)
            }
        }
    }
}

fn bearer(token: &str) -> Option<Header> {
    let mut value: MetadataValue<_> = format!("Bearer {token}").parse().ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl fmt::Debug for ServiceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceToken")
    }
}

#[cfg(test)]
mod tests {
    use kefu_clock::ManualClock;
    use kefu_identity::{Authenticator, AuthenticatorOptions};

    use super::*;

    #[test]
    fn g10_a_services_own_token_is_renewed_however_far_the_clock_jumps() {
        let clock = ManualClock::new("2011-10-30T18:40:00Z".parse().unwrap());
        let shared: SharedClock = Arc::new(clock.clone());
        let minter = Minter::generate("issuer", "kefu", Arc::clone(&shared)).unwrap();
        let options = AuthenticatorOptions::new("issuer", "kefu");
        let keys = minter.key_source();
        let authenticator = Authenticator::new(options, keys, Arc::clone(&shared)).unwrap();
        let token = ServiceToken::minted(minter, "ticket", shared).unwrap();
        for hours in [0, 1, 24 * 365 * 5] {
            clock.advance(SignedDuration::from_hours(hours)).unwrap();
            let header = token.header().unwrap();
            let bare = header.to_str().unwrap().strip_prefix("Bearer ").unwrap();
            let caller = authenticator.authenticate(bare).unwrap();
            assert_eq!(caller.subject(), "service/ticket");
            assert!(caller.has_role(role::SERVICE));
            assert_eq!(token.header().unwrap(), header, "kept while it is fresh");
        }
    }

    #[test]
    fn g10_no_token_means_no_header() {
        let mut metadata = MetadataMap::new();
        ServiceToken::none().sign(&mut metadata);
        ServiceToken::from_file("/nonexistent/token".into()).sign(&mut metadata);
        assert!(metadata.is_empty());
    }
}
