//! Table `verdict`.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::read;
use crate::domain::Verdict;

/// A row as `ticket_get.sql` reads it: value, cycle, source, recorded by, comment, recorded at, given at.
pub(crate) type VerdictRecord = (i16, i32, String, String, String, Timestamp, Option<Timestamp>);

pub(super) fn verdict(record: VerdictRecord) -> Result<Verdict, StoreError> {
    let (value, cycle, source, recorded_by, comment, at, given_at) = record;
    Ok(Verdict {
        value: read("verdict.value", u8::try_from(value))?,
        cycle: read("verdict.cycle", u32::try_from(cycle))?,
        source: read("verdict.source", source.parse())?,
        recorded_by: recorded_by.into(),
        comment,
        // Those of before anybody asked for it were given when they were entered, as far as is known.
        given_at: given_at.unwrap_or(at).to_jiff(),
        at: at.to_jiff(),
    })
}

/// Puts a verdict on record. Each cycle has one at most.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    ticket: Uuid,
    customer: Option<Uuid>,
    verdict: &Verdict,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO verdict (ticket_id, cycle, customer_id, value, source, recorded_by, comment, recorded_at, given_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        ticket,
        read("verdict.cycle", i32::try_from(verdict.cycle))?,
        customer,
        i16::from(verdict.value),
        verdict.source.code(),
        &*verdict.recorded_by,
        verdict.comment,
        verdict.at.to_sqlx() as _,
        verdict.given_at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}
