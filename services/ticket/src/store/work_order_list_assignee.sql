-- A page of the orders of some people, newest first, wherever the dispatch centre is: of each of them the newest ones by
-- work_order_assignee_idx, then the newest of those. Few are asked for at once. Rows as in work_order_get.sql, conditions as in
-- work_order_list.sql.
WITH page AS (
    SELECT found.id
    FROM unnest($1::text[]) AS whose (staff) CROSS JOIN LATERAL (
        SELECT work_order.id, work_order.issued_at FROM work_order
        WHERE work_order.assignee = whose.staff
          -- In words that no index knows: what somebody has to do is less than what a centre has issued.
          AND starts_with(work_order.dispatch_centre || '/', $9 || '/')
          AND ($2::timestamptz IS NULL OR (work_order.issued_at, work_order.id) < ($2, $3::uuid))
          AND (cardinality($4::text[]) = 0 OR work_order.state = ANY ($4))
          AND (NOT $6::boolean OR (work_order.state IN ('issued', 'accepted')
               AND (work_order.overdue_since IS NOT NULL OR work_order.next_fire_at < $7::timestamptz)))
          AND ($8::uuid IS NULL OR work_order.ticket_id = $8)
        ORDER BY work_order.issued_at DESC, work_order.id DESC
        LIMIT $5
    ) AS found
    ORDER BY found.issued_at DESC, found.id DESC
    LIMIT $5
)
SELECT id, number, dispatch_centre, year, sequence, revision, policy_version_id, ticket_id, customer_id, task, requirements,
       place, reply_by AS "reply_by: Timestamp", assignee, assignee_team, issuer, dispatcher,
       issued_at AS "issued_at: Timestamp", state, accepted_at AS "accepted_at: Timestamp", accepted_by, result,
       done_at AS "done_at: Timestamp", done_by, signed_name, signed_at AS "signed_at: Timestamp", signature_image,
       signature_code, sign_off_at AS "sign_off_at: Timestamp", sign_off_by, call_back_comment,
       called_back_at AS "called_back_at: Timestamp", called_back_by, archived_at AS "archived_at: Timestamp", archived_by,
       void_reason, voided_at AS "voided_at: Timestamp", voided_by, overdue_since AS "overdue_since: Timestamp",
       missed_replies, next_fire_at AS "next_fire_at: Timestamp", updated_at AS "updated_at: Timestamp",
       accept_due_at AS "accept_due_at: Timestamp", refused_at AS "refused_at: Timestamp",
       ARRAY(
           SELECT ROW(note, next_reply_at, reported_by, reported_at)
           FROM work_order_progress AS progress WHERE progress.work_order_id = work_order.id ORDER BY position
       ) AS "progress!: Vec<ProgressRecord>",
       ARRAY(
           SELECT ROW(reason, disputed_by, disputed_at, outcome, decision, decided_by, decided_at)
           FROM work_order_dispute AS dispute WHERE dispute.work_order_id = work_order.id ORDER BY position
       ) AS "disputes!: Vec<DisputeRecord>",
       ARRAY(
           SELECT ROW(from_assignee, accepted_at, to_assignee, reason, reassigned_by, reassigned_at)
           FROM work_order_reassignment AS earlier WHERE earlier.work_order_id = work_order.id ORDER BY position
       ) AS "reassignments!: Vec<ReassignmentRecord>"
FROM work_order WHERE id IN (SELECT id FROM page)
ORDER BY issued_at DESC, id DESC
