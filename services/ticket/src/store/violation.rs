//! Table `violation`.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use crate::domain::{ProposedViolation, Text};

/// A violation on record.
#[derive(Clone, Debug)]
pub(crate) struct RecordedViolation {
    pub(crate) id: Uuid,
    /// What it is about: a ticket, a work order, or both.
    pub(crate) ticket: Option<Uuid>,
    pub(crate) work_order: Option<Uuid>,
    pub(crate) org_unit: String,
    pub(crate) proposed: ProposedViolation,
    pub(crate) created_at: jiff::Timestamp,
}

/// Which violations, and from where on.
#[derive(Clone, Debug)]
pub(crate) struct ViolationQuery {
    /// At and below this org unit.
    pub(crate) org_unit: String,
    /// Of this ticket only.
    pub(crate) ticket: Option<Uuid>,
    /// Older than this one.
    pub(crate) after: Option<(jiff::Timestamp, Uuid)>,
    /// At most so many.
    pub(crate) limit: i64,
}

/// Proposes a violation.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    customer: Option<Uuid>,
    violation: &RecordedViolation,
) -> Result<(), StoreError> {
    let RecordedViolation { id, ticket, work_order, org_unit, proposed, created_at } = violation;
    sqlx::query!(
        "INSERT INTO violation
             (id, ticket_id, customer_id, org_unit, code, description_en, description_zh, staff, evidence, amount_cents,
              currency, state, proposed_at, created_at, work_order_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'proposed', $12, $13, $14)",
        id,
        *ticket,
        customer,
        org_unit,
        proposed.code,
        proposed.description.en,
        proposed.description.zh,
        &*proposed.staff,
        proposed.evidence,
        proposed.amount_cents,
        proposed.currency.as_deref(),
        proposed.at.to_sqlx() as _,
        created_at.to_sqlx() as _,
        *work_order,
    )
    .execute(conn)
    .await?;
    Ok(())
}

struct Row {
    id: Uuid,
    ticket_id: Option<Uuid>,
    work_order_id: Option<Uuid>,
    org_unit: String,
    code: String,
    description_en: String,
    description_zh: String,
    staff: String,
    evidence: String,
    amount_cents: i64,
    currency: Option<String>,
    proposed_at: Timestamp,
    created_at: Timestamp,
}

impl From<Row> for RecordedViolation {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            ticket: row.ticket_id,
            work_order: row.work_order_id,
            org_unit: row.org_unit,
            proposed: ProposedViolation {
                code: row.code,
                description: Text::new(row.description_en, row.description_zh),
                staff: row.staff.into(),
                evidence: row.evidence,
                amount_cents: row.amount_cents,
                currency: row.currency,
                at: row.proposed_at.to_jiff(),
            },
            created_at: row.created_at.to_jiff(),
        }
    }
}

/// The newest violations that the query asks for, newest first: one statement.
pub(crate) async fn list(
    conn: &mut PgConnection,
    query: &ViolationQuery,
) -> Result<Vec<RecordedViolation>, StoreError> {
    let (at, id) = query.after.unzip();
    let at = at.map(|at| at.to_sqlx());
    let rows = match query.ticket {
        None => {
            sqlx::query_file_as!(
                Row,
                "src/store/violation_list.sql",
                query.org_unit,
                at as _,
                id as _,
                query.limit,
            )
            .fetch_all(conn)
            .await?
        }
        Some(ticket) => {
            sqlx::query_as!(
                Row,
                r#"SELECT id, ticket_id, work_order_id, org_unit, code, description_en, description_zh, staff, evidence, amount_cents,
                          currency, proposed_at AS "proposed_at: Timestamp", created_at AS "created_at: Timestamp"
                   FROM violation
                   WHERE ticket_id = $5
                     AND (org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0'))
                     AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid))
                   ORDER BY created_at DESC, id DESC
                   LIMIT $4"#,
                query.org_unit,
                at as _,
                id as _,
                query.limit,
                ticket,
            )
            .fetch_all(conn)
            .await?
        }
    };
    Ok(rows.into_iter().map(Into::into).collect())
}
