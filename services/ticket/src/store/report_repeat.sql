-- Complaints of a period that repeat an earlier one, registered $6 seconds before them or less: of the same customer, at or
-- below the org unit, about the same product or the same main category. Those who repeated most often, with their first
-- tickets of the period that do; and on each row how many repeats and how many such customers there are in all.
WITH scope AS NOT MATERIALIZED (
    SELECT DISTINCT org_unit FROM number_counter
    WHERE org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0')
),
-- What was accepted by somebody else after $5 was then still where the first of those transfers took it from.
moved AS MATERIALIZED (
    SELECT DISTINCT ON (ticket_id) ticket_id, from_org_unit FROM transfer
    WHERE state = 'accepted' AND ended_at > $5
    ORDER BY ticket_id, number
),
picked AS MATERIALIZED (
    SELECT ticket.id, ticket.customer_id, ticket.created_at, ticket.product, split_part(ticket.category, '/', 1) AS main
    FROM scope JOIN ticket USING (org_unit)
    WHERE ticket.created_at >= $2 AND ticket.created_at < $3 AND ticket.created_at <= $5
      AND ticket.kind = ANY ($4::text[]) AND ticket.customer_id IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM ticket_merge AS merge
          WHERE merge.source_id = ticket.id AND merge.merged_at <= $5 AND (merge.undone_at IS NULL OR merge.undone_at > $5))
      AND ticket.id NOT IN (
          SELECT ticket_id FROM transfer WHERE state = 'accepted' AND ended_at > $5)
    UNION ALL
    SELECT ticket.id, ticket.customer_id, ticket.created_at, ticket.product, split_part(ticket.category, '/', 1)
    FROM moved JOIN scope ON scope.org_unit = moved.from_org_unit JOIN ticket ON ticket.id = moved.ticket_id
    WHERE ticket.created_at >= $2 AND ticket.created_at < $3 AND ticket.created_at <= $5
      AND ticket.kind = ANY ($4::text[]) AND ticket.customer_id IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM ticket_merge AS merge
          WHERE merge.source_id = ticket.id AND merge.merged_at <= $5 AND (merge.undone_at IS NULL OR merge.undone_at > $5))
),
-- LIMIT 1 keeps the planner at looking up each customer (ticket_customer_idx).
repeated AS MATERIALIZED (
    SELECT picked.id, picked.customer_id, picked.created_at
    FROM picked CROSS JOIN LATERAL (
        SELECT FROM ticket AS earlier
        WHERE earlier.customer_id = picked.customer_id
          AND earlier.created_at >= picked.created_at - $6::double precision * interval '1 second'
          AND (earlier.created_at, earlier.id) < (picked.created_at, picked.id)
          AND earlier.kind = ANY ($4::text[])
          AND NOT EXISTS (
              SELECT FROM ticket_merge AS merge
              WHERE merge.source_id = earlier.id AND merge.merged_at <= $5
                AND (merge.undone_at IS NULL OR merge.undone_at > $5))
          AND (earlier.org_unit = $1 OR (earlier.org_unit > $1 || '/' AND earlier.org_unit < $1 || '0'))
          AND ((picked.product <> '' AND earlier.product = picked.product)
              OR (picked.main <> '' AND split_part(earlier.category, '/', 1) = picked.main))
        LIMIT 1) AS earlier
)
SELECT customer_id AS "customer!", count(*) AS "count!", (array_agg(id ORDER BY created_at, id))[:5] AS "tickets!",
       (sum(count(*)) OVER ())::bigint AS "total!", count(*) OVER () AS "customers!"
FROM repeated GROUP BY customer_id ORDER BY count(*) DESC, customer_id LIMIT $7
