-- The clocks of stages (T-22) stand still with their ticket and take steps of escalation, as those of tickets do (T-06, T-07).
-- New columns have defaults that say "none", so what is there stays as it is.

ALTER TABLE process
    ADD COLUMN held_at     timestamptz,
    ADD COLUMN held_reason text CHECK (held_reason <> ''),
    ADD CONSTRAINT process_held CHECK (num_nulls(held_at, held_reason) <> 1 AND (state = 'running' OR held_at IS NULL));
COMMENT ON COLUMN process.held_at IS
    'Since when its clocks stand still because its ticket waits or is merged; null while they run.';
COMMENT ON COLUMN process.due_at IS
    'The next deadline of a running stage, passed or not; null where none has one, and while they stand still.';

ALTER TABLE process_stage
    ADD COLUMN pauses jsonb,
    ADD COLUMN steps  jsonb;
COMMENT ON COLUMN process_stage.pauses IS
    'When its clock stood still: [{"from": …, "to": … or null, "reason": …}], in order, only the last may be open; null where it '
    'never did. As in ticket_clock.';
COMMENT ON COLUMN process_stage.steps IS
    'The steps of its escalation (T-07): [{"name": …, "at": … or null while it stands still, "taken_at": … or null}], in the order '
    'of the policy; null where it has none. As in ticket_clock.';

-- What is under way for a ticket that waits, is merged or has ended follows it when the timers come, which is at once.
UPDATE process SET next_fire_at = process.updated_at
FROM ticket
WHERE ticket.id = process.ticket_id AND process.state = 'running'
  AND ticket.state IN ('waiting', 'merged', 'closed', 'cancelled');
