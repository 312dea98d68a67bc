-- How many tickets of the kinds $2 that were registered from $3 on were at and below $1 just before $4, wherever they have
-- gone since, without what was merged by then: the arrivals that belong to the stock of report_stock.sql.
WITH scope AS NOT MATERIALIZED (
    SELECT DISTINCT org_unit FROM number_counter
    WHERE org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0')
),
-- What was accepted by somebody else since was then where the first of those transfers took it from.
moved AS MATERIALIZED (
    SELECT DISTINCT ON (ticket_id) ticket_id, from_org_unit FROM transfer
    WHERE state = 'accepted' AND ended_at >= $4
    ORDER BY ticket_id, number
),
arrived AS (
    SELECT ticket.id FROM scope JOIN ticket USING (org_unit)
    WHERE ticket.created_at >= $3 AND ticket.created_at < $4 AND ticket.kind = ANY ($2::text[])
      AND ticket.id NOT IN (SELECT ticket_id FROM moved)
    UNION ALL
    SELECT ticket.id FROM moved
    JOIN scope ON scope.org_unit = moved.from_org_unit JOIN ticket ON ticket.id = moved.ticket_id
    WHERE ticket.created_at >= $3 AND ticket.created_at < $4 AND ticket.kind = ANY ($2::text[])
)
SELECT count(*) AS "count!" FROM arrived
WHERE NOT EXISTS (
    SELECT FROM ticket_merge AS merge
    WHERE merge.source_id = arrived.id AND merge.merged_at < $4 AND (merge.undone_at IS NULL OR merge.undone_at >= $4))
