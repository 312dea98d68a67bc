-- Leases what is due of one adapter: whoever gets a row sends it, nobody else does until the lease is over, and no
-- transaction is open meanwhile. Tells what is to be sent.
WITH due AS (
    SELECT id FROM delivery
    WHERE state = 'pending' AND adapter = $2 AND next_attempt_at <= $1
      AND (leased_until IS NULL OR leased_until <= now())
    ORDER BY next_attempt_at
    LIMIT $3
    FOR UPDATE SKIP LOCKED
)
UPDATE delivery
SET lease = $4, leased_until = now() + make_interval(secs => $5::double precision), attempts = delivery.attempts + 1
FROM due, ticket
WHERE delivery.id = due.id AND ticket.id = delivery.ticket_id
RETURNING delivery.id, delivery.ticket_id, delivery.content, delivery.adapter, delivery.kind, delivery.recipient,
          delivery.subject, delivery.created_by, coalesce(delivery.body, (SELECT body FROM message WHERE message.id = delivery.message_id)) AS "body!",
          delivery.attempts, delivery.allowed_attempts, delivery.created_at AS "created_at: Timestamp",
          ticket.number AS ticket_number
