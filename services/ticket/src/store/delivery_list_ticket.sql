-- A page of the deliveries of one ticket, newest first. Rows as in delivery_get.sql.
SELECT id, revision, ticket_id, customer_id, org_unit, message_id, content, rule, adapter, kind, recipient, subject, body, state,
       attempts, allowed_attempts, round_attempts, first_wait_ms, longest_wait_ms,
       next_attempt_at AS "next_attempt_at: Timestamp", last_error, provider_id, sent_at AS "sent_at: Timestamp", created_by,
       created_at AS "created_at: Timestamp", updated_at AS "updated_at: Timestamp", lease,
       coalesce(leased_until > now(), false) AS "in_flight!"
FROM delivery
WHERE ticket_id = $6 AND state = ANY ($2)
  AND (org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0'))
  AND ($3::timestamptz IS NULL OR (created_at, id) < ($3, $4::uuid))
ORDER BY created_at DESC, id DESC
LIMIT $5
