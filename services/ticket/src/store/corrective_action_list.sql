-- A page of the actions at and below an org unit, newest first, as in violation_list.sql.
WITH RECURSIVE scope AS (
    SELECT $1::text COLLATE "C" AS org_unit
    UNION ALL
    SELECT (SELECT min(other.org_unit) FROM corrective_action AS other
            WHERE other.org_unit > greatest(scope.org_unit, ($1 || '/') COLLATE "C") AND other.org_unit < $1 || '0')
    FROM scope WHERE scope.org_unit IS NOT NULL
)
SELECT found.id AS "id!"
FROM scope CROSS JOIN LATERAL (
    SELECT id, created_at FROM corrective_action AS action
    WHERE action.org_unit = scope.org_unit
      AND ($2::timestamptz IS NULL OR (action.created_at, action.id) < ($2, $3::uuid))
      AND (cardinality($5::text[]) = 0 OR action.state = ANY ($5))
      AND (NOT $6::boolean OR (action.state IN ('planned', 'started') AND action.due_at < $7::timestamptz))
      AND ($8::uuid IS NULL OR action.ticket_id = $8)
      AND ($9::text IS NULL OR action.owner = $9)
    ORDER BY action.created_at DESC, action.id DESC
    LIMIT $4
) AS found
ORDER BY found.created_at DESC, found.id DESC
LIMIT $4
