-- Staged processes that requests follow (T-22). As in 0001, nothing here names the schema.
--
-- The ticket is the lock of its process: whoever changes a process has locked the ticket's row.

CREATE TABLE process (
    id                uuid        PRIMARY KEY,
    revision          bigint      NOT NULL CHECK (revision > 0),
    ticket_id         uuid        NOT NULL REFERENCES ticket,
    customer_id       uuid,
    org_unit          text COLLATE "C" NOT NULL CHECK (org_unit <> ''),
    policy_version_id uuid        NOT NULL,
    template          text        NOT NULL CHECK (template <> ''),
    attributes        jsonb       NOT NULL,
    state             text        NOT NULL CHECK (state IN ('running', 'completed', 'cancelled')),
    current_stages    text[]      NOT NULL,
    due_at            timestamptz,
    next_fire_at      timestamptz,
    started_by        text        NOT NULL CHECK (started_by <> ''),
    ended_by          text        CHECK (ended_by <> ''),
    ended_at          timestamptz,
    end_reason        text        CHECK (end_reason <> ''),
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    CONSTRAINT process_ended CHECK (CASE state
        WHEN 'running' THEN num_nonnulls(ended_by, ended_at, end_reason) = 0 AND cardinality(current_stages) > 0
        WHEN 'completed' THEN num_nulls(ended_by, ended_at) = 0 AND end_reason IS NULL
        ELSE num_nulls(ended_by, ended_at, end_reason) = 0 END),
    CONSTRAINT process_at_rest CHECK (
        state = 'running' OR (num_nonnulls(due_at, next_fire_at) = 0 AND cardinality(current_stages) = 0))
);
-- A ticket follows one process at a time.
CREATE UNIQUE INDEX process_live_key ON process (ticket_id) WHERE state = 'running';
CREATE INDEX process_ticket_idx ON process (ticket_id, created_at, id);
CREATE INDEX process_org_unit_idx ON process (org_unit, created_at, id) INCLUDE (state, template);
-- What is under way, with all that a list can ask of it, so that only what it returns is read from the table.
CREATE INDEX process_running_idx ON process (org_unit, created_at, id) INCLUDE (template, due_at, current_stages, ticket_id)
    WHERE state = 'running';
CREATE INDEX process_fire_idx ON process (next_fire_at) WHERE next_fire_at IS NOT NULL;
COMMENT ON TABLE process IS 'Staged processes that requests follow (T-22). Locked by the ticket''s row.';
COMMENT ON COLUMN process.org_unit IS 'That of the ticket; goes with it when a transfer is accepted (T-11).';
COMMENT ON COLUMN process.template IS 'Code of the template in the policy version, which judges the process to its end (X-10).';
COMMENT ON COLUMN process.attributes IS 'What is agreed now, by the attributes'' codes.';
COMMENT ON COLUMN process.current_stages IS 'The running stages.';
COMMENT ON COLUMN process.due_at IS 'The next deadline of a running stage, passed or not; null where none has one.';
COMMENT ON COLUMN process.next_fire_at IS 'When the timers have something to put on record; null where they have nothing.';

CREATE TABLE process_stage (
    process_id  uuid        NOT NULL REFERENCES process,
    position    smallint    NOT NULL CHECK (position > 0),
    stage       text        NOT NULL CHECK (stage <> ''),
    state       text        NOT NULL CHECK (state IN ('running', 'completed', 'superseded', 'cancelled')),
    started_at  timestamptz NOT NULL,
    due_at      timestamptz,
    warn_at     timestamptz,
    warned_at   timestamptz,
    breached_at timestamptz,
    ended_by    text        CHECK (ended_by <> ''),
    ended_at    timestamptz,
    record      jsonb       NOT NULL,
    PRIMARY KEY (process_id, position),
    CONSTRAINT process_stage_ended CHECK (num_nulls(ended_by, ended_at) = CASE state WHEN 'running' THEN 2 ELSE 0 END),
    CONSTRAINT process_stage_breached CHECK (breached_at = due_at)
);
CREATE UNIQUE INDEX process_stage_live_key ON process_stage (process_id, stage) WHERE state = 'running';
COMMENT ON TABLE process_stage IS
    'The runs of stages, oldest first: what is done again has a row for each time. What ended stays as it is, but for that an approved change may supersede it.';
COMMENT ON COLUMN process_stage.record IS 'Documents, submissions with their approvals, inspections, the written answer.';

CREATE TABLE process_change (
    process_id   uuid        NOT NULL REFERENCES process,
    position     smallint    NOT NULL CHECK (position > 0),
    attributes   jsonb       NOT NULL,
    reason       text        NOT NULL CHECK (reason <> ''),
    requested_by text        NOT NULL CHECK (requested_by <> ''),
    requested_at timestamptz NOT NULL,
    outcome      text        NOT NULL CHECK (outcome IN ('pending', 'approved', 'rejected', 'cancelled')),
    decision     text        CHECK (decision <> ''),
    decided_by   text        CHECK (decided_by <> ''),
    decided_at   timestamptz,
    PRIMARY KEY (process_id, position),
    CONSTRAINT process_change_decided CHECK (
        num_nulls(decision, decided_by, decided_at) = CASE outcome WHEN 'pending' THEN 3 ELSE 0 END),
    -- Four eyes: nobody decides what it requested.
    CONSTRAINT process_change_separate CHECK (outcome = 'cancelled' OR decided_by <> requested_by)
);
CREATE UNIQUE INDEX process_change_live_key ON process_change (process_id) WHERE outcome = 'pending';
COMMENT ON TABLE process_change IS 'Requested changes of what was agreed, oldest first (T-22).';

DO $$
DECLARE
    app text := 'kefu_' || current_schema();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        EXECUTE format('REVOKE ALL ON process, process_stage, process_change FROM %I', app);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON process, process_stage, process_change TO %I', app);
    END IF;
END
$$;
