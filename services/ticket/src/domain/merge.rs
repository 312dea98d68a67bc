//! Merging a ticket into another one about the same matter, and undoing it (T-04).
//!
//! The merged ticket rests as it is: what was broken stays broken, what ran is the survivor's. Of what both promise the
//! earlier deadline binds, so a merge lengthens no promise that was given to the customer. The survivor weighs as much as
//! the heavier of the two, and is as urgent and as high up.
//!
//! A promise moves as it is, with its start and its pauses, and by the policy version that made it: on that version's calendar
//! it goes on to count, whatever judges the survivor. So each kind of promise has a home, and its deadline moves with a
//! pause as it would have moved where it was given.
//!
//! Who was told something is who it was told to: names of people who are no registered customers prove nothing, so what such
//! a person was promised counts as kept only once somebody has answered the survivor since the merge.
//!
//! Only what is unsolved is merged: a customer who has seen a solution is owed a verdict on it, so that ticket survives.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{
    assess,
    change::{Change, What},
    clock::{ClockChange, ClockEffect, ClockEntry},
    escalation::{self, Escalation, EscalationCause},
    link::{Blocker, LinkChange, TakenPromise},
    policy::Policy,
    refusal::Refusal,
    required_field,
    step::{Need, Step, StepRefusal},
    story::{Story, effect, next_round},
    terms::{Era, Issued, Terms},
    ticket::{Complainant, State, Ticket},
    timers::{Until, settle},
    word::{Actor, ClockKind, Subject, TicketKind},
};

const MERGE: &str = "MergeTicket";
const UNMERGE: &str = "UnmergeTicket";

const NOT_MERGED: Need =
    Need::new("not_merged", "the ticket is merged already", "工单已并入其他工单");
const NOT_ENDED: Need =
    Need::new("not_ended", "the ticket is closed or cancelled", "工单已关闭或取消");
const VERDICT: Need = Need::new(
    "verdict",
    "the customer has seen a solution and is owed a verdict: merge the other ticket into this one",
    "客户已收到处理方案，须由其评价：请将另一张工单并入本工单",
);
const TRANSFER_ENDED: Need = Need::new(
    "transfer_ended",
    "the transfer must be accepted, returned or withdrawn first",
    "须先接收、退回或撤回转办",
);
const NO_SUPERVISION: Need = Need::new(
    "no_supervision",
    "headquarters watches the ticket: end the supervision first",
    "工单由总部督办，须先结束督办",
);
const NO_OPEN_PLAN: Need = Need::new(
    "no_open_plan",
    "items of the handling plan are not done",
    "处理计划尚有未完成的事项",
);
const NO_WORK_ORDERS: Need = Need::new(
    "no_open_work_order",
    "work orders for the ticket run: complete or void them first",
    "该工单有未完成的派工单，须先完成或作废",
);
const NO_PROCESS: Need = Need::new(
    "no_running_process",
    "its process runs, and its stages are promised: complete or cancel it first",
    "该工单的流程仍在进行且各环节有时限，须先完成或取消流程",
);
const NO_CHILDREN: Need = Need::new(
    "no_children",
    "the ticket has children: unlink them first",
    "工单有下级工单，须先解除关联",
);
const OPEN_SURVIVOR: Need = Need::new(
    "open_survivor",
    "the other ticket must be open: neither waiting, solved, closed, cancelled nor merged",
    "另一张工单须处于处理中：未在等待、未处理完成、未关闭、取消或合并",
);
const COMPLAINT: Need = Need::new(
    "complaint",
    "a complaint stays a complaint: merge the other ticket into this one",
    "投诉不得并入其他类型：请将另一张工单并入本工单",
);
const SAME_CUSTOMER: Need = Need::new(
    "same_customer",
    "the tickets are of different customers: put them under a common parent, which answers both",
    "两张工单属于不同客户：请将其关联到同一上级工单，由其一并答复",
);
const REACHABLE: Need = Need::new(
    "reachable_deadline",
    "promises that the calendar of their policy does not reach any more",
    "有承诺期限超出其制度日历所能推算的范围",
);
const SHORT_CHAIN: Need = Need::new(
    "short_chain",
    "the chain of merges is too long: merge the other way round",
    "合并链过长，请反向合并",
);
const MERGED: Need = Need::new("merged", "the ticket is not merged", "工单未被合并");
const IN_TIME: Need = Need::new(
    "unmerge_limit",
    "the time in which the policy lets a merge be undone is over",
    "已超过制度允许撤销合并的期限",
);

/// Why a ticket into whose chain so many were merged one after the other is not merged itself.
#[must_use]
pub fn merge_chain_full(source: &Ticket) -> StepRefusal {
    let (state, command) = (source.state.name().code(), MERGE);
    StepRefusal::IllegalState { subject: "ticket", state, command, missing: vec![SHORT_CHAIN] }
}

/// Two tickets, each with the policy that judges it.
#[derive(Clone, Debug)]
pub struct Merging<'a> {
    /// The one that is merged.
    pub source: (&'a Ticket, &'a Policy),
    /// The one that survives.
    pub target: (&'a Ticket, &'a Policy),
    /// The policy of the one that is merged, under the name by which the survivor knows it.
    pub version: Arc<dyn Issued>,
}

impl Merging<'_> {
    /// Terms of the one that is merged as those of the survivor.
    fn moved(&self, terms: &Terms) -> Terms {
        self.target.0.terms_of(match terms {
            Terms::Registered => Arc::clone(&self.version),
            Terms::Revised(version) => Arc::clone(version),
        })
    }
}

/// Merges: the changes of the merged one, and those of the survivor, the last of which tells what it took over.
///
/// # Errors
/// Everything that is missing.
pub fn merge(
    both: Merging<'_>,
    blockers: &[Blocker],
    reason: String,
    actor: &Actor,
    now: Timestamp,
) -> Result<(Vec<Change>, Vec<Change>), StepRefusal> {
    let Merging { source: (source, policy), target: (target, target_policy), .. } = both;
    let missing = missing(&both, blockers);
    let step = Step { subject: "ticket", state: source.state.name().code(), command: MERGE };
    if !missing.is_empty() {
        return step.all_missing(missing);
    }
    // One moment for both, which lies before neither's last change.
    let now = now.max(source.updated_at).max(target.updated_at);
    let mut merged = Story::new(source, policy, actor, now);
    settle(&mut merged, Until::At(now));
    // What was due may have been to report it to headquarters, which watches it from now on.
    if merged.ticket.handling.supervision.is_some() {
        return step.missing(NO_SUPERVISION);
    }
    let mut survivor = Story::new(target, target_policy, actor, now);
    settle(&mut survivor, Until::At(now));
    raise(&mut survivor, &merged.ticket).map_err(|refusal| refused(step, &refusal))?;
    let (clocks, promises) =
        take_over(&survivor, &merged, &both).map_err(|refusal| refused(step, &refusal))?;
    let (number, handlers) = (source.number.clone(), hands(&merged.ticket));
    let taken = LinkChange::Taken { source: source.id, number, promises, handlers };
    survivor.record(What::Link(Box::new(taken)), clocks);
    settle(&mut survivor, Until::At(now));
    let unsettled = merged.ticket.clocks.iter().filter(|clock| clock.is_unsettled());
    let rests = unsettled.map(|clock| effect(clock, ClockEffect::Merged { at: now })).collect();
    let into = target.id;
    merged.record(What::Link(Box::new(LinkChange::Merged { into, reason })), rests);
    Ok((merged.changes, survivor.changes))
}

fn missing(both: &Merging<'_>, blockers: &[Blocker]) -> Vec<Need> {
    let Merging { source: (source, policy), target: (target, _), .. } = *both;
    let mut missing = Vec::new();
    match source.state {
        State::Merged(_) => missing.push(NOT_MERGED),
        State::Closed { .. } | State::Cancelled { .. } => missing.push(NOT_ENDED),
        State::Open(_) | State::Waiting { .. } if source.cycle == 1 => {}
        _ => missing.push(VERDICT),
    }
    let handling = &source.handling;
    let customers = (customer(source), customer(target));
    let strangers = matches!(customers, (Some(one), Some(other)) if one != other);
    let wrong = [
        (handling.transfer.is_some(), TRANSFER_ENDED),
        (handling.supervision.is_some(), NO_SUPERVISION),
        (handling.plan.as_ref().is_some_and(|plan| plan.open() > 0), NO_OPEN_PLAN),
        (blockers.contains(&Blocker::WorkOrders), NO_WORK_ORDERS),
        (source.process.is_some(), NO_PROCESS),
        (blockers.contains(&Blocker::Children), NO_CHILDREN),
        (!matches!(target.state, State::Open(_)), OPEN_SURVIVOR),
        (source.kind == TicketKind::Complaint && target.kind != source.kind, COMPLAINT),
        (strangers && !policy.links().across_customers, SAME_CUSTOMER),
    ];
    missing.extend(wrong.into_iter().filter_map(|(wrong, need)| wrong.then_some(need)));
    missing
}

fn customer(ticket: &Ticket) -> Option<Uuid> {
    match ticket.complainant {
        Complainant::Customer { customer, .. } => Some(customer),
        _ => None,
    }
}

/// Whether two tickets are known to be by the same customer. Somebody who is no registered customer may be, and nobody knows.
#[must_use]
pub fn same_customer(one: &Ticket, other: &Ticket) -> bool {
    customer(one).is_some_and(|known| customer(other) == Some(known))
}

/// In whose hands a ticket is, and was in this cycle: they judge nothing of what becomes of it (T-13).
fn hands(ticket: &Ticket) -> Vec<Subject> {
    let present = ticket.owner.iter().chain(&ticket.handling.receiver);
    let mut hands: Vec<Subject> = Vec::new();
    for staff in ticket.cycle_handlers.iter().chain(&ticket.links.handlers).chain(present) {
        if !hands.contains(staff) {
            hands.push(staff.clone());
        }
    }
    hands
}

fn refused(step: Step, refusal: &Refusal) -> StepRefusal {
    let missing = REACHABLE;
    let Step { state, command, .. } = step;
    StepRefusal::Lacking { state, command, missing, subjects: vec![refusal.to_string()] }
}

/// The survivor weighs what the heavier one does, and is as urgent and as high up.
fn raise(survivor: &mut Story<'_>, source: &Ticket) -> Result<(), Refusal> {
    let Ticket { number, severity, priority, receiver_level, .. } = source;
    let reason = || format!("{number} was merged into it. / {number} 已并入本工单。");
    if *severity > survivor.ticket.severity {
        assess::assess(survivor, MERGE, *severity, reason())?;
    }
    let from = survivor.ticket.priority;
    if *priority > from {
        survivor.record(What::PriorityRaised { from, to: *priority }, Vec::new());
    }
    let level = (*receiver_level).min(survivor.policy.top_level());
    if let Some(form) = escalation::to_level(&survivor.ticket, level, reason(), survivor.now) {
        let form = Escalation { cause: EscalationCause::Manager, ..form };
        survivor.record(What::Escalated(form), Vec::new());
    }
    Ok(())
}

/// What of the merged one's promises binds the survivor: those that it does not keep by then anyhow.
fn take_over(
    survivor: &Story<'_>,
    merged: &Story<'_>,
    both: &Merging<'_>,
) -> Result<(Vec<ClockChange>, Vec<TakenPromise>), Refusal> {
    let (mut clocks, mut promises) = (Vec::new(), Vec::new());
    let ticket = &survivor.ticket;
    let same_customer = same_customer(&merged.ticket, ticket);
    for theirs in merged.ticket.current_clocks().filter(|clock| clock.is_live()) {
        let theirs = going_on(theirs, merged)?;
        if is_kept(ticket, &theirs, same_customer) {
            continue;
        }
        let (rule, cycle) = (Arc::clone(&theirs.rule), ticket.cycle);
        let own = ticket
            .current_clocks()
            .find(|own| own.rule == rule && own.kind == theirs.kind && own.is_live());
        if let Some(own) = own {
            clocks.push(effect(own, ClockEffect::Cancelled { at: survivor.now }));
        }
        let terms = both.moved(&theirs.terms);
        let eras = theirs.eras.iter().map(|era| Era { terms: both.moved(&era.terms), ..*era });
        let eras = eras.collect();
        let taken = next_round(ticket, ClockEntry { cycle, terms, eras, ..theirs });
        promises.push(TakenPromise {
            rule,
            cycle,
            round: taken.round,
            replaced: own.map(|own| own.round),
        });
        clocks.push(taken);
    }
    Ok((clocks, promises))
}

/// A promise as it goes on from now: what paused for the merged ticket's sake does so no more.
fn going_on(clock: &ClockEntry, merged: &Story<'_>) -> Result<ClockEntry, Refusal> {
    let mut clock = clock.clone();
    if clock.timeline.is_paused() {
        let Story { policy, now, .. } = merged;
        let resumed = clock.resumption(policy, *now);
        let resumed =
            resumed.map_err(|error| Refusal::NoDeadline { rule: clock.rule.to_string(), error })?;
        clock.apply(&resumed);
    }
    Ok(clock)
}

/// Whether the survivor promises the same thing by then itself, or the same customer has heard since.
fn is_kept(ticket: &Ticket, theirs: &ClockEntry, same_customer: bool) -> bool {
    ticket.current_clocks().filter(|own| own.kind == theirs.kind).any(|own| {
        let sooner = own.is_live() && own.due.zip(theirs.due).is_some_and(|(own, due)| own <= due);
        let heard = same_customer
            && theirs.kind != ClockKind::Resolution
            && own.fulfilled.as_ref().is_some_and(|told| told.at >= theirs.timeline.started());
        sooner || heard
    })
}

/// Undoes a merge: the changes of the merged one, and those of the survivor, which gets back what promises of its own were
/// replaced, unless they were kept meanwhile. What fell due meanwhile is broken as of its deadline. Where the survivor has ended
/// or begun a new cycle, its promises stay what they are.
///
/// # Errors
/// If it is not merged, or the policy's time for that is over.
pub fn unmerge(
    both: Merging<'_>,
    promises: &[TakenPromise],
    reason: String,
    actor: &Actor,
    now: Timestamp,
) -> Result<(Vec<Change>, Vec<Change>), StepRefusal> {
    let Merging { source: (source, policy), target: (target, target_policy), .. } = both;
    let step = Step { subject: "ticket", state: source.state.name().code(), command: UNMERGE };
    let State::Merged(merged) = &source.state else { return step.missing(MERGED) };
    let now = now.max(source.updated_at).max(target.updated_at);
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
    let unmerged = LinkChange::Unmerged { from: target.id, reason, fields_due };
    back.record(What::Link(Box::new(unmerged)), go_on);
    settle(&mut back, Until::At(now));
    let mut survivor = Story::new(target, target_policy, actor, now);
    let ended = survivor.ticket.state.is_final();
    let mut clocks = Vec::new();
    if !ended {
        settle(&mut survivor, Until::At(now));
        clocks =
            give_back(&survivor, promises, merged.at).map_err(|refusal| refused(step, &refusal))?;
    }
    let returned = LinkChange::Returned { source: source.id, message: mark_of(source, target) };
    survivor.record(What::Link(Box::new(returned)), clocks);
    if !ended {
        settle(&mut survivor, Until::At(now));
    }
    Ok((back.changes, survivor.changes))
}

/// The message that never left because of which both are marked: the mark goes back with the ticket that it came with (T-14).
fn mark_of(source: &Ticket, target: &Ticket) -> Option<Uuid> {
    let message = |ticket: &Ticket| ticket.outbound.undelivered.as_ref().map(|lost| lost.message);
    message(source).filter(|lost| message(target) == Some(*lost))
}

fn give_back(
    survivor: &Story<'_>,
    promises: &[TakenPromise],
    merged_at: Timestamp,
) -> Result<Vec<ClockChange>, Refusal> {
    let ticket = &survivor.ticket;
    let entry = |promise: &TakenPromise, round: u32| {
        let named = |clock: &&ClockEntry| {
            (clock.cycle, clock.round) == (promise.cycle, round) && clock.rule == promise.rule
        };
        ticket.current_clocks().find(named)
    };
    let mut clocks = Vec::new();
    for promise in promises {
        let Some(taken) = entry(promise, promise.round).filter(|taken| taken.is_live()) else {
            continue;
        };
        clocks.push(effect(taken, ClockEffect::Cancelled { at: survivor.now }));
        let Some(own) = promise.replaced.and_then(|round| entry(promise, round)) else { continue };
        let mut own = own.clone();
        own.cancelled_at = None;
        // It has paused since with the ticket, and does so still while that waits.
        for pause in taken.timeline.pauses().iter().filter(|pause| pause.from >= merged_at) {
            own.apply(&ClockEffect::Paused { at: pause.from, reason: pause.reason.clone() });
            let Some(end) = pause.to else { continue };
            let resumed = own.resumption(survivor.policy, end);
            let resumed = resumed
                .map_err(|error| Refusal::NoDeadline { rule: own.rule.to_string(), error })?;
            own.apply(&resumed);
        }
        clocks.push(next_round(ticket, own));
    }
    Ok(clocks)
}
