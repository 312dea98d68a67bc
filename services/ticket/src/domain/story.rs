//! A decision in the making: the changes so far and the ticket as they leave it.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    change::{Change, What, apply},
    clock::{ClockChange, ClockEffect, ClockEntry, ClockState, Fulfilment},
    policy::Policy,
    refusal::Refusal,
    ticket::Ticket,
    word::{Actor, ClockKind},
};

pub(super) struct Story<'a> {
    pub ticket: Ticket,
    pub policy: &'a Policy,
    pub actor: &'a Actor,
    /// Not before the ticket's last change, though replicas' clocks differ a little.
    pub now: Timestamp,
    pub changes: Vec<Change>,
}

impl<'a> Story<'a> {
    pub fn new(ticket: &Ticket, policy: &'a Policy, actor: &'a Actor, now: Timestamp) -> Self {
        let now = now.max(ticket.updated_at);
        Self { ticket: ticket.clone(), policy, actor, now, changes: Vec::new() }
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
            let warn_percent = self.policy.rule(&clock.rule).and_then(|rule| rule.warn_percent);
            let resumed = clock
                .resumption(self.policy.calendar(), warn_percent, self.now)
                .map_err(|error| Refusal::NoDeadline { rule: clock.rule.to_string(), error })?;
            into.push(effect(clock, resumed));
        }
        Ok(())
    }

    /// Ends what still lives and was not touched by `into`: nothing of a cycle outlives it.
    pub fn cancel_rest(&self, into: &mut Vec<ClockChange>) {
        let touched: Vec<Arc<str>> = into.iter().map(|change| change.rule.clone()).collect();
        for clock in self.ticket.clocks.iter().filter(|clock| clock.is_live()) {
            if !touched.contains(&clock.rule) {
                into.push(effect(clock, ClockEffect::Cancelled { at: self.now }));
            }
        }
    }
}

/// The promises of these kinds that the policy makes to this ticket, from `at` on.
pub(super) fn started(
    ticket: &Ticket,
    policy: &Policy,
    kinds: &[ClockKind],
    cycle: u32,
    at: Timestamp,
) -> Result<Vec<ClockChange>, Refusal> {
    let covers = |kind| kinds.contains(&kind);
    let rules = policy.clocks().iter().filter(|rule| {
        covers(rule.kind) && rule.covers(ticket.kind, ticket.channel, ticket.severity)
    });
    rules
        .map(|rule| match ClockEntry::start(rule, policy.calendar(), cycle, at) {
            Ok(entry) => Ok(ClockChange {
                rule: rule.name.clone(),
                cycle,
                effect: ClockEffect::Started(Box::new(entry)),
            }),
            Err(error) => Err(Refusal::NoDeadline { rule: rule.name.to_string(), error }),
        })
        .collect()
}

pub(super) fn effect(clock: &ClockEntry, effect: ClockEffect) -> ClockChange {
    ClockChange { rule: clock.rule.clone(), cycle: clock.cycle, effect }
}
