//! Putting changes on record: the ticket, what hangs on it and the journal, in the caller's transaction.

use kefu_clock::IdSource;
use kefu_journal::{Entry, Provenance};
use sqlx::PgConnection;
use uuid::Uuid;

use super::mass_answer::Speaker;
use super::{Error, audit, handling_record, mass_answer, outbox, process_follow};
use crate::domain::{
    Actor, Change, Complainant, Details, Facts, Ticket, Violation, ViolationState, What, apply,
};
use crate::encode::event;
use crate::store;
use crate::store::message::Message;
use crate::store::routing::NewStep;

/// Applies `changes` to a ticket that this transaction has locked and writes down all that comes of it. `by` stands for
/// whoever acted; what the clocks did stands under their own name. Returns what the ticket is now.
pub(crate) async fn record(
    conn: &mut PgConnection,
    ids: &IdSource,
    before: Ticket,
    changes: &[Change],
    by: &Provenance,
) -> Result<Ticket, Error> {
    record_said(conn, ids, before, changes, by, Speaker::default()).await
}

/// The same where somebody may say something on a parent that goes on to its children (T-04).
pub(crate) async fn record_said(
    conn: &mut PgConnection,
    ids: &IdSource,
    before: Ticket,
    changes: &[Change],
    by: &Provenance,
    speaker: Speaker<'_>,
) -> Result<Ticket, Error> {
    if changes.is_empty() {
        return Ok(before);
    }
    let mut tickets = record_each(conn, ids, vec![(before, changes)], by, speaker).await?;
    tickets.pop().ok_or_else(|| Error::Defect("a ticket was lost on its way".to_owned()))
}

/// The same for several tickets at once, each with its changes: as many statements as for one, as long as only clocks, levels
/// and forms change. Returns what they are now, in their order.
pub(crate) async fn record_all(
    conn: &mut PgConnection,
    ids: &IdSource,
    tickets: Vec<(Ticket, &[Change])>,
    by: &Provenance,
) -> Result<Vec<Ticket>, Error> {
    record_each(conn, ids, tickets, by, Speaker::default()).await
}

async fn record_each(
    conn: &mut PgConnection,
    ids: &IdSource,
    tickets: Vec<(Ticket, &[Change])>,
    by: &Provenance,
    speaker: Speaker<'_>,
) -> Result<Vec<Ticket>, Error> {
    let [timers, routing] = [Actor::TIMERS, Actor::ROUTING].map(|actor| Provenance {
        actor: actor.subject().to_string(),
        traceparent: by.traceparent.clone(),
        ..Provenance::default()
    });
    let recorded: Vec<Recorded<'_>> =
        tickets.into_iter().map(|(before, changes)| Recorded::of(ids, before, changes)).collect();
    save_tickets(conn, &recorded).await?;
    let clocks: Vec<_> = recorded.iter().flat_map(Recorded::clocks).collect();
    store::clock::upsert(conn, &clocks).await?;
    let forms: Vec<_> = recorded.iter().flat_map(Recorded::forms).collect();
    store::escalation::insert(conn, &forms).await?;
    let provenance = |change: &Change| match &change.actor {
        actor if *actor == Actor::TIMERS => &timers,
        actor if *actor == Actor::ROUTING => &routing,
        _ => by,
    };
    let mut entries = Vec::new();
    for Recorded { steps, customer, .. } in &recorded {
        for step in steps {
            let by = provenance(step.change);
            save_step(conn, ids, step, *customer, (by, speaker)).await?;
            entries.push(step.entry(ids, by, *customer));
        }
    }
    let violations = recorded.iter().flat_map(|recorded| &recorded.steps);
    let violations: Vec<_> = violations.filter_map(|step| step.violation.as_ref()).collect();
    store::violation::insert_all(conn, &violations).await?;
    kefu_journal::append(conn, &entries).await?;
    for step in recorded.iter().flat_map(|recorded| &recorded.steps) {
        if step.earlier.process.is_some() {
            let by = provenance(step.change);
            let both = (&step.earlier, &step.later);
            Box::pin(process_follow::follow(conn, ids, both, step.change, by)).await?;
        }
    }
    // Last of all, so that others who have to do with the same people wait as short as can be.
    let moved: Vec<_> = recorded
        .iter()
        .map(|recorded| (recorded.before.burden(), recorded.now.burden()))
        .filter(|(before, now)| before != now)
        .collect();
    store::routing::shift_loads(conn, &moved).await?;
    Ok(recorded.into_iter().map(|recorded| recorded.now).collect())
}

/// A ticket as it was and as it is, and how it came to that.
struct Recorded<'a> {
    before: Ticket,
    now: Ticket,
    steps: Vec<Step<'a>>,
    customer: Option<Uuid>,
}

impl<'a> Recorded<'a> {
    fn of(ids: &IdSource, before: Ticket, changes: &'a [Change]) -> Self {
        let mut steps = Vec::with_capacity(changes.len());
        let mut now = before.clone();
        for change in changes {
            let earlier = now.clone();
            apply(&mut now, change);
            let violation = change.violation().map(|proposed| Violation {
                id: ids.uuid(),
                ticket: Some(now.id),
                work_order: None,
                shift: None,
                customer: customer_of(&now),
                org_unit: now.org_unit.clone(),
                proposed: proposed.clone(),
                reporter: None,
                state: ViolationState::Proposed,
                created_at: change.at,
                updated_at: change.at,
                revision: 1,
            });
            steps.push(Step { earlier, later: now.clone(), change, violation });
        }
        let customer = customer_of(&now);
        Self { before, now, steps, customer }
    }

    /// Whether nothing has changed in the ticket's own row but what every change moves and the receiver level: so it is with
    /// most of what timers do.
    fn only_advances(&self) -> bool {
        let beside = |ticket: &Ticket| Ticket {
            clocks: Vec::new(),
            escalations: Vec::new(),
            revision: self.now.revision,
            updated_at: self.now.updated_at,
            receiver_level: self.now.receiver_level,
            ..ticket.clone()
        };
        beside(&self.before) == beside(&self.now)
    }

    /// The entries of the ledger that are new or have changed.
    fn clocks(&self) -> impl Iterator<Item = store::clock::Placed<'_>> {
        let Self { before, now, customer, .. } = self;
        let clocks = now.clocks.iter().enumerate();
        let changed = clocks.filter(|(place, clock)| before.clocks.get(*place) != Some(*clock));
        changed.map(|(position, clock)| store::clock::Placed {
            ticket: now.id,
            customer: *customer,
            position,
            clock,
        })
    }

    /// The handling forms that are new.
    fn forms(&self) -> impl Iterator<Item = store::escalation::Placed<'_>> {
        self.steps.iter().filter_map(|step| {
            Some(store::escalation::Placed {
                ticket: self.now.id,
                customer: self.customer,
                position: step.earlier.escalations.len(),
                form: step.change.escalation()?,
            })
        })
    }
}

async fn save_tickets(conn: &mut PgConnection, recorded: &[Recorded<'_>]) -> Result<(), Error> {
    let (advanced, changed): (Vec<_>, Vec<_>) =
        recorded.iter().partition(|recorded| recorded.only_advances());
    let advanced = advanced.iter().map(|recorded| (&recorded.now, recorded.before.revision));
    store::ticket::advance(conn, &advanced.collect::<Vec<_>>()).await?;
    for Recorded { before, now, .. } in changed {
        let follows_up = before.state.follow_up() != now.state.follow_up();
        if follows_up && now.state.follow_up().is_none() {
            store::follow_up::clear(conn, now).await?;
        }
        store::ticket::update(conn, now, before.revision).await?;
        if follows_up {
            store::follow_up::save(conn, now).await?;
        }
        if before.severity != now.severity {
            store::follow_up::save_severity(conn, now).await?;
        }
        let assigned = |ticket: &Ticket| (ticket.team, ticket.owner.clone(), ticket.distribution);
        if assigned(before) != assigned(now) {
            store::routing::save(conn, now).await?;
        }
        if before.details.fields != now.details.fields {
            store::custom_field::save(conn, now).await?;
        }
        if before.promises != now.promises {
            store::clock_terms::save(conn, now).await?;
        }
        if before.outbound != now.outbound {
            store::outbound::save(conn, now).await?;
        }
        if before.priority != now.priority {
            store::ticket::save_priority(conn, now).await?;
        }
        if Facts::of(before) != Facts::of(now) {
            store::correction::save(conn, now).await?;
        }
        if before.complainant != now.complainant {
            store::link::forget_route(conn, now.id).await?;
        }
        if customer_of(before) != customer_of(now) {
            store::correction::move_records(conn, now.id, customer_of(now)).await?;
        }
        if before.handling != now.handling || before.org_unit != now.org_unit {
            store::handling::save(conn, now).await?;
        }
        if before.org_unit != now.org_unit {
            store::process::move_with_ticket(conn, now.id, &now.org_unit).await?;
        }
        if now.state.is_final() && !before.state.is_final() && now.handling.plan.is_some() {
            store::plan::supersede(conn, now.id).await?;
        }
        if before.state.is_final()
            && !now.state.is_final()
            && let Some(plan) = &now.handling.plan
        {
            store::plan::revive(conn, now.id, plan.version, &now.org_unit).await?;
        }
    }
    Ok(())
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
    violation: Option<Violation>,
}

impl Step<'_> {
    fn entry<'a>(
        &'a self,
        ids: &IdSource,
        by: &'a Provenance,
        customer_id: Option<Uuid>,
    ) -> Entry<'a> {
        let Step { earlier, later, change, violation } = self;
        let (before, after) = audit::changed(earlier, later, change);
        let event = match &change.what {
            What::Updated(_) => {
                Some(event::updated(later, different(&earlier.details, &later.details)))
            }
            What::Corrected(corrected) => Some(event::corrected(later, earlier, corrected)),
            What::Assigned(assignment) => Some(event::assigned(later, assignment.cause, earlier)),
            _ => event::of(later, change, violation.as_ref()),
        };
        Entry {
            by,
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

async fn save_step(
    conn: &mut PgConnection,
    ids: &IdSource,
    step: &Step<'_>,
    customer: Option<Uuid>,
    (by, speaker): (&Provenance, Speaker<'_>),
) -> Result<(), Error> {
    let Step { earlier, later, change, .. } = step;
    if let What::ReopenedAgain(reopening) = &change.what {
        store::reopening::insert(conn, (earlier, later), customer, reopening, change).await?;
    }
    if let Some(spoken) = change.spoken() {
        let message = Message {
            id: ids.uuid(),
            purpose: spoken.purpose,
            body: spoken.message,
            overridden: spoken.overridden,
            sent_at: spoken.at,
            sent_by: &change.actor.subject(),
            created_at: change.at,
        };
        store::message::insert(conn, later, customer, &message).await?;
        if let Some(dispatch) = spoken.dispatch {
            let delivery = outbox::message(ids.uuid(), later, message.id, dispatch, change);
            outbox::put(conn, ids, by, &delivery).await?;
        }
    }
    if later.links.leads {
        mass_answer::begin(conn, ids, later, change, (by, speaker)).await?;
    }
    if let Some(verdict) = change.verdict() {
        store::verdict::insert(conn, later.id, customer, verdict).await?;
    }
    if let What::Handling(what) = &change.what {
        handling_record::save(conn, ids, later, change, what).await?;
    }
    if let What::Assigned(assignment) = &change.what {
        let step = NewStep::of(later, customer, change, assignment);
        store::routing::add_step(conn, &step).await?;
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
        ("order_reference", before.order_reference != after.order_reference),
        ("shop", before.shop != after.shop),
        ("tags", before.tags != after.tags),
        ("custom_fields", before.fields != after.fields),
    ];
    fields.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned()).collect()
}
