-- A page of the suggestions at and below an org unit, newest first, as in violation_list.sql.
WITH RECURSIVE scope AS (
    SELECT $1::text COLLATE "C" AS org_unit
    UNION ALL
    SELECT (SELECT min(other.org_unit) FROM suggestion AS other
            WHERE other.org_unit > greatest(scope.org_unit, ($1 || '/') COLLATE "C") AND other.org_unit < $1 || '0')
    FROM scope WHERE scope.org_unit IS NOT NULL
)
SELECT found.id AS "id!"
FROM scope CROSS JOIN LATERAL (
    SELECT id, created_at FROM suggestion
    WHERE suggestion.org_unit = scope.org_unit
      AND ($2::timestamptz IS NULL OR (suggestion.created_at, suggestion.id) < ($2, $3::uuid))
      AND (cardinality($5::text[]) = 0 OR suggestion.state = ANY ($5))
      AND ($6::text IS NULL OR suggestion.proposer = $6)
      AND ($7::text[] IS NULL OR suggestion.decision_maker = ANY ($7))
      AND (NOT $8::boolean OR (suggestion.state IN ('submitted', 'deferred') AND suggestion.due_at < $9::timestamptz))
    ORDER BY suggestion.created_at DESC, suggestion.id DESC
    LIMIT $4
) AS found
ORDER BY found.created_at DESC, found.id DESC
LIMIT $4
