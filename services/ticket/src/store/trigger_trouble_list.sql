-- A page of the triggers that should have acted at and below an org unit and did not, newest first: of each org unit that has
-- such and each outcome that is asked for, the newest ones by the index, then the newest of those. From one org unit to the next
-- by the index as well: also where a ticket came from elsewhere and none was ever registered.
WITH RECURSIVE below AS (
    (SELECT org_unit FROM trigger_trouble WHERE org_unit > $1::text || '/' AND org_unit < $1::text || '0'
     ORDER BY org_unit LIMIT 1)
    UNION ALL
    SELECT (SELECT next.org_unit FROM trigger_trouble AS next
            WHERE next.org_unit > below.org_unit AND next.org_unit < $1::text || '0'
            ORDER BY next.org_unit LIMIT 1)
    FROM below WHERE below.org_unit IS NOT NULL
),
scope AS (
    SELECT $1::text COLLATE "C" AS org_unit
    UNION ALL
    SELECT org_unit FROM below WHERE org_unit IS NOT NULL
),
page AS (
    SELECT found.root_event, found.rule, scope.org_unit
    FROM scope CROSS JOIN unnest($2::text[]) AS wanted (outcome) CROSS JOIN LATERAL (
        SELECT trouble.root_event, trouble.rule, trouble.run_at FROM trigger_trouble AS trouble
        WHERE trouble.org_unit = scope.org_unit AND trouble.outcome = wanted.outcome
          AND ($3::timestamptz IS NULL OR (trouble.run_at, trouble.root_event, trouble.rule) < ($3, $4::uuid, $5::text))
          AND ($7::timestamptz IS NULL OR trouble.run_at >= $7)
          AND ($8::timestamptz IS NULL OR trouble.run_at < $8)
        ORDER BY trouble.run_at DESC, trouble.root_event DESC, trouble.rule DESC
        LIMIT $6
    ) AS found
    ORDER BY found.run_at DESC, found.root_event DESC, found.rule DESC
    LIMIT $6
)
SELECT run.root_event, run.rule, run.event_id, run.ticket_id, run.customer_id, page.org_unit AS "org_unit!", run.depth,
       run.outcome, run.detail, run.from_revision, run.to_revision, run.run_at AS "run_at: Timestamp"
FROM page JOIN trigger_run AS run USING (root_event, rule)
ORDER BY run.run_at DESC, run.root_event DESC, run.rule DESC
