//! Tables `customer_copy`, `contact_copy`, `standing_copy`: what this context keeps of the customer context.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use kefu_postgres::StoreError;

/// A grade in a department.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StandingRow {
    pub(crate) department: String,
    /// Empty means all.
    pub(crate) product_line: String,
    pub(crate) grade: String,
}

/// A customer with its standings, and the stamp at which they were read; `None` for one that is not known here.
pub(crate) async fn find(
    executor: impl sqlx::PgExecutor<'_>,
    customer: Uuid,
) -> Result<Option<(i64, Vec<StandingRow>)>, StoreError> {
    // One statement, so that stamp and standings belong together.
    let rows = sqlx::query!(
        r#"SELECT stamp, department AS "department?", product_line AS "product_line?", grade AS "grade?"
           FROM customer_copy LEFT JOIN standing_copy ON standing_copy.customer_id = customer_copy.id
           WHERE customer_copy.id = $1"#,
        customer,
    )
    .fetch_all(executor)
    .await?;
    let Some(stamp) = rows.first().map(|row| row.stamp) else { return Ok(None) };
    let standings = rows.into_iter().filter_map(|row| {
        let (department, product_line) = (row.department?, row.product_line?);
        Some(StandingRow { department, product_line, grade: row.grade? })
    });
    Ok(Some((stamp, standings.collect())))
}

/// Whose contact it is; `None` for one that is not known here.
pub(crate) async fn customer_of_contact(
    pool: &PgPool,
    contact: Uuid,
) -> Result<Option<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!("SELECT customer_id FROM contact_copy WHERE id = $1", contact)
        .fetch_optional(pool)
        .await?)
}

/// Keeps a customer. An overtaken revision changes nothing; revision 0 is one that was asked for.
pub(crate) async fn upsert_customer(
    conn: &mut PgConnection,
    customer: Uuid,
    revision: i64,
    org_unit: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO customer_copy (id, revision, org_unit, stamp, updated_at) VALUES ($1, $2, $3, 1, $4)
         ON CONFLICT (id) DO UPDATE
         SET revision = excluded.revision, org_unit = excluded.org_unit, updated_at = excluded.updated_at
         WHERE customer_copy.revision < excluded.revision",
        customer,
        revision,
        org_unit,
        now.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Keeps a contact. An overtaken revision changes nothing; revision 0 is one that was asked for.
pub(crate) async fn upsert_contact(
    conn: &mut PgConnection,
    contact: Uuid,
    customer: Uuid,
    revision: i64,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO contact_copy (id, customer_id, revision) VALUES ($1, $2, $3)
         ON CONFLICT (id) DO UPDATE SET customer_id = excluded.customer_id, revision = excluded.revision
         WHERE contact_copy.revision < excluded.revision",
        contact,
        customer,
        revision,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Keeps a standing and, if it is news, counts up the customer's stamp, so that nobody goes on with what was.
pub(crate) async fn upsert_standing(
    conn: &mut PgConnection,
    customer: Uuid,
    revision: i64,
    standing: &StandingRow,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH news AS (
             INSERT INTO standing_copy (customer_id, department, product_line, grade, revision)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (customer_id, department, product_line) DO UPDATE
             SET grade = excluded.grade, revision = excluded.revision
             WHERE standing_copy.revision < excluded.revision
             RETURNING customer_id
         )
         INSERT INTO customer_copy (id, revision, org_unit, stamp, updated_at)
         SELECT customer_id, 0, '', 1, $6 FROM news
         ON CONFLICT (id) DO UPDATE SET stamp = customer_copy.stamp + 1",
        customer,
        standing.department,
        standing.product_line,
        standing.grade,
        revision,
        now.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}
