//! Whether a contact may be asked at all (S-03, C-02).

/// Every way in which an invitation can reach somebody, as the customer context's events name them.
const CHANNELS: [&str; 6] = ["PHONE", "SMS", "EMAIL", "MESSENGER", "LETTER", "VISIT"];

/// What this context knows of a contact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// Channels that must not be used. Words that are no channel we know close nothing.
    pub do_not_contact: Vec<String>,
}

impl Contact {
    /// Whether a channel is left. Which one is used is the business of whoever sends the link; a contact that has closed
    /// all of them is not asked.
    pub fn may_be_asked(&self) -> bool {
        CHANNELS.iter().any(|channel| !self.do_not_contact.iter().any(|closed| closed == channel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s03_who_has_closed_every_channel_is_not_asked() {
        let mut contact = Contact::default();
        assert!(contact.may_be_asked());
        contact.do_not_contact = ["SMS", "SMS", "FAX"].map(String::from).to_vec();
        assert!(contact.may_be_asked());
        contact.do_not_contact = CHANNELS.map(String::from).to_vec();
        assert!(!contact.may_be_asked());
    }
}
