//! What a service is told when it starts.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use kefu_clock::{ManualClock, SharedClock, SystemClock};
use kefu_telemetry::{LogFormat, TelemetryConfig};

/// Settings of a service, from the command line or the environment.
#[derive(Clone, Debug, Args)]
pub struct ServiceConfig {
    /// Address to serve gRPC on.
    #[arg(long, env = "KEFU_LISTEN", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 50051)))]
    pub listen: SocketAddr,

    /// How long running calls may take to finish when the service is told to stop, e.g. `30s`.
    #[arg(long, env = "KEFU_DRAIN_TIMEOUT", default_value = "30s", value_parser = parse_duration)]
    pub drain_timeout: Duration,

    /// `system`, or `manual:2011-10-30T18:40:00Z` for a clock that stands there until it is set (tests and replays
    /// only: whoever may call kefu.clock.v1.ClockService moves it).
    #[arg(long, env = "KEFU_CLOCK", default_value = "system")]
    pub clock: ClockSetting,

    /// The database and how it is used.
    #[command(flatten)]
    pub database: DatabaseConfig,

    /// Whose tokens are believed and what they permit.
    #[command(flatten)]
    pub identity: IdentityConfig,

    /// Where the other contexts are.
    #[command(flatten)]
    pub peers: PeerConfig,

    /// File with the ways out of this system: mail servers, webhooks, their keys (see deploy/delivery/example.yaml). Only the
    /// ticket context sends; without a file nothing is sent.
    #[arg(long, env = "KEFU_DELIVERY_FILE")]
    pub delivery_file: Option<PathBuf>,

    /// Where the bytes of attachments are: a directory, or `s3://bucket/prefix` with key, region and endpoint in the usual
    /// `AWS_` variables. Only the ticket context takes files; without this it refuses them.
    #[arg(long, env = "KEFU_ATTACHMENT_STORE")]
    pub attachment_store: Option<String>,

    /// Logs, traces, metrics.
    #[command(flatten)]
    pub telemetry: TelemetrySettings,
}

/// The database of a context. The gateway has none.
#[derive(Clone, Default, Args)]
pub struct DatabaseConfig {
    /// Postgres as the context's application role: postgres://kefu_ticket:…@host/kefu.
    #[arg(long, env = "KEFU_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,

    /// Postgres as the owner of the context's schema, directly and not through PgBouncer. If given, the service
    /// migrates when it starts; if not, it waits until somebody else has (`kefu migrate`).
    #[arg(long, env = "KEFU_MIGRATION_DATABASE_URL", hide_env_values = true)]
    pub migration_database_url: Option<String>,

    /// The most connections to Postgres.
    #[arg(long, env = "KEFU_POOL_SIZE", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub pool_size: u32,
}

/// Whose tokens are believed (G-10) and what they permit.
#[derive(Clone, Debug, Args)]
pub struct IdentityConfig {
    /// The issuer (`iss`) of the tokens that are accepted.
    #[arg(long, env = "KEFU_ISSUER", default_value = "https://kefu.localhost")]
    pub issuer: String,

    /// The audience (`aud`) that a token must be for.
    #[arg(long, env = "KEFU_AUDIENCE", default_value = "kefu")]
    pub audience: String,

    /// File with the issuer's public keys (JWKS); read again when it changes.
    #[arg(long, env = "KEFU_JWKS_FILE", conflicts_with = "jwks_url")]
    pub jwks_file: Option<PathBuf>,

    /// URL of the issuer's public keys (JWKS); fetched in the background.
    #[arg(long, env = "KEFU_JWKS_URL")]
    pub jwks_url: Option<String>,

    /// The claim with the caller's org unit; dots lead into nested objects.
    #[arg(long, env = "KEFU_CLAIM_ORG_UNIT", default_value = "org_unit")]
    pub claim_org_unit: String,

    /// The claim with the caller's roles; dots lead into nested objects.
    #[arg(long, env = "KEFU_CLAIM_ROLES", default_value = "roles")]
    pub claim_roles: String,

    /// Cedar policies that say who may do what, instead of those compiled in.
    #[arg(long, env = "KEFU_PERMISSIONS_FILE")]
    pub permissions_file: Option<PathBuf>,

    /// File with the token by which this service calls the other contexts; read again when it changes.
    #[arg(long, env = "KEFU_SERVICE_TOKEN_FILE", conflicts_with = "dev_key_file")]
    pub service_token_file: Option<PathBuf>,

    /// Private key (Ed25519, PKCS#8 PEM) with which this service makes its own tokens and, if no JWKS is given,
    /// checks those of others. For development: `kefu up` and `kefu token` use it.
    #[arg(long, env = "KEFU_DEV_KEY_FILE")]
    pub dev_key_file: Option<PathBuf>,
}

/// Where the other contexts are.
#[derive(Clone, Debug, Default, Args)]
pub struct PeerConfig {
    /// Address of the customer context, e.g. `http://kefu-customer:50051`.
    #[arg(long, env = "KEFU_CUSTOMER_ADDRESS")]
    pub customer_address: Option<String>,

    /// Address of the ticket context.
    #[arg(long, env = "KEFU_TICKET_ADDRESS")]
    pub ticket_address: Option<String>,

    /// Address of the survey context.
    #[arg(long, env = "KEFU_SURVEY_ADDRESS")]
    pub survey_address: Option<String>,
}

impl PeerConfig {
    /// The contexts whose address is known, by name.
    pub fn addresses(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("customer", &self.customer_address),
            ("ticket", &self.ticket_address),
            ("survey", &self.survey_address),
        ]
        .into_iter()
        .filter_map(|(name, address)| Some((name, address.as_deref()?)))
    }
}

/// Logs, traces, metrics.
#[derive(Clone, Debug, Args)]
pub struct TelemetrySettings {
    /// Where an OpenTelemetry collector takes OTLP over gRPC; nothing is exported without it.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,

    /// How log lines look.
    #[arg(long, env = "KEFU_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// Which log lines are written, e.g. `info,kefu_ticket=debug`.
    #[arg(long, env = "KEFU_LOG", default_value = TelemetryConfig::DEFAULT_FILTER)]
    pub log_filter: String,
}

impl TelemetrySettings {
    /// The settings for a service of this name, such as `kefu-ticket`.
    pub fn for_service(&self, name: &str) -> TelemetryConfig {
        TelemetryConfig {
            otlp_endpoint: self.otlp_endpoint.clone().filter(|endpoint| !endpoint.is_empty()),
            log_format: self.log_format,
            filter: self.log_filter.clone(),
            ..TelemetryConfig::new(name)
        }
    }
}

impl fmt::Debug for DatabaseConfig {
    /// Leaves the URLs out: they hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseConfig").field("pool_size", &self.pool_size).finish_non_exhaustive()
    }
}

/// Which clock a service goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockSetting {
    /// The machine's.
    #[default]
    System,
    /// One that stands at this time until it is set.
    Manual(Timestamp),
}

/// The text is no clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `system` or `manual:` and a time like 2011-10-30T18:40:00Z")]
pub struct InvalidClock;

impl FromStr for ClockSetting {
    type Err = InvalidClock;

    fn from_str(text: &str) -> Result<Self, InvalidClock> {
        match text.split_once(':') {
            None if text == "system" => Ok(ClockSetting::System),
            Some(("manual", at)) => at.parse().map(ClockSetting::Manual).map_err(|_| InvalidClock),
            _ => Err(InvalidClock),
        }
    }
}

impl fmt::Display for ClockSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClockSetting::System => f.write_str("system"),
            ClockSetting::Manual(at) => write!(f, "manual:{at}"),
        }
    }
}

/// The clock of a process, with the handle that sets it if it is a manual one.
#[derive(Clone, Debug)]
pub struct ServiceClock {
    shared: SharedClock,
    manual: Option<ManualClock>,
}

impl ServiceClock {
    /// The clock as everybody else sees it.
    pub fn shared(&self) -> SharedClock {
        Arc::clone(&self.shared)
    }

    /// The clock to be set, `None` for the machine's.
    pub fn manual(&self) -> Option<&ManualClock> {
        self.manual.as_ref()
    }
}

impl From<ClockSetting> for ServiceClock {
    fn from(setting: ClockSetting) -> Self {
        match setting {
            ClockSetting::System => ServiceClock { shared: Arc::new(SystemClock), manual: None },
            ClockSetting::Manual(at) => ManualClock::new(at).into(),
        }
    }
}

impl From<ManualClock> for ServiceClock {
    fn from(clock: ManualClock) -> Self {
        ServiceClock { shared: Arc::new(clock.clone()), manual: Some(clock) }
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| "must be a duration like `30s` or `1m 30s`".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        config: ServiceConfig,
    }

    fn parse(args: &[&str]) -> Result<ServiceConfig, clap::Error> {
        let args = ["kefu-test"].into_iter().chain(args.iter().copied());
        Command::try_parse_from(args).map(|command| command.config)
    }

    #[test]
    fn x05_the_clock_is_the_machines_unless_told_otherwise() {
        assert_eq!(parse(&[]).unwrap().clock, ClockSetting::System);
        let manual = parse(&["--clock", "manual:2011-10-30T18:40:00Z"]).unwrap().clock;
        assert_eq!(manual.to_string().parse(), Ok(manual));
        assert!(ServiceClock::from(manual).manual().is_some());
        for wrong in ["manual", "manual:yesterday", "System", ""] {
            assert!(parse(&["--clock", wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn settings_that_exclude_each_other_are_refused() {
        assert!(parse(&["--jwks-file", "a", "--jwks-url", "b"]).is_err());
        assert!(parse(&["--service-token-file", "a", "--dev-key-file", "b"]).is_err());
        assert!(parse(&["--pool-size", "0"]).is_err());
        assert!(parse(&["--drain-timeout", "-1s"]).is_err());
        assert_eq!(parse(&["--drain-timeout", "1m"]).unwrap().drain_timeout.as_secs(), 60);
    }

    #[test]
    fn debugging_the_settings_prints_no_password() {
        let config = parse(&["--database-url", "postgres://kefu:s3cret@localhost/kefu"]).unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
