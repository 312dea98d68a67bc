//! What was closed and is open again (T-09, T-13): a customer who turns out to be dissatisfied does not vanish in a closed
//! ticket.

use jiff::Timestamp;
use kefu_calendar::DueError;

use super::{
    change::What,
    clock::ClockChange,
    decide::{allow, refuse, text_faults},
    escalation::{self, Escalation, EscalationCause},
    policy::{Policy, VerdictOutcome},
    refusal::{Missing, Refusal},
    story::Story,
    ticket::{Open, State, Ticket},
    timers::{Until, settle},
    verdict::{named, on_scale},
    word::{ClockKind, Severity},
};

/// A closed ticket is open again, and its next cycle has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reopening {
    /// Why.
    pub reason: String,
    /// The handling form that comes of it, where the customer is dissatisfied.
    pub escalation: Option<Escalation>,
    /// Whether the executives decide now (T-12).
    pub executive_review: bool,
}

/// What the customer answered to a survey about a cycle that was over by then: no verdict any more, and not lost either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateAnswer {
    /// The cycle that it is about.
    pub cycle: u32,
    /// On the scale of the ticket's policy.
    pub value: u8,
    /// What the customer said.
    pub comment: String,
    /// Whether such a verdict would have reopened the ticket.
    pub dissatisfied: bool,
}

/// Until when the policy lets what was closed at this time be reopened; none where it does not.
///
/// # Errors
/// If the calendar does not reach so far.
pub(super) fn until(policy: &Policy, closed: Timestamp) -> Result<Option<Timestamp>, DueError> {
    let within = policy.handling.reopen_within;
    within.map(|within| policy.calendar().due_at(closed, within)).transpose()
}

/// Opens a closed ticket again.
pub(super) fn reopen(
    story: &mut Story<'_>,
    command: &'static str,
    reason: String,
    dissatisfied: bool,
) -> Result<(), Refusal> {
    let State::Closed { at: closed, .. } = story.ticket.state else {
        return allow(story, command, &[Missing::Closed]);
    };
    match limit(story.policy, closed)? {
        None => allow(story, command, &[Missing::Reopening])?,
        Some(until) if story.now > until => allow(story, command, &[Missing::ReopeningTime])?,
        Some(_) => {}
    }
    refuse(text_faults("reason", &reason))?;
    settle(story, Until::At(story.now));
    again(story, reason, dissatisfied)
}

fn limit(policy: &Policy, closed: Timestamp) -> Result<Option<Timestamp>, Refusal> {
    let rule = "reopening.within".to_owned();
    until(policy, closed).map_err(|error| Refusal::NoDeadline { rule, error })
}

fn again(story: &mut Story<'_>, reason: String, dissatisfied: bool) -> Result<(), Refusal> {
    let raised = dissatisfied.then(|| raise(&story.ticket, story.policy, &reason, story.now));
    let (escalation, executive_review) = raised.unzip();
    let mut clocks: Vec<ClockChange> = Vec::new();
    story.reopen(&ClockKind::OPENING, &mut clocks)?;
    let executive_review = executive_review.unwrap_or(false);
    let reopening = Reopening { reason, escalation, executive_review };
    story.record(What::ReopenedAgain(Box::new(reopening)), clocks);
    Ok(())
}

/// What a dissatisfied customer raises: one level up, and where a very serious ticket is at the top already, the executives
/// decide (T-12, T-13).
pub(super) fn raise(
    ticket: &Ticket,
    policy: &Policy,
    reason: &str,
    at: Timestamp,
) -> (Escalation, bool) {
    let executive_review =
        ticket.severity == Severity::VerySerious && ticket.receiver_level >= policy.top_level();
    let cause = EscalationCause::Verdict;
    (escalation::next(ticket, policy, cause, reason.to_owned(), at), executive_review)
}

/// Takes note of an answer about a cycle that is over. A dissatisfied one about the cycle that closed the ticket opens it
/// again, if it was given in the policy's time; one about an earlier cycle has been dealt with in a later one.
pub(super) fn answer_late(
    story: &mut Story<'_>,
    (cycle, value, comment): (u32, i32, String),
    answered: Timestamp,
) -> Result<(), Refusal> {
    let closed = match story.ticket.state {
        State::Closed { at, .. } if cycle == story.ticket.cycle => Some(at),
        _ => None,
    };
    let over = (1..story.ticket.cycle).contains(&cycle) || closed.is_some();
    if !over {
        return Ok(());
    }
    let option = on_scale(story, value).map_err(|fault| Refusal::Fields(vec![fault]));
    let (value, option) = option?;
    let dissatisfied = option.outcome == VerdictOutcome::Reopen;
    settle(story, Until::At(story.now));
    let reason = reason(value, &named(&option.label), cycle, &comment);
    let late = LateAnswer { cycle, value, comment, dissatisfied };
    story.record(What::AnsweredLate(Box::new(late)), Vec::new());
    let limit = closed.map_or(Ok(None), |closed| limit(story.policy, closed));
    // What no calendar reaches is on record, and for people to decide.
    let in_time = limit.ok().flatten().is_some_and(|until| answered.min(story.now) <= until);
    if dissatisfied && in_time { again(story, reason, true) } else { Ok(()) }
}

fn reason(value: u8, (en, zh): &(String, String), cycle: u32, comment: &str) -> String {
    let said = if comment.trim().is_empty() { String::new() } else { format!(" {comment}") };
    format!(
        "Survey answer {value}{en} on cycle {cycle} after the ticket was closed. / 工单关闭后收到第 {cycle} 轮问卷评价：{value}{zh}。{said}"
    )
}

/// The next cycle begins: asked for by a verdict, an answer that came late, or a person.
pub(super) fn begin_cycle(ticket: &mut Ticket, since: Timestamp, executive_review: bool) {
    ticket.rejected_solution = ticket.solution().cloned();
    ticket.cycle += 1;
    ticket.cycle_started_at = since;
    ticket.cycle_handlers.clear();
    ticket.links.handlers.clear();
    ticket.handling.next_verdict();
    ticket.handling.close_reason = None;
    ticket.state = State::Open(if executive_review {
        Open::ExecutiveReview { since }
    } else {
        Open::Reopened { since }
    });
}
