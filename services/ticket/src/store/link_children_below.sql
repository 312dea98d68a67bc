-- The same, where few of them may be there: of each org unit that has any the first ones by the index of the children, and then
-- the first of those.
WITH RECURSIVE scope AS (
    SELECT $2::text COLLATE "C" AS org_unit
    UNION ALL
    SELECT (SELECT min(other.org_unit) FROM ticket AS other
            WHERE other.links ? 'parent' AND other.links ->> 'parent' = $1
              AND other.org_unit > greatest(scope.org_unit, ($2 || '/') COLLATE "C")
              AND other.org_unit < $2 || '0')
    FROM scope WHERE scope.org_unit IS NOT NULL
)
SELECT found.id AS "id!"
FROM scope CROSS JOIN LATERAL (
    SELECT id FROM ticket
    WHERE ticket.links ? 'parent' AND ticket.links ->> 'parent' = $1 AND ticket.org_unit = scope.org_unit
      AND ticket.id > $3
    ORDER BY ticket.id LIMIT $4
) AS found
ORDER BY found.id LIMIT $4
