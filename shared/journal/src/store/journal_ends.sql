-- The last committed row, and the last one below every running transaction: two steps on the end of the index.
SELECT committed.xid::text::bigint AS "committed_xid?", committed.seq AS "committed_seq?",
       visible.xid::text::bigint AS "visible_xid?", visible.seq AS "visible_seq?"
FROM (SELECT) AS one
LEFT JOIN (SELECT xid, seq FROM journal ORDER BY xid DESC, seq DESC LIMIT 1) AS committed ON true
LEFT JOIN (
    SELECT xid, seq FROM journal WHERE xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY xid DESC, seq DESC LIMIT 1) AS visible ON true
