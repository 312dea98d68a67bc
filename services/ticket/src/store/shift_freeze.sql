-- Freezes the list of a shift: what is unfinished at its dispatch centre now, with the reasons. Tells how much that is, and
-- some that have no reason; where there are any, whoever asked takes all of it back. One statement, so one moment.
WITH unfinished AS MATERIALIZED (
    SELECT work_order.id, number, task, state, assignee, issued_at, reply_by, given.reason, given.given_by, given.given_at
    FROM work_order LEFT JOIN shift_reason AS given ON given.shift_id = $1 AND given.work_order_id = work_order.id
    WHERE dispatch_centre = $2 AND state IN ('issued', 'accepted')
),
frozen AS (
    INSERT INTO shift_line (
        shift_id, work_order_id, number, task, state, assignee, issued_at, reply_by, reason, given_by, given_at)
    SELECT $1, id, number, task, state, assignee, issued_at, reply_by, reason, given_by, given_at
    FROM unfinished WHERE reason IS NOT NULL
)
SELECT count(*) AS "unfinished!",
       ARRAY(SELECT number FROM unfinished WHERE reason IS NULL ORDER BY issued_at, id LIMIT 20) AS "without_reason!"
FROM unfinished
