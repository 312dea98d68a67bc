//! A decision in the making: the changes so far and the ticket as they leave it.

use std::sync::Arc;

use jiff::Timestamp;
use kefu_calendar::DueError;

use super::{
    change::{Change, What, apply},
    clock::{ClockChange, ClockEffect, ClockEntry, ClockState, Fulfilment},
    policy::{ClockRule, Policy, ReopenMode},
    refusal::Refusal,
    terms::Terms,
    ticket::{State, Ticket},
    word::{Actor, ClockKind},
};

pub(super) struct Story<'a> {
    pub ticket: Ticket,
    pub policy: &'a Policy,
    pub actor: &'a Actor,
    /// Not before the ticket's last change, though replicas' clocks differ a little.
    pub now: Timestamp,
    /// Whether the actor works or has worked on an order for the ticket in this cycle.
    pub worked: bool,
    pub changes: Vec<Change>,
}

impl<'a> Story<'a> {
    pub fn new(ticket: &Ticket, policy: &'a Policy, actor: &'a Actor, now: Timestamp) -> Self {
        let now = now.max(ticket.updated_at);
        Self { ticket: ticket.clone(), policy, actor, now, worked: false, changes: Vec::new() }
    }

    /// Whether the actor has had a hand in what the customer got in this cycle, and so judges nothing of it (T-13).
    pub fn had_a_hand(&self) -> bool {
        self.worked || self.ticket.is_in_hands_of(&self.actor.subject())
    }

    /// Writes down what the actor did now.
    pub fn record(&mut self, what: What, clocks: Vec<ClockChange>) {
        self.record_as(self.actor.clone(), self.now, what, clocks);
    }

    /// Writes down what somebody did, and as of when.
    pub fn record_as(
        &mut self,
        actor: Actor,
        effective_at: Timestamp,
        what: What,
        clocks: Vec<ClockChange>,
    ) {
        let change = Change { actor, at: self.now, effective_at, what, clocks };
        apply(&mut self.ticket, &change);
        self.changes.push(change);
    }

    /// What is promised from now on: by the ticket's own version unless its promises were made anew.
    pub fn promising(&self) -> &Policy {
        self.ticket.promises.policy(self.policy)
    }

    /// Starts the promises of these kinds.
    pub fn start(
        &self,
        kinds: &[ClockKind],
        cycle: u32,
        into: &mut Vec<ClockChange>,
    ) -> Result<(), Refusal> {
        into.extend(started(&self.ticket, self.policy, kinds, cycle, self.now)?);
        Ok(())
    }

    /// Starts the promises of these kinds in this cycle as of when there was cause for them.
    pub fn start_as_of(
        &self,
        kinds: &[ClockKind],
        at: Timestamp,
        into: &mut Vec<ClockChange>,
    ) -> Result<(), Refusal> {
        into.extend(started(&self.ticket, self.policy, kinds, self.ticket.cycle, at)?);
        Ok(())
    }

    /// Fulfils the promises of a kind in this cycle as of `at`, in time or not.
    pub fn fulfil(
        &self,
        kind: ClockKind,
        at: Timestamp,
        into: &mut Vec<ClockChange>,
    ) -> Result<(), Refusal> {
        let by = self.actor.subject();
        let fulfilment = Fulfilment { at, by, recorded_at: self.now };
        for clock in self.ticket.current_clocks() {
            if clock.kind == kind && clock.is_fulfilled_by(at) {
                self.resume_one(clock, into)?;
                into.push(effect(clock, ClockEffect::Fulfilled(fulfilment.clone())));
            }
        }
        Ok(())
    }

    /// The customer heard at `at` how it goes: the promise to say so is fulfilled and the next one
    /// runs from then on, until the result is told (T-05).
    pub fn progress(&self, at: Timestamp, into: &mut Vec<ClockChange>) -> Result<(), Refusal> {
        if !matches!(self.ticket.state, State::Open(_) | State::Waiting { .. } | State::Resolved(_))
        {
            return Ok(());
        }
        let by = self.actor.subject();
        let fulfilment = Fulfilment { at, by, recorded_at: self.now };
        for clock in self.ticket.current_clocks() {
            let open = clock.kind == ClockKind::ProgressUpdate && clock.fulfilled.is_none();
            if open && clock.is_fulfilled_by(at) {
                into.push(effect(clock, ClockEffect::Fulfilled(fulfilment.clone())));
                if let Some((terms, rule)) = self.next_round(clock) {
                    into.push(start(&self.ticket, self.policy, terms, rule, clock.cycle, at)?);
                }
            }
        }
        Ok(())
    }

    /// The customer was told the result at `at`: the promise to say how it goes is fulfilled as of then, and what was promised
    /// later, by somebody who did not know that, ends without need.
    pub fn end_progress(&self, at: Timestamp, into: &mut Vec<ClockChange>) {
        let by = self.actor.subject();
        let fulfilment = Fulfilment { at, by, recorded_at: self.now };
        let clocks = self.ticket.current_clocks();
        for clock in clocks.filter(|clock| clock.kind == ClockKind::ProgressUpdate) {
            if clock.is_fulfilled_by(at) {
                into.push(effect(clock, ClockEffect::Fulfilled(fulfilment.clone())));
            } else if clock.is_pending() {
                into.push(effect(clock, ClockEffect::Cancelled { at: self.now }));
            }
        }
    }

    /// By which terms and rule a promise that was fulfilled is made again: those that hold now, or else its own.
    fn next_round<'b>(&'b self, clock: &'b ClockEntry) -> Option<(&'b Terms, &'b ClockRule)> {
        let now = self.promising().rule(&clock.rule).filter(|rule| rule.kind == clock.kind);
        let own = || clock.terms.policy(self.policy).rule(&clock.rule);
        now.map(|rule| (&self.ticket.promises, rule)).or_else(|| Some((&clock.terms, own()?)))
    }

    /// Starts what reopening promises; a resolution goes on where it stood unless the policy says
    /// otherwise (T-06).
    pub fn reopen(&self, kinds: &[ClockKind], into: &mut Vec<ClockChange>) -> Result<(), Refusal> {
        let cycle = self.ticket.cycle + 1;
        for mut fresh in started(&self.ticket, self.policy, kinds, cycle, self.now)? {
            let rule = self.promising().rule(&fresh.rule);
            let rule = rule.filter(|rule| rule.reopen == ReopenMode::Resume);
            let before = self.ticket.clock(&fresh.rule, self.ticket.cycle);
            if let Some((rule, before)) = rule.zip(before) {
                let terms = (&self.ticket.promises, self.policy);
                let next = before.reopened(rule, terms, self.now);
                let next = next.map_err(|error| no_deadline(rule, error))?;
                if let Some(next) = next {
                    fresh.effect = ClockEffect::Started(Box::new(next));
                }
            }
            into.push(fresh);
        }
        Ok(())
    }

    /// Pauses what pauses.
    pub fn pause(&self, reason: &str) -> Vec<ClockChange> {
        let running =
            |clock: &&ClockEntry| clock.kind.pauses() && clock.state() == ClockState::Running;
        let pause = ClockEffect::Paused { at: self.now, reason: reason.to_owned() };
        let clocks = self.ticket.clocks.iter().filter(running);
        clocks.map(|clock| effect(clock, pause.clone())).collect()
    }

    /// Resumes what pauses.
    pub fn resume(&self, into: &mut Vec<ClockChange>) -> Result<(), Refusal> {
        self.ticket.clocks.iter().try_for_each(|clock| self.resume_one(clock, into))
    }

    fn resume_one(&self, clock: &ClockEntry, into: &mut Vec<ClockChange>) -> Result<(), Refusal> {
        if clock.is_live() && clock.timeline.is_paused() {
            let resumed = clock
                .resumption(self.policy, self.now)
                .map_err(|error| Refusal::NoDeadline { rule: clock.rule.to_string(), error })?;
            into.push(effect(clock, resumed));
        }
        Ok(())
    }

    /// Ends what still lives and was not touched by `into`: nothing of a cycle outlives it.
    pub fn cancel_rest(&self, into: &mut Vec<ClockChange>) {
        let touched: Vec<Arc<str>> = into.iter().map(|change| change.rule.clone()).collect();
        for clock in self.ticket.clocks.iter().filter(|clock| clock.is_pending()) {
            if !touched.contains(&clock.rule) {
                into.push(effect(clock, ClockEffect::Cancelled { at: self.now }));
            }
        }
    }
}

/// The promises of these kinds that are made to this ticket, from `at` on. `policy` judges it.
pub(super) fn started(
    ticket: &Ticket,
    policy: &Policy,
    kinds: &[ClockKind],
    cycle: u32,
    at: Timestamp,
) -> Result<Vec<ClockChange>, Refusal> {
    let covers = |kind| kinds.contains(&kind);
    let promises = &ticket.promises;
    let rules = promises.policy(policy).clocks().iter().filter(|rule| {
        covers(rule.kind) && rule.covers(ticket, ticket.severity, policy.calendar())
    });
    rules.map(|rule| start(ticket, policy, promises, rule, cycle, at)).collect()
}

/// One promise that runs from `at` on.
pub(super) fn start(
    ticket: &Ticket,
    policy: &Policy,
    terms: &Terms,
    rule: &ClockRule,
    cycle: u32,
    at: Timestamp,
) -> Result<ClockChange, Refusal> {
    let entry = ClockEntry::start(rule, (terms, policy), cycle, at);
    let entry = entry.map_err(|error| no_deadline(rule, error))?;
    Ok(next_round(ticket, entry))
}

/// A new entry as the next of its rule in its cycle.
pub(super) fn next_round(ticket: &Ticket, mut entry: ClockEntry) -> ClockChange {
    let same = |clock: &&ClockEntry| clock.rule == entry.rule && clock.cycle == entry.cycle;
    let rounds = ticket.clocks.iter().filter(same).map(|clock| clock.round).max();
    entry.round = rounds.unwrap_or(0) + 1;
    effect(&entry.clone(), ClockEffect::Started(Box::new(entry)))
}

pub(super) fn no_deadline(rule: &ClockRule, error: DueError) -> Refusal {
    Refusal::NoDeadline { rule: rule.name.to_string(), error }
}

pub(super) fn effect(clock: &ClockEntry, effect: ClockEffect) -> ClockChange {
    ClockChange { rule: clock.rule.clone(), cycle: clock.cycle, round: clock.round, effect }
}
