//! Changing how much a ticket weighs, and with it what was promised (T-03, T-06).

use super::{
    change::What,
    clock::{ClockChange, ClockEffect, ClockEntry},
    clock_note::{Cause, Revision},
    decide::{allow, refuse, text_faults},
    policy::ClockRule,
    refusal::{Missing, Refusal},
    story::{Story, effect, next_round, no_deadline, start},
    ticket::State,
    timers::{Until, settle},
    word::{ClockKind, Severity},
};

/// Sets the severity. Without a difference nothing changes.
///
/// A clock that runs or pauses goes on if its rule covers the new severity as well. If not, it
/// ends, and a rule of the same kind that covers only the new one takes it up with its start and
/// its pauses, so that what was used up counts. A kind that was promised nothing so far begins
/// now. What was broken or fulfilled stays as it is.
pub(super) fn assess(
    story: &mut Story<'_>,
    command: &'static str,
    severity: Severity,
    reason: String,
) -> Result<(), Refusal> {
    let ended = story.ticket.state.is_final();
    allow(story, command, if ended { &[Missing::NotEnded] } else { &[] })?;
    refuse(text_faults("reason", &reason))?;
    settle(story, Until::At(story.now));
    let from = story.ticket.severity;
    if from == severity {
        return Ok(());
    }
    let clocks = revised(story, severity)?;
    let level = story.policy.starting_level(severity).max(story.ticket.receiver_level);
    story.record(What::Assessed { from, to: severity, reason, level }, clocks);
    Ok(())
}

fn revised(story: &Story<'_>, to: Severity) -> Result<Vec<ClockChange>, Refusal> {
    let Story { ticket, policy, now, .. } = story;
    let (from, terms) = (ticket.severity, &ticket.promises);
    let covers = |rule: &ClockRule, to| rule.covers(ticket, to, policy.calendar());
    let mut wanted: Vec<&ClockRule> = terms
        .policy(policy)
        .clocks()
        .iter()
        .filter(|rule| covers(rule, to) && !covers(rule, from))
        .collect();
    // What runs on by an earlier version keeps its name for itself.
    wanted.retain(|rule| {
        !ticket.current_clocks().filter(|clock| clock.is_live()).any(|clock| {
            let own = clock.terms.policy(policy).rule(&clock.rule);
            clock.rule == rule.name
                && clock.kind == rule.kind
                && own.is_some_and(|own| covers(own, to))
        })
    });
    let mut changes = Vec::new();
    for clock in ticket.current_clocks().filter(|clock| clock.is_live()) {
        let own = clock.terms.policy(policy).rule(&clock.rule);
        if own.is_some_and(|rule| covers(rule, to)) {
            continue;
        }
        changes.push(effect(clock, ClockEffect::Cancelled { at: *now }));
        let Some(place) = wanted.iter().position(|rule| rule.kind == clock.kind) else { continue };
        let rule = wanted.remove(place);
        let revision = Revision {
            at: *now,
            by: story.actor.subject(),
            cause: Cause::Severity { from, to },
            from_rule: clock.rule.clone(),
            previous_due: clock.due,
        };
        let entry = clock.revised(rule, (terms, policy), revision);
        changes.push(next_round(ticket, entry.map_err(|error| no_deadline(rule, error))?));
    }
    for rule in wanted {
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

/// Whether what such a clock promises is still to come where the ticket stands.
pub(super) fn is_owed(story: &Story<'_>, kind: ClockKind) -> bool {
    let state = &story.ticket.state;
    let unsolved = matches!(state, State::Open(_) | State::Waiting { .. });
    match kind {
        ClockKind::FirstResponse => unsolved && story.ticket.cycle_handlers.is_empty(),
        ClockKind::Resolution | ClockKind::ProgressUpdate => unsolved,
        ClockKind::ResultFeedback => matches!(state, State::Resolved(_)),
        ClockKind::CallBack => matches!(state, State::ResultFedBack { .. }),
    }
}

/// A promise that pauses begins with a pause while the ticket waits.
pub(super) fn paused(story: &Story<'_>, started: &ClockChange) -> Option<ClockChange> {
    let State::Waiting { reason, .. } = &story.ticket.state else { return None };
    let ClockEffect::Started(entry) = &started.effect else { return None };
    let ClockEntry { kind, .. } = **entry;
    let pause = ClockEffect::Paused { at: story.now, reason: reason.clone() };
    kind.pauses().then(|| effect(entry, pause))
}
