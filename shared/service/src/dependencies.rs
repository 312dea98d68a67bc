//! What a context is given.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use kefu_clock::{IdSource, SharedClock};
use kefu_identity::{
    Action, Authenticator, AuthenticatorOptions, Authorizer, BESIDE_METHODS, ClaimNames,
    DEFAULT_PERMISSIONS, KeySource, Minter,
};
use kefu_journal::Upstream;
use kefu_postgres::PgSettings;
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config::IdentityConfig;
use crate::{Context, Peers, ServiceClock, ServiceConfig, ServiceToken};

/// Everything that a context needs from outside. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dependencies {
    /// The context's database; `None` for a service without one. See [`Dependencies::pool`].
    pub database: Option<PgPool>,
    /// The time.
    pub clock: ServiceClock,
    /// Ids by that clock.
    pub ids: Arc<IdSource>,
    /// Whom to believe.
    pub authenticator: Arc<Authenticator>,
    /// What is permitted.
    pub authorizer: Arc<Authorizer>,
    /// The ways to the other contexts.
    pub peers: Peers,
    /// The service's own token, for calls in its own name.
    pub token: ServiceToken,
    /// To be notified (`notify_one`) after commits that wrote to the journal; what the context's `Tail` waits for.
    pub wake: Arc<Notify>,
    /// The operator's file with the ways out of this system, for a context that sends (T-14); `None` where nothing is sent.
    pub delivery_file: Option<PathBuf>,
    /// Where a context keeps files (T-01): a directory, or `s3://bucket/prefix`; `None` where it takes none.
    pub attachment_store: Option<String>,
    /// Cancelled when the service is told to stop. Belongs to this service alone.
    pub shutdown: CancellationToken,
}

impl Dependencies {
    /// What the settings say. Connects to nothing yet. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn from_config<C: Context>(config: &ServiceConfig) -> anyhow::Result<Dependencies> {
        let clock = ServiceClock::from(config.clock);
        let database = if C::migrators().is_empty() {
            None
        } else {
            let url = config.database.database_url.as_deref();
            let url = url.context("a database is needed: KEFU_DATABASE_URL")?;
            let settings = PgSettings {
                application_name: format!("kefu-{}", C::NAME),
                max_connections: config.database.pool_size,
                ..PgSettings::new(url)
            };
            let pool = kefu_postgres::connect(&settings).context("KEFU_DATABASE_URL")?;
            kefu_postgres::observe_pool(&pool, C::NAME);
            Some(pool)
        };
        let identity = &config.identity;
        let shared = clock.shared();
        Ok(Dependencies {
            database,
            ids: Arc::new(IdSource::new(clock.shared())),
            authenticator: Arc::new(authenticator(identity, clock.shared())?),
            authorizer: Arc::new(authorizer(identity)?),
            peers: Peers::from_config(&config.peers)?,
            token: service_token(identity, C::NAME, shared)?,
            wake: Arc::default(),
            delivery_file: config.delivery_file.clone(),
            attachment_store: config.attachment_store.clone(),
            shutdown: CancellationToken::new(),
            clock,
        })
    }

    /// The context's database.
    ///
    /// # Errors
    /// When the service was started without one.
    pub fn pool(&self) -> anyhow::Result<&PgPool> {
        self.database.as_ref().context("this service was started without a database")
    }

    /// The time as everybody but the ClockService sees it.
    pub fn clock(&self) -> SharedClock {
        self.clock.shared()
    }

    /// The event feed of another context, called with the service's own token.
    ///
    /// # Errors
    /// When the way to that context is not known.
    pub fn feed_of(&self, context: &str) -> anyhow::Result<Upstream> {
        let token = self.token.clone();
        Ok(Upstream::new(self.peers.get(context)?, Arc::new(move |metadata| token.sign(metadata))))
    }
}

/// An authenticator as the settings say: keys from a JWKS file or URL, or those of the development key.
///
/// # Errors
/// When there are no keys, or none that can be used.
pub fn authenticator(config: &IdentityConfig, clock: SharedClock) -> anyhow::Result<Authenticator> {
    let source = match (&config.jwks_file, &config.jwks_url, &config.dev_key_file) {
        (Some(path), ..) => KeySource::File(path.clone()),
        (None, Some(url), _) => KeySource::Url(url.clone()),
        (None, None, Some(_)) => dev_minter(config, Arc::clone(&clock))?
            .context("there is a development key")?
            .key_source(),
        (None, None, None) => anyhow::bail!(
            "keys to check tokens with are needed: KEFU_JWKS_FILE, KEFU_JWKS_URL or, for development, KEFU_DEV_KEY_FILE"
        ),
    };
    let options = AuthenticatorOptions {
        claims: ClaimNames {
            org_unit: config.claim_org_unit.clone(),
            roles: config.claim_roles.clone(),
        },
        ..AuthenticatorOptions::new(&config.issuer, &config.audience)
    };
    Ok(Authenticator::new(options, source, clock)?)
}

/// An authorizer as the settings say, checked against all methods that there are.
///
/// # Errors
/// Every fault of the permissions.
pub fn authorizer(config: &IdentityConfig) -> anyhow::Result<Authorizer> {
    let actions = actions();
    let actions = actions.iter().map(String::as_str);
    Ok(match &config.permissions_file {
        None => Authorizer::from_policy_text_for(DEFAULT_PERMISSIONS, actions)?,
        Some(path) => Authorizer::from_policy_text_for(&Authorizer::read(path)?, actions)
            .with_context(|| path.display().to_string())?,
    })
}

/// Every method that permissions may name, `ticket.CreateTicket` and so on, and what they may name beside methods.
pub fn actions() -> Vec<String> {
    kefu_api::descriptor_pool()
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .filter_map(|method| {
            let service = method.parent_service().full_name().to_owned();
            Action::name_of_path(&format!("/{service}/{}", method.name()))
        })
        .chain(BESIDE_METHODS.map(str::to_owned))
        .collect()
}

fn service_token(
    config: &IdentityConfig,
    service: &str,
    clock: SharedClock,
) -> anyhow::Result<ServiceToken> {
    if let Some(path) = &config.service_token_file {
        return Ok(ServiceToken::from_file(path.clone()));
    }
    match dev_minter(config, Arc::clone(&clock))? {
        Some(minter) => Ok(ServiceToken::minted(minter, service, clock)?),
        None => Ok(ServiceToken::none()),
    }
}

fn dev_minter(config: &IdentityConfig, clock: SharedClock) -> anyhow::Result<Option<Minter>> {
    let Some(path) = &config.dev_key_file else { return Ok(None) };
    let minter = Minter::load_or_generate(path, &config.issuer, &config.audience, clock)?;
    Ok(Some(minter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x07_the_default_permissions_name_only_methods_that_exist() {
        let actions = actions();
        assert!(actions.iter().any(|action| action == "ticket.CreateTicket"));
        let actions = actions.iter().map(String::as_str);
        Authorizer::from_policy_text_for(DEFAULT_PERMISSIONS, actions).unwrap();
    }

    #[test]
    fn x07_every_method_has_a_group_or_is_named_in_the_default_permissions() {
        for name in actions() {
            let action = Action::parse(&name).unwrap();
            let whole_context = matches!(action.context(), "feed" | "clock");
            let named = DEFAULT_PERMISSIONS.contains(&format!("\"{name}\""));
            assert!(whole_context || named || action.group().is_some(), "nobody may {name}");
        }
    }
}
