-- Learning from complaints (T-18, T-19, T-21): violations to their end, root causes, corrective and preventive actions,
-- product holds, suggestions. As in 0001, nothing here names the schema.

-- Violations go on after the proposal. What is there was proposed by the system and stays as it is.
ALTER TABLE violation
    ADD COLUMN revision          bigint      NOT NULL DEFAULT 1 CHECK (revision > 0),
    ADD COLUMN policy_version_id uuid,
    ADD COLUMN max_amount_cents  bigint,
    ADD COLUMN reporter          text        CHECK (reporter <> ''),
    ADD COLUMN decided_by        text        CHECK (decided_by <> ''),
    ADD COLUMN decided_at        timestamptz,
    ADD COLUMN decision_reason   text,
    ADD COLUMN charged_cents     bigint      CHECK (charged_cents BETWEEN amount_cents AND coalesce(max_amount_cents, amount_cents)),
    ADD COLUMN appeal_until      timestamptz,
    ADD COLUMN appeal_reason     text        CHECK (appeal_reason <> ''),
    ADD COLUMN appealed_at       timestamptz,
    ADD COLUMN appeal_decision   text        CHECK (appeal_decision <> ''),
    ADD COLUMN appeal_decided_by text        CHECK (appeal_decided_by <> ''),
    ADD COLUMN appeal_decided_at timestamptz,
    ADD COLUMN updated_at        timestamptz,
    DROP CONSTRAINT violation_state_check,
    ADD CONSTRAINT violation_state_check CHECK (
        state IN ('proposed', 'confirmed', 'dismissed', 'appealed', 'upheld', 'overturned')),
    ADD CONSTRAINT violation_range CHECK (max_amount_cents >= amount_cents),
    ADD CONSTRAINT violation_steps CHECK (CASE state
        WHEN 'proposed' THEN num_nonnulls(decided_by, decided_at, charged_cents, appealed_at, appeal_decided_at) = 0
        WHEN 'dismissed' THEN num_nulls(decided_by, decided_at, decision_reason) = 0
            AND num_nonnulls(charged_cents, appealed_at, appeal_decided_at) = 0
        WHEN 'confirmed' THEN num_nulls(decided_by, decided_at, charged_cents) = 0
            AND num_nonnulls(appealed_at, appeal_decided_at) = 0
        WHEN 'appealed' THEN num_nulls(decided_by, decided_at, charged_cents, appeal_reason, appealed_at) = 0
            AND appeal_decided_at IS NULL
        ELSE num_nulls(decided_by, decided_at, charged_cents, appeal_reason, appealed_at, appeal_decision, appeal_decided_by,
            appeal_decided_at) = 0
        END),
    -- Nobody decides about itself, nobody confirms what it reported, and an appeal is decided by somebody else (T-19).
    ADD CONSTRAINT violation_separate CHECK (
        decided_by <> staff AND appeal_decided_by <> staff AND appeal_decided_by <> decided_by
        AND (charged_cents IS NULL OR decided_by <> reporter) AND appeal_decided_by <> reporter),
    DROP CONSTRAINT violation_about_something,
    ADD CONSTRAINT violation_about_something CHECK (num_nonnulls(ticket_id, work_order_id, reporter) > 0);
-- What the system sees is proposed once; what people report, once unless it was found to be nothing.
DROP INDEX violation_work_order_key;
CREATE UNIQUE INDEX violation_work_order_key ON violation (work_order_id, code, proposed_at)
    WHERE work_order_id IS NOT NULL AND reporter IS NULL;
CREATE UNIQUE INDEX violation_report_key ON violation (
        org_unit, staff, code, proposed_at, coalesce(ticket_id, work_order_id, '00000000-0000-0000-0000-000000000000'))
    WHERE reporter IS NOT NULL AND state NOT IN ('dismissed', 'overturned');
CREATE INDEX violation_staff_idx ON violation (staff, created_at, id);
CREATE INDEX violation_charged_idx ON violation (staff, decided_at) WHERE charged_cents IS NOT NULL;
CREATE INDEX violation_given_back_idx ON violation (staff, appeal_decided_at) WHERE state = 'overturned';

COMMENT ON COLUMN violation.policy_version_id IS
    'The version of the policy by which it is judged (X-10); null for what was proposed before this was kept.';
COMMENT ON COLUMN violation.max_amount_cents IS 'The upper end of the range of the penalty; null means amount_cents.';
COMMENT ON COLUMN violation.reporter IS 'Who reported it; null where the system saw it.';
COMMENT ON COLUMN violation.charged_cents IS
    'The penalty that was confirmed; null where nothing was. Stays when an appeal overturns it: statements of past months '
    'never change, and what was charged is given back in the month of the decision.';
COMMENT ON COLUMN violation.appeal_until IS 'The last instant of an appeal; null means no limit.';

CREATE TABLE root_cause (
    ticket_id   uuid        NOT NULL REFERENCES ticket,
    position    smallint    NOT NULL CHECK (position > 0),
    customer_id uuid,
    org_unit    text COLLATE "C" NOT NULL,
    cause       text        NOT NULL CHECK (cause <> ''),
    method      text        NOT NULL CHECK (method <> ''),
    finding     text        NOT NULL CHECK (finding <> ''),
    recorded_by text        NOT NULL CHECK (recorded_by <> ''),
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (ticket_id, position)
);
CREATE INDEX root_cause_org_unit_idx ON root_cause (org_unit, recorded_at) INCLUDE (cause);
COMMENT ON TABLE root_cause IS 'Why something went wrong, and how that was found out (T-18). Added, never changed.';
COMMENT ON COLUMN root_cause.cause IS 'Code of the root cause in the policy by which the ticket is judged.';

CREATE TABLE corrective_action (
    id            uuid        PRIMARY KEY,
    revision      bigint      NOT NULL CHECK (revision > 0),
    ticket_id     uuid        NOT NULL REFERENCES ticket,
    customer_id   uuid,
    org_unit      text COLLATE "C" NOT NULL CHECK (org_unit <> ''),
    kind          text        NOT NULL CHECK (kind IN ('corrective', 'preventive')),
    description   text        NOT NULL CHECK (description <> ''),
    owner         text        NOT NULL CHECK (owner <> ''),
    planned_by    text        NOT NULL CHECK (planned_by <> ''),
    state         text        NOT NULL CHECK (state IN ('planned', 'started', 'completed', 'closed', 'cancelled')),
    due_at        timestamptz NOT NULL,
    next_fire_at  timestamptz,
    cancel_reason text        CHECK (cancel_reason <> ''),
    cancelled_by  text        CHECK (cancelled_by <> owner),
    cancelled_at  timestamptz,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    CONSTRAINT corrective_action_cancelled CHECK (
        num_nonnulls(cancel_reason, cancelled_by, cancelled_at) = CASE state WHEN 'cancelled' THEN 3 ELSE 0 END),
    CONSTRAINT corrective_action_fires CHECK (next_fire_at IS NULL OR state IN ('planned', 'started'))
);
CREATE INDEX corrective_action_org_unit_idx ON corrective_action (org_unit, created_at, id);
CREATE INDEX corrective_action_open_idx ON corrective_action (org_unit, created_at, id) INCLUDE (due_at)
    WHERE state IN ('planned', 'started');
CREATE INDEX corrective_action_ticket_idx ON corrective_action (ticket_id, created_at, id);
CREATE INDEX corrective_action_owner_idx ON corrective_action (owner, created_at, id);
CREATE INDEX corrective_action_fire_idx ON corrective_action (next_fire_at) WHERE next_fire_at IS NOT NULL;
COMMENT ON TABLE corrective_action IS 'What is done against a case or against the next one (T-18). Locked by whoever changes it.';
COMMENT ON COLUMN corrective_action.due_at IS 'Of the last round.';
COMMENT ON COLUMN corrective_action.next_fire_at IS
    'When the timers put on record that the round is overdue; null once they did, and where the round is done.';

CREATE TABLE corrective_action_round (
    action_id    uuid        NOT NULL REFERENCES corrective_action,
    round        smallint    NOT NULL CHECK (round > 0),
    due_at       timestamptz NOT NULL,
    noticed_at   timestamptz,
    started_at   timestamptz,
    evidence     text        CHECK (evidence <> ''),
    completed_by text        CHECK (completed_by <> ''),
    completed_at timestamptz,
    verdict      text        CHECK (verdict IN ('effective', 'not_effective')),
    verification text        CHECK (verification <> ''),
    verified_by  text        CHECK (verified_by <> completed_by),
    verified_at  timestamptz,
    PRIMARY KEY (action_id, round),
    CONSTRAINT corrective_action_done CHECK (num_nulls(evidence, completed_by, completed_at) IN (0, 3)),
    CONSTRAINT corrective_action_verified CHECK (
        num_nulls(verdict, verification, verified_by, verified_at) IN (0, 4)
        AND (verdict IS NULL OR completed_at IS NOT NULL))
);
COMMENT ON TABLE corrective_action_round IS 'What was found not to work is done again: one row each time.';

CREATE TABLE product_hold (
    id          uuid        PRIMARY KEY,
    revision    bigint      NOT NULL CHECK (revision > 0),
    org_unit    text COLLATE "C" NOT NULL CHECK (org_unit <> ''),
    product     text        NOT NULL CHECK (product <> ''),
    ticket_id   uuid        REFERENCES ticket,
    customer_id uuid,
    reason      text        NOT NULL CHECK (reason <> ''),
    placed_by   text        NOT NULL CHECK (placed_by <> ''),
    placed_at   timestamptz NOT NULL,
    lift_reason text        CHECK (lift_reason <> ''),
    lifted_by   text        CHECK (lifted_by <> ''),
    lifted_at   timestamptz,
    CONSTRAINT product_hold_lifted CHECK (num_nulls(lift_reason, lifted_by, lifted_at) IN (0, 3))
);
-- At most one in force per org unit and product, however the product is written.
CREATE UNIQUE INDEX product_hold_live_key ON product_hold (org_unit, lower(normalize(product, NFKC))) WHERE lifted_at IS NULL;
CREATE INDEX product_hold_org_unit_idx ON product_hold (org_unit, placed_at, id);
CREATE INDEX product_hold_in_force_idx ON product_hold (org_unit, placed_at, id) WHERE lifted_at IS NULL;
COMMENT ON TABLE product_hold IS 'Products that must not be delivered (T-18).';

CREATE TABLE suggestion (
    id             uuid        PRIMARY KEY,
    revision       bigint      NOT NULL CHECK (revision > 0),
    org_unit       text COLLATE "C" NOT NULL CHECK (org_unit <> ''),
    tickets        uuid[]      NOT NULL CHECK (cardinality(tickets) BETWEEN 1 AND 20),
    title          text        NOT NULL CHECK (title <> ''),
    body           text        NOT NULL CHECK (body <> ''),
    proposer       text        NOT NULL CHECK (proposer <> ''),
    decision_maker text        NOT NULL CHECK (decision_maker <> proposer),
    state          text        NOT NULL CHECK (state IN ('submitted', 'accepted', 'rejected', 'deferred')),
    due_at         timestamptz,
    reminded_at    timestamptz,
    next_fire_at   timestamptz,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    CONSTRAINT suggestion_fires CHECK (next_fire_at IS NULL OR state IN ('submitted', 'deferred'))
);
CREATE INDEX suggestion_org_unit_idx ON suggestion (org_unit, created_at, id) INCLUDE (state);
CREATE INDEX suggestion_proposer_idx ON suggestion (proposer, created_at, id);
CREATE INDEX suggestion_decision_maker_idx ON suggestion (decision_maker, created_at, id);
CREATE INDEX suggestion_fire_idx ON suggestion (next_fire_at) WHERE next_fire_at IS NOT NULL;
COMMENT ON TABLE suggestion IS 'Suggestions for improvement and where they stand (T-21). Locked by whoever changes it.';
COMMENT ON COLUMN suggestion.due_at IS 'By when a decision is due: by the policy, after a deferral by its date; null where there is no such time.';

CREATE TABLE suggestion_decision (
    suggestion_id uuid        NOT NULL REFERENCES suggestion,
    position      smallint    NOT NULL CHECK (position > 0),
    outcome       text        NOT NULL CHECK (outcome IN ('accepted', 'rejected', 'deferred')),
    reason        text        NOT NULL CHECK (reason <> ''),
    defer_until   timestamptz CHECK ((defer_until IS NOT NULL) = (outcome = 'deferred')),
    decided_by    text        NOT NULL CHECK (decided_by <> ''),
    decided_at    timestamptz NOT NULL,
    PRIMARY KEY (suggestion_id, position)
);
COMMENT ON TABLE suggestion_decision IS 'What was decided about suggestions, oldest first (T-21).';

DO $$
DECLARE
    app text := 'kefu_' || current_schema();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        EXECUTE format(
            'REVOKE ALL ON root_cause, corrective_action, corrective_action_round, product_hold, suggestion, '
            'suggestion_decision FROM %I', app);
        EXECUTE format(
            'GRANT SELECT, INSERT, UPDATE ON corrective_action, corrective_action_round, product_hold, suggestion TO %I', app);
        -- Evidence: what was found and decided is added, never changed.
        EXECUTE format('GRANT SELECT, INSERT ON root_cause, suggestion_decision TO %I', app);
    END IF;
END
$$;
