//! From a bearer token to a caller.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use jiff::SignedDuration;
use jsonwebtoken::Algorithm;
use kefu_clock::SharedClock;
use quick_cache::sync::Cache;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::claims::{self, ClaimNames, Validity};
use super::fetch;
use super::keys::{Current, KeyError, KeyRing, KeySource};
use crate::Caller;

/// The longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Why a call is not authenticated. For the caller all of them are UNAUTHENTICATED.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticationError {
    /// There is no token.
    #[error("a bearer token is needed")]
    Missing,
    /// It is not a signed JSON web token, or longer than 8 KiB.
    #[error("the token is malformed")]
    Malformed,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Somebody else issued it.
    #[error("the token is from another issuer")]
    WrongIssuer,
    /// It is meant for somebody else.
    #[error("the token is for another audience")]
    WrongAudience,
    /// It is signed with a key that is not known.
    #[error("the token's key is not known")]
    UnknownKey,
    /// The signature does not fit, or is of another algorithm than the key's.
    #[error("the token's signature is wrong")]
    BadSignature,
    /// A claim that Kefu needs is missing or has the wrong form.
    #[error("the token's claim `{0}` is missing or malformed")]
    BadClaims(&'static str),
}

/// Whom the authenticator believes.
#[derive(Clone, Debug)]
pub struct AuthenticatorOptions {
    /// The only issuer (`iss`) that is accepted.
    pub issuer: String,
    /// The audience (`aud`) that a token must be meant for.
    pub audience: String,
    /// What the provider calls the claims.
    pub claims: ClaimNames,
    /// How much clocks may differ; 60 s by default.
    pub leeway: SignedDuration,
    /// How many verified tokens are remembered; 10,000 by default.
    pub cache_capacity: usize,
}

impl AuthenticatorOptions {
    /// The defaults for an issuer and an audience.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        AuthenticatorOptions {
            issuer: issuer.into(),
            audience: audience.into(),
            claims: ClaimNames::default(),
            leeway: SignedDuration::from_secs(60),
            cache_capacity: 10_000,
        }
    }
}

/// Verifies bearer tokens (G-10): JSON web tokens signed with EdDSA (Ed25519) or RS256.
///
/// A signature is checked once; until the token expires, or the keys change, its caller comes from a bounded cache.
/// Time is the injected clock's, so that tests and replays in other years work with real tokens.
pub struct Authenticator {
    options: AuthenticatorOptions,
    clock: SharedClock,
    keys: Arc<KeyRing>,
    verified: Cache<[u8; 32], Verified>,
}

#[derive(Clone)]
struct Verified {
    caller: Arc<Caller>,
    validity: Validity,
    generation: u64,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

impl Authenticator {
    /// An authenticator with the keys of `source`.
    ///
    /// Keys of a URL are fetched by a background task of the present tokio runtime, so this does not wait for them;
    /// see [`Authenticator::wait_for_keys`].
    ///
    /// # Errors
    /// When a fixed document or a file cannot be read as a JWKS with a usable key.
    pub fn new(
        options: AuthenticatorOptions,
        source: KeySource,
        clock: SharedClock,
    ) -> Result<Self, KeyError> {
        let keys = Arc::new(KeyRing::new(&source)?);
        if let KeySource::Url(url) = source {
            fetch::spawn(&keys, url)?;
        }
        let verified = Cache::new(options.cache_capacity);
        Ok(Authenticator { options, clock, keys, verified })
    }

    /// Waits until there are keys, for a service's readiness. Returns at once with keys from a file.
    pub async fn wait_for_keys(&self) {
        loop {
            // Registered before looking, so that keys which arrive in between are not missed.
            let loaded = self.keys.loaded.notified();
            if self.keys.current().generation > 0 {
                return;
            }
            loaded.await;
        }
    }

    /// The caller whom a bare token (without `Bearer `) proves.
    ///
    /// Fast and synchronous: a known token costs one SHA-256, a new one a signature check.
    ///
    /// # Errors
    /// One [`AuthenticationError`] for whatever is wrong first.
    pub fn authenticate(&self, token: &str) -> Result<Arc<Caller>, AuthenticationError> {
        if token.is_empty() {
            return Err(AuthenticationError::Missing);
        }
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthenticationError::Malformed);
        }
        self.keys.refresh();
        let keys = self.keys.current();
        let now = self.clock.now();
        let leeway = self.options.leeway.as_secs();
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(known) = self.verified.get(&digest)
            && known.generation == keys.generation
        {
            if let Err(error) = known.validity.check(now, leeway) {
                self.verified.remove(&digest);
                return Err(error);
            }
            return Ok(known.caller);
        }
        let verified = match self.verify(token, &keys) {
            Err(AuthenticationError::UnknownKey) if self.keys.look_for_new_keys() => {
                self.verify(token, &self.keys.current())
            }
            result => result,
        }?;
        verified.validity.check(now, leeway)?;
        let caller = Arc::clone(&verified.caller);
        self.verified.insert(digest, verified);
        Ok(caller)
    }

    fn verify(&self, token: &str, current: &Current) -> Result<Verified, AuthenticationError> {
        let (message, signature) = token.rsplit_once('.').ok_or(AuthenticationError::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(AuthenticationError::Malformed)?;
        let header: Header = decode(header)?;
        // Extensions that must be understood (RFC 7515, 4.1.11), of which we understand none.
        if header.crit.is_some() {
            return Err(AuthenticationError::Malformed);
        }
        let key =
            current.keys.select(header.kid.as_deref()).ok_or(AuthenticationError::UnknownKey)?;
        // The algorithm is the key's, whatever the token says: neither `none` nor a public key as an HMAC secret.
        let name = match key.algorithm {
            Algorithm::EdDSA => "EdDSA",
            _ => "RS256",
        };
        let right = header.alg == name
            && jsonwebtoken::crypto::verify(
                signature,
                message.as_bytes(),
                &key.decoding,
                key.algorithm,
            )
            .unwrap_or(false);
        if !right {
            return Err(AuthenticationError::BadSignature);
        }
        let claims: Map<String, Value> = decode(payload)?;
        let options = &self.options;
        let (caller, validity) =
            claims::read(&claims, &options.issuer, &options.audience, &options.claims)?;
        let caller = Arc::new(caller.with_token(token));
        Ok(Verified { caller, validity, generation: current.generation })
    }
}

fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, AuthenticationError> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| AuthenticationError::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| AuthenticationError::Malformed)
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("options", &self.options).finish_non_exhaustive()
    }
}

/// The bare token of a call's `authorization: Bearer …` header; the scheme's case does not matter.
///
/// # Errors
/// [`AuthenticationError::Missing`] without the header, [`AuthenticationError::Malformed`] with another scheme, with
/// text that is not ASCII, or with more than one such header.
pub fn bearer_token(headers: &HeaderMap) -> Result<&str, AuthenticationError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(AuthenticationError::Missing)?;
    if values.next().is_some() {
        return Err(AuthenticationError::Malformed);
    }
    let text = value.to_str().map_err(|_| AuthenticationError::Malformed)?;
    let (scheme, token) = text.split_once(' ').ok_or(AuthenticationError::Malformed)?;
    let token = token.trim();
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() {
        Ok(token)
    } else {
        Err(AuthenticationError::Malformed)
    }
}
