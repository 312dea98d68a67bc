-- Work orders (T-16). As in 0001, nothing here names the schema.

CREATE TABLE work_order_counter (
    dispatch_centre text COLLATE "C" NOT NULL,
    year            smallint NOT NULL,
    label           text     NOT NULL CHECK (length(label) BETWEEN 1 AND 100),
    last_number     bigint   NOT NULL CHECK (last_number >= 0),
    PRIMARY KEY (dispatch_centre, year),
    CONSTRAINT work_order_counter_label_key UNIQUE (label, year)
) WITH (fillfactor = 10);
COMMENT ON TABLE work_order_counter IS
    'The last number given by each dispatch centre in each year of its calendar''s time zone. Its row is locked by the '
    'transaction that inserts the order, so a number is given exactly when its order is committed. Also tells which org '
    'units have orders at all.';
COMMENT ON COLUMN work_order_counter.label IS 'The same as in number_counter.';

CREATE TABLE work_order (
    id                 uuid        PRIMARY KEY,
    number             text        NOT NULL,
    dispatch_centre    text COLLATE "C" NOT NULL CHECK (dispatch_centre <> ''),
    year               smallint    NOT NULL,
    sequence           bigint      NOT NULL CHECK (sequence > 0),
    previous           bigint      GENERATED ALWAYS AS (nullif(sequence - 1, 0)) STORED,
    revision           bigint      NOT NULL CHECK (revision > 0),
    policy_version_id  uuid        NOT NULL,
    ticket_id          uuid        REFERENCES ticket,
    customer_id        uuid,
    task               text        NOT NULL CHECK (task <> ''),
    requirements       text        NOT NULL CHECK (requirements <> ''),
    place              text        NOT NULL,
    reply_by           timestamptz NOT NULL,
    assignee           text,
    assignee_team      text,
    issuer             text        NOT NULL CHECK (issuer <> ''),
    dispatcher         text        NOT NULL CHECK (dispatcher <> ''),
    issued_at          timestamptz NOT NULL,
    state              text        NOT NULL CHECK (state IN (
        'issued', 'accepted', 'done', 'signed_off', 'called_back', 'archived', 'voided')),
    accepted_at        timestamptz,
    accepted_by        text,
    result             text,
    done_at            timestamptz,
    done_by            text,
    signed_name        text,
    signed_at          timestamptz,
    signature_image    text,
    signature_code     text,
    sign_off_at        timestamptz,
    sign_off_by        text,
    call_back_comment  text,
    called_back_at     timestamptz,
    called_back_by     text,
    archived_at        timestamptz,
    archived_by        text,
    void_reason        text        CHECK (void_reason <> ''),
    voided_at          timestamptz,
    voided_by          text,
    overdue_since      timestamptz,
    missed_replies     integer     NOT NULL CHECK (missed_replies >= 0),
    next_fire_at       timestamptz,
    updated_at         timestamptz NOT NULL,
    CONSTRAINT work_order_number_key UNIQUE (number),
    CONSTRAINT work_order_sequence_key UNIQUE (dispatch_centre, year, sequence),
    CONSTRAINT work_order_no_gap FOREIGN KEY (dispatch_centre, year, previous)
        REFERENCES work_order (dispatch_centre, year, sequence),
    CONSTRAINT work_order_assigned CHECK (num_nonnulls(assignee, assignee_team) > 0),
    CONSTRAINT work_order_acceptance_whole CHECK (
        num_nulls(accepted_at, accepted_by) IN (0, 2) AND (accepted_at IS NULL OR assignee IS NOT NULL)),
    CONSTRAINT work_order_result_whole CHECK (num_nulls(result, done_at, done_by) IN (0, 3)),
    CONSTRAINT work_order_sign_off_whole CHECK (
        num_nulls(signed_name, signed_at, sign_off_at, sign_off_by) IN (0, 4)
        AND num_nonnulls(signature_image, signature_code) = num_nonnulls(sign_off_at)),
    CONSTRAINT work_order_call_back_whole CHECK (num_nulls(call_back_comment, called_back_at, called_back_by) IN (0, 3)),
    CONSTRAINT work_order_archive_whole CHECK (num_nulls(archived_at, archived_by) IN (0, 2)),
    CONSTRAINT work_order_void_whole CHECK (num_nulls(void_reason, voided_at, voided_by) IN (0, 3)),
    CONSTRAINT work_order_steps_in_order CHECK (CASE state
        WHEN 'issued' THEN num_nonnulls(accepted_at, done_at, sign_off_at, called_back_at, archived_at, voided_at) = 0
        WHEN 'accepted' THEN accepted_at IS NOT NULL
            AND num_nonnulls(done_at, sign_off_at, called_back_at, archived_at, voided_at) = 0
        WHEN 'done' THEN num_nulls(accepted_at, done_at) = 0
            AND num_nonnulls(sign_off_at, called_back_at, archived_at, voided_at) = 0
        WHEN 'signed_off' THEN num_nulls(accepted_at, done_at, sign_off_at) = 0
            AND num_nonnulls(called_back_at, archived_at, voided_at) = 0
        WHEN 'called_back' THEN num_nulls(accepted_at, done_at, sign_off_at, called_back_at) = 0
            AND num_nonnulls(archived_at, voided_at) = 0
        WHEN 'archived' THEN num_nulls(accepted_at, done_at, sign_off_at, called_back_at, archived_at) = 0
            AND voided_at IS NULL
        ELSE voided_at IS NOT NULL AND num_nonnulls(sign_off_at, called_back_at, archived_at) = 0
            AND (done_at IS NULL OR accepted_at IS NOT NULL)
        END),
    CONSTRAINT work_order_fires_while_running CHECK (next_fire_at IS NULL OR state IN ('issued', 'accepted'))
);
CREATE INDEX work_order_centre_idx ON work_order (dispatch_centre, issued_at, id) INCLUDE (state);
CREATE INDEX work_order_running_idx ON work_order (dispatch_centre, issued_at, id) WHERE state IN ('issued', 'accepted');
CREATE INDEX work_order_ticket_idx ON work_order (ticket_id) WHERE ticket_id IS NOT NULL;
CREATE INDEX work_order_fire_idx ON work_order (next_fire_at) WHERE next_fire_at IS NOT NULL;

COMMENT ON TABLE work_order IS 'A numbered instruction to do one thing by a time (T-16). Locked by whoever changes it.';
COMMENT ON COLUMN work_order.number IS 'W-<year>-<label>-<sequence>, from work_order_counter.';
COMMENT ON COLUMN work_order.previous IS
    'The number before; the first has none. Refers to the order that has it, so that the schema itself allows no gap, not '
    'even to its owner.';
COMMENT ON COLUMN work_order.policy_version_id IS 'The version of the policy in force when it was issued (X-10).';
COMMENT ON COLUMN work_order.reply_by IS 'By when it is done or there is a report; never changes.';
COMMENT ON COLUMN work_order.accepted_at IS 'To the minute.';
COMMENT ON COLUMN work_order.overdue_since IS 'The reply that was missed, until there is one.';
COMMENT ON COLUMN work_order.next_fire_at IS
    'When the next reply is due, which is when the timers look at it; null where nothing is due and once it was missed.';

CREATE TABLE work_order_progress (
    work_order_id uuid        NOT NULL REFERENCES work_order,
    position      smallint    NOT NULL CHECK (position >= 0),
    note          text        NOT NULL CHECK (note <> ''),
    next_reply_at timestamptz,
    reported_by   text        NOT NULL CHECK (reported_by <> ''),
    reported_at   timestamptz NOT NULL,
    PRIMARY KEY (work_order_id, position)
);
COMMENT ON TABLE work_order_progress IS 'Reports on the way to the result, oldest first (T-16).';

CREATE TABLE work_order_dispute (
    work_order_id uuid        NOT NULL REFERENCES work_order,
    position      smallint    NOT NULL CHECK (position >= 0),
    reason        text        NOT NULL CHECK (reason <> ''),
    disputed_by   text        NOT NULL CHECK (disputed_by <> ''),
    disputed_at   timestamptz NOT NULL,
    outcome       text        CHECK (outcome IN ('stands', 'withdrawn')),
    decision      text        CHECK (decision <> ''),
    decided_by    text        CHECK (decided_by <> disputed_by),
    decided_at    timestamptz,
    PRIMARY KEY (work_order_id, position),
    CONSTRAINT work_order_decision_whole CHECK (num_nulls(outcome, decision, decided_by, decided_at) IN (0, 4))
);
CREATE UNIQUE INDEX work_order_dispute_open_key ON work_order_dispute (work_order_id) WHERE outcome IS NULL;
COMMENT ON TABLE work_order_dispute IS 'Objections to orders, oldest first; at most one is open (T-16).';

-- A violation is about a ticket, or about a work order with or without one.
ALTER TABLE violation ALTER COLUMN ticket_id DROP NOT NULL;
ALTER TABLE violation ADD COLUMN work_order_id uuid REFERENCES work_order;
ALTER TABLE violation ADD CONSTRAINT violation_about_something CHECK (num_nonnulls(ticket_id, work_order_id) > 0);
-- A missed reply is on record once.
CREATE UNIQUE INDEX violation_work_order_key ON violation (work_order_id, code, proposed_at) WHERE work_order_id IS NOT NULL;

DO $$
DECLARE
    app text := 'kefu_' || current_schema();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        EXECUTE format('REVOKE ALL ON work_order_counter, work_order, work_order_progress, work_order_dispute FROM %I', app);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON work_order_counter, work_order, work_order_dispute TO %I', app);
        EXECUTE format('GRANT SELECT, INSERT ON work_order_progress TO %I', app);
    END IF;
END
$$;
