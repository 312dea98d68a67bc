-- What reports tell of suggestions (T-20, T-21), shifts that the system plans (T-17), orders that nobody takes (T-19). As in
-- 0001, nothing here names the schema.

-- When the first decision was due: due_at is that of the last round, and is gone once it is decided.
ALTER TABLE suggestion ADD COLUMN first_due_at timestamptz;
UPDATE suggestion SET first_due_at = due_at WHERE state = 'submitted';
COMMENT ON COLUMN suggestion.first_due_at IS
    'By when the first decision was due; never changed. Null where there is no such time, and for what was decided before '
    'this was kept.';
-- What came in a week, of the whole company as well.
CREATE INDEX suggestion_created_idx ON suggestion (created_at) INCLUDE (org_unit, id);
CREATE INDEX suggestion_open_idx ON suggestion (org_unit, created_at) WHERE state IN ('submitted', 'deferred');
CREATE INDEX suggestion_decision_decided_idx ON suggestion_decision (decided_at) INCLUDE (suggestion_id, outcome);
CREATE INDEX root_cause_recorded_idx ON root_cause (recorded_at) INCLUDE (org_unit, ticket_id, cause);

ALTER TABLE shift
    ADD COLUMN team_id   uuid REFERENCES team,
    ADD COLUMN pattern   text COLLATE "C" CHECK (pattern <> ''),
    ADD COLUMN crewed_by text CHECK (crewed_by <> ''),
    ADD CONSTRAINT shift_pattern_whole CHECK ((team_id IS NULL) = (pattern IS NULL));
-- However many replicas plan at once, a shift of a pattern is there once.
CREATE UNIQUE INDEX shift_pattern_key ON shift (team_id, pattern, starts_at) WHERE team_id IS NOT NULL;
CREATE INDEX shift_end_idx ON shift (dispatch_centre, ends_at) INCLUDE (team_id, pattern, starts_at);
COMMENT ON COLUMN shift.team_id IS 'The team by whose pattern it was planned; null where somebody planned it.';
COMMENT ON COLUMN shift.pattern IS 'Code of the pattern in its policy version.';
COMMENT ON COLUMN shift.crewed_by IS 'Who changed its members since; null where nobody did.';

ALTER TABLE work_order
    ADD COLUMN accept_due_at  timestamptz,
    ADD COLUMN refused_at     timestamptz,
    ADD COLUMN accept_fire_at timestamptz,
    ADD CONSTRAINT work_order_accept_fires CHECK (
        accept_fire_at IS NULL OR (state = 'issued' AND refused_at IS NULL AND accept_due_at IS NOT NULL));
CREATE INDEX work_order_accept_fire_idx ON work_order (accept_fire_at) WHERE accept_fire_at IS NOT NULL;
COMMENT ON COLUMN work_order.accept_due_at IS 'By when it is to be accepted; null where the policy asks for no time.';
COMMENT ON COLUMN work_order.refused_at IS 'The time by which nobody had accepted it, once that is on record: it counts as refused.';
COMMENT ON COLUMN work_order.accept_fire_at IS
    'When the timers look whether it was accepted; null once it was or counts as refused, and while an objection is open.';
