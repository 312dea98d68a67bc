//! Shifts of a dispatch centre and their handover (交接班), T-17: the list of what is unfinished is due before the end, and
//! both shifts sign what was unfinished when the first of them did.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{
    explain,
    policy::Policy,
    step::{Need, Step, StepRefusal, wrong_field},
    violation::ProposedViolation,
    word::{Fault, Subject, Words, coded},
    work_order::StepTaken,
};

/// The longest shift.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// A shift. Changed by [`decide_shift`] and [`miss_list`] alone; the fields are open for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    /// Its identity.
    pub id: Uuid,
    /// The policy version by which it is judged.
    pub policy_version: Uuid,
    /// The dispatch centre.
    pub centre: String,
    /// When it begins.
    pub starts: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// Who is on it, each once.
    pub members: Vec<Subject>,
    /// Who answers for its list.
    pub leader: Subject,
    /// When the list is due; none where the policy asks for none.
    pub list_due: Option<Timestamp>,
    /// When it was put on record that the list did not come in time.
    pub missed: Option<Timestamp>,
    /// Who submitted the list, when.
    pub listed: Option<StepTaken>,
    /// The signature of the outgoing shift, and how much was unfinished then.
    pub signed_out: Option<(StepTaken, u32)>,
    /// The incoming shift and its signature.
    pub signed_in: Option<(Uuid, StepTaken)>,
    /// The team and the pattern by which the system planned it; none where somebody did.
    pub pattern: Option<(Uuid, String)>,
    /// Who changed its members last.
    pub crewed_by: Option<Subject>,
    /// When it was planned.
    pub created_at: Timestamp,
    /// When it was last changed; never goes back.
    pub updated_at: Timestamp,
    /// Counts the changes from 1.
    pub revision: i64,
}

coded! {
    /// Where a shift stands.
    ShiftState {
        /// Its list has not been submitted.
        Planned = "planned",
        /// Its list was submitted.
        Listed = "listed",
        /// The outgoing shift has signed.
        SignedOut = "signed_out",
        /// Both have signed.
        HandedOver = "handed_over",
    }
}

/// What is asked of a shift.
#[derive(Clone, Debug)]
pub enum ShiftCommand {
    /// Submit the list.
    Submit {
        /// The numbers of unfinished orders without a reason: some of them, if there are many.
        without_reason: Vec<String>,
    },
    /// Change who is on it.
    Crew {
        /// Who, each once.
        members: Vec<Subject>,
        /// Who answers for its list.
        leader: Subject,
    },
    /// Sign for the outgoing shift.
    SignOut {
        /// As in [`Submit`](Self::Submit).
        without_reason: Vec<String>,
        /// How many orders are unfinished.
        unfinished: u32,
    },
    /// Sign for the incoming shift.
    SignIn {
        /// That shift.
        incoming: Box<Shift>,
    },
}

const LIST: Need = Need::new("list", "the list must have been submitted", "须先提交未完成工单清单");
const NO_LIST_YET: Need = Need::new("no_list_yet", "the list was submitted already", "清单已提交");
const NOT_SIGNED: Need =
    Need::new("not_signed_yet", "the outgoing shift has signed already", "交班人员已签字");
const OUTGOING_SIGNATURE: Need =
    Need::new("outgoing_signature", "the outgoing shift must have signed", "交班人员须先签字");
const NOT_HANDED_OVER: Need =
    Need::new("not_handed_over_yet", "both shifts have signed already", "双方均已签字");
const REASONS: Need = Need::new(
    "reasons",
    "every unfinished work order must have a reason",
    "每张未完成的工单都须说明原因",
);
const BEGUN: Need = Need::new("begun", "the shift has not begun", "班次尚未开始");
const MEMBER: Need =
    Need::new("member", "only somebody of the shift may do this", "只有本班次人员可以执行此操作");
const INCOMING_MEMBER: Need = Need::new(
    "incoming_member",
    "only somebody of the incoming shift may do this",
    "只有接班人员可以执行此操作",
);
const SOMEBODY_ELSE: Need = Need::new(
    "somebody_else",
    "the incoming shift signs by somebody else than the outgoing one",
    "接班签字人不得与交班签字人相同",
);

impl Shift {
    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> ShiftState {
        if self.signed_in.is_some() {
            ShiftState::HandedOver
        } else if self.signed_out.is_some() {
            ShiftState::SignedOut
        } else if self.listed.is_some() {
            ShiftState::Listed
        } else {
            ShiftState::Planned
        }
    }

    /// When the timers have to look at it.
    #[must_use]
    pub fn next_fire_at(&self) -> Option<Timestamp> {
        self.list_due.filter(|_| self.listed.is_none() && self.missed.is_none())
    }

    /// Whether somebody is on it.
    #[must_use]
    pub fn has(&self, staff: &Subject) -> bool {
        self.members.contains(staff)
    }

    fn length(&self) -> SignedDuration {
        self.ends.duration_since(self.starts)
    }

    fn changed(&self, now: Timestamp) -> Self {
        let mut next = self.clone();
        next.revision += 1;
        next.updated_at = now.max(self.updated_at);
        next
    }

    fn step(&self, command: &'static str) -> Step {
        Step { subject: "shift", state: self.state().code(), command }
    }
}

/// Checks a shift that is to be planned, as of `now`, and finds out when its list is due: by elapsed time before the end,
/// whatever the clocks on the wall do.
///
/// # Errors
/// [`StepRefusal::Fields`] with everything that is wrong.
pub fn plan_shift(mut shift: Shift, policy: &Policy, now: Timestamp) -> Result<Shift, StepRefusal> {
    let mut faults = Vec::new();
    let mut wrong = |field: &str, words: Words| {
        faults.push(Fault::new(format!("shift.{field}"), words));
    };
    let length = shift.length();
    if shift.ends <= now {
        wrong("end_time", Words::not_ahead(now));
    } else if length <= SignedDuration::ZERO || length > LONGEST {
        let words =
            ("must be after start_time by at most 24 hours", "须晚于 start_time，最多相差 24 小时");
        wrong("end_time", words.into());
    }
    if !shift.has(&shift.leader) {
        wrong("leader", ("must be one of the members", "须为本班次人员").into());
    }
    if !faults.is_empty() {
        return Err(StepRefusal::Fields(faults));
    }
    shift.list_due = match &policy.learning().shifts {
        None => None,
        Some(rules) => {
            // Not before the shift has begun, however short it is, and not before now.
            let due = shift.ends.checked_sub(rules.list_before_end).unwrap_or(shift.starts);
            Some(due.max(shift.starts).max(now))
        }
    };
    Ok(shift)
}

/// Plans a shift of a pattern. One that is planned so late that its list would be due at once, because nobody could plan it
/// before, is given the same time for it, up to its end: nobody is blamed for what he could not do.
///
/// # Errors
/// [`StepRefusal::Fields`] with everything that is wrong.
pub fn plan_from_pattern(
    shift: Shift,
    policy: &Policy,
    now: Timestamp,
) -> Result<Shift, StepRefusal> {
    let mut shift = plan_shift(shift, policy, now)?;
    let lead = policy.learning().shifts.as_ref().map(|rules| rules.list_before_end);
    let fair = lead.and_then(|lead| now.checked_add(lead).ok()).unwrap_or(now).min(shift.ends);
    // One that has not begun has its time as it is.
    let late = now > shift.starts;
    shift.list_due = shift.list_due.map(|due| if late { due.max(fair) } else { due });
    Ok(shift)
}

/// The shift with those members whom the roster names now, the leader first; none where that changes nothing, where somebody
/// has decided who is on it, and once it has begun.
#[must_use]
pub fn follow_roster(shift: &Shift, crew: &[Subject], now: Timestamp) -> Option<Shift> {
    let leader = crew.first()?;
    let own = shift.pattern.is_some() && shift.crewed_by.is_none();
    let waits = shift.state() == ShiftState::Planned && now <= shift.starts;
    let same = shift.leader == *leader && shift.members == crew;
    if !own || !waits || same {
        return None;
    }
    let mut next = shift.changed(now);
    next.members = crew.to_vec();
    next.leader = leader.clone();
    Some(next)
}

/// That the list has not come, once, with the violation that the policy proposes. A timer comes at the due time itself, a
/// list then still is in time.
#[must_use]
pub fn miss_list(
    shift: &Shift,
    policy: &Policy,
    now: Timestamp,
    is_timer: bool,
) -> Option<(Shift, Option<ProposedViolation>)> {
    let due = shift.next_fire_at().filter(|due| *due < now || (is_timer && *due == now))?;
    let mut next = shift.changed(now);
    next.missed = Some(next.updated_at);
    let rules = policy.learning().shifts.as_ref();
    let code = rules.and_then(|rules| rules.missed_list_violation.as_deref());
    let rule = code.and_then(|code| policy.violation(code));
    let stamp = |at| explain::stamp(policy.calendar(), at);
    let (centre, starts, ends) = (&shift.centre, stamp(shift.starts), stamp(shift.ends));
    let by = stamp(due);
    let evidence = format!(
        "Shift of {centre} from {starts} to {ends}: the list of unfinished work orders was due {by} and not submitted by \
         then. / {centre} 班次（{starts} 至 {ends}）：未完成派工单清单应于 {by} 前提交，逾期未提交。"
    );
    let violation =
        rule.map(|rule| rule.broken(shift.leader.clone(), evidence, due, shift.policy_version));
    Some((next, violation))
}

/// Passes if somebody may say now why a work order is not done.
///
/// # Errors
/// [`StepRefusal`].
pub fn allow_reason(shift: &Shift, actor: &Subject) -> Result<(), StepRefusal> {
    let step = shift.step("SetUnfinishedReason");
    step.duty(shift.has(actor), MEMBER)?;
    match shift.state() {
        ShiftState::Planned | ShiftState::Listed => Ok(()),
        _ => step.missing(NOT_SIGNED),
    }
}

/// What a command makes of a shift as of `now`.
///
/// # Errors
/// [`StepRefusal`]; then nothing has changed.
pub fn decide_shift(
    shift: &Shift,
    command: ShiftCommand,
    actor: &Subject,
    now: Timestamp,
) -> Result<Shift, StepRefusal> {
    let mut next = shift.changed(now);
    let now = next.updated_at;
    let taken = StepTaken { by: actor.clone(), at: now };
    let state = shift.state();
    match command {
        ShiftCommand::Submit { without_reason } => {
            let step = shift.step("SubmitShiftList");
            step.duty(shift.has(actor), MEMBER)?;
            if state != ShiftState::Planned {
                return step.missing(NO_LIST_YET);
            }
            if now < shift.starts {
                return step.missing(BEGUN);
            }
            reasons(step, without_reason)?;
            next.listed = Some(taken);
        }
        ShiftCommand::Crew { members, leader } => {
            let step = shift.step("UpdateShift");
            if matches!(state, ShiftState::SignedOut | ShiftState::HandedOver) {
                return step.missing(NOT_SIGNED);
            }
            let mut faults = Vec::new();
            if !members.contains(&leader) {
                let description = ("must be one of the members", "须为本班次人员");
                faults.push(Fault::new("shift.leader", description));
            }
            if shift.listed.as_ref().is_some_and(|listed| !members.contains(&listed.by)) {
                let description = ("must have whoever submitted the list", "须包括提交清单的人");
                faults.push(Fault::new("shift.members", description));
            }
            if !faults.is_empty() {
                return Err(StepRefusal::Fields(faults));
            }
            (next.members, next.leader) = (members, leader);
            next.crewed_by = Some(actor.clone());
        }
        ShiftCommand::SignOut { without_reason, unfinished } => {
            let step = shift.step("SignShiftHandover");
            step.duty(shift.has(actor), MEMBER)?;
            match state {
                ShiftState::Planned => return step.missing(LIST),
                ShiftState::Listed => {}
                _ => return step.missing(NOT_SIGNED),
            }
            // What was issued since the list was submitted needs a reason, too; what was done since is not on it.
            reasons(step, without_reason)?;
            next.signed_out = Some((taken, unfinished));
        }
        ShiftCommand::SignIn { incoming } => {
            let step = shift.step("SignShiftHandover");
            let Some((outgoing, _)) = &shift.signed_out else {
                let missing = if shift.listed.is_some() { vec![] } else { vec![LIST] };
                return step.all_missing([missing, vec![OUTGOING_SIGNATURE]].concat());
            };
            if state == ShiftState::HandedOver {
                return step.missing(NOT_HANDED_OVER);
            }
            if incoming.centre != shift.centre || incoming.starts <= shift.starts {
                let description = (
                    "must be a shift of the same dispatch centre that begins after the outgoing one",
                    "须为同一调度中心在交班班次之后开始的班次",
                );
                return wrong_field("incoming_shift", description);
            }
            step.duty(incoming.has(actor), INCOMING_MEMBER)?;
            step.duty(outgoing.by != *actor, SOMEBODY_ELSE)?;
            next.signed_in = Some((incoming.id, taken));
        }
    }
    Ok(next)
}

/// Every unfinished order has one; those that have none are named.
fn reasons(step: Step, without: Vec<String>) -> Result<(), StepRefusal> {
    if without.is_empty() {
        return Ok(());
    }
    let Step { state, command, .. } = step;
    Err(StepRefusal::Lacking { state, command, missing: REASONS, subjects: without })
}
