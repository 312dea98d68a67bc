//! Table `supervision`: tickets that headquarters watches (T-15).

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::read;
use crate::domain::{Supervision, Ticket};

/// Writes a supervision as it is; with `ended_at` when it ended.
pub(crate) async fn save(
    conn: &mut PgConnection,
    ticket: &Ticket,
    customer: Option<Uuid>,
    supervision: &Supervision,
    ended_at: Option<jiff::Timestamp>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO supervision
             (ticket_id, number, customer_id, org_unit, instruction, supervised_by, supervised_at, answer_by, answered_at,
              missed_at, urgings, ended_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (ticket_id, number) DO UPDATE SET
             org_unit = excluded.org_unit, answer_by = excluded.answer_by, answered_at = excluded.answered_at,
             missed_at = excluded.missed_at, urgings = excluded.urgings, ended_at = excluded.ended_at",
        ticket.id,
        read("supervision.number", i32::try_from(supervision.number))?,
        customer,
        ticket.org_unit,
        supervision.instruction,
        &*supervision.by,
        supervision.at.to_sqlx() as _,
        supervision.answer_by.to_sqlx() as _,
        supervision.answered_at.map(|at| at.to_sqlx()) as _,
        supervision.missed_at.map(|at| at.to_sqlx()) as _,
        read("supervision.urgings", i32::try_from(supervision.urgings))?,
        ended_at.map(|at| at.to_sqlx()) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A supervision on record.
#[derive(Debug)]
pub(crate) struct SupervisionRow {
    pub(crate) ticket_id: Uuid,
    number: i32,
    pub(crate) org_unit: String,
    instruction: String,
    supervised_by: String,
    supervised_at: Timestamp,
    pub(crate) answer_by: Timestamp,
    answered_at: Option<Timestamp>,
    missed_at: Option<Timestamp>,
    urgings: i32,
}

impl SupervisionRow {
    /// What is supervised how.
    pub(crate) fn supervision(&self) -> Result<Supervision, StoreError> {
        Ok(Supervision {
            number: read("supervision.number", u32::try_from(self.number))?,
            instruction: self.instruction.clone(),
            by: self.supervised_by.as_str().into(),
            at: self.supervised_at.to_jiff(),
            answer_by: self.answer_by.to_jiff(),
            answered_at: self.answered_at.map(Timestamp::to_jiff),
            missed_at: self.missed_at.map(Timestamp::to_jiff),
            urgings: read("supervision.urgings", u32::try_from(self.urgings))?,
        })
    }
}

/// Which supervisions, and from where on.
#[derive(Clone, Debug)]
pub(crate) struct SupervisionQuery {
    /// At and below this org unit.
    pub(crate) org_unit: String,
    /// Only those of which the answer is owed since before then.
    pub(crate) overdue_at: Option<jiff::Timestamp>,
    /// After this one.
    pub(crate) after: Option<(jiff::Timestamp, Uuid)>,
    /// At most so many.
    pub(crate) limit: i64,
}

/// The supervisions that go on, the next answer first: of each org unit the first ones by the index, then the first of
/// those. As in ticket_list.sql.
pub(crate) async fn list(
    conn: &mut PgConnection,
    query: &SupervisionQuery,
) -> Result<Vec<SupervisionRow>, StoreError> {
    let (at, id) = query.after.unzip();
    Ok(sqlx::query_as!(
        SupervisionRow,
        r#"WITH scope AS (
               SELECT DISTINCT org_unit FROM number_counter
               WHERE org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0')
           )
           SELECT found.ticket_id AS "ticket_id!", found.number AS "number!", found.org_unit AS "org_unit!",
                  found.instruction AS "instruction!", found.supervised_by AS "supervised_by!",
                  found.supervised_at AS "supervised_at!: Timestamp", found.answer_by AS "answer_by!: Timestamp",
                  found.answered_at AS "answered_at: Timestamp", found.missed_at AS "missed_at: Timestamp",
                  found.urgings AS "urgings!"
           FROM scope CROSS JOIN LATERAL (
               SELECT * FROM supervision
               WHERE supervision.org_unit = scope.org_unit AND supervision.ended_at IS NULL
                 AND ($2::timestamptz IS NULL OR (supervision.answered_at IS NULL AND supervision.answer_by < $2))
                 AND ($3::timestamptz IS NULL OR (supervision.answer_by, supervision.ticket_id) > ($3, $4::uuid))
               ORDER BY supervision.answer_by, supervision.ticket_id
               LIMIT $5
           ) AS found
           ORDER BY found.answer_by, found.ticket_id
           LIMIT $5"#,
        query.org_unit,
        query.overdue_at.map(|at| at.to_sqlx()) as _,
        at.map(|at| at.to_sqlx()) as _,
        id as _,
        query.limit,
    )
    .fetch_all(conn)
    .await?)
}
