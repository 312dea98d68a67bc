-- A page of the processes at and below an org unit, newest first, of those under way, as in process_list.sql. With the state as
-- a literal, so that the index of what is under way serves whatever the plan; it has all that is asked here.
WITH RECURSIVE scope AS (
    SELECT $1::text COLLATE "C" AS org_unit
    UNION ALL
    SELECT (SELECT min(other.org_unit) FROM process AS other
            WHERE other.org_unit > greatest(scope.org_unit, ($1 || '/') COLLATE "C") AND other.org_unit < $1 || '0' AND other.state = 'running')
    FROM scope WHERE scope.org_unit IS NOT NULL
),
head AS (
    SELECT scope.org_unit
    FROM scope CROSS JOIN LATERAL (
        SELECT created_at, id FROM process
        WHERE process.org_unit = scope.org_unit
          AND (process.created_at, process.id) < (coalesce($2::timestamptz, 'infinity'), coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
          AND process.state = 'running'
          AND ($5::text IS NULL OR $5 = ANY (process.current_stages))
          AND ($6::text IS NULL OR process.template = $6)
          AND (NOT $7::boolean OR process.due_at < $8::timestamptz)
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
      AND process.state = 'running'
      AND ($5::text IS NULL OR $5 = ANY (process.current_stages))
      AND ($6::text IS NULL OR process.template = $6)
      AND (NOT $7::boolean OR process.due_at < $8::timestamptz)
    ORDER BY process.created_at DESC, process.id DESC
    LIMIT $4
) AS found
ORDER BY found.created_at DESC, found.id DESC
LIMIT $4
