//! Table `saved_view`: queues under names (T-23).

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::read;
use crate::domain::SavedView;

/// The most views of one owner.
pub(crate) const MAX_VIEWS: usize = 100;

#[derive(Debug)]
struct Row {
    id: Uuid,
    revision: i64,
    owner: String,
    org_unit: String,
    title: String,
    shared: bool,
    filter: String,
    sort: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl TryFrom<Row> for SavedView {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            revision: row.revision,
            owner: row.owner,
            org_unit: row.org_unit,
            title: row.title,
            shared: row.shared,
            filter: row.filter,
            order: read("saved_view.sort", row.sort.parse())?,
            created_at: row.created_at.to_jiff(),
            updated_at: row.updated_at.to_jiff(),
        })
    }
}

/// Adds a view in a free place of its owner's; false if there is none. Two that take the same place at the same time:
/// the later one is not unique.
pub(crate) async fn insert(conn: &mut PgConnection, view: &SavedView) -> Result<bool, StoreError> {
    let inserted = sqlx::query!(
        "INSERT INTO saved_view
             (id, revision, owner, slot, org_unit, title, shared, filter, sort, created_at, updated_at)
         SELECT $1, $2, $3, slot, $4, $5, $6, $7, $8, $9, $9
         FROM generate_series(1, 100) AS slot
         WHERE NOT EXISTS (SELECT FROM saved_view AS other WHERE other.owner = $3 AND other.slot = slot.slot)
         ORDER BY slot
         LIMIT 1",
        view.id,
        view.revision,
        view.owner,
        view.org_unit,
        view.title,
        view.shared,
        view.filter,
        view.order.code(),
        view.created_at.to_sqlx() as _,
    )
    .execute(conn)
    .await?
    .rows_affected();
    Ok(inserted == 1)
}

/// The view with this id.
pub(crate) async fn find(
    conn: &mut PgConnection,
    id: Uuid,
) -> Result<Option<SavedView>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id, revision, owner, org_unit, title, shared, filter, sort, created_at AS "created_at: Timestamp",
                  updated_at AS "updated_at: Timestamp"
           FROM saved_view WHERE id = $1"#,
        id,
    )
    .fetch_optional(conn)
    .await?;
    row.map(TryInto::try_into).transpose()
}

/// The same, locked for this transaction.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    id: Uuid,
) -> Result<Option<SavedView>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id, revision, owner, org_unit, title, shared, filter, sort, created_at AS "created_at: Timestamp",
                  updated_at AS "updated_at: Timestamp"
           FROM saved_view WHERE id = $1 FOR UPDATE"#,
        id,
    )
    .fetch_optional(conn)
    .await?;
    row.map(TryInto::try_into).transpose()
}

/// The views of an owner and the shared ones at and below an org unit, oldest first, after one of them.
pub(crate) async fn list(
    conn: &mut PgConnection,
    org_unit: &str,
    owner: &str,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<SavedView>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id, revision, owner, org_unit, title, shared, filter, sort, created_at AS "created_at: Timestamp",
                  updated_at AS "updated_at: Timestamp"
           FROM saved_view
           WHERE id > $3
             AND (org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0'))
             AND (shared OR owner = $2)
           ORDER BY id
           LIMIT $4"#,
        org_unit,
        owner,
        after.unwrap_or(Uuid::nil()),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Writes what may have changed of a view that this transaction has locked.
pub(crate) async fn update(conn: &mut PgConnection, view: &SavedView) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE saved_view SET revision = $2, title = $3, shared = $4, filter = $5, sort = $6, updated_at = $7
         WHERE id = $1",
        view.id,
        view.revision,
        view.title,
        view.shared,
        view.filter,
        view.order.code(),
        view.updated_at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes a view.
pub(crate) async fn delete(conn: &mut PgConnection, id: Uuid) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM saved_view WHERE id = $1", id).execute(conn).await?;
    Ok(())
}
