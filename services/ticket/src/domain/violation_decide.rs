//! What becomes of a violation after it was proposed (T-19): a supervisor decides, the person concerned may appeal, another
//! supervisor decides on that. Nobody decides about itself.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    policy::Policy,
    step::{Need, Step, StepRefusal, wrong_field},
    violation::ProposedViolation,
    word::{Subject, coded},
    work_order::StepTaken,
};

/// A violation on record. Changed by [`decide_violation`] alone; the fields are open for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its identity.
    pub id: Uuid,
    /// The ticket that it is about.
    pub ticket: Option<Uuid>,
    /// The work order that it is about.
    pub work_order: Option<Uuid>,
    /// The shift that it is about.
    pub shift: Option<Uuid>,
    /// The customer of the ticket.
    pub customer: Option<Uuid>,
    /// Whose rule was broken where.
    pub org_unit: String,
    /// What is proposed.
    pub proposed: ProposedViolation,
    /// Who reported it; none where the system saw it.
    pub reporter: Option<Subject>,
    /// Where it stands.
    pub state: ViolationState,
    /// When it was put on record.
    pub created_at: Timestamp,
    /// When it was last changed; never goes back.
    pub updated_at: Timestamp,
    /// Counts the changes from 1.
    pub revision: i64,
}

/// Where a violation stands, with what is only true there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ViolationState {
    /// It waits for a supervisor.
    Proposed,
    /// It was found to be nothing.
    Dismissed {
        /// By whom, when.
        decided: StepTaken,
        /// Why.
        reason: String,
    },
    /// It counts.
    Confirmed(Confirmation),
    /// It counts, and the person concerned has appealed.
    Appealed {
        /// What is appealed against.
        confirmation: Confirmation,
        /// The appeal.
        appeal: Appeal,
    },
    /// The appeal was decided.
    Settled {
        /// What was appealed against.
        confirmation: Confirmation,
        /// The appeal.
        appeal: Appeal,
        /// Whether it still counts.
        outcome: AppealOutcome,
        /// In words.
        decision: String,
        /// By whom, when.
        decided: StepTaken,
    },
}

/// That a violation counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// By whom, when.
    pub decided: StepTaken,
    /// Why; may be empty.
    pub reason: String,
    /// The penalty in hundredths of the currency.
    pub amount_cents: i64,
    /// The last instant of an appeal; none means no limit.
    pub appeal_until: Option<Timestamp>,
}

/// What the person concerned has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appeal {
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

coded! {
    /// What becomes of an appeal.
    AppealOutcome {
        /// The confirmation stands.
        Upheld = "upheld",
        /// It falls.
        Overturned = "overturned",
    }
}

coded! {
    /// A [`ViolationState`] without what it carries.
    ViolationStateName {
        /// [`ViolationState::Proposed`].
        Proposed = "proposed",
        /// [`ViolationState::Confirmed`].
        Confirmed = "confirmed",
        /// [`ViolationState::Dismissed`].
        Dismissed = "dismissed",
        /// [`ViolationState::Appealed`].
        Appealed = "appealed",
        /// [`ViolationState::Settled`], it stands.
        Upheld = "upheld",
        /// [`ViolationState::Settled`], it fell.
        Overturned = "overturned",
    }
}

/// What is asked of a violation. Texts were checked for length and characters by whoever decoded them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ViolationCommand {
    /// It counts.
    Confirm {
        /// The penalty, if not the lower end of the range.
        amount_cents: Option<i64>,
        /// Why.
        reason: String,
    },
    /// It does not.
    Dismiss {
        /// Why.
        reason: String,
    },
    /// Appeal.
    Appeal {
        /// Why.
        reason: String,
    },
    /// Decide on the appeal.
    DecideAppeal {
        /// What becomes of it.
        outcome: AppealOutcome,
        /// In words.
        decision: String,
    },
}

impl ViolationCommand {
    /// The name of the method that asks for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Confirm { .. } => "ConfirmViolation",
            Self::Dismiss { .. } => "DismissViolation",
            Self::Appeal { .. } => "AppealViolation",
            Self::DecideAppeal { .. } => "DecideViolationAppeal",
        }
    }
}

const PROPOSAL: Need =
    Need::new("proposal", "the violation was decided about already", "该违规已处理");
const CONFIRMATION: Need =
    Need::new("confirmation", "the violation must be confirmed", "该违规须先确认");
const NO_APPEAL_YET: Need =
    Need::new("no_appeal_yet", "there was an appeal already", "已提出过申诉");
const OPEN_APPEAL: Need = Need::new("open_appeal", "there is no open appeal", "没有待处理的申诉");
const APPEAL_IN_TIME: Need =
    Need::new("appeal_in_time", "the time for an appeal is over", "申诉期限已过");
const CONCERNED: Need =
    Need::new("person_concerned", "only the person concerned may appeal", "只有当事人可以申诉");
const NOT_CONCERNED: Need = Need::new(
    "not_person_concerned",
    "nobody decides about a violation of its own",
    "不得处理本人的违规",
);
const NOT_REPORTER: Need = Need::new(
    "not_reporter",
    "whoever reported the violation may not decide this",
    "举报人不得作出此决定",
);
const NOT_CONFIRMER: Need = Need::new(
    "not_confirmer",
    "whoever confirmed the violation may not decide on the appeal",
    "确认该违规的人不得处理其申诉",
);

impl ViolationState {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> ViolationStateName {
        match self {
            Self::Proposed => ViolationStateName::Proposed,
            Self::Dismissed { .. } => ViolationStateName::Dismissed,
            Self::Confirmed(_) => ViolationStateName::Confirmed,
            Self::Appealed { .. } => ViolationStateName::Appealed,
            Self::Settled { outcome: AppealOutcome::Upheld, .. } => ViolationStateName::Upheld,
            Self::Settled { outcome: AppealOutcome::Overturned, .. } => {
                ViolationStateName::Overturned
            }
        }
    }

    /// That it counts or counted.
    #[must_use]
    pub fn confirmation(&self) -> Option<&Confirmation> {
        match self {
            Self::Proposed | Self::Dismissed { .. } => None,
            Self::Confirmed(confirmation)
            | Self::Appealed { confirmation, .. }
            | Self::Settled { confirmation, .. } => Some(confirmation),
        }
    }

    /// The appeal.
    #[must_use]
    pub fn appeal(&self) -> Option<&Appeal> {
        match self {
            Self::Appealed { appeal, .. } | Self::Settled { appeal, .. } => Some(appeal),
            _ => None,
        }
    }
}

/// What a command makes of a violation as of `now`, judged by `policy`.
///
/// An appeal at the last instant is in time.
///
/// # Errors
/// [`StepRefusal`]; then nothing has changed.
pub fn decide_violation(
    violation: &Violation,
    policy: &Policy,
    command: ViolationCommand,
    actor: &Subject,
    now: Timestamp,
) -> Result<Violation, StepRefusal> {
    let now = now.max(violation.updated_at);
    let state = violation.state.name().code();
    let step = Step { subject: "violation", state, command: command.name() };
    let decided = || StepTaken { by: actor.clone(), at: now };
    let concerned = *actor == violation.proposed.staff;
    let reported = violation.reporter.as_ref() == Some(actor);
    let next = match command {
        ViolationCommand::Confirm { amount_cents, reason } => {
            step.duty(!concerned, NOT_CONCERNED)?;
            step.duty(!reported, NOT_REPORTER)?;
            if violation.state != ViolationState::Proposed {
                return step.missing(PROPOSAL);
            }
            let amount_cents = amount(&violation.proposed, amount_cents, &reason)?;
            let appeal_until = appeal_until(policy, now)?;
            let decided = decided();
            ViolationState::Confirmed(Confirmation { decided, reason, amount_cents, appeal_until })
        }
        ViolationCommand::Dismiss { reason } => {
            step.duty(!concerned, NOT_CONCERNED)?;
            if violation.state != ViolationState::Proposed {
                return step.missing(PROPOSAL);
            }
            ViolationState::Dismissed { decided: decided(), reason }
        }
        ViolationCommand::Appeal { reason } => {
            step.duty(concerned, CONCERNED)?;
            let confirmation = match &violation.state {
                ViolationState::Confirmed(confirmation) => confirmation.clone(),
                ViolationState::Appealed { .. } | ViolationState::Settled { .. } => {
                    return step.missing(NO_APPEAL_YET);
                }
                _ => return step.missing(CONFIRMATION),
            };
            if confirmation.appeal_until.is_some_and(|until| now > until) {
                return step.missing(APPEAL_IN_TIME);
            }
            ViolationState::Appealed { confirmation, appeal: Appeal { reason, at: now } }
        }
        ViolationCommand::DecideAppeal { outcome, decision } => {
            step.duty(!concerned, NOT_CONCERNED)?;
            step.duty(!reported, NOT_REPORTER)?;
            let ViolationState::Appealed { confirmation, appeal } = violation.state.clone() else {
                return step.missing(OPEN_APPEAL);
            };
            step.duty(confirmation.decided.by != *actor, NOT_CONFIRMER)?;
            let decided = decided();
            ViolationState::Settled { confirmation, appeal, outcome, decision, decided }
        }
    };
    let (revision, proposed) = (violation.revision + 1, violation.clone());
    Ok(Violation { state: next, updated_at: now, revision, ..proposed })
}

/// Within the range of the rule; above its lower end only with a reason.
fn amount(
    proposed: &ProposedViolation,
    asked: Option<i64>,
    reason: &str,
) -> Result<i64, StepRefusal> {
    let (lowest, highest) = (proposed.amount_cents, proposed.max_amount_cents);
    let amount = asked.unwrap_or(lowest);
    if !(lowest..=highest).contains(&amount) {
        let words = if lowest == highest {
            (format!("must be {lowest}, as the policy says"), format!("按制度须为 {lowest}"))
        } else {
            (
                format!("must be {lowest} to {highest}, as the policy says"),
                format!("按制度须为 {lowest} 至 {highest}"),
            )
        };
        return wrong_field("amount_cents", words);
    }
    if amount > lowest && reason.is_empty() {
        return wrong_field(
            "reason",
            (
                "is required for a penalty above the lower end of the range",
                "处罚金额高于下限时须说明理由",
            ),
        );
    }
    Ok(amount)
}

fn appeal_until(policy: &Policy, now: Timestamp) -> Result<Option<Timestamp>, StepRefusal> {
    let Some(target) = policy.learning().appeal_within else { return Ok(None) };
    match policy.calendar().due_at(now, target) {
        Ok(until) => Ok(Some(until)),
        Err(error) => {
            let english = format!("the time for appeals has no end: {error}");
            wrong_field("name", (english, format!("无法算出申诉期限：{error}")))
        }
    }
}
