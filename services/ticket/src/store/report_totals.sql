-- How many tickets of a period came how far, and how fast, all as of $5. Percentiles by nearest rank, in seconds of elapsed
-- time. Both statements over the period's tickets find them by ticket_org_unit_idx, so their cost is that of the period and
-- not of the table.
--
-- What was merged into another ticket as of $5 is told by its number and counts for nothing else: its matter is the survivor's.
--
-- What was overdue: a promise of the cycle as of then (as many verdicts that reopened came later, as many cycles less),
-- whose deadline had passed and which was neither fulfilled nor cancelled. A cycle that was closed and reopened ended then, and
-- not with the verdict that closed it.
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
-- What was closed as of $5 and reopened since.
shut AS MATERIALIZED (SELECT ticket_id FROM ticket_reopening WHERE reopened_at > $5 AND closed_at <= $5),
registered AS (
    SELECT ticket.*, ticket.state IN ('closed', 'cancelled') AND ticket.state_since <= $5 AS ended, merge.source_id,
           shut.ticket_id IS NOT NULL AS shut
    FROM scope JOIN ticket USING (org_unit)
    LEFT JOIN shut ON shut.ticket_id = ticket.id
    LEFT JOIN ticket_merge AS merge
        ON merge.source_id = ticket.id AND merge.merged_at <= $5 AND (merge.undone_at IS NULL OR merge.undone_at > $5)
    WHERE ticket.created_at >= $2 AND ticket.created_at < $3 AND ticket.created_at <= $5
      AND ticket.kind = ANY ($4::text[]) AND ticket.id NOT IN (
          SELECT ticket_id FROM transfer WHERE state = 'accepted' AND ended_at > $5)
    UNION ALL
    SELECT ticket.*, ticket.state IN ('closed', 'cancelled') AND ticket.state_since <= $5, merge.source_id,
           shut.ticket_id IS NOT NULL
    FROM moved JOIN scope ON scope.org_unit = moved.from_org_unit JOIN ticket ON ticket.id = moved.ticket_id
    LEFT JOIN shut ON shut.ticket_id = ticket.id
    LEFT JOIN ticket_merge AS merge
        ON merge.source_id = ticket.id AND merge.merged_at <= $5 AND (merge.undone_at IS NULL OR merge.undone_at > $5)
    WHERE ticket.created_at >= $2 AND ticket.created_at < $3 AND ticket.created_at <= $5
      AND ticket.kind = ANY ($4::text[])
),
merged AS (SELECT count(*) AS count FROM registered WHERE source_id IS NOT NULL),
picked AS (SELECT * FROM registered WHERE source_id IS NULL)
SELECT count(*) AS "received!",
       (SELECT count FROM merged) AS "merged!",
       count(*) FILTER (WHERE first_responded_at <= $5) AS "answered!",
       count(*) FILTER (WHERE first_resolved_at <= $5) AS "resolved!",
       count(*) FILTER (WHERE shut OR ended AND state = 'closed') AS "closed!",
       count(*) FILTER (WHERE ended AND state = 'cancelled') AS "cancelled!",
       count(*) FILTER (WHERE NOT ended AND NOT shut AND EXISTS (
           SELECT FROM ticket_clock AS clock
           WHERE clock.ticket_id = picked.id AND coalesce(clock.breached_at, clock.due_at) <= $5
             AND (clock.fulfilled_at IS NULL OR clock.fulfilled_at > $5)
             AND (clock.cancelled_at IS NULL OR clock.cancelled_at > $5)
             AND clock.cycle = CASE WHEN picked.cycle = 1 THEN 1 ELSE picked.cycle - (
                 SELECT count(*) FROM verdict
                 WHERE verdict.ticket_id = picked.id AND verdict.cycle < picked.cycle AND verdict.recorded_at > $5
                   AND NOT EXISTS (
                       SELECT FROM ticket_reopening AS again
                       WHERE again.ticket_id = picked.id AND again.cycle = verdict.cycle)) - (
                 SELECT count(*) FROM ticket_reopening AS again
                 WHERE again.ticket_id = picked.id AND again.reopened_at > $5) END
       )) AS "overdue!",
       percentile_disc(ARRAY[0.5, 0.9]) WITHIN GROUP (
           ORDER BY extract(epoch FROM first_responded_at - created_at)::double precision
       ) FILTER (WHERE first_responded_at <= $5) AS first_response,
       percentile_disc(ARRAY[0.5, 0.9]) WITHIN GROUP (
           ORDER BY extract(epoch FROM first_resolved_at - created_at)::double precision
       ) FILTER (WHERE first_resolved_at <= $5) AS resolution
FROM picked
