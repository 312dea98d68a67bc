//! Table `plan_item`: who does what by when (T-10).

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::{column, read};
use crate::domain::{PlanItem, Ticket};

/// Puts a plan on record, in the place of the one before.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    ticket: &Ticket,
    customer: Option<Uuid>,
    version: u32,
    items: &[PlanItem],
) -> Result<(), StoreError> {
    supersede(conn, ticket.id).await?;
    sqlx::query!(
        "INSERT INTO plan_item (ticket_id, version, position, customer_id, org_unit, who, what, due_at)
         SELECT $1, $2, item.position::smallint, $3, $4, item.who, item.what, item.due_at
         FROM unnest($5::text[], $6::text[], $7::timestamptz[]) WITH ORDINALITY
             AS item (who, what, due_at, position)",
        ticket.id,
        read("plan_item.version", i32::try_from(version))?,
        customer,
        ticket.org_unit,
        &column!(items, |item| item.who.as_str()) as _,
        &column!(items, |item| item.what.as_str()) as _,
        &column!(items, |item| item.due.to_sqlx()) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The present plan counts no more: another takes its place, or the ticket has ended.
pub(crate) async fn supersede(conn: &mut PgConnection, ticket: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE plan_item SET superseded = true WHERE ticket_id = $1 AND NOT superseded",
        ticket
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The ticket is open again, and its present plan counts as before, wherever the ticket is now.
pub(crate) async fn revive(
    conn: &mut PgConnection,
    ticket: Uuid,
    version: u32,
    org_unit: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE plan_item SET superseded = false, org_unit = $3 WHERE ticket_id = $1 AND version = $2",
        ticket,
        read("plan_item.version", i32::try_from(version))?,
        org_unit,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Puts on record that an item was done, by whom and when.
pub(crate) async fn done(
    conn: &mut PgConnection,
    ticket: Uuid,
    (version, item): (u32, u32),
    (by, at): (&str, jiff::Timestamp),
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE plan_item SET done_at = $4, done_by = $5
         WHERE ticket_id = $1 AND version = $2 AND position = $3 AND done_at IS NULL",
        ticket,
        read("plan_item.version", i32::try_from(version))?,
        read("plan_item.position", i16::try_from(item))?,
        at.to_sqlx() as _,
        by,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Another org unit answers for the ticket and for its plan.
pub(crate) async fn hand_over(conn: &mut PgConnection, ticket: &Ticket) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE plan_item SET org_unit = $2 WHERE ticket_id = $1 AND NOT superseded",
        ticket.id,
        ticket.org_unit,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// An item on record.
#[derive(Debug)]
pub(crate) struct ItemRow {
    pub(crate) ticket_id: Uuid,
    pub(crate) position: i16,
    pub(crate) who: String,
    pub(crate) what: String,
    pub(crate) due_at: Timestamp,
    pub(crate) done_at: Option<Timestamp>,
    pub(crate) done_by: Option<String>,
}

/// The items of a plan, in order.
pub(crate) async fn items(
    conn: &mut PgConnection,
    ticket: Uuid,
    version: u32,
) -> Result<Vec<ItemRow>, StoreError> {
    Ok(sqlx::query_as!(
        ItemRow,
        r#"SELECT ticket_id, position, who, what, due_at AS "due_at: Timestamp", done_at AS "done_at: Timestamp", done_by
           FROM plan_item WHERE ticket_id = $1 AND version = $2 ORDER BY position"#,
        ticket,
        read("plan_item.version", i32::try_from(version))?,
    )
    .fetch_all(conn)
    .await?)
}

/// What is overdue at `now` at and below an org unit, longest overdue first: of each org unit the first ones by the index,
/// then the first of those. As in ticket_list.sql.
pub(crate) async fn overdue(
    conn: &mut PgConnection,
    org_unit: &str,
    now: jiff::Timestamp,
    after: Option<(jiff::Timestamp, Uuid, i16)>,
    limit: i64,
) -> Result<Vec<ItemRow>, StoreError> {
    let at = after.map(|(at, ..)| at.to_sqlx());
    let id = after.map(|(_, id, _)| id);
    let position = after.map(|(.., position)| position);
    Ok(sqlx::query_as!(
        ItemRow,
        r#"WITH scope AS (
               SELECT DISTINCT org_unit FROM number_counter
               WHERE org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0')
           )
           SELECT found.ticket_id AS "ticket_id!", found.position AS "position!", found.who AS "who!",
                  found.what AS "what!", found.due_at AS "due_at!: Timestamp", found.done_at AS "done_at: Timestamp",
                  found.done_by
           FROM scope CROSS JOIN LATERAL (
               SELECT * FROM plan_item
               WHERE plan_item.org_unit = scope.org_unit AND plan_item.done_at IS NULL AND NOT plan_item.superseded
                 AND plan_item.due_at < $2
                 AND ($3::timestamptz IS NULL
                      OR (plan_item.due_at, plan_item.ticket_id, plan_item.position) > ($3, $4::uuid, $5::smallint))
               ORDER BY plan_item.due_at, plan_item.ticket_id, plan_item.position
               LIMIT $6
           ) AS found
           ORDER BY found.due_at, found.ticket_id, found.position
           LIMIT $6"#,
        org_unit,
        now.to_sqlx() as _,
        at as _,
        id as _,
        position as _,
        limit,
    )
    .fetch_all(conn)
    .await?)
}
