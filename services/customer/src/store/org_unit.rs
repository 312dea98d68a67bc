//! Table `org_unit`, which the policy migrations create and this context alone writes.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use kefu_calendar::Label;
use kefu_identity::OrgUnit as Path;
use kefu_postgres::StoreError;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::org_unit::OrgUnit;

/// Violated by a second org unit with the same path.
pub const PATH_KEY: &str = "org_unit_pkey";

struct Row {
    path: String,
    id: Uuid,
    title_en: String,
    title_zh: String,
    revision: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl TryFrom<Row> for OrgUnit {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            path: super::path("org_unit.path", &row.path)?,
            id: row.id,
            title: Label { en: row.title_en, zh: row.title_zh },
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
            r#"SELECT path, id, title_en, title_zh, revision,
                      created_at AS "created_at: Timestamp", updated_at AS "updated_at: Timestamp"
               FROM org_unit "# + $tail
            $(, $argument)*
        )
    };
}

/// Whether it exists.
pub async fn exists(conn: &mut PgConnection, path: &Path) -> Result<bool, StoreError> {
    kefu_policy::is_known(conn, path).await
}

/// One org unit.
pub async fn get(conn: &mut PgConnection, path: &Path) -> Result<Option<OrgUnit>, StoreError> {
    let row = select!("WHERE path = $1", path.as_str()).fetch_optional(conn).await?;
    row.map(OrgUnit::try_from).transpose()
}

/// One org unit, locked until the transaction ends.
pub async fn lock(conn: &mut PgConnection, path: &Path) -> Result<Option<OrgUnit>, StoreError> {
    let row =
        select!("WHERE path = $1 FOR NO KEY UPDATE", path.as_str()).fetch_optional(conn).await?;
    row.map(OrgUnit::try_from).transpose()
}

/// Those at and below `root`, by path, after the path `after` (empty: from the beginning).
pub async fn page(
    conn: &mut PgConnection,
    root: &Path,
    after: &str,
    limit: i64,
) -> Result<Vec<OrgUnit>, StoreError> {
    // The first two conditions are one range of the primary key: '0' follows '/' in byte order. The third drops the few
    // neighbours in between, such as `group-x` next to `group`.
    let rows = select!(
        "WHERE path >= $1 AND path < $1 || '0' AND (path = $1 OR starts_with(path, $1 || '/'))
             AND path > $2
         ORDER BY path LIMIT $3",
        root.as_str(),
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(OrgUnit::try_from).collect()
}

/// Writes a new one.
pub async fn insert(conn: &mut PgConnection, unit: &OrgUnit) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO org_unit (path, id, title_en, title_zh, revision, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        unit.path.as_str(),
        unit.id,
        unit.title.en,
        unit.title.zh,
        unit.revision,
        unit.created_at.to_sqlx() as _,
        unit.updated_at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes a changed one, locked before.
pub async fn update(conn: &mut PgConnection, unit: &OrgUnit) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE org_unit SET title_en = $2, title_zh = $3, revision = $4, updated_at = $5
         WHERE path = $1",
        unit.path.as_str(),
        unit.title.en,
        unit.title.zh,
        unit.revision,
        unit.updated_at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}
