//! What a survivor promises once one of the tickets that were merged into it goes its own way again (T-04).
//!
//! Each merge takes promises over, and each may have replaced one: the survivor's own, or one that came with another ticket.
//! Whatever was replaced rests in the ledger as it stood then. Undoing a merge, in whatever order, takes its promise out of that
//! row: what it replaced comes in its place, brought to where it would stand if it had never been replaced, and what came in
//! *its* place since replaces that from now on. So once all are undone, the survivor has its own promises and no others.
//!
//! A promise that was made anew since, by another policy version or for another severity, is followed to what was made of it,
//! and what it replaced is made anew with it, as of the same moment.
//!
//! What was kept, broken or ended since stays what it is.

use std::sync::Arc;

use jiff::Timestamp;
use kefu_calendar::DueError;
use uuid::Uuid;

use super::{
    change::apply_clock,
    clock::{ClockChange, ClockEffect, ClockEntry},
    clock_note::{Cause, Revision},
    link::TakenPromise,
    policy::{ClockRule, Policy},
    recompute::same,
    refusal::Refusal,
    story::{Story, effect, next_round},
    terms::Terms,
    ticket::Ticket,
    word::ClockKind,
};

/// Another ticket that is merged into the same one, with what that took over of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherMerge {
    /// The merged ticket.
    pub source: Uuid,
    /// What of its promises binds the survivor.
    pub promises: Vec<TakenPromise>,
}

/// A promise that is gone, and what stands in its place: for the ticket into which this one is merged itself, and which took
/// it over.
#[derive(Clone, Debug)]
pub(super) struct Passed {
    pub rule: Arc<str>,
    pub now: Option<ClockEntry>,
}

/// The ledger of a survivor while a merge is being undone.
pub(super) struct Reseating<'s, 'a> {
    story: &'s Story<'a>,
    /// When what is undone was merged.
    since: Timestamp,
    /// When the survivor was merged itself; its promises rest since.
    rests: Option<Timestamp>,
    ledger: Ticket,
    /// The other merges.
    pub others: Vec<OtherMerge>,
    /// What happens to the ledger.
    pub clocks: Vec<ClockChange>,
}

/// An entry by its rule and round.
type Place = (Arc<str>, u32);

impl<'s, 'a> Reseating<'s, 'a> {
    pub fn new(
        story: &'s Story<'a>,
        since: Timestamp,
        rests: Option<Timestamp>,
        others: &[OtherMerge],
    ) -> Self {
        let (ledger, others) = (story.ticket.clone(), others.to_vec());
        Self { story, since, rests, ledger, others, clocks: Vec::new() }
    }

    /// Takes out a promise that was taken over. `offer` is what the merged ticket promises instead, as of the merge, where it
    /// stays merged and only something below it goes its own way. Returns what is taken over of it now, and what that means
    /// for whoever has taken over the survivor's promise.
    pub fn reseat(
        &mut self,
        taken: &TakenPromise,
        offer: Option<ClockEntry>,
    ) -> Result<(Option<TakenPromise>, Option<Passed>), Refusal> {
        let stays = (Some(taken.clone()), None);
        let now = self.story.now;
        if taken.cycle != self.story.ticket.cycle {
            return Ok(stays);
        }
        let Some(head) = self.head(taken).cloned() else { return Ok(stays) };
        let binds = is_binding(&head);
        let heir = self.find(|other, _| is_at(other.replaced.as_ref(), &head));
        // As of when it is taken out: since something else came in its place, if that is so.
        let until = if binds { None } else { head.cancelled_at };
        if !binds && (until.is_none() || heir.is_none()) {
            return Ok(stays);
        }
        // What binds stays the last of its rule, where everybody looks for it; what is settled stays as it is.
        let above = self.ledger.current_clocks().filter(|clock| clock.rule == head.rule).last();
        let above = above.filter(|last| !binds && last.cancelled_at.is_none()).cloned();
        if above.as_ref().is_some_and(|above| !is_binding(above)) {
            return Ok(stays);
        }
        let replaced = taken.replaced.as_ref().and_then(|place| self.entry(place)).cloned();
        let keeper = replaced.as_ref().and_then(|replaced| self.holder(replaced));
        if binds {
            self.end(&head);
        }
        let replaced = replaced.map(|entry| self.caught_up(entry, &head, until)).transpose()?;
        let offer = offer.map(|entry| self.caught_up(entry, &head, until)).transpose()?;
        let offer = offer.filter(|offer| {
            replaced.as_ref().is_none_or(|own| is_sooner(offer, own, self.story.policy, now))
        });
        let ends = if offer.is_some() { Some(until.unwrap_or(now)) } else { until };
        let own = replaced.and_then(|entry| self.place(entry, ends));
        self.moves(keeper, own.clone());
        let anew = offer.and_then(|entry| self.place(entry, until));
        let last = anew.clone().or_else(|| own.clone());
        if let Some((other, promise)) = heir
            && let Some(heir) = self.promise_mut(other, promise)
        {
            heir.replaced.clone_from(&last);
        }
        if let Some(above) = above {
            let holder = self.holder(&above);
            self.end(&above);
            let place = self.place(above, None);
            self.moves(holder, place);
        }
        let passed = binds.then(|| Passed {
            rule: head.rule.clone(),
            now: last.as_ref().and_then(|place| self.entry(place)).cloned(),
        });
        let taken = anew.map(|(rule, round)| TakenPromise {
            rule,
            cycle: taken.cycle,
            round,
            replaced: own,
        });
        Ok((taken, passed))
    }

    /// Which promise of another merge an entry stands for, if it does.
    fn holder(&self, entry: &ClockEntry) -> Option<(usize, usize)> {
        self.find(|other, ledger| follow(ledger, other).is_some_and(|last| is_same(last, entry)))
    }

    /// It stands for it from another place on.
    fn moves(&mut self, holder: Option<(usize, usize)>, place: Option<Place>) {
        if let Some((other, promise)) = holder
            && let Some((rule, round)) = place
            && let Some(kept) = self.promise_mut(other, promise)
        {
            (kept.rule, kept.round) = (rule, round);
        }
    }

    fn end(&mut self, entry: &ClockEntry) {
        if entry.merged_at.is_some() {
            self.push(effect(entry, ClockEffect::Unmerged));
        }
        self.push(effect(entry, ClockEffect::Cancelled { at: self.story.now }));
    }

    fn push(&mut self, change: ClockChange) {
        apply_clock(&mut self.ledger, &change);
        self.clocks.push(change);
    }

    /// Puts an entry in the ledger; none where the rule promises something already.
    fn place(&mut self, entry: ClockEntry, ends: Option<Timestamp>) -> Option<Place> {
        let promised = |own: &&ClockEntry| own.rule == entry.rule && own.is_live();
        if ends.is_none() && self.ledger.current_clocks().any(|own| promised(&own)) {
            return None;
        }
        let merged_at = self.rests.filter(|_| ends.is_none());
        let placed = ClockEntry { cancelled_at: ends, merged_at, ..entry };
        let placed = next_round(&self.ledger, placed);
        let place = (placed.rule.clone(), placed.round);
        self.push(placed);
        Some(place)
    }

    fn entry(&self, (rule, round): &Place) -> Option<&ClockEntry> {
        self.ledger.current_clocks().find(|clock| clock.rule == *rule && clock.round == *round)
    }

    fn head(&self, taken: &TakenPromise) -> Option<&ClockEntry> {
        follow(&self.ledger, taken)
    }

    /// The first promise of another merge in this cycle of which that is so.
    fn find(&self, is: impl Fn(&TakenPromise, &Ticket) -> bool) -> Option<(usize, usize)> {
        self.others.iter().enumerate().find_map(|(other, standing)| {
            let mut promises = standing.promises.iter();
            let found = promises.position(|promise| {
                promise.cycle == self.ledger.cycle && is(promise, &self.ledger)
            });
            found.map(|promise| (other, promise))
        })
    }

    fn promise_mut(&mut self, other: usize, promise: usize) -> Option<&mut TakenPromise> {
        self.others.get_mut(other)?.promises.get_mut(promise)
    }

    /// An entry that was replaced, as it would stand if it had not been: it paused with the ticket as what was there in its place
    /// did, and was made anew when that was. `until` is when something else came there, if it did.
    fn caught_up(
        &self,
        entry: ClockEntry,
        head: &ClockEntry,
        until: Option<Timestamp>,
    ) -> Result<ClockEntry, Refusal> {
        let mut entry = ClockEntry { cancelled_at: None, merged_at: None, ..entry };
        let since: Vec<&Revision> =
            head.revisions.iter().filter(|revision| revision.at > self.since).collect();
        for (place, revision) in since.iter().enumerate() {
            self.pause(&mut entry, head, Some(revision.at))?;
            let by = since.get(place + 1).map_or(&head.rule, |next| &next.from_rule);
            entry = self.made_anew(entry, revision, by)?;
        }
        self.pause(&mut entry, head, until)?;
        if until.is_none() && self.rests.is_none() {
            entry = self.by_present_version(entry)?;
        }
        Ok(entry)
    }

    /// Pauses and goes on as `like` did, up to a moment.
    fn pause(
        &self,
        entry: &mut ClockEntry,
        like: &ClockEntry,
        before: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        let over = |at: Timestamp| before.is_some_and(|before| at > before);
        let pauses = like.timeline.pauses().iter();
        for pause in pauses.filter(|pause| pause.from >= self.since && !over(pause.from)) {
            if !entry.timeline.pauses().iter().any(|known| known.from == pause.from) {
                let (at, reason) = (pause.from, pause.reason.clone());
                entry.apply(&ClockEffect::Paused { at, reason });
            }
            let Some(end) = pause.to.filter(|end| !over(*end)) else { continue };
            if entry.timeline.is_paused() {
                let resumed = entry.resumption(self.story.policy, end);
                entry.apply(&resumed.map_err(|error| no_deadline(&entry.rule, error))?);
            }
        }
        Ok(())
    }

    /// The same under the rule under which what was there in its place was made anew.
    fn made_anew(
        &self,
        entry: ClockEntry,
        revision: &Revision,
        by: &str,
    ) -> Result<ClockEntry, Refusal> {
        let Story { ticket, policy, .. } = self.story;
        let next = |cause| Revision {
            cause,
            from_rule: entry.rule.clone(),
            previous_due: entry.due,
            ..revision.clone()
        };
        let anew = match revision.cause {
            Cause::Policy { to, .. } => {
                let Some(terms) = self.terms(to) else { return Ok(entry) };
                let wanted = terms.policy(policy);
                let rule = rule_of(wanted.rule(by), entry.kind);
                let Some(rule) = rule.filter(|rule| !same(&entry, rule, policy, wanted)) else {
                    return Ok(entry);
                };
                let cause = Cause::Policy { from: self.version(&entry.terms), to };
                entry.recomputed(rule, (&terms, policy), next(cause))
            }
            Cause::Severity { to, .. } => {
                let covers = |rule: &&ClockRule| rule.covers(ticket, to, policy.calendar());
                let own = entry.terms.policy(policy).rule(&entry.rule);
                if own.as_ref().is_some_and(covers) {
                    return Ok(entry);
                }
                let found = [&entry.terms, &ticket.promises].into_iter().find_map(|terms| {
                    let rule = rule_of(terms.policy(policy).rule(by), entry.kind);
                    Some((terms, rule.filter(covers)?))
                });
                let Some((terms, rule)) = found else { return Ok(entry) };
                entry.revised(rule, (terms, policy), next(revision.cause))
            }
        };
        anew.map_err(|error| no_deadline(&entry.rule, error))
    }

    /// The same by the version by which the survivor has new promises, if that has such a rule.
    fn by_present_version(&self, entry: ClockEntry) -> Result<ClockEntry, Refusal> {
        let Story { ticket, policy, now, .. } = self.story;
        let (terms, calendar) = (&ticket.promises, policy.calendar());
        let wanted = terms.policy(policy);
        let rule = rule_of(wanted.rule(&entry.rule), entry.kind)
            .filter(|rule| entry.terms != *terms && !same(&entry, rule, policy, wanted))
            .filter(|rule| rule.covers(ticket, ticket.severity, calendar));
        let Some(rule) = rule else { return Ok(entry) };
        let revision = Revision {
            at: *now,
            by: self.story.actor.subject(),
            cause: Cause::Policy { from: self.version(&entry.terms), to: ticket.promise_version() },
            from_rule: entry.rule.clone(),
            previous_due: entry.due,
        };
        let anew = entry.recomputed(rule, (terms, policy), revision);
        anew.map_err(|error| no_deadline(&rule.name, error))
    }

    fn version(&self, terms: &Terms) -> Uuid {
        terms.version().unwrap_or(self.story.ticket.policy_version)
    }

    /// A version by which something of the ledger is or was promised.
    fn terms(&self, version: Uuid) -> Option<Terms> {
        let Ticket { policy_version, promises, clocks, .. } = &self.story.ticket;
        if version == *policy_version {
            return Some(Terms::Registered);
        }
        let eras = clocks.iter().flat_map(|clock| &clock.eras).map(|era| &era.terms);
        let known = clocks.iter().map(|clock| &clock.terms).chain(eras).chain([promises]);
        known.into_iter().find(|terms| terms.version() == Some(version)).cloned()
    }
}

fn rule_of(rule: Option<&ClockRule>, kind: ClockKind) -> Option<&ClockRule> {
    rule.filter(|rule| rule.kind == kind)
}

fn no_deadline(rule: &str, error: DueError) -> Refusal {
    Refusal::NoDeadline { rule: rule.to_owned(), error }
}

/// Whether it is live, or would be if its ticket were not merged.
fn is_binding(entry: &ClockEntry) -> bool {
    let rests = entry.merged_at.is_some() && entry.is_unsettled() && entry.breached_at.is_none();
    entry.is_live() || rests
}

/// Whether the first of two promises binds earlier; while both stand still, has less left.
fn is_sooner(one: &ClockEntry, other: &ClockEntry, registered: &Policy, now: Timestamp) -> bool {
    match one.due.zip(other.due) {
        Some((one, other)) => one < other,
        None => one.remaining_at(registered, now) < other.remaining_at(registered, now),
    }
}

fn is_at(place: Option<&Place>, entry: &ClockEntry) -> bool {
    place.is_some_and(|(rule, round)| *rule == entry.rule && *round == entry.round)
}

fn is_same(one: &ClockEntry, other: &ClockEntry) -> bool {
    (one.cycle, one.round, &one.rule) == (other.cycle, other.round, &other.rule)
}

/// What was made of a promise that was taken over: itself, or the last entry by which it was made anew.
fn follow<'t>(ledger: &'t Ticket, taken: &TakenPromise) -> Option<&'t ClockEntry> {
    let mut entries = ledger.clocks.iter();
    let mut last = entries.find(|clock| {
        (clock.cycle, clock.round, &clock.rule) == (taken.cycle, taken.round, &taken.rule)
    })?;
    for next in entries {
        if takes_up(last, next, &ledger.promises) {
            last = next;
        }
    }
    Some(last)
}

/// Whether the later one of two entries is the earlier one made anew; or promised again after it was kept, by its own terms and
/// not by those of the survivor.
fn takes_up(one: &ClockEntry, next: &ClockEntry, promises: &Terms) -> bool {
    let made_anew = next.revisions.len() == one.revisions.len() + 1
        && next.timeline.started() == one.timeline.started()
        && next.revisions.last().is_some_and(|revision| {
            revision.from_rule == one.rule
                && Some(revision.at) == one.cancelled_at
                && revision.previous_due == one.due
        });
    let kept_at = one.fulfilled.as_ref().map(|kept| kept.at);
    let again = one.kind == ClockKind::ProgressUpdate
        && next.rule == one.rule
        && kept_at == Some(next.timeline.started())
        && next.terms == one.terms
        && next.terms != *promises;
    next.cycle == one.cycle && next.kind == one.kind && (made_anew || again)
}
