-- Rows after a position that no running transaction can get in front of. The index on (xid, seq) serves the whole
-- condition and the order.
SELECT xid::text::bigint AS "xid!", seq, event_id, occurred_at AS "occurred_at: jiff_sqlx::Timestamp", actor,
       traceparent, aggregate_type, aggregate_id, revision, org_unit, customer_id, event_type, event
FROM journal
WHERE (xid, seq) > ($1::bigint::text::xid8, $2::bigint)
  AND xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY xid, seq
LIMIT $3
