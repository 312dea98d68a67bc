//! Undoing a merge (T-04). The merged ticket stands where it stood; the survivor, and whatever that was merged into since, has
//! the promises and the marks that it would have without, unless they were kept, broken or ended meanwhile: see
//! [`reseat`](super::reseat).

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{
    change::{Change, What},
    clock::{ClockEffect, ClockEntry},
    link::{LinkChange, TakenPromise},
    merge::{moved, refused},
    policy::Policy,
    refusal::Refusal,
    required_field,
    reseat::{OtherMerge, Passed, Reseating},
    spoken::Undelivered,
    step::{Need, Step, StepRefusal},
    story::{Story, effect},
    terms::{Era, Issued},
    ticket::{State, Ticket},
    timers::{Until, settle},
    word::Actor,
};

const UNMERGE: &str = "UnmergeTicket";

const MERGED: Need = Need::new("merged", "the ticket is not merged", "工单未被合并");
const IN_TIME: Need = Need::new(
    "unmerge_limit",
    "the time in which the policy lets a merge be undone is over",
    "已超过制度允许撤销合并的期限",
);

/// A ticket of the chain of merges above the one that goes its own way.
#[derive(Clone, Debug)]
pub struct Above<'a> {
    /// The ticket.
    pub ticket: &'a Ticket,
    /// The policy that judges it, under its name.
    pub version: Arc<dyn Issued>,
    /// What it took over of the promises of the ticket below it in the chain.
    pub promises: &'a [TakenPromise],
    /// What else is merged into it.
    pub others: &'a [OtherMerge],
    /// The message that never left which it shows once the mark that came with the merged ticket is gone.
    pub lost: Option<Undelivered>,
}

/// What undoing a merge makes of the tickets.
#[derive(Clone, Debug, Default)]
pub struct Undone {
    /// Of the one that was merged.
    pub source: Vec<Change>,
    /// Of each of those above it, in their order; none where nothing changes.
    pub above: Vec<Vec<Change>>,
    /// What is taken over from now on of tickets that stay merged, where that is something else than before.
    pub taken: Vec<OtherMerge>,
}

/// Undoes a merge. What fell due meanwhile is broken as of its deadline. Where a survivor has ended or begun a new cycle, its
/// promises stay what they are.
///
/// # Errors
/// If it is not merged, or the policy's time for that is over.
pub fn unmerge(
    (source, policy): (&Ticket, &Policy),
    above: &[Above<'_>],
    reason: String,
    actor: &Actor,
    now: Timestamp,
) -> Result<Undone, StepRefusal> {
    let step = Step { subject: "ticket", state: source.state.name().code(), command: UNMERGE };
    let (State::Merged(merged), Some(first)) = (&source.state, above.first()) else {
        return step.missing(MERGED);
    };
    // One moment for all, which lies before nobody's last change.
    let changed = above.iter().map(|above| above.ticket.updated_at);
    let now = changed.chain([source.updated_at]).fold(now, Ord::max);
    let limit = policy
        .links()
        .unmerge_within
        .and_then(|limit| merged.at.checked_add(SignedDuration::try_from(limit).ok()?).ok());
    if limit.is_some_and(|limit| now > limit) {
        return step.missing(IN_TIME);
    }
    let mut back = Story::new(source, policy, actor, now);
    let resting = source.clocks.iter().filter(|clock| clock.merged_at.is_some());
    let go_on = resting.map(|clock| effect(clock, ClockEffect::Unmerged)).collect();
    // What the registration lacks is looked for again, as of when it had to be noted.
    let open = Ticket { state: merged.was.clone(), ..source.clone() };
    let fields_due = required_field::next_due(&open, policy);
    let unmerged = LinkChange::Unmerged { from: first.ticket.id, reason, fields_due };
    back.record(What::Link(Box::new(unmerged)), go_on);
    settle(&mut back, Until::At(now));
    let mut undone = Undone { source: back.changes, ..Undone::default() };
    let mut below = Below { id: source.id, since: merged.at, passed: None, version: None };
    for one in above {
        let changes = give_back(source, one, &mut below, &mut undone.taken, (actor, now));
        undone.above.push(changes.map_err(|refusal| refused(step, &refusal))?);
    }
    Ok(undone)
}

/// The ticket below one of the chain.
struct Below {
    id: Uuid,
    /// When it was merged.
    since: Timestamp,
    /// What of its promises is gone; none for the one that goes its own way, all of whose are.
    passed: Option<Vec<Passed>>,
    /// The policy that judges it; none for that one.
    version: Option<Arc<dyn Issued>>,
}

fn give_back(
    source: &Ticket,
    above: &Above<'_>,
    below: &mut Below,
    taken: &mut Vec<OtherMerge>,
    (actor, now): (&Actor, Timestamp),
) -> Result<Vec<Change>, Refusal> {
    let mut story = Story::new(above.ticket, above.version.policy(), actor, now);
    let rests = match &above.ticket.state {
        State::Merged(merged) => Some(merged.at),
        _ => None,
    };
    let ended = story.ticket.state.is_final() && rests.is_none();
    let (mut clocks, mut passed) = (Vec::new(), Vec::new());
    if !ended {
        settle(&mut story, Until::At(now));
        let mut reseating = Reseating::new(&story, below.since, rests, above.others);
        let mut promises = Vec::new();
        for promise in above.promises {
            let offer = match offer(promise, &story.ticket, below)? {
                Offer::AsBefore => {
                    promises.push(promise.clone());
                    continue;
                }
                Offer::Instead(offer) => offer,
            };
            let (stays, instead) = reseating.reseat(promise, offer.map(|offer| *offer))?;
            promises.extend(stays);
            passed.extend(instead);
        }
        if below.passed.is_some() && promises != above.promises {
            taken.push(OtherMerge { source: below.id, promises });
        }
        let others = reseating.others.into_iter().zip(above.others);
        taken.extend(others.filter(|(now, before)| now != *before).map(|(now, _)| now));
        clocks = reseating.clocks;
    }
    let message = mark_of(source, above.ticket);
    let marked = message.is_some();
    if below.passed.is_none() || !clocks.is_empty() || marked {
        let returned = LinkChange::Returned { source: source.id, message };
        story.record(What::Link(Box::new(returned)), clocks);
    }
    if let Some(lost) = above.lost.clone().filter(|_| marked) {
        story.record(What::Undelivered(lost), Vec::new());
    }
    if !ended {
        settle(&mut story, Until::At(now));
    }
    *below = Below {
        id: above.ticket.id,
        since: rests.unwrap_or(now),
        passed: Some(passed),
        version: Some(Arc::clone(&above.version)),
    };
    Ok(story.changes)
}

/// What the ticket below promises.
enum Offer {
    /// What it promised before.
    AsBefore,
    /// This instead.
    Instead(Option<Box<ClockEntry>>),
}

/// What the ticket below promises instead of a promise that was taken over of it, as a promise of the one above.
fn offer(promise: &TakenPromise, ticket: &Ticket, below: &Below) -> Result<Offer, Refusal> {
    let (Some(passed), Some(version)) = (&below.passed, &below.version) else {
        return Ok(Offer::Instead(None));
    };
    let Some(gone) = passed.iter().find(|gone| gone.rule == promise.rule) else {
        return Ok(Offer::AsBefore);
    };
    let Some(mut entry) = gone.now.clone() else { return Ok(Offer::Instead(None)) };
    entry.merged_at = None;
    if entry.timeline.is_paused() {
        // What paused for the merged ticket's sake did so no more.
        let resumed = entry.resumption(version.policy(), below.since);
        let rule = entry.rule.to_string();
        entry.apply(&resumed.map_err(|error| Refusal::NoDeadline { rule, error })?);
    }
    let eras = entry.eras.iter();
    let eras = eras.map(|era| Era { terms: moved(ticket, version, &era.terms), ..*era }).collect();
    let (cycle, terms) = (ticket.cycle, moved(ticket, version, &entry.terms));
    Ok(Offer::Instead(Some(Box::new(ClockEntry { cycle, terms, eras, ..entry }))))
}

/// The message that never left because of which both are marked: the mark goes back with the ticket that it came with (T-14).
#[must_use]
pub fn mark_of(source: &Ticket, target: &Ticket) -> Option<Uuid> {
    let message = |ticket: &Ticket| ticket.outbound.undelivered.as_ref().map(|lost| lost.message);
    message(source).filter(|lost| message(target) == Some(*lost))
}
