//! Table `work_order_counter`: the numbers of work orders, without a gap (T-16).
//!
//! A number is the counter's next value, read under a lock that the inserting transaction holds to its end. So the number
//! is given if and only if the order is committed: a rollback, a crash or a caller who gives up takes both back. A sequence
//! of the database would keep the number and lose the order.

use sqlx::{PgConnection, PgPool};

use kefu_identity::OrgUnit;
use kefu_postgres::StoreError;

use super::number;

/// A counter that this transaction has locked.
#[derive(Debug)]
pub(crate) struct Counter {
    /// What stands in the number for the dispatch centre.
    pub(crate) label: String,
    /// The last number that was given; 0 before the first.
    pub(crate) last_number: i64,
}

impl Counter {
    /// The next order's sequence and number in `year`.
    pub(crate) fn next(&self, year: i16) -> (i64, String) {
        let sequence = self.last_number + 1;
        (sequence, format!("W-{year}-{}-{sequence:06}", self.label))
    }
}

/// Makes sure that a dispatch centre has a counter for a year.
pub(crate) async fn ensure(pool: &PgPool, centre: &OrgUnit, year: i16) -> Result<(), StoreError> {
    number::ensure_counter(pool, centre, year).await?;
    sqlx::query!(
        "INSERT INTO work_order_counter (dispatch_centre, year, label, last_number)
         SELECT org_unit, year, label, 0 FROM number_counter WHERE org_unit = $1 AND year = $2
         ON CONFLICT DO NOTHING",
        centre.as_str(),
        year,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Locks a counter for this transaction; none if there is none yet.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    centre: &OrgUnit,
    year: i16,
) -> Result<Option<Counter>, StoreError> {
    Ok(sqlx::query_as!(
        Counter,
        "SELECT label, last_number FROM work_order_counter
         WHERE dispatch_centre = $1 AND year = $2 FOR NO KEY UPDATE",
        centre.as_str(),
        year,
    )
    .fetch_optional(conn)
    .await?)
}

/// Takes the next number of a counter that this transaction has locked.
pub(crate) async fn take(
    conn: &mut PgConnection,
    centre: &str,
    year: i16,
    sequence: i64,
) -> Result<(), StoreError> {
    let taken = sqlx::query!(
        "UPDATE work_order_counter SET last_number = $3::bigint
         WHERE dispatch_centre = $1 AND year = $2 AND last_number = $3::bigint - 1",
        centre,
        year,
        sequence,
    )
    .execute(conn)
    .await?
    .rows_affected();
    if taken == 1 {
        Ok(())
    } else {
        Err(StoreError::Corrupt("a counter changed although it was locked".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t16_a_number_says_year_centre_and_count() {
        let counter = Counter { label: "riverside".into(), last_number: 41 };
        assert_eq!(counter.next(2026), (42, "W-2026-riverside-000042".to_owned()));
        let many = Counter { last_number: 9_999_999, ..counter };
        assert_eq!(many.next(2026).1, "W-2026-riverside-10000000");
    }
}
