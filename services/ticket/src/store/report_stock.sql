-- How many tickets of the kinds $2 were open at and below $1 just before $3, wherever they have gone since: what is open now
-- (ticket_open_idx) and what was closed, cancelled (ticket_ended_idx) or merged (ticket_merged_idx) since, as report_open.sql
-- has it.
WITH scope AS NOT MATERIALIZED (
    SELECT DISTINCT org_unit FROM number_counter
    WHERE org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0')
),
-- What was accepted by somebody else since was then where the first of those transfers took it from.
moved AS MATERIALIZED (
    SELECT DISTINCT ON (ticket_id) ticket_id, from_org_unit FROM transfer
    WHERE state = 'accepted' AND ended_at >= $3
    ORDER BY ticket_id, number
),
stock AS (
    SELECT ticket.id FROM scope JOIN ticket USING (org_unit)
    WHERE ticket.state NOT IN ('closed', 'cancelled', 'merged') AND ticket.created_at < $3
      AND ticket.kind = ANY ($2::text[]) AND ticket.id NOT IN (SELECT ticket_id FROM moved)
    UNION ALL
    SELECT ticket.id FROM scope JOIN ticket USING (org_unit)
    WHERE ticket.state IN ('closed', 'cancelled') AND ticket.state_since >= $3 AND ticket.created_at < $3
      AND ticket.kind = ANY ($2::text[]) AND ticket.id NOT IN (SELECT ticket_id FROM moved)
    UNION ALL
    SELECT ticket.id FROM scope JOIN ticket USING (org_unit)
    WHERE ticket.state = 'merged' AND ticket.state_since >= $3 AND ticket.created_at < $3
      AND ticket.kind = ANY ($2::text[]) AND ticket.id NOT IN (SELECT ticket_id FROM moved)
    UNION ALL
    SELECT ticket.id FROM moved
    JOIN scope ON scope.org_unit = moved.from_org_unit JOIN ticket ON ticket.id = moved.ticket_id
    WHERE (ticket.state NOT IN ('closed', 'cancelled', 'merged') OR ticket.state_since >= $3)
      AND ticket.created_at < $3 AND ticket.kind = ANY ($2::text[])
)
SELECT count(*) AS "count!" FROM stock
WHERE NOT EXISTS (
    SELECT FROM ticket_merge AS merge
    WHERE merge.source_id = stock.id AND merge.merged_at < $3 AND (merge.undone_at IS NULL OR merge.undone_at >= $3))
  -- What was closed then and reopened since.
  AND stock.id NOT IN (SELECT ticket_id FROM ticket_reopening WHERE reopened_at >= $3 AND closed_at < $3)
