//! What happened to a ticket: one change is one revision and one row of the journal.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    assign::{self, Assignment},
    clock::{ClockChange, ClockEffect, ClockEntry},
    correction::{self, Corrected},
    delivery::Dispatch,
    escalation::Escalation,
    handling::{self, HandlingChange},
    link::{self, LinkChange},
    recompute::RecomputeCause,
    reminder::{NotReminded, Reminded},
    reopen::{self, LateAnswer, Reopening},
    spoken::{self, Undelivered},
    terms::Terms,
    ticket::{Details, Solution, State, Ticket},
    verdict::Verdict,
    violation::ProposedViolation,
    waiting::FollowUp,
    word::{Actor, Priority, ReceiverLevel, Severity, Subject},
};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Who did it.
    pub actor: Actor,
    /// When it was recorded; never before the change before it.
    pub at: Timestamp,
    /// As of when it counts: when an answer was sent, when a deadline passed; else `at`.
    pub effective_at: Timestamp,
    /// What happened.
    pub what: What,
    /// What it did to the ledger, in order.
    pub clocks: Vec<ClockChange>,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It was registered.
    Registered,
    /// The customer was answered.
    Responded {
        /// What was said.
        message: String,
        /// When it was sent.
        sent_at: Timestamp,
        /// The forbidden phrases that it was said in spite of (T-14).
        overridden: Vec<Arc<str>>,
        /// How it is sent, where this system sends it.
        dispatch: Option<Dispatch>,
    },
    /// It waits.
    Paused {
        /// For whom or what.
        reason: String,
        /// What the policy does about it meanwhile.
        follow_up: Option<FollowUp>,
    },
    /// It goes on.
    Resumed,
    /// A solution is on record.
    Resolved(Solution),
    /// The customer was told the result.
    ResultFedBack {
        /// What the customer was told.
        message: String,
        /// When the customer heard it. Before the result counts as told where it came from a parent that was solved earlier.
        sent_at: Timestamp,
        /// The forbidden phrases that it was said in spite of (T-14).
        overridden: Vec<Arc<str>>,
        /// How it is sent, where this system sends it.
        dispatch: Option<Dispatch>,
    },
    /// The customer is satisfied.
    Closed(Verdict),
    /// The customer is not.
    Reopened {
        /// The verdict.
        verdict: Verdict,
        /// The handling form that comes of it.
        escalation: Escalation,
        /// Whether the executives decide now (T-12).
        executive_review: bool,
    },
    /// It was closed and is open again (T-13).
    ReopenedAgain(Box<Reopening>),
    /// The customer answered a survey about a cycle that was over (T-13).
    AnsweredLate(Box<LateAnswer>),
    /// It was raised.
    Escalated(Escalation),
    /// It was cancelled.
    Cancelled {
        /// Why.
        reason: String,
    },
    /// An internal note was put on record. Only the history tells of it (T-14).
    Noted {
        /// The note.
        note: String,
    },
    /// It was given to a team or a person.
    Assigned(Assignment),
    /// Whoever had received it and is absent is stood in for (T-25).
    StoodInFor {
        /// Who has it now.
        by: Subject,
    },
    /// What was noted at intake was corrected.
    Updated(Details),
    /// Of whom or about what it was registered was put right (T-01).
    Corrected(Box<Corrected>),
    /// A deadline comes near.
    ClockWarned {
        /// The promise; its cycle is the ticket's.
        rule: Arc<str>,
        /// Its cycle.
        cycle: u32,
    },
    /// A deadline passed: one change with what follows (T-07, T-12, T-19).
    ClockBreached {
        /// The promise.
        rule: Arc<str>,
        /// Its cycle.
        cycle: u32,
        /// The deadline.
        due: Timestamp,
        /// Which level is told.
        notify: ReceiverLevel,
        /// The violation that the policy proposes.
        violation: Option<ProposedViolation>,
        /// The handling form where the policy raises the ticket.
        escalation: Option<Escalation>,
    },
    /// A step of a clock's escalation was taken (T-07).
    ClockEscalated {
        /// The promise.
        rule: Arc<str>,
        /// Its cycle.
        cycle: u32,
        /// Name of the step.
        step: Arc<str>,
        /// Which level is told.
        notify: Option<ReceiverLevel>,
        /// The handling form where the step raises the ticket.
        escalation: Option<Escalation>,
    },
    /// The owner said that it will not finish in time (T-08).
    DelayAnnounced {
        /// The promise.
        rule: Arc<str>,
        /// Its cycle.
        cycle: u32,
        /// What the customer was told.
        message: String,
        /// The forbidden phrases that it was said in spite of (T-14).
        overridden: Vec<Arc<str>>,
        /// How it is sent, where this system sends it.
        dispatch: Option<Dispatch>,
    },
    /// The severity was changed (T-03).
    Assessed {
        /// Before.
        from: Severity,
        /// After.
        to: Severity,
        /// Why.
        reason: String,
        /// Who may handle it now.
        level: ReceiverLevel,
    },
    /// What is promised was computed anew by another policy version (T-05, T-06, T-11).
    Recomputed {
        /// What for.
        cause: RecomputeCause,
        /// The version before.
        from: Uuid,
        /// The version after.
        to: Uuid,
        /// Why.
        reason: String,
        /// The version after, as what is promised later is promised by it.
        terms: Terms,
    },
    /// It is time to remind the customer that the ticket waits (T-06).
    ReminderDue {
        /// Code of the pause reason.
        reason: Arc<str>,
        /// The reminder that is on its way, or why to remind is for the staff.
        told: Result<Reminded, NotReminded>,
    },
    /// Closing what waits so long is proposed (T-06).
    CloseProposed {
        /// Code of the pause reason.
        reason: Arc<str>,
    },
    /// Something about its handling (T-09 to T-13, T-15).
    Handling(Box<HandlingChange>),
    /// Something between it and another ticket (T-04).
    Link(Box<LinkChange>),
    /// It became more urgent (T-26).
    PriorityRaised {
        /// What it was.
        from: Priority,
        /// What it is.
        to: Priority,
    },
    /// A message to the customer never left (T-14).
    Undelivered(Undelivered),
    /// It was taken after all, or a later one was (T-14).
    Delivered {
        /// The message that was taken.
        message: Uuid,
        /// The merged ticket on which it was said; none for this one (T-04).
        said_on: Option<Uuid>,
    },
}

impl Change {
    /// What was done, as the journal names it.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match &self.what {
            What::Registered => "CreateTicket",
            What::Responded { .. } => "RespondTicket",
            What::Paused { .. } => "PauseTicket",
            What::Resumed => "ResumeTicket",
            What::Resolved(_) => "ResolveTicket",
            What::ResultFedBack { .. } => "FeedBackTicket",
            What::Closed(_) | What::Reopened { .. } => "RecordVerdict",
            What::ReopenedAgain(_) => "ReopenTicket",
            What::AnsweredLate(_) => "NoteLateAnswer",
            What::Escalated(_) => "EscalateTicket",
            What::Cancelled { .. } => "CancelTicket",
            What::Noted { .. } => "AddTicketNote",
            What::Assigned(_) | What::StoodInFor { .. } => "AssignTicket",
            What::Updated(_) => "UpdateTicket",
            What::Corrected(_) => "CorrectTicket",
            What::ClockWarned { .. } => "WarnClock",
            What::ClockBreached { .. } => "BreachClock",
            What::ClockEscalated { .. } => "EscalateClock",
            What::DelayAnnounced { .. } => "AnnounceDelay",
            What::Assessed { .. } => "AssessTicket",
            What::Recomputed { .. } => "RecomputeClocks",
            What::ReminderDue { told: Ok(_), .. } => "RemindCustomer",
            What::ReminderDue { told: Err(_), .. } => "NoteReminderDue",
            What::CloseProposed { .. } => "ProposeClose",
            What::Handling(change) => change.action(),
            What::Link(change) => change.action(),
            What::PriorityRaised { .. } => "RaisePriority",
            What::Undelivered(_) => "MarkUndelivered",
            What::Delivered { .. } => "ClearUndelivered",
        }
    }

    /// The verdict that it put on record.
    #[must_use]
    pub fn verdict(&self) -> Option<&Verdict> {
        match &self.what {
            What::Closed(verdict) | What::Reopened { verdict, .. } => Some(verdict),
            _ => None,
        }
    }

    /// The handling form that it wrote.
    #[must_use]
    pub fn escalation(&self) -> Option<&Escalation> {
        match &self.what {
            What::Escalated(escalation) | What::Reopened { escalation, .. } => Some(escalation),
            What::ReopenedAgain(reopening) => reopening.escalation.as_ref(),
            What::ClockBreached { escalation, .. } | What::ClockEscalated { escalation, .. } => {
                escalation.as_ref()
            }
            _ => None,
        }
    }

    /// The violation that it proposed.
    #[must_use]
    pub fn violation(&self) -> Option<&ProposedViolation> {
        match &self.what {
            What::ClockBreached { violation, .. } => violation.as_ref(),
            What::Handling(change) => change.violation(),
            _ => None,
        }
    }
}

/// Takes a change. Total, and the only thing that changes a ticket: what
/// [`decide()`](super::decide()) returned, applied in order, is what was decided.
pub fn apply(ticket: &mut Ticket, change: &Change) {
    for clock in &change.clocks {
        apply_clock(ticket, clock);
    }
    apply_what(ticket, change);
    spoken::apply(ticket, change);
    if let Some(verdict) = change.verdict() {
        ticket.verdicts.push(verdict.clone());
    }
    if let Some(escalation) = change.escalation() {
        ticket.receiver_level = ticket.receiver_level.max(escalation.to);
        ticket.escalations.push(escalation.clone());
    }
    ticket.updated_at = ticket.updated_at.max(change.at);
    ticket.revision += 1;
}

pub(super) fn apply_clock(ticket: &mut Ticket, change: &ClockChange) {
    if let ClockEffect::Started(entry) = &change.effect {
        ticket.clocks.push((**entry).clone());
        return;
    }
    let named = |entry: &&mut ClockEntry| {
        (entry.cycle, entry.round) == (change.cycle, change.round) && entry.rule == change.rule
    };
    if let Some(entry) = ticket.clocks.iter_mut().find(named) {
        entry.apply(&change.effect);
    }
}

fn apply_what(ticket: &mut Ticket, change: &Change) {
    match &change.what {
        What::Registered | What::ClockWarned { .. } | What::ClockBreached { .. } => {}
        What::Escalated(_)
        | What::ClockEscalated { .. }
        | What::DelayAnnounced { .. }
        | What::Undelivered(_)
        | What::Delivered { .. }
        | What::AnsweredLate(_)
        | What::Noted { .. } => {}
        What::Assessed { to, level, .. } => {
            ticket.severity = *to;
            ticket.receiver_level = ticket.receiver_level.max(*level);
        }
        What::Recomputed { terms, .. } => ticket.promises = terms.clone(),
        What::ReminderDue { told, .. } => {
            if let State::Waiting { follow_up: Some(follow_up), .. } = &mut ticket.state {
                // What is sent is sent when it is put in the outbox, and not before.
                let at = if told.is_ok() { change.at } else { change.effective_at };
                follow_up.reminded_at = Some(at);
                follow_up.told = told.is_ok();
            }
        }
        What::CloseProposed { .. } => {
            if let State::Waiting { follow_up: Some(follow_up), .. } = &mut ticket.state {
                follow_up.proposed_at = Some(change.effective_at);
            }
        }
        What::Responded { sent_at, .. } => {
            heard(ticket, *sent_at);
            handled(ticket, change.actor.subject());
            match &mut ticket.state {
                State::Open(open) | State::Waiting { resume_to: open, .. } => {
                    *open = open.answered(*sent_at);
                }
                _ => {}
            }
        }
        What::Paused { reason, follow_up } => {
            if let State::Open(resume_to) = ticket.state {
                let (reason, follow_up) = (reason.clone(), follow_up.clone());
                let since = change.effective_at;
                ticket.state = State::Waiting { reason, since, resume_to, follow_up };
            }
        }
        What::Resumed => {
            if let State::Waiting { resume_to, .. } = ticket.state {
                ticket.state = State::Open(resume_to);
            }
        }
        What::Resolved(solution) => {
            handled(ticket, solution.by.clone());
            ticket.first_resolved_at = ticket.first_resolved_at.or(Some(solution.at));
            ticket.state = State::Resolved(solution.clone());
        }
        What::ResultFedBack { sent_at, .. } => {
            heard(ticket, *sent_at);
            ticket.handling.next_verdict();
            if let State::Resolved(solution) = &ticket.state {
                ticket.state = State::ResultFedBack {
                    solution: solution.clone(),
                    by: change.actor.subject(),
                    at: change.effective_at,
                };
            }
        }
        What::Closed(_) => {
            if let Some(solution) = ticket.state.solution().cloned() {
                ticket.state = State::Closed { solution, at: change.effective_at };
            }
        }
        What::Reopened { executive_review, .. } => {
            reopen::begin_cycle(ticket, change.effective_at, *executive_review);
        }
        What::ReopenedAgain(reopening) => {
            reopen::begin_cycle(ticket, change.effective_at, reopening.executive_review);
        }
        What::Cancelled { reason } => {
            ticket.state = State::Cancelled {
                reason: reason.clone(),
                by: change.actor.subject(),
                at: change.effective_at,
            };
        }
        What::Assigned(assignment) => assign::apply(ticket, assignment),
        What::StoodInFor { by } => ticket.handling.receiver = Some(by.clone()),
        What::Updated(details) => ticket.details = details.clone(),
        What::Corrected(corrected) => correction::apply(ticket, corrected),
        What::Handling(what) => {
            handling::apply(ticket, what, &change.actor, change.effective_at);
        }
        What::Link(what) => link::apply(ticket, what, &change.actor, change.effective_at),
        What::PriorityRaised { to, .. } => ticket.priority = *to,
    }
}

/// The customer heard something; the earliest of the first cycle is the first response.
fn heard(ticket: &mut Ticket, at: Timestamp) {
    if ticket.cycle == 1 {
        ticket.first_response_at = Some(ticket.first_response_at.map_or(at, |first| first.min(at)));
    }
}

fn handled(ticket: &mut Ticket, by: Subject) {
    if !ticket.cycle_handlers.contains(&by) {
        ticket.cycle_handlers.push(by.clone());
    }
    ticket.handler = Some(by);
    ticket.handling.receiver = None;
    ticket.handling.passed_on = false;
}
