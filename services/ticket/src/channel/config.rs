//! The operator's file: where the channel adapters lead, and by which keys (T-14).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::message::Mailbox;
use serde::Deserialize;

use super::addresses::{AddressBook, Addresses};
use super::mail::Mail;
use super::webhook::Webhook;
use super::{Channel, Channels};
use crate::domain::NoticeTo;

/// Bounds of the time for one attempt, in milliseconds.
const TIMEOUT: std::ops::RangeInclusive<u64> = 10..=120_000;
const ORDINARY_TIMEOUT: u64 = 15_000;
/// The shortest key of a signature: as long as its hash's half.
const SHORTEST_SECRET: usize = 16;
/// The largest file that is read.
const MAX_FILE: u64 = 1024 * 1024;
pub(super) const MAX_RECIPIENTS: usize = 50;

/// What is wrong with the file; never tells a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It says what cannot be.
    #[error("{path}: {}", faults.join("; "))]
    Faults {
        /// Which file.
        path: PathBuf,
        /// Everything that is wrong.
        faults: Vec<String>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    adapters: BTreeMap<String, AdapterConfig>,
    #[serde(default)]
    recipients: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    addresses: AddressBook,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdapterConfig {
    smtp: Option<SmtpConfig>,
    webhook: Option<WebhookConfig>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tls {
    /// From the first byte.
    Implicit,
    /// Before anything is said: STARTTLS.
    #[serde(rename = "starttls")]
    Upgraded,
    /// None at all.
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SmtpConfig {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Tls,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) from: String,
    pub(super) timeout_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookConfig {
    pub(super) url: String,
    pub(super) secrets: Vec<String>,
    #[serde(default)]
    pub(super) plain_text: bool,
    pub(super) timeout_ms: Option<u64>,
}

impl Channels {
    /// The channels of the operator's file; none without a file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let unreadable = |error| ConfigError::Read { path: path.to_owned(), error };
        if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_FILE {
            let faults = vec!["is too large".to_owned()];
            return Err(ConfigError::Faults { path: path.to_owned(), faults });
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text).map_err(|faults| ConfigError::Faults { path: path.to_owned(), faults })
    }

    pub(super) fn parse(text: &str) -> Result<Self, Vec<String>> {
        let file: File = serde_yaml_ng::from_str(text).map_err(|error| {
            // The error of a wrong value may quote it; where it stands is enough.
            let place = error.location().map(|at| (at.line(), at.column()));
            vec![match place {
                Some((line, column)) => {
                    format!("line {line}, column {column}: is not as documented")
                }
                None => "is not as documented".to_owned(),
            }]
        })?;
        let mut faults = Vec::new();
        let mut channels = BTreeMap::new();
        for (code, adapter) in file.adapters {
            let built = match (adapter.smtp, adapter.webhook) {
                (Some(smtp), None) => mail(smtp).map(|mail| Channel::Mail(Box::new(mail))),
                (None, Some(hook)) => webhook(hook).map(Channel::Webhook),
                _ => Err("must have either smtp or webhook".to_owned()),
            };
            match built {
                Ok(channel) => _ = channels.insert(code, channel),
                Err(fault) => faults.push(format!("adapters.{code}: {fault}")),
            }
        }
        for (list, recipients) in &file.recipients {
            if recipients.is_empty() || recipients.len() > MAX_RECIPIENTS {
                faults.push(format!("recipients.{list}: must be 1 to {MAX_RECIPIENTS}"));
            }
            if NoticeTo::RESERVED.contains(&list.as_str()) {
                faults.push(format!("recipients.{list}: is whoever that is; see `addresses`"));
            }
        }
        let addresses = Addresses::check(file.addresses, &channels, &mut faults);
        if faults.is_empty() {
            Ok(Self { channels, recipients: file.recipients, addresses })
        } else {
            Err(faults)
        }
    }
}

fn timeout(milliseconds: Option<u64>) -> Result<Duration, String> {
    let milliseconds = milliseconds.unwrap_or(ORDINARY_TIMEOUT);
    if TIMEOUT.contains(&milliseconds) {
        Ok(Duration::from_millis(milliseconds))
    } else {
        Err(format!("timeout_ms must be {} to {}", TIMEOUT.start(), TIMEOUT.end()))
    }
}

fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn mail(config: SmtpConfig) -> Result<Mail, String> {
    let timeout = timeout(config.timeout_ms)?;
    let from: Mailbox = config.from.parse().map_err(|_| "from must be a mail address")?;
    if config.username.is_some() != config.password.is_some() {
        return Err("username and password go together".to_owned());
    }
    if config.tls == Tls::None && config.username.is_some() && !is_this_machine(&config.host) {
        return Err("a password needs tls: implicit or starttls".to_owned());
    }
    Mail::new(config, from, timeout)
}

fn webhook(config: WebhookConfig) -> Result<Webhook, String> {
    let timeout = timeout(config.timeout_ms)?;
    let url = reqwest::Url::parse(&config.url).map_err(|_| "url must be a URL")?;
    let here = url.host_str().is_some_and(is_this_machine);
    match url.scheme() {
        "https" => {}
        "http" if here || config.plain_text => {}
        "http" => return Err("url must be https, or plain_text: true".to_owned()),
        _ => return Err("url must be https".to_owned()),
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("url must have no user and no fragment".to_owned());
    }
    if config.secrets.is_empty() || config.secrets.len() > 3 {
        return Err("secrets must be 1 to 3".to_owned());
    }
    let mut keys = Vec::new();
    for secret in &config.secrets {
        let key = secret.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
        let key = key.filter(|key| key.len() >= SHORTEST_SECRET);
        keys.push(key.ok_or("secrets must be `whsec_` and base64 of at least 16 bytes")?);
    }
    Webhook::new(url, keys, timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn faults(text: &str) -> String {
        Channels::parse(text).unwrap_err().join("; ")
    }

    #[test]
    fn t14_the_operators_file_is_checked_and_its_faults_tell_no_secret() {
        let text = format!(
            "adapters:\n  a:\n    webhook: {{url: 'http://partner.example/x', secrets: ['{SECRET}']}}\n  \
             b:\n    webhook: {{url: 'https://partner.example/x', secrets: ['hunter2']}}\n  \
             c:\n    smtp: {{host: mx.example, port: 25, tls: none, username: u, password: hunter2, from: a@b.cn}}\n  \
             d: {{}}\nrecipients: {{night: []}}\n"
        );
        let told = faults(&text);
        for part in [
            "adapters.a: url must be https",
            "adapters.b: secrets",
            "adapters.c: a password",
            "adapters.d: must have either",
            "recipients.night",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("hunter2") && !told.contains(SECRET), "{told}");
        let wrong = faults(
            "adapters: {a: {smtp: {host: x, port: 25, tls: none, from: a@b.cn, password: [hunter2]}}}",
        );
        assert!(!wrong.contains("hunter2"), "{wrong}");
        let unknown = faults("adapters: {}\nsecret: hunter2\n");
        assert!(!unknown.contains("hunter2"), "{unknown}");
    }

    #[test]
    fn t14_what_is_printed_of_the_channels_is_their_kind() {
        let text = format!(
            "adapters: {{a: {{webhook: {{url: 'https://partner.example/token-123', secrets: ['{SECRET}']}}}}}}"
        );
        let channels = Channels::parse(&text).unwrap();
        assert_eq!(format!("{:?}", channels.channels), r#"{"a": webhook}"#);
    }
}
