-- A page of the processes at and below an org unit, newest first, as in violation_list.sql.
WITH RECURSIVE scope AS (
    SELECT $1::text COLLATE "C" AS org_unit
    UNION ALL
    SELECT (SELECT min(other.org_unit) FROM process AS other
            WHERE other.org_unit > greatest(scope.org_unit, ($1 || '/') COLLATE "C") AND other.org_unit < $1 || '0')
    FROM scope WHERE scope.org_unit IS NOT NULL
)
SELECT found.id AS "id!"
FROM scope CROSS JOIN LATERAL (
    SELECT id, created_at FROM process
    WHERE process.org_unit = scope.org_unit
      AND ($2::timestamptz IS NULL OR (process.created_at, process.id) < ($2, $3::uuid))
      AND (cardinality($5::text[]) = 0 OR process.state = ANY ($5))
      AND ($6::text IS NULL OR process.template = $6)
      AND ($7::uuid IS NULL OR process.ticket_id = $7)
    ORDER BY process.created_at DESC, process.id DESC
    LIMIT $4
) AS found
ORDER BY found.created_at DESC, found.id DESC
LIMIT $4
