//! Table `escalation`.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::ticket::level;
use super::{column, read};
use crate::domain::Escalation;

/// A row as `ticket_get.sql` reads it: cause, from level, to level, cycle, reason, escalated at.
pub(crate) type EscalationRecord = (String, i16, i16, i32, String, Timestamp);

pub(super) fn escalation(record: EscalationRecord) -> Result<Escalation, StoreError> {
    let (cause, from, to, cycle, reason, at) = record;
    Ok(Escalation {
        cause: read("escalation.cause", cause.parse())?,
        from: level("escalation.from_level", from)?,
        to: level("escalation.to_level", to)?,
        cycle: read("escalation.cycle", u32::try_from(cycle))?,
        reason,
        at: at.to_jiff(),
    })
}

/// A handling form with its place among those of its ticket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed<'a> {
    pub(crate) ticket: Uuid,
    pub(crate) customer: Option<Uuid>,
    pub(crate) position: usize,
    pub(crate) form: &'a Escalation,
}

/// Puts handling forms of any number of tickets on record.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    forms: &[Placed<'_>],
) -> Result<(), StoreError> {
    if forms.is_empty() {
        return Ok(());
    }
    let positions = forms.iter().map(|placed| i16::try_from(placed.position));
    let positions = read("escalation.position", positions.collect::<Result<Vec<_>, _>>())?;
    let cycles = forms.iter().map(|placed| i32::try_from(placed.form.cycle));
    let cycles = read("escalation.cycle", cycles.collect::<Result<Vec<_>, _>>())?;
    sqlx::query!(
        "INSERT INTO escalation
             (ticket_id, position, customer_id, cause, from_level, to_level, cycle, reason, escalated_at)
         SELECT * FROM unnest(
             $1::uuid[], $2::smallint[], $3::uuid[], $4::text[], $5::smallint[], $6::smallint[], $7::integer[],
             $8::text[], $9::timestamptz[])",
        &column!(forms, |placed| placed.ticket),
        &positions,
        &column!(forms, |placed| placed.customer) as _,
        &column!(forms, |placed| placed.form.cause.code()) as _,
        &column!(forms, |placed| i16::from(placed.form.from.number())),
        &column!(forms, |placed| i16::from(placed.form.to.number())),
        &cycles,
        &column!(forms, |placed| placed.form.reason.as_str()) as _,
        &column!(forms, |placed| placed.form.at.to_sqlx()) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}
