//! A numbered instruction to do one thing by a time (派工单), T-16.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    violation::ProposedViolation,
    word::{Actor, Subject, coded},
    work_order_reassign,
};

/// A work order. Made by [`issue_order`](super::issue_order), changed by [`apply_order`] alone; the
/// fields are open for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkOrder {
    /// Its identity.
    pub id: Uuid,
    /// For people: unique.
    pub number: String,
    /// The year in which it is counted.
    pub year: i16,
    /// What counts it: 1, 2, 3 … per dispatch centre and year, without a gap.
    pub sequence: i64,
    /// The policy version by which it is judged to the end.
    pub policy_version: Uuid,
    /// What was ordered; never changes.
    pub brief: Brief,
    /// The customer of the ticket, where there is one.
    pub customer: Option<Uuid>,
    /// Whoever issued it; never changes.
    pub issuer: Subject,
    /// The dispatcher in charge.
    pub dispatcher: Subject,
    /// The person who has to do it; known at the latest when it was accepted.
    pub assignee: Option<Subject>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// Where it stands.
    pub state: OrderState,
    /// Who had it before, oldest first.
    pub reassignments: Vec<Reassignment>,
    /// The reports on the way, oldest first.
    pub progress: Vec<Progress>,
    /// The objections, oldest first; only the last may be open.
    pub disputes: Vec<Dispute>,
    /// When the next reply is due; none where nothing is, and once it was missed.
    pub due: Option<Timestamp>,
    /// The reply that was missed, until there is one.
    pub overdue_since: Option<Timestamp>,
    /// How often a reply was missed.
    pub missed: u32,
    /// By when it is to be accepted; none where the policy asks for no time. The time of an objection does not count.
    pub accept_due: Option<Timestamp>,
    /// The time by which nobody had accepted it, once that is on record: it counts as refused (T-19).
    pub refused: Option<Timestamp>,
    /// Counts the changes, 1 when issued.
    pub revision: i64,
    /// When it was last changed; never goes back.
    pub updated_at: Timestamp,
}

/// What is ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    /// The org unit that dispatches and counts.
    pub dispatch_centre: String,
    /// The ticket that it serves.
    pub ticket: Option<Uuid>,
    /// What is to be done.
    pub task: String,
    /// How, and to what standard.
    pub requirements: String,
    /// Where; may be empty.
    pub place: String,
    /// By when it is done or there is a report.
    pub reply_by: Timestamp,
    /// The team that has to do it, where one is named.
    pub team: Option<String>,
}

/// Where an order stands, with what is only true there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderState {
    /// The customer has not signed yet.
    Unsigned(Unsigned),
    /// The customer has signed.
    SignedOff(SignedOff),
    /// The customer has been called back.
    CalledBack(CalledBack),
    /// It is in the archive.
    Archived {
        /// All that came before.
        called_back: CalledBack,
        /// By whom and when.
        archived: StepTaken,
    },
    /// It was voided; the number stays taken.
    Voided {
        /// How far it had come.
        was: Unsigned,
        /// Why.
        reason: String,
        /// By whom and when.
        voided: StepTaken,
    },
}

/// The states before the signature: those from which an order can be voided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsigned {
    /// Nobody has accepted it.
    Issued,
    /// Somebody works on it; accepted to the minute.
    Accepted(StepTaken),
    /// It is done.
    Done(Done),
}

/// That somebody did something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepTaken {
    /// Who.
    pub by: Subject,
    /// When.
    pub at: Timestamp,
}

/// That somebody else got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassignment {
    /// Who had it; none where only a team did.
    pub from: Option<Subject>,
    /// When that one had accepted it.
    pub accepted_at: Option<Timestamp>,
    /// Who got it.
    pub to: Subject,
    /// Why.
    pub reason: String,
    /// Who gave it, when.
    pub reassigned: StepTaken,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Who accepted it, when.
    pub accepted: StepTaken,
    /// What came of it.
    pub result: String,
    /// Who did it, and when that was put on record.
    pub done: StepTaken,
}

/// The customer's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOff {
    /// What was signed for.
    pub done: Done,
    /// The name of whoever signed.
    pub customer: String,
    /// When it was signed.
    pub signed_at: Timestamp,
    /// How.
    pub signature: Signature,
    /// Who put it on record, when.
    pub recorded: StepTaken,
}

/// How a customer signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    /// Reference of an image.
    Image(String),
    /// A code by which the customer confirmed.
    Code(String),
}

/// The call-back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalledBack {
    /// What came before.
    pub signed_off: SignedOff,
    /// What the customer said.
    pub comment: String,
    /// Who called, when.
    pub called: StepTaken,
}

/// A report before the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What was done, what holds it up.
    pub note: String,
    /// By when the next reply is promised.
    pub next: Option<Timestamp>,
    /// Who reported, when.
    pub reported: StepTaken,
}

/// An objection. It changes nothing about the order, which goes on running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// Why.
    pub reason: String,
    /// Who, when.
    pub disputed: StepTaken,
    /// What was decided, if it was.
    pub decision: Option<Decision>,
}

/// What was decided about an objection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What becomes of the order.
    pub outcome: DisputeOutcome,
    /// In words.
    pub text: String,
    /// By whom, when.
    pub decided: StepTaken,
}

coded! {
    /// What becomes of an order that was objected to.
    DisputeOutcome {
        /// It stands.
        Stands = "stands",
        /// It is voided.
        Withdrawn = "withdrawn",
    }
}

coded! {
    /// An [`OrderState`] without what it carries.
    OrderStateName {
        /// [`Unsigned::Issued`].
        Issued = "issued",
        /// [`Unsigned::Accepted`].
        Accepted = "accepted",
        /// [`Unsigned::Done`].
        Done = "done",
        /// [`OrderState::SignedOff`].
        SignedOff = "signed_off",
        /// [`OrderState::CalledBack`].
        CalledBack = "called_back",
        /// [`OrderState::Archived`].
        Archived = "archived",
        /// [`OrderState::Voided`].
        Voided = "voided",
    }
}

/// One revision of an order and one row of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderChange {
    /// Who did it.
    pub actor: Actor,
    /// When it was put on record.
    pub at: Timestamp,
    /// What happened.
    pub what: OrderEvent,
}

/// What can happen to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderEvent {
    /// Somebody took it on.
    Accepted(StepTaken),
    /// There is a report.
    Reported(Progress),
    /// Somebody objects.
    Disputed {
        /// Why.
        reason: String,
    },
    /// The objection was decided.
    DisputeDecided(Decision),
    /// Somebody else got it.
    Reassigned {
        /// Who.
        to: Subject,
        /// Why.
        reason: String,
        /// By when the next reply is due; none leaves it as it is.
        due: Option<Timestamp>,
        /// By when it is to be accepted.
        accept_due: Option<Timestamp>,
    },
    /// It is done.
    Completed {
        /// What came of it.
        result: String,
    },
    /// The customer signed.
    SignedOff {
        /// The name of whoever signed.
        customer: String,
        /// When.
        signed_at: Timestamp,
        /// How.
        signature: Signature,
    },
    /// The customer was called.
    CalledBack {
        /// What the customer said.
        comment: String,
    },
    /// It went to the archive.
    Archived,
    /// It was voided.
    Voided {
        /// Why.
        reason: String,
    },
    /// Nobody accepted it or objected in time: it counts as refused (T-19).
    Refused {
        /// By when it was to be accepted.
        due: Timestamp,
        /// What that proposes, where the policy asks for it.
        violation: Option<Box<ProposedViolation>>,
    },
    /// A reply was due and did not come (T-19).
    ReplyMissed {
        /// When it was due.
        due: Timestamp,
        /// What that proposes, where the policy asks for it.
        violation: Option<Box<ProposedViolation>>,
    },
}

impl Unsigned {
    /// Its acceptance.
    #[must_use]
    pub fn accepted(&self) -> Option<&StepTaken> {
        match self {
            Self::Issued => None,
            Self::Accepted(accepted) => Some(accepted),
            Self::Done(done) => Some(&done.accepted),
        }
    }

    /// Its result.
    #[must_use]
    pub fn done(&self) -> Option<&Done> {
        match self {
            Self::Done(done) => Some(done),
            _ => None,
        }
    }
}

impl OrderState {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> OrderStateName {
        match self {
            Self::Unsigned(Unsigned::Issued) => OrderStateName::Issued,
            Self::Unsigned(Unsigned::Accepted(_)) => OrderStateName::Accepted,
            Self::Unsigned(Unsigned::Done(_)) => OrderStateName::Done,
            Self::SignedOff(_) => OrderStateName::SignedOff,
            Self::CalledBack(_) => OrderStateName::CalledBack,
            Self::Archived { .. } => OrderStateName::Archived,
            Self::Voided { .. } => OrderStateName::Voided,
        }
    }

    /// How far it came before the signature, where it did not come further or was voided.
    #[must_use]
    pub fn unsigned(&self) -> Option<&Unsigned> {
        match self {
            Self::Unsigned(was) | Self::Voided { was, .. } => Some(was),
            _ => None,
        }
    }

    /// The call-back, if there was one.
    #[must_use]
    pub fn called_back(&self) -> Option<&CalledBack> {
        match self {
            Self::CalledBack(called_back) | Self::Archived { called_back, .. } => Some(called_back),
            _ => None,
        }
    }

    /// The signature, if there is one.
    #[must_use]
    pub fn signed_off(&self) -> Option<&SignedOff> {
        match self {
            Self::SignedOff(signed_off) => Some(signed_off),
            other => other.called_back().map(|called_back| &called_back.signed_off),
        }
    }

    /// The result, if there is one.
    #[must_use]
    pub fn done(&self) -> Option<&Done> {
        match self.unsigned() {
            Some(unsigned) => unsigned.done(),
            None => self.signed_off().map(|signed_off| &signed_off.done),
        }
    }

    /// The acceptance, if there was one.
    #[must_use]
    pub fn accepted(&self) -> Option<&StepTaken> {
        match self.unsigned() {
            Some(unsigned) => unsigned.accepted(),
            None => self.done().map(|done| &done.accepted),
        }
    }

    /// Whether somebody has to do it: only then a reply can be due.
    #[must_use]
    pub fn runs(&self) -> bool {
        matches!(self, Self::Unsigned(Unsigned::Issued | Unsigned::Accepted(_)))
    }

    /// Whether nothing can happen any more.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Archived { .. } | Self::Voided { .. })
    }
}

impl WorkOrder {
    /// The objection that nobody has decided.
    #[must_use]
    pub fn open_dispute(&self) -> Option<&Dispute> {
        self.disputes.last().filter(|dispute| dispute.decision.is_none())
    }

    /// When the timers look whether it was accepted. An objection is no refusal: while it is open nobody has to.
    #[must_use]
    pub fn accept_alarm(&self) -> Option<Timestamp> {
        let waits = matches!(self.state, OrderState::Unsigned(Unsigned::Issued))
            && self.refused.is_none()
            && self.open_dispute().is_none();
        self.accept_due.filter(|_| waits)
    }

    /// When the timers have to look at it.
    #[must_use]
    pub fn next_alarm(&self) -> Option<Timestamp> {
        self.due.into_iter().chain(self.accept_alarm()).min()
    }

    /// Whether this person had the work to do or did it.
    #[must_use]
    pub fn is_worker(&self, subject: &str) -> bool {
        let done = self.state.done().map(|done| &done.done.by);
        let accepted = self.state.accepted().map(|accepted| &accepted.by);
        let earlier = self.reassignments.iter().filter_map(|earlier| earlier.from.as_ref());
        let present = [self.assignee.as_ref(), accepted, done].into_iter().flatten();
        present.chain(earlier).any(|by| &**by == subject)
    }

    /// Whether somebody has it now: to whom it was given, or who accepted it.
    #[must_use]
    pub fn is_with(&self, subject: &str) -> bool {
        let accepted = self.state.accepted().map(|accepted| &accepted.by);
        self.assignee.iter().chain(accepted).any(|by| &**by == subject)
    }

    /// Who answers for a reply that does not come: whoever has to do it, or, while that is only a
    /// team, the dispatcher, who has to see that somebody takes it.
    #[must_use]
    pub fn answerable(&self) -> &Subject {
        self.assignee.as_ref().unwrap_or(&self.dispatcher)
    }
}

impl OrderChange {
    /// The action's name in the journal.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self.what {
            OrderEvent::Accepted(_) => "AcceptWorkOrder",
            OrderEvent::Reported(_) => "ReportWorkOrderProgress",
            OrderEvent::Disputed { .. } => "DisputeWorkOrder",
            OrderEvent::DisputeDecided(_) => "DecideWorkOrderDispute",
            OrderEvent::Reassigned { .. } => "ReassignWorkOrder",
            OrderEvent::Completed { .. } => "CompleteWorkOrder",
            OrderEvent::SignedOff { .. } => "SignOffWorkOrder",
            OrderEvent::CalledBack { .. } => "CallBackWorkOrder",
            OrderEvent::Archived => "ArchiveWorkOrder",
            OrderEvent::Voided { .. } => "VoidWorkOrder",
            OrderEvent::Refused { .. } => "RefuseWorkOrder",
            OrderEvent::ReplyMissed { .. } => "MissWorkOrderReply",
        }
    }

    /// The violation that it proposes.
    #[must_use]
    pub fn violation(&self) -> Option<&ProposedViolation> {
        match &self.what {
            OrderEvent::ReplyMissed { violation, .. } | OrderEvent::Refused { violation, .. } => {
                violation.as_deref()
            }
            _ => None,
        }
    }
}

/// Makes a change of an order: one revision more. The change was decided on this order, so what it
/// needs is there; where it is not, the state stays as it is.
pub fn apply_order(order: &mut WorkOrder, change: &OrderChange) {
    order.revision += 1;
    order.updated_at = order.updated_at.max(change.at);
    let step = StepTaken { by: change.actor.subject(), at: change.at };
    match &change.what {
        OrderEvent::Accepted(accepted) => {
            order.assignee = Some(accepted.by.clone());
            order.state = OrderState::Unsigned(Unsigned::Accepted(accepted.clone()));
        }
        OrderEvent::Reported(progress) => {
            replied(order, progress.next);
            order.progress.push(progress.clone());
        }
        OrderEvent::Disputed { reason } => {
            let reason = reason.clone();
            order.disputes.push(Dispute { reason, disputed: step, decision: None });
        }
        OrderEvent::DisputeDecided(decision) => {
            if let Some(dispute) = order.disputes.last_mut() {
                // What was left to accept it when it was objected to is left when that is decided.
                let took = decision.decided.at.duration_since(dispute.disputed.at);
                let later = order.accept_due.and_then(|due| due.checked_add(took).ok());
                order.accept_due = later.filter(|_| order.refused.is_none()).or(order.accept_due);
                dispute.decision = Some(decision.clone());
            }
        }
        OrderEvent::Reassigned { to, reason, due, accept_due } => {
            work_order_reassign::apply(order, (to, reason), (*due, *accept_due), step);
        }
        OrderEvent::Completed { result } => {
            if let Some(accepted) = order.state.accepted().cloned() {
                replied(order, None);
                let done = Done { accepted, result: result.clone(), done: step };
                order.state = OrderState::Unsigned(Unsigned::Done(done));
            }
        }
        OrderEvent::SignedOff { customer, signed_at, signature } => {
            if let Some(done) = order.state.done().cloned() {
                order.state = OrderState::SignedOff(SignedOff {
                    done,
                    customer: customer.clone(),
                    signed_at: *signed_at,
                    signature: signature.clone(),
                    recorded: step,
                });
            }
        }
        OrderEvent::CalledBack { comment } => {
            if let Some(signed_off) = order.state.signed_off().cloned() {
                let comment = comment.clone();
                let called_back = CalledBack { signed_off, comment, called: step };
                order.state = OrderState::CalledBack(called_back);
            }
        }
        OrderEvent::Archived => {
            if let Some(called_back) = order.state.called_back().cloned() {
                order.state = OrderState::Archived { called_back, archived: step };
            }
        }
        OrderEvent::Voided { reason } => {
            if let Some(was) = order.state.unsigned().cloned() {
                replied(order, None);
                order.state = OrderState::Voided { was, reason: reason.clone(), voided: step };
            }
        }
        OrderEvent::Refused { due, .. } => order.refused = Some(*due),
        OrderEvent::ReplyMissed { due, .. } => {
            order.due = None;
            order.overdue_since = Some(*due);
            order.missed += 1;
        }
    }
}

/// There was a reply; the next one is due at `next`.
fn replied(order: &mut WorkOrder, next: Option<Timestamp>) {
    order.due = next;
    order.overdue_since = None;
}
