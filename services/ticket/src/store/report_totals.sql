-- How many tickets of a period came how far, and how fast. Percentiles by nearest rank, in seconds of elapsed time.
WITH scope AS (
    SELECT DISTINCT org_unit FROM number_counter
    WHERE org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0')
),
picked AS (
    SELECT ticket.* FROM scope JOIN ticket USING (org_unit)
    WHERE ticket.created_at >= $2 AND ticket.created_at < $3 AND ticket.kind = ANY ($4::text[])
)
SELECT count(*) AS "received!",
       count(first_responded_at) AS "answered!",
       count(first_resolved_at) AS "resolved!",
       count(*) FILTER (WHERE state = 'closed') AS "closed!",
       count(*) FILTER (WHERE state = 'cancelled') AS "cancelled!",
       count(*) FILTER (WHERE state NOT IN ('closed', 'cancelled') AND EXISTS (
           SELECT FROM ticket_clock AS clock
           WHERE clock.ticket_id = picked.id AND clock.cycle = picked.cycle AND clock.fulfilled_at IS NULL
             AND (clock.breached_at IS NOT NULL OR clock.due_at <= $5)
       )) AS "overdue!",
       percentile_disc(ARRAY[0.5, 0.9]) WITHIN GROUP (
           ORDER BY extract(epoch FROM first_responded_at - created_at)::double precision
       ) FILTER (WHERE first_responded_at IS NOT NULL) AS first_response,
       percentile_disc(ARRAY[0.5, 0.9]) WITHIN GROUP (
           ORDER BY extract(epoch FROM first_resolved_at - created_at)::double precision
       ) FILTER (WHERE first_resolved_at IS NOT NULL) AS resolution
FROM picked
