-- Writes documents: their places, or null for a new one, tickets, tokens (joined by commas), bodies and digests. New ones
-- get the next places in their order; there is one writer at a time, who holds the projection's row. The blocks of a place
-- become tokens below 0: -1 and less, -2^28 and less, -2^29 and less, as in store/search.rs.
WITH entry AS (
    SELECT *, CASE WHEN place IS NULL THEN count(*) FILTER (WHERE place IS NULL) OVER (ORDER BY ordinal) END AS fresh
    FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::text[])
        WITH ORDINALITY AS entry (place, ticket_id, tokens, body, digest, ordinal)
),
placed AS (
    SELECT coalesce(place, (SELECT coalesce(max(place), -1) FROM search_document) + fresh) AS place,
           ticket_id, tokens, body, digest
    FROM entry
)
INSERT INTO search_document (place, ticket_id, tokens, body, digest)
SELECT place, ticket_id,
       string_to_array(tokens, ',')::integer[] || ARRAY[
           (-1 - (place >> 11))::integer, (-268435456 - (place >> 14))::integer, (-536870912 - (place >> 17))::integer],
       body, digest
FROM placed
ON CONFLICT (place) DO UPDATE SET tokens = excluded.tokens, body = excluded.body, digest = excluded.digest
