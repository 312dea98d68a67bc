//! Putting changes of a work order on record: the order, what hangs on it and the journal, in the caller's transaction
//!

use kefu_clock::IdSource;
use kefu_journal::{Entry, Provenance};
use sqlx::PgConnection;

use super::{Error, work_order_audit};
use crate::domain::{
    Actor, OrderChange, OrderEvent, Violation, ViolationState, WorkOrder, apply_order,
};
use crate::encode::work_order as encode;
use crate::store;

/// Applies `changes` to an order that this transaction has locked and writes down all that comes of it. `by` stands for
/// whoever acted; what the timers did stands under their own name. Returns what the order is now.
pub(super) async fn record(
    conn: &mut PgConnection,
    ids: &IdSource,
    before: WorkOrder,
    changes: &[OrderChange],
    by: &Provenance,
) -> Result<WorkOrder, Error> {
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
        apply_order(&mut now, change);
        steps.push((earlier, now.clone(), change));
    }
    store::work_order::update(conn, &now, before.revision).await?;
    let mut entries = Vec::with_capacity(steps.len());
    for (earlier, later, change) in &steps {
        save(conn, ids, later, change).await?;
        let (old, new) = work_order_audit::changed(earlier, later, change);
        entries.push(Entry {
            by: if change.actor == Actor::TIMERS { &timers } else { by },
            event_id: ids.uuid(),
            occurred_at: change.at,
            aggregate_type: "work_order",
            aggregate_id: later.id,
            revision: later.revision,
            action: change.action(),
            org_unit: &later.brief.dispatch_centre,
            customer_id: later.customer,
            before: Some(old),
            after: Some(new),
            event: encode::event(later, change),
        });
    }
    kefu_journal::append(conn, &entries).await?;
    Ok(now)
}

async fn save(
    conn: &mut PgConnection,
    ids: &IdSource,
    order: &WorkOrder,
    change: &OrderChange,
) -> Result<(), Error> {
    match &change.what {
        OrderEvent::Reported(progress) => {
            let position = order.progress.len().saturating_sub(1);
            store::work_order::insert_progress(conn, order.id, position, progress).await?;
        }
        OrderEvent::Reassigned { .. } => {
            if let Some((position, earlier)) = order.reassignments.iter().enumerate().next_back() {
                store::work_order::insert_reassignment(conn, order.id, position, earlier).await?;
            }
        }
        OrderEvent::Disputed { .. } | OrderEvent::DisputeDecided(_) => {
            if let Some((position, dispute)) = order.disputes.iter().enumerate().next_back() {
                store::work_order::upsert_dispute(conn, order.id, position, dispute).await?;
            }
        }
        _ => {}
    }
    if let Some(proposed) = change.violation() {
        let violation = Violation {
            id: ids.uuid(),
            ticket: order.brief.ticket,
            work_order: Some(order.id),
            shift: None,
            org_unit: order.brief.dispatch_centre.clone(),
            customer: order.customer,
            proposed: proposed.clone(),
            reporter: None,
            state: ViolationState::Proposed,
            created_at: change.at,
            updated_at: change.at,
            revision: 1,
        };
        store::violation::insert(conn, &violation).await?;
    }
    Ok(())
}
