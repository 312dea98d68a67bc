-- A page of one customer's tickets at and below an org unit, newest first, by the customer's index. Rows as in
-- ticket_get.sql.
WITH page AS (
    SELECT id, created_at FROM ticket
    WHERE customer_id = $6
      AND (org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0'))
      AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid))
      AND (cardinality($4::text[]) = 0 OR state = ANY ($4))
    ORDER BY created_at DESC, id DESC
    LIMIT $5
)
SELECT id, number, revision, policy_version_id, org_unit, kind, channel, customer_id, contact_id, complainant, severity,
       occurred_at AS "occurred_at: Timestamp", subject, description, category, product, tags, custom_fields, customer_grade, priority,
       first_contact_owner, handler, cycle_handlers, receiver_level, cycle,
       cycle_started_at AS "cycle_started_at: Timestamp", state, state_since AS "state_since: Timestamp", state_by,
       state_reason, resume_to, resume_since AS "resume_since: Timestamp", follow_up, solution, solved_by,
       solved_at AS "solved_at: Timestamp", first_responded_at AS "first_responded_at: Timestamp",
       first_resolved_at AS "first_resolved_at: Timestamp", created_at AS "created_at!: Timestamp",
       updated_at AS "updated_at: Timestamp",
       ARRAY(
           SELECT ROW(rule, kind, cycle, ROW(started_at, due_at, warn_at, warned_at, breached_at, cancelled_at),
                      ROW(fulfilled_at, fulfilled_by, recorded_at), pauses,
                      ROW(round, steps, announcements, revisions, clock.policy_version_id, eras, answerable))
           FROM ticket_clock AS clock WHERE clock.ticket_id = ticket.id ORDER BY position
       ) AS "clocks!: Vec<ClockRecord>",
       ARRAY(
           SELECT ROW(value, cycle, source, recorded_by, comment, recorded_at, given_at)
           FROM verdict WHERE verdict.ticket_id = ticket.id ORDER BY cycle
       ) AS "verdicts!: Vec<VerdictRecord>",
       ARRAY(
           SELECT ROW(cause, from_level, to_level, cycle, reason, escalated_at)
           FROM escalation WHERE escalation.ticket_id = ticket.id ORDER BY position
       ) AS "escalations!: Vec<EscalationRecord>",
       handling, team_id, owner, distribution, amount_cents, currency, complainant_type, links, promise_version_id,
       outbound, order_reference, shop,
       (SELECT ROW(process.id, process.current_stages) FROM process
        WHERE process.ticket_id = ticket.id AND process.state = 'running' AND ticket.kind = 'request') AS "process: ProcessRecord"
FROM page JOIN ticket USING (id, created_at)
ORDER BY created_at DESC, id DESC
