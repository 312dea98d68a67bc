-- A page of the processes at and below an org unit, newest first. Org units are found by stepping through the index from one to
-- the next; a page comes from no more of them than it is long, those whose newest are the newest: of each of these the newest
-- ones by the index, then the newest of those. The place to go on from is a bound of the index whatever the plan.
WITH RECURSIVE scope AS (
    SELECT $1::text COLLATE "C" AS org_unit
    UNION ALL
    SELECT (SELECT min(other.org_unit) FROM process AS other
            WHERE other.org_unit > greatest(scope.org_unit, ($1 || '/') COLLATE "C") AND other.org_unit < $1 || '0')
    FROM scope WHERE scope.org_unit IS NOT NULL
),
head AS (
    SELECT scope.org_unit
    FROM scope CROSS JOIN LATERAL (
        SELECT created_at, id FROM process
        WHERE process.org_unit = scope.org_unit
          AND (process.created_at, process.id) < (coalesce($2::timestamptz, 'infinity'), coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
          AND (cardinality($5::text[]) = 0 OR process.state = ANY ($5))
          AND ($6::text IS NULL OR process.template = $6)
        ORDER BY process.created_at DESC, process.id DESC
        LIMIT 1
    ) AS newest
    ORDER BY newest.created_at DESC, newest.id DESC
    LIMIT $4
)
SELECT found.id AS "id!"
FROM head CROSS JOIN LATERAL (
    SELECT id, created_at FROM process
    WHERE process.org_unit = head.org_unit
      AND (process.created_at, process.id) < (coalesce($2::timestamptz, 'infinity'), coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
      AND (cardinality($5::text[]) = 0 OR process.state = ANY ($5))
      AND ($6::text IS NULL OR process.template = $6)
    ORDER BY process.created_at DESC, process.id DESC
    LIMIT $4
) AS found
ORDER BY found.created_at DESC, found.id DESC
LIMIT $4
