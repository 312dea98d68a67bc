//! A staged process under way (流程): which stages it went through, what is on record in them, and what comes next (T-22).
//!
//! What always holds: no stage that the route leads through is skipped; two stages run at once only if the template says that
//! they run beside each other; a run that ended never changes again; and the process is completed only by the completion of the
//! last stage, each with all that it asks for on what is agreed then.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kefu_calendar::{Calendar, DueError, Explanation, Pause, Timeline};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    clock_note::Step,
    process_follow::Hold,
    process_need::{NeedKind, ProcessNeed},
    process_template::{Agreed, Approval, ProcessTemplate, Stage},
    word::{Subject, Text, coded},
    work_order::StepTaken,
};

/// A process. Changed by [`decide_process`](super::decide_process) and the timers alone; the fields are open for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its identity.
    pub id: Uuid,
    /// The ticket that follows it.
    pub ticket: Uuid,
    /// The customer of that ticket.
    pub customer: Option<Uuid>,
    /// The org unit of that ticket.
    pub org_unit: String,
    /// The policy version whose template it follows.
    pub policy_version: Uuid,
    /// Code of the template.
    pub template: String,
    /// What is agreed now.
    pub agreed: Agreed,
    /// The runs of stages, oldest first.
    pub runs: Vec<StageRun>,
    /// The requested changes, oldest first.
    pub changes: Vec<ProcessChange>,
    /// That its clocks stand still with the ticket.
    pub held: Option<Hold>,
    /// That it is over.
    pub end: Option<ProcessEnd>,
    /// Who started it.
    pub started_by: Subject,
    /// When it was started.
    pub created_at: Timestamp,
    /// When it was last changed; never goes back.
    pub updated_at: Timestamp,
    /// Counts the changes from 1.
    pub revision: i64,
}

/// That a process is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessEnd {
    /// By whom and when.
    pub taken: StepTaken,
    /// Why it was called off; none where it was completed.
    pub cancelled: Option<String>,
}

coded! {
    /// Where a process stands.
    ProcessState {
        /// Under way.
        Running = "running",
        /// Through.
        Completed = "completed",
        /// Called off.
        Cancelled = "cancelled",
    }
}

coded! {
    /// Where the run of a stage stands.
    RunState {
        /// Under way.
        Running = "running",
        /// Done.
        Completed = "completed",
        /// Counts no more since a change was approved.
        Superseded = "superseded",
        /// The process was called off.
        Cancelled = "cancelled",
    }
}

/// One run of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageRun {
    /// Code of the stage.
    pub stage: String,
    /// Where it stands.
    pub state: RunState,
    /// When it began.
    pub started_at: Timestamp,
    /// By when it has to be completed, as it was computed at the start or the last resumption; none while it stands still.
    /// Kept, not recomputed.
    pub due: Option<Timestamp>,
    /// When it is to be told that the deadline comes near; none while it stands still.
    pub warn_at: Option<Timestamp>,
    /// When that was told.
    pub warned_at: Option<Timestamp>,
    /// The deadline that passed. Never unmade.
    pub breached_at: Option<Timestamp>,
    /// The steps of its escalation, in the order of the template.
    pub steps: Vec<Step>,
    /// When its clock stood still: in order, only the last may be open.
    pub pauses: Vec<Pause>,
    /// By whom and when it ended.
    pub ended: Option<StepTaken>,
    /// What is on record.
    pub record: RunRecord,
}

/// What is on record in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunRecord {
    /// Documents, oldest first.
    pub documents: Vec<DocumentRecord>,
    /// Submissions, oldest first.
    pub submissions: Vec<Submission>,
    /// Inspections, in order.
    pub inspections: Vec<InspectionRecord>,
    /// The promised answer.
    pub answer: Option<AnswerRecord>,
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentRecord {
    /// Its code.
    pub document: String,
    /// Where it is; may be empty beside an attachment.
    pub reference: String,
    /// Who put it on record.
    pub by: Subject,
    /// When.
    pub at: Timestamp,
    /// The file of the ticket that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment: Option<Uuid>,
    /// When that file was withdrawn: since then it counts no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn_at: Option<Timestamp>,
}

/// An inspection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectionRecord {
    /// Code of its outcome.
    pub outcome: String,
    /// What was found.
    pub finding: String,
    /// Who inspected.
    pub by: Subject,
    /// When it was put on record.
    pub at: Timestamp,
}

/// The promised answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerRecord {
    /// The message on the ticket.
    pub message: Uuid,
    /// Who named it.
    pub by: Subject,
    /// When.
    pub at: Timestamp,
}

/// One time that a stage was submitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// Who submitted it.
    pub by: Subject,
    /// When.
    pub at: Timestamp,
    /// The approvals, oldest first.
    pub approvals: Vec<ApprovalRecord>,
    /// That it does not count any more.
    pub end: Option<SubmissionEnd>,
}

/// One approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRecord {
    /// Which of the approvals that the stage asks for on its route.
    pub rule: usize,
    /// Who approved.
    pub by: Subject,
    /// When.
    pub at: Timestamp,
    /// Remarks.
    pub comment: String,
    /// The roles of which one approves, as the template names them.
    pub roles: Vec<String>,
}

/// Why a submission does not count any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubmissionEnd {
    /// Somebody rejected it.
    Rejected {
        /// Who.
        by: Subject,
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
    /// What was agreed has changed.
    Withdrawn {
        /// When.
        at: Timestamp,
    },
}

/// A requested change of what was agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessChange {
    /// What instead.
    pub values: Agreed,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub requested: StepTaken,
    /// What became of it.
    pub outcome: ChangeOutcome,
    /// Why so, by whom and when; none while it waits.
    pub decided: Option<(String, StepTaken)>,
}

coded! {
    /// What became of a requested change.
    ChangeOutcome {
        /// It waits.
        Pending = "pending",
        /// Agreed.
        Approved = "approved",
        /// Not agreed.
        Rejected = "rejected",
        /// The process was called off first.
        Cancelled = "cancelled",
    }
}

impl Process {
    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> ProcessState {
        match &self.end {
            None => ProcessState::Running,
            Some(ProcessEnd { cancelled: None, .. }) => ProcessState::Completed,
            Some(ProcessEnd { cancelled: Some(_), .. }) => ProcessState::Cancelled,
        }
    }

    /// The runs that are under way.
    pub fn running(&self) -> impl Iterator<Item = &StageRun> {
        self.runs.iter().filter(|run| run.state == RunState::Running)
    }

    pub(super) fn running_mut(&mut self) -> impl Iterator<Item = &mut StageRun> {
        self.runs.iter_mut().filter(|run| run.state == RunState::Running)
    }

    /// The run of a stage that counts: under way or completed.
    #[must_use]
    pub fn counting(&self, stage: &str) -> Option<&StageRun> {
        let counts = |run: &&StageRun| matches!(run.state, RunState::Running | RunState::Completed);
        self.runs.iter().rev().filter(|run| run.stage == stage).find(counts)
    }

    /// The requested change that waits.
    #[must_use]
    pub fn pending_change(&self) -> Option<&ProcessChange> {
        self.changes.last().filter(|change| change.outcome == ChangeOutcome::Pending)
    }

    /// The next deadline of a running stage, passed or not.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        self.running().filter_map(|run| run.due).min()
    }

    /// When the timers have something to put on record.
    #[must_use]
    pub fn next_fire_at(&self) -> Option<Timestamp> {
        self.running().filter_map(|run| run.next_alarm().map(|(at, _)| at)).min()
    }

    pub(super) fn changed(&self, at: Timestamp) -> Self {
        let mut next = self.clone();
        next.revision += 1;
        next.updated_at = at.max(self.updated_at);
        next
    }

    /// Begins what comes next, or ends: after the runs that count, and by what is agreed now.
    pub(super) fn advance(
        &mut self,
        template: &ProcessTemplate,
        calendar: &Calendar,
        by: &Subject,
    ) -> Result<(), DueError> {
        let at = self.updated_at;
        let waits = self.held.as_ref().map(|held| held.reason.clone());
        let route = template.route(&self.agreed);
        for group in template.groups() {
            let stages = template.stages().get(group).unwrap_or_default();
            let open = stages.iter().filter(|stage| stage.applies(route)).filter(|stage| {
                self.counting(&stage.code).is_none_or(|run| run.state == RunState::Running)
            });
            let open: Vec<&Stage> = open.collect();
            if open.is_empty() {
                continue;
            }
            for stage in open {
                if self.counting(&stage.code).is_none() {
                    let clock = stage.clock(route);
                    let run = StageRun::begin(stage, clock, calendar, at, waits.as_deref())?;
                    self.runs.push(run);
                }
            }
            return Ok(());
        }
        self.end = Some(ProcessEnd { taken: StepTaken { by: by.clone(), at }, cancelled: None });
        self.held = None;
        Ok(())
    }

    /// Calls it off.
    pub(super) fn cancel(&mut self, by: &Subject, reason: String) {
        let taken = StepTaken { by: by.clone(), at: self.updated_at };
        self.running_mut().for_each(|run| run.end(RunState::Cancelled, &taken));
        self.held = None;
        if let Some(change) = self.changes.last_mut()
            && change.outcome == ChangeOutcome::Pending
        {
            change.outcome = ChangeOutcome::Cancelled;
            change.decided = Some((reason.clone(), taken.clone()));
        }
        self.end = Some(ProcessEnd { taken, cancelled: Some(reason) });
    }

    /// Agrees on these values: whatever has to be done again because of that counts no more.
    ///
    /// That is everything from the first of these stages on: the one that the template names for an attribute that changes, and
    /// any stage of which the new route asks something else, for what was done there was done for something else.
    pub(super) fn agree(&mut self, template: &ProcessTemplate, values: Agreed, by: &Subject) {
        let taken = StepTaken { by: by.clone(), at: self.updated_at };
        let old = template.route(&self.agreed).map(str::to_owned);
        let changed =
            |code: &str| values.get(code).is_some_and(|new| self.agreed.get(code) != Some(new));
        let named = template.attributes().iter().filter(|attribute| changed(&attribute.code));
        let named = named.filter_map(|attribute| attribute.restarts_at).min();
        self.agreed.extend(values);
        let new = template.route(&self.agreed);
        let stages = template.stages().iter();
        let differs = stages.clone().position(|stage| !stage.asks_the_same(old.as_deref(), new));
        let from = named.into_iter().chain(differs).min().unwrap_or(usize::MAX);
        for stage in stages.skip(from) {
            let runs = self.runs.iter_mut().filter(|run| run.stage == stage.code);
            for run in runs {
                if matches!(run.state, RunState::Running | RunState::Completed) {
                    run.supersede(&taken);
                }
            }
        }
        // What was submitted was submitted for what was agreed before.
        self.running_mut().for_each(|run| run.withdraw(taken.at));
    }

    /// Everything that is missing until a running stage can be completed.
    #[must_use]
    pub fn missing(&self, template: &ProcessTemplate, run: &StageRun) -> Vec<ProcessNeed> {
        let Some((_, stage)) = template.stage(&run.stage) else { return Vec::new() };
        let route = template.route(&self.agreed);
        let mut missing = run.missing_work(stage, route);
        missing.extend(run.missing_approvals(stage, route));
        if stage.answer_promised && run.record.answer.is_none() {
            missing.push(ProcessNeed::new(NeedKind::Answer, &stage.code));
        }
        if self.pending_change().is_some() {
            missing.push(ProcessNeed::new(NeedKind::ChangeDecision, &stage.code));
        }
        missing
    }

    /// How the deadline of a run that counts comes about; while its clock stands still, how much of it was used up by `now`.
    ///
    /// # Errors
    /// If the calendar does not reach it, which it did when the stage began.
    pub fn explain(
        &self,
        template: &ProcessTemplate,
        calendar: &Calendar,
        run: &StageRun,
        now: Timestamp,
    ) -> Result<Option<(Timeline, Explanation)>, DueError> {
        let route = template.route(&self.agreed);
        let clock = template.stage(&run.stage).and_then(|(_, stage)| stage.clock(route));
        let Some(clock) = clock.filter(|_| run.due.is_some() || run.is_paused()) else {
            return Ok(None);
        };
        let timeline = run.timeline(run.target(clock, calendar)?);
        let explanation = timeline.explain(calendar, run.due.unwrap_or(now))?;
        // What was promised at the time stands, whatever a newer time zone database says.
        let explanation = Explanation { due: run.due, ..explanation };
        Ok(Some((timeline, explanation)))
    }
}

impl StageRun {
    pub(super) fn end(&mut self, state: RunState, taken: &StepTaken) {
        self.end_pause(taken.at);
        self.state = state;
        self.ended = Some(taken.clone());
    }

    fn supersede(&mut self, taken: &StepTaken) {
        if self.state == RunState::Running {
            self.end_pause(taken.at);
            self.withdraw(taken.at);
            self.ended = Some(taken.clone());
        }
        self.state = RunState::Superseded;
    }

    /// What waits for approval or has it does not count any more.
    pub(super) fn withdraw(&mut self, at: Timestamp) {
        if let Some(last) = self.record.submissions.last_mut().filter(|last| last.end.is_none()) {
            last.end = Some(SubmissionEnd::Withdrawn { at });
        }
    }

    /// The submission that counts.
    #[must_use]
    pub fn submission(&self) -> Option<&Submission> {
        self.record.submissions.last().filter(|last| last.end.is_none())
    }

    /// Whoever put something of it on record or submitted it, and so does not approve it.
    #[must_use]
    pub fn contributors(&self) -> BTreeSet<&Subject> {
        let documents = self.record.documents.iter().map(|document| &document.by);
        let inspections = self.record.inspections.iter().map(|inspection| &inspection.by);
        documents.chain(inspections).chain(self.submission().map(|last| &last.by)).collect()
    }

    /// What the next inspection is, by the outcome of the last.
    #[must_use]
    pub fn next_inspection<'a>(&self, stage: &'a Stage) -> Option<&'a Text> {
        let last = self.record.inspections.last()?;
        stage.inspections.as_ref()?.outcomes.get(&last.outcome)?.next.as_ref()
    }

    /// The documents and inspections that are missing.
    #[must_use]
    pub fn missing_work(&self, stage: &Stage, route: Option<&str>) -> Vec<ProcessNeed> {
        let counts = |have: &&DocumentRecord| have.withdrawn_at.is_none();
        let there = |code: &str| {
            self.record.documents.iter().filter(counts).any(|have| have.document == code)
        };
        let documents = stage.documents(route).filter(|code| !there(code));
        let mut missing: Vec<_> =
            documents.map(|code| ProcessNeed::new(NeedKind::Document, code)).collect();
        missing.extend(self.missing_inspection(stage));
        missing
    }

    /// That an inspection is missing, or that there may be no more although none passed.
    #[must_use]
    pub fn missing_inspection(&self, stage: &Stage) -> Option<ProcessNeed> {
        let rules = stage.inspections.as_ref()?;
        let done = self.record.inspections.len();
        let last = self.record.inspections.last();
        let passed = last.and_then(|last| rules.outcomes.get(&last.outcome));
        let passed = passed.is_some_and(|outcome| outcome.next.is_none());
        if passed && done >= rules.minimum {
            return None;
        }
        let exhausted = done >= rules.maximum;
        let kind = if exhausted { NeedKind::InspectionsExhausted } else { NeedKind::Inspection };
        Some(ProcessNeed::new(kind, &stage.code))
    }

    /// The approvals that are missing, or the submission.
    #[must_use]
    pub fn missing_approvals(&self, stage: &Stage, route: Option<&str>) -> Vec<ProcessNeed> {
        let rules: Vec<&Approval> = stage.approvals(route).collect();
        if rules.is_empty() {
            return Vec::new();
        }
        let Some(submission) = self.submission() else {
            return vec![ProcessNeed::new(NeedKind::Submission, &stage.code)];
        };
        let open =
            rules.iter().enumerate().filter(|(rule, asked)| submission.given(*rule) < asked.count);
        open.map(|(_, asked)| ProcessNeed::new(NeedKind::Approval, &asked.roles.join(", ")))
            .collect()
    }
}

impl Submission {
    /// How many approved by this rule.
    #[must_use]
    pub fn given(&self, rule: usize) -> usize {
        self.approvals.iter().filter(|approval| approval.rule == rule).count()
    }
}
