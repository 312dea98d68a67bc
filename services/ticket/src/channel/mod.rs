//! The ways out of this system: mail by SMTP and signed webhooks (T-14, T-26).
//!
//! Where they lead is the operator's configuration and never a request's or a policy's: nobody can make this service call
//! an address of his choice. One attempt is bounded in time and in what is read of the answer; whoever hangs, refuses,
//! redirects or answers without end is noted and tried again, see [`Delivery`](crate::domain::Delivery).

mod addresses;
mod config;
mod mail;
mod webhook;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use self::addresses::Addresses;
pub use self::config::ConfigError;
use self::mail::Mail;
use self::webhook::Webhook;
use crate::domain::{AdapterKind, Addressee, Attempted, DeliveryContent};

/// The longest error of another system that is kept, in characters.
const MAX_ERROR: usize = 500;
/// The longest name of another system for something, in characters.
const MAX_PROVIDER_ID: usize = 200;

/// The channels of this process, by the code of their adapter, and the operator's lists of recipients.
#[derive(Debug, Default)]
pub struct Channels {
    channels: BTreeMap<String, Channel>,
    recipients: BTreeMap<String, Vec<String>>,
    addresses: Addresses,
}

/// One way out.
enum Channel {
    Mail(Box<Mail>),
    Webhook(Webhook),
}

impl fmt::Debug for Channel {
    /// Leaves out where it leads and by which keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().code())
    }
}

impl Channel {
    fn kind(&self) -> AdapterKind {
        match self {
            Self::Mail(_) => AdapterKind::Mail,
            Self::Webhook(_) => AdapterKind::Webhook,
        }
    }

    fn timeout(&self) -> Duration {
        match self {
            Self::Mail(mail) => mail.timeout(),
            Self::Webhook(webhook) => webhook.timeout(),
        }
    }
}

/// What is to be sent, the same in every attempt but for the time.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    /// By which a receiver knows it again.
    pub(crate) id: Uuid,
    pub(crate) ticket: String,
    pub(crate) ticket_number: String,
    pub(crate) content: DeliveryContent,
    /// To whom; for a notice, a list of the operator's configuration.
    pub(crate) recipient: String,
    pub(crate) subject: String,
    pub(crate) body: String,
    pub(crate) created_at: Timestamp,
    /// Whether the system wrote it by itself.
    pub(crate) automatic: bool,
    /// When this attempt is made.
    pub(crate) now: Timestamp,
}

impl Channels {
    /// The codes of the adapters that this process knows.
    pub(crate) fn codes(&self) -> impl Iterator<Item = &str> {
        self.channels.keys().map(String::as_str)
    }

    /// How long an attempt may take.
    pub(crate) fn timeout(&self, adapter: &str) -> Duration {
        self.channels.get(adapter).map(Channel::timeout).unwrap_or_default()
    }

    /// Where a notice goes. Whoever has no address will have none a minute later, so that is parked at once, where an operator
    /// sees it.
    fn staff(&self, adapter: &str, recipient: &str) -> Result<&[String], Attempted> {
        let Ok(addressee) = recipient.parse::<Addressee>();
        let unknown = |who: &str| Attempted::Refused {
            error: format!("this service's configuration has no address of {who} for the adapter"),
        };
        match &addressee {
            Addressee::List(list) => {
                self.recipients.get(list).map(Vec::as_slice).ok_or_else(|| Attempted::Failed {
                    error: "this service has no configuration for the list of recipients"
                        .to_owned(),
                    after: None,
                })
            }
            Addressee::Staff(subject) => {
                let found = self.addresses.of_staff(adapter, subject);
                found.ok_or_else(|| unknown(&format!("staff {subject}")))
            }
            Addressee::Level { level, org_unit } => {
                let found = self.addresses.of_level(adapter, *level, org_unit);
                found.ok_or_else(|| unknown(&format!("level {} of {org_unit}", level.number())))
            }
        }
    }

    /// One attempt, bounded in time.
    pub(crate) async fn send(
        &self,
        adapter: &str,
        kind: AdapterKind,
        parcel: &Parcel,
    ) -> Attempted {
        let Some(channel) = self.channels.get(adapter) else {
            let error = "this service has no configuration for the channel adapter";
            return Attempted::Failed { error: error.to_owned(), after: None };
        };
        if channel.kind() != kind {
            let error = format!("the channel adapter is configured as {}", channel.kind());
            return Attempted::Failed { error, after: None };
        }
        let to = match parcel.content {
            // Looked up now, so that a list or an address that was mended is what a retry goes by.
            DeliveryContent::Notice => match self.staff(adapter, &parcel.recipient) {
                Ok(to) => to,
                Err(unknown) => return unknown,
            },
            _ => std::slice::from_ref(&parcel.recipient),
        };
        let attempt = async {
            match channel {
                Channel::Mail(mail) => mail.send(parcel, to).await,
                Channel::Webhook(webhook) => webhook.send(parcel, to).await,
            }
        };
        match tokio::time::timeout(channel.timeout(), attempt).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let milliseconds = channel.timeout().as_millis();
                let error = format!("no answer within {milliseconds} ms");
                Attempted::Failed { error, after: None }
            }
        }
    }
}

/// Words of another system: on one line, without what a terminal or a page would take for more than text, and bounded.
fn foreign_words(text: &str, most: usize) -> String {
    let mut words = String::new();
    let mut count = 0;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        for c in word.chars().filter(|c| !is_deceiving(*c)) {
            if count == most {
                return words.trim_end().to_owned();
            }
            words.push(c);
            count += 1;
        }
        if !words.is_empty() && !words.ends_with(' ') && count < most {
            words.push(' ');
            count += 1;
        }
    }
    words.trim_end().to_owned()
}

/// Marks that let a text read differently from what it says.
fn is_deceiving(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t14_words_of_others_are_one_bounded_line() {
        let told = foreign_words("550\r\n  5.1.1 \u{1b}[31mno\u{202e} such\tuser 没有此人", 30);
        assert_eq!(told, "550 5.1.1 [31mno such user 没有此");
        assert_eq!(foreign_words(&"长".repeat(1_000), 500).chars().count(), 500);
        assert_eq!(foreign_words("\u{7}\n", 10), "");
    }
}
