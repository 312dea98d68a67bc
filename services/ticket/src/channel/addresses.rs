//! Where members of the staff and receiver levels are reached, by adapter (T-07, T-26).

use std::collections::BTreeMap;

use kefu_identity::OrgUnit;
use serde::Deserialize;

use super::Channel;
use super::config::MAX_RECIPIENTS;
use crate::domain::{AdapterKind, MAX_RECIPIENT, ReceiverLevel};

/// As it is written down, by adapter.
pub(super) type AddressBook = BTreeMap<String, AdapterAddresses>;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdapterAddresses {
    /// By the subject of the sign-in token.
    #[serde(default)]
    staff: BTreeMap<String, String>,
    /// By org unit, then by level.
    #[serde(default)]
    levels: BTreeMap<String, BTreeMap<u8, Vec<String>>>,
}

/// The addresses, checked.
#[derive(Default)]
pub(super) struct Addresses {
    staff: BTreeMap<(String, String), [String; 1]>,
    levels: BTreeMap<(String, String, u8), Vec<String>>,
}

impl std::fmt::Debug for Addresses {
    /// Leaves out who is reached where.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} staff, {} levels", self.staff.len(), self.levels.len())
    }
}

impl Addresses {
    /// Checks the book; everything that is wrong goes to `faults`, without the addresses.
    pub(super) fn check(
        book: AddressBook,
        channels: &BTreeMap<String, Channel>,
        faults: &mut Vec<String>,
    ) -> Self {
        let mut addresses = Self::default();
        for (adapter, AdapterAddresses { staff, levels }) in book {
            let path = format!("addresses.{adapter}");
            let Some(kind) = channels.get(&adapter).map(Channel::kind) else {
                faults.push(format!("{path}: is none of `adapters`"));
                continue;
            };
            for (subject, address) in staff {
                check_address(kind, &address, &format!("{path}.staff.{subject}"), faults);
                addresses.staff.insert((adapter.clone(), subject), [address]);
            }
            for (org_unit, by_level) in levels {
                let path = format!("{path}.levels.{org_unit}");
                if org_unit.parse::<OrgUnit>().is_err() {
                    faults.push(format!("{path}: is no path of an org unit"));
                }
                for (level, to) in by_level {
                    let path = format!("{path}.{level}");
                    if ReceiverLevel::from_number(level.into()).is_none() {
                        faults.push(format!("{path}: must be level 1 to {}", ReceiverLevel::MAX));
                    }
                    if to.is_empty() || to.len() > MAX_RECIPIENTS {
                        faults.push(format!("{path}: must be 1 to {MAX_RECIPIENTS}"));
                    }
                    to.iter().for_each(|address| check_address(kind, address, &path, faults));
                    addresses.levels.insert((adapter.clone(), org_unit.clone(), level), to);
                }
            }
        }
        addresses
    }

    /// Where somebody is reached.
    pub(super) fn of_staff(&self, adapter: &str, subject: &str) -> Option<&[String]> {
        self.staff.get(&(adapter.to_owned(), subject.to_owned())).map(<[String; 1]>::as_slice)
    }

    /// Where a level of an org unit is reached: its own, or else that of the nearest org unit above that has any.
    pub(super) fn of_level(
        &self,
        adapter: &str,
        level: ReceiverLevel,
        org_unit: &str,
    ) -> Option<&[String]> {
        let mut place = Some(org_unit);
        while let Some(path) = place {
            let key = (adapter.to_owned(), path.to_owned(), level.number());
            if let Some(to) = self.levels.get(&key) {
                return Some(to);
            }
            place = path.rsplit_once('/').map(|(above, _)| above);
        }
        None
    }
}

fn check_address(kind: AdapterKind, address: &str, path: &str, faults: &mut Vec<String>) {
    let sound = match kind {
        AdapterKind::Mail => address.parse::<lettre::Address>().is_ok(),
        AdapterKind::Webhook => !address.trim().is_empty(),
    };
    if !sound || address.chars().count() > MAX_RECIPIENT {
        faults.push(format!("{path}: must be an address that the adapter can send to"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Channels;

    const ADAPTER: &str =
        "adapters:\n  mail: {smtp: {host: mx.example, port: 25, tls: none, from: a@b.cn}}\n";

    fn level(channels: &Channels, level: i32, org_unit: &str) -> Option<Vec<String>> {
        let level = super::ReceiverLevel::from_number(level).unwrap();
        channels.addresses.of_level("mail", level, org_unit).map(<[String]>::to_vec)
    }

    #[test]
    fn t07_a_level_is_reached_in_its_org_unit_or_the_nearest_above() {
        let text = format!(
            "{ADAPTER}addresses:\n  mail:\n    staff: {{zhang: z@b.cn}}\n    levels:\n      group: {{2: [g2@b.cn], 3: \
             [g3@b.cn, g4@b.cn]}}\n      group/north: {{2: [n2@b.cn]}}\n"
        );
        let channels = Channels::parse(&text).unwrap();
        assert_eq!(level(&channels, 2, "group/north/riverside").unwrap(), ["n2@b.cn"]);
        assert_eq!(level(&channels, 2, "group/northern").unwrap(), ["g2@b.cn"]);
        assert_eq!(level(&channels, 3, "group/north").unwrap(), ["g3@b.cn", "g4@b.cn"]);
        assert_eq!(level(&channels, 1, "group/north"), None);
        assert_eq!(level(&channels, 2, "other"), None);
        assert_eq!(channels.addresses.of_staff("mail", "zhang").unwrap(), ["z@b.cn"]);
        assert_eq!(channels.addresses.of_staff("mail", "li"), None);
        assert_eq!(channels.addresses.of_staff("fax", "zhang"), None);
        assert!(!format!("{channels:?}").contains("z@b.cn"), "who is reached where is not printed");
    }

    #[test]
    fn t07_what_is_wrong_with_the_addresses_is_named() {
        let text = format!(
            "{ADAPTER}recipients: {{owner: [a@b.cn]}}\naddresses:\n  fax: {{}}\n  mail:\n    staff: {{zhang: hunter2}}\n    \
             levels:\n      Group: {{2: [a@b.cn]}}\n      group: {{0: [a@b.cn], 2: []}}\n"
        );
        let faults = Channels::parse(&text).unwrap_err();
        let told = faults.join("; ");
        for part in [
            "recipients.owner: ",
            "addresses.fax: is none of `adapters`",
            "addresses.mail.staff.zhang: must be an address",
            "addresses.mail.levels.group.0: must be level 1 to 9",
            "addresses.mail.levels.group.2: must be 1 to 50",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("hunter2"), "{told}");
    }
}
