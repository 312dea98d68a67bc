//! By which policy versions a ticket's promises were made: `promise_version_id` of table `ticket`, `policy_version_id` and `eras`
//! of table `ticket_clock`. Null is the version that judges the ticket.

use std::sync::Arc;

use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::clock::ClockRecord;
use super::clock_note::Fields;
use super::{known, read};
use crate::domain::{ClockEntry, Era, Issued, Policy, Terms, Ticket};

const ERAS: &str = "ticket_clock.eras";

/// The policy that judges a ticket, and the other versions that promise it something.
pub(super) struct Versions<'a> {
    pub(super) registered: &'a Policy,
    pub(super) others: &'a [Arc<dyn Issued>],
}

impl Versions<'_> {
    /// A stored version.
    pub(super) fn terms(&self, version: Option<Uuid>) -> Result<Terms, StoreError> {
        let Some(id) = version else { return Ok(Terms::Registered) };
        let found = self.others.iter().find(|other| other.id() == id);
        let missing =
            || StoreError::corrupt("policy_version_id", "there is no such policy version");
        found.cloned().map(Terms::Revised).ok_or_else(missing)
    }
}

/// The versions that a ticket and its clocks name beside the one that judges it, each once.
pub(super) fn versions(
    promises: Option<Uuid>,
    clocks: &[ClockRecord],
) -> Result<Vec<Uuid>, StoreError> {
    let mut named: Vec<Uuid> = promises.into_iter().collect();
    for record in clocks {
        let (_, _, _, _, version, eras, _) = &record.6;
        named.extend(*version);
        for era in stored(eras.as_ref())? {
            named.extend(version_of(era)?);
        }
    }
    named.sort_unstable();
    named.dedup();
    Ok(named)
}

/// The earlier stretches of a clock.
pub(super) fn eras(value: Option<&Value>, versions: &Versions<'_>) -> Result<Vec<Era>, StoreError> {
    let era = |object: &Value| {
        let field = Fields { column: ERAS, object };
        let until = read(ERAS, field.text("until")?.parse())?;
        Ok(Era { terms: versions.terms(version_of(object)?)?, until })
    };
    stored(value)?.iter().map(era).collect()
}

fn stored(value: Option<&Value>) -> Result<&[Value], StoreError> {
    let Some(value) = value else { return Ok(&[]) };
    known(ERAS, value.as_array()).map(Vec::as_slice)
}

fn version_of(era: &Value) -> Result<Option<Uuid>, StoreError> {
    let version = era.get("version").and_then(Value::as_str);
    version.map(|version| read(ERAS, version.parse())).transpose()
}

/// The earlier stretches of a clock as they are stored.
pub(crate) fn eras_json(clock: &ClockEntry) -> Option<Value> {
    let era = |era: &Era| {
        let version = era.terms.version().map(|version| version.to_string());
        json!({ "version": version, "until": era.until.to_string() })
    };
    (!clock.eras.is_empty()).then(|| clock.eras.iter().map(era).collect())
}

/// Writes by which version a ticket gets new promises; the transaction has locked it.
pub(crate) async fn save(conn: &mut PgConnection, ticket: &Ticket) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE ticket SET promise_version_id = $2 WHERE id = $1",
        ticket.id,
        ticket.promises.version(),
    )
    .execute(conn)
    .await?;
    Ok(())
}
