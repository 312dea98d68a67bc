//! What the clocks do when their time comes (T-07).

use jiff::Timestamp;

use super::{
    change::What,
    clock::{Alarm, ClockEffect, ClockEntry},
    escalation::{self, EscalationCause},
    story::{Story, effect},
    violation,
    word::Actor,
};

/// Up to when the clocks have their say.
#[derive(Clone, Copy)]
pub(super) enum Until {
    /// What is due at that instant waits: what is done at a deadline is still in time.
    Before(Timestamp),
    /// What is due at that instant as well.
    At(Timestamp),
}

impl Until {
    fn includes(self, at: Timestamp) -> bool {
        match self {
            Self::Before(limit) => at < limit,
            Self::At(limit) => at <= limit,
        }
    }
}

/// Lets every alarm ring whose time has come, in order of time, each as of its own time. However
/// late and however many at once, the outcome is the same as ringing each at its moment.
pub(super) fn settle(story: &mut Story<'_>, until: Until) {
    while let Some((clock, at, alarm)) = next(&story.ticket.clocks, until) {
        match alarm {
            Alarm::Warn => warn(story, clock, at),
            Alarm::Breach => breach(story, clock, at),
        }
    }
}

/// The next alarm. At one instant, in the order of the ledger.
fn next(clocks: &[ClockEntry], until: Until) -> Option<(ClockEntry, Timestamp, Alarm)> {
    clocks
        .iter()
        .filter_map(|clock| clock.next_alarm().map(|(at, alarm)| (clock, at, alarm)))
        .filter(|(_, at, _)| until.includes(*at))
        .min_by_key(|(_, at, _)| *at)
        .map(|(clock, at, alarm)| (clock.clone(), at, alarm))
}

fn warn(story: &mut Story<'_>, clock: ClockEntry, at: Timestamp) {
    let effects = vec![effect(&clock, ClockEffect::Warned { at })];
    let what = What::ClockWarned { rule: clock.rule, cycle: clock.cycle };
    story.record_as(Actor::TIMERS, at, what, effects);
}

/// The breach, the violation and the escalation are one change.
fn breach(story: &mut Story<'_>, clock: ClockEntry, due: Timestamp) {
    let violation = violation::for_breach(story.policy, &story.ticket, &clock, due);
    let raises = story.policy.rule(&clock.rule).is_some_and(|rule| rule.breach_raises_level);
    let escalation = raises.then(|| {
        let reason = violation::evidence(&clock, due);
        escalation::next(&story.ticket, story.policy, EscalationCause::Breach, reason, due)
    });
    let effects = vec![effect(&clock, ClockEffect::Breached { at: due })];
    let ClockEntry { rule, cycle, .. } = clock;
    let what = What::ClockBreached { rule, cycle, due, violation, escalation };
    story.record_as(Actor::TIMERS, due, what, effects);
}
