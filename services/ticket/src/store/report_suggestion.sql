-- Suggestions at and below the org unit $1 in the period from $2 to $3, as of $4: what was submitted and decided, what waited
-- then, the $5 that moved last and the $6 that had waited longest.
--
-- What waited as of an earlier time waits still, or was decided since: both are looked up, nothing else is read.
WITH candidate AS MATERIALIZED (
    SELECT id FROM suggestion
    WHERE (org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0'))
      AND created_at >= $2 AND created_at < $3 AND created_at <= $4
    UNION
    SELECT id FROM suggestion
    WHERE (org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0'))
      AND state IN ('submitted', 'deferred') AND created_at <= $4
    UNION
    SELECT suggestion.id
    FROM suggestion_decision AS decision JOIN suggestion ON suggestion.id = decision.suggestion_id
    WHERE decision.decided_at >= least($2, $4) AND (decision.decided_at < $3 OR decision.decided_at > $4)
      AND (org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0')) AND suggestion.created_at <= $4
),
told AS MATERIALIZED (
    SELECT suggestion.id, suggestion.title, suggestion.proposer, suggestion.decision_maker, suggestion.created_at,
           coalesce(last.outcome, 'submitted') AS state, last.decided_at, last.reason,
           CASE WHEN last.outcome IS NULL THEN suggestion.first_due_at ELSE last.defer_until END AS due_at,
           suggestion.created_at >= $2 AND suggestion.created_at < $3 AS is_new,
           coalesce(last.decided_at >= $2 AND last.decided_at < $3, false) AS is_decided,
           coalesce(last.outcome, 'deferred') = 'deferred' AS is_open
    FROM candidate JOIN suggestion USING (id)
    LEFT JOIN LATERAL (
        SELECT outcome, decided_at, reason, defer_until FROM suggestion_decision
        WHERE suggestion_id = suggestion.id AND decided_at <= $4 ORDER BY position DESC LIMIT 1) AS last ON true
),
decided AS MATERIALIZED (
    SELECT decision.outcome
    FROM candidate JOIN suggestion_decision AS decision ON decision.suggestion_id = candidate.id
    WHERE decision.decided_at >= $2 AND decision.decided_at < $3 AND decision.decided_at <= $4
)
SELECT (SELECT count(*) FROM told WHERE is_new) AS "submitted!",
       (SELECT count(*) FROM decided WHERE outcome = 'accepted') AS "accepted!",
       (SELECT count(*) FROM decided WHERE outcome = 'rejected') AS "rejected!",
       (SELECT count(*) FROM decided WHERE outcome = 'deferred') AS "deferred!",
       (SELECT count(*) FROM told WHERE is_open) AS "open!",
       (SELECT count(*) FROM told WHERE is_open AND due_at <= $4) AS "overdue!",
       ARRAY(
           SELECT ROW(id, title, state, proposer, decision_maker, created_at, due_at, decided_at, reason)
           FROM told WHERE is_new OR is_decided
           ORDER BY greatest(created_at, decided_at) DESC, id DESC LIMIT $5
       ) AS "moved!: Vec<SuggestionRecord>",
       ARRAY(
           SELECT ROW(id, title, state, proposer, decision_maker, created_at, due_at, decided_at, reason)
           FROM told WHERE is_open ORDER BY created_at, id LIMIT $6
       ) AS "waiting!: Vec<SuggestionRecord>"
