-- A page of the violations at and below an org unit, newest first: of each org unit the newest ones by the index, then the
-- newest of those. As in ticket_list.sql.
WITH scope AS (
    SELECT DISTINCT org_unit FROM number_counter
    WHERE org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0')
)
SELECT found.id AS "id!", found.ticket_id, found.work_order_id, found.org_unit AS "org_unit!", found.code AS "code!",
       found.description_en AS "description_en!", found.description_zh AS "description_zh!", found.staff AS "staff!",
       found.evidence AS "evidence!", found.amount_cents AS "amount_cents!", found.currency,
       found.proposed_at AS "proposed_at!: Timestamp", found.created_at AS "created_at!: Timestamp"
FROM scope CROSS JOIN LATERAL (
    SELECT * FROM violation
    WHERE violation.org_unit = scope.org_unit
      AND ($2::timestamptz IS NULL OR (violation.created_at, violation.id) < ($2, $3::uuid))
    ORDER BY violation.created_at DESC, violation.id DESC
    LIMIT $4
) AS found
ORDER BY found.created_at DESC, found.id DESC
LIMIT $4
