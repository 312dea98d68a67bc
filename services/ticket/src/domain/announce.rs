//! Late honesty: the owner says before the deadline that it will not finish in time (T-08).

use jiff::Timestamp;

use super::{
    change::What,
    clock::{ClockEffect, ClockState},
    clock_note::Announcement,
    decide::{allow, refuse, text_faults},
    refusal::{Missing, Refusal},
    story::{Story, effect},
    timers::{Until, settle},
    word::Fault,
};

/// How often a delay of one clock can be announced.
const MOST: usize = 20;

/// Puts a new date on record beside the deadline, which stays what it was and counts.
pub(super) fn announce(
    story: &mut Story<'_>,
    command: &'static str,
    rule: &str,
    new_due: Timestamp,
    reason: String,
) -> Result<(), Refusal> {
    let ended = story.ticket.state.is_final();
    allow(story, command, if ended { &[Missing::NotEnded] } else { &[] })?;
    // At the deadline it is too late to be honest.
    settle(story, Until::At(story.now));
    let mut faults = text_faults("reason", &reason);
    let known = story.ticket.clock(rule, story.ticket.cycle).is_some()
        || story.promising().rule(rule).is_some();
    if !known && story.policy.rule(rule).is_none() {
        faults.push(Fault::new("rule", "is no rule of the ticket's policy"));
    }
    if new_due <= story.now {
        let now = story.now;
        faults.push(Fault::new("new_due_time", format!("must be after {now}, which is now")));
    }
    let clock = story.ticket.clock(rule, story.ticket.cycle);
    let clock = clock.filter(|clock| clock.state() == ClockState::Running);
    let due = clock.and_then(|clock| clock.due);
    if let Some(due) = due.filter(|due| new_due > story.now && new_due <= *due) {
        faults.push(Fault::new("new_due_time", format!("must be after the deadline, {due}")));
    }
    if clock.is_some_and(|clock| clock.announcements.len() >= MOST) {
        faults.push(Fault::new("rule", format!("was announced to be late {MOST} times already")));
    }
    refuse(faults)?;
    let Some(clock) = clock.cloned() else {
        return allow(story, command, &[Missing::RunningClock]);
    };
    let by = story.actor.subject();
    let announcement = Announcement { at: story.now, new_due, reason, by };
    let effects = vec![effect(&clock, ClockEffect::Announced(announcement))];
    story.record(What::DelayAnnounced { rule: clock.rule, cycle: clock.cycle }, effects);
    Ok(())
}
