//! Table `ticket_link`: parents and their children (T-04).

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use crate::domain::Route;

/// A ticket that is locked, and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Locked {
    pub(crate) id: Uuid,
    pub(crate) org_unit: String,
}

/// Locks tickets for this transaction in the order of their ids, so that whoever takes the same ones waits and nobody for
/// each other. Those that do not exist are missing.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    tickets: &[Uuid],
) -> Result<Vec<Locked>, StoreError> {
    Ok(sqlx::query_as!(
        Locked,
        "SELECT id, org_unit FROM ticket WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE",
        tickets
    )
    .fetch_all(conn)
    .await?)
}

/// That a ticket is put under a parent.
#[derive(Debug)]
pub(crate) struct NewLink<'a> {
    pub(crate) child: Uuid,
    pub(crate) parent: Uuid,
    pub(crate) customer: Option<Uuid>,
    pub(crate) answers_before: i32,
    pub(crate) route: Option<&'a Route>,
    pub(crate) by: &'a str,
    pub(crate) at: Timestamp,
}

/// Puts it on record, of tickets that this transaction has locked.
pub(crate) async fn insert(conn: &mut PgConnection, link: &NewLink<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO ticket_link
             (child_id, number, parent_id, customer_id, answers_before, adapter, recipient, linked_by, linked_at)
         SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6, $7, $8 FROM ticket_link WHERE child_id = $1",
        link.child,
        link.parent,
        link.customer as _,
        link.answers_before,
        link.route.map(|route| route.adapter.as_str()),
        link.route.map(|route| route.recipient.as_str()),
        link.by,
        link.at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Puts on record that it is under its parent no more.
pub(crate) async fn end(
    conn: &mut PgConnection,
    child: Uuid,
    (by, at, reason): (&str, Timestamp, &str),
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE ticket_link SET unlinked_by = $2, unlinked_at = $3, unlink_reason = $4
         WHERE child_id = $1 AND unlinked_at IS NULL",
        child,
        by,
        at.to_sqlx() as _,
        reason,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether a ticket has children.
pub(crate) async fn has_children(
    conn: &mut PgConnection,
    parent: Uuid,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM ticket_link WHERE parent_id = $1 AND unlinked_at IS NULL) AS "has!""#,
        parent
    )
    .fetch_one(conn)
    .await?)
}

/// The children of a parent at and below an org unit after one of them, in the order of their ids. Where most of them are
/// likely to be there, `most_within`, the children are read in that order until enough are; else of each org unit that has any
/// the first ones by the index of the children, and then the first of those.
pub(crate) async fn children(
    conn: &mut PgConnection,
    parent: Uuid,
    (org_unit, most_within): (&str, bool),
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let after = after.unwrap_or_default();
    let found = if most_within {
        let file =
            sqlx::query_file_scalar!("src/store/link_children.sql", parent, org_unit, after, limit);
        file.fetch_all(conn).await?
    } else {
        let parent = parent.to_string();
        let file = sqlx::query_file_scalar!(
            "src/store/link_children_below.sql",
            parent,
            org_unit,
            after,
            limit
        );
        file.fetch_all(conn).await?
    };
    Ok(found)
}

/// Under which parent a ticket is.
pub(crate) async fn parent(
    conn: &mut PgConnection,
    child: Uuid,
) -> Result<Option<Uuid>, StoreError> {
    Ok(missed(conn, child).await?.map(|(parent, _)| parent))
}

/// The same, and so many answers there it missed.
pub(crate) async fn missed(
    conn: &mut PgConnection,
    child: Uuid,
) -> Result<Option<(Uuid, i32)>, StoreError> {
    let row = sqlx::query!(
        "SELECT parent_id, answers_before FROM ticket_link WHERE child_id = $1 AND unlinked_at IS NULL",
        child
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.parent_id, row.answers_before)))
}

/// Forgets how a child's customer is to be reached: the child is somebody else's from now on.
pub(crate) async fn forget_route(conn: &mut PgConnection, child: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE ticket_link SET adapter = NULL, recipient = NULL
         WHERE child_id = $1 AND unlinked_at IS NULL AND adapter IS NOT NULL",
        child
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How a child's customer is reached: as was said when it was linked, or as the last message was, unless that went to somebody
/// whose the child turned out not to be; then the ticket does not know that recipient any more.
pub(crate) async fn route(
    conn: &mut PgConnection,
    child: Uuid,
) -> Result<Option<Route>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT coalesce(link.adapter, last.adapter) AS adapter, coalesce(link.recipient, last.recipient) AS recipient
           FROM ticket_link AS link JOIN ticket ON ticket.id = link.child_id
           LEFT JOIN LATERAL (
               SELECT adapter, recipient FROM delivery
               WHERE delivery.ticket_id = link.child_id AND content = 'message'
                 AND ticket.outbound -> 'recipients' ->> delivery.adapter = delivery.recipient
               ORDER BY created_at DESC, id DESC LIMIT 1) AS last ON true
           WHERE link.child_id = $1 AND link.unlinked_at IS NULL"#,
        child
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.and_then(|row| Some(Route { adapter: row.adapter?, recipient: row.recipient? })))
}
