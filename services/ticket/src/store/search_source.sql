-- The texts of those of the tickets $1 that were changed since they were made into documents, with their places, if they
-- have any. Bounded: the newest messages and notes of a ticket with very many.
WITH source AS (
    SELECT ticket.id, ticket.org_unit, ticket.created_at,
           left(concat_ws(E'\n', ticket.number, ticket.subject, ticket.product, nullif(ticket.order_reference, ''),
                          nullif(ticket.shop, ''), array_to_string(ticket.tags, E'\n'), ticket.description, ticket.solution, said.body, noted.body), 200000) AS body
    FROM ticket
    CROSS JOIN LATERAL (
        SELECT string_agg(body, E'\n' ORDER BY sent_at DESC, id DESC) AS body
        FROM (SELECT body, sent_at, id FROM message WHERE ticket_id = ticket.id ORDER BY sent_at DESC, id DESC LIMIT 500) AS newest
    ) AS said
    CROSS JOIN LATERAL (
        SELECT string_agg(note, E'\n' ORDER BY revision DESC) AS body
        FROM (
            SELECT after ->> 'note' AS note, revision FROM journal
            WHERE aggregate_type = 'ticket' AND aggregate_id = ticket.id AND action = 'AddTicketNote'
            ORDER BY revision DESC LIMIT 500
        ) AS newest
    ) AS noted
    WHERE ticket.id = ANY ($1)
)
SELECT source.id AS "id!", source.org_unit AS "org_unit!", source.body AS "body!", md5(source.org_unit || E'\n' || source.body) AS "digest!",
       document.place AS "place?"
FROM source LEFT JOIN search_document AS document ON document.ticket_id = source.id
WHERE document.digest IS DISTINCT FROM md5(source.org_unit || E'\n' || source.body)
ORDER BY source.created_at, source.id
