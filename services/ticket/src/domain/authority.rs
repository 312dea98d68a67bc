//! What the policy lets somebody do about a ticket: which level may resolve it (T-12), and whether enough was done to reach
//! the customer (T-09).

use jiff::{SignedDuration, Timestamp};

use super::{
    command::Command,
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
    let limit = policy.handling.exceeded(ticket.receiver_level, ticket);
    Some(Refusal::Authority {
        state: ticket.state.name(),
        command,
        level: ticket.receiver_level,
        needed,
        money: ticket.amount.clone().zip(limit),
        missing: missing.to_vec(),
    })
}

/// Passes if somebody with these roles may do this at the ticket's receiver level: a resolution and an opinion on a handling form
/// are the level's own (T-12).
///
/// # Errors
/// [`Refusal::NotOfLevel`].
pub fn of_level<'a>(
    ticket: &Ticket,
    policy: &Policy,
    command: &Command,
    mut roles: impl Iterator<Item = &'a str>,
) -> Result<(), Refusal> {
    let level = ticket.receiver_level;
    match policy.level_roles(level).filter(|_| command.needs_level()) {
        Some(needed) if !roles.any(|role| needed.contains(role)) => Err(Refusal::NotOfLevel {
            state: ticket.state.name(),
            command: command.name(),
            level,
            roles: needed.iter().cloned().collect(),
        }),
        _ => Ok(()),
    }
}

/// How many failed attempts to reach the customer count, and from when on the next one does.
pub(super) fn counted(ticket: &Ticket, policy: &Policy) -> (u32, Option<Timestamp>) {
    let rule = &policy.handling.attempts;
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

/// Whether it is documented that the customer could not be reached.
pub(super) fn tried(ticket: &Ticket, policy: &Policy) -> bool {
    counted(ticket, policy).0 >= policy.handling.attempts.failed
}

/// The violation of a verdict that nobody asked for, as the policy calls it.
pub(super) fn unasked(policy: &Policy) -> Option<&String> {
    policy.handling.attempts.unasked_violation.as_ref()
}
