//! Suggestions as others see them (T-21).

use kefu_api::ticket::v1 as pb;
use kefu_journal::PublicEvent;
use kefu_rpc::Etag;
use uuid::Uuid;

use super::{optional_time, ticket, time};
use crate::domain::{Suggestion, SuggestionState};

/// `suggestions/{uuid}`.
pub fn name(id: Uuid) -> String {
    format!("suggestions/{id}")
}

/// The resource.
pub fn resource(suggestion: &Suggestion) -> pb::Suggestion {
    pb::Suggestion {
        name: name(suggestion.id),
        org_unit: suggestion.org_unit.clone(),
        tickets: suggestion.tickets.iter().copied().map(ticket::name).collect(),
        title: suggestion.title.clone(),
        text: suggestion.body.clone(),
        proposer: suggestion.proposer.to_string(),
        decision_maker: suggestion.decision_maker.to_string(),
        state: state(suggestion.state()).into(),
        due_time: optional_time(suggestion.due),
        decisions: suggestion
            .decisions
            .iter()
            .map(|decision| pb::SuggestionDecision {
                outcome: state(decision.outcome).into(),
                reason: decision.reason.clone(),
                defer_until_time: optional_time(decision.until),
                decider: decision.decided.by.to_string(),
                decide_time: time(decision.decided.at),
            })
            .collect(),
        remind_time: optional_time(suggestion.reminded),
        create_time: time(suggestion.created_at),
        update_time: time(suggestion.updated_at),
        etag: Etag::of_revision(suggestion.revision).to_string(),
    }
}

pub(super) fn state(state: SuggestionState) -> pb::SuggestionState {
    match state {
        SuggestionState::Submitted => pb::SuggestionState::Submitted,
        SuggestionState::Accepted => pb::SuggestionState::Accepted,
        SuggestionState::Rejected => pb::SuggestionState::Rejected,
        SuggestionState::Deferred => pb::SuggestionState::Deferred,
    }
}

/// That it went up.
pub(crate) fn submitted(suggestion: &pb::Suggestion) -> PublicEvent {
    PublicEvent::of(&pb::SuggestionSubmitted { suggestion: Some(suggestion.clone()) })
}

/// That it came back.
pub(crate) fn decided(suggestion: &pb::Suggestion) -> PublicEvent {
    PublicEvent::of(&pb::SuggestionDecided { suggestion: Some(suggestion.clone()) })
}

/// That a decision is due and has not come.
pub(crate) fn reminded(suggestion: &pb::Suggestion) -> PublicEvent {
    PublicEvent::of(&pb::SuggestionReminded { suggestion: Some(suggestion.clone()) })
}
