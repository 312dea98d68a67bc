//! What a command makes of a process, or why not (T-22).

use jiff::Timestamp;
use kefu_calendar::{Calendar, DueError};
use uuid::Uuid;

use super::{
    attachment::AttachmentState,
    process::{
        AnswerRecord, ApprovalRecord, ChangeOutcome, DocumentRecord, InspectionRecord, Process,
        ProcessChange, RunState, StageRun, Submission, SubmissionEnd,
    },
    process_clock::RunAlarm,
    process_command::{NamedFile, ProcessActor, ProcessCommand, Said},
    process_follow::{Hold, Standing},
    process_need::{NeedKind, ProcessDuty, ProcessNeed, ProcessRefusal},
    process_template::{Agreed, Approval, ProcessTemplate, Stage, Value, fault},
    ticket::{State, Ticket},
    word::{Fault, TicketKind},
    work_order::StepTaken,
};

/// The most documents of one run.
const MAX_DOCUMENTS: usize = 200;
/// The most submissions of one run.
const MAX_SUBMISSIONS: usize = 50;
/// The most changes of one process.
const MAX_CHANGES: usize = 50;

/// A new process for a ticket, at its first stage.
///
/// # Errors
/// [`ProcessRefusal`], with everything that is wrong with the values.
pub fn start_process(
    (id, policy_version): (Uuid, Uuid),
    ticket: &Ticket,
    customer: Option<Uuid>,
    (template, calendar): (&ProcessTemplate, &Calendar),
    values: Vec<(String, Value)>,
    (actor, now): (&ProcessActor, Timestamp),
) -> Result<Process, ProcessRefusal> {
    let command = "StartProcess";
    let agreed = template.agree(values, false).map_err(ProcessRefusal::Fields)?;
    let mut missing = Vec::new();
    if ticket.kind != TicketKind::Request {
        missing.push(ProcessNeed::new(NeedKind::Request, "ticket"));
    }
    match ticket.state {
        State::Open(_) | State::Waiting { .. } => {}
        // It is to be solved by the process, and cannot be while that runs.
        State::Resolved(_) | State::ResultFedBack { .. } => {
            missing.push(ProcessNeed::new(NeedKind::UnsolvedTicket, "ticket"));
        }
        State::Closed { .. } | State::Cancelled { .. } | State::Merged(_) => {
            missing.push(ProcessNeed::new(NeedKind::OpenTicket, "ticket"));
        }
    }
    if !missing.is_empty() {
        return Err(ProcessRefusal::Lacking { command, missing });
    }
    let mut process = Process {
        id,
        ticket: ticket.id,
        customer,
        org_unit: ticket.org_unit.clone(),
        policy_version,
        template: template.code.clone(),
        agreed,
        runs: Vec::new(),
        changes: Vec::new(),
        held: match Standing::of(ticket) {
            Standing::Held(hold) => Some(Hold { since: now, ..hold }),
            Standing::Going | Standing::Over(_) => None,
        },
        end: None,
        started_by: actor.subject.clone(),
        created_at: now,
        updated_at: now,
        revision: 1,
    };
    process.advance(template, calendar, &actor.subject).map_err(no_deadline)?;
    Ok(process)
}

fn no_deadline(_: DueError) -> ProcessRefusal {
    ProcessRefusal::NoDeadline
}

/// What came to its time: which run, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The place of the run.
    pub run: usize,
    /// What.
    pub alarm: RunAlarm,
    /// As of when.
    pub at: Timestamp,
}

/// Puts on record the first thing that came to its time. A timer comes at the time itself, a command then is still in time.
#[must_use]
pub fn notice_process(
    process: &Process,
    now: Timestamp,
    is_timer: bool,
) -> Option<(Process, Notice)> {
    let alarms = process.runs.iter().enumerate();
    let alarms =
        alarms.filter_map(|(place, run)| run.next_alarm().map(|(at, what)| (at, what, place)));
    let (at, alarm, place) = alarms.min()?;
    if at > now || (at == now && !is_timer) {
        return None;
    }
    let mut next = process.changed(at);
    next.runs.get_mut(place)?.ring(alarm, at);
    Some((next, Notice { run: place, alarm, at }))
}

/// What the withdrawal of a file makes of a process: in a stage that is under way it is the document no more, and what was
/// submitted with it is not what was submitted. None where no running stage has it.
#[must_use]
pub fn without_file(process: &Process, attachment: Uuid, now: Timestamp) -> Option<Process> {
    let has = |document: &&mut DocumentRecord| {
        document.attachment == Some(attachment) && document.withdrawn_at.is_none()
    };
    let mut next = process.changed(now);
    let at = next.updated_at;
    let mut found = false;
    for run in next.running_mut() {
        let documents: Vec<_> = run.record.documents.iter_mut().filter(has).collect();
        if !documents.is_empty() {
            documents.into_iter().for_each(|document| document.withdrawn_at = Some(at));
            run.withdraw(at);
            found = true;
        }
    }
    found.then_some(next)
}

/// What a command makes of a process as of `now`.
///
/// # Errors
/// [`ProcessRefusal`]; then nothing has changed.
pub fn decide_process(
    process: &Process,
    (template, calendar): (&ProcessTemplate, &Calendar),
    command: ProcessCommand,
    actor: &ProcessActor,
    now: Timestamp,
) -> Result<Process, ProcessRefusal> {
    let desk = Desk { template, calendar, actor, command: command.name() };
    if process.end.is_some() {
        return desk.lacks(NeedKind::RunningProcess, "process");
    }
    let mut next = process.changed(now);
    match command {
        ProcessCommand::RecordDocument { stage, document, reference, file } => {
            desk.document(&mut next, &stage, (document, reference), file)?;
        }
        ProcessCommand::RecordInspection { stage, outcome, finding } => {
            desk.inspection(&mut next, &stage, outcome, finding)?;
        }
        ProcessCommand::RecordAnswer { stage, said, .. } => {
            desk.answer(&mut next, &stage, said)?;
        }
        ProcessCommand::Submit { stage } => desk.submit(&mut next, &stage)?,
        ProcessCommand::Approve { stage, comment } => desk.approve(&mut next, &stage, comment)?,
        ProcessCommand::Reject { stage, reason } => desk.reject(&mut next, &stage, reason)?,
        ProcessCommand::Complete { stage } => desk.complete(&mut next, &stage)?,
        ProcessCommand::RequestChange { values, reason } => {
            desk.request_change(&mut next, values, reason)?;
        }
        ProcessCommand::DecideChange { agreed, decision } => {
            desk.decide_change(&mut next, agreed, decision)?;
        }
        ProcessCommand::Cancel { reason } => next.cancel(&actor.subject, reason),
    }
    Ok(next)
}

/// By what a command is judged.
struct Desk<'a> {
    template: &'a ProcessTemplate,
    calendar: &'a Calendar,
    actor: &'a ProcessActor,
    command: &'static str,
}

impl<'a> Desk<'a> {
    fn lacks<T>(&self, kind: NeedKind, subject: &str) -> Result<T, ProcessRefusal> {
        self.lacks_all(vec![ProcessNeed::new(kind, subject)])
    }

    fn lacks_all<T>(&self, missing: Vec<ProcessNeed>) -> Result<T, ProcessRefusal> {
        Err(ProcessRefusal::Lacking { command: self.command, missing })
    }

    fn duty(&self, kept: bool, duty: ProcessDuty) -> Result<(), ProcessRefusal> {
        let refusal = ProcessRefusal::NotYours { command: self.command, duty };
        if kept { Ok(()) } else { Err(refusal) }
    }

    fn taken(&self, process: &Process) -> StepTaken {
        StepTaken { by: self.actor.subject.clone(), at: process.updated_at }
    }

    /// The stage of the template, and the place of its run that is under way.
    fn running(&self, process: &Process, code: &str) -> Result<(&'a Stage, usize), ProcessRefusal> {
        let Some((_, stage)) = self.template.stage(code) else {
            return wrong("stage", "is no stage of the template", "模板中没有此环节");
        };
        let mut runs = process.runs.iter();
        let place = runs.rposition(|run| run.stage == code && run.state == RunState::Running);
        let Some(place) = place else { return self.lacks(NeedKind::RunningStage, code) };
        Ok((stage, place))
    }

    /// The same for whoever does the stage, with the run itself.
    fn own<'p>(
        &self,
        process: &'p mut Process,
        code: &str,
    ) -> Result<(&'a Stage, &'p mut StageRun), ProcessRefusal> {
        let (stage, place) = self.running(process, code)?;
        self.duty(self.actor.has_one_of(&stage.roles), ProcessDuty::Role)?;
        match process.runs.get_mut(place) {
            Some(run) => Ok((stage, run)),
            None => self.lacks(NeedKind::RunningStage, code),
        }
    }

    /// What was submitted stays as it is until it is decided, and after it was approved.
    fn open(&self, run: &StageRun) -> Result<(), ProcessRefusal> {
        match run.submission() {
            Some(_) => self.lacks(NeedKind::NoSubmission, &run.stage),
            None => Ok(()),
        }
    }

    fn document(
        &self,
        process: &mut Process,
        stage: &str,
        (document, reference): (String, String),
        file: Option<NamedFile>,
    ) -> Result<(), ProcessRefusal> {
        let StepTaken { by, at } = self.taken(process);
        let route = self.template.route(&process.agreed).map(str::to_owned);
        let (stage, run) = self.own(process, stage)?;
        if !stage.documents(route.as_deref()).any(|code| *code == document) {
            return wrong("document", "is none that the stage asks for", "该环节不需要此资料");
        }
        self.is_there(&document, file)?;
        self.open(run)?;
        if run.record.documents.len() >= MAX_DOCUMENTS {
            return self.lacks(NeedKind::Room, &run.stage);
        }
        let attachment = file.map(|named| named.file.id);
        run.record.documents.push(DocumentRecord {
            document,
            reference,
            by,
            at,
            attachment,
            withdrawn_at: None,
        });
        Ok(())
    }

    /// A file that is named is one of the ticket that can be looked at; and is named where nothing else counts.
    fn is_there(&self, document: &str, file: Option<NamedFile>) -> Result<(), ProcessRefusal> {
        match file.map(|named| named.state) {
            None if self.template.is_attached(document) => wrong(
                "attachment",
                "must name a file of the ticket: nothing else counts as this document",
                "该资料须以工单附件形式提交",
            ),
            None | Some(Some(AttachmentState::Stored)) => Ok(()),
            Some(None) => wrong("attachment", "is no file of the ticket", "工单上没有此附件"),
            Some(Some(AttachmentState::Withdrawn)) => {
                wrong("attachment", "was withdrawn", "该附件已撤回")
            }
            Some(Some(AttachmentState::Refused)) => {
                wrong("attachment", "was refused: there are no bytes of it", "该附件已被拒收")
            }
        }
    }

    fn inspection(
        &self,
        process: &mut Process,
        stage: &str,
        outcome: String,
        finding: String,
    ) -> Result<(), ProcessRefusal> {
        let StepTaken { by, at } = self.taken(process);
        let (stage, run) = self.own(process, stage)?;
        let known =
            stage.inspections.as_ref().is_some_and(|rules| rules.outcomes.contains_key(&outcome));
        if !known {
            return wrong("outcome", "is none that the stage knows", "该环节没有此检查结果");
        }
        self.open(run)?;
        match run.missing_inspection(stage) {
            None => return self.lacks(NeedKind::NoInspection, &run.stage),
            Some(need) if need.kind == NeedKind::InspectionsExhausted => {
                return self.lacks_all(vec![need]);
            }
            Some(_) => {}
        }
        run.record.inspections.push(InspectionRecord { outcome, finding, by, at });
        Ok(())
    }

    fn answer(
        &self,
        process: &mut Process,
        stage: &str,
        said: Option<Said>,
    ) -> Result<(), ProcessRefusal> {
        let StepTaken { by, at } = self.taken(process);
        let (stage, run) = self.own(process, stage)?;
        if !stage.answer_promised {
            return wrong("stage", "promises no written answer", "该环节不需要书面答复");
        }
        let Some(said) = said else {
            return wrong("message", "is no message on the ticket", "工单上没有此消息");
        };
        if said.sent_at < run.started_at {
            return wrong("message", "was sent before the stage began", "该消息早于本环节开始");
        }
        if said.is_void {
            return wrong(
                "message",
                "was given up and did not reach the customer",
                "该消息未能送达客户",
            );
        }
        run.record.answer = Some(AnswerRecord { message: said.message, by, at });
        Ok(())
    }

    fn submit(&self, process: &mut Process, stage: &str) -> Result<(), ProcessRefusal> {
        let StepTaken { by, at } = self.taken(process);
        let route = self.template.route(&process.agreed).map(str::to_owned);
        let route = route.as_deref();
        let (stage, run) = self.own(process, stage)?;
        if stage.approvals(route).next().is_none() {
            return wrong("stage", "asks for no approval", "该环节不需要审批");
        }
        self.open(run)?;
        let missing = run.missing_work(stage, route);
        if !missing.is_empty() {
            return self.lacks_all(missing);
        }
        if run.record.submissions.len() >= MAX_SUBMISSIONS {
            return self.lacks(NeedKind::Room, &run.stage);
        }
        run.record.submissions.push(Submission { by, at, approvals: Vec::new(), end: None });
        Ok(())
    }

    /// The run with the submission that waits, for somebody who may judge it; and the first approval that misses one of its
    /// roles, the choosiest first so that nobody takes the place of another.
    fn judged<'p>(
        &self,
        process: &'p mut Process,
        code: &str,
    ) -> Result<(&'p mut Submission, usize, Vec<String>), ProcessRefusal> {
        let route = self.template.route(&process.agreed).map(str::to_owned);
        let (stage, place) = self.running(process, code)?;
        let rules: Vec<&Approval> = stage.approvals(route.as_deref()).collect();
        let of_role = rules.iter().any(|rule| self.actor.has_one_of(&rule.roles));
        self.duty(of_role, ProcessDuty::Role)?;
        let Some(run) = process.runs.get_mut(place) else {
            return self.lacks(NeedKind::RunningStage, code);
        };
        let waits = run.submission().is_some_and(|submission| {
            rules.iter().enumerate().any(|(rule, asked)| submission.given(rule) < asked.count)
        });
        if !waits {
            return self.lacks(NeedKind::PendingSubmission, code);
        }
        let own = run.contributors().contains(&self.actor.subject);
        self.duty(!own, ProcessDuty::NotSubmitter)?;
        let Some(submission) = run.record.submissions.last_mut() else {
            return self.lacks(NeedKind::PendingSubmission, code);
        };
        let open =
            rules.iter().enumerate().filter(|(rule, asked)| submission.given(*rule) < asked.count);
        let mine = open.filter(|(_, asked)| self.actor.has_one_of(&asked.roles));
        match mine.min_by_key(|(rule, asked)| (asked.roles.len(), *rule)) {
            Some((rule, asked)) => Ok((submission, rule, asked.roles.clone())),
            None => {
                Err(ProcessRefusal::NotYours { command: self.command, duty: ProcessDuty::Role })
            }
        }
    }

    fn approve(
        &self,
        process: &mut Process,
        stage: &str,
        comment: String,
    ) -> Result<(), ProcessRefusal> {
        let StepTaken { by, at } = self.taken(process);
        let (submission, rule, roles) = self.judged(process, stage)?;
        let again = submission.approvals.iter().any(|approval| approval.by == by);
        self.duty(!again, ProcessDuty::NotApprover)?;
        submission.approvals.push(ApprovalRecord { rule, by, at, comment, roles });
        Ok(())
    }

    fn reject(
        &self,
        process: &mut Process,
        stage: &str,
        reason: String,
    ) -> Result<(), ProcessRefusal> {
        let StepTaken { by, at } = self.taken(process);
        let (submission, ..) = self.judged(process, stage)?;
        submission.end = Some(SubmissionEnd::Rejected { by, at, reason });
        Ok(())
    }

    fn complete(&self, process: &mut Process, stage: &str) -> Result<(), ProcessRefusal> {
        let taken = self.taken(process);
        let (stage, place) = self.running(process, stage)?;
        self.duty(self.actor.has_one_of(&stage.roles), ProcessDuty::Role)?;
        let missing = process.runs.get(place).map(|run| process.missing(self.template, run));
        match missing {
            Some(missing) if missing.is_empty() => {}
            Some(missing) => return self.lacks_all(missing),
            None => return self.lacks(NeedKind::RunningStage, &stage.code),
        }
        let clock = stage.clock(self.template.route(&process.agreed));
        if let Some(run) = process.runs.get_mut(place) {
            // Completed while it stood still, it was completed in time.
            run.resume(clock, self.calendar, taken.at).map_err(no_deadline)?;
            run.end(RunState::Completed, &taken);
        }
        process.advance(self.template, self.calendar, &taken.by).map_err(no_deadline)
    }

    fn request_change(
        &self,
        process: &mut Process,
        values: Vec<(String, Value)>,
        reason: String,
    ) -> Result<(), ProcessRefusal> {
        let values = self.template.agree(values, true).map_err(ProcessRefusal::Fields)?;
        if process.pending_change().is_some() {
            return self.lacks(NeedKind::ChangeDecision, "process");
        }
        if is_agreed(process, &values) {
            return self.lacks(NeedKind::NewValues, "process");
        }
        if process.changes.len() >= MAX_CHANGES {
            return self.lacks(NeedKind::Room, "process");
        }
        let requested = self.taken(process);
        let outcome = ChangeOutcome::Pending;
        process.changes.push(ProcessChange { values, reason, requested, outcome, decided: None });
        Ok(())
    }

    fn decide_change(
        &self,
        process: &mut Process,
        agreed: bool,
        decision: String,
    ) -> Result<(), ProcessRefusal> {
        let taken = self.taken(process);
        self.duty(self.actor.has_one_of(&self.template.change_deciders), ProcessDuty::Role)?;
        let waits = |change: &&mut ProcessChange| change.outcome == ChangeOutcome::Pending;
        let Some(change) = process.changes.last_mut().filter(waits) else {
            return self.lacks(NeedKind::PendingChange, "process");
        };
        self.duty(change.requested.by != taken.by, ProcessDuty::NotRequester)?;
        change.outcome = if agreed { ChangeOutcome::Approved } else { ChangeOutcome::Rejected };
        change.decided = Some((decision, taken.clone()));
        if agreed {
            let values = change.values.clone();
            process.agree(self.template, values, &taken.by);
            process.advance(self.template, self.calendar, &taken.by).map_err(no_deadline)?;
        }
        Ok(())
    }
}

fn is_agreed(process: &Process, values: &Agreed) -> bool {
    values.iter().all(|(code, value)| process.agreed.get(code) == Some(value))
}

fn wrong<T>(path: &str, en: &str, zh: &str) -> Result<T, ProcessRefusal> {
    let faults: Vec<Fault> = vec![fault(path, en, zh)];
    Err(ProcessRefusal::Fields(faults))
}
