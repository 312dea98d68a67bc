//! What is true of a ticket's handling: the columns `handling` and `attend_at` of table `ticket`.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::read;
use crate::domain::{Agreement, Handling, Plan, Supervision, Ticket, Transfer, UnknownCode};

/// As it is stored. What is not there was never done.
#[derive(Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Stored {
    #[serde(skip_serializing_if = "Option::is_none")]
    reported_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reached_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer: Option<StoredTransfer>,
    #[serde(skip_serializing_if = "is_zero")]
    transfers: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    team: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receiver: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    passed_on: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    forms: Vec<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<StoredPlan>,
    #[serde(skip_serializing_if = "Option::is_none")]
    supervision: Option<StoredSupervision>,
    #[serde(skip_serializing_if = "is_zero")]
    supervisions: u32,
    #[serde(skip_serializing_if = "is_zero")]
    urgings: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lacking: Vec<String>,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct StoredTransfer {
    number: u32,
    from: String,
    to: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    team: Option<String>,
    note: String,
    by: String,
    at: Timestamp,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct StoredPlan {
    version: u32,
    /// What was stored before plans had a cycle has it from migration 0034, or was made in the first.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    cycle: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agreement: Option<StoredAgreement>,
    done: Vec<Option<Timestamp>>,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct StoredAgreement {
    how: String,
    at: Timestamp,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct StoredSupervision {
    number: u32,
    instruction: String,
    by: String,
    at: Timestamp,
    answer_by: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answered_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    missed_at: Option<Timestamp>,
    urgings: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

fn first() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_first(cycle: &u32) -> bool {
    *cycle == 1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_false(is: &bool) -> bool {
    !is
}

impl From<&Handling> for Stored {
    fn from(handling: &Handling) -> Self {
        let handling = handling.clone();
        Self {
            reported_at: handling.reported_at,
            attempts: handling.attempts,
            reached_by: handling.reached_by.map(|by| by.to_string()),
            close_reason: handling.close_reason,
            transfer: handling.transfer.map(|transfer| StoredTransfer {
                number: transfer.number,
                from: transfer.from,
                to: transfer.to,
                team: transfer.team,
                note: transfer.note,
                by: transfer.by.to_string(),
                at: transfer.at,
            }),
            transfers: handling.transfers,
            team: handling.team,
            receiver: handling.receiver.map(|by| by.to_string()),
            passed_on: handling.passed_on,
            forms: handling.forms.into_iter().collect(),
            plan: handling.plan.map(|plan| StoredPlan {
                version: plan.version,
                cycle: plan.cycle,
                agreement: plan
                    .agreement
                    .map(|agreement| StoredAgreement { how: agreement.how, at: agreement.at }),
                done: plan.done,
            }),
            supervision: handling.supervision.map(|supervision| StoredSupervision {
                number: supervision.number,
                instruction: supervision.instruction,
                by: supervision.by.to_string(),
                at: supervision.at,
                answer_by: supervision.answer_by,
                answered_at: supervision.answered_at,
                missed_at: supervision.missed_at,
                urgings: supervision.urgings,
            }),
            supervisions: handling.supervisions,
            urgings: handling.urgings,
            lacking: handling.lacking.iter().map(|field| field.code().to_owned()).collect(),
        }
    }
}

impl TryFrom<Stored> for Handling {
    type Error = UnknownCode;

    fn try_from(stored: Stored) -> Result<Self, UnknownCode> {
        let lacking = stored.lacking.iter().map(|field| field.parse());
        let lacking = lacking.collect::<Result<_, _>>()?;
        Ok(Self {
            // Only the registration knows it; what was stored since is found in `attend_at`.
            report_at: None,
            reported_at: stored.reported_at,
            attempts: stored.attempts,
            reached_by: stored.reached_by.map(Into::into),
            close_reason: stored.close_reason,
            transfer: stored.transfer.map(|transfer| Transfer {
                number: transfer.number,
                from: transfer.from,
                to: transfer.to,
                team: transfer.team,
                note: transfer.note,
                by: transfer.by.into(),
                at: transfer.at,
            }),
            transfers: stored.transfers,
            team: stored.team,
            receiver: stored.receiver.map(Into::into),
            passed_on: stored.passed_on,
            forms: stored.forms.into_iter().collect(),
            plan: stored.plan.map(|plan| Plan {
                version: plan.version,
                cycle: plan.cycle,
                agreement: plan
                    .agreement
                    .map(|agreement| Agreement { how: agreement.how, at: agreement.at }),
                done: plan.done,
            }),
            supervision: stored.supervision.map(|supervision| Supervision {
                number: supervision.number,
                instruction: supervision.instruction,
                by: supervision.by.into(),
                at: supervision.at,
                answer_by: supervision.answer_by,
                answered_at: supervision.answered_at,
                missed_at: supervision.missed_at,
                urgings: supervision.urgings,
            }),
            supervisions: stored.supervisions,
            urgings: stored.urgings,
            lacking,
            // Follows from the ticket and its policy.
            fields_due: None,
        })
    }
}

/// As it is stored; none where nothing was done yet.
pub(crate) fn handling_json(handling: &Handling) -> Result<Option<Value>, StoreError> {
    let stored = Stored::from(handling);
    if stored == Stored::default() {
        return Ok(None);
    }
    read("ticket.handling", serde_json::to_value(stored)).map(Some)
}

pub(super) fn handling(stored: Option<Value>) -> Result<Handling, StoreError> {
    let stored = stored.map(serde_json::from_value::<Stored>).transpose();
    read("ticket.handling", read("ticket.handling", stored)?.unwrap_or_default().try_into())
}

/// The org unit to which a stored ticket is on its way.
pub(super) fn receiving_unit(stored: Option<&Value>) -> Option<&str> {
    stored?.get("transfer")?.get("to")?.as_str()
}

/// Writes the handling, when the timers look at it next, and who answers for the ticket.
pub(crate) async fn save(conn: &mut PgConnection, ticket: &Ticket) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE ticket SET handling = $2, attend_at = $3, org_unit = $4 WHERE id = $1",
        ticket.id,
        handling_json(&ticket.handling)?,
        ticket.handling.next_alarm().map(|at| at.to_sqlx()) as _,
        ticket.org_unit,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Puts right when the timers look at a handling next, where they have looked and found nothing to do. Whether it was wrong.
pub(crate) async fn rearm(conn: &mut PgConnection, ticket: &Ticket) -> Result<bool, StoreError> {
    let at = ticket.handling.next_alarm();
    let updated = sqlx::query!(
        "UPDATE ticket SET attend_at = $2 WHERE id = $1 AND attend_at IS DISTINCT FROM $2",
        ticket.id,
        at.map(|at| at.to_sqlx()) as _,
    )
    .execute(conn)
    .await?;
    Ok(updated.rows_affected() > 0)
}

/// Where a ticket is.
#[derive(Debug)]
pub(crate) struct Place {
    /// The org unit that answers for it.
    pub(crate) org_unit: String,
    /// The one to which it is on its way.
    pub(crate) receiving: Option<String>,
    /// Whoever was asked first.
    pub(crate) first_contact_owner: String,
}

/// Where a ticket is.
pub(crate) async fn place(conn: &mut PgConnection, id: Uuid) -> Result<Option<Place>, StoreError> {
    Ok(sqlx::query_as!(
        Place,
        "SELECT org_unit, handling #>> '{transfer,to}' AS receiving, first_contact_owner FROM ticket WHERE id = $1",
        id
    )
    .fetch_optional(conn)
    .await?)
}

/// Locks the ticket for this transaction, the first thing that every change does, and tells where it is.
pub(crate) async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<Option<Place>, StoreError> {
    Ok(sqlx::query_as!(
        Place,
        "SELECT org_unit, handling #>> '{transfer,to}' AS receiving, first_contact_owner FROM ticket WHERE id = $1
           FOR NO KEY UPDATE",
        id
    )
    .fetch_optional(conn)
    .await?)
}
