//! What the clocks do when their time comes (T-07).

use jiff::Timestamp;

use super::{
    change::What,
    clock::{Alarm, ClockEffect, ClockEntry},
    escalation::{self, EscalationCause},
    handling::Supervision,
    reminder, required_field,
    story::{Story, effect},
    supervision,
    ticket::Ticket,
    violation,
    waiting::{FollowUp, FollowUpAlarm},
    word::{Actor, Text},
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
    supervision::report(story);
    while let Some((at, ring)) = next(&story.ticket, until) {
        match ring {
            Ring::Clock(clock, Alarm::Warn) => warn(story, *clock, at),
            Ring::Clock(clock, Alarm::Breach) => breach(story, *clock, at),
            Ring::Clock(clock, Alarm::Step(place)) => step(story, *clock, place, at),
            Ring::FollowUp(alarm) => follow_up(story, alarm, at),
            Ring::Answer => supervision::miss(story, at),
            Ring::Fields => required_field::judge_registration(story, at),
        }
        supervision::report(story);
    }
}

/// Who rings.
enum Ring {
    Clock(Box<ClockEntry>, Alarm),
    FollowUp(FollowUpAlarm),
    /// Headquarters waits for its answer.
    Answer,
    /// The registration has to be whole.
    Fields,
}

/// The next alarm. At one instant, in the order of the ledger, then what waits, then headquarters.
fn next(ticket: &Ticket, until: Until) -> Option<(Timestamp, Ring)> {
    let clocks = ticket.clocks.iter();
    let clock = clocks
        .filter_map(|clock| clock.next_alarm().map(|(at, alarm)| (at, clock, alarm)))
        .min_by_key(|(at, ..)| *at)
        .map(|(at, clock, alarm)| (at, Ring::Clock(Box::new(clock.clone()), alarm)));
    let waiting = ticket.state.follow_up().and_then(FollowUp::next_alarm);
    let waiting = waiting.map(|(at, alarm)| (at, Ring::FollowUp(alarm)));
    let supervision = ticket.handling.supervision.as_ref();
    let answer = supervision.and_then(Supervision::missing_from).map(|at| (at, Ring::Answer));
    let fields = ticket.handling.fields_due.map(|at| (at, Ring::Fields));
    let rings = clock.into_iter().chain(waiting).chain(answer).chain(fields);
    rings.min_by_key(|(at, _)| *at).filter(|(at, _)| until.includes(*at))
}

fn warn(story: &mut Story<'_>, clock: ClockEntry, at: Timestamp) {
    let effects = vec![effect(&clock, ClockEffect::Warned { at })];
    let what = What::ClockWarned { rule: clock.rule, cycle: clock.cycle };
    story.record_as(Actor::TIMERS, at, what, effects);
}

/// The breach, the violation and the escalation are one change.
fn breach(story: &mut Story<'_>, clock: ClockEntry, due: Timestamp) {
    let violation = violation::for_breach(story.policy, &story.ticket, &clock, due);
    let promised = clock.terms.policy(story.policy);
    let raises = promised.rule(&clock.rule).is_some_and(|rule| rule.breach_raises_level);
    let escalation = raises.then(|| {
        let reason = violation::evidence(&clock, due, story.policy);
        escalation::next(&story.ticket, story.policy, EscalationCause::Breach, reason, due)
    });
    // Raised or not, the next level hears of it.
    let next = story.ticket.receiver_level.raised(story.policy.top_level());
    let notify = escalation.as_ref().map_or(next, |escalation| escalation.to);
    // However the policy takes it: who was answerable is evidence (T-05).
    let answerable = violation::answerable(&story.ticket, clock.kind).clone();
    let effects = vec![effect(&clock, ClockEffect::Breached { at: due, answerable })];
    let ClockEntry { rule, cycle, .. } = clock;
    let what = What::ClockBreached { rule, cycle, due, notify, violation, escalation };
    story.record_as(Actor::TIMERS, due, what, effects);
}

/// A step is taken once; what it no longer finds in the policy it only marks as taken.
fn step(story: &mut Story<'_>, clock: ClockEntry, place: usize, at: Timestamp) {
    let Some(name) = clock.steps.get(place).map(|step| step.name.clone()) else { return };
    let rule = clock.terms.policy(story.policy).rule(&clock.rule);
    let rule = rule.and_then(|rule| rule.steps.iter().find(|step| step.name == name));
    let notify = rule.and_then(|rule| rule.notify);
    let reason = step_reason(&clock, &name);
    let escalation = rule
        .and_then(|rule| rule.raise_to)
        .map(|to| to.min(story.policy.top_level()))
        .and_then(|to| escalation::to_level(&story.ticket, to, reason, at));
    let effects = vec![effect(&clock, ClockEffect::Stepped { step: name.clone(), at })];
    let ClockEntry { rule, cycle, .. } = clock;
    let what = What::ClockEscalated { rule, cycle, step: name, notify, escalation };
    story.record_as(Actor::TIMERS, at, what, effects);
}

/// Why a step raised the ticket, in both languages.
fn step_reason(clock: &ClockEntry, step: &str) -> String {
    let ClockEntry { rule, cycle, .. } = clock;
    let Text { en, zh } = clock.kind.words();
    format!(
        "{rule} ({en}, cycle {cycle}): step {step} of its escalation. / {rule}（{zh}，第 {cycle} \
         轮）：升级步骤 {step}。"
    )
}

fn follow_up(story: &mut Story<'_>, alarm: FollowUpAlarm, at: Timestamp) {
    let Some(follow_up) = story.ticket.state.follow_up() else { return };
    let reason = follow_up.reason.clone();
    let what = match alarm {
        FollowUpAlarm::Remind => {
            let told = reminder::compose(&story.ticket, story.policy, follow_up);
            What::ReminderDue { reason, told }
        }
        FollowUpAlarm::ProposeClose => What::CloseProposed { reason },
    };
    story.record_as(Actor::TIMERS, at, what, Vec::new());
}
