//! What a command does to a ticket, or why not (T-09).

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    announce, assess, assign, authority,
    change::{Change, What},
    command::{Command, Manner},
    content_rules, correction,
    delivery::Dispatch,
    escalation::{self, EscalationCause},
    handling_decide, link,
    policy::Policy,
    process_follow,
    recompute::recompute,
    refusal::{Missing, Refusal},
    register, required_field, spoken,
    story::Story,
    ticket::{Details, Solution, State, Ticket},
    timers::{Until, settle},
    verdict,
    waiting::FollowUp,
    word::{Actor, ClockKind, Fault, Priority, Words},
};

/// Decides on a command as of `now`: the changes that it makes, in order, or why it is refused.
///
/// The clocks have their say first: whatever was due before the command takes effect is part of
/// the answer even if no worker has come to it yet, and whatever is due by `now` after it. So what
/// a ticket becomes does not depend on how punctual the workers are. What fulfils a promise at the
/// very instant of its deadline is in time, unless the breach is on record already.
///
/// A `now` before the ticket's last change counts as that change's time: the clocks of two
/// replicas differ a little.
///
/// # Errors
/// [`Refusal`] with everything that is missing; then nothing has changed.
pub fn decide(
    ticket: &Ticket,
    policy: &Policy,
    command: Command,
    actor: &Actor,
    now: Timestamp,
) -> Result<Vec<Change>, Refusal> {
    let mut story = Story::new(ticket, policy, actor, now);
    let name = command.name();
    if let State::Merged(merged) = &ticket.state {
        if let Command::NoteDelivery(note) = command {
            spoken::note(&mut story, note);
            return Ok(story.changes);
        }
        return link::at_survivor(merged, &command);
    }
    let (command, manner) = command.unwrapped();
    story.worked = manner.worked;
    match command {
        Command::Respond { message, sent_at } => {
            respond(&mut story, name, Said { message, sent_at, manner })?;
        }
        Command::Pause { reason, code, recipient } => {
            pause(&mut story, name, reason, (&code, recipient))?;
        }
        Command::Resume => resume(&mut story, name)?,
        Command::Resolve { solution } => resolve(&mut story, name, solution)?,
        Command::FeedBack { message, sent_at } => {
            feed_back(&mut story, name, Said { message, sent_at, manner })?;
        }
        Command::RecordVerdict { value, comment, asked_at } => {
            verdict::record(&mut story, value, comment, asked_at)?;
        }
        Command::TakeSurveyVerdict { cycle, value, comment, submitted_at } => {
            verdict::take(&mut story, (cycle, value, comment), submitted_at)?;
        }
        Command::Escalate { reason, by_manager } => {
            escalate(&mut story, name, reason, by_manager)?;
        }
        Command::Cancel { reason } => cancel(&mut story, name, reason)?,
        Command::UpdateDetails { details } => update(&mut story, name, details)?,
        Command::Tag { add, remove } => {
            let details = story.ticket.details.tagged(&add, &remove);
            update(&mut story, name, details)?;
        }
        Command::Correct(correction) => correction::correct(&mut story, name, *correction)?,
        Command::AnnounceDelay { rule, new_due, reason, message } => {
            let delay = announce::Delay { rule, new_due, reason, message };
            announce::announce(&mut story, name, delay, (manner.overriding, manner.route))?;
        }
        Command::Assess { severity, reason } => {
            assess::assess(&mut story, name, severity, reason)?;
        }
        Command::Recompute(asked) => recompute(&mut story, name, asked)?,
        Command::AddNote { note } => add_note(&mut story, note)?,
        Command::Handle(command) => {
            handling_decide::decide(&mut story, command, manner.overriding)?;
        }
        Command::Assign(assignment) => assign::assign(&mut story, name, assignment)?,
        Command::NoteDelivery(note) => spoken::note(&mut story, note),
        Command::StandIn { by } => assign::stand_in(&mut story, by),
        Command::RaisePriority { to } => raise_priority(&mut story, name, to)?,
        // Unwrapped above; and whoever only fires timers has nothing to override.
        Command::OverridePhrases(_)
        | Command::Send { .. }
        | Command::Carry { .. }
        | Command::AsWorker(_)
        | Command::FireTimers => {}
    }
    let now = story.now;
    settle(&mut story, Until::At(now));
    required_field::judge(&mut story, 0);
    Ok(story.changes)
}

/// What is said to the customer.
struct Said {
    message: String,
    /// When, as whoever enters it says; none means now.
    sent_at: Option<Timestamp>,
    /// How.
    manner: Manner,
}

impl Said {
    /// The phrases that it is said in spite of; everything that is wrong with it goes to `faults` (T-14).
    fn judge(&self, story: &Story<'_>, faults: &mut Vec<Fault>) -> Vec<Arc<str>> {
        faults.extend(text_faults("message", &self.message));
        let phrases = story.policy.forbidden_phrases();
        let judged = phrases.judge("message", &self.message, self.manner.overriding);
        judged.unwrap_or_else(|found| {
            faults.extend(found);
            Vec::new()
        })
    }

    /// The way that the policy has for it; everything that is wrong with it goes to `faults`.
    fn dispatch(&self, story: &Story<'_>, faults: &mut Vec<Fault>) -> Option<Dispatch> {
        self.manner.route.as_ref().and_then(|route| route.resolve(story.policy, faults))
    }

    /// When the customer heard it: in the present cycle, and not before the solution that is told, if one is; what is wrong
    /// with that goes to `faults` (T-07).
    fn heard_at(
        &self,
        story: &Story<'_>,
        solved: Option<Timestamp>,
        faults: &mut Vec<Fault>,
    ) -> Timestamp {
        if self.sent_at.is_some() && self.manner.route.is_some() {
            faults.push(Fault::new(
                "send_time",
                (
                    "must not be set with a delivery: it is sent now",
                    "由系统发送时不得填写：立即发送",
                ),
            ));
        }
        // What was said on the parent was said, whatever the clock of this replica shows.
        let carried = self.manner.carried.map(|at| at.min(story.now));
        let at = carried.or(self.sent_at).unwrap_or(story.now);
        let began = story.ticket.cycle_started_at;
        if at > story.now {
            let now = story.now;
            faults.push(Fault::new("send_time", Words::ahead(now)));
        }
        let words = match (solved, story.ticket.cycle) {
            (Some(solved), _) if at < solved => (
                format!("must not be before {solved}, when the solution was put on record"),
                format!("不得早于处理方案登记时间 {solved}"),
            ),
            (_, 1) if at < began => (
                format!("must not be before {began}, when the ticket was registered"),
                format!("不得早于工单登记时间 {began}"),
            ),
            (..) if at < began => (
                format!("must not be before {began}, when the ticket was reopened"),
                format!("不得早于工单重开时间 {began}"),
            ),
            (..) => return at,
        };
        faults.push(Fault::new("send_time", words));
        at
    }
}

/// The first answer of a cycle fulfils its first-response clock as of when it was sent (T-07).
fn respond(story: &mut Story<'_>, command: &'static str, said: Said) -> Result<(), Refusal> {
    allow(
        story,
        command,
        match story.ticket.state {
            State::Closed { .. } | State::Cancelled { .. } | State::Merged(_) => {
                &[Missing::NotEnded]
            }
            _ => &[],
        },
    )?;
    let mut faults = Vec::new();
    let overridden = said.judge(story, &mut faults);
    let dispatch = said.dispatch(story, &mut faults);
    let sent_at = said.heard_at(story, None, &mut faults);
    refuse(faults)?;
    settle(story, Until::Before(sent_at));
    let mut clocks = Vec::new();
    story.fulfil(ClockKind::FirstResponse, sent_at, &mut clocks)?;
    story.progress(sent_at, &mut clocks)?;
    let what = What::Responded { message: said.message, sent_at, overridden, dispatch };
    story.record_as(story.actor.clone(), sent_at, what, clocks);
    Ok(())
}

fn pause(
    story: &mut Story<'_>,
    command: &'static str,
    reason: String,
    (code, recipient): (&str, Option<String>),
) -> Result<(), Refusal> {
    allow(
        story,
        command,
        match story.ticket.state {
            State::Open(_) => &[],
            State::Waiting { .. } => &[Missing::NotWaiting],
            State::Resolved(_) | State::ResultFedBack { .. } => &[Missing::NoSolutionYet],
            State::Closed { .. } | State::Cancelled { .. } | State::Merged(_) => {
                &[Missing::NotEnded]
            }
        },
    )?;
    let mut faults = text_faults("reason", &reason);
    let follow_up = match FollowUp::begin(story.policy, code, story.now, recipient) {
        Err(Refusal::Fields(more)) => {
            faults.extend(more);
            None
        }
        other => other?,
    };
    refuse(faults)?;
    settle(story, Until::At(story.now));
    let clocks = story.pause(&reason);
    story.record(What::Paused { reason, follow_up }, clocks);
    Ok(())
}

fn resume(story: &mut Story<'_>, command: &'static str) -> Result<(), Refusal> {
    allow(
        story,
        command,
        match story.ticket.state {
            State::Waiting { .. } => &[],
            State::Closed { .. } | State::Cancelled { .. } | State::Merged(_) => {
                &[Missing::NotEnded, Missing::Waiting]
            }
            _ => &[Missing::Waiting],
        },
    )?;
    settle(story, Until::At(story.now));
    let mut clocks = Vec::new();
    story.resume(&mut clocks)?;
    story.record(What::Resumed, clocks);
    Ok(())
}

/// No resolution without a solution. It is no answer: the first-response clock goes on until the
/// customer hears something, at the latest the result.
fn resolve(story: &mut Story<'_>, command: &'static str, solution: String) -> Result<(), Refusal> {
    allow(
        story,
        command,
        match story.ticket.state {
            State::Open(_) | State::Waiting { .. } => &[],
            State::Resolved(_) => &[Missing::NoSolutionYet],
            State::ResultFedBack { .. } => &[Missing::NoSolutionYet, Missing::ResultNotFedBackYet],
            State::Closed { .. } | State::Cancelled { .. } | State::Merged(_) => {
                &[Missing::NotEnded]
            }
        },
    )?;
    refuse(text_faults("solution", &solution))?;
    settle(story, Until::Before(story.now));
    handling_decide::may_resolve(story, command)?;
    content_rules::may_resolve(story, command)?;
    process_follow::none_runs(story, command)?;
    solve(story, solution)
}

/// Puts the solution on record.
pub(super) fn solve(story: &mut Story<'_>, solution: String) -> Result<(), Refusal> {
    let mut clocks = Vec::new();
    story.fulfil(ClockKind::Resolution, story.now, &mut clocks)?;
    story.start(&[ClockKind::ResultFeedback], story.ticket.cycle, &mut clocks)?;
    let by = story.actor.subject();
    story.record(What::Resolved(Solution { text: solution, by, at: story.now }), clocks);
    Ok(())
}

/// Telling the result fulfils what it fulfils as of when it was told (T-07), and from then on the call-back is promised. What was
/// said on a parent before its child had the solution was heard then, and is the result from the solution on.
fn feed_back(story: &mut Story<'_>, command: &'static str, said: Said) -> Result<(), Refusal> {
    let solved = match &story.ticket.state {
        State::Resolved(solution) => Ok(solution.at),
        State::Open(_) | State::Waiting { .. } => Err(Missing::Solution),
        State::ResultFedBack { .. } => Err(Missing::ResultNotFedBackYet),
        State::Closed { .. } | State::Cancelled { .. } | State::Merged(_) => Err(Missing::NotEnded),
    };
    let state = story.ticket.state.name();
    let solved = solved.map_err(|missing| {
        let missing = vec![missing];
        Refusal::IllegalState { state, command, missing }
    })?;
    handling_decide::not_on_its_way(story, command)?;
    let mut faults = Vec::new();
    let overridden = said.judge(story, &mut faults);
    let dispatch = said.dispatch(story, &mut faults);
    let told = Some(solved).filter(|_| said.manner.carried.is_none());
    let sent_at = said.heard_at(story, told, &mut faults);
    let told_at = sent_at.max(solved);
    refuse(faults)?;
    settle(story, Until::Before(sent_at));
    let mut clocks = Vec::new();
    story.fulfil(ClockKind::FirstResponse, sent_at, &mut clocks)?;
    story.fulfil(ClockKind::ResultFeedback, told_at, &mut clocks)?;
    story.end_progress(sent_at, &mut clocks);
    story.start_as_of(&[ClockKind::CallBack], told_at, &mut clocks)?;
    let what = What::ResultFedBack { message: said.message, sent_at, overridden, dispatch };
    story.record_as(story.actor.clone(), told_at, what, clocks);
    Ok(())
}

fn escalate(
    story: &mut Story<'_>,
    command: &'static str,
    reason: String,
    by_manager: bool,
) -> Result<(), Refusal> {
    let ended = story.ticket.state.is_final();
    allow(story, command, if ended { &[Missing::NotEnded] } else { &[] })?;
    refuse(text_faults("reason", &reason))?;
    // A breach may take the last level just before.
    settle(story, Until::At(story.now));
    let at_top = story.ticket.receiver_level >= story.policy.top_level();
    allow(story, command, if at_top { &[Missing::HigherLevel] } else { &[] })?;
    // What is beyond the level goes to the one that may resolve it, anything else one up.
    let form = match authority::above(&story.ticket, story.policy) {
        Some(to) => escalation::by_authority(&story.ticket, to, reason, story.now),
        None => {
            let cause = match story.actor {
                Actor::Trigger(_) => EscalationCause::Trigger,
                Actor::Staff(_) | Actor::System(_) if by_manager => EscalationCause::Manager,
                Actor::Staff(_) | Actor::System(_) => EscalationCause::Handler,
            };
            escalation::next(&story.ticket, story.policy, cause, reason, story.now)
        }
    };
    story.record(What::Escalated(form), Vec::new());
    Ok(())
}

/// Nobody gets rid of a customer who has seen a solution, least of all of a dissatisfied one.
fn cancel(story: &mut Story<'_>, command: &'static str, reason: String) -> Result<(), Refusal> {
    let first_cycle = story.ticket.cycle == 1;
    allow(
        story,
        command,
        match story.ticket.state {
            State::Open(_) | State::Waiting { .. } if first_cycle => &[],
            State::Closed { .. } | State::Cancelled { .. } | State::Merged(_) => {
                &[Missing::NotEnded]
            }
            _ => &[Missing::Verdict],
        },
    )?;
    handling_decide::not_on_its_way(story, command)?;
    refuse(text_faults("reason", &reason))?;
    settle(story, Until::At(story.now));
    let mut clocks = Vec::new();
    story.cancel_rest(&mut clocks);
    story.record(What::Cancelled { reason }, clocks);
    Ok(())
}

fn update(story: &mut Story<'_>, command: &'static str, details: Details) -> Result<(), Refusal> {
    let ended = story.ticket.state.is_final();
    allow(story, command, if ended { &[Missing::NotEnded] } else { &[] })?;
    let mut faults = text_faults("ticket.subject", &details.subject);
    let changes = details.category != story.ticket.details.category;
    if changes && !story.policy.routing().categories().allows(&details.category) {
        faults.push(register::unknown_category());
    }
    let (before, kind) = (story.ticket.details.clone(), story.ticket.kind);
    let details = match content_rules::read(story.policy.content(), Some(&before), details, kind) {
        Ok(details) => details,
        Err(more) => {
            faults.extend(more);
            before
        }
    };
    refuse(faults)?;
    settle(story, Until::At(story.now));
    if details != story.ticket.details {
        story.record(What::Updated(details), Vec::new());
    }
    Ok(())
}

fn raise_priority(
    story: &mut Story<'_>,
    command: &'static str,
    to: Priority,
) -> Result<(), Refusal> {
    let ended = story.ticket.state.is_final();
    allow(story, command, if ended { &[Missing::NotEnded] } else { &[] })?;
    settle(story, Until::At(story.now));
    let from = story.ticket.priority;
    if from < to {
        story.record(What::PriorityRaised { from, to }, Vec::new());
    }
    Ok(())
}

/// A note moves nothing and stops no clock, so it is possible whatever the ticket's state (T-14).
fn add_note(story: &mut Story<'_>, note: String) -> Result<(), Refusal> {
    refuse(text_faults("note", &note))?;
    settle(story, Until::At(story.now));
    story.record(What::Noted { note }, Vec::new());
    Ok(())
}

pub(super) fn allow(
    story: &Story<'_>,
    command: &'static str,
    missing: &[Missing],
) -> Result<(), Refusal> {
    if missing.is_empty() {
        return Ok(());
    }
    let state = story.ticket.state.name();
    Err(Refusal::IllegalState { state, command, missing: missing.to_vec() })
}

pub(super) fn text_faults(field: &str, text: &str) -> Vec<Fault> {
    let empty = text.trim().is_empty();
    empty.then(|| Fault::new(field, ("must not be empty", "不得为空"))).into_iter().collect()
}

pub(super) fn refuse(faults: Vec<Fault>) -> Result<(), Refusal> {
    if faults.is_empty() { Ok(()) } else { Err(Refusal::Fields(faults)) }
}
