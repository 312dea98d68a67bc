-- Actions by id with their rounds, newest first.
SELECT id, revision, ticket_id, customer_id, org_unit, kind, description, owner, planned_by, state, cancel_reason,
       cancelled_by, cancelled_at AS "cancelled_at: Timestamp", created_at AS "created_at: Timestamp",
       updated_at AS "updated_at: Timestamp",
       ARRAY(
           SELECT ROW(due_at, noticed_at, started_at, evidence, completed_by, completed_at)
           FROM corrective_action_round WHERE action_id = corrective_action.id ORDER BY round
       ) AS "rounds!: Vec<RoundRecord>",
       ARRAY(
           SELECT ROW(verdict, verification, verified_by, verified_at)
           FROM corrective_action_round WHERE action_id = corrective_action.id ORDER BY round
       ) AS "verifications!: Vec<VerificationRecord>",
       ARRAY(
           SELECT ROW(from_owner, started_at, to_owner, reason, reassigned_by, reassigned_at)
           FROM corrective_action_reassignment WHERE action_id = corrective_action.id ORDER BY position
       ) AS "reassignments!: Vec<ReassignmentRecord>"
FROM corrective_action
WHERE id = ANY ($1::uuid[])
ORDER BY created_at DESC, id DESC
