//! Making tokens, for development, tests and the contexts' own calls where there is no identity provider.

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use kefu_clock::SharedClock;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::keys::{KeyError, KeySource};
use crate::Caller;
use crate::caller::is_subject;

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// There is nobody to make a token for.
    #[error("an anonymous caller has no token")]
    Anonymous,
    /// Nobody would believe a token for this subject.
    #[error(
        "a subject has 1 to 256 visible characters and does not begin with `system/` or `anonymous`"
    )]
    BadSubject,
    /// The life time leads out of the calendar or is not positive.
    #[error("the life time of a token must be positive and end before the year 10000")]
    BadLifetime,
    /// Signing failed.
    #[error("signing the token: {0}")]
    Signing(#[from] jsonwebtoken::errors::Error),
}

/// A small identity provider with one Ed25519 key.
///
/// `kefu up` runs on it, `kefu token` and the tests mint with it. It takes the time from the same clock as the
/// [`crate::Authenticator`], so its tokens are valid in whatever year a test or a replay plays.
pub struct Minter {
    signing: EncodingKey,
    public: [u8; 32],
    key_id: String,
    issuer: String,
    audience: String,
    clock: SharedClock,
}

impl Minter {
    /// A minter with a new key that is kept nowhere.
    ///
    /// # Errors
    /// Does not happen with a key just made; the encoding library says it could.
    pub fn generate(
        issuer: impl Into<String>,
        audience: impl Into<String>,
        clock: SharedClock,
    ) -> Result<Minter, KeyError> {
        Minter::from_key(&new_key(), issuer.into(), audience.into(), clock)
    }

    /// A minter with the key in a file (PKCS#8 PEM, mode 0600), made on first use.
    ///
    /// Processes that start at the same time end up with the same key.
    ///
    /// # Errors
    /// When the file cannot be written or read, or is not an Ed25519 key.
    pub fn load_or_generate(
        path: &Path,
        issuer: impl Into<String>,
        audience: impl Into<String>,
        clock: SharedClock,
    ) -> Result<Minter, KeyError> {
        if !path.exists() {
            write_new_key(path)?;
        }
        Minter::load(path, issuer, audience, clock)
    }

    /// A minter with the key in an existing file.
    ///
    /// # Errors
    /// When the file cannot be read or is not an Ed25519 key.
    pub fn load(
        path: &Path,
        issuer: impl Into<String>,
        audience: impl Into<String>,
        clock: SharedClock,
    ) -> Result<Minter, KeyError> {
        let pem = fs::read_to_string(path).map_err(file_error(path))?;
        let mode = fs::metadata(path).map_err(file_error(path))?.permissions().mode();
        if mode & 0o077 != 0 {
            tracing::warn!(path = %path.display(), "others can read this private key");
        }
        let key = SigningKey::from_pkcs8_pem(&pem).map_err(|_| KeyError::NotPrivateKey)?;
        Minter::from_key(&key, issuer.into(), audience.into(), clock)
    }

    fn from_key(
        key: &SigningKey,
        issuer: String,
        audience: String,
        clock: SharedClock,
    ) -> Result<Minter, KeyError> {
        let der = key.to_pkcs8_der().map_err(|_| KeyError::NotPrivateKey)?;
        let public = key.verifying_key().to_bytes();
        let signing = EncodingKey::from_ed_der(der.as_bytes());
        Ok(Minter { signing, public, key_id: thumbprint(&public), issuer, audience, clock })
    }

    /// A token for a caller, valid from now for `lifetime`.
    ///
    /// # Errors
    /// For an anonymous caller, a subject that is none, and a life time that is not positive or too long.
    pub fn mint(&self, caller: &Caller, lifetime: SignedDuration) -> Result<String, MintError> {
        let staff = caller.as_staff().ok_or(MintError::Anonymous)?;
        if !is_subject(&staff.subject) {
            return Err(MintError::BadSubject);
        }
        let now = self.clock.now();
        if !lifetime.is_positive() {
            return Err(MintError::BadLifetime);
        }
        let expires = now.checked_add(lifetime).map_err(|_| MintError::BadLifetime)?;
        let claims = json!({
            "iss": self.issuer,
            "aud": self.audience,
            "sub": &*staff.subject,
            "org_unit": staff.org_unit,
            "roles": staff.roles.iter().collect::<Vec<_>>(),
            "iat": now.as_second(),
            // Rounded up: a token for less than a second is not born dead.
            "exp": expires.as_second() + i64::from(expires.subsec_nanosecond() > 0),
        });
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(Algorithm::EdDSA) };
        Ok(jsonwebtoken::encode(&header, &claims, &self.signing)?)
    }

    /// The public key as a JWKS document, for an [`crate::Authenticator`].
    pub fn jwks(&self) -> String {
        let key = json!({
            "kty": "OKP",
            "crv": "Ed25519",
            "alg": "EdDSA",
            "use": "sig",
            "kid": self.key_id,
            "x": URL_SAFE_NO_PAD.encode(self.public),
        });
        json!({ "keys": [key] }).to_string()
    }

    /// The public key as a source for an [`crate::Authenticator`] in the same process.
    pub fn key_source(&self) -> KeySource {
        KeySource::Fixed(self.jwks())
    }

    /// Writes the JWKS document to a file; a reader sees the old or the new one, never a part.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_jwks(&self, path: &Path) -> Result<(), KeyError> {
        let beside = beside(path);
        fs::write(&beside, self.jwks()).map_err(file_error(&beside))?;
        fs::rename(&beside, path).map_err(file_error(path))
    }

    /// The issuer that the tokens name.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The audience that the tokens name.
    pub fn audience(&self) -> &str {
        &self.audience
    }
}

impl fmt::Debug for Minter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minter").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

fn new_key() -> SigningKey {
    SigningKey::from_bytes(&kefu_clock::random_bytes::<32>())
}

/// Writes a new private key unless there is one by then.
fn write_new_key(path: &Path) -> Result<(), KeyError> {
    let pem = new_key().to_pkcs8_pem(LineEnding::LF).map_err(|_| KeyError::NotPrivateKey)?;
    let beside = beside(path);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .map_err(file_error(&beside))?;
    let written = file.write_all(pem.as_bytes()).and_then(|()| file.sync_all());
    // Linking fails where a file is already, so of several processes exactly one key wins, and it is whole.
    let linked = written.and_then(|()| fs::hard_link(&beside, path));
    fs::remove_file(&beside).map_err(file_error(&beside))?;
    match linked {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        result => result.map_err(file_error(path)),
    }
}

/// A name in the same directory that nobody else uses.
fn beside(path: &Path) -> PathBuf {
    let unique = URL_SAFE_NO_PAD.encode(kefu_clock::random_bytes::<12>());
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{unique}.tmp"));
    path.with_file_name(name)
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> KeyError + use<> {
    let path = path.to_owned();
    move |source| KeyError::File { path, source }
}

/// The key's id: its thumbprint (RFC 7638), so that the same key has the same id everywhere.
fn thumbprint(public: &[u8; 32]) -> String {
    let x = URL_SAFE_NO_PAD.encode(public);
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(canonical.as_bytes()))
}
