-- One delivery, and whether somebody is sending it at this moment of real time.
SELECT id, revision, ticket_id, customer_id, org_unit, message_id, content, rule, adapter, kind, recipient, subject, body, state,
       attempts, allowed_attempts, round_attempts, first_wait_ms, longest_wait_ms,
       next_attempt_at AS "next_attempt_at: Timestamp", last_error, provider_id, sent_at AS "sent_at: Timestamp", created_by,
       created_at AS "created_at: Timestamp", updated_at AS "updated_at: Timestamp", lease,
       coalesce(leased_until > now(), false) AS "in_flight!"
FROM delivery WHERE id = $1
