-- What the lines of violation_statement.sql come to, by currency.
SELECT coalesce(currency, '') AS "currency!", coalesce(sum(cents), 0)::bigint AS "cents!",
       count(*) FILTER (WHERE NOT credit) AS "confirmed!", count(*) FILTER (WHERE credit) AS "overturned!"
FROM (
    SELECT charged_cents AS cents, currency, false AS credit
    FROM violation
    WHERE staff = $1 AND charged_cents IS NOT NULL AND decided_at >= $3 AND decided_at < $4
      AND (org_unit = $2 OR (org_unit > $2 || '/' AND org_unit < $2 || '0'))
    UNION ALL
    SELECT - charged_cents, currency, true
    FROM violation
    WHERE staff = $1 AND state = 'overturned' AND appeal_decided_at >= $3 AND appeal_decided_at < $4
      AND (org_unit = $2 OR (org_unit > $2 || '/' AND org_unit < $2 || '0'))
) AS line
GROUP BY 1
ORDER BY 1
