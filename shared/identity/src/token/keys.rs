//! The public keys that tokens are verified with.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use tokio::sync::Notify;

/// How often a key file's modification time is looked at, and how often an unknown key id may cause a reading.
const FILE_CHECK_EVERY: Duration = Duration::from_secs(1);

/// The smallest RSA key that is accepted, in bytes of its modulus (2048 bits).
const MIN_RSA_MODULUS: usize = 256;

/// The largest key document that is read, in bytes.
pub(super) const MAX_JWKS_BYTES: usize = 256 * 1024;

/// Where the public keys of the identity provider come from, as a JWKS document (RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The document itself; never changes. For tests and for `kefu up`.
    Fixed(String),
    /// A file, read again when it changes.
    File(PathBuf),
    /// A URL, fetched in the background, every few minutes and when an unknown key id shows up. While it cannot be
    /// fetched the last known keys stay valid.
    Url(String),
}

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key file cannot be read or written.
    #[error("key file {path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// The document is not a JWKS.
    #[error("not a JWKS document: {0}")]
    NotJwks(#[from] serde_json::Error),
    /// None of the keys can verify a signature.
    #[error("no usable key: Ed25519 (EdDSA) or RSA of 2048 bits or more (RS256) is needed")]
    NoUsableKey,
    /// The document is larger than 256 KiB.
    #[error("a JWKS document must not be larger than {MAX_JWKS_BYTES} bytes")]
    TooLarge,
    /// The JWKS URL cannot be fetched.
    #[error("fetching the JWKS: {0}")]
    Fetch(#[from] reqwest::Error),
    /// The private key is not an Ed25519 key in PKCS#8 PEM.
    #[error("not an Ed25519 private key in PKCS#8 PEM form")]
    NotPrivateKey,
}

/// One public key, usable with exactly one algorithm: a token cannot choose another for it.
pub(super) struct Key {
    id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
}

/// The usable keys of one JWKS document.
#[derive(Default)]
pub(super) struct KeySet {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Document {
    // Values first: one key of an unknown kind must not make the others unusable.
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl Jwk {
    fn into_key(self) -> Option<Key> {
        if self.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let (algorithm, name, decoding) = match self.kty.as_str() {
            "OKP" if self.crv.as_deref() == Some("Ed25519") => {
                let x = self.x?;
                if decoded_len(&x)? != 32 {
                    return None;
                }
                (Algorithm::EdDSA, "EdDSA", DecodingKey::from_ed_components(&x).ok()?)
            }
            "RSA" => {
                let (n, e) = (self.n?, self.e?);
                if decoded_len(&n)? < MIN_RSA_MODULUS {
                    return None;
                }
                (Algorithm::RS256, "RS256", DecodingKey::from_rsa_components(&n, &e).ok()?)
            }
            _ => return None,
        };
        if self.alg.is_some_and(|alg| alg != name) {
            return None;
        }
        Some(Key { id: self.kid, algorithm, decoding })
    }
}

fn decoded_len(text: &str) -> Option<usize> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok().map(|bytes| bytes.len())
}

impl KeySet {
    pub(super) fn parse(document: &str) -> Result<KeySet, KeyError> {
        if document.len() > MAX_JWKS_BYTES {
            return Err(KeyError::TooLarge);
        }
        let document: Document = serde_json::from_str(document)?;
        let given = document.keys.len();
        let keys: Vec<Key> = document
            .keys
            .into_iter()
            .filter_map(|key| serde_json::from_value::<Jwk>(key).ok()?.into_key())
            .collect();
        if keys.len() < given {
            tracing::info!(given, usable = keys.len(), "some keys of the JWKS cannot be used");
        }
        if keys.is_empty() { Err(KeyError::NoUsableKey) } else { Ok(KeySet { keys }) }
    }

    /// The key for a token's header. A token without a key id fits only where there is no choice.
    pub(super) fn select(&self, id: Option<&str>) -> Option<&Key> {
        match id {
            Some(id) => self.keys.iter().find(|key| key.id.as_deref() == Some(id)),
            None => match self.keys.as_slice() {
                [only] => Some(only),
                _ => None,
            },
        }
    }
}

/// A key set together with the number of the set, by which cached verifications know whether they still count.
pub(super) struct Current {
    pub(super) keys: KeySet,
    pub(super) generation: u64,
}

/// The present key set and how it is kept up to date.
pub(super) struct KeyRing {
    current: RwLock<Arc<Current>>,
    file: Option<WatchedFile>,
    /// Asks the background fetch for a new set.
    pub(super) wanted: Arc<Notify>,
    /// Tells those who wait for the first set.
    pub(super) loaded: Notify,
    checks: Pace,
    rereads: Pace,
}

/// Lets one through per [`FILE_CHECK_EVERY`], whoever comes first.
struct Pace {
    started: Instant,
    next_ms: AtomicU64,
}

impl Pace {
    fn new() -> Pace {
        Pace { started: kefu_clock::monotonic(), next_ms: AtomicU64::new(0) }
    }

    fn permits(&self) -> bool {
        let elapsed = kefu_clock::monotonic().duration_since(self.started).as_millis();
        let now = u64::try_from(elapsed).unwrap_or(u64::MAX);
        let next = self.next_ms.load(Ordering::Relaxed);
        let after = now.saturating_add(FILE_CHECK_EVERY.as_millis() as u64);
        now >= next
            && self
                .next_ms
                .compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

struct WatchedFile {
    path: PathBuf,
    seen: Mutex<Option<Stamp>>,
}

/// What changes when a file is rewritten or replaced.
type Stamp = (SystemTime, u64, u64);

impl KeyRing {
    /// A ring with the keys of a fixed document or a file; for a URL an empty one, which the fetch fills.
    pub(super) fn new(source: &KeySource) -> Result<KeyRing, KeyError> {
        let (keys, generation, file) = match source {
            KeySource::Fixed(document) => (KeySet::parse(document)?, 1, None),
            KeySource::Url(_) => (KeySet::default(), 0, None),
            KeySource::File(path) => {
                let seen = Mutex::new(stamp(path));
                let watched = WatchedFile { path: path.clone(), seen };
                (read(path)?, 1, Some(watched))
            }
        };
        Ok(KeyRing {
            current: RwLock::new(Arc::new(Current { keys, generation })),
            file,
            wanted: Arc::default(),
            loaded: Notify::new(),
            checks: Pace::new(),
            rereads: Pace::new(),
        })
    }

    pub(super) fn current(&self) -> Arc<Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn replace(&self, keys: KeySet) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let generation = current.generation + 1;
        *current = Arc::new(Current { keys, generation });
        drop(current);
        self.loaded.notify_waiters();
    }

    /// Reads a changed key file, looking at most once a second. Costs one atomic load otherwise.
    pub(super) fn refresh(&self) {
        let Some(file) = &self.file else { return };
        if !self.checks.permits() {
            return;
        }
        let found = stamp(&file.path);
        let mut seen = file.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if found.is_some() && found != *seen {
            self.reread(file);
            *seen = found;
        }
    }

    /// Looks for a key that nobody has seen yet; at most once a second for a file, in the background for a URL.
    /// Returns whether there may be new keys now.
    pub(super) fn look_for_new_keys(&self) -> bool {
        self.wanted.notify_one();
        // A file with the same stamp can still have new content: stamps are as coarse as the file system makes them.
        match &self.file {
            Some(file) if self.rereads.permits() => self.reread(file),
            _ => false,
        }
    }

    fn reread(&self, file: &WatchedFile) -> bool {
        match read(&file.path) {
            Ok(keys) => {
                self.replace(keys);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the key file cannot be read, keeping the last known keys");
                false
            }
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len(), meta.ino()))
}

fn read(path: &Path) -> Result<KeySet, KeyError> {
    let document = fs::read_to_string(path)
        .map_err(|source| KeyError::File { path: path.to_owned(), source })?;
    KeySet::parse(&document)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    fn parse(keys: &str) -> Result<KeySet, KeyError> {
        KeySet::parse(&format!(r#"{{"keys":[{keys}]}}"#))
    }

    #[test]
    fn g10_keys_that_cannot_verify_safely_are_left_out() {
        let short_rsa =
            format!(r#"{{"kty":"RSA","kid":"b","n":"{}","e":"AQAB"}}"#, "A".repeat(171));
        let secret = r#"{"kty":"oct","kid":"c","k":"c2VjcmV0"}"#;
        let encryption = ED.replace(r#""kid":"a""#, r#""kid":"d","use":"enc""#);
        let other_algorithm = ED.replace(r#""kid":"a""#, r#""kid":"e","alg":"ES256""#);
        let set = parse(&format!("{ED},{short_rsa},{secret},{encryption},{other_algorithm},7"));
        let set = set.unwrap();
        assert_eq!(set.keys.len(), 1);
        assert!(set.select(Some("a")).is_some());
        assert!(matches!(parse(secret), Err(KeyError::NoUsableKey)));
        assert!(matches!(KeySet::parse("[]"), Err(KeyError::NotJwks(_))));
    }

    #[test]
    fn g10_a_token_without_key_id_fits_only_where_there_is_no_choice() {
        assert!(parse(ED).unwrap().select(None).is_some());
        let two = format!("{ED},{}", ED.replace(r#""kid":"a""#, r#""kid":"b""#));
        assert!(parse(&two).unwrap().select(None).is_none());
    }
}
