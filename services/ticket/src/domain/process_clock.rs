//! How the clock of a stage runs (T-05 to T-07, T-22): made of what the clocks of tickets are made of. It warns, breaks and takes
//! the steps of its escalation like one of them, and stands still while the ticket does.
//!
//! Like there, what is broken pauses no more: what comes after its deadline comes in its time.

use std::time::Duration;

use jiff::Timestamp;
use kefu_calendar::{Calendar, DueError, Target, Timeline};

use super::{
    clock_note::{Deadlines, StepRule},
    counting::Counting,
    process::{RunRecord, RunState, StageRun},
    process_template::{Stage, StageClock},
    word::ReceiverLevel,
};

/// What is due of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunAlarm {
    /// The deadline comes near.
    Warn,
    /// The deadline passes.
    Breach,
    /// The step at this place of [`StageRun::steps`] is taken.
    Step(usize),
}

/// What comes of an alarm beside the record of it, by the template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raise {
    /// Nothing.
    No,
    /// The ticket is raised to the next receiver level.
    Next,
    /// The ticket is raised to this level where it is below.
    To(ReceiverLevel),
}

impl StageClock {
    /// To which level the ticket is raised by an alarm of a run under this clock.
    #[must_use]
    pub fn raise(&self, run: &StageRun, alarm: RunAlarm) -> Raise {
        match alarm {
            RunAlarm::Warn => Raise::No,
            RunAlarm::Breach if self.breach_raises_level => Raise::Next,
            RunAlarm::Breach => Raise::No,
            RunAlarm::Step(place) => {
                let to = self.step(run, place).and_then(|step| step.raise_to);
                to.map_or(Raise::No, Raise::To)
            }
        }
    }

    /// The rule of a step of a run; a step that it does not know asks for nothing.
    #[must_use]
    pub fn step(&self, run: &StageRun, place: usize) -> Option<&StepRule> {
        let taken = run.steps.get(place)?;
        self.steps.iter().find(|step| step.name == taken.name)
    }
}

impl StageRun {
    /// A run of a stage that begins at `at`, and stands still from the start where the ticket waits for this reason.
    pub(super) fn begin(
        stage: &Stage,
        clock: Option<&StageClock>,
        calendar: &Calendar,
        at: Timestamp,
        waits: Option<&str>,
    ) -> Result<Self, DueError> {
        let mut run = Self {
            stage: stage.code.clone(),
            state: RunState::Running,
            started_at: at,
            due: None,
            warn_at: None,
            warned_at: None,
            breached_at: None,
            steps: Vec::new(),
            pauses: Vec::new(),
            ended: None,
            record: RunRecord::default(),
        };
        if let Some(clock) = clock {
            let Deadlines { due, warn_at, steps } = run.deadlines(clock, calendar)?;
            (run.due, run.warn_at, run.steps) = (due, warn_at, steps);
            if let Some(reason) = waits {
                run.pause(at, reason);
            }
        }
        Ok(run)
    }

    /// When it next has something to put on record, and what.
    #[must_use]
    pub fn next_alarm(&self) -> Option<(Timestamp, RunAlarm)> {
        if self.state != RunState::Running {
            return None;
        }
        let open = self.breached_at.is_none();
        let warn = self.warn_at.filter(|_| open && self.warned_at.is_none());
        let breach = self.due.filter(|_| open).map(|at| (at, RunAlarm::Breach));
        let steps = self.steps.iter().enumerate().filter(|(_, step)| step.taken_at.is_none());
        let steps = steps.filter_map(|(place, step)| Some((step.at?, RunAlarm::Step(place))));
        warn.map(|at| (at, RunAlarm::Warn)).into_iter().chain(breach).chain(steps).min()
    }

    /// Puts on record that an alarm came to its time.
    pub(super) fn ring(&mut self, alarm: RunAlarm, at: Timestamp) {
        match alarm {
            RunAlarm::Warn => self.warned_at = Some(at),
            RunAlarm::Breach => self.breached_at = Some(at),
            RunAlarm::Step(place) => {
                if let Some(step) = self.steps.get_mut(place) {
                    step.taken_at = Some(at);
                }
            }
        }
    }

    /// Whether its clock stands still.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.pauses.last().is_some_and(|pause| pause.to.is_none())
    }

    /// The sum of its pauses that have ended, and since when it stands still (T-06).
    #[must_use]
    pub fn paused(&self) -> (Duration, Option<Timestamp>) {
        let ended = self.pauses.iter().filter_map(|pause| Some((pause.from, pause.to?)));
        let sum = ended.map(|(from, to)| to.duration_since(from).unsigned_abs()).sum();
        let open = self.pauses.last().filter(|pause| pause.to.is_none());
        (sum, open.map(|pause| pause.from))
    }

    /// Its start and its pauses, with what was promised.
    pub(super) fn timeline(&self, target: Target) -> Timeline {
        let mut timeline = Timeline::new(self.started_at, target);
        for pause in &self.pauses {
            // In order, as they were made here and are checked when they are read.
            _ = timeline.pause(pause.from, pause.reason.as_str());
            if let Some(to) = pause.to {
                _ = timeline.resume(to);
            }
        }
        timeline
    }

    /// What is promised by the clock.
    pub(super) fn target(
        &self,
        clock: &StageClock,
        calendar: &Calendar,
    ) -> Result<Target, DueError> {
        let start = self.started_at;
        clock.length.from(start, calendar).ok_or(DueError::TooFar { start })
    }

    fn deadlines(&self, clock: &StageClock, calendar: &Calendar) -> Result<Deadlines, DueError> {
        let timeline = self.timeline(self.target(clock, calendar)?);
        Deadlines::by(&Counting::on(&timeline, calendar), clock.warn_percent, &clock.steps)
    }

    /// Stands still from then on, or goes on standing still for another reason. What was due by then is due; and what has no
    /// deadline or is broken does not stand still.
    pub(super) fn pause(&mut self, at: Timestamp, reason: &str) {
        let mut timeline = self.timeline(Target::Elapsed(Duration::ZERO));
        let at = at.max(self.last_moved());
        if self.is_paused() {
            _ = timeline.resume(at);
        } else if self.due.is_none_or(|due| due <= at) || self.breached_at.is_some() {
            return;
        }
        if timeline.pause(at, reason).is_err() {
            return;
        }
        self.pauses = timeline.pauses().to_vec();
        let by_then = |time: Option<Timestamp>| time.filter(|time| *time <= at);
        self.due = None;
        self.warn_at = by_then(self.warn_at);
        for step in self.steps.iter_mut().filter(|step| step.taken_at.is_none()) {
            step.at = by_then(step.at);
        }
    }

    /// Goes on where it stood.
    pub(super) fn resume(
        &mut self,
        clock: Option<&StageClock>,
        calendar: &Calendar,
        at: Timestamp,
    ) -> Result<(), DueError> {
        if !self.end_pause(at) {
            return Ok(());
        }
        let Some(clock) = clock else { return Ok(()) };
        let at = self.last_moved();
        let fresh = self.deadlines(clock, calendar)?.not_before(at, false).after(&self.steps);
        self.due = fresh.due;
        // What was due before the pause and nobody has come to yet is due as of then.
        self.warn_at = self.warn_at.or(fresh.warn_at);
        let kept = std::mem::replace(&mut self.steps, fresh.steps);
        for (step, kept) in self.steps.iter_mut().zip(kept) {
            step.at = kept.at.or(step.at);
        }
        Ok(())
    }

    /// Ends its open pause; false where there is none.
    pub(super) fn end_pause(&mut self, at: Timestamp) -> bool {
        let at = at.max(self.last_moved());
        let open = self.pauses.last_mut().filter(|pause| pause.to.is_none());
        open.map(|pause| pause.to = Some(at)).is_some()
    }

    /// When it began, or began or ended its last pause.
    fn last_moved(&self) -> Timestamp {
        self.pauses.last().map_or(self.started_at, |pause| pause.to.unwrap_or(pause.from))
    }
}
