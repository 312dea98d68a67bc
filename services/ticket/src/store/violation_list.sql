-- A page of the violations at and below an org unit, newest first: of each org unit that has any the newest ones by the
-- index, then the newest of those. Org units are found by stepping through the index from one to the next.
WITH RECURSIVE scope AS (
    SELECT $1::text COLLATE "C" AS org_unit
    UNION ALL
    SELECT (SELECT min(other.org_unit) FROM violation AS other
            WHERE other.org_unit > greatest(scope.org_unit, ($1 || '/') COLLATE "C") AND other.org_unit < $1 || '0')
    FROM scope WHERE scope.org_unit IS NOT NULL
)
SELECT found.id AS "id!"
FROM scope CROSS JOIN LATERAL (
    SELECT id, created_at FROM violation
    WHERE violation.org_unit = scope.org_unit
      AND ($2::timestamptz IS NULL OR (violation.created_at, violation.id) < ($2, $3::uuid))
      AND (cardinality($5::text[]) = 0 OR violation.state = ANY ($5))
    ORDER BY violation.created_at DESC, violation.id DESC
    LIMIT $4
) AS found
ORDER BY found.created_at DESC, found.id DESC
LIMIT $4
