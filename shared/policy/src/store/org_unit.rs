//! Table `org_unit`.

use jiff_sqlx::ToSqlx as _;
use kefu_api::customer::v1::OrgUnitChanged;
use kefu_postgres::StoreError;
use sqlx::PgConnection;
use uuid::Uuid;

pub(crate) async fn exists(conn: &mut PgConnection, path: &str) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM org_unit WHERE path = $1) AS "exists!""#,
        path
    )
    .fetch_one(conn)
    .await?)
}

/// A repeated or overtaken event changes nothing.
pub(crate) async fn upsert(
    conn: &mut PgConnection,
    id: Uuid,
    revision: i64,
    occurred_at: jiff::Timestamp,
    event: &OrgUnitChanged,
) -> Result<(), StoreError> {
    let title = event.title.as_ref();
    sqlx::query!(
        "INSERT INTO org_unit (path, id, title_en, title_zh, revision, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)
         ON CONFLICT (path) DO UPDATE
         SET title_en = excluded.title_en, title_zh = excluded.title_zh,
             revision = excluded.revision, updated_at = excluded.updated_at
         WHERE org_unit.revision < excluded.revision",
        event.path,
        id,
        title.map_or("", |title| title.en.as_str()),
        title.map_or("", |title| title.zh.as_str()),
        revision,
        occurred_at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}
