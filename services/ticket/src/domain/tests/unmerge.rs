//! T-04: several merges, and undoing them in whatever order: whoever is left alone has its own promises and no others.

use proptest::{collection::vec, prelude::*};

use super::merge::registered;
use super::*;

/// Three versions on one calendar with other times to the solution; no ticket gets near a deadline in a test.
fn versions() -> [Arc<Regulation>; 3] {
    [elapsed(72), elapsed(100), business(30)]
        .map(|target| {
            let mut draft = draft();
            draft.clocks[1].target = target;
            Policy::try_new(draft).expect("a sound policy")
        })
        .into_iter()
        .enumerate()
        .map(|(number, policy)| regulation(number, policy))
        .collect::<Vec<_>>()
        .try_into()
        .expect("three of them")
}

/// A merge that stands.
struct Made {
    source: usize,
    target: usize,
    promises: Vec<TakenPromise>,
}

/// Tickets of one customer that are merged and unmerged, each beside a twin to which everything happens but that.
struct Office {
    versions: [Arc<Regulation>; 3],
    desks: Vec<Desk>,
    twins: Vec<Desk>,
    made: Vec<Made>,
    now: Timestamp,
}

type Promise = (Arc<str>, Timestamp, Option<Timestamp>, ClockState);

fn promises(desk: &Desk) -> Vec<Promise> {
    let live = desk.ticket.clocks.iter().filter(|clock| clock.is_live());
    let mut live: Vec<Promise> = live
        .map(|clock| (clock.rule.clone(), clock.timeline.started(), clock.due, clock.state()))
        .collect();
    live.sort();
    live
}

impl Office {
    /// Tickets under these versions, each registered so many minutes after the one before.
    fn new(tickets: &[(usize, i64)]) -> Self {
        let versions = versions();
        let (mut desks, mut now) = (Vec::new(), hours(0));
        for (number, (version, gap)) in tickets.iter().enumerate() {
            now = now.checked_add(gap.minutes()).expect("a time in range");
            let version = &versions[*version];
            let (id, policy) = (number as u128 + 1, version.1.clone());
            let mut desk = registered(id, policy, Severity::Ordinary, now);
            desk.ticket.policy_version = version.0;
            desks.push(desk);
        }
        Self { versions, twins: desks.clone(), desks, made: Vec::new(), now }
    }

    fn passes(&mut self, minutes: i64) {
        self.now = self.now.checked_add(minutes.minutes()).expect("a time in range");
    }

    fn is_merged(&self, ticket: usize) -> bool {
        self.made.iter().any(|made| made.source == ticket)
    }

    fn version(&self, ticket: usize) -> Arc<dyn Issued> {
        let Desk { ticket, policy } = &self.desks[ticket];
        Arc::new(Regulation(ticket.policy_version, policy.clone()))
    }

    /// Where it is possible.
    fn merge(&mut self, source: usize, target: usize) -> bool {
        if source == target || self.is_merged(source) || self.is_merged(target) {
            return false;
        }
        let (one, other) = (&self.desks[source], &self.desks[target]);
        let both = Merging {
            source: (&one.ticket, &one.policy),
            target: (&other.ticket, &other.policy),
            version: self.version(source),
        };
        let done = merge(both, &[], "同一件事".into(), &Actor::staff(HANDLER), self.now);
        let Ok((of_source, of_target)) = done else { return false };
        self.desks[source].take(&of_source);
        self.desks[target].take(&of_target);
        let taken = of_target.iter().find_map(|change| match &change.what {
            What::Link(link) => match &**link {
                LinkChange::Taken { promises, .. } => Some(promises.clone()),
                _ => None,
            },
            _ => None,
        });
        let promises = taken.expect("it says what it took over");
        self.made.push(Made { source, target, promises });
        true
    }

    fn unmerge(&mut self, source: usize) {
        if !self.is_merged(source) {
            return;
        }
        let mut chain = Vec::new();
        while let Some(made) = {
            let last = chain.last().copied().unwrap_or(source);
            self.made.iter().find(|made| made.source == last)
        } {
            chain.push(made.target);
        }
        let below: Vec<usize> = [source].into_iter().chain(chain.iter().copied()).collect();
        let others: Vec<Vec<OtherMerge>> = chain
            .iter()
            .zip(&below)
            .map(|(target, below)| {
                let into = self.made.iter().filter(|made| made.target == *target);
                into.filter(|made| made.source != *below)
                    .map(|made| OtherMerge {
                        source: self.desks[made.source].ticket.id,
                        promises: made.promises.clone(),
                    })
                    .collect()
            })
            .collect();
        let above: Vec<Above<'_>> = chain
            .iter()
            .zip(below.iter().zip(&others))
            .map(|(target, (below, others))| Above {
                ticket: &self.desks[*target].ticket,
                version: self.version(*target),
                promises: &self
                    .made
                    .iter()
                    .find(|made| made.source == *below)
                    .expect("made")
                    .promises,
                others,
                lost: None,
            })
            .collect();
        let desk = &self.desks[source];
        let actor = Actor::staff(HANDLER);
        let judged = (&desk.ticket, &desk.policy);
        let undone = unmerge(judged, &above, "两件事".into(), &actor, self.now);
        let undone = undone.expect("not refused");
        self.made.retain(|made| made.source != source);
        self.desks[source].take(&undone.source);
        for (target, changes) in chain.into_iter().zip(&undone.above) {
            self.desks[target].take(changes);
        }
        for OtherMerge { source, promises } in undone.taken {
            let of = |made: &&mut Made| self.desks[made.source].ticket.id == source;
            self.made.iter_mut().find(of).expect("it stands").promises = promises;
        }
    }

    /// Happens to a ticket and its twin alike, where it is possible.
    fn happens(&mut self, ticket: usize, command: &Command) {
        if self.is_merged(ticket) {
            return;
        }
        let desk = &self.desks[ticket];
        if desk.tries(HANDLER, self.now, command.clone()).is_ok() {
            self.desks[ticket].does(HANDLER, self.now, command.clone());
            self.twins[ticket].does(HANDLER, self.now, command.clone());
        }
    }

    /// Whoever is merged into nothing and has nothing merged into it is as if it had never been otherwise.
    fn check(&self) {
        for (ticket, (desk, twin)) in self.desks.iter().zip(&self.twins).enumerate() {
            let live = promises(desk);
            for pair in live.windows(2) {
                assert_ne!(pair[0].0, pair[1].0, "one promise of a rule at a time: {ticket}");
            }
            if !self.is_merged(ticket) && self.made.iter().all(|made| made.target != ticket) {
                assert_eq!(live, promises(twin), "ticket {ticket}");
            }
        }
    }

    fn due(&self, ticket: usize) -> Option<Timestamp> {
        self.desks[ticket].clock("resolution", 1).due
    }
}

/// The oldest last: every merge into the first takes promises over.
fn three() -> Office {
    Office::new(&[(0, 0), (0, 60), (0, 60)])
}

#[test]
fn t04_of_several_merges_each_can_be_undone_first_and_the_survivor_has_its_own_promises_back() {
    for order in [[0, 1], [1, 0]] {
        let mut office = three();
        let own = office.due(2);
        // The second one's deadline first, then the earlier one of the first.
        assert!(office.merge(1, 2));
        assert!(office.merge(0, 2));
        assert_eq!(office.due(2), Some(hours(72)));
        office.passes(30);
        office.unmerge(order[0]);
        let left = [Some(hours(72)), Some(hours(73))][order[1]];
        assert_eq!(office.due(2), left, "the one that is still merged binds: {order:?}");
        office.passes(30);
        office.unmerge(order[1]);
        assert_eq!(office.due(2), own, "{order:?}");
        office.check();
    }
}

#[test]
fn t04_t06_promises_that_were_made_anew_since_the_merge_come_back_made_anew() {
    let mut office = three();
    office.merge(0, 2);
    office.passes(60);
    let newer = under(&office.versions[1]);
    office.happens(2, &newer);
    assert_eq!(office.due(2), Some(hours(100)), "of the merged one");
    office.passes(60);
    office.unmerge(0);
    assert_eq!(office.due(2), Some(hours(102)), "its own, by the version that holds now");
    office.check();
}

#[test]
fn t04_t06_an_assessment_since_the_merge_counts_for_what_comes_back() {
    let mut draft = draft();
    draft.clocks[1].severities = vec![1];
    let serious = ClockRuleDraft {
        severities: vec![2],
        ..clock("serious-resolution", ClockKind::Resolution, elapsed(48))
    };
    draft.clocks.push(serious);
    let policy = Policy::try_new(draft).expect("sound");
    let mut office = three();
    for (number, desk) in office.desks.iter_mut().enumerate() {
        let (id, began) = (number as u128 + 1, desk.ticket.created_at);
        *desk = registered(id, policy.clone(), Severity::Ordinary, began);
    }
    office.twins = office.desks.clone();
    office.merge(0, 2);
    office.passes(60);
    let reason = "伤人".into();
    office.happens(2, &Command::Assess { severity: Severity::Serious, reason });
    office.passes(60);
    office.unmerge(0);
    office.check();
    let own = office.desks[2].clock("serious-resolution", 1);
    assert_eq!((own.state(), own.due), (ClockState::Running, Some(hours(50))));
}

#[test]
fn t04_whoever_leaves_from_the_middle_of_a_chain_leaves_it_all() {
    let mut office = three();
    let own: Vec<_> = (0..3).map(|ticket| office.due(ticket)).collect();
    office.merge(0, 1);
    office.passes(30);
    office.merge(1, 2);
    assert_eq!(office.due(2), own[0]);
    office.passes(30);
    office.unmerge(0);
    assert_eq!(office.due(0), own[0], "it goes on where it stood");
    assert_eq!(office.due(2), own[1], "and the survivor owes what is still merged into it");
    assert_eq!(office.desks[1].clock("resolution", 1).state(), ClockState::Merged);
    office.passes(30);
    office.unmerge(1);
    assert_eq!([office.due(1), office.due(2)], [own[1], own[2]]);
    office.check();
}

proptest! {
    #[test]
    fn t04_however_tickets_are_merged_and_unmerged_whoever_is_alone_has_its_own_promises(
        tickets in vec((0..3_usize, 0..60_i64), 4),
        steps in vec((0..8_u8, 0..4_usize, 0..4_usize, 1..40_i64), 1..16),
        order in Just([0_usize, 1, 2, 3]).prop_shuffle(),
    ) {
        let mut office = Office::new(&tickets);
        office.passes(1);
        for (what, one, other, gap) in steps {
            office.passes(gap);
            match what {
                0..=2 => _ = office.merge(one, other),
                3 | 4 => office.unmerge(one),
                5 => {
                    let version = under(&office.versions[other.min(2)]);
                    office.happens(one, &version);
                }
                6 => office.happens(one, &pause()),
                _ => office.happens(one, &Command::Resume),
            }
            office.check();
        }
        for ticket in order {
            office.passes(7);
            office.unmerge(ticket);
            office.check();
        }
    }
}
