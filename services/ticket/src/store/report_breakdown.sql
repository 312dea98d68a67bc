-- The same tickets, counted by what they are and by what happened to them: rows of (section, label, count), for clocks
-- with their kind and how many of the count were kept, broken and still run.
--
-- What hangs on the tickets is looked up by their ids: OFFSET 0 keeps the planner, who takes a week for a good part of all
-- time, from reading those tables as a whole.
WITH scope AS (
    SELECT DISTINCT org_unit FROM number_counter
    WHERE org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0')
),
picked AS MATERIALIZED (
    SELECT ticket.id, ticket.org_unit, ticket.severity, ticket.channel FROM scope JOIN ticket USING (org_unit)
    WHERE ticket.created_at >= $2 AND ticket.created_at < $3 AND ticket.kind = ANY ($4::text[])
)
SELECT 'severity' AS "section!", severity::text AS "label!", NULL AS kind, count(*) AS "count!",
       0::bigint AS "met!", 0::bigint AS "breached!", 0::bigint AS "running!"
FROM picked GROUP BY severity
UNION ALL
SELECT 'channel', channel, NULL, count(*), 0, 0, 0 FROM picked GROUP BY channel
UNION ALL
(SELECT 'org_unit', org_unit, NULL, count(*), 0, 0, 0 FROM picked GROUP BY org_unit ORDER BY org_unit LIMIT 1000)
UNION ALL
SELECT 'clock', clock.rule, clock.kind, count(*), count(*) FILTER (WHERE clock.state = 'met'),
       count(*) FILTER (WHERE clock.state = 'breached'), count(*) FILTER (WHERE clock.state IN ('running', 'paused'))
FROM picked CROSS JOIN LATERAL (
    SELECT rule, kind, state FROM ticket_clock WHERE ticket_id = picked.id OFFSET 0) AS clock
GROUP BY clock.rule, clock.kind
UNION ALL
SELECT 'verdict', verdict.value::text, NULL, count(*), 0, 0, 0
FROM picked CROSS JOIN LATERAL (SELECT value FROM verdict WHERE ticket_id = picked.id OFFSET 0) AS verdict
GROUP BY verdict.value
UNION ALL
SELECT 'escalation', escalation.cause, NULL, count(*), 0, 0, 0
FROM picked CROSS JOIN LATERAL (SELECT cause FROM escalation WHERE ticket_id = picked.id OFFSET 0) AS escalation
GROUP BY escalation.cause
UNION ALL
SELECT 'violation', violation.code, NULL, count(*), 0, 0, 0
FROM picked CROSS JOIN LATERAL (SELECT code FROM violation WHERE ticket_id = picked.id OFFSET 0) AS violation
GROUP BY violation.code
ORDER BY 1, 2
