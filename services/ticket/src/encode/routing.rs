//! Why a ticket is where it is, as others see it (T-03).

use kefu_api::ticket::v1 as pb;
use kefu_postgres::StoreError;

use super::{team, time};
use crate::domain::{AssignCause, Candidate, Distribution, Look};
use crate::store::routing::StepRow;

pub(crate) fn cause(cause: AssignCause) -> pb::RoutingCause {
    match cause {
        AssignCause::Intake => pb::RoutingCause::Intake,
        AssignCause::Duty => pb::RoutingCause::Duty,
        AssignCause::Absence => pb::RoutingCause::Absence,
        AssignCause::Left => pb::RoutingCause::Left,
        AssignCause::Manual => pb::RoutingCause::Manual,
        AssignCause::Trigger => pb::RoutingCause::Trigger,
        AssignCause::Macro => pb::RoutingCause::Macro,
        AssignCause::Rerouted => pb::RoutingCause::Rerouted,
        AssignCause::Transfer => pb::RoutingCause::Transfer,
    }
}

pub(crate) fn distribution(by: Option<Distribution>) -> pb::Distribution {
    match by {
        None => pb::Distribution::Unspecified,
        Some(Distribution::LeastLoad) => pb::Distribution::LeastLoad,
        Some(Distribution::RoundRobin) => pb::Distribution::RoundRobin,
    }
}

/// A look at a rule.
pub(crate) fn look(look: &Look) -> pb::RuleLook {
    pb::RuleLook {
        rule: look.rule.to_string(),
        matched: look.unmet.is_empty(),
        unmet: look.unmet.iter().map(ToString::to_string).collect(),
    }
}

/// One decision.
pub(crate) fn step(row: &StepRow) -> Result<pb::RoutingStep, StoreError> {
    let look = |(rule, unmet): (String, Vec<String>)| pb::RuleLook {
        rule,
        matched: unmet.is_empty(),
        unmet,
    };
    Ok(pb::RoutingStep {
        decide_time: time(row.decided_at.to_jiff()),
        cause: cause(row.cause()?).into(),
        actor: row.actor.clone(),
        looks: row.looks()?.into_iter().map(look).collect(),
        rule: row.rule.clone().unwrap_or_default(),
        team: row.team_id.map(team::name).unwrap_or_default(),
        team_code: row.team_code.clone().unwrap_or_default(),
        distribution: distribution(row.distribution()?).into(),
        candidates: row.candidates()?.into_iter().map(candidate).collect(),
        owner: row.owner.clone().unwrap_or_default(),
        reason: row.reason.clone().unwrap_or_default(),
    })
}

pub(crate) fn candidate(candidate: Candidate) -> pb::RoutingCandidate {
    pb::RoutingCandidate {
        staff: candidate.staff.to_string(),
        stands_in_for: candidate.stands_for.as_deref().unwrap_or_default().to_owned(),
        open_tickets: candidate.open,
        turn: candidate.turn,
    }
}
