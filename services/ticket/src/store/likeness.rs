//! Tickets that may be about the same matter (T-04): candidates by index; how likely they are is computed afterwards.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

/// The most candidates by customer.
const BY_CUSTOMER: i64 = 100;
/// The most candidates that share one word, and the most in all by words.
const BY_WORD: i64 = 60;
const BY_WORDS: i64 = 100;

/// The tickets of a customer at and below an org unit within a time, newest first.
pub(crate) async fn of_customer(
    conn: &mut PgConnection,
    org_unit: &str,
    customer: Uuid,
    (from, until): (Timestamp, Timestamp),
) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT id FROM ticket
         WHERE customer_id = $2 AND created_at >= $3 AND created_at <= $4
           AND state NOT IN ('cancelled', 'merged')
           AND (org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0'))
         ORDER BY created_at DESC, id DESC LIMIT $5",
        org_unit,
        customer,
        from.to_sqlx() as _,
        until.to_sqlx() as _,
        BY_CUSTOMER,
    )
    .fetch_all(conn)
    .await?)
}

/// The tickets at and below an org unit that share most of these words with a text, among the newest ones: of each word the
/// newest with it, then those that come up most often. Looked for in the two newest blocks of 16,384 documents, so that
/// a word that every ticket has costs no more than the block. (By `place + 0`: going through the newest ones until enough have
/// a rare word would cost them all.)
pub(crate) async fn by_words(
    conn: &mut PgConnection,
    scope: i32,
    words: &[i32],
) -> Result<Vec<Uuid>, StoreError> {
    if words.is_empty() {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_scalar!(
        r#"WITH newest AS MATERIALIZED (
               SELECT (-268435456 - (max(place) >> 14))::integer AS block FROM search_document
           ),
           hit AS (
               SELECT found.ticket_id, found.place
               FROM newest
               CROSS JOIN unnest(ARRAY[newest.block, newest.block + 1]) AS place_block
               CROSS JOIN unnest($2::integer[]) AS word
               CROSS JOIN LATERAL (
                   SELECT ticket_id, place FROM search_document
                   WHERE tokens @> ARRAY[$1, place_block, word]
                   ORDER BY place + 0 DESC LIMIT $3
               ) AS found
               WHERE newest.block IS NOT NULL
           )
           SELECT ticket_id AS "ticket_id!" FROM hit GROUP BY ticket_id
           ORDER BY count(*) DESC, max(place) DESC LIMIT $4"#,
        scope,
        words,
        BY_WORD,
        BY_WORDS,
    )
    .fetch_all(conn)
    .await?)
}
