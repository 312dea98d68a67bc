//! Putting changes on record: the ticket, what hangs on it and the journal, in the caller's transaction.

use kefu_clock::IdSource;
use kefu_journal::{Entry, Provenance};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Error, audit, outbox};
use crate::domain::{Actor, Change, Complainant, Details, MessagePurpose, Ticket, What, apply};
use crate::encode::event;
use crate::store;
use crate::store::message::Message;
use crate::store::violation::RecordedViolation;

/// Applies `changes` to a ticket that this transaction has locked and writes down all that comes of it. `by` stands for
/// whoever acted; what the clocks did stands under their own name. Returns what the ticket is now.
pub(crate) async fn record(
    conn: &mut PgConnection,
    ids: &IdSource,
    before: Ticket,
    changes: &[Change],
    by: &Provenance,
) -> Result<Ticket, Error> {
    if changes.is_empty() {
        return Ok(before);
    }
    let timers = Provenance {
        actor: Actor::TIMERS.subject().to_string(),
        traceparent: by.traceparent.clone(),
        ..Provenance::default()
    };
    let mut steps = Vec::with_capacity(changes.len());
    let mut now = before.clone();
    for change in changes {
        let earlier = now.clone();
        apply(&mut now, change);
        let violation = change.violation().map(|proposed| RecordedViolation {
            id: ids.uuid(),
            ticket: Some(now.id),
            work_order: None,
            org_unit: now.org_unit.clone(),
            proposed: proposed.clone(),
            created_at: change.at,
        });
        steps.push(Step { earlier, later: now.clone(), change, violation });
    }
    let customer = customer_of(&now);
    let follows_up = before.state.follow_up() != now.state.follow_up();
    if follows_up && now.state.follow_up().is_none() {
        store::follow_up::clear(conn, &now).await?;
    }
    store::ticket::update(conn, &now, before.revision).await?;
    if follows_up {
        store::follow_up::save(conn, &now).await?;
    }
    if before.severity != now.severity {
        store::follow_up::save_severity(conn, &now).await?;
    }
    save_clocks(conn, &before, &now, customer).await?;
    if before.priority != now.priority {
        store::ticket::save_priority(conn, &now).await?;
    }
    for step in &steps {
        save_step(conn, ids, step, customer, by).await?;
    }
    let entries: Vec<Entry<'_>> =
        steps.iter().map(|step| step.entry(ids, by, &timers, customer)).collect();
    kefu_journal::append(conn, &entries).await?;
    Ok(now)
}

/// The customer concerned.
pub(crate) fn customer_of(ticket: &Ticket) -> Option<Uuid> {
    match ticket.complainant {
        Complainant::Customer { customer, .. } => Some(customer),
        _ => None,
    }
}

/// One change, and the ticket before and after it.
struct Step<'a> {
    earlier: Ticket,
    later: Ticket,
    change: &'a Change,
    violation: Option<RecordedViolation>,
}

impl Step<'_> {
    fn entry<'a>(
        &'a self,
        ids: &IdSource,
        by: &'a Provenance,
        timers: &'a Provenance,
        customer_id: Option<Uuid>,
    ) -> Entry<'a> {
        let Step { earlier, later, change, violation } = self;
        let (before, after) = audit::changed(earlier, later, change);
        let event = match &change.what {
            What::Updated(_) => {
                Some(event::updated(later, different(&earlier.details, &later.details)))
            }
            _ => event::of(later, change, violation.as_ref()),
        };
        Entry {
            by: if change.actor == Actor::TIMERS { timers } else { by },
            event_id: ids.uuid(),
            occurred_at: change.at,
            aggregate_type: "ticket",
            aggregate_id: later.id,
            revision: later.revision,
            action: change.action(),
            org_unit: &later.org_unit,
            customer_id,
            before: Some(before),
            after: Some(after),
            event,
        }
    }
}

async fn save_clocks(
    conn: &mut PgConnection,
    before: &Ticket,
    after: &Ticket,
    customer: Option<Uuid>,
) -> Result<(), Error> {
    let clocks = after.clocks.iter().enumerate();
    let changed: Vec<_> =
        clocks.filter(|(position, clock)| before.clocks.get(*position) != Some(clock)).collect();
    Ok(store::clock::upsert(conn, after.id, customer, &changed).await?)
}

async fn save_step(
    conn: &mut PgConnection,
    ids: &IdSource,
    step: &Step<'_>,
    customer: Option<Uuid>,
    by: &Provenance,
) -> Result<(), Error> {
    let Step { earlier, later, change, violation } = step;
    let said = match &change.what {
        What::Responded { message, overridden, dispatch, .. } => {
            Some((MessagePurpose::Answer, message, overridden, dispatch))
        }
        What::ResultFedBack { message, overridden, dispatch } => {
            Some((MessagePurpose::Result, message, overridden, dispatch))
        }
        _ => None,
    };
    if let Some((purpose, body, overridden, dispatch)) = said {
        let message = Message {
            id: ids.uuid(),
            purpose,
            body,
            overridden,
            sent_at: change.effective_at,
            sent_by: &change.actor.subject(),
            created_at: change.at,
        };
        store::message::insert(conn, later, customer, &message).await?;
        if let Some(dispatch) = dispatch {
            let delivery = outbox::message(ids.uuid(), later, message.id, dispatch, change);
            outbox::put(conn, ids, by, &delivery).await?;
        }
    }
    if let Some(verdict) = change.verdict() {
        store::verdict::insert(conn, later.id, customer, verdict).await?;
    }
    if let Some(escalation) = change.escalation() {
        let position = earlier.escalations.len();
        store::escalation::insert(conn, later.id, customer, position, escalation).await?;
    }
    if let Some(violation) = violation {
        store::violation::insert(conn, customer, violation).await?;
    }
    Ok(())
}

/// The names of the fields that differ.
fn different(before: &Details, after: &Details) -> Vec<String> {
    let fields = [
        ("subject", before.subject != after.subject),
        ("description", before.description != after.description),
        ("category", before.category != after.category),
        ("product", before.product != after.product),
        ("tags", before.tags != after.tags),
    ];
    fields.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned()).collect()
}
