//! A person at a customer (C-02).

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::words;

words! {
    /// A way to reach a contact.
    Channel {
        /// Telephone.
        Phone = "phone",
        /// Short message.
        Sms = "sms",
        /// E-mail.
        Email = "email",
        /// Messenger.
        Messenger = "messenger",
        /// Letter.
        Letter = "letter",
        /// Visit.
        Visit = "visit",
    }
}

words! {
    /// The part that a contact plays in decisions.
    DecisionRole {
        /// Decides.
        Decider = "decider",
        /// Influences.
        Influencer = "influencer",
        /// Uses what was bought.
        User = "user",
        /// Controls access to the others.
        Gatekeeper = "gatekeeper",
        /// Judges the technical side.
        Technical = "technical",
        /// Controls the money.
        Finance = "finance",
    }
}

/// A channel that must not be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoNotContact {
    /// The channel.
    pub channel: Channel,
    /// Why; not empty.
    pub reason: String,
}

/// A contact (联系人) as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Contact {
    /// Its id.
    pub id: Uuid,
    /// Whose contact it is.
    pub customer_id: Uuid,
    /// What may change.
    pub details: ContactDetails,
    /// Counts the changes from 1.
    pub revision: i64,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What may change of a contact. Lengths are checked where a request is decoded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ContactDetails {
    /// Full name, not empty.
    pub display_name: String,
    /// Position.
    pub title: String,
    /// Telephone numbers without separators.
    pub phones: Vec<String>,
    /// E-mail addresses.
    pub emails: Vec<String>,
    /// Messenger ids.
    pub messengers: Vec<String>,
    /// Birthday, where known.
    pub birthday: Option<Date>,
    /// How the person prefers to be reached, where known.
    pub preferred_channel: Option<Channel>,
    /// Channels that must not be used, each once.
    pub do_not_contact: Vec<DoNotContact>,
    /// The person's part in decisions, where known.
    pub decision_role: Option<DecisionRole>,
}

/// New values for some of [`ContactDetails`].
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::option_option, reason = "unchanged and emptied are different changes")]
pub struct ContactChanges {
    /// See [`ContactDetails`], here and below.
    pub display_name: Option<String>,
    /// Position.
    pub title: Option<String>,
    /// Telephone numbers, all of them.
    pub phones: Option<Vec<String>>,
    /// E-mail addresses, all of them.
    pub emails: Option<Vec<String>>,
    /// Messenger ids, all of them.
    pub messengers: Option<Vec<String>>,
    /// Birthday; `Some(None)` empties it.
    pub birthday: Option<Option<Date>>,
    /// Preferred channel; `Some(None)` empties it.
    pub preferred_channel: Option<Option<Channel>>,
    /// Channels that must not be used, all of them.
    pub do_not_contact: Option<Vec<DoNotContact>>,
    /// Part in decisions; `Some(None)` empties it.
    pub decision_role: Option<Option<DecisionRole>>,
}

impl ContactChanges {
    /// The details of a new contact, if every one is given.
    pub fn complete(self) -> Option<ContactDetails> {
        Some(ContactDetails {
            display_name: self.display_name?,
            title: self.title?,
            phones: self.phones?,
            emails: self.emails?,
            messengers: self.messengers?,
            birthday: self.birthday?,
            preferred_channel: self.preferred_channel?,
            do_not_contact: self.do_not_contact?,
            decision_role: self.decision_role?,
        })
    }
}

impl Contact {
    /// A new contact.
    pub fn register(id: Uuid, customer_id: Uuid, details: ContactDetails, now: Timestamp) -> Self {
        Self { id, customer_id, details, revision: 1, created_at: now, updated_at: now }
    }

    /// The contact with the changes; `None` if they change nothing.
    pub fn change(&self, changes: ContactChanges, now: Timestamp) -> Option<Self> {
        let old = self.details.clone();
        let details = ContactDetails {
            display_name: changes.display_name.unwrap_or(old.display_name),
            title: changes.title.unwrap_or(old.title),
            phones: changes.phones.unwrap_or(old.phones),
            emails: changes.emails.unwrap_or(old.emails),
            messengers: changes.messengers.unwrap_or(old.messengers),
            birthday: changes.birthday.unwrap_or(old.birthday),
            preferred_channel: changes.preferred_channel.unwrap_or(old.preferred_channel),
            do_not_contact: changes.do_not_contact.unwrap_or(old.do_not_contact),
            decision_role: changes.decision_role.unwrap_or(old.decision_role),
        };
        (details != self.details).then(|| Self {
            details,
            revision: self.revision + 1,
            updated_at: now,
            ..self.clone()
        })
    }
}

/// What the audit trail keeps of a phone number: enough to tell which one it was to somebody who knows it.
pub fn masked_phone(phone: &str) -> String {
    let kept = phone.len().saturating_sub(2);
    let (hidden, shown) = phone.split_at_checked(kept).unwrap_or(("", phone));
    let stars: String = hidden.chars().map(|c| if c == '+' { '+' } else { '*' }).collect();
    stars + shown
}

/// What the audit trail keeps of an e-mail address: its first character and its domain.
pub fn masked_email(email: &str) -> String {
    let (local, domain) = email.rsplit_once('@').unwrap_or((email, ""));
    let first: String = local.chars().take(1).collect();
    format!("{first}***@{domain}")
}

/// What the audit trail keeps of a messenger id: which messenger.
pub fn masked_messenger(id: &str) -> String {
    match id.split_once(':') {
        Some((kind, _)) => format!("{kind}:***"),
        None => "***".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x04_what_is_masked_tells_which_one_it_was_and_not_what() {
        assert_eq!(masked_phone("+8613800138042"), "+***********42");
        assert_eq!(masked_phone("62"), "62");
        assert_eq!(masked_email("李伟@example.com"), "李***@example.com");
        assert_eq!(masked_messenger("wechat:liwei"), "wechat:***");
        assert_eq!(masked_messenger("liwei"), "***");
    }
}
