//! Making a ticket's promises anew by another policy version: a new regulation, a new calendar, another org unit (T-05, T-06,
//! T-11). The rules:
//!
//! * **The ticket stays judged by its version .** Levels, verdicts, violations of handling, wordings: all as before. Only
//!   what is promised, until when, changes; and what is promised later is promised by the new version.
//! * **Nothing that has ended changes:** what was kept, broken or cancelled, and every earlier cycle.
//! * **A promise that runs or pauses** is taken up by the new version's rule of the same name, else by one of the same kind that
//!   has no promise yet. It begins when it began; what was used up, every pause and every announced delay stay. Each stretch
//!   of its time counts on the calendar that was valid in it. The old entry ends beside it as evidence.
//! * **What the new target makes overdue is due now,** not earlier: nobody is late for a promise before it is made. A deadline
//!   that moves later unmakes no breach.
//! * **Who was warned is not warned again,** and no step is taken twice. Steps to come move.
//! * **A promise that no rule takes up** goes on as it was promised, on its calendar. So does one that the new version promises
//!   just the same.
//! * **What the new version promises for the first time** begins now, if it is still owed where the ticket stands, and with a
//!   pause while it waits.
//! * **Once:** by the version that is in force already, nothing changes.

use std::{fmt, sync::Arc};

use uuid::Uuid;

use super::{
    assess::{is_owed, paused},
    change::What,
    clock::{ClockChange, ClockEffect, ClockEntry},
    clock_note::{Cause, Revision},
    decide::{allow, refuse, text_faults},
    policy::{ClockRule, Policy},
    refusal::{Missing, Refusal},
    story::{Story, effect, next_round, no_deadline, start},
    terms::{Issued, Terms},
    ticket::Ticket,
    timers::{Until, settle},
    word::coded,
};

coded! {
    /// Why promises are made anew.
    RecomputeCause {
        /// Somebody decided so.
        Manager = "manager",
        /// A policy version came into force that says so for open tickets.
        NewVersion = "new_version",
        /// Another org unit took the ticket.
        Transfer = "transfer",
    }
}

/// By what a ticket's promises are to be made anew.
#[derive(Clone)]
pub struct Recompute {
    /// The version.
    pub version: Arc<dyn Issued>,
    /// What for.
    pub cause: RecomputeCause,
    /// Why.
    pub reason: String,
}

impl fmt::Debug for Recompute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, cause) = (self.version.id(), self.cause);
        f.debug_struct("Recompute").field("version", &version).field("cause", &cause).finish()
    }
}

impl PartialEq for Recompute {
    fn eq(&self, other: &Self) -> bool {
        let key = |this: &Self| (this.version.id(), this.cause, this.reason.clone());
        key(self) == key(other)
    }
}

impl Eq for Recompute {}

impl Ticket {
    /// A version as terms of this ticket.
    #[must_use]
    pub fn terms_of(&self, version: Arc<dyn Issued>) -> Terms {
        if version.id() == self.policy_version {
            Terms::Registered
        } else {
            Terms::Revised(version)
        }
    }

    /// The policy version by which it gets new promises.
    #[must_use]
    pub fn promise_version(&self) -> Uuid {
        self.promises.version().unwrap_or(self.policy_version)
    }
}

/// Computes the promises anew. Possible until the ticket ends.
pub(super) fn recompute(
    story: &mut Story<'_>,
    command: &'static str,
    asked: Recompute,
) -> Result<(), Refusal> {
    let Recompute { version, cause, reason } = asked;
    let ended = story.ticket.state.is_final();
    allow(story, command, if ended { &[Missing::NotEnded] } else { &[] })?;
    refuse(text_faults("reason", &reason))?;
    settle(story, Until::At(story.now));
    let (from, to) = (story.ticket.promise_version(), version.id());
    if from == to {
        return Ok(());
    }
    let terms = story.ticket.terms_of(version);
    let clocks = recomputed(story, &terms, (from, to))?;
    story.record(What::Recomputed { cause, from, to, reason, terms }, clocks);
    Ok(())
}

fn recomputed(
    story: &Story<'_>,
    terms: &Terms,
    versions: (Uuid, Uuid),
) -> Result<Vec<ClockChange>, Refusal> {
    let Story { ticket, policy, now, .. } = story;
    let wanted = terms.policy(policy);
    let rules = covering(ticket, policy, wanted);
    let live: Vec<&ClockEntry> = ticket.current_clocks().filter(|clock| clock.is_live()).collect();
    let takers = takers(ticket, &live, &rules);
    let mut changes = Vec::new();
    for (clock, rule) in live.iter().zip(&takers) {
        let Some(rule) = rule.filter(|rule| !same(clock, rule, policy, wanted)) else { continue };
        let revision = Revision {
            at: *now,
            by: story.actor.subject(),
            cause: Cause::Policy { from: versions.0, to: versions.1 },
            from_rule: clock.rule.clone(),
            previous_due: clock.due,
        };
        let entry = clock.recomputed(rule, (terms, policy), revision);
        changes.push(effect(clock, ClockEffect::Cancelled { at: *now }));
        changes.push(next_round(ticket, entry.map_err(|error| no_deadline(rule, error))?));
    }
    for rule in rules {
        let promised = ticket.current_clocks().any(|clock| clock.kind == rule.kind);
        if !promised && is_owed(story, rule.kind) {
            let started = start(ticket, policy, terms, rule, ticket.cycle, *now)?;
            let paused = paused(story, &started);
            changes.push(started);
            changes.extend(paused);
        }
    }
    Ok(changes)
}

/// The rules of a policy that promise this ticket something. Whether it came in while somebody worked was seen where it came in.
fn covering<'a>(ticket: &Ticket, registered: &Policy, policy: &'a Policy) -> Vec<&'a ClockRule> {
    let calendar = registered.calendar();
    let covers = |rule: &&ClockRule| rule.covers(ticket, ticket.severity, calendar);
    policy.clocks().iter().filter(covers).collect()
}

/// The rule that takes up each of the clocks: first by name, then what is left by kind, both in order.
fn takers<'a>(
    ticket: &Ticket,
    live: &[&ClockEntry],
    rules: &[&'a ClockRule],
) -> Vec<Option<&'a ClockRule>> {
    let named = |clock: &ClockEntry| {
        rules.iter().copied().find(|rule| rule.name == clock.rule && rule.kind == clock.kind)
    };
    let mut takers: Vec<Option<&ClockRule>> = live.iter().map(|clock| named(clock)).collect();
    // A rule that has promised something in this cycle already promises it once.
    let free = |rule: &&&ClockRule| !ticket.current_clocks().any(|clock| clock.rule == rule.name);
    let mut left: Vec<&ClockRule> = rules.iter().filter(free).copied().collect();
    for (clock, taker) in live.iter().zip(&mut takers).filter(|(_, taker)| taker.is_none()) {
        if let Some(place) = left.iter().position(|rule| rule.kind == clock.kind) {
            *taker = Some(left.remove(place));
        }
    }
    takers
}

/// Whether a rule promises just what was promised, where it counts on a calendar on just such a one.
pub(super) fn same(
    clock: &ClockEntry,
    rule: &ClockRule,
    registered: &Policy,
    wanted: &Policy,
) -> bool {
    let before = clock.terms.policy(registered);
    let calendar = !rule.target.is_business() || before.calendar() == wanted.calendar();
    calendar && before.rule(&clock.rule) == Some(rule)
}
