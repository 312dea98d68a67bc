//! Registrations, many in one statement: see `create_tickets.sql`.

use std::collections::HashMap;

use jiff_sqlx::ToSqlx as _;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::{column, read};
use crate::domain::{Complainant, ProductHold, Routed, Ticket};

/// One registration as it is handed to the statement: a ticket without its number, and what goes with it.
#[derive(Clone, Debug)]
pub(crate) struct NewTicket {
    /// The ticket; its number is still empty.
    pub(crate) ticket: Ticket,
    /// In which year it is counted, on the org unit's calendar.
    pub(crate) year: i16,
    /// Up to which policy version its caller knew the policies.
    pub(crate) policy_seq: i64,
    /// At which stamp its caller knew the customer's standings.
    pub(crate) customer_stamp: Option<i64>,
    /// SHA-256 over method and content of the request.
    pub(crate) fingerprint: [u8; 32],
    /// The answer, serialised, without the number.
    pub(crate) response: Vec<u8>,
    /// Id of the change.
    pub(crate) event_id: Uuid,
    /// The public event, serialised, without the number.
    pub(crate) event: Vec<u8>,
    /// The ticket as JSON, without the number, for the audit trail.
    pub(crate) after: String,
    /// Who is to handle it, by the policy's rules.
    pub(crate) routed: Option<Routed>,
    /// The hold on a product that the policy places because of it (T-18).
    pub(crate) hold: Option<Box<ProductHold>>,
    /// Who, from where, on which request.
    pub(crate) by: kefu_journal::Provenance,
}

/// What the statement gave to a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// The number.
    pub(crate) number: String,
    /// The team that handles it.
    pub(crate) team: Option<Uuid>,
    /// Who of the team.
    pub(crate) owner: Option<String>,
}

/// Registers all of them that can be registered, in one commit; tells by ticket what it was given. One that is not told has
/// not happened: something was stale, a counter is missing, or its request id was used before. No two entries may have
/// the same caller and request id.
///
/// # Errors
/// Then nothing has happened at all, or the connection was lost and nobody knows: the request ids tell.
pub(crate) async fn create(
    executor: impl sqlx::PgExecutor<'_>,
    method: &str,
    event_type: &str,
    entries: &[&NewTicket],
) -> Result<HashMap<Uuid, Given>, StoreError> {
    let customer = |entry: &NewTicket| match entry.ticket.complainant {
        Complainant::Customer { customer, contact } => (Some(customer), contact),
        _ => (None, None),
    };
    let complainant = |entry: &NewTicket| match &entry.ticket.complainant {
        Complainant::Unregistered { name } => Some(name.clone()),
        _ => None,
    };
    let clocks: Vec<_> = entries
        .iter()
        .flat_map(|entry| {
            let clocks = entry.ticket.clocks.iter().enumerate();
            clocks.map(|(position, clock)| (entry.ticket.id, position, clock))
        })
        .collect();
    let positions = clocks.iter().map(|(_, position, _)| i16::try_from(*position));
    let positions = read("ticket_clock.position", positions.collect::<Result<Vec<_>, _>>())?;
    let routed = |entry: &&NewTicket| entry.routed.clone();
    let routed: Vec<Option<Routed>> = entries.iter().map(routed).collect();
    let routed = |value: fn(&Routed) -> Option<String>| -> Vec<Option<String>> {
        routed.iter().map(|routed| value(routed.as_ref()?)).collect()
    };
    let rows = sqlx::query_file!(
        "src/store/create_tickets.sql",
        &column!(entries, |e| e.ticket.id),
        &column!(entries, |e| e.ticket.org_unit.as_str()) as _,
        &column!(entries, |e| e.year),
        &column!(entries, |e| e.policy_seq),
        &column!(entries, |e| customer(e).0) as _,
        &column!(entries, |e| e.customer_stamp) as _,
        &column!(entries, |e| e.by.actor.as_str()) as _,
        &column!(entries, |e| e.by.request_id.as_str()) as _,
        &column!(entries, |e| &e.fingerprint[..]) as _,
        &column!(entries, |e| e.response.as_slice()) as _,
        &column!(entries, |e| e.ticket.kind.code()) as _,
        &column!(entries, |e| e.ticket.channel.code()) as _,
        &column!(entries, |e| customer(e).1) as _,
        &column!(entries, |e| complainant(e)) as _,
        &column!(entries, |e| e.ticket.details.subject.as_str()) as _,
        &column!(entries, |e| e.ticket.details.description.as_str()) as _,
        &column!(entries, |e| e.ticket.details.category.as_str()) as _,
        &column!(entries, |e| e.ticket.details.product.as_str()) as _,
        &column!(entries, |e| e.ticket.details.tags.join("\n")) as _,
        &column!(entries, |e| i16::from(e.ticket.severity.number())),
        &column!(entries, |e| e.ticket.occurred_at.map(|at| at.to_sqlx())) as _,
        &column!(entries, |e| e.ticket.priority.code()) as _,
        &column!(entries, |e| e.ticket.customer_grade.as_deref()) as _,
        &column!(entries, |e| i16::from(e.ticket.receiver_level.number())),
        &column!(entries, |e| e.ticket.policy_version),
        &column!(entries, |e| e.ticket.created_at.to_sqlx()) as _,
        &column!(entries, |e| e.event_id),
        &column!(entries, |e| e.by.actor_org_unit.as_str()) as _,
        &column!(entries, |e| e.by.origin.as_str()) as _,
        &column!(entries, |e| e.by.traceparent.as_str()) as _,
        &column!(entries, |e| e.after.as_str()) as _,
        &column!(entries, |e| e.event.as_slice()) as _,
        method,
        &column!(clocks, |(ticket, ..)| *ticket),
        &column!(clocks, |(.., clock)| &*clock.rule) as _,
        &positions,
        &column!(clocks, |(.., clock)| clock.kind.code()) as _,
        &column!(clocks, |(.., clock)| clock.due.map(|at| at.to_sqlx())) as _,
        &column!(clocks, |(.., clock)| clock.warn_at.map(|at| at.to_sqlx())) as _,
        &column!(clocks, |(.., clock)| clock.next_fire_at().map(|at| at.to_sqlx())) as _,
        event_type,
        &column!(clocks, |(.., clock)| super::clock_note::steps_json(&clock.steps)) as _,
        &routed(|routed| routed.team.as_deref().map(ToOwned::to_owned)) as _,
        &routed(|routed| routed.owner.as_deref().map(ToOwned::to_owned)) as _,
        &routed(|routed| routed.distribution.map(|by| by.code().to_owned())) as _,
        &column!(entries, |e| e.ticket.amount.as_ref().map(|amount| amount.cents)) as _,
        &column!(entries, |e| e.ticket.amount.as_ref().map(|amount| amount.currency.as_str())) as _,
        &column!(entries, |e| e.ticket.complainant_type.as_deref()) as _,
        &routed(|routed| routed.rule.as_deref().map(ToOwned::to_owned)) as _,
        &routed(|routed| Some(super::routing::looks_json(&routed.looks).to_string())) as _,
        &column!(entries, |e| e.ticket.handling.next_alarm().map(|at| at.to_sqlx())) as _,
        &column!(entries, |e| super::custom_field::fields_json(&e.ticket.details.fields)) as _,
        &column!(entries, |e| e.ticket.details.order_reference.as_str()) as _,
        &column!(entries, |e| e.ticket.details.shop.as_str()) as _,
    )
    .fetch_all(executor)
    .await?;
    let given = rows
        .into_iter()
        .map(|row| (row.id, Given { number: row.number, team: row.team_id, owner: row.owner }));
    Ok(given.collect())
}
