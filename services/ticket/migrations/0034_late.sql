-- What is on record later than it happened, and who was answerable when a promise was broken (T-05, T-07, T-10, T-13). As in
-- 0001, nothing here names the schema. New columns without a default rewrite nothing.

-- A plan belongs to the cycle in which it was made. What has no cycle here was made in the first, so only what was reopened is
-- looked at: its journal tells how often that happened after its last plan. First of all, so that nothing below is locked for
-- as long as this takes.
UPDATE ticket
SET handling = jsonb_set(handling, '{plan,cycle}', to_jsonb(greatest(1, ticket.cycle - (
    SELECT count(*) FROM journal AS reopening
    WHERE reopening.aggregate_type = 'ticket' AND reopening.aggregate_id = ticket.id
      AND reopening.event_type = 'kefu.ticket.v1.TicketReopened'
      AND reopening.revision > (
          SELECT coalesce(max(planning.revision), 0) FROM journal AS planning
          WHERE planning.aggregate_type = 'ticket' AND planning.aggregate_id = ticket.id
            AND planning.action = 'SetHandlingPlan')))))
WHERE cycle > 1 AND handling ? 'plan' AND NOT handling -> 'plan' ? 'cycle';

ALTER TABLE verdict ADD COLUMN given_at timestamptz;
COMMENT ON COLUMN verdict.given_at IS
    'When the customer gave it: was asked, or submitted the answer. Null in what was entered before this was asked for: then '
    'when it was recorded.';

ALTER TABLE ticket_clock ADD COLUMN answerable text;
COMMENT ON COLUMN ticket_clock.answerable IS
    'Who was answerable for the promise when it was broken, by the subject of the token. Null while it is not broken, and in '
    'what was broken before this was noted.';

-- Who raised a ticket is told apart. What is there has passed a narrower check, so nothing has to be read for this one.
ALTER TABLE escalation
    DROP CONSTRAINT escalation_cause_check,
    ADD CONSTRAINT escalation_cause_check CHECK (cause IN (
        'breach', 'verdict', 'manager', 'step', 'authority', 'handler', 'trigger', 'merge')) NOT VALID;
