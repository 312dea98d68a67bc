//! To whom a notice to staff goes (T-07, T-26).

use std::{convert::Infallible, fmt, str::FromStr};

use super::word::{ReceiverLevel, Subject};

/// What a policy can name as the recipients of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeTo {
    /// A list of the operator's configuration.
    List(String),
    /// Whoever handles the ticket now.
    Owner,
    /// Whoever took it (T-02).
    FirstContactOwner,
    /// The receiver level that is to be told.
    ReceiverLevel,
    /// The top level of the whole company (T-15).
    Headquarters,
    /// The org unit to which the ticket was sent (T-11).
    TransferReceiver,
    /// Whoever sent it there.
    TransferSender,
}

impl NoticeTo {
    /// The names that no list of the operator's configuration can have.
    pub const RESERVED: [&'static str; 6] = [
        "owner",
        "first-contact-owner",
        "receiver-level",
        "headquarters",
        "transfer-receiver",
        "transfer-sender",
    ];

    /// Whether only the event of a transfer says who that is.
    #[must_use]
    pub const fn is_of_transfer(&self) -> bool {
        matches!(self, Self::TransferReceiver | Self::TransferSender)
    }
}

impl From<String> for NoticeTo {
    fn from(name: String) -> Self {
        match name.as_str() {
            "owner" => Self::Owner,
            "first-contact-owner" => Self::FirstContactOwner,
            "receiver-level" => Self::ReceiverLevel,
            "headquarters" => Self::Headquarters,
            "transfer-receiver" => Self::TransferReceiver,
            "transfer-sender" => Self::TransferSender,
            _ => Self::List(name),
        }
    }
}

/// Who that is for one notice. Where they are reached is the operator's configuration, looked up when it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addressee {
    /// A list of the operator's configuration.
    List(String),
    /// A member of the staff.
    Staff(Subject),
    /// A receiver level of an org unit.
    Level {
        /// The level.
        level: ReceiverLevel,
        /// The ticket's org unit.
        org_unit: String,
    },
}

impl fmt::Display for Addressee {
    /// As it is stored; a list's name has no colon.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(name) => f.write_str(name),
            Self::Staff(subject) => write!(f, "staff:{subject}"),
            Self::Level { level, org_unit } => write!(f, "level:{}@{org_unit}", level.number()),
        }
    }
}

impl FromStr for Addressee {
    type Err = Infallible;

    fn from_str(stored: &str) -> Result<Self, Infallible> {
        if let Some(subject) = stored.strip_prefix("staff:") {
            return Ok(Self::Staff(subject.into()));
        }
        let level = stored.strip_prefix("level:").and_then(|rest| rest.split_once('@'));
        let level = level.and_then(|(number, org_unit)| {
            let level = number.parse().ok().and_then(ReceiverLevel::from_number)?;
            Some(Self::Level { level, org_unit: org_unit.to_owned() })
        });
        Ok(level.unwrap_or_else(|| Self::List(stored.to_owned())))
    }
}
