//! How a ticket is handled between the first answer and the verdict: what is true of it now, and what can happen (T-10 to
//! T-13, T-15). The texts that were put on record hang in tables of their own; here is only what decides.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use super::{
    delivery::Dispatch,
    required_field::{RequiredField, RequiredMoment},
    ticket::{Open, State, Ticket},
    transfer::Transfer,
    violation::ProposedViolation,
    word::{Actor, Channel, Subject, coded},
};

/// What is true of the handling of a ticket. Bounded, however long it is handled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handling {
    /// When it has to be looked at whether it goes to headquarters: set by the registration, until somebody has looked.
    pub report_at: Option<Timestamp>,
    /// When it was reported to headquarters by itself; at most once (T-15).
    pub reported_at: Option<Timestamp>,
    /// When it was tried in vain to ask for this cycle's verdict, oldest first; at most `MOST_ATTEMPTS` (T-13).
    pub attempts: Vec<Timestamp>,
    /// Whoever reached the customer in this cycle after the result was told, and has no verdict.
    pub reached_by: Option<Subject>,
    /// Why it was closed without a verdict (T-09).
    pub close_reason: Option<String>,
    /// While it waits for its receiver (T-11).
    pub transfer: Option<Transfer>,
    /// How many transfers there were.
    pub transfers: u32,
    /// The team that the last accepted transfer named.
    pub team: Option<String>,
    /// Whoever accepted it, until somebody handles it.
    pub receiver: Option<Subject>,
    /// Whether it has changed hands since somebody last handled it: by a transfer, or by going to another owner or back to
    /// its team.
    pub passed_on: bool,
    /// The handling forms that are filled in, by their place from 1 (T-12).
    pub forms: BTreeSet<u32>,
    /// The present plan (T-10).
    pub plan: Option<Plan>,
    /// While headquarters watches it (T-15).
    pub supervision: Option<Supervision>,
    /// How many supervisions there were.
    pub supervisions: u32,
    /// How often whoever was asked first has urged (T-02).
    pub urgings: u32,
    /// What was missing when it had to be noted, and is on record (T-19).
    pub lacking: BTreeSet<RequiredField>,
    /// When it has to be looked at whether the registration lacks something; follows from the ticket and its policy.
    pub fields_due: Option<Timestamp>,
}

/// More attempts of one cycle than this are not kept here: no policy asks for so many.
pub const MOST_ATTEMPTS: usize = 64;

/// A plan by what of it decides (T-10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Counts the plans of the ticket from 1.
    pub version: u32,
    /// How and when the customer agreed.
    pub agreement: Option<Agreement>,
    /// Of each item: when it was done.
    pub done: Vec<Option<Timestamp>>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanItem {
    /// Who does it.
    pub who: String,
    /// What.
    pub what: String,
    /// By when.
    pub due: Timestamp,
}

/// That the customer agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// How.
    pub how: String,
    /// When.
    pub at: Timestamp,
}

/// Headquarters watches (T-15).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supervision {
    /// Counts the supervisions of the ticket from 1.
    pub number: u32,
    /// What headquarters asks for.
    pub instruction: String,
    /// Who began it.
    pub by: Subject,
    /// Since when.
    pub at: Timestamp,
    /// By when the unit answers.
    pub answer_by: Timestamp,
    /// When it answered last.
    pub answered_at: Option<Timestamp>,
    /// When the present answer was due and did not come.
    pub missed_at: Option<Timestamp>,
    /// How often it was urged.
    pub urgings: u32,
}

/// An attempt to reach the customer (T-09).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// How.
    pub channel: Channel,
    /// When.
    pub at: Timestamp,
    /// Whether the customer was reached.
    pub reached: bool,
    /// What came of it.
    pub note: String,
    /// Whether it is a documented failure to ask for the verdict.
    pub counts: bool,
    /// Whether the customer was there and could have been asked for the verdict.
    pub asks: bool,
}

coded! {
    /// How it goes on after an executive review (T-12).
    ExecutiveOutcome {
        /// It is handled again as decided.
        Handle = "handle",
        /// The decision is the solution.
        Solution = "solution",
    }
}

/// What happened to the handling of a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandlingChange {
    /// Somebody tried to reach the customer.
    Attempted(Attempt),
    /// It was closed because the customer could not be reached.
    ClosedUnreached {
        /// Why.
        reason: String,
        /// Until when an answer that comes late can open it again.
        reopen_until: Option<Timestamp>,
    },
    /// It was sent.
    Sent(Transfer),
    /// The receiver has it.
    Accepted {
        /// What was accepted.
        transfer: Transfer,
        /// What the customer was told.
        message: String,
        /// The forbidden phrases that it was said in spite of (T-14).
        overridden: Vec<Arc<str>>,
        /// How it is sent, where this system sends it.
        dispatch: Option<Dispatch>,
    },
    /// The receiver gave it back.
    Returned {
        /// What was given back.
        transfer: Transfer,
        /// Why.
        reason: String,
    },
    /// The sender took it back.
    Withdrawn {
        /// What was taken back.
        transfer: Transfer,
        /// Why.
        reason: String,
    },
    /// A handling form was filled in.
    FormCompleted {
        /// Which, from 1.
        form: u32,
        /// The level's opinion.
        opinion: String,
        /// What it decided.
        decision: String,
    },
    /// The executives decided; the solution, where the decision is one, comes as a change of its own.
    ExecutivesDecided {
        /// The decision.
        decision: String,
        /// How it goes on.
        outcome: ExecutiveOutcome,
    },
    /// The plan was made.
    Planned {
        /// Which version it is.
        version: u32,
        /// What is to be done.
        items: Vec<PlanItem>,
        /// That the customer agreed.
        agreement: Option<Agreement>,
    },
    /// The customer agreed with the plan.
    PlanAgreed(Agreement),
    /// An item was done.
    ItemDone {
        /// Which, from 1.
        item: u32,
    },
    /// There was a meeting.
    Met {
        /// When.
        at: Timestamp,
        /// Who took part.
        participants: Vec<String>,
        /// What was decided.
        decisions: String,
    },
    /// Something was found.
    Found {
        /// What.
        finding: String,
    },
    /// Headquarters watches.
    Supervised(Supervision),
    /// Whoever was asked first urged (T-02).
    Pushed {
        /// How often by now.
        number: u32,
        /// What.
        text: String,
    },
    /// Headquarters urged.
    Urged {
        /// How often by now.
        number: u32,
        /// What.
        text: String,
        /// A new date for an answer.
        answer_by: Option<Timestamp>,
    },
    /// The unit answered.
    Answered {
        /// The answer.
        answer: String,
    },
    /// The unit did not answer by the date.
    AnswerMissed {
        /// The date.
        due: Timestamp,
        /// The violation that the policy proposes.
        violation: Option<ProposedViolation>,
    },
    /// Something was missing when it had to be noted (T-19).
    FieldMissing {
        /// What.
        field: RequiredField,
        /// When it had to be noted.
        moment: RequiredMoment,
        /// When it has to be looked at again what the registration lacks.
        next: Option<Timestamp>,
        /// The violation that it proposes.
        violation: ProposedViolation,
    },
    /// Headquarters watches no more.
    SupervisionEnded {
        /// What was supervised.
        supervision: Supervision,
        /// What headquarters concludes.
        conclusion: String,
    },
    /// It met a criterion of the policy (T-15).
    Reported {
        /// Which, in English and Chinese.
        criterion: String,
        /// The supervision that begins with it.
        supervision: Option<Supervision>,
    },
}

impl HandlingChange {
    /// What was done, as the journal names it.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::Attempted(_) => "RecordContactAttempt",
            Self::ClosedUnreached { .. } => "CloseTicket",
            Self::Sent(_) => "TransferTicket",
            Self::Accepted { .. } => "AcceptTransfer",
            Self::Returned { .. } => "ReturnTransfer",
            Self::Withdrawn { .. } => "WithdrawTransfer",
            Self::FormCompleted { .. } => "CompleteHandlingForm",
            Self::ExecutivesDecided { .. } => "DecideExecutiveReview",
            Self::Planned { .. } => "SetHandlingPlan",
            Self::PlanAgreed(_) => "AgreeHandlingPlan",
            Self::ItemDone { .. } => "CompletePlanItem",
            Self::Met { .. } => "RecordMeeting",
            Self::Found { .. } => "RecordFinding",
            Self::Supervised(_) => "SuperviseTicket",
            Self::Urged { .. } | Self::Pushed { .. } => "UrgeTicket",
            Self::Answered { .. } => "AnswerSupervision",
            Self::AnswerMissed { .. } => "MissSupervisionAnswer",
            Self::FieldMissing { .. } => "MissRequiredField",
            Self::SupervisionEnded { .. } => "EndSupervision",
            Self::Reported { .. } => "ReportToHeadquarters",
        }
    }

    /// The violation that it proposed.
    #[must_use]
    pub const fn violation(&self) -> Option<&ProposedViolation> {
        match self {
            Self::AnswerMissed { violation, .. } => violation.as_ref(),
            Self::FieldMissing { violation, .. } => Some(violation),
            _ => None,
        }
    }
}

impl Handling {
    /// When the timers have to look at it next.
    #[must_use]
    pub fn next_alarm(&self) -> Option<Timestamp> {
        let answer = self.supervision.as_ref().and_then(Supervision::missing_from);
        self.report_at.into_iter().chain(answer).chain(self.fields_due).min()
    }

    /// A new cycle asks for its own verdict.
    pub(super) fn next_verdict(&mut self) {
        self.attempts.clear();
        self.reached_by = None;
    }
}

impl Plan {
    /// How many items are not done.
    #[must_use]
    pub fn open(&self) -> usize {
        self.done.iter().filter(|done| done.is_none()).count()
    }
}

impl Supervision {
    /// From when on the answer is missing, while that is not on record.
    #[must_use]
    pub fn missing_from(&self) -> Option<Timestamp> {
        Some(self.answer_by).filter(|_| self.answered_at.is_none() && self.missed_at.is_none())
    }
}

/// Takes a change. Total, like [`apply`](super::apply).
pub(super) fn apply(
    ticket: &mut Ticket,
    change: &HandlingChange,
    actor: &Actor,
    effective_at: Timestamp,
) {
    let handling = &mut ticket.handling;
    match change {
        HandlingChange::Attempted(attempt) => {
            if attempt.asks {
                handling.attempts.clear();
                handling.reached_by = Some(actor.subject());
            } else if attempt.counts && handling.attempts.len() < MOST_ATTEMPTS {
                handling.attempts.push(attempt.at);
                handling.attempts.sort_unstable();
            }
        }
        HandlingChange::ClosedUnreached { reason, .. } => {
            handling.close_reason = Some(reason.clone());
            if let Some(solution) = ticket.state.solution().cloned() {
                ticket.state = State::Closed { solution, at: effective_at };
            }
        }
        HandlingChange::Sent(transfer) => {
            handling.transfers = transfer.number;
            handling.transfer = Some(transfer.clone());
        }
        HandlingChange::Accepted { transfer, .. } => {
            handling.transfer = None;
            handling.team.clone_from(&transfer.team);
            handling.receiver = Some(actor.subject());
            handling.passed_on = true;
            ticket.org_unit.clone_from(&transfer.to);
            // Whoever owned it in its old team does so no more, and is free for others (T-03).
            (ticket.team, ticket.owner, ticket.distribution) = (None, None, None);
        }
        HandlingChange::Returned { .. } | HandlingChange::Withdrawn { .. } => {
            handling.transfer = None;
        }
        HandlingChange::FormCompleted { form, .. } => _ = handling.forms.insert(*form),
        HandlingChange::ExecutivesDecided { .. } => {
            ticket.state = State::Open(Open::InProgress { since: effective_at });
        }
        HandlingChange::Planned { version, items, agreement } => {
            let (version, agreement) = (*version, agreement.clone());
            handling.plan = Some(Plan { version, agreement, done: vec![None; items.len()] });
        }
        HandlingChange::PlanAgreed(agreement) => {
            if let Some(plan) = &mut handling.plan {
                plan.agreement = Some(agreement.clone());
            }
        }
        HandlingChange::ItemDone { item } => {
            let place = usize::try_from(*item).unwrap_or_default().wrapping_sub(1);
            let plan = handling.plan.as_mut();
            if let Some(done) = plan.and_then(|plan| plan.done.get_mut(place)) {
                *done = done.or(Some(effective_at));
            }
        }
        HandlingChange::Met { .. } | HandlingChange::Found { .. } => {}
        HandlingChange::Supervised(supervision) => begin(handling, supervision),
        HandlingChange::Pushed { number, .. } => handling.urgings = *number,
        HandlingChange::Urged { number, answer_by, .. } => {
            if let Some(supervision) = &mut handling.supervision {
                supervision.urgings = *number;
                if let Some(answer_by) = answer_by {
                    supervision.answer_by = *answer_by;
                    (supervision.answered_at, supervision.missed_at) = (None, None);
                }
            }
        }
        HandlingChange::Answered { .. } => {
            if let Some(supervision) = &mut handling.supervision {
                supervision.answered_at = Some(effective_at);
            }
        }
        HandlingChange::AnswerMissed { due, .. } => {
            if let Some(supervision) = &mut handling.supervision {
                supervision.missed_at = Some(*due);
            }
        }
        HandlingChange::FieldMissing { field, next, .. } => {
            handling.lacking.insert(*field);
            handling.fields_due = *next;
        }
        HandlingChange::SupervisionEnded { .. } => handling.supervision = None,
        HandlingChange::Reported { supervision, .. } => {
            handling.report_at = None;
            handling.reported_at = Some(effective_at);
            if let Some(supervision) = supervision {
                begin(handling, supervision);
            }
        }
    }
}

fn begin(handling: &mut Handling, supervision: &Supervision) {
    handling.supervisions = supervision.number;
    handling.supervision = Some(supervision.clone());
}
