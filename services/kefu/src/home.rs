//! The data directory of `kefu up`: where everything that survives a stop is kept.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use kefu_clock::SharedClock;
use kefu_identity::Minter;
use kefu_service::IdentityConfig;

/// The issuer of the tokens that are made here, the same as the services' default.
pub const ISSUER: &str = "https://kefu.localhost";

/// Whom they are for, the same as the services' default.
pub const AUDIENCE: &str = "kefu";

/// A data directory.
#[derive(Clone, Debug)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The directory at `root`, made when it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(root: &Path) -> anyhow::Result<Home> {
        // Others may look for the cluster in it, which has its own protection; secrets are files of mode 0600.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(root)
            .with_context(|| format!("making the data directory {}", root.display()))?;
        let root = fs::canonicalize(root).with_context(|| root.display().to_string())?;
        Ok(Home { root })
    }

    /// Where the private Postgres lives.
    pub fn postgres(&self) -> PathBuf {
        self.root.join("postgres")
    }

    /// The private key of the small identity provider.
    pub fn key(&self) -> PathBuf {
        self.root.join("dev-key.pem")
    }

    /// Where the bytes of attachments are, unless it is said otherwise.
    pub fn attachments(&self, otherwise: Option<&str>) -> String {
        let here = || self.root.join("attachments").display().to_string();
        otherwise.map_or_else(here, ToOwned::to_owned)
    }

    /// The public key, for whoever wants to check tokens.
    pub fn jwks(&self) -> PathBuf {
        self.root.join("jwks.json")
    }

    /// The token for whoever sits at this machine.
    pub fn token(&self) -> PathBuf {
        self.root.join("token")
    }

    /// What the demonstration has loaded.
    pub fn demo(&self) -> PathBuf {
        self.root.join("demo.json")
    }

    /// The identity provider of this directory, its key made on first use.
    ///
    /// # Errors
    /// When the key cannot be made or read.
    pub fn minter(&self, clock: SharedClock) -> anyhow::Result<Minter> {
        let minter = Minter::load_or_generate(&self.key(), ISSUER, AUDIENCE, clock)?;
        minter.write_jwks(&self.jwks())?;
        Ok(minter)
    }

    /// The settings by which a service believes the tokens of this directory.
    pub fn identity(&self) -> IdentityConfig {
        dev_identity(self.key())
    }
}

/// The settings by which a service believes the tokens made with a private key, and makes its own with it.
pub fn dev_identity(key: PathBuf) -> IdentityConfig {
    IdentityConfig {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        jwks_file: None,
        jwks_url: None,
        claim_org_unit: "org_unit".to_owned(),
        claim_roles: "roles".to_owned(),
        permissions_file: None,
        service_token_file: None,
        dev_key_file: Some(key),
    }
}

/// Writes a secret so that nobody else can read it, replacing what was there.
///
/// # Errors
/// When it cannot be written.
pub fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let beside = path.with_extension("tmp");
    let write = || {
        // A leftover might have another mode.
        fs::remove_file(&beside).ok();
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&beside, path)
    };
    write().with_context(|| format!("writing {}", path.display()))
}
