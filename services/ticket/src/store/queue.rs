//! Table `queue_entry`: open tickets in order (T-23).
//!
//! A page looks at a bounded number of candidates in their order and keeps those that pass the filter. The filter is a path
//! with variables (see `kefu_filter`), so that each statement here is one text with one plan, whatever people ask for.

use sqlx::PgConnection;
use uuid::Uuid;

use kefu_filter::Compiled;
use kefu_postgres::StoreError;

use crate::domain::QueueOrder;

/// The most candidates of a page that goes over all org units, whether they pass or not.
const CANDIDATES: i64 = 2_000;
/// The most candidates of all org units together, where they are gone through one by one.
const CANDIDATES_OF_UNITS: i64 = 2_000;
/// As far as this many org units are gone through one by one.
const MAX_UNITS: i64 = 32;

/// Where a place in an order is: its key, when the ticket was registered, the ticket.
pub(crate) type Place = (i64, i64, Uuid);

/// Before the first place.
pub(crate) const START: Place = (i64::MIN, i64::MIN, Uuid::nil());

/// Which entries, and from where on.
#[derive(Debug)]
pub(crate) struct QueueQuery<'a> {
    /// At and below this org unit.
    pub(crate) org_unit: &'a str,
    /// All org units at and below it that have open tickets, where they are few.
    pub(crate) units: Option<&'a [String]>,
    /// What passes.
    pub(crate) filter: &'a Compiled,
    /// One of the values without which nothing passes, as in `queue_entry.who`.
    pub(crate) who: Option<&'a str>,
    /// In which order.
    pub(crate) order: QueueOrder,
    /// Only what was put where it is by this turn.
    pub(crate) turn: i64,
    /// After this place.
    pub(crate) after: Place,
    /// At most so many.
    pub(crate) limit: i64,
}

/// A candidate.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) ticket_id: Uuid,
    pub(crate) key: i64,
    pub(crate) created_key: i64,
    pub(crate) due_key: i64,
    /// Whether it passes the filter.
    pub(crate) passes: bool,
    /// Whether candidates after it were not looked at.
    pub(crate) last: bool,
}

impl Candidate {
    /// Where it stands.
    pub(crate) fn place(&self) -> Place {
        (self.key, self.created_key, self.ticket_id)
    }
}

/// The statements of one order, by the column that it goes by.
macro_rules! ordered {
    ($conn:ident, $query:ident, $key:literal) => {{
        let &QueueQuery { org_unit, units, filter, who, turn, after, limit, .. } = $query;
        let (key, created, id) = after;
        match (who, units) {
            // Few enough to be sorted, and found without going through the others.
            (Some(who), _) => {
                sqlx::query_as!(
                    Candidate,
                    r#"WITH theirs AS MATERIALIZED (
                           SELECT ticket_id, "# + $key + r#" AS key, created_key, due_key, fields FROM queue_entry
                           WHERE who @> ARRAY[$8] AND starts_with(org_unit || '/', $1::text || '/') AND turn + 0 <= $4)
                       SELECT ticket_id AS "ticket_id!", key AS "key!", created_key AS "created_key!",
                              due_key AS "due_key!", true AS "passes!", false AS "last!"
                       FROM theirs
                       WHERE (key, created_key, ticket_id) > ($5, $6, $7)
                         AND jsonb_path_match(fields, (SELECT $2::text::jsonpath), $3)
                       ORDER BY key, created_key, ticket_id
                       LIMIT $9"#,
                    org_unit, filter.path, filter.variables, turn, key, created, id, who, limit,
                )
                .fetch_all($conn)
                .await?
            }
            (None, Some(units)) => {
                let each = CANDIDATES_OF_UNITS / i64::try_from(units.len().max(1)).unwrap_or(MAX_UNITS);
                sqlx::query_as!(
                    Candidate,
                    r#"SELECT ticket_id AS "ticket_id!", key AS "key!", created_key AS "created_key!",
                              due_key AS "due_key!", coalesce(passes, false) AS "passes!", place = $8 AS "last!"
                       FROM unnest($1::text[]) AS unit (org_unit) CROSS JOIN LATERAL (
                           -- No more of each org unit than there is room for: the others are not even looked at.
                           SELECT * FROM (
                               SELECT ticket_id, "# + $key + r#" AS key, created_key, due_key,
                                      jsonb_path_match(fields, (SELECT $2::text::jsonpath), $3) AS passes,
                                      row_number() OVER (ORDER BY "# + $key + r#", created_key, ticket_id) AS place
                               FROM queue_entry
                               WHERE queue_entry.org_unit = unit.org_unit AND turn <= $4
                                 AND ("# + $key + r#", created_key, ticket_id) > ($5, $6, $7)
                               ORDER BY "# + $key + r#", created_key, ticket_id
                               LIMIT $8
                           ) AS looked
                           WHERE passes OR place = $8
                           ORDER BY key, created_key, ticket_id
                           LIMIT $9
                       ) AS candidate
                       ORDER BY key, created_key, ticket_id
                       LIMIT $9"#,
                    units, filter.path, filter.variables, turn, key, created, id, each.max(limit), limit,
                )
                .fetch_all($conn)
                .await?
            }
            (None, None) => {
                sqlx::query_as!(
                    Candidate,
                    r#"SELECT ticket_id AS "ticket_id!", key AS "key!", created_key AS "created_key!",
                              due_key AS "due_key!", coalesce(passes, false) AS "passes!", place = $8 AS "last!"
                       FROM (
                           SELECT ticket_id, "# + $key + r#" AS key, created_key, due_key,
                                  jsonb_path_match(fields, (SELECT $2::text::jsonpath), $3) AS passes,
                                  row_number() OVER (ORDER BY "# + $key + r#", created_key, ticket_id) AS place
                           FROM queue_entry
                           WHERE starts_with(org_unit || '/', $1::text || '/') AND turn <= $4
                             AND ("# + $key + r#", created_key, ticket_id) > ($5, $6, $7)
                           ORDER BY "# + $key + r#", created_key, ticket_id
                           LIMIT $8
                       ) AS candidate
                       WHERE passes OR place = $8
                       ORDER BY key, created_key, ticket_id
                       LIMIT $9"#,
                    org_unit, filter.path, filter.variables, turn, key, created, id, CANDIDATES.max(limit), limit,
                )
                .fetch_all($conn)
                .await?
            }
        }
    }};
}

/// A page of candidates in their order. Whatever stands before one that is the `last` was looked at, whatever stands after
/// it was not.
pub(crate) async fn list(
    conn: &mut PgConnection,
    query: &QueueQuery<'_>,
) -> Result<Vec<Candidate>, StoreError> {
    Ok(match query.order {
        QueueOrder::DueTime => ordered!(conn, query, "due_key"),
        QueueOrder::Priority => ordered!(conn, query, "urgency"),
        QueueOrder::Newest => ordered!(conn, query, "newness"),
    })
}

/// The org units at and below one that have open tickets; none if there are many. From one to the next by the index.
pub(crate) async fn few_units(
    conn: &mut PgConnection,
    org_unit: &str,
) -> Result<Option<Vec<String>>, StoreError> {
    let mut units = sqlx::query_scalar!(
        r#"WITH RECURSIVE unit AS (
               (SELECT org_unit FROM queue_entry WHERE org_unit > $1::text || '/' AND org_unit < $1::text || '0'
                ORDER BY org_unit LIMIT 1)
               UNION ALL
               SELECT (SELECT next.org_unit FROM queue_entry AS next
                       WHERE next.org_unit > unit.org_unit AND next.org_unit < $1::text || '0'
                       ORDER BY next.org_unit LIMIT 1)
               FROM unit WHERE unit.org_unit IS NOT NULL)
           SELECT org_unit AS "org_unit!" FROM unit WHERE org_unit IS NOT NULL LIMIT $2"#,
        org_unit,
        MAX_UNITS,
    )
    .fetch_all(conn)
    .await?;
    if i64::try_from(units.len()).unwrap_or(i64::MAX) >= MAX_UNITS {
        return Ok(None);
    }
    units.push(org_unit.to_owned());
    Ok(Some(units))
}

/// What was put where it is after a turn, by turn; the key of a place is the turn.
pub(crate) async fn moved(
    conn: &mut PgConnection,
    query: &QueueQuery<'_>,
) -> Result<Vec<Candidate>, StoreError> {
    let (turn, _, id) = query.after;
    Ok(sqlx::query_as!(
        Candidate,
        r#"SELECT ticket_id AS "ticket_id!", turn AS "key!", created_key AS "created_key!", due_key AS "due_key!",
                  coalesce(passes, false) AS "passes!", place = $6 AS "last!"
           FROM (
               SELECT ticket_id, turn, created_key, due_key,
                      jsonb_path_match(fields, (SELECT $2::text::jsonpath), $3) AS passes,
                      row_number() OVER (ORDER BY turn, ticket_id) AS place
               FROM queue_entry
               WHERE starts_with(org_unit || '/', $1::text || '/') AND (turn, ticket_id) > ($4, $5)
               ORDER BY turn, ticket_id
               LIMIT $6
           ) AS candidate
           WHERE passes OR place = $6
           ORDER BY turn, ticket_id
           LIMIT $7"#,
        query.org_unit,
        query.filter.path,
        query.filter.variables,
        turn,
        id,
        CANDIDATES.max(query.limit),
        query.limit,
    )
    .fetch_all(conn)
    .await?)
}

/// How many entries have a value.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) value: String,
    /// Those that pass.
    pub(crate) passing: i64,
    /// All that were looked at.
    pub(crate) looked_at: i64,
}

/// Counts at most `limit` entries at and below an org unit by a field: by its name in `fields`, `clock` for what is due at
/// `now` (in microseconds), or nothing.
pub(crate) async fn count(
    conn: &mut PgConnection,
    org_unit: &str,
    filter: &Compiled,
    (field, now): (&str, i64),
    limit: i64,
) -> Result<Vec<Counted>, StoreError> {
    Ok(sqlx::query_as!(
        Counted,
        r#"SELECT value AS "value!", count(*) FILTER (WHERE passes) AS "passing!", count(*) AS "looked_at!"
           FROM (
               SELECT jsonb_path_match(fields, (SELECT $2::text::jsonpath), $3) AS passes,
                      CASE
                          WHEN $4 <> 'clock' THEN coalesce(fields ->> $4, '')
                          WHEN due_key <= $5 THEN 'overdue'
                          WHEN due_key = 9223372036854775807 THEN 'none'
                          ELSE 'due'
                      END AS value
               FROM queue_entry
               WHERE org_unit = $1 OR (org_unit > $1::text || '/' AND org_unit < $1::text || '0')
               LIMIT $6
           ) AS entry
           GROUP BY value
           ORDER BY 2 DESC, 1"#,
        org_unit,
        filter.path,
        filter.variables,
        field,
        now,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// Puts tickets where they belong by what they are now.
pub(crate) async fn refresh(
    conn: &mut PgConnection,
    tickets: &[Uuid],
    turn: i64,
) -> Result<(), StoreError> {
    if tickets.is_empty() {
        return Ok(());
    }
    sqlx::query_file!("src/store/queue_refresh.sql", tickets, turn).execute(conn).await?;
    Ok(())
}
