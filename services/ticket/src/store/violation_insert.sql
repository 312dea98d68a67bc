-- New violations, all proposed.
INSERT INTO violation (
    id, ticket_id, work_order_id, shift_id, customer_id, org_unit, code, description_en, description_zh, staff, evidence,
    amount_cents, max_amount_cents, currency, policy_version_id, reporter, proposed_at, created_at, updated_at, state)
SELECT *, created_at, 'proposed'
FROM unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
    $11::text[], $12::bigint[], $13::bigint[], $14::text[], $15::uuid[], $16::text[], $17::timestamptz[], $18::timestamptz[])
    AS violation (
    id, ticket_id, work_order_id, shift_id, customer_id, org_unit, code, description_en, description_zh, staff, evidence,
    amount_cents, max_amount_cents, currency, policy_version_id, reporter, proposed_at, created_at)
ON CONFLICT DO NOTHING
