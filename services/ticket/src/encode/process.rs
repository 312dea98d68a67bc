//! Staged processes as others see them (T-22).

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::process_attribute_value::Value as Told;
use kefu_journal::PublicEvent;
use kefu_policy::decode::to_localized_text;
use kefu_rpc::Etag;
use uuid::Uuid;

use super::clock::{MAX_SEGMENTS, segment, step, target};
use super::{attachment, number, optional_time, policy, ticket, time, violation};
use crate::domain::{
    Agreed, ChangeOutcome, DeadlineExplanation, DocumentRecord, InspectionRecord, NeedKind,
    Process, ProcessChange, ProcessNeed, ProcessState, ProcessTemplate, ReceiverLevel, RunState,
    Stage, StageRun, Submission, SubmissionEnd, Value,
};

/// `processes/{uuid}`.
pub fn name(id: Uuid) -> String {
    format!("processes/{id}")
}

/// The resource.
pub fn resource(process: &Process, template: &ProcessTemplate) -> pb::Process {
    let route = template.route(&process.agreed);
    let runs = process.runs.iter().enumerate();
    let mut stages: Vec<_> =
        runs.map(|(place, found)| run(process, template, found, place)).collect();
    if process.end.is_none() {
        let ahead = template.stages().iter().filter(|stage| stage.applies(route));
        let ahead = ahead.filter(|stage| process.counting(&stage.code).is_none());
        stages.extend(ahead.map(pending));
    }
    let (end, held) = (process.end.as_ref(), process.held.as_ref());
    pb::Process {
        name: name(process.id),
        ticket: ticket::name(process.ticket),
        org_unit: process.org_unit.clone(),
        policy_version: policy::name(process.policy_version),
        template: process.template.clone(),
        title: Some(to_localized_text(template.title())),
        attributes: values(&process.agreed, template),
        route: route.unwrap_or_default().to_owned(),
        state: match process.state() {
            ProcessState::Running => pb::ProcessState::Running,
            ProcessState::Completed => pb::ProcessState::Completed,
            ProcessState::Cancelled => pb::ProcessState::Cancelled,
        }
        .into(),
        stages,
        changes: process
            .changes
            .iter()
            .zip(1..)
            .map(|(found, at)| change(found, at, template))
            .collect(),
        starter: process.started_by.to_string(),
        create_time: time(process.created_at),
        update_time: time(process.updated_at),
        end_time: optional_time(end.map(|end| end.taken.at)),
        cancel_reason: end.and_then(|end| end.cancelled.clone()).unwrap_or_default(),
        due_time: optional_time(process.due()),
        pause_time: optional_time(held.map(|held| held.since)),
        pause_reason: held.map(|held| held.reason.clone()).unwrap_or_default(),
        etag: Etag::of_revision(process.revision).to_string(),
    }
}

/// Counted from 1.
fn count(place: usize) -> i32 {
    number(u32::try_from(place).unwrap_or(u32::MAX))
}

/// In the order of the template.
fn values(agreed: &Agreed, template: &ProcessTemplate) -> Vec<pb::ProcessAttributeValue> {
    let known = template.attributes().iter();
    let values = known.filter_map(|known| Some((&known.code, agreed.get(&known.code)?)));
    let told = |value: &Value| match value {
        Value::Number(number) => Told::Number(number.get()),
        Value::Flag(flag) => Told::Flag(*flag),
        Value::Choice(choice) => Told::Choice(choice.clone()),
    };
    let told = values.map(|(attribute, value)| pb::ProcessAttributeValue {
        attribute: attribute.clone(),
        value: Some(told(value)),
    });
    told.collect()
}

fn pending(stage: &Stage) -> pb::ProcessStageRun {
    pb::ProcessStageRun {
        stage: stage.code.clone(),
        title: Some(to_localized_text(&stage.title)),
        state: pb::ProcessStageState::Pending.into(),
        ..pb::ProcessStageRun::default()
    }
}

fn run(
    process: &Process,
    template: &ProcessTemplate,
    run: &StageRun,
    place: usize,
) -> pb::ProcessStageRun {
    let earlier = process.runs.iter().take(place).filter(|other| other.stage == run.stage);
    let stage = template.stage(&run.stage).map(|(_, stage)| stage);
    let missing = match run.state {
        RunState::Running => process.missing(template, run),
        _ => Vec::new(),
    };
    // Only what is under way still waits: what was completed had all approvals.
    let pending = missing.iter().any(|need| need.kind == NeedKind::Approval);
    let ended = run.ended.as_ref();
    let inspections = run.record.inspections.iter().enumerate();
    let record = &run.record;
    let (paused, pause_time) = run.paused();
    pb::ProcessStageRun {
        stage: run.stage.clone(),
        title: stage.map(|stage| to_localized_text(&stage.title)),
        state: match run.state {
            RunState::Running => pb::ProcessStageState::Running,
            RunState::Completed => pb::ProcessStageState::Completed,
            RunState::Superseded => pb::ProcessStageState::Superseded,
            RunState::Cancelled => pb::ProcessStageState::Cancelled,
        }
        .into(),
        run: count(earlier.count() + 1),
        start_time: time(run.started_at),
        due_time: optional_time(run.due),
        warn_time: optional_time(run.warned_at),
        breach_time: optional_time(run.breached_at),
        end_time: optional_time(ended.map(|ended| ended.at)),
        completer: match run.state {
            RunState::Completed => ended.map(|ended| ended.by.to_string()).unwrap_or_default(),
            _ => String::new(),
        },
        steps: run.steps.iter().map(step).collect(),
        paused_duration: prost_types::Duration::try_from(paused).ok(),
        pause_time: optional_time(pause_time),
        documents: record.documents.iter().map(|found| document(process.ticket, found)).collect(),
        submissions: record.submissions.iter().map(|found| submission(found, pending)).collect(),
        inspections: inspections
            .map(|(place, found)| inspection(found, place, &record.inspections, stage))
            .collect(),
        answer: record.answer.as_ref().map(|answer| pb::ProcessAnswerRecord {
            message: format!("{}/messages/{}", ticket::name(process.ticket), answer.message),
            recorder: answer.by.to_string(),
            record_time: time(answer.at),
        }),
        next_inspection: stage
            .filter(|_| run.state == RunState::Running)
            .and_then(|stage| run.next_inspection(stage))
            .map(to_localized_text),
        missing: missing.iter().map(need).collect(),
    }
}

fn document(of: Uuid, document: &DocumentRecord) -> pb::ProcessDocumentRecord {
    let attachment = document.attachment.map(|id| attachment::name(of, id));
    pb::ProcessDocumentRecord {
        document: document.document.clone(),
        reference: document.reference.clone(),
        recorder: document.by.to_string(),
        record_time: time(document.at),
        attachment: attachment.unwrap_or_default(),
        withdraw_time: optional_time(document.withdrawn_at),
    }
}

fn need(need: &ProcessNeed) -> pb::ProcessNeed {
    pb::ProcessNeed {
        code: need.kind.code().to_uppercase(),
        subject: need.subject.clone(),
        description: Some(to_localized_text(&need.words())),
    }
}

/// `pending` where approvals are missing.
fn submission(submission: &Submission, pending: bool) -> pb::ProcessSubmission {
    let mut told = pb::ProcessSubmission {
        submitter: submission.by.to_string(),
        submit_time: time(submission.at),
        approvals: submission
            .approvals
            .iter()
            .map(|approval| pb::ProcessApprovalRecord {
                approver: approval.by.to_string(),
                approve_time: time(approval.at),
                comment: approval.comment.clone(),
                roles: approval.roles.clone(),
            })
            .collect(),
        ..pb::ProcessSubmission::default()
    };
    let state = match &submission.end {
        None if pending => pb::ProcessSubmissionState::Pending,
        None => pb::ProcessSubmissionState::Approved,
        Some(SubmissionEnd::Rejected { by, at, reason }) => {
            told.rejecter = by.to_string();
            told.reject_reason.clone_from(reason);
            told.end_time = time(*at);
            pb::ProcessSubmissionState::Rejected
        }
        Some(SubmissionEnd::Withdrawn { at }) => {
            told.end_time = time(*at);
            pb::ProcessSubmissionState::Withdrawn
        }
    };
    told.set_state(state);
    told
}

fn inspection(
    inspection: &InspectionRecord,
    place: usize,
    all: &[InspectionRecord],
    stage: Option<&Stage>,
) -> pb::ProcessInspectionRecord {
    let outcomes = stage.and_then(|stage| stage.inspections.as_ref()).map(|rules| &rules.outcomes);
    let before = place.checked_sub(1).and_then(|before| all.get(before));
    let next = before.zip(outcomes).and_then(|(before, outcomes)| outcomes.get(&before.outcome));
    pb::ProcessInspectionRecord {
        number: count(place + 1),
        title: next.and_then(|outcome| outcome.next.as_ref()).map(to_localized_text),
        outcome: inspection.outcome.clone(),
        finding: inspection.finding.clone(),
        inspector: inspection.by.to_string(),
        record_time: time(inspection.at),
    }
}

fn change(change: &ProcessChange, at: i32, template: &ProcessTemplate) -> pb::ProcessChange {
    let decided = change.decided.as_ref();
    pb::ProcessChange {
        number: at,
        attributes: values(&change.values, template),
        reason: change.reason.clone(),
        requester: change.requested.by.to_string(),
        request_time: time(change.requested.at),
        state: match change.outcome {
            ChangeOutcome::Pending => pb::ProcessChangeState::Pending,
            ChangeOutcome::Approved => pb::ProcessChangeState::Approved,
            ChangeOutcome::Rejected => pb::ProcessChangeState::Rejected,
            ChangeOutcome::Cancelled => pb::ProcessChangeState::Cancelled,
        }
        .into(),
        decision: decided.map(|(decision, _)| decision.clone()).unwrap_or_default(),
        decider: decided.map(|(_, taken)| taken.by.to_string()).unwrap_or_default(),
        decide_time: optional_time(decided.map(|(_, taken)| taken.at)),
    }
}

/// How a deadline came about.
pub(crate) fn deadline(
    (stage, explanation): &(String, DeadlineExplanation),
    policy_version: Uuid,
) -> pb::ProcessDeadline {
    let segments = &explanation.segments;
    let told = pb::DeadlineExplanation {
        clock: None,
        target: Some(target(explanation.target)),
        policy_version: policy::name(policy_version),
        stretches: Vec::new(),
        time_zone: explanation.time_zone.clone(),
        segments: segments.iter().take(MAX_SEGMENTS).map(segment).collect(),
        truncated: segments.len() > MAX_SEGMENTS,
        summary: Some(to_localized_text(&explanation.summary)),
    };
    pb::ProcessDeadline { stage: stage.clone(), explanation: Some(told) }
}

/// That a process was started, went on, changed or ended, and which stages began with it.
pub(crate) fn changed(process: &pb::Process, method: &str, begun: &[StageRun]) -> PublicEvent {
    let (process, method) = (Some(process.clone()), method.to_owned());
    let started_stages = begun.iter().map(|run| run.stage.clone()).collect();
    PublicEvent::of(&pb::ProcessChanged { process, method, started_stages })
}

/// That a deadline comes near.
pub(crate) fn warned(process: &pb::Process, stage: &str) -> PublicEvent {
    let (process, stage) = (Some(process.clone()), stage.to_owned());
    PublicEvent::of(&pb::ProcessStageWarned { process, stage })
}

/// That a deadline passed; which level is told, and to which the ticket was raised.
pub(crate) fn breached(
    process: &pb::Process,
    stage: &str,
    proposed: Option<Uuid>,
    (notify, raised): (Option<ReceiverLevel>, Option<ReceiverLevel>),
) -> PublicEvent {
    PublicEvent::of(&pb::ProcessStageBreached {
        process: Some(process.clone()),
        stage: stage.to_owned(),
        violation: proposed.map(violation::name).unwrap_or_default(),
        notify_level: level(notify),
        raised_to_level: level(raised),
    })
}

/// That a step of an escalation was taken.
pub(crate) fn escalated(
    process: &pb::Process,
    (stage, step): (&str, &str),
    (notify, raised): (Option<ReceiverLevel>, Option<ReceiverLevel>),
) -> PublicEvent {
    PublicEvent::of(&pb::ProcessStageEscalated {
        process: Some(process.clone()),
        stage: stage.to_owned(),
        step: step.to_owned(),
        notify_level: level(notify),
        raised_to_level: level(raised),
    })
}

/// 0 where there is none.
fn level(level: Option<ReceiverLevel>) -> i32 {
    level.map_or(0, |level| level.number().into())
}
