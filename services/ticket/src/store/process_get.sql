-- Processes by id with their runs and changes, newest first.
SELECT id, revision, ticket_id, customer_id, org_unit, policy_version_id, template, attributes, state, started_by, ended_by,
       ended_at AS "ended_at: Timestamp", end_reason, created_at AS "created_at: Timestamp",
       updated_at AS "updated_at: Timestamp", held_at AS "held_at: Timestamp", held_reason,
       ARRAY(
           SELECT ROW(stage, state, ROW(started_at, due_at, warn_at, warned_at, breached_at), ROW(ended_by, ended_at), record,
                      ROW(pauses, steps))
           FROM process_stage WHERE process_id = process.id ORDER BY position
       ) AS "runs!: Vec<RunRow>",
       ARRAY(
           SELECT ROW(attributes, reason, requested_by, requested_at, outcome, decision, decided_by, decided_at)
           FROM process_change WHERE process_id = process.id ORDER BY position
       ) AS "changes!: Vec<ChangeRow>"
FROM process
WHERE id = ANY ($1::uuid[])
ORDER BY created_at DESC, id DESC
