-- Many rows in one statement. The order of the arrays becomes the order of seq.
INSERT INTO journal (
    event_id, occurred_at, actor, actor_org_unit, origin, request_id, traceparent, aggregate_type, aggregate_id,
    revision, action, org_unit, customer_id, before, after, event_type, event)
SELECT event_id, occurred_at, actor, actor_org_unit, origin, request_id, traceparent, aggregate_type, aggregate_id,
       revision, action, org_unit, customer_id, before, after, event_type, event
FROM unnest(
    $1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::uuid[],
    $10::bigint[], $11::text[], $12::text[], $13::uuid[], $14::jsonb[], $15::jsonb[], $16::text[], $17::bytea[])
    WITH ORDINALITY AS entry (
    event_id, occurred_at, actor, actor_org_unit, origin, request_id, traceparent, aggregate_type, aggregate_id,
    revision, action, org_unit, customer_id, before, after, event_type, event, place)
ORDER BY place
