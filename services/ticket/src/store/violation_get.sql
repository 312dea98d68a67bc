-- Violations by id, newest first.
SELECT id, ticket_id, work_order_id, shift_id, customer_id, org_unit, code, description_en, description_zh, staff, evidence,
       amount_cents, coalesce(max_amount_cents, amount_cents) AS "max_amount_cents!", currency, state,
       proposed_at AS "proposed_at: Timestamp", created_at AS "created_at: Timestamp",
       coalesce(updated_at, created_at) AS "updated_at!: Timestamp", revision, policy_version_id, reporter, decided_by,
       decided_at AS "decided_at: Timestamp", decision_reason, charged_cents, appeal_until AS "appeal_until: Timestamp",
       appeal_reason, appealed_at AS "appealed_at: Timestamp", appeal_decision, appeal_decided_by,
       appeal_decided_at AS "appeal_decided_at: Timestamp"
FROM violation
WHERE id = ANY ($1::uuid[])
ORDER BY created_at DESC, id DESC
