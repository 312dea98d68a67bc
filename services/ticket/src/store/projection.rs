//! Table `projection`: how far queues and search have taken the journal into account.

use jiff::Timestamp;
use kefu_journal::{Cursor, Position};
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

/// What is kept behind the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Projection {
    /// Table `queue_entry`.
    Queue,
    /// Table `search_document`.
    Search,
}

impl Projection {
    fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Search => "search",
        }
    }

    /// What may happen to a ticket without a trace in this one. Deadlines pass very many at once, and no text changes by that.
    fn unmoved_by(self) -> &'static [&'static str] {
        match self {
            Self::Queue => &[],
            Self::Search => &["WarnClock", "BreachClock"],
        }
    }
}

/// How far a projection is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reached {
    /// The turn that was the last.
    pub(crate) turn: i64,
    /// Up to where in the journal; the beginning, if it was another journal.
    pub(crate) position: Position,
}

/// Up to where a projection is if there is nothing to do; none if there is. Writes and locks nothing, for mostly that is all.
pub(crate) async fn idle(
    conn: &mut PgConnection,
    projection: Projection,
    feed: Uuid,
) -> Result<Option<Position>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT xid::text::bigint AS "xid!", seq FROM projection
           WHERE name = $1 AND feed_id = $2
             AND NOT EXISTS (
                 SELECT FROM journal
                 WHERE (journal.xid, journal.seq) > (projection.xid, projection.seq)
                   AND journal.xid < pg_snapshot_xmin(pg_current_snapshot()))"#,
        projection.name(),
        feed,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Position { xid: row.xid, seq: row.seq }))
}

/// Locks a projection to move it; none if another replica is at it.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    projection: Projection,
    feed: Uuid,
) -> Result<Option<Reached>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT turn, feed_id, xid::text::bigint AS "xid!", seq FROM projection
           WHERE name = $1 FOR UPDATE SKIP LOCKED"#,
        projection.name(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Reached {
        turn: row.turn,
        position: if row.feed_id == Some(feed) {
            Position { xid: row.xid, seq: row.seq }
        } else {
            Position::START
        },
    }))
}

/// Moves a projection that this transaction has locked, and counts the turn.
pub(crate) async fn advance(
    conn: &mut PgConnection,
    projection: Projection,
    to: Cursor,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE projection
         SET feed_id = $2, xid = $3::bigint::text::xid8, seq = $4, turn = turn + 1, updated_at = now()
         WHERE name = $1",
        projection.name(),
        to.feed,
        to.position.xid,
        to.position.seq,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The next rows of the journal that everybody can see, and the tickets whose place in the projection they may change, each
/// once; none if there are none. Bounded by the number of rows.
pub(crate) async fn next(
    conn: &mut PgConnection,
    projection: Projection,
    after: Position,
    limit: i64,
) -> Result<Option<(Position, Vec<Uuid>)>, StoreError> {
    let row = sqlx::query!(
        r#"WITH next AS MATERIALIZED (
               SELECT xid, seq, aggregate_type, aggregate_id, action FROM journal
               WHERE (xid, seq) > ($1::bigint::text::xid8, $2)
                 AND xid < pg_snapshot_xmin(pg_current_snapshot())
               ORDER BY xid, seq
               LIMIT $3)
           SELECT last.xid::text::bigint AS "xid!", last.seq AS "seq!",
                  ARRAY(SELECT DISTINCT aggregate_id FROM next WHERE aggregate_type = 'ticket'
                        AND action <> ALL ($4)) AS "tickets!"
           FROM (SELECT xid, seq FROM next ORDER BY xid DESC, seq DESC LIMIT 1) AS last"#,
        after.xid,
        after.seq,
        limit,
        projection.unmoved_by() as _,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (Position { xid: row.xid, seq: row.seq }, row.tickets)))
}

/// The last turn, and when what is not yet taken into account began; none if that is nothing.
pub(crate) async fn progress(
    conn: &mut PgConnection,
    projection: Projection,
) -> Result<(i64, Option<Timestamp>), StoreError> {
    let row = sqlx::query!(
        r#"SELECT turn,
                  (SELECT occurred_at FROM journal
                   WHERE (journal.xid, journal.seq) > (projection.xid, projection.seq)
                   ORDER BY journal.xid, journal.seq LIMIT 1) AS "behind: jiff_sqlx::Timestamp"
           FROM projection WHERE name = $1"#,
        projection.name(),
    )
    .fetch_one(conn)
    .await?;
    Ok((row.turn, row.behind.map(jiff_sqlx::Timestamp::to_jiff)))
}
