//! What triggers did, as others see it (T-26).

use kefu_api::ticket::v1 as pb;

use super::{number, ticket, time};
use crate::domain::TriggerOutcome;
use crate::store::trigger::Run;

/// One run.
pub(crate) fn run(run: &Run) -> pb::TriggerRun {
    pb::TriggerRun {
        trigger: run.rule.clone(),
        ticket: ticket::name(run.ticket),
        event: run.event.to_string(),
        root_event: run.root_event.to_string(),
        depth: number(run.depth),
        outcome: match run.outcome {
            TriggerOutcome::Acted => pb::TriggerOutcome::Acted,
            TriggerOutcome::Refused => pb::TriggerOutcome::Refused,
            TriggerOutcome::TooDeep => pb::TriggerOutcome::TooDeep,
            TriggerOutcome::TooOften => pb::TriggerOutcome::TooOften,
            TriggerOutcome::Failed => pb::TriggerOutcome::Failed,
        }
        .into(),
        detail: run.detail.clone(),
        run_time: time(run.at),
        org_unit: run.org_unit.clone(),
    }
}
