-- A page of the holds at and below an org unit, newest first, as in violation_list.sql.
WITH RECURSIVE scope AS (
    SELECT $1::text COLLATE "C" AS org_unit
    UNION ALL
    SELECT (SELECT min(other.org_unit) FROM product_hold AS other
            WHERE other.org_unit > greatest(scope.org_unit, ($1 || '/') COLLATE "C") AND other.org_unit < $1 || '0')
    FROM scope WHERE scope.org_unit IS NOT NULL
)
SELECT found.id AS "id!"
FROM scope CROSS JOIN LATERAL (
    SELECT id, placed_at FROM product_hold AS hold
    WHERE hold.org_unit = scope.org_unit
      AND ($2::timestamptz IS NULL OR (hold.placed_at, hold.id) < ($2, $3::uuid))
      AND ($5::boolean OR hold.lifted_at IS NULL)
    ORDER BY hold.placed_at DESC, hold.id DESC
    LIMIT $4
) AS found
ORDER BY found.placed_at DESC, found.id DESC
LIMIT $4
