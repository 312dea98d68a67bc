-- Rows after a position that no running transaction can get in front of; and, also when there is none, whether more is
-- committed that has to wait for such a transaction. The index on (xid, seq) serves both conditions and the order.
SELECT waiting.rows AS "waiting!", row.xid::text::bigint AS "xid?", row.seq AS "seq?", row.event_id AS "event_id?",
       row.occurred_at AS "occurred_at?: jiff_sqlx::Timestamp", row.actor AS "actor?",
       row.traceparent AS "traceparent?", row.aggregate_type AS "aggregate_type?",
       row.aggregate_id AS "aggregate_id?", row.revision AS "revision?", row.org_unit AS "org_unit?",
       row.customer_id AS "customer_id?", row.event_type AS "event_type?", row.event AS "event?"
FROM (
    SELECT EXISTS (SELECT FROM journal WHERE xid >= pg_snapshot_xmin(pg_current_snapshot()))) AS waiting (rows)
LEFT JOIN (
    SELECT * FROM journal
    WHERE (xid, seq) > ($1::bigint::text::xid8, $2::bigint)
      AND xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY xid, seq
    LIMIT $3) AS row ON true
ORDER BY row.xid, row.seq
