//! What a command does to a work order, or why not (T-16).

use jiff::Timestamp;
use thiserror::Error;
use uuid::Uuid;

use super::{
    policy::Policy,
    word::{Actor, Fault, Subject, Text, Words, coded},
    work_order::{
        Brief, Decision, DisputeOutcome, OrderChange, OrderEvent, OrderState, OrderStateName,
        Progress, Signature, StepTaken, Unsigned, WorkOrder, apply_order,
    },
    work_order_alarm::{missed, refused},
};

/// The most reports of one order, and the most objections to it.
const MAX_REPORTS: usize = 1_000;
const MAX_DISPUTES: usize = 50;

/// What is asked of an order. Texts were checked for length and characters by whoever decoded them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderCommand {
    /// Take it on.
    Accept {
        /// When, if not now.
        at: Option<Timestamp>,
        /// Whether whoever accepts stands in for the assignee, who is absent (T-25).
        stands_in: bool,
    },
    /// Report before it is done.
    Report {
        /// What was done, what holds it up.
        note: String,
        /// By when the next reply is promised.
        next: Timestamp,
    },
    /// Object; it goes on running.
    Dispute {
        /// Why.
        reason: String,
    },
    /// Decide on the open objection.
    DecideDispute {
        /// What becomes of the order.
        outcome: DisputeOutcome,
        /// In words.
        decision: String,
    },
    /// Give it to somebody else.
    Reassign {
        /// Who has to do it.
        assignee: Subject,
        /// Why.
        reason: String,
        /// By when the next reply is due; none leaves it as it is.
        next: Option<Timestamp>,
        /// Whether whoever gives it may stand in for the dispatcher.
        supervisor: bool,
    },
    /// Put the result on record.
    Complete {
        /// What came of it.
        result: String,
    },
    /// Put the customer's signature on record.
    SignOff {
        /// The name of whoever signed.
        customer: String,
        /// When, if not now.
        at: Option<Timestamp>,
        /// How.
        signature: Signature,
    },
    /// Put the call-back on record.
    CallBack {
        /// What the customer said.
        comment: String,
        /// Whether the caller may stand in for the dispatcher.
        supervisor: bool,
    },
    /// Put it into the archive.
    Archive,
    /// Void it.
    Void {
        /// Why.
        reason: String,
    },
    /// Do what is due by now. Never refused.
    FireTimer,
}

impl OrderCommand {
    /// The name of the method that asks for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Accept { .. } => "AcceptWorkOrder",
            Self::Report { .. } => "ReportWorkOrderProgress",
            Self::Dispute { .. } => "DisputeWorkOrder",
            Self::DecideDispute { .. } => "DecideWorkOrderDispute",
            Self::Reassign { .. } => "ReassignWorkOrder",
            Self::Complete { .. } => "CompleteWorkOrder",
            Self::SignOff { .. } => "SignOffWorkOrder",
            Self::CallBack { .. } => "CallBackWorkOrder",
            Self::Archive => "ArchiveWorkOrder",
            Self::Void { .. } => "VoidWorkOrder",
            Self::FireTimer => "FireTimer",
        }
    }
}

/// Why a command on an order was refused. Nothing has changed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OrderRefusal {
    /// The state does not allow the step.
    #[error("{command} is not possible in state {state}: {}", list(missing))]
    IllegalState {
        /// Where the order stands.
        state: OrderStateName,
        /// What was asked for.
        command: &'static str,
        /// Everything that is missing, never empty.
        missing: Vec<OrderMissing>,
    },
    /// Somebody else has to do that.
    #[error("{command} is not for this caller: {}", duty.words().en)]
    NotYours {
        /// Where the order stands.
        state: OrderStateName,
        /// What was asked for.
        command: &'static str,
        /// Whose it is.
        duty: Duty,
    },
    /// Fields are wrong in a way that only the order can tell.
    #[error("fields are wrong")]
    Fields(
        /// Every one of them, with the field names of the request.
        Vec<Fault>,
    ),
}

coded! {
    /// Something that a step needs and that is not there.
    OrderMissing {
        /// Nobody has accepted it.
        Acceptance = "acceptance",
        /// There is no result.
        Result = "result",
        /// The customer has not signed.
        SignOff = "sign_off",
        /// The customer has not been called back.
        CallBack = "call_back",
        /// It was accepted already.
        NotAcceptedYet = "not_accepted_yet",
        /// It is done already.
        NotDoneYet = "not_done_yet",
        /// It is signed already.
        NotSignedOffYet = "not_signed_off_yet",
        /// The customer was called already.
        NotCalledBackYet = "not_called_back_yet",
        /// It is in the archive.
        NotArchivedYet = "not_archived_yet",
        /// It was voided.
        NotVoided = "not_voided",
        /// There is nothing to decide.
        OpenDispute = "open_dispute",
        /// An objection is open.
        NoOpenDispute = "no_open_dispute",
        /// There is no room for more on record.
        Room = "room",
    }
}

impl OrderMissing {
    /// In words, for whoever was refused.
    #[must_use]
    pub fn words(self) -> Text {
        let (en, zh) = match self {
            Self::Acceptance => ("the order must be accepted first", "须先接单"),
            Self::Result => ("the result must be on record first", "须先登记办理结果"),
            Self::SignOff => ("the customer must have signed first", "须先由客户签字"),
            Self::CallBack => ("the customer must have been called back first", "须先回访客户"),
            Self::NotAcceptedYet => ("the order is accepted already", "派工单已接单"),
            Self::NotDoneYet => ("the result is on record already", "办理结果已登记"),
            Self::NotSignedOffYet => ("the customer has signed already", "客户已签字"),
            Self::NotCalledBackYet => ("the customer has been called back already", "已回访客户"),
            Self::NotArchivedYet => ("the order is archived", "派工单已归档"),
            Self::NotVoided => ("the order was voided", "派工单已作废"),
            Self::OpenDispute => ("there is no open objection", "没有待裁定的申诉"),
            Self::NoOpenDispute => ("an objection must be decided first", "须先裁定申诉"),
            Self::Room => ("there is no room for more of that on record", "此类记录已达上限"),
        };
        Text::new(en, zh)
    }
}

coded! {
    /// Whose a step is.
    Duty {
        /// The assignee's.
        Assignee = "assignee",
        /// The dispatcher's.
        Dispatcher = "dispatcher",
        /// Anybody's but those who had or did the work.
        NotWorker = "not_worker",
        /// Anybody's but whoever objected.
        NotDisputer = "not_disputer",
    }
}

impl Duty {
    /// In words, for whoever was refused.
    #[must_use]
    pub fn words(self) -> Text {
        let (en, zh) = match self {
            Self::Assignee => ("only the assignee may do this", "只能由被派单人办理"),
            Self::Dispatcher => (
                "only the dispatcher in charge may do this, or whoever may decide disputes",
                "只能由当班派单人或有权裁定申诉的人员办理",
            ),
            Self::NotWorker => {
                ("whoever had or did the work may not do this", "承办人不得办理此项")
            }
            Self::NotDisputer => {
                ("whoever objected may not decide on it", "申诉人不得裁定本人的申诉")
            }
        };
        Text::new(en, zh)
    }
}

/// That of what an order has so many of there may be no more.
pub(super) fn room(have: usize, most: usize) -> Option<OrderMissing> {
    (have >= most).then_some(OrderMissing::Room)
}

fn list(missing: &[OrderMissing]) -> String {
    missing.iter().map(|missing| missing.words().en).collect::<Vec<_>>().join("; ")
}

/// What makes an order this one and no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderIdentity {
    /// Its id.
    pub id: Uuid,
    /// Its number for people.
    pub number: String,
    /// The year in which it is counted.
    pub year: i16,
    /// What counts it.
    pub sequence: i64,
    /// The policy version in force.
    pub policy_version: Uuid,
}

/// Issues an order; the dispatcher is whoever acts.
///
/// # Errors
/// [`OrderRefusal::Fields`] for a reply that is due at once or was due before.
pub fn issue_order(
    brief: Brief,
    assignee: Option<Subject>,
    customer: Option<Uuid>,
    identity: OrderIdentity,
    actor: &Actor,
    now: Timestamp,
) -> Result<WorkOrder, OrderRefusal> {
    if brief.reply_by <= now {
        let fault = Fault::new("work_order.reply_by_time", Words::not_ahead(now));
        return Err(OrderRefusal::Fields(vec![fault]));
    }
    let OrderIdentity { id, number, year, sequence, policy_version } = identity;
    Ok(WorkOrder {
        id,
        number,
        year,
        sequence,
        policy_version,
        due: Some(brief.reply_by),
        brief,
        customer,
        issuer: actor.subject(),
        dispatcher: actor.subject(),
        assignee,
        issued_at: now,
        state: OrderState::Unsigned(Unsigned::Issued),
        reassignments: Vec::new(),
        progress: Vec::new(),
        disputes: Vec::new(),
        overdue_since: None,
        missed: 0,
        accept_due: None,
        refused: None,
        revision: 1,
        updated_at: now,
    })
}

/// The same order with the time by which it is to be accepted, as the policy asks. A calendar that does not reach so far asks
/// for none.
#[must_use]
pub fn expecting_acceptance(order: WorkOrder, policy: &Policy) -> WorkOrder {
    let due = accept_due(policy, order.issued_at);
    WorkOrder { accept_due: due, ..order }
}

/// By when an order is to be accepted that somebody got at a time.
pub(super) fn accept_due(policy: &Policy, since: Timestamp) -> Option<Timestamp> {
    let rule = policy.learning().refused_order.as_ref()?;
    policy.calendar().due_at(since, rule.within).ok()
}

/// Decides on a command as of `now`: the changes that it makes, in order, or why it is refused.
///
/// A reply that was missed before `now` is part of the answer even if no worker has come to it yet;
/// one that comes at the very instant at which it is due is in time.
///
/// # Errors
/// [`OrderRefusal`] with everything that is missing; then nothing has changed.
pub fn decide_order(
    order: &WorkOrder,
    policy: &Policy,
    command: OrderCommand,
    actor: &Actor,
    now: Timestamp,
) -> Result<Vec<OrderChange>, OrderRefusal> {
    let now = now.max(order.updated_at);
    let desk = Desk { order, command: command.name(), actor, now };
    let is_timer = command == OrderCommand::FireTimer;
    // What was accepted in time counts as accepted then, whenever that is put on record.
    let accepted_at = match &command {
        OrderCommand::Accept { at: Some(at), .. } => to_minute(*at),
        _ => now,
    };
    let events = match command {
        OrderCommand::FireTimer => Vec::new(),
        OrderCommand::Accept { at, stands_in } => desk.accept(at, stands_in)?,
        OrderCommand::Report { note, next } => desk.report(note, next, policy)?,
        OrderCommand::Dispute { reason } => desk.dispute(reason)?,
        OrderCommand::DecideDispute { outcome, decision } => desk.settle(outcome, decision)?,
        OrderCommand::Reassign { assignee, reason, next, supervisor } => {
            desk.reassign((assignee, reason), next, supervisor, policy)?
        }
        OrderCommand::Complete { result } => {
            desk.at_stage(1)?;
            vec![OrderEvent::Completed { result }]
        }
        OrderCommand::SignOff { customer, at, signature } => {
            desk.sign_off(customer, at, signature)?
        }
        OrderCommand::CallBack { comment, supervisor } => desk.call_back(comment, supervisor)?,
        OrderCommand::Archive => desk.archive()?,
        OrderCommand::Void { reason } => desk.void(reason)?,
    };
    let mut changes = Vec::with_capacity(events.len() + 1);
    changes.extend(refused(order, policy, (now, accepted_at), is_timer));
    changes.extend(missed(order, policy, now, is_timer));
    changes.extend(events.into_iter().map(|what| OrderChange {
        actor: actor.clone(),
        at: now,
        what,
    }));
    Ok(changes)
}

/// The order after the changes.
#[must_use]
pub fn with_changes(order: &WorkOrder, changes: &[OrderChange]) -> WorkOrder {
    let mut order = order.clone();
    for change in changes {
        apply_order(&mut order, change);
    }
    order
}

/// To the minute.
#[must_use]
pub fn to_minute(at: Timestamp) -> Timestamp {
    let seconds = at.as_nanosecond().div_euclid(60_000_000_000) * 60;
    // What lies before a timestamp by less than a minute is one, except at the very first of all.
    i64::try_from(seconds).ok().and_then(|s| Timestamp::from_second(s).ok()).unwrap_or(at)
}

/// A command on the table.
pub(super) struct Desk<'a> {
    pub(super) order: &'a WorkOrder,
    command: &'static str,
    pub(super) actor: &'a Actor,
    pub(super) now: Timestamp,
}

/// What each step needs to be there, and what it says if it is there already. A step with index i
/// leads from stage i to stage i + 1.
const STEPS: [(OrderMissing, OrderMissing); 4] = [
    (OrderMissing::Acceptance, OrderMissing::NotAcceptedYet),
    (OrderMissing::Result, OrderMissing::NotDoneYet),
    (OrderMissing::SignOff, OrderMissing::NotSignedOffYet),
    (OrderMissing::CallBack, OrderMissing::NotCalledBackYet),
];

impl Desk<'_> {
    /// 0 issued, 1 accepted, 2 done, 3 signed off, 4 called back, 5 archived; none if voided.
    fn stage(&self) -> Option<usize> {
        Some(match self.order.state.name() {
            OrderStateName::Issued => 0,
            OrderStateName::Accepted => 1,
            OrderStateName::Done => 2,
            OrderStateName::SignedOff => 3,
            OrderStateName::CalledBack => 4,
            OrderStateName::Archived => 5,
            OrderStateName::Voided => return None,
        })
    }

    pub(super) fn allow(&self, missing: Vec<OrderMissing>) -> Result<(), OrderRefusal> {
        if missing.is_empty() {
            return Ok(());
        }
        let (state, command) = (self.order.state.name(), self.command);
        Err(OrderRefusal::IllegalState { state, command, missing })
    }

    /// Passes in exactly this stage.
    fn at_stage(&self, stage: usize) -> Result<(), OrderRefusal> {
        self.allow(self.missing_between(stage, stage))
    }

    /// What is missing for a command that is possible from stage `first` to stage `last`.
    pub(super) fn missing_between(&self, first: usize, last: usize) -> Vec<OrderMissing> {
        match self.stage() {
            None => vec![OrderMissing::NotVoided],
            Some(stage) if stage < first => {
                STEPS[stage..first].iter().map(|(missing, _)| *missing).collect()
            }
            Some(5) => vec![OrderMissing::NotArchivedYet],
            Some(stage) if stage > last => vec![STEPS[last].1],
            Some(_) => Vec::new(),
        }
    }

    pub(super) fn duty(&self, holds: bool, duty: Duty) -> Result<(), OrderRefusal> {
        if holds {
            return Ok(());
        }
        let (state, command) = (self.order.state.name(), self.command);
        Err(OrderRefusal::NotYours { state, command, duty })
    }

    pub(super) fn is(&self, subject: &Subject) -> bool {
        self.actor.subject() == *subject
    }

    fn step(&self) -> StepTaken {
        StepTaken { by: self.actor.subject(), at: self.now }
    }

    /// A time that was handed in: not before `earliest`, not after now.
    fn check_time(
        &self,
        field: &str,
        at: Timestamp,
        (earliest, what): (Timestamp, &str),
    ) -> Result<(), OrderRefusal> {
        let now = self.now;
        let words = if at > now {
            Words::ahead(now)
        } else if at < earliest {
            let english = format!("must not be before {earliest}, when the order was {what}");
            (english, format!("不得早于上一步骤的时间 {earliest}")).into()
        } else {
            return Ok(());
        };
        Err(OrderRefusal::Fields(vec![Fault::new(field, words)]))
    }

    /// To the minute, so both the issue and the acceptance count by their minutes.
    fn accept(
        &self,
        at: Option<Timestamp>,
        stands_in: bool,
    ) -> Result<Vec<OrderEvent>, OrderRefusal> {
        self.at_stage(0)?;
        let theirs = self.order.assignee.as_ref().is_none_or(|assignee| self.is(assignee));
        self.duty(theirs || stands_in, Duty::Assignee)?;
        let at = to_minute(at.unwrap_or(self.now));
        // Whoever got it from somebody else cannot have accepted it before.
        let (since, what) = match self.order.reassignments.last() {
            Some(last) => (last.reassigned.at, "given to whoever has it"),
            None => (self.order.issued_at, "issued"),
        };
        self.check_time("accept_time", at, (to_minute(since), what))?;
        Ok(vec![OrderEvent::Accepted(StepTaken { by: self.actor.subject(), at })])
    }

    /// A report promises the next, so that an order is under a deadline until it is done.
    fn report(
        &self,
        note: String,
        next: Timestamp,
        policy: &Policy,
    ) -> Result<Vec<OrderEvent>, OrderRefusal> {
        self.at_stage(1)?;
        self.allow(room(self.order.progress.len(), MAX_REPORTS).into_iter().collect())?;
        let faults: Vec<Fault> = self.reply_fault(next, policy).into_iter().collect();
        if !faults.is_empty() {
            return Err(OrderRefusal::Fields(faults));
        }
        let next = Some(next);
        Ok(vec![OrderEvent::Reported(Progress { note, next, reported: self.step() })])
    }

    /// What is wrong with a time by which the next reply is to come. A calendar that does not reach so far sets no limit.
    pub(super) fn reply_fault(&self, next: Timestamp, policy: &Policy) -> Option<Fault> {
        let within = policy.learning().order_reply_within;
        let limit = within.and_then(|within| policy.calendar().due_at(self.now, within).ok());
        let words = if next <= self.now {
            Words::not_ahead(self.now)
        } else if let Some(limit) = limit.filter(|limit| next > *limit) {
            let english = format!("must not be after {limit}: the policy allows no later time");
            (english, format!("不得晚于 {limit}：制度规定的最长期限")).into()
        } else {
            return None;
        };
        Some(Fault::new("next_reply_time", words))
    }

    fn dispute(&self, reason: String) -> Result<Vec<OrderEvent>, OrderRefusal> {
        let mut missing = self.missing_between(0, 1);
        missing.extend(self.order.open_dispute().map(|_| OrderMissing::NoOpenDispute));
        missing.extend(room(self.order.disputes.len(), MAX_DISPUTES));
        self.allow(missing)?;
        Ok(vec![OrderEvent::Disputed { reason }])
    }

    /// An order that is withdrawn is voided with the decision as reason.
    fn settle(
        &self,
        outcome: DisputeOutcome,
        text: String,
    ) -> Result<Vec<OrderEvent>, OrderRefusal> {
        let Some(dispute) = self.order.open_dispute() else {
            self.allow(vec![OrderMissing::OpenDispute])?;
            return Ok(Vec::new());
        };
        self.duty(!self.is(&dispute.disputed.by), Duty::NotDisputer)?;
        let mut events = Vec::new();
        // One that was voided meanwhile is withdrawn already.
        if outcome == DisputeOutcome::Withdrawn && self.stage().is_some() {
            self.allow(self.missing_between(0, 2))?;
            events.push(OrderEvent::Voided { reason: text.clone() });
        }
        let decision = Decision { outcome, text, decided: self.step() };
        events.insert(0, OrderEvent::DisputeDecided(decision));
        Ok(events)
    }

    fn sign_off(
        &self,
        customer: String,
        at: Option<Timestamp>,
        signature: Signature,
    ) -> Result<Vec<OrderEvent>, OrderRefusal> {
        self.at_stage(2)?;
        let signed_at = at.unwrap_or(self.now);
        let accepted = self.order.state.accepted().map_or(self.order.issued_at, |step| step.at);
        self.check_time("sign_time", signed_at, (accepted, "accepted"))?;
        Ok(vec![OrderEvent::SignedOff { customer, signed_at, signature }])
    }

    fn call_back(
        &self,
        comment: String,
        supervisor: bool,
    ) -> Result<Vec<OrderEvent>, OrderRefusal> {
        self.at_stage(3)?;
        self.duty(!self.order.is_worker(&self.actor.subject()), Duty::NotWorker)?;
        self.duty(supervisor || self.is(&self.order.dispatcher), Duty::Dispatcher)?;
        Ok(vec![OrderEvent::CalledBack { comment }])
    }

    fn archive(&self) -> Result<Vec<OrderEvent>, OrderRefusal> {
        let mut missing = self.missing_between(4, 4);
        missing.extend(self.order.open_dispute().map(|_| OrderMissing::NoOpenDispute));
        self.allow(missing)?;
        Ok(vec![OrderEvent::Archived])
    }

    fn void(&self, reason: String) -> Result<Vec<OrderEvent>, OrderRefusal> {
        self.allow(self.missing_between(0, 2))?;
        self.duty(!self.order.is_worker(&self.actor.subject()), Duty::NotWorker)?;
        Ok(vec![OrderEvent::Voided { reason }])
    }
}
