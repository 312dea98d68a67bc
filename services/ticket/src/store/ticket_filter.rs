//! Pages of tickets that pass a filter (T-23). A page looks at a bounded number of candidates in their order, whether they
//! pass or not; so what it costs depends neither on the filter nor on the size of the table.

use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_filter::Compiled;
use kefu_postgres::StoreError;

use super::ticket_list::TicketQuery;

/// The most candidates of a page, shared out among the org units.
const CANDIDATES: i64 = 500;
/// But so many of each at least, so that a page gets on where one org unit has more to do than the others.
const CANDIDATES_OF_UNIT: i64 = 20;

/// A ticket that was looked at.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) id: Uuid,
    pub(crate) created_at: jiff_sqlx::Timestamp,
    /// Whether it passes the filter.
    pub(crate) passes: bool,
    /// Whether candidates after it were not looked at.
    pub(crate) last: bool,
}

/// The candidates that pass, newest first, and the last one if more were not looked at. Of one customer they are found by
/// the customer's index, else by that of each org unit.
pub(crate) async fn candidates(
    conn: &mut PgConnection,
    query: &TicketQuery,
    filter: &Compiled,
) -> Result<Vec<Candidate>, StoreError> {
    let states: Vec<&str> = query.states.iter().map(|state| state.code()).collect();
    let (at, id) = query.after.unzip();
    let at = at.map(|at| at.to_sqlx());
    Ok(match query.customer {
        None => {
            sqlx::query_as!(
                Candidate,
                r#"WITH scope AS MATERIALIZED (
                       SELECT DISTINCT org_unit FROM number_counter
                       WHERE org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0')
                   ),
                   candidate AS MATERIALIZED (
                       SELECT found.id, found.created_at, found.nth = share.each AS ends
                       FROM (SELECT greatest($9, $7 / greatest(count(*), 1)) AS each FROM scope) AS share
                       CROSS JOIN scope CROSS JOIN LATERAL (
                           SELECT ticket.id, ticket.created_at,
                                  row_number() OVER (ORDER BY ticket.created_at DESC, ticket.id DESC) AS nth
                           FROM ticket
                           WHERE ticket.org_unit = scope.org_unit
                             AND ($2::timestamptz IS NULL OR (ticket.created_at, ticket.id) < ($2, $3::uuid))
                             AND (cardinality($4::text[]) = 0 OR ticket.state = ANY ($4))
                           ORDER BY ticket.created_at DESC, ticket.id DESC
                           LIMIT share.each
                       ) AS found
                   ),
                   -- Beyond the first org unit of which not all were taken, the order would have gaps.
                   reach AS (
                       SELECT created_at, id FROM candidate WHERE ends ORDER BY created_at DESC, id DESC LIMIT 1
                   ),
                   looked AS (
                       SELECT ticket.id, ticket.created_at, candidate.ends,
                              jsonb_path_match(
                                  ticket_fields(ticket, owes.states, owes.due, owes.owed_at),
                                  (SELECT $5::text::jsonpath), $6) AS passes
                       FROM candidate JOIN ticket ON ticket.id = candidate.id
                       CROSS JOIN LATERAL ticket_owes(ticket.id, ticket.cycle) AS owes
                       WHERE NOT EXISTS (
                           SELECT FROM reach WHERE (candidate.created_at, candidate.id) < (reach.created_at, reach.id))
                   )
                   SELECT id, created_at AS "created_at: jiff_sqlx::Timestamp", coalesce(passes, false) AS "passes!",
                          ends AS "last!"
                   FROM looked WHERE passes OR ends
                   ORDER BY created_at DESC, id DESC LIMIT $8"#,
                query.org_unit,
                at as _,
                id as _,
                &states as _,
                filter.path,
                filter.variables,
                CANDIDATES,
                query.limit,
                CANDIDATES_OF_UNIT,
            )
            .fetch_all(conn)
            .await?
        }
        Some(customer) => {
            sqlx::query_as!(
                Candidate,
                r#"WITH candidate AS MATERIALIZED (
                       SELECT ticket.id FROM ticket
                       WHERE ticket.customer_id = $9
                         AND (ticket.org_unit = $1 OR (ticket.org_unit > $1 || '/' AND ticket.org_unit < $1 || '0'))
                         AND ($2::timestamptz IS NULL OR (ticket.created_at, ticket.id) < ($2, $3::uuid))
                         AND (cardinality($4::text[]) = 0 OR ticket.state = ANY ($4))
                       ORDER BY ticket.created_at DESC, ticket.id DESC
                       LIMIT $7
                   ),
                   looked AS (
                       SELECT ticket.id, ticket.created_at,
                              jsonb_path_match(
                                  ticket_fields(ticket, owes.states, owes.due, owes.owed_at),
                                  (SELECT $5::text::jsonpath), $6) AS passes,
                              row_number() OVER (ORDER BY ticket.created_at DESC, ticket.id DESC) AS place
                       FROM candidate JOIN ticket ON ticket.id = candidate.id
                       CROSS JOIN LATERAL ticket_owes(ticket.id, ticket.cycle) AS owes
                   )
                   SELECT id, created_at AS "created_at: jiff_sqlx::Timestamp", coalesce(passes, false) AS "passes!",
                          place = $7 AS "last!"
                   FROM looked WHERE passes OR place = $7
                   ORDER BY created_at DESC, id DESC LIMIT $8"#,
                query.org_unit,
                at as _,
                id as _,
                &states as _,
                filter.path,
                filter.variables,
                CANDIDATES,
                query.limit,
                customer,
            )
            .fetch_all(conn)
            .await?
        }
    })
}
