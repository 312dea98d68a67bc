//! Table `product_hold`.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::violation::step;
use crate::domain::ProductHold;

struct Row {
    id: Uuid,
    revision: i64,
    org_unit: String,
    product: String,
    ticket_id: Option<Uuid>,
    customer_id: Option<Uuid>,
    reason: String,
    placed_by: String,
    placed_at: Timestamp,
    lift_reason: Option<String>,
    lifted_by: Option<String>,
    lifted_at: Option<Timestamp>,
}

impl Row {
    fn into_hold(self) -> Result<ProductHold, StoreError> {
        let (at, by) = (self.lifted_at, self.lifted_by.as_deref());
        let lifted = match self.lift_reason {
            None => None,
            Some(reason) => Some((reason, step("product_hold.lifted_at", at, by)?)),
        };
        let (placed_at, placed_by) = (Some(self.placed_at), Some(&*self.placed_by));
        Ok(ProductHold {
            id: self.id,
            org_unit: self.org_unit,
            product: self.product,
            ticket: self.ticket_id,
            customer: self.customer_id,
            reason: self.reason,
            placed: step("product_hold.placed_at", placed_at, placed_by)?,
            lifted,
            revision: self.revision,
        })
    }
}

/// Places a hold. False if one is in force for this org unit and product: whoever waits for another transaction that
/// places the same one sees what became of it.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    hold: &ProductHold,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query!(
        "INSERT INTO product_hold
             (id, revision, org_unit, product, ticket_id, customer_id, reason, placed_by, placed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (org_unit, lower(normalize(product, NFKC))) WHERE lifted_at IS NULL DO NOTHING",
        hold.id,
        hold.revision,
        hold.org_unit,
        hold.product,
        hold.ticket,
        hold.customer,
        hold.reason,
        &*hold.placed.by,
        hold.placed.at.to_sqlx() as _,
    )
    .execute(conn)
    .await?
    .rows_affected();
    Ok(inserted == 1)
}

/// The one in force.
pub(crate) async fn in_force(
    conn: &mut PgConnection,
    org_unit: &str,
    product: &str,
) -> Result<Option<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT id FROM product_hold
         WHERE org_unit = $1 AND lower(normalize(product, NFKC)) = lower(normalize($2, NFKC)) AND lifted_at IS NULL",
        org_unit,
        product,
    )
    .fetch_optional(conn)
    .await?)
}

/// Writes that a hold was lifted; it must still be in force.
pub(crate) async fn lift(conn: &mut PgConnection, hold: &ProductHold) -> Result<(), StoreError> {
    let lifted = hold.lifted.as_ref();
    let updated = sqlx::query!(
        "UPDATE product_hold SET revision = $2, lift_reason = $3, lifted_by = $4, lifted_at = $5
         WHERE id = $1 AND revision = $2::bigint - 1 AND lifted_at IS NULL",
        hold.id,
        hold.revision,
        lifted.map(|(reason, _)| reason.as_str()),
        lifted.map(|(_, step)| &*step.by),
        lifted.map(|(_, step)| step.at.to_sqlx()) as _,
    )
    .execute(conn)
    .await?
    .rows_affected();
    if updated == 1 {
        Ok(())
    } else {
        Err(StoreError::Corrupt("a hold changed although it was locked".to_owned()))
    }
}

/// Locks a hold for this transaction, the first thing that every change does. False if there is none.
pub(crate) async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<bool, StoreError> {
    let locked =
        sqlx::query_scalar!("SELECT id FROM product_hold WHERE id = $1 FOR NO KEY UPDATE", id)
            .fetch_optional(conn)
            .await?;
    Ok(locked.is_some())
}

/// The hold with this id.
pub(crate) async fn find(
    conn: &mut PgConnection,
    id: Uuid,
) -> Result<Option<ProductHold>, StoreError> {
    Ok(by_id(conn, &[id]).await?.pop())
}

async fn by_id(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<ProductHold>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id, revision, org_unit, product, ticket_id, customer_id, reason, placed_by,
                  placed_at AS "placed_at: Timestamp", lift_reason, lifted_by, lifted_at AS "lifted_at: Timestamp"
           FROM product_hold WHERE id = ANY ($1::uuid[]) ORDER BY placed_at DESC, id DESC"#,
        ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::into_hold).collect()
}

/// The newest holds at and below an org unit, newest first; those that were lifted only if asked for.
pub(crate) async fn list(
    conn: &mut PgConnection,
    org_unit: &str,
    include_lifted: bool,
    after: Option<(jiff::Timestamp, Uuid)>,
    limit: i64,
) -> Result<Vec<ProductHold>, StoreError> {
    let (at, id) = after.unzip();
    let ids = sqlx::query_file_scalar!(
        "src/store/product_hold_list.sql",
        org_unit,
        at.map(|at| at.to_sqlx()) as _,
        id as _,
        limit,
        include_lifted,
    )
    .fetch_all(&mut *conn)
    .await?;
    by_id(conn, &ids).await
}
