-- Shifts of dispatch centres and their handover (T-17). As in 0001, nothing here names the schema.

CREATE TABLE shift (
    id                uuid        PRIMARY KEY,
    revision          bigint      NOT NULL CHECK (revision > 0),
    policy_version_id uuid        NOT NULL,
    dispatch_centre   text COLLATE "C" NOT NULL CHECK (dispatch_centre <> ''),
    starts_at         timestamptz NOT NULL,
    ends_at           timestamptz NOT NULL CHECK (ends_at > starts_at),
    members           text[]      NOT NULL CHECK (cardinality(members) BETWEEN 1 AND 100),
    leader            text        NOT NULL CHECK (leader = ANY (members)),
    state             text        NOT NULL CHECK (state IN ('planned', 'listed', 'signed_out', 'handed_over')),
    list_due_at       timestamptz,
    listed_at         timestamptz,
    listed_by         text        CHECK (listed_by = ANY (members)),
    missed_at         timestamptz,
    next_fire_at      timestamptz,
    out_signed_by     text        CHECK (out_signed_by = ANY (members)),
    out_signed_at     timestamptz,
    unfinished        integer     CHECK (unfinished >= 0),
    incoming_id       uuid        REFERENCES shift CHECK (incoming_id <> id),
    in_signed_by      text        CHECK (in_signed_by <> out_signed_by),
    in_signed_at      timestamptz,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    CONSTRAINT shift_steps CHECK (CASE state
        WHEN 'planned' THEN num_nonnulls(listed_at, listed_by, out_signed_at, out_signed_by, unfinished, in_signed_at) = 0
        WHEN 'listed' THEN num_nulls(listed_at, listed_by) = 0 AND num_nonnulls(out_signed_at, unfinished, in_signed_at) = 0
        WHEN 'signed_out' THEN num_nulls(listed_at, out_signed_at, out_signed_by, unfinished) = 0 AND in_signed_at IS NULL
        ELSE num_nulls(listed_at, out_signed_at, out_signed_by, unfinished, incoming_id, in_signed_at, in_signed_by) = 0
        END),
    CONSTRAINT shift_fires CHECK (next_fire_at IS NULL OR state = 'planned')
);
CREATE INDEX shift_centre_idx ON shift (dispatch_centre, starts_at, id) INCLUDE (state);
CREATE INDEX shift_fire_idx ON shift (next_fire_at) WHERE next_fire_at IS NOT NULL;
COMMENT ON TABLE shift IS 'Some people at a dispatch centre for some time (T-17). Locked by whoever changes it.';
COMMENT ON COLUMN shift.policy_version_id IS 'The version of the policy in force when it was planned (X-10).';
COMMENT ON COLUMN shift.missed_at IS 'When it was put on record that the list did not come in time.';
COMMENT ON COLUMN shift.next_fire_at IS 'When the timers look whether the list has come; null once it has or was missed.';
COMMENT ON COLUMN shift.unfinished IS 'How many lines the frozen list has.';

CREATE TABLE shift_reason (
    shift_id      uuid        NOT NULL REFERENCES shift,
    work_order_id uuid        NOT NULL REFERENCES work_order,
    reason        text        NOT NULL CHECK (reason <> ''),
    given_by      text        NOT NULL CHECK (given_by <> ''),
    given_at      timestamptz NOT NULL,
    PRIMARY KEY (shift_id, work_order_id)
);
COMMENT ON TABLE shift_reason IS 'Why work orders are not done, as a shift says; earlier words are in the journal.';

CREATE TABLE shift_line (
    shift_id      uuid        NOT NULL REFERENCES shift,
    work_order_id uuid        NOT NULL REFERENCES work_order,
    number        text        NOT NULL,
    task          text        NOT NULL,
    state         text        NOT NULL,
    assignee      text,
    issued_at     timestamptz NOT NULL,
    reply_by      timestamptz NOT NULL,
    reason        text        NOT NULL CHECK (reason <> ''),
    given_by      text        NOT NULL,
    given_at      timestamptz NOT NULL,
    PRIMARY KEY (shift_id, work_order_id)
);
CREATE INDEX shift_line_idx ON shift_line (shift_id, issued_at, work_order_id);
COMMENT ON TABLE shift_line IS 'What was unfinished when the outgoing shift signed. Added, never changed.';

-- A list that did not come is about neither a ticket nor a work order, and is proposed once.
ALTER TABLE violation
    ADD COLUMN shift_id uuid REFERENCES shift,
    DROP CONSTRAINT violation_about_something,
    ADD CONSTRAINT violation_about_something CHECK (num_nonnulls(ticket_id, work_order_id, reporter, shift_id) > 0);
CREATE UNIQUE INDEX violation_shift_key ON violation (shift_id) WHERE shift_id IS NOT NULL;

DO $$
DECLARE
    app text := 'kefu_' || current_schema();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        EXECUTE format('REVOKE ALL ON shift, shift_reason, shift_line FROM %I', app);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON shift, shift_reason TO %I', app);
        EXECUTE format('GRANT SELECT, INSERT ON shift_line TO %I', app);
    END IF;
END
$$;
