-- A page of the processes of one ticket where that is at or below an org unit, newest first, by the ticket's index.
SELECT id AS "id!" FROM process
WHERE ticket_id = $5
  AND (org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0'))
  AND (created_at, id) < (coalesce($2::timestamptz, 'infinity'), coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
  AND (cardinality($6::text[]) = 0 OR state = ANY ($6))
  AND ($7::text IS NULL OR template = $7)
  AND ($8::text IS NULL OR (state = 'running' AND $8 = ANY (current_stages)))
  AND (NOT $9::boolean OR (state = 'running' AND due_at < $10::timestamptz))
ORDER BY created_at DESC, id DESC
LIMIT $4
