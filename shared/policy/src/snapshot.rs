//! Which version holds: pure.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use kefu_identity::OrgUnit;
use uuid::Uuid;

use crate::{Policy, Version};

/// All versions of a context's policies up to one moment.
#[derive(Debug)]
pub struct Snapshot<P: Policy> {
    seq: i64,
    /// Of each org unit, ordered by the time from which they apply; of the same time, the later version last.
    by_org_unit: HashMap<OrgUnit, Vec<Arc<Version<P>>>>,
    by_id: HashMap<Uuid, Arc<Version<P>>>,
}

impl<P: Policy> Default for Snapshot<P> {
    fn default() -> Self {
        Self { seq: 0, by_org_unit: HashMap::new(), by_id: HashMap::new() }
    }
}

impl<P: Policy> Snapshot<P> {
    /// The newest version's place in the order of commits; 0 where there is none. A snapshot is whole if and only if
    /// this equals `coalesce(max(policy_version.seq), 0)`.
    pub fn seq(&self) -> i64 {
        self.seq
    }

    /// The version in force for `org_unit` at `at`: of the nearest org unit at or above it that has any in force then,
    /// the one that took effect last.
    pub fn effective(&self, org_unit: &OrgUnit, at: Timestamp) -> Option<&Arc<Version<P>>> {
        self.own(org_unit, at)
            .or_else(|| org_unit.ancestors().find_map(|above| self.own(&above, at)))
    }

    /// The version with this id: what something that began under it is judged by.
    pub fn version(&self, id: Uuid) -> Option<&Arc<Version<P>>> {
        self.by_id.get(&id)
    }

    /// All versions, in no order: those of the past and of the future as well.
    pub fn versions(&self) -> impl Iterator<Item = &Arc<Version<P>>> {
        self.by_id.values()
    }

    fn own(&self, org_unit: &OrgUnit, at: Timestamp) -> Option<&Arc<Version<P>>> {
        let versions = self.by_org_unit.get(org_unit)?;
        let in_force = versions.partition_point(|version| version.effective_at <= at);
        versions[..in_force].last()
    }

    /// This snapshot and some newer versions.
    #[must_use]
    pub fn with(&self, newer: impl IntoIterator<Item = Version<P>>) -> Self {
        let mut seq = self.seq;
        let mut by_org_unit = self.by_org_unit.clone();
        let mut by_id = self.by_id.clone();
        for version in newer {
            seq = seq.max(version.seq);
            let versions = by_org_unit.entry(version.org_unit.clone()).or_default();
            let order = |v: &Version<P>| (v.effective_at, v.version);
            let place = versions.partition_point(|other| order(other) <= order(&version));
            let version = Arc::new(version);
            by_id.insert(version.id, Arc::clone(&version));
            versions.insert(place, version);
        }
        Self { seq, by_org_unit, by_id }
    }
}

#[cfg(test)]
mod tests {
    use kefu_api::customer::v1::CustomerPolicy;
    use kefu_rpc::Violations;
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Named(String);

    impl Policy for Named {
        type Message = CustomerPolicy;
        fn decode(message: &CustomerPolicy, _: &mut Violations) -> Option<Self> {
            Some(Self(message.code.clone()))
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::new(second, 0).unwrap()
    }

    fn version(seq: i64, org_unit: &str, version: i32, effective: i64) -> Version<Named> {
        Version {
            seq,
            id: Uuid::from_u128(seq.unsigned_abs().into()),
            org_unit: org_unit.parse().unwrap(),
            version,
            effective_at: at(effective),
            created_at: at(0),
            created_by: "li".into(),
            message: CustomerPolicy::default(),
            policy: Named(format!("{org_unit}#{version}")),
        }
    }

    fn named(snapshot: &Snapshot<Named>, org_unit: &str, second: i64) -> Option<String> {
        let found = snapshot.effective(&org_unit.parse().unwrap(), at(second));
        found.map(|version| version.policy.0.clone())
    }

    #[test]
    fn x10_a_new_version_applies_from_its_effective_date_and_not_before() {
        let first = Snapshot::default().with([version(1, "group", 1, 100)]);
        assert_eq!(named(&first, "group", 99), None);
        assert_eq!(named(&first, "group", 100).unwrap(), "group#1");
        let second = first.with([version(2, "group", 2, 200)]);
        assert_eq!(named(&second, "group", 199).unwrap(), "group#1");
        assert_eq!(named(&second, "group", 200).unwrap(), "group#2");
        assert_eq!((first.seq(), second.seq()), (1, 2));
    }

    #[test]
    fn x10_what_takes_effect_last_holds_even_if_it_was_applied_first() {
        let snapshot =
            Snapshot::default().with([version(1, "group", 1, 300), version(2, "group", 2, 200)]);
        assert_eq!(named(&snapshot, "group", 250).unwrap(), "group#2");
        assert_eq!(named(&snapshot, "group", 300).unwrap(), "group#1");
        let corrected = snapshot.with([version(3, "group", 3, 300)]);
        assert_eq!(named(&corrected, "group", 300).unwrap(), "group#3");
    }

    #[test]
    fn x10_policies_are_inherited_downwards_and_the_own_one_comes_first() {
        let snapshot = Snapshot::default().with([
            version(1, "group", 1, 100),
            version(2, "group/north", 1, 200),
            version(3, "group/northern", 1, 100),
        ]);
        assert_eq!(named(&snapshot, "group/north/riverside", 150).unwrap(), "group#1");
        assert_eq!(named(&snapshot, "group/north/riverside", 200).unwrap(), "group/north#1");
        assert_eq!(named(&snapshot, "group/south", 200).unwrap(), "group#1");
        assert_eq!(named(&snapshot, "other", 200), None);
    }

    proptest! {
        /// The plain meaning: search everything, nearest first.
        #[test]
        fn x10_the_version_in_force_is_what_a_plain_search_finds(
            applied in prop::collection::vec((0_usize..5, 0_i64..6), 0..12),
            unit in 0_usize..5,
            time in 0_i64..7,
        ) {
            let units = ["g", "g/a", "g/a/b", "g/b", "h"];
            let mut counts = [0; 5];
            let versions: Vec<_> = (1..).zip(&applied).map(|(seq, &(unit, effective))| {
                counts[unit] += 1;
                version(seq, units[unit], counts[unit], effective)
            }).collect();
            let asked: OrgUnit = units[unit].parse().unwrap();
            let plain = std::iter::once(asked.clone()).chain(asked.ancestors()).find_map(|unit| {
                versions.iter()
                    .filter(|v| v.org_unit == unit && v.effective_at <= at(time))
                    .max_by_key(|v| (v.effective_at, v.version))
                    .map(|v| v.seq)
            });
            let snapshot = versions.into_iter().fold(Snapshot::default(), |s, v| s.with([v]));
            prop_assert_eq!(snapshot.effective(&asked, at(time)).map(|v| v.seq), plain);
        }
    }
}
