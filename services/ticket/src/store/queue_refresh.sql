-- Puts the tickets $1 where they belong in the queues, by what they are now; $2 is the turn. To be able to filter by one
-- more column, add it to `fields` here and to the schema in domain/queue.rs; where queues of one value must be quick, to
-- `who` as well.
WITH open AS (
    SELECT ticket.id, ticket.org_unit,
           coalesce((extract(epoch FROM owed.due_at) * 1000000)::bigint, 9223372036854775807) AS due_key,
           array_position(ARRAY['urgent', 'high', 'normal', 'low'], ticket.priority) - 1 AS urgency,
           (extract(epoch FROM ticket.created_at) * 1000000)::bigint AS created_key,
           array_remove(ARRAY['handler:' || ticket.handler, 'first_contact_owner:' || ticket.first_contact_owner], NULL)
               AS who,
           jsonb_strip_nulls(jsonb_build_object(
               'state', ticket.state,
               'kind', ticket.kind,
               'channel', ticket.channel,
               'priority', ticket.priority,
               'severity', ticket.severity,
               'receiver_level', ticket.receiver_level,
               'cycle', ticket.cycle,
               'number', ticket.number,
               'product', nullif(ticket.product, ''),
               'category', nullif(ticket.category, ''),
               'org_unit', ticket.org_unit,
               'tag', ticket.tags,
               'first_contact_owner', ticket.first_contact_owner,
               'handler', ticket.handler,
               'customer', ticket.customer_id,
               'create_time', (extract(epoch FROM ticket.created_at) * 1000000)::bigint,
               'update_time', (extract(epoch FROM ticket.updated_at) * 1000000)::bigint,
               'due_time', (extract(epoch FROM owed.due_at) * 1000000)::bigint,
               'undelivered', CASE (ticket.outbound #>> '{undelivered,cancelled}')::boolean
                                  WHEN true THEN 'cancelled' WHEN false THEN 'parked' END,
               'clock', owed.clocks)) AS fields
    FROM ticket
    CROSS JOIN LATERAL (
        SELECT min(due_at) FILTER (
                   WHERE state = 'running' OR (breached_at IS NOT NULL AND fulfilled_at IS NULL AND cancelled_at IS NULL)
               ) AS due_at,
               -- Of several rounds the last one counts.
               jsonb_object_agg(rule, state ORDER BY round) AS clocks
        FROM ticket_clock
        WHERE ticket_clock.ticket_id = ticket.id AND ticket_clock.cycle = ticket.cycle
    ) AS owed
    WHERE ticket.id = ANY ($1) AND ticket.state NOT IN ('closed', 'cancelled')
),
ended AS (
    DELETE FROM queue_entry
    WHERE ticket_id = ANY ($1) AND NOT EXISTS (SELECT FROM open WHERE open.id = queue_entry.ticket_id)
)
INSERT INTO queue_entry AS entry (ticket_id, org_unit, due_key, urgency, newness, created_key, who, fields, turn)
SELECT id, org_unit, due_key, urgency, -created_key, created_key, who, fields, $2 FROM open
ON CONFLICT (ticket_id) DO UPDATE SET
    org_unit = excluded.org_unit, due_key = excluded.due_key, urgency = excluded.urgency, who = excluded.who,
    fields = excluded.fields,
    turn = CASE
        WHEN (entry.org_unit, entry.due_key, entry.urgency) = (excluded.org_unit, excluded.due_key, excluded.urgency)
        THEN entry.turn ELSE excluded.turn
    END
WHERE (entry.org_unit, entry.due_key, entry.urgency, entry.who, entry.fields)
    IS DISTINCT FROM (excluded.org_unit, excluded.due_key, excluded.urgency, excluded.who, excluded.fields)
