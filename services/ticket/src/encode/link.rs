//! Merges, parents, children and what goes to them, as others see it (T-04).

use kefu_api::ticket::v1 as pb;
use kefu_journal::PublicEvent;
use kefu_postgres::StoreError;
use uuid::Uuid;

use super::{clock, number, optional_time, ticket, time};
use crate::domain::{
    Likely, LikelyReason, LinkChange, MassOutcome, MassPurpose, State, TakenPromise, Ticket,
};
use crate::store::mass_answer::{MassAnswerRow, ResultRow};
use crate::store::merge::MergeRow;

/// While it is merged; where the chain ends is known where it can be looked up.
pub(super) fn merge_of(merged: &Ticket) -> Option<pb::TicketMerge> {
    let State::Merged(merge) = &merged.state else { return None };
    Some(pb::TicketMerge {
        source: ticket::name(merged.id),
        into: ticket::name(merge.into),
        reason: merge.reason.clone(),
        merged_by: merge.by.to_string(),
        merge_time: time(merge.at),
        ..pb::TicketMerge::default()
    })
}

/// A merge into a ticket.
pub(crate) fn merge(row: &MergeRow) -> pb::TicketMerge {
    pb::TicketMerge {
        source: ticket::name(row.source_id),
        into: ticket::name(row.target_id),
        survivor: String::new(),
        reason: row.reason.clone(),
        merged_by: row.merged_by.clone(),
        merge_time: time(row.merged_at.to_jiff()),
        unmerge_time: optional_time(row.undone_at.map(jiff_sqlx::Timestamp::to_jiff)),
        unmerged_by: row.undone_by.clone().unwrap_or_default(),
        unmerge_reason: row.undo_reason.clone().unwrap_or_default(),
    }
}

/// What others learn of a change that made `changed` what it is.
pub(super) fn event(changed: &Ticket, what: &LinkChange) -> Option<PublicEvent> {
    let summary = Some(ticket::summary(changed));
    Some(match what {
        LinkChange::Merged { .. } => {
            PublicEvent::of(&pb::TicketMerged { ticket: summary, merge: merge_of(changed) })
        }
        LinkChange::Unmerged { from, reason, .. } => PublicEvent::of(&pb::TicketUnmerged {
            ticket: summary,
            from: ticket::name(*from),
            reason: reason.clone(),
        }),
        LinkChange::Taken { source, number, promises, .. } => {
            PublicEvent::of(&pb::TicketDuplicateTaken {
                ticket: summary,
                source: ticket::name(*source),
                source_number: number.clone(),
                promises: promises.iter().filter_map(|taken| promise(changed, taken)).collect(),
            })
        }
        LinkChange::Returned { source, .. } => PublicEvent::of(&pb::TicketDuplicateReturned {
            ticket: summary,
            source: ticket::name(*source),
        }),
        LinkChange::Linked { parent, missed } => PublicEvent::of(&pb::TicketLinked {
            ticket: summary,
            parent: ticket::name(*parent),
            missed_answers: number(*missed),
        }),
        LinkChange::Unlinked { parent, reason } => PublicEvent::of(&pb::TicketUnlinked {
            ticket: summary,
            parent: ticket::name(*parent),
            reason: reason.clone(),
        }),
        // Its children tell.
        LinkChange::Leads => return None,
    })
}

fn promise(of: &Ticket, taken: &TakenPromise) -> Option<pb::Clock> {
    let named = |clock: &&crate::domain::ClockEntry| {
        (clock.cycle, clock.round) == (taken.cycle, taken.round) && clock.rule == taken.rule
    };
    of.clocks.iter().find(named).map(|clock| clock::resource(clock, of.policy_version))
}

/// A likely duplicate.
pub(crate) fn duplicate(found: &Ticket, likely: &Likely) -> pb::LikelyDuplicate {
    pb::LikelyDuplicate {
        ticket: ticket::name(found.id),
        number: found.number.clone(),
        subject: found.details.subject.clone(),
        org_unit: found.org_unit.clone(),
        score: number(likely.score),
        reasons: likely.reasons.iter().map(|reason| reason_of(*reason).into()).collect(),
        likeness_percent: number(likely.likeness),
        create_time: time(found.created_at),
    }
}

fn reason_of(reason: LikelyReason) -> pb::DuplicateReason {
    match reason {
        LikelyReason::Text => pb::DuplicateReason::Text,
        LikelyReason::Contact => pb::DuplicateReason::Contact,
        LikelyReason::Customer => pb::DuplicateReason::Customer,
        LikelyReason::Product => pb::DuplicateReason::Product,
    }
}

/// `massAnswers/{uuid}`.
pub(crate) fn name(id: Uuid) -> String {
    format!("massAnswers/{id}")
}

/// What goes from a parent to its children.
pub(crate) fn mass_answer(row: &MassAnswerRow) -> Result<pb::MassAnswer, StoreError> {
    let purpose = match row.purpose()? {
        MassPurpose::Answer => pb::MassAnswerPurpose::Answer,
        MassPurpose::Result => pb::MassAnswerPurpose::Result,
        MassPurpose::Solution => pb::MassAnswerPurpose::Solution,
    };
    Ok(pb::MassAnswer {
        name: name(row.id),
        parent: ticket::name(row.parent_id),
        number: row.number,
        purpose: purpose.into(),
        body: row.body.clone(),
        personal: row.personal,
        answered_by: row.answered_by.clone(),
        create_time: time(row.created_at.to_jiff()),
        reached_count: row.reached,
        unreached_count: row.unreached,
        finish_time: optional_time(row.finished_at.map(jiff_sqlx::Timestamp::to_jiff)),
    })
}

/// What became of it on a child.
pub(crate) fn result(row: &ResultRow) -> Result<pb::MassAnswerResult, StoreError> {
    let outcome = match row.outcome()? {
        MassOutcome::Reached => pb::MassAnswerOutcome::Reached,
        MassOutcome::Ended => pb::MassAnswerOutcome::Ended,
        MassOutcome::NoRecipient => pb::MassAnswerOutcome::NoRecipient,
        MassOutcome::Refused => pb::MassAnswerOutcome::Refused,
        MassOutcome::Offered => pb::MassAnswerOutcome::Offered,
        MassOutcome::Failed => pb::MassAnswerOutcome::Failed,
    };
    Ok(pb::MassAnswerResult {
        ticket: ticket::name(row.child_id),
        outcome: outcome.into(),
        detail: row.detail.clone(),
        settle_time: time(row.settled_at.to_jiff()),
    })
}
