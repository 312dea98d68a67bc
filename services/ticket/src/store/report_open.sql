-- What was open as of $5, by age, with how much of it was overdue; the tickets that had waited longest; and what ended in
-- the period $2 to $3.
--
-- Open then is what is open now (ticket_open_idx) and what ended since (ticket_ended_idx, which holds all that is asked of
-- it), so the cost is that of the backlog and of the time since then.
WITH scope AS (
    SELECT DISTINCT org_unit FROM number_counter
    WHERE org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0')
),
-- What was accepted by somebody else after $5 was then still where the first of those transfers took it from.
moved AS MATERIALIZED (
    SELECT DISTINCT ON (ticket_id) ticket_id, from_org_unit FROM transfer
    WHERE state = 'accepted' AND ended_at > $5
    ORDER BY ticket_id, number
),
elsewhere AS MATERIALIZED (
    SELECT ticket.id, ticket.created_at, ticket.state, ticket.state_since
    FROM moved JOIN scope ON scope.org_unit = moved.from_org_unit JOIN ticket ON ticket.id = moved.ticket_id
    WHERE ticket.created_at <= $5 AND ticket.kind = ANY ($4::text[])
),
-- What was closed as of $5 and reopened since.
shut AS MATERIALIZED (
    SELECT ticket_id, closed_at FROM ticket_reopening WHERE reopened_at > $5 AND closed_at <= $5
),
ended AS MATERIALIZED (
    SELECT ticket.id, ticket.created_at, ticket.state, ticket.state_since
    FROM scope JOIN ticket USING (org_unit)
    WHERE ticket.state IN ('closed', 'cancelled') AND ticket.state_since >= least($2::timestamptz, $5::timestamptz) AND ticket.created_at <= $5
      AND ticket.kind = ANY ($4::text[])
      -- In the period, or open as of then.
      AND (ticket.state_since < $3 OR ticket.state_since > $5)
      AND ticket.id NOT IN (
          SELECT ticket_id FROM transfer WHERE state = 'accepted' AND ended_at > $5)
    UNION ALL
    SELECT id, created_at, state, state_since FROM elsewhere
    WHERE state IN ('closed', 'cancelled') AND state_since >= least($2::timestamptz, $5::timestamptz)
      AND (state_since < $3 OR state_since > $5)
),
standing AS (
    SELECT ticket.id, ticket.created_at FROM scope JOIN ticket USING (org_unit)
    -- What is merged is no part of the backlog, now or as of then (ticket_merged_idx holds what was merged since).
    WHERE ticket.state NOT IN ('closed', 'cancelled', 'merged') AND ticket.created_at <= $5 AND ticket.kind = ANY ($4::text[])
      AND ticket.id NOT IN (
          SELECT ticket_id FROM transfer WHERE state = 'accepted' AND ended_at > $5)
    UNION ALL
    SELECT ticket.id, ticket.created_at FROM scope JOIN ticket USING (org_unit)
    WHERE ticket.state = 'merged' AND ticket.state_since > $5 AND ticket.created_at <= $5 AND ticket.kind = ANY ($4::text[])
      AND ticket.id NOT IN (
          SELECT ticket_id FROM transfer WHERE state = 'accepted' AND ended_at > $5)
    UNION ALL
    SELECT id, created_at FROM elsewhere
    WHERE state NOT IN ('closed', 'cancelled', 'merged') OR (state = 'merged' AND state_since > $5)
    UNION ALL
    SELECT id, created_at FROM ended WHERE state_since > $5
),
-- Those that were merged then are not among those that stood open.
stock AS MATERIALIZED (
    SELECT ticket.id, ticket.created_at FROM standing AS ticket
    WHERE true
    AND NOT EXISTS (
          SELECT FROM ticket_merge AS merge
          WHERE merge.source_id = ticket.id AND merge.merged_at <= $5 AND (merge.undone_at IS NULL OR merge.undone_at > $5))
    AND ticket.id NOT IN (SELECT ticket_id FROM shut)
),
-- What ended in the period and had not been reopened as of $5.
gone AS (
    SELECT state, state_since FROM ended
    UNION ALL
    SELECT 'closed', shut.closed_at
    FROM shut JOIN ticket ON ticket.id = shut.ticket_id JOIN scope USING (org_unit)
    WHERE ticket.created_at <= $5 AND ticket.kind = ANY ($4::text[]) AND ticket.id NOT IN (
        SELECT ticket_id FROM transfer WHERE state = 'accepted' AND ended_at > $5)
    UNION ALL
    SELECT 'closed', shut.closed_at FROM shut JOIN elsewhere ON elsewhere.id = shut.ticket_id
),
aged AS (
    SELECT id, created_at,
           width_bucket(extract(epoch FROM $5::timestamptz - created_at)::double precision, $6::double precision[]) AS bucket,
           EXISTS (
               SELECT FROM ticket_clock AS clock
               WHERE clock.ticket_id = stock.id AND coalesce(clock.breached_at, clock.due_at) <= $5
                 AND (clock.fulfilled_at IS NULL OR clock.fulfilled_at > $5)
                 AND (clock.cancelled_at IS NULL OR clock.cancelled_at > $5)
                 AND clock.cycle = 1 + (
                     SELECT count(*) FROM verdict JOIN ticket ON ticket.id = verdict.ticket_id
                     WHERE verdict.ticket_id = stock.id AND verdict.cycle < ticket.cycle AND verdict.recorded_at <= $5
                       AND NOT EXISTS (
                           SELECT FROM ticket_reopening AS again
                           WHERE again.ticket_id = stock.id AND again.cycle = verdict.cycle)) + (
                     SELECT count(*) FROM ticket_reopening AS again
                     WHERE again.ticket_id = stock.id AND again.reopened_at <= $5)
           ) AS overdue
    FROM stock
)
SELECT 'age' AS "section!", bucket AS "bucket!", count(*) AS "count!", count(*) FILTER (WHERE overdue) AS "overdue!",
       (array_agg(id ORDER BY created_at, id))[:10] AS oldest
FROM aged GROUP BY bucket
UNION ALL
SELECT state, 0, count(*), 0, NULL FROM gone WHERE state_since >= $2 AND state_since < $3 AND state_since <= $5 GROUP BY state
ORDER BY 1, 2
