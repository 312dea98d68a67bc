//! A process and its ticket (T-09, T-22): the ticket is not resolved or closed while its process runs, and the process stands
//! still, goes on and ends with it.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use kefu_calendar::Calendar;
use uuid::Uuid;

use super::{
    change::{Change, What},
    escalation::{self, Escalation, EscalationCause},
    policy::Policy,
    process::Process,
    process_clock::Raise,
    process_need::{NeedKind, ProcessNeed, ProcessRefusal},
    process_template::ProcessTemplate,
    refusal::Refusal,
    story::Story,
    terms::Issued,
    ticket::{State, StateName, Ticket},
    timers::{Until, settle},
    word::{Actor, ReceiverLevel, Subject},
};

/// Why the clocks stand still while the ticket is merged, in both languages.
const MERGED: &str = "merged into another ticket / 已并入其他工单";

/// So often the clock of one stage stands still at most.
const MAX_PAUSES: usize = 200;

/// The process that a ticket follows, as far as the ticket has to know it.
#[derive(Clone)]
pub struct RunningProcess {
    /// Which.
    pub id: Uuid,
    /// Codes of the stages that are under way.
    pub stages: Vec<String>,
    /// The version that judges both.
    pub rules: Arc<dyn Issued>,
}

impl fmt::Debug for RunningProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, stages, rules } = self;
        f.debug_tuple("RunningProcess").field(id).field(stages).field(&rules.id()).finish()
    }
}

impl PartialEq for RunningProcess {
    fn eq(&self, other: &Self) -> bool {
        let known = |process: &Self| (process.id, process.rules.id());
        known(self) == known(other) && self.stages == other.stages
    }
}

impl Eq for RunningProcess {}

/// Passes unless a process of the ticket is under way: whoever asked for something in stages has it when the last is done.
pub(super) fn none_runs(story: &Story<'_>, command: &'static str) -> Result<(), Refusal> {
    let Some(RunningProcess { id, stages, .. }) = &story.ticket.process else { return Ok(()) };
    Err(Refusal::ProcessRuns {
        state: story.ticket.state.name(),
        command,
        process: *id,
        stages: stages.clone(),
        missing: Vec::new(),
    })
}

/// That the clocks of a process stand still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: String,
}

/// What the state of a ticket means for its process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It goes on.
    Going,
    /// Its clocks stand still (T-04, T-06).
    Held(Hold),
    /// It is over, for this reason.
    Over(String),
}

impl Standing {
    /// By the state of a ticket, since when that is, and the reason that goes with it.
    #[must_use]
    pub fn by(state: StateName, since: Timestamp, reason: &str) -> Self {
        match state {
            StateName::Waiting => Self::Held(Hold { since, reason: reason.to_owned() }),
            StateName::Merged => Self::Held(Hold { since, reason: MERGED.to_owned() }),
            StateName::Cancelled => {
                Self::Over(format!("the ticket was cancelled: {reason} / 工单已取消：{reason}"))
            }
            StateName::Closed => Self::Over("the ticket was closed / 工单已关闭".to_owned()),
            _ => Self::Going,
        }
    }

    /// By a ticket.
    #[must_use]
    pub fn of(ticket: &Ticket) -> Self {
        let (since, reason) = match &ticket.state {
            State::Waiting { since, reason, .. } => (*since, reason.as_str()),
            State::Merged(merged) => (merged.at, ""),
            State::Cancelled { at, reason, .. } => (*at, reason.as_str()),
            _ => (ticket.updated_at, ""),
        };
        Self::by(ticket.state.name(), since, reason)
    }

    /// What a process does that follows, as the journal names it.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::Going => "ResumeWithTicket",
            Self::Held(_) => "PauseWithTicket",
            Self::Over(_) => "CancelWithTicket",
        }
    }
}

impl Process {
    /// Stands still, goes on or ends with its ticket as of `at`. None where it does so already.
    ///
    /// # Errors
    /// If the calendar does not reach a deadline that comes of going on, or a stage stood still so often that there is no room
    /// for more on record.
    pub fn follow(
        &self,
        (template, calendar): (&ProcessTemplate, &Calendar),
        standing: &Standing,
        by: &Subject,
        at: Timestamp,
    ) -> Result<Option<Self>, ProcessRefusal> {
        let held = self.held.as_ref().map(|held| &held.reason);
        let asked = match standing {
            Standing::Held(hold) => Some(&hold.reason),
            Standing::Going | Standing::Over(_) => None,
        };
        let is_over = matches!(standing, Standing::Over(_));
        if self.end.is_some() || (held == asked && !is_over) {
            return Ok(None);
        }
        let mut next = self.changed(at);
        match standing {
            Standing::Over(reason) => next.cancel(by, reason.clone()),
            Standing::Held(hold) => {
                if let Some(full) = self.running().find(|run| run.pauses.len() >= MAX_PAUSES) {
                    let missing = vec![ProcessNeed::new(NeedKind::Room, &full.stage)];
                    return Err(ProcessRefusal::Lacking { command: "PauseTicket", missing });
                }
                next.held = Some(Hold { since: at, reason: hold.reason.clone() });
                next.running_mut().for_each(|run| run.pause(at, &hold.reason));
            }
            Standing::Going => {
                next.held = None;
                let route = template.route(&self.agreed);
                for run in next.running_mut() {
                    let stage = template.stage(&run.stage);
                    let clock = stage.and_then(|(_, stage)| stage.clock(route));
                    let resumed = run.resume(clock, calendar, at);
                    resumed.map_err(|_| ProcessRefusal::NoDeadline)?;
                }
            }
        }
        Ok(Some(next))
    }
}

/// The change of a ticket that an alarm of its process raises, after what its own clocks had to do by then; none where it has
/// ended or is there already. As of `at`, recorded `now`.
#[must_use]
pub fn raise_by_stage(
    ticket: &Ticket,
    policy: &Policy,
    (raise, reason): (Raise, String),
    at: Timestamp,
    now: Timestamp,
) -> (Vec<Change>, Option<ReceiverLevel>) {
    if ticket.state.is_final() {
        return (Vec::new(), None);
    }
    let mut story = Story::new(ticket, policy, &Actor::TIMERS, now);
    settle(&mut story, Until::At(at));
    let form: Option<Escalation> = match raise {
        Raise::No => None,
        Raise::Next => {
            let cause = EscalationCause::Breach;
            Some(escalation::next(&story.ticket, policy, cause, reason, at))
        }
        Raise::To(to) => {
            let to = to.min(policy.top_level());
            escalation::to_level(&story.ticket, to, reason, at)
        }
    };
    let raised = form.as_ref().map(|form| form.to);
    if let Some(form) = form {
        story.record_as(Actor::TIMERS, at, What::Escalated(form), Vec::new());
    }
    (story.changes, raised)
}
