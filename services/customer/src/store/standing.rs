//! Table `standing`. Whoever writes it has locked the customer, so that two first grades for one place wait for each
//! other instead of colliding; the unique constraint is the proof.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use kefu_identity::OrgUnit;
use kefu_postgres::StoreError;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::standing::{Rating, Standing};

/// Violated by a standing in a department that does not exist.
pub const DEPARTMENT_FKEY: &str = "standing_department_fkey";

struct Row {
    id: Uuid,
    customer_id: Uuid,
    department: String,
    product_line: String,
    grade: String,
    reason: String,
    graded_at: Timestamp,
    policy_version_id: Uuid,
    revision: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl TryFrom<Row> for Standing {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            customer_id: row.customer_id,
            department: super::path("standing.department", &row.department)?,
            product_line: row.product_line,
            rating: Rating {
                grade: row.grade,
                reason: row.reason,
                policy_version: row.policy_version_id,
            },
            graded_at: row.graded_at.to_jiff(),
            revision: row.revision,
            created_at: row.created_at.to_jiff(),
            updated_at: row.updated_at.to_jiff(),
        })
    }
}

macro_rules! select {
    ($tail:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id, customer_id, department, product_line, grade, reason,
                      graded_at AS "graded_at: Timestamp", policy_version_id, revision,
                      created_at AS "created_at: Timestamp", updated_at AS "updated_at: Timestamp"
               FROM standing "# + $tail
            $(, $argument)*
        )
    };
}

/// The standing in one place.
pub async fn find(
    conn: &mut PgConnection,
    customer_id: Uuid,
    department: &OrgUnit,
    product_line: &str,
) -> Result<Option<Standing>, StoreError> {
    let row = select!(
        "WHERE customer_id = $1 AND department = $2 AND product_line = $3",
        customer_id,
        department.as_str(),
        product_line,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Standing::try_from).transpose()
}

/// The departments in which a customer has standings.
pub async fn departments(
    conn: &mut PgConnection,
    customer_id: Uuid,
) -> Result<Vec<OrgUnit>, StoreError> {
    let departments = sqlx::query_scalar!(
        "SELECT DISTINCT department FROM standing WHERE customer_id = $1",
        customer_id,
    )
    .fetch_all(conn)
    .await?;
    departments.iter().map(|path| super::path("standing.department", path)).collect()
}

/// Those of a customer in some departments, by department and product line, after the standing `after`; from the beginning
/// if the customer has none of that id.
pub async fn page(
    conn: &mut PgConnection,
    customer_id: Uuid,
    departments: &[OrgUnit],
    after: Uuid,
    limit: i64,
) -> Result<Vec<Standing>, StoreError> {
    let departments: Vec<String> = departments.iter().map(ToString::to_string).collect();
    let rows = select!(
        "WHERE customer_id = $1 AND department = ANY($4) AND (department, product_line) > (
             coalesce((SELECT s.department FROM standing AS s WHERE s.id = $2 AND s.customer_id = $1), ''),
             coalesce((SELECT s.product_line FROM standing AS s WHERE s.id = $2 AND s.customer_id = $1), ''))
         ORDER BY department, product_line LIMIT $3",
        customer_id,
        after,
        limit,
        &departments,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Standing::try_from).collect()
}

/// Writes a new one.
pub async fn insert(conn: &mut PgConnection, standing: &Standing) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO standing
             (id, customer_id, department, product_line, grade, reason, graded_at,
              policy_version_id, revision, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        standing.id,
        standing.customer_id,
        standing.department.as_str(),
        standing.product_line,
        standing.rating.grade,
        standing.rating.reason,
        standing.graded_at.to_sqlx() as _,
        standing.rating.policy_version,
        standing.revision,
        standing.created_at.to_sqlx() as _,
        standing.updated_at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes a changed one.
pub async fn update(conn: &mut PgConnection, standing: &Standing) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE standing
         SET grade = $2, reason = $3, graded_at = $4, policy_version_id = $5, revision = $6,
             updated_at = $7
         WHERE id = $1",
        standing.id,
        standing.rating.grade,
        standing.rating.reason,
        standing.graded_at.to_sqlx() as _,
        standing.rating.policy_version,
        standing.revision,
        standing.updated_at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}
