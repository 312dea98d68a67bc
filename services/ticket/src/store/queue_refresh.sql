-- Puts the tickets $1 where they belong in the queues, by what they are now; $2 is the turn. What filters look at and whose it
-- is are made by the functions of migrations 0029 and 0035.
WITH open AS (
    SELECT ticket.id, ticket.org_unit, ticket_who(ticket) AS who,
           coalesce((extract(epoch FROM owes.owed_at) * 1000000)::bigint, 9223372036854775807) AS due_key,
           array_position(ARRAY['urgent', 'high', 'normal', 'low'], ticket.priority) - 1 AS urgency,
           (extract(epoch FROM ticket.created_at) * 1000000)::bigint AS created_key,
           ticket_fields(ticket, owes.states, owes.due, owes.owed_at) AS fields
    FROM ticket CROSS JOIN LATERAL ticket_owes(ticket.id, ticket.cycle) AS owes
    WHERE ticket.id = ANY ($1) AND ticket.state NOT IN ('closed', 'cancelled', 'merged')
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
