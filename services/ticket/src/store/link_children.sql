-- The first $4 children of parent $1 at and below org unit $2 after ticket $3, in the order of their ids: they are read in that
-- order, each with its ticket, until there are enough.
SELECT link.child_id AS "id!"
FROM ticket_link AS link CROSS JOIN LATERAL (
    SELECT ticket.org_unit FROM ticket WHERE ticket.id = link.child_id OFFSET 0
) AS child
WHERE link.parent_id = $1 AND link.unlinked_at IS NULL AND link.child_id > $3
  AND (child.org_unit = $2 OR (child.org_unit > $2 || '/' AND child.org_unit < $2 || '0'))
ORDER BY link.child_id LIMIT $4
