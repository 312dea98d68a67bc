//! Promises that were computed anew, as others see it.

use kefu_api::ticket::v1 as pb;
use kefu_policy::decode::to_localized_text;
use uuid::Uuid;

use super::{clock, optional_time, policy, ticket, time};
use crate::domain::{Comparison, Outcome, RecomputeCause};
use crate::store::policy_rollout::RolloutRow;

/// Why promises were computed anew.
pub(crate) fn cause(cause: RecomputeCause) -> pb::RecomputeCause {
    match cause {
        RecomputeCause::Manager => pb::RecomputeCause::Manager,
        RecomputeCause::NewVersion => pb::RecomputeCause::NewVersion,
        RecomputeCause::Transfer => pb::RecomputeCause::Transfer,
    }
}

/// A promise before and after, of a ticket that `judged_by` judges.
pub(crate) fn comparison(comparison: &Comparison, judged_by: Uuid) -> pb::ClockComparison {
    pb::ClockComparison {
        outcome: match comparison.outcome {
            Outcome::Kept => pb::ClockOutcome::Kept,
            Outcome::TakenUp => pb::ClockOutcome::TakenUp,
            Outcome::Sooner => pb::ClockOutcome::Sooner,
            Outcome::Later => pb::ClockOutcome::Later,
            Outcome::Overdue => pb::ClockOutcome::Overdue,
            Outcome::Begun => pb::ClockOutcome::Begun,
        }
        .into(),
        before: comparison.before.as_ref().map(|entry| clock::resource(entry, judged_by)),
        after: Some(clock::resource(&comparison.after, judged_by)),
        why: Some(to_localized_text(&comparison.outcome.why())),
    }
}

/// How far a rollout is.
pub(crate) fn rollout(row: &RolloutRow) -> pb::PolicyRollout {
    pb::PolicyRollout {
        policy_version: policy::name(row.version_id),
        org_unit: row.org_unit.clone(),
        effective_time: time(row.effective_at.to_jiff()),
        start_time: optional_time(row.started_at.map(|at| at.to_jiff())),
        finish_time: optional_time(row.finished_at.map(|at| at.to_jiff())),
        open_tickets: row.seen,
        recomputed_tickets: row.recomputed,
        overdue_tickets: row.overdue,
        failed_tickets: row.failed.iter().map(|id| ticket::name(*id)).collect(),
    }
}
