//! What of a ticket changes rarely: what is done while it waits, and its severity. Statements of their own, so that the
//! frequent changes do not carry them.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde_json::{Value, json};
use sqlx::PgConnection;

use kefu_postgres::StoreError;

use super::clock_note::Fields;
use crate::domain::{FollowUp, Ticket};

/// As it is stored.
pub(crate) fn follow_up_json(follow_up: &FollowUp) -> Value {
    let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
    json!({
        "reason": &*follow_up.reason,
        "remind_at": text(follow_up.remind_at), "reminded_at": text(follow_up.reminded_at),
        "propose_at": text(follow_up.propose_at), "proposed_at": text(follow_up.proposed_at),
        "recipient": follow_up.recipient, "told": follow_up.told,
    })
}

pub(super) fn follow_up(stored: Option<&Value>) -> Result<Option<FollowUp>, StoreError> {
    let Some(object) = stored else { return Ok(None) };
    let field = Fields { column: "ticket.follow_up", object };
    Ok(Some(FollowUp {
        reason: field.text("reason")?.into(),
        remind_at: field.optional_time("remind_at")?,
        reminded_at: field.optional_time("reminded_at")?,
        // Not there in what was stored before anybody was told anything.
        told: object.get("told").and_then(Value::as_bool).unwrap_or(false),
        recipient: object.get("recipient").and_then(Value::as_str).map(ToOwned::to_owned),
        propose_at: field.optional_time("propose_at")?,
        proposed_at: field.optional_time("proposed_at")?,
    }))
}

/// Ends what a state asked for that the ticket leaves; before the state itself is written.
pub(crate) async fn clear(conn: &mut PgConnection, ticket: &Ticket) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE ticket SET follow_up = NULL, follow_up_at = NULL WHERE id = $1",
        ticket.id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what is done while it waits; after the state itself was written.
pub(crate) async fn save(conn: &mut PgConnection, ticket: &Ticket) -> Result<(), StoreError> {
    let Some(follow_up) = ticket.state.follow_up() else { return Ok(()) };
    sqlx::query!(
        "UPDATE ticket SET follow_up = $2, follow_up_at = $3 WHERE id = $1",
        ticket.id,
        follow_up_json(follow_up),
        follow_up.next_alarm().map(|(at, _)| at.to_sqlx()) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes the severity.
pub(crate) async fn save_severity(
    conn: &mut PgConnection,
    ticket: &Ticket,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE ticket SET severity = $2 WHERE id = $1",
        ticket.id,
        i16::from(ticket.severity.number())
    )
    .execute(conn)
    .await?;
    Ok(())
}
