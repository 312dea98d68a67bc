-- A page of the deliveries at and below an org unit, newest first: of each org unit that has tickets and each state that is
-- asked for, the newest ones by the index, then the newest of those. Rows as in delivery_get.sql.
WITH scope AS (
    SELECT DISTINCT org_unit FROM number_counter
    WHERE org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0')
),
page AS (
    SELECT found.id
    FROM scope CROSS JOIN unnest($2::text[]) AS wanted (state) CROSS JOIN LATERAL (
        SELECT delivery.id, delivery.created_at FROM delivery
        WHERE delivery.org_unit = scope.org_unit AND delivery.state = wanted.state
          AND ($3::timestamptz IS NULL OR (delivery.created_at, delivery.id) < ($3, $4::uuid))
        ORDER BY delivery.created_at DESC, delivery.id DESC
        LIMIT $5
    ) AS found
    ORDER BY found.created_at DESC, found.id DESC
    LIMIT $5
)
SELECT id, revision, ticket_id, customer_id, org_unit, message_id, content, rule, adapter, kind, recipient, subject, body, state,
       attempts, allowed_attempts, round_attempts, first_wait_ms, longest_wait_ms,
       next_attempt_at AS "next_attempt_at: Timestamp", last_error, provider_id, sent_at AS "sent_at: Timestamp", created_by,
       created_at AS "created_at: Timestamp", updated_at AS "updated_at: Timestamp", lease,
       coalesce(leased_until > now(), false) AS "in_flight!"
FROM delivery WHERE id IN (SELECT id FROM page)
ORDER BY created_at DESC, id DESC
