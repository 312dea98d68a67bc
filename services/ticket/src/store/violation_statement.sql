-- What one person is charged and given back from one instant to another: what was confirmed then, and what appeals that
-- were decided then overturned.
SELECT id AS "id!", code AS "code!", description_en AS "description_en!", description_zh AS "description_zh!",
       proposed_at AS "proposed_at!: Timestamp", at AS "at!: Timestamp", cents AS "cents!", currency, state AS "state!",
       credit AS "credit!"
FROM (
    SELECT id, code, description_en, description_zh, proposed_at, decided_at AS at, charged_cents AS cents, currency, state,
           false AS credit
    FROM violation
    WHERE staff = $1 AND charged_cents IS NOT NULL AND decided_at >= $3 AND decided_at < $4
      AND (org_unit = $2 OR (org_unit > $2 || '/' AND org_unit < $2 || '0'))
    UNION ALL
    SELECT id, code, description_en, description_zh, proposed_at, appeal_decided_at, - charged_cents, currency, state, true
    FROM violation
    WHERE staff = $1 AND state = 'overturned' AND appeal_decided_at >= $3 AND appeal_decided_at < $4
      AND (org_unit = $2 OR (org_unit > $2 || '/' AND org_unit < $2 || '0'))
) AS line
ORDER BY at, credit, id
LIMIT $5
