-- A page of the shifts of the dispatch centres at and below an org unit, those that begin last first, as in
-- violation_list.sql.
WITH RECURSIVE scope AS (
    SELECT $1::text COLLATE "C" AS centre
    UNION ALL
    SELECT (SELECT min(other.dispatch_centre) FROM shift AS other
            WHERE other.dispatch_centre > greatest(scope.centre, ($1 || '/') COLLATE "C")
              AND other.dispatch_centre < $1 || '0')
    FROM scope WHERE scope.centre IS NOT NULL
)
SELECT found.id AS "id!"
FROM scope CROSS JOIN LATERAL (
    SELECT id, starts_at FROM shift
    WHERE shift.dispatch_centre = scope.centre
      AND ($2::timestamptz IS NULL OR (shift.starts_at, shift.id) < ($2, $3::uuid))
      AND (cardinality($5::text[]) = 0 OR shift.state = ANY ($5))
    ORDER BY shift.starts_at DESC, shift.id DESC
    LIMIT $4
) AS found
ORDER BY found.starts_at DESC, found.id DESC
LIMIT $4
