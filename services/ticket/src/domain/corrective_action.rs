//! Corrective and preventive actions (纠正/预防措施), T-18: planned, begun, done, verified by quality; what did not work is
//! done again. An action that nobody verified is not closed.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    step::{Need, Step, StepRefusal, wrong_field},
    word::{Subject, Words, coded},
    work_order::{Reassignment, StepTaken},
    work_order_reassign::MAX_REASSIGNMENTS,
};

/// The most rounds of one action.
const MAX_ROUNDS: usize = 20;

/// An action. Changed by [`decide_action`] and [`notice_overdue`] alone; the fields are open for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrectiveAction {
    /// Its identity.
    pub id: Uuid,
    /// The ticket that gave cause.
    pub ticket: Uuid,
    /// The customer of that ticket.
    pub customer: Option<Uuid>,
    /// The org unit of that ticket.
    pub org_unit: String,
    /// What it is against.
    pub kind: ActionKind,
    /// What is to be done.
    pub description: String,
    /// Who does it.
    pub owner: Subject,
    /// Who planned it.
    pub planned_by: Subject,
    /// Who had it before, oldest first, with when they had begun.
    pub reassignments: Vec<Reassignment>,
    /// All rounds but the last, oldest first: each found not to work.
    pub earlier: Vec<Round>,
    /// The last round.
    pub round: Round,
    /// That it was called off, and why.
    pub cancelled: Option<(StepTaken, String)>,
    /// When it was planned.
    pub created_at: Timestamp,
    /// When it was last changed; never goes back.
    pub updated_at: Timestamp,
    /// Counts the changes from 1.
    pub revision: i64,
}

/// One round of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// By when it has to be done.
    pub due: Timestamp,
    /// When it was put on record that it is overdue.
    pub noticed: Option<Timestamp>,
    /// When the owner began.
    pub started: Option<Timestamp>,
    /// What shows that it was done, by whom and when.
    pub done: Option<(String, StepTaken)>,
    /// Whether it worked.
    pub verified: Option<Verification>,
}

/// Whether an action worked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Whether.
    pub verdict: ActionVerdict,
    /// How that was verified.
    pub text: String,
    /// By whom, when.
    pub verified: StepTaken,
}

coded! {
    /// What an action is against.
    ActionKind {
        /// What happened.
        Corrective = "corrective",
        /// That it happens again.
        Preventive = "preventive",
    }
}

coded! {
    /// Whether an action worked.
    ActionVerdict {
        /// It did.
        Effective = "effective",
        /// It did not.
        NotEffective = "not_effective",
    }
}

coded! {
    /// Where an action stands.
    ActionState {
        /// Nobody has begun this round.
        Planned = "planned",
        /// The owner works on it.
        Started = "started",
        /// Done, waits for quality.
        Completed = "completed",
        /// Verified as effective.
        Closed = "closed",
        /// Called off.
        Cancelled = "cancelled",
    }
}

/// What is asked of an action. Texts were checked for length and characters by whoever decoded them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionCommand {
    /// Begin.
    Start,
    /// It is done.
    Complete {
        /// What shows that.
        evidence: String,
    },
    /// Whether it worked.
    Verify {
        /// Whether.
        verdict: ActionVerdict,
        /// How that was verified.
        text: String,
        /// By when the next round has to be done.
        next_due: Option<Timestamp>,
    },
    /// Call it off.
    Cancel {
        /// Why.
        reason: String,
    },
    /// Give it to somebody else.
    Reassign {
        /// Who does it.
        owner: Subject,
        /// Why.
        reason: String,
    },
}

impl ActionCommand {
    /// The name of the method that asks for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Start => "StartCorrectiveAction",
            Self::Complete { .. } => "CompleteCorrectiveAction",
            Self::Verify { .. } => "VerifyCorrectiveAction",
            Self::Cancel { .. } => "CancelCorrectiveAction",
            Self::Reassign { .. } => "ReassignCorrectiveAction",
        }
    }
}

const START: Need =
    Need::new("start", "the owner must have begun this round", "负责人须先开始本轮措施");
const NOT_STARTED: Need =
    Need::new("not_started_yet", "this round was begun already", "本轮措施已开始");
const EVIDENCE: Need = Need::new("evidence", "the action must be done first", "须先完成措施");
const NOT_COMPLETED: Need = Need::new(
    "not_completed_yet",
    "the action is done and waits to be verified",
    "措施已完成，待验证",
);
const OPEN: Need =
    Need::new("open_action", "the action is closed or was called off", "措施已关闭或取消");
const ROUNDS: Need = Need::new("rounds", "the action has had its 20 rounds", "措施已满二十轮");
const REASSIGNMENTS: Need = Need::new(
    "room",
    "the action was given to somebody else 50 times already",
    "该措施已改派五十次，达到上限",
);
const OWNER: Need = Need::new("owner", "only the owner may do this", "只有负责人可以执行此操作");
const NOT_OWNER: Need = Need::new(
    "not_owner",
    "whoever owns the action, or owned it before, may not do this",
    "现任及曾任负责人不得执行此操作",
);

impl CorrectiveAction {
    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> ActionState {
        let Round { started, done, verified, .. } = &self.round;
        match verified.as_ref().map(|verified| verified.verdict) {
            _ if self.cancelled.is_some() => ActionState::Cancelled,
            Some(ActionVerdict::Effective) => ActionState::Closed,
            _ if done.is_some() => ActionState::Completed,
            _ if started.is_some() => ActionState::Started,
            _ => ActionState::Planned,
        }
    }

    /// Whether the last round has still to be done.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.state(), ActionState::Planned | ActionState::Started)
    }

    /// Since when it is overdue at `now`.
    #[must_use]
    pub fn overdue_since(&self, now: Timestamp) -> Option<Timestamp> {
        Some(self.round.due).filter(|due| self.is_open() && *due < now)
    }

    /// When the timers have to look at it.
    #[must_use]
    pub fn next_fire_at(&self) -> Option<Timestamp> {
        Some(self.round.due).filter(|_| self.is_open() && self.round.noticed.is_none())
    }

    fn changed(&self, now: Timestamp) -> Self {
        let mut next = self.clone();
        next.revision += 1;
        next.updated_at = now.max(self.updated_at);
        next
    }
}

/// That the last round is overdue, once. A timer comes at the due time itself, a command then is still in time.
#[must_use]
pub fn notice_overdue(
    action: &CorrectiveAction,
    now: Timestamp,
    is_timer: bool,
) -> Option<CorrectiveAction> {
    action.next_fire_at().filter(|due| *due < now || (is_timer && *due == now))?;
    let mut next = action.changed(now);
    next.round.noticed = Some(next.updated_at);
    Some(next)
}

/// What a command makes of an action as of `now`. With the actor comes whether he stands in for the owner, who is absent
/// (T-25): then he does the owner's work, and verifies it as little as the owner would.
///
/// # Errors
/// [`StepRefusal`]; then nothing has changed.
pub fn decide_action(
    action: &CorrectiveAction,
    command: ActionCommand,
    (actor, stands_in): (&Subject, bool),
    now: Timestamp,
) -> Result<CorrectiveAction, StepRefusal> {
    let state = action.state();
    let step = Step { subject: "corrective_action", state: state.code(), command: command.name() };
    let owns = *actor == action.owner || stands_in;
    let did_it = action.round.done.as_ref().is_some_and(|(_, taken)| taken.by == *actor);
    let had_it = action.reassignments.iter().any(|earlier| earlier.from.as_ref() == Some(actor));
    match command {
        ActionCommand::Start | ActionCommand::Complete { .. } => step.duty(owns, OWNER)?,
        ActionCommand::Verify { .. } | ActionCommand::Cancel { .. } => {
            step.duty(!owns && !did_it && !had_it, NOT_OWNER)?;
        }
        // Nobody gets rid of what he has himself.
        ActionCommand::Reassign { .. } => step.duty(!owns, NOT_OWNER)?,
    }
    if matches!(state, ActionState::Closed | ActionState::Cancelled) {
        return step.missing(OPEN);
    }
    let mut next = action.changed(now);
    let now = next.updated_at;
    let taken = StepTaken { by: actor.clone(), at: now };
    match command {
        ActionCommand::Start => match state {
            ActionState::Planned => next.round.started = Some(now),
            ActionState::Completed => return step.missing(NOT_COMPLETED),
            _ => return step.missing(NOT_STARTED),
        },
        ActionCommand::Complete { evidence } => match state {
            ActionState::Started => next.round.done = Some((evidence, taken)),
            ActionState::Completed => return step.missing(NOT_COMPLETED),
            _ => return step.missing(START),
        },
        ActionCommand::Verify { verdict, text, next_due } => {
            if state != ActionState::Completed {
                let mut missing = vec![EVIDENCE];
                if state == ActionState::Planned {
                    missing.insert(0, START);
                }
                return step.all_missing(missing);
            }
            next.round.verified = Some(Verification { verdict, text, verified: taken });
            match (verdict, next_due) {
                (ActionVerdict::Effective, None) => {}
                (ActionVerdict::Effective, Some(_)) => {
                    return wrong_field(
                        "next_due_time",
                        ("must be empty for what worked", "措施有效时不得填写"),
                    );
                }
                (ActionVerdict::NotEffective, Some(due)) if due > now => {
                    if next.earlier.len() + 1 >= MAX_ROUNDS {
                        return step.missing(ROUNDS);
                    }
                    next.earlier.push(std::mem::replace(&mut next.round, Round::until(due)));
                }
                (ActionVerdict::NotEffective, _) => {
                    return wrong_field("next_due_time", Words::not_ahead(now));
                }
            }
        }
        ActionCommand::Cancel { reason } => next.cancelled = Some((taken, reason)),
        ActionCommand::Reassign { owner, reason } => {
            if state == ActionState::Completed {
                return step.missing(NOT_COMPLETED);
            }
            if action.reassignments.len() >= MAX_REASSIGNMENTS {
                return step.missing(REASSIGNMENTS);
            }
            if owner == action.owner {
                return wrong_field("owner", ("has the action already", "该措施已由其负责"));
            }
            // Whoever gets it begins himself; it stays due when it was.
            next.reassignments.push(Reassignment {
                from: Some(std::mem::replace(&mut next.owner, owner.clone())),
                accepted_at: next.round.started.take(),
                to: owner,
                reason,
                reassigned: taken,
            });
        }
    }
    Ok(next)
}

impl Round {
    /// A round of which nothing is done.
    #[must_use]
    pub fn until(due: Timestamp) -> Self {
        Self { due, noticed: None, started: None, done: None, verified: None }
    }
}
