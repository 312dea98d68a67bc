//! Tables `answer` and `answer_scope`.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use kefu_identity::OrgUnit;
use kefu_postgres::StoreError;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::answer::{Answer, Draft};

struct Row {
    id: Uuid,
    invitation_id: Uuid,
    org_unit: String,
    customer_id: Option<Uuid>,
    policy_version_id: Uuid,
    verdict: i32,
    comment: String,
    submitted_at: Timestamp,
    submitted_by: String,
}

impl TryFrom<Row> for Answer {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            invitation: row.invitation_id,
            org_unit: super::path("answer.org_unit", &row.org_unit)?,
            customer: row.customer_id,
            policy_version: row.policy_version_id,
            said: Draft { verdict: row.verdict, comment: row.comment },
            submitted_at: row.submitted_at.to_jiff(),
            submitted_by: row.submitted_by,
        })
    }
}

macro_rules! select {
    ($tail:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT a.id, a.invitation_id, a.org_unit, a.customer_id, a.policy_version_id, a.verdict,
                      a.comment, a.submitted_at AS "submitted_at: Timestamp", a.submitted_by
               FROM answer AS a "# + $tail
            $(, $argument)*
        )
    };
}

/// Writes a new one, and puts it into the lists of its org unit and of those above.
pub async fn insert(conn: &mut PgConnection, answer: &Answer) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH inserted AS (
             INSERT INTO answer
                 (id, invitation_id, org_unit, customer_id, policy_version_id, verdict, comment,
                  submitted_at, submitted_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         )
         INSERT INTO answer_scope (org_unit, submitted_at, answer_id)
         SELECT scope, $8, $1 FROM unnest($10::text[]) AS scope",
        answer.id,
        answer.invitation,
        answer.org_unit.as_str(),
        answer.customer,
        answer.policy_version,
        answer.said.verdict,
        answer.said.comment,
        answer.submitted_at.to_sqlx() as _,
        answer.submitted_by,
        &super::scopes(&answer.org_unit),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Those at and below `scope`, newest first, after the answer `after.1` submitted at `after.0`.
pub async fn page(
    conn: &mut PgConnection,
    scope: &OrgUnit,
    after: (jiff::Timestamp, Uuid),
    limit: i64,
) -> Result<Vec<Answer>, StoreError> {
    let rows = select!(
        "JOIN answer_scope AS s ON s.answer_id = a.id
         WHERE s.org_unit = $1 AND (s.submitted_at, s.answer_id) < ($2, $3)
         ORDER BY s.submitted_at DESC, s.answer_id DESC LIMIT $4",
        scope.as_str(),
        after.0.to_sqlx() as _,
        after.1,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Answer::try_from).collect()
}

/// The same of one customer.
pub async fn page_of_customer(
    conn: &mut PgConnection,
    scope: &OrgUnit,
    customer: Uuid,
    after: (jiff::Timestamp, Uuid),
    limit: i64,
) -> Result<Vec<Answer>, StoreError> {
    let rows = select!(
        "WHERE a.customer_id = $2 AND (a.org_unit = $1 OR starts_with(a.org_unit, $1 || '/'))
           AND (a.submitted_at, a.id) < ($3, $4)
         ORDER BY a.submitted_at DESC, a.id DESC LIMIT $5",
        scope.as_str(),
        customer,
        after.0.to_sqlx() as _,
        after.1,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Answer::try_from).collect()
}
