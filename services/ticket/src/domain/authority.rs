//! What the policy lets somebody do about a ticket: which level may resolve it (T-12), and whether enough was done to reach
//! the customer (T-09).

use jiff::{SignedDuration, Timestamp};

use super::{
    handling_rules::AttemptRule,
    policy::Policy,
    refusal::{Missing, Refusal},
    ticket::Ticket,
    word::ReceiverLevel,
};

/// The lowest level above the present one that may resolve the ticket, if the present one may not.
pub(super) fn above(ticket: &Ticket, policy: &Policy) -> Option<ReceiverLevel> {
    let may = |level| policy.handling.may_resolve(level, ticket);
    if may(ticket.receiver_level) {
        return None;
    }
    let (from, top) = (ticket.receiver_level.number() + 1, policy.top_level().number());
    (from..=top).filter_map(|level| ReceiverLevel::from_number(level.into())).find(|l| may(*l))
}

/// Why the level may not resolve the ticket, with everything else that is missing.
pub(super) fn beyond(
    ticket: &Ticket,
    policy: &Policy,
    command: &'static str,
    missing: &[Missing],
) -> Option<Refusal> {
    let needed = above(ticket, policy)?;
    Some(Refusal::Authority {
        state: ticket.state.name(),
        command,
        level: ticket.receiver_level,
        needed,
        missing: missing.to_vec(),
    })
}

/// How many failed attempts to reach the customer count, and from when on the next one does.
pub(super) fn counted(
    ticket: &Ticket,
    policy: &Policy,
    rule: &AttemptRule,
) -> (u32, Option<Timestamp>) {
    let zone = policy.calendar().time_zone();
    let day = |at: Timestamp| at.to_zoned(zone.clone()).date();
    let apart = SignedDuration::try_from(rule.min_interval).unwrap_or(SignedDuration::MAX);
    let mut count = 0;
    let mut last: Option<Timestamp> = None;
    for at in &ticket.handling.attempts {
        let counts = last.is_none_or(|last| {
            at.duration_since(last) >= apart && (!rule.distinct_days || day(*at) > day(last))
        });
        if counts {
            count += 1;
            last = Some(*at);
        }
    }
    let next = last.and_then(|last| {
        let later = last.checked_add(apart).ok()?;
        let tomorrow = || day(last).tomorrow().ok()?.to_zoned(zone.clone()).ok();
        let tomorrow = tomorrow().filter(|_| rule.distinct_days);
        Some(tomorrow.map_or(later, |tomorrow| later.max(tomorrow.timestamp())))
    });
    (count, next)
}

/// The violation of a verdict that nobody asked for, as the policy calls it: the call-back is overdue and nothing shows that
/// the customer could not be reached.
pub(super) fn unasked<'a>(ticket: &Ticket, policy: &'a Policy) -> Option<&'a String> {
    let rule = policy.handling.attempts.as_ref()?;
    let tried = counted(ticket, policy, rule).0 >= rule.failed;
    rule.unasked_violation.as_ref().filter(|_| !tried)
}
