//! Clocks, and how their deadlines came about, as others see them.

use kefu_api::policy::v1 as policy_pb;
use kefu_api::policy::v1::target::Target as TargetKind;
use kefu_api::ticket::v1 as pb;
use kefu_calendar::{Label, Reason, Segment, Target};
use kefu_policy::decode::to_localized_text;
use uuid::Uuid;

use super::{number, optional_time, policy, time};
use crate::domain::{
    Announcement, Cause, ClockEntry, ClockKind, ClockState, DeadlineExplanation, Revision, Step,
    Text,
};

/// The most segments that an explanation lists.
pub(super) const MAX_SEGMENTS: usize = 2_000;

/// The resource. `judged_by` is the policy version that judges the ticket.
pub fn resource(clock: &ClockEntry, judged_by: Uuid) -> pb::Clock {
    let (paused, pause_time) = clock.pauses();
    pb::Clock {
        rule: clock.rule.to_string(),
        kind: kind(clock.kind).into(),
        cycle: number(clock.cycle),
        state: match clock.state() {
            ClockState::Running => pb::ClockState::Running,
            ClockState::Paused => pb::ClockState::Paused,
            ClockState::Met => pb::ClockState::Met,
            ClockState::Breached => pb::ClockState::Breached,
            ClockState::Cancelled => pb::ClockState::Cancelled,
            ClockState::Merged => pb::ClockState::Merged,
        }
        .into(),
        start_time: time(clock.timeline.started()),
        due_time: optional_time(clock.due),
        fulfill_time: optional_time(clock.fulfilled.as_ref().map(|fulfilled| fulfilled.at)),
        breach_time: optional_time(clock.breached_at),
        breach_answerable: clock.answerable.as_deref().unwrap_or_default().to_owned(),
        fulfiller: clock.fulfilled.as_ref().map(|done| done.by.to_string()).unwrap_or_default(),
        fulfill_record_time: optional_time(clock.fulfilled.as_ref().map(|done| done.recorded_at)),
        round: number(clock.round),
        paused_duration: prost_types::Duration::try_from(paused).ok(),
        pause_time: optional_time(pause_time),
        announcements: clock.announcements.iter().map(announcement).collect(),
        revisions: clock.revisions.iter().map(revision).collect(),
        steps: clock.steps.iter().map(step).collect(),
        policy_version: policy::name(clock.terms.version().unwrap_or(judged_by)),
    }
}

fn announcement(announcement: &Announcement) -> pb::DelayAnnouncement {
    pb::DelayAnnouncement {
        announce_time: time(announcement.at),
        new_due_time: time(announcement.new_due),
        reason: announcement.reason.clone(),
        announced_by: announcement.by.to_string(),
    }
}

fn revision(revision: &Revision) -> pb::ClockRevision {
    let severities = |cause| match cause {
        Cause::Severity { from, to } => (from.number().into(), to.number().into()),
        Cause::Policy { .. } => (0, 0),
    };
    let versions = |cause| match cause {
        Cause::Severity { .. } => (String::new(), String::new()),
        Cause::Policy { from, to } => (policy::name(from), policy::name(to)),
    };
    let (from_severity, to_severity) = severities(revision.cause);
    let (from_policy_version, to_policy_version) = versions(revision.cause);
    pb::ClockRevision {
        revise_time: time(revision.at),
        revised_by: revision.by.to_string(),
        from_severity,
        to_severity,
        from_policy_version,
        to_policy_version,
        from_rule: revision.from_rule.to_string(),
        previous_due_time: optional_time(revision.previous_due),
    }
}

pub(super) fn step(step: &Step) -> pb::ClockStep {
    pb::ClockStep {
        step: step.name.to_string(),
        due_time: optional_time(step.at),
        take_time: optional_time(step.taken_at),
    }
}

pub(crate) fn kind(kind: ClockKind) -> pb::ClockKind {
    match kind {
        ClockKind::FirstResponse => pb::ClockKind::FirstResponse,
        ClockKind::Resolution => pb::ClockKind::Resolution,
        ClockKind::ResultFeedback => pb::ClockKind::ResultFeedback,
        ClockKind::CallBack => pb::ClockKind::CallBack,
        ClockKind::ProgressUpdate => pb::ClockKind::ProgressUpdate,
    }
}

/// How a deadline came about.
pub fn explanation(
    clock: &ClockEntry,
    judged_by: Uuid,
    explanation: &DeadlineExplanation,
) -> pb::DeadlineExplanation {
    let segments = &explanation.segments;
    pb::DeadlineExplanation {
        clock: Some(resource(clock, judged_by)),
        target: Some(target(explanation.target)),
        policy_version: policy::name(clock.terms.version().unwrap_or(judged_by)),
        stretches: explanation
            .stretches
            .iter()
            .map(|stretch| pb::CalendarStretch {
                policy_version: policy::name(stretch.version.unwrap_or(judged_by)),
                time_zone: stretch.time_zone.clone(),
                end_time: time(stretch.until),
            })
            .collect(),
        time_zone: explanation.time_zone.clone(),
        segments: segments.iter().take(MAX_SEGMENTS).map(segment).collect(),
        truncated: segments.len() > MAX_SEGMENTS,
        summary: Some(to_localized_text(&explanation.summary)),
    }
}

pub(super) fn target(target: Target) -> policy_pb::Target {
    // A policy's promise is at most 366 days long, so a duration always fits.
    let duration = |time| prost_types::Duration::try_from(time).unwrap_or_default();
    let target = match target {
        Target::Elapsed(time) => TargetKind::Elapsed(duration(time)),
        Target::Business(time) => TargetKind::Business(duration(time.amount())),
        Target::WorkingDays(days) => TargetKind::WorkingDays(number(days)),
    };
    policy_pb::Target { target: Some(target) }
}

pub(super) fn segment(segment: &Segment) -> pb::DeadlineSegment {
    let (reason, label) = reason(&segment.reason);
    pb::DeadlineSegment {
        start_time: time(segment.from),
        end_time: time(segment.to),
        counted: !segment.counted.is_zero(),
        reason: reason.into(),
        label: label.map(|label| to_localized_text(&label)),
    }
}

fn reason(reason: &Reason) -> (pb::SegmentReason, Option<Label>) {
    match reason {
        Reason::Elapsed => (pb::SegmentReason::Elapsed, None),
        Reason::WorkingHours => (pb::SegmentReason::WorkingHours, None),
        Reason::SpecialHours(label) | Reason::MakeUpDay(label) => {
            (pb::SegmentReason::MakeUpDay, Some(label.clone()))
        }
        Reason::OffHours => (pb::SegmentReason::OutsideHours, None),
        Reason::DayOff => (pb::SegmentReason::ClosedDay, None),
        Reason::Holiday(label) => (pb::SegmentReason::Holiday, Some(label.clone())),
        // Whoever paused it gave its reason in the language that he writes.
        Reason::Pause(reason) => {
            (pb::SegmentReason::Paused, Some(Text::new(reason.as_str(), reason.as_str())))
        }
    }
}
