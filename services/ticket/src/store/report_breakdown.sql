-- The same tickets, counted by what they are and by what had happened to them as of $5: rows of (section, label, count);
-- for clocks with their kind and how many of the count were kept, broken and still ran, and how many of the broken ones had been
-- announced; for verdicts with how many of the
-- count closed their ticket (met); for nodes of the category tree with how many were of that very category (met); for the
-- totals of root causes with of how many tickets they are (met).
--
-- What was merged into another ticket as of $5 counts for nothing: its matter is the survivor's.
--
-- What hangs on the tickets is looked up by their ids: OFFSET 0 keeps the planner, who takes a week for a good part of all
-- time, from reading those tables as a whole. Every section is bounded: what free text can make many is cut to $6 rows (of
-- the tree, 200), the most frequent, and the rest is told by the total.
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
    SELECT ticket.id, ticket.org_unit, ticket.severity, ticket.channel, ticket.category, ticket.product, ticket.shop,
           ticket.cycle
    FROM scope JOIN ticket USING (org_unit)
    WHERE ticket.created_at >= $2 AND ticket.created_at < $3 AND ticket.created_at <= $5
      AND ticket.kind = ANY ($4::text[]) AND ticket.id NOT IN (
          SELECT ticket_id FROM transfer WHERE state = 'accepted' AND ended_at > $5)
      AND NOT EXISTS (
          SELECT FROM ticket_merge AS merge
          WHERE merge.source_id = ticket.id AND merge.merged_at <= $5 AND (merge.undone_at IS NULL OR merge.undone_at > $5))
    UNION ALL
    SELECT ticket.id, scope.org_unit, ticket.severity, ticket.channel, ticket.category, ticket.product, ticket.shop,
           ticket.cycle
    FROM moved JOIN scope ON scope.org_unit = moved.from_org_unit JOIN ticket ON ticket.id = moved.ticket_id
    WHERE ticket.created_at >= $2 AND ticket.created_at < $3 AND ticket.created_at <= $5
      AND ticket.kind = ANY ($4::text[])
      AND NOT EXISTS (
          SELECT FROM ticket_merge AS merge
          WHERE merge.source_id = ticket.id AND merge.merged_at <= $5 AND (merge.undone_at IS NULL OR merge.undone_at > $5))
),
-- A cause that was recorded twice for a ticket counts once.
caused AS MATERIALIZED (
    SELECT DISTINCT picked.id, cause.cause
    FROM picked CROSS JOIN LATERAL (
        SELECT cause FROM root_cause WHERE ticket_id = picked.id AND recorded_at <= $5 OFFSET 0) AS cause
),
-- What was found in the period, about whichever ticket; where a ticket went later does not move it.
found AS MATERIALIZED (
    SELECT DISTINCT root_cause.ticket_id AS id, root_cause.cause
    FROM root_cause JOIN ticket ON ticket.id = root_cause.ticket_id
    WHERE (root_cause.org_unit = $1 OR (root_cause.org_unit > $1 || '/' AND root_cause.org_unit < $1 || '0'))
      AND root_cause.recorded_at >= $2 AND root_cause.recorded_at < $3 AND root_cause.recorded_at <= $5
      AND ticket.kind = ANY ($4::text[])
),
promise AS MATERIALIZED (
    SELECT clock.rule, clock.kind, count(*) AS count, count(*) FILTER (WHERE clock.state = 'met') AS met,
           count(*) FILTER (WHERE clock.state = 'breached') AS breached,
           count(*) FILTER (WHERE clock.state = 'running') AS running,
           -- A delay is announced before the deadline, so before the breach; and what is broken is broken (T-08).
           count(*) FILTER (WHERE clock.state = 'breached' AND clock.announced) AS announced
    FROM picked CROSS JOIN LATERAL (
        SELECT rule, kind, announcements IS NOT NULL AS announced, CASE
                   WHEN breached_at <= $5 AND (fulfilled_at < breached_at) IS NOT TRUE THEN 'breached'
                   WHEN fulfilled_at <= $5 THEN 'met'
                   WHEN cancelled_at <= $5 THEN 'cancelled'
                   ELSE 'running'
               END AS state
        FROM ticket_clock
        -- What it was resumed or revised from began earlier than it did.
        WHERE ticket_id = picked.id AND started_at <= $5
          AND (revisions IS NULL OR (revisions -> -1 ->> 'at')::timestamptz <= $5)
          AND (ticket_clock.cycle = 1 OR EXISTS (
              SELECT FROM verdict
              WHERE verdict.ticket_id = picked.id AND verdict.cycle = ticket_clock.cycle - 1 AND verdict.recorded_at <= $5
                AND NOT EXISTS (
                    SELECT FROM ticket_reopening AS again
                    WHERE again.ticket_id = picked.id AND again.cycle = verdict.cycle))
              OR EXISTS (
                  SELECT FROM ticket_reopening AS again
                  WHERE again.ticket_id = picked.id AND again.cycle = ticket_clock.cycle - 1 AND again.reopened_at <= $5))
        OFFSET 0) AS clock
    GROUP BY clock.rule, clock.kind
),
category AS MATERIALIZED (
    SELECT category, count(*) AS count FROM picked GROUP BY category
),
-- Each category counts for itself and for the nodes above it, eight levels deep.
node AS (
    SELECT array_to_string(path[:depth], '/') AS node, sum(count)::bigint AS count,
           coalesce(sum(count) FILTER (WHERE depth = cardinality(path)), 0)::bigint AS own
    FROM (SELECT string_to_array(category, '/') AS path, count FROM category WHERE category <> '') AS paths
    CROSS JOIN LATERAL generate_series(1, least(cardinality(path), 8)) AS depth
    GROUP BY 1
)
SELECT 'severity' AS "section!", severity::text AS "label!", NULL AS kind, count(*) AS "count!",
       0::bigint AS "met!", 0::bigint AS "breached!", 0::bigint AS "running!"
FROM picked GROUP BY severity
UNION ALL
SELECT 'channel', channel, NULL, count(*), 0, 0, 0 FROM picked GROUP BY channel
UNION ALL
(SELECT 'org_unit', org_unit, NULL, count(*), 0, 0, 0 FROM picked GROUP BY org_unit ORDER BY org_unit LIMIT 1000)
UNION ALL
(SELECT 'category', category, NULL, count, 0, 0, 0 FROM category ORDER BY count DESC, category COLLATE "C" LIMIT $6)
UNION ALL
(SELECT 'node', node, NULL, count, own, 0, 0 FROM node ORDER BY count DESC, node COLLATE "C" LIMIT 200)
UNION ALL
(SELECT 'product', product, NULL, count(*), 0, 0, 0
 FROM picked GROUP BY product ORDER BY count(*) DESC, product COLLATE "C" LIMIT $6)
UNION ALL
(SELECT 'shop', shop, NULL, count(*), 0, 0, 0
 FROM picked GROUP BY shop ORDER BY count(*) DESC, shop COLLATE "C" LIMIT $6)
UNION ALL
SELECT 'clock', rule, kind, count, met, breached, running FROM promise
UNION ALL
SELECT 'announced', rule, kind, announced, 0, 0, 0 FROM promise WHERE announced > 0
UNION ALL
-- A verdict that did not close its ticket began the next cycle; one that did may have been followed by a reopening.
SELECT 'verdict', verdict.value::text, NULL, count(*),
       count(*) FILTER (WHERE verdict.cycle = picked.cycle OR EXISTS (
           SELECT FROM ticket_reopening AS again WHERE again.ticket_id = picked.id AND again.cycle = verdict.cycle)), 0, 0
FROM picked CROSS JOIN LATERAL (
    SELECT value, cycle FROM verdict WHERE ticket_id = picked.id AND recorded_at <= $5 OFFSET 0) AS verdict
GROUP BY verdict.value
UNION ALL
SELECT 'escalation', escalation.cause, NULL, count(*), 0, 0, 0
FROM picked CROSS JOIN LATERAL (
    SELECT cause FROM escalation WHERE ticket_id = picked.id AND escalated_at <= $5 OFFSET 0) AS escalation
GROUP BY escalation.cause
UNION ALL
SELECT 'violation', violation.code, NULL, count(*), 0, 0, 0
FROM picked CROSS JOIN LATERAL (
    SELECT code FROM violation WHERE ticket_id = picked.id AND proposed_at <= $5 OFFSET 0) AS violation
GROUP BY violation.code
UNION ALL
(SELECT 'cause', cause, NULL, count(*), 0, 0, 0 FROM caused GROUP BY cause ORDER BY count(*) DESC, cause COLLATE "C" LIMIT $6)
UNION ALL
SELECT 'cause_total', '', NULL, count(*), count(DISTINCT id), 0, 0 FROM caused
UNION ALL
(SELECT 'found', cause, NULL, count(*), 0, 0, 0 FROM found GROUP BY cause ORDER BY count(*) DESC, cause COLLATE "C" LIMIT $6)
UNION ALL
SELECT 'found_total', '', NULL, count(*), count(DISTINCT id), 0, 0 FROM found
ORDER BY 1, 2
