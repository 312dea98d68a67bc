//! Table `search_document`: what can be found of each ticket (T-23).

use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::column;
use crate::domain::{SearchQuery, SearchSample};

/// The bits of a place within a block, smallest blocks first, and the token of the first block, as in `search_save.sql`.
const BLOCKS: [(u32, i64); 3] = [(11, -1), (14, -(1 << 28)), (17, -(1 << 29))];

/// The blocks of one size are looked through one by one, twice, before larger ones: the first may be cut short by where the
/// page begins.
const BLOCKS_OF_ONE_SIZE: usize = 2;

/// The text of a ticket that was changed since it was made into a document.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) id: Uuid,
    pub(crate) org_unit: String,
    pub(crate) body: String,
    pub(crate) digest: String,
    pub(crate) place: Option<i64>,
}

/// The texts of those of the tickets that were changed since.
pub(crate) async fn sources(
    conn: &mut PgConnection,
    tickets: &[Uuid],
) -> Result<Vec<Source>, StoreError> {
    if tickets.is_empty() {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_file_as!(Source, "src/store/search_source.sql", tickets).fetch_all(conn).await?)
}

/// A document that is to be written.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) ticket: Uuid,
    pub(crate) place: Option<i64>,
    pub(crate) tokens: Vec<i32>,
    pub(crate) body: String,
    pub(crate) digest: String,
}

/// Writes documents.
pub(crate) async fn save(
    conn: &mut PgConnection,
    documents: &[Document],
) -> Result<(), StoreError> {
    if documents.is_empty() {
        return Ok(());
    }
    let tokens = |document: &Document| {
        document.tokens.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    };
    sqlx::query_file!(
        "src/store/search_save.sql",
        &column!(documents, |document| document.place) as _,
        &column!(documents, |document| document.ticket),
        &column!(documents, tokens),
        &column!(documents, |document| document.body.as_str()) as _,
        &column!(documents, |document| document.digest.as_str()) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The newest documents before a place that have all of the query's words and belong to an org unit, with their places.
///
/// Looked for in blocks of places, ever larger ones and at last in everything: a word that many tickets have is found among
/// the newest at once, and one that few have costs little wherever it is. So the effort does not grow with the table. The
/// sample says which tokens the index is asked for, and whether it is worth beginning with the smallest blocks.
pub(crate) async fn find(
    conn: &mut PgConnection,
    query: &SearchQuery,
    sample: &SearchSample,
    mut before: i64,
    limit: usize,
) -> Result<Vec<(i64, Uuid)>, StoreError> {
    let mut found = Vec::new();
    let selective = sample.rarest(&query.tokens);
    let first = usize::from(!sample.is_frequent(&query.tokens));
    let sizes = BLOCKS.iter().skip(first).flat_map(|size| [size; BLOCKS_OF_ONE_SIZE]);
    for block in sizes.map(Some).chain([None]) {
        if before <= 0 || found.len() >= limit {
            break;
        }
        let mut tokens = selective.clone();
        let mut start = 0;
        if let Some((bits, first)) = block {
            let number = (before - 1) >> bits;
            start = number << bits;
            let token = i32::try_from(first - number);
            tokens
                .push(token.map_err(|error| StoreError::corrupt("search_document.place", error))?);
        }
        let rest = i64::try_from(limit - found.len()).unwrap_or(i64::MAX);
        // A place is not looked for by its index: nothing is gained by going through all documents from the newest on. Nor are
        // all the tokens.
        let rows = sqlx::query!(
            r#"WITH hit AS MATERIALIZED (
                   SELECT place, ticket_id FROM search_document
                   WHERE tokens @> $1 AND place + 0 < $2 AND (tokens || '{}') @> $5
                     AND NOT EXISTS (SELECT FROM unnest($3::text[]) AS word WHERE strpos(body, word) = 0))
               SELECT place AS "place!", ticket_id AS "ticket_id!" FROM hit ORDER BY place DESC LIMIT $4"#,
            &tokens,
            before,
            &query.words,
            rest,
            &query.tokens,
        )
        .fetch_all(&mut *conn)
        .await?;
        found.extend(rows.into_iter().map(|row| (row.place, row.ticket_id)));
        before = start;
    }
    Ok(found)
}

/// Documents with more tokens are left out of samples: few are so long, and a sample is kept in memory.
const MOST_SAMPLED: i32 = 4_096;

/// The tokens of the documents at these places, as far as there are some.
pub(crate) async fn sample(
    conn: &mut PgConnection,
    places: &[i64],
) -> Result<Vec<Vec<i32>>, StoreError> {
    let tokens = sqlx::query_scalar!(
        "SELECT tokens FROM search_document WHERE place = ANY ($1) AND cardinality(tokens) <= $2",
        places,
        MOST_SAMPLED,
    );
    Ok(tokens.fetch_all(conn).await?)
}

/// The place that the next new document will get.
pub(crate) async fn next_place(conn: &mut PgConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT coalesce(max(place), -1) + 1 AS "place!" FROM search_document"#
    )
    .fetch_one(conn)
    .await?)
}
