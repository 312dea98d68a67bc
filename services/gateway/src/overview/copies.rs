//! Last known copies of sections, for when a context does not answer.

use std::{fmt, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use kefu_identity::{Caller, OrgUnit, Roles};
use prost::Message;
use quick_cache::{Weighter, sync::Cache};
use uuid::Uuid;

/// Encoded bytes that the copies of one kind of section may take altogether.
const ROOM: u64 = 8 * 1024 * 1024;

/// About what one copy takes, for sizing the tables.
const TYPICAL: u64 = 4 * 1024;

/// An older copy helps nobody, and what its reader may see can have changed.
const KEEP: SignedDuration = SignedDuration::from_hours(24);

/// Whose copy of what. The caller's subject, org unit and roles all belong to it, because permissions can depend on each:
/// nobody ever gets a copy that somebody else read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    subject: Arc<str>,
    home: Option<OrgUnit>,
    roles: Roles,
    customer: Uuid,
}

impl Key {
    pub(super) fn new(caller: &Caller, customer: Uuid) -> Self {
        let staff = caller.as_staff();
        Self {
            subject: staff.map_or_else(|| Arc::from(""), |staff| Arc::clone(&staff.subject)),
            home: staff.map(|staff| staff.org_unit.clone()),
            roles: staff.map(|staff| staff.roles.clone()).unwrap_or_default(),
            customer,
        }
    }
}

/// What was read, and when.
#[derive(Debug)]
pub(super) struct Copy<T> {
    pub(super) at: Timestamp,
    pub(super) section: T,
}

/// The copies of one kind of section, the least used of which make room for new ones.
pub(super) struct Copies<T>(Cache<Key, Arc<Copy<T>>, Bytes>);

#[derive(Clone, Copy, Debug)]
struct Bytes;

impl<T: Message> Weighter<Key, Arc<Copy<T>>> for Bytes {
    fn weight(&self, _: &Key, copy: &Arc<Copy<T>>) -> u64 {
        // The key and the bookkeeping count, too; and nothing may weigh nothing.
        copy.section.encoded_len() as u64 + 256
    }
}

impl<T: Message> Copies<T> {
    pub(super) fn new() -> Self {
        Self::with_room(ROOM)
    }

    fn with_room(room: u64) -> Self {
        let items = usize::try_from(room / TYPICAL).unwrap_or(1).max(1);
        Self(Cache::with_weighter(items, room, Bytes))
    }

    pub(super) fn keep(&self, key: &Key, at: Timestamp, section: T) {
        self.0.insert(key.clone(), Arc::new(Copy { at, section }));
    }

    /// The copy of this caller, unless it is too old.
    pub(super) fn get(&self, key: &Key, now: Timestamp) -> Option<Arc<Copy<T>>> {
        let copy = self.0.get(key)?;
        (now.duration_since(copy.at) <= KEEP).then_some(copy)
    }

    pub(super) fn forget(&self, key: &Key) {
        self.0.remove(key);
    }
}

impl<T> fmt::Debug for Copies<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Customers' data has no business in a log.
        f.write_str("Copies")
    }
}

#[cfg(test)]
mod tests {
    use kefu_api::{gateway::v1::TicketSection, ticket::v1::Ticket};

    use super::*;

    fn section(subject: &str) -> TicketSection {
        let ticket = Ticket { subject: subject.to_owned(), ..Ticket::default() };
        TicketSection { tickets: vec![ticket], ..TicketSection::default() }
    }

    fn key(subject: &str, unit: &str, role: &str, customer: u128) -> Key {
        let caller = Caller::staff(subject, unit.parse().unwrap(), [role]);
        Key::new(&caller, Uuid::from_u128(customer))
    }

    fn time() -> Timestamp {
        "2024-02-09T08:00:00Z".parse().unwrap()
    }

    #[test]
    fn x07_nobody_gets_the_copy_of_somebody_else() {
        let copies = Copies::new();
        copies.keep(&key("li", "group/north", "clerk", 1), time(), section("leak"));
        assert!(copies.get(&key("li", "group/north", "clerk", 1), time()).is_some());
        for other in [
            key("wu", "group/north", "clerk", 1),
            key("li", "group/south", "clerk", 1),
            key("li", "group/north", "auditor", 1),
            key("li", "group/north", "clerk", 2),
        ] {
            assert!(copies.get(&other, time()).is_none(), "{other:?}");
        }
    }

    #[test]
    fn g02_copies_are_bounded_in_age_and_room() {
        let copies = Copies::with_room(64 * 1024);
        let first = key("li", "group", "clerk", 0);
        copies.keep(&first, time(), section("old"));
        assert!(copies.get(&first, time() + SignedDuration::from_hours(25)).is_none());
        let long = "长".repeat(300);
        for customer in 0..1_000 {
            copies.keep(&key("li", "group", "clerk", customer), time(), section(&long));
        }
        assert!(copies.0.weight() <= 64 * 1024, "{}", copies.0.weight());
    }
}
