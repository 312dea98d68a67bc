//! Tables `viewer_lease`, `ticket_viewer` and `ticket_composing`: who is looking (T-24).

use std::collections::HashMap;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::column;

/// The most people of one ticket that are told.
const MAX_VIEWERS: i64 = 50;

/// Somebody looks at a ticket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Looks<'a> {
    pub(crate) ticket: Uuid,
    pub(crate) staff: &'a str,
    pub(crate) since: Timestamp,
}

/// Somebody who looks at a ticket, through whichever process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Viewer {
    pub(crate) staff: String,
    pub(crate) since: Timestamp,
    pub(crate) composing: bool,
}

/// Who looks at a ticket, and who may know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) org_unit: String,
    pub(crate) receiving: Option<String>,
    /// The longest first, and not more than are told.
    pub(crate) viewers: Vec<Viewer>,
    /// How many there are.
    pub(crate) count: i64,
}

/// The process lives until then; those that died a while ago are forgotten.
pub(crate) async fn renew(
    conn: &mut PgConnection,
    process: Uuid,
    until: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH dead AS (
             DELETE FROM viewer_lease WHERE process IN (
                 SELECT process FROM viewer_lease
                 WHERE expires_at < $3::timestamptz - interval '1 minute' AND process <> $1
                 FOR UPDATE SKIP LOCKED))
         INSERT INTO viewer_lease (process, expires_at) VALUES ($1, $2)
         ON CONFLICT (process) DO UPDATE SET expires_at = excluded.expires_at",
        process,
        until.to_sqlx() as _,
        now.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Those who have begun to look.
pub(crate) async fn come(
    conn: &mut PgConnection,
    process: Uuid,
    come: &[Looks<'_>],
) -> Result<(), StoreError> {
    if come.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO ticket_viewer (process, ticket_id, staff, since)
         SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::timestamptz[])
         ON CONFLICT DO NOTHING",
        process,
        &column!(come, |looks| looks.ticket),
        &column!(come, |looks| looks.staff) as _,
        &column!(come, |looks| looks.since.to_sqlx()) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Those who look no more, and so compose nothing either.
pub(crate) async fn gone(
    conn: &mut PgConnection,
    process: Uuid,
    gone: &[(Uuid, &str)],
) -> Result<(), StoreError> {
    if gone.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "WITH gone AS (SELECT * FROM unnest($2::uuid[], $3::text[]) AS gone (ticket_id, staff)),
         silent AS (
             DELETE FROM ticket_composing USING gone
             WHERE ticket_composing.ticket_id = gone.ticket_id AND ticket_composing.staff = gone.staff)
         DELETE FROM ticket_viewer USING gone
         WHERE process = $1 AND ticket_viewer.ticket_id = gone.ticket_id AND ticket_viewer.staff = gone.staff",
        process,
        &column!(gone, |(ticket, _)| *ticket),
        &column!(gone, |(_, staff)| *staff) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Nobody looks through the process, as far as the database knows.
pub(crate) async fn forget_all(conn: &mut PgConnection, process: Uuid) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM ticket_viewer WHERE process = $1", process).execute(conn).await?;
    Ok(())
}

/// The process is no more.
pub(crate) async fn leave(conn: &mut PgConnection, process: Uuid) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM viewer_lease WHERE process = $1", process).execute(conn).await?;
    Ok(())
}

/// Somebody composes a reply until the second time; if he does until the first at least, that is enough, and nothing is
/// written. Until when it counts.
pub(crate) async fn compose(
    conn: &mut PgConnection,
    (ticket, staff): (Uuid, &str),
    now: Timestamp,
    (enough, until): (Timestamp, Timestamp),
) -> Result<Timestamp, StoreError> {
    let known = sqlx::query_scalar!(
        r#"SELECT expires_at AS "expires_at: jiff_sqlx::Timestamp" FROM ticket_composing
           WHERE ticket_id = $1 AND staff = $2 AND expires_at >= $3"#,
        ticket,
        staff,
        enough.to_sqlx() as _,
    )
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(known) = known {
        return Ok(known.to_jiff());
    }
    // Whoever writes clears away what is over, so that no more is there than is being said.
    sqlx::query!(
        "WITH stale AS (
             DELETE FROM ticket_composing WHERE (ticket_id, staff) IN (
                 SELECT ticket_id, staff FROM ticket_composing
                 WHERE expires_at < $3 AND (ticket_id, staff) <> ($1, $2)
                 ORDER BY expires_at LIMIT 8 FOR UPDATE SKIP LOCKED))
         INSERT INTO ticket_composing AS present (ticket_id, staff, since, expires_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (ticket_id, staff) DO UPDATE
         SET since = CASE WHEN present.expires_at > excluded.since THEN present.since ELSE excluded.since END,
             expires_at = excluded.expires_at",
        ticket,
        staff,
        now.to_sqlx() as _,
        until.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(until)
}

/// Somebody composes nothing any more.
pub(crate) async fn finish(
    conn: &mut PgConnection,
    (ticket, staff): (Uuid, &str),
) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM ticket_composing WHERE ticket_id = $1 AND staff = $2", ticket, staff)
        .execute(conn)
        .await?;
    Ok(())
}

/// Who looks at some tickets, through all processes that live: one statement.
pub(crate) async fn seen(
    conn: &mut PgConnection,
    tickets: &[Uuid],
    now: Timestamp,
) -> Result<HashMap<Uuid, Seen>, StoreError> {
    let rows = sqlx::query!(
        r#"WITH looking AS (
               SELECT viewer.ticket_id, viewer.staff, viewer.since, false AS composing
               FROM ticket_viewer AS viewer JOIN viewer_lease AS lease USING (process)
               WHERE viewer.ticket_id = ANY ($1) AND lease.expires_at > $2
               UNION ALL
               SELECT ticket_id, staff, since, true FROM ticket_composing
               WHERE ticket_id = ANY ($1) AND expires_at > $2
           ),
           people AS (
               SELECT ticket_id, staff, min(since) AS since, bool_or(composing) AS composing FROM looking
               GROUP BY ticket_id, staff
           ),
           ranked AS (
               SELECT people.*, row_number() OVER (PARTITION BY ticket_id ORDER BY since, staff) AS place,
                      count(*) OVER (PARTITION BY ticket_id) AS many
               FROM people
           )
           SELECT ticket.id, ticket.org_unit, ticket.handling #>> '{transfer,to}' AS receiving,
                  ranked.staff AS "staff?", ranked.since AS "since?: jiff_sqlx::Timestamp",
                  ranked.composing AS "composing?", ranked.many AS "many?"
           FROM ticket LEFT JOIN ranked ON ranked.ticket_id = ticket.id AND ranked.place <= $3
           WHERE ticket.id = ANY ($1)
           ORDER BY ticket.id, ranked.place"#,
        tickets,
        now.to_sqlx() as _,
        MAX_VIEWERS,
    )
    .fetch_all(conn)
    .await?;
    let mut found: HashMap<Uuid, Seen> = HashMap::with_capacity(tickets.len());
    for row in rows {
        let seen = found.entry(row.id).or_insert_with(|| Seen {
            org_unit: row.org_unit,
            receiving: row.receiving,
            ..Seen::default()
        });
        seen.count = row.many.unwrap_or_default();
        if let (Some(staff), Some(since), Some(composing)) = (row.staff, row.since, row.composing) {
            seen.viewers.push(Viewer { staff, since: since.to_jiff(), composing });
        }
    }
    Ok(found)
}
