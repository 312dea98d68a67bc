//! Late honesty: the owner says before the deadline that it will not finish in time (T-08).

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    change::What,
    clock::{ClockEffect, ClockState},
    clock_note::Announcement,
    decide::{allow, refuse, text_faults},
    delivery::Route,
    message_template::local_time,
    policy::Policy,
    refusal::{Missing, Refusal},
    story::{Story, effect},
    timers::{Until, settle},
    word::{Fault, Text, Words},
};

/// How often a delay of one clock can be announced.
const MOST: usize = 20;

/// What is announced.
pub(super) struct Delay {
    pub rule: String,
    pub new_due: Timestamp,
    pub reason: String,
    /// What the customer is told; none tells the reason and the date.
    pub message: Option<String>,
}

/// Puts a new date on record beside the deadline, which stays what it was and counts, and tells the customer.
pub(super) fn announce(
    story: &mut Story<'_>,
    command: &'static str,
    delay: Delay,
    (overriding, route): (bool, Option<Route>),
) -> Result<(), Refusal> {
    let Delay { rule, new_due, reason, message } = delay;
    let rule = rule.as_str();
    let ended = story.ticket.state.is_final();
    allow(story, command, if ended { &[Missing::NotEnded] } else { &[] })?;
    // At the deadline it is too late to be honest.
    settle(story, Until::At(story.now));
    let mut faults = text_faults("reason", &reason);
    let known = story.ticket.clock(rule, story.ticket.cycle).is_some()
        || story.promising().rule(rule).is_some();
    if !known && story.policy.rule(rule).is_none() {
        faults.push(Fault::new(
            "rule",
            ("is no rule of the ticket's policy", "工单适用的制度中没有此时限"),
        ));
    }
    if new_due <= story.now {
        let now = story.now;
        faults.push(Fault::new("new_due_time", Words::not_ahead(now)));
    }
    let clock = story.ticket.clock(rule, story.ticket.cycle);
    let clock = clock.filter(|clock| clock.state() == ClockState::Running);
    let due = clock.and_then(|clock| clock.due);
    if let Some(due) = due.filter(|due| new_due > story.now && new_due <= *due) {
        let words = (format!("must be after the deadline, {due}"), format!("须晚于原定时限 {due}"));
        faults.push(Fault::new("new_due_time", words));
    }
    if clock.is_some_and(|clock| clock.announcements.len() >= MOST) {
        let english = format!("was announced to be late {MOST} times already");
        faults.push(Fault::new("rule", (english, format!("已告知延期 {MOST} 次"))));
    }
    let message = message.filter(|message| !message.trim().is_empty());
    // The reason is for the customer's eyes as well; where the message is made of it, it is judged once.
    let mut overridden: Vec<Arc<str>> = Vec::new();
    let said = [("reason", Some(&reason)), ("message", message.as_ref())];
    for (field, text) in said.into_iter().filter_map(|(field, text)| Some((field, text?))) {
        match story.policy.forbidden_phrases().judge(field, text, overriding) {
            Ok(found) => {
                let fresh = found.into_iter().filter(|phrase| !overridden.contains(phrase));
                overridden.extend(fresh.collect::<Vec<_>>());
            }
            Err(found) => faults.extend(found),
        }
    }
    let dispatch = route.and_then(|route| route.resolve(story.policy, &mut faults));
    refuse(faults)?;
    let Some(clock) = clock.cloned() else {
        return allow(story, command, &[Missing::RunningClock]);
    };
    let message = message.unwrap_or_else(|| wording(story.policy, &reason, new_due));
    let by = story.actor.subject();
    let announcement = Announcement { at: story.now, new_due, reason, by };
    let effects = vec![effect(&clock, ClockEffect::Announced(announcement))];
    let (rule, cycle) = (clock.rule, clock.cycle);
    story.record(What::DelayAnnounced { rule, cycle, message, overridden, dispatch }, effects);
    Ok(())
}

/// Reason and new date, in both languages.
fn wording(policy: &Policy, reason: &str, new_due: Timestamp) -> String {
    let Text { en, zh } = local_time(policy, new_due);
    format!("{reason}\n新的预计完成时间：{zh}。\nNew expected date: {en}.")
}
