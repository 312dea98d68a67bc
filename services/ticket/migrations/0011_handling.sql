-- How a ticket is handled between the first answer and the verdict (T-09 to T-13, T-15). As in 0001, nothing here names the
-- schema.

ALTER TABLE ticket
    ADD COLUMN handling  jsonb,
    ADD COLUMN attend_at timestamptz;
CREATE INDEX ticket_attend_idx ON ticket (attend_at) WHERE attend_at IS NOT NULL;

COMMENT ON COLUMN ticket.handling IS
    'What is true of its handling now and decides what is possible: a pending transfer, the plan''s marks, the filled in '
    'forms, the supervision, failed attempts of this cycle. Bounded; null where nothing was done yet. The texts hang in the '
    'tables below.';
COMMENT ON COLUMN ticket.attend_at IS
    'When the timers have to look at its handling: at once after a registration that goes to headquarters, and when the '
    'answer to a supervision is due (T-15); null when there is nothing to come.';

ALTER TABLE escalation
    DROP CONSTRAINT escalation_cause_check,
    ADD CONSTRAINT escalation_cause_check CHECK (cause IN ('breach', 'verdict', 'manager', 'step', 'authority'));

CREATE TABLE handling_record (
    id          uuid        PRIMARY KEY,
    ticket_id   uuid        NOT NULL REFERENCES ticket,
    customer_id uuid,
    cycle       integer     NOT NULL CHECK (cycle > 0),
    kind        text        NOT NULL CHECK (kind IN (
        'contact_attempt', 'meeting', 'finding', 'handling_form', 'executive_decision', 'supervision_note')),
    content     jsonb       NOT NULL,
    recorded_by text        NOT NULL CHECK (recorded_by <> ''),
    recorded_at timestamptz NOT NULL
);
CREATE INDEX handling_record_ticket_idx ON handling_record (ticket_id, recorded_at, id);
COMMENT ON TABLE handling_record IS
    'What was put on record while a ticket was handled (T-09, T-10, T-12, T-15). Evidence: added, never changed.';
COMMENT ON COLUMN handling_record.content IS 'By kind, see store/handling_record.rs.';

CREATE TABLE transfer (
    ticket_id     uuid        NOT NULL REFERENCES ticket,
    number        integer     NOT NULL CHECK (number > 0),
    customer_id   uuid,
    from_org_unit text COLLATE "C" NOT NULL,
    to_org_unit   text COLLATE "C" NOT NULL,
    to_team       text,
    handover_note text        NOT NULL,
    sent_by       text        NOT NULL,
    sent_at       timestamptz NOT NULL,
    state         text        NOT NULL CHECK (state IN ('pending', 'accepted', 'returned', 'withdrawn')),
    ended_by      text,
    ended_at      timestamptz,
    end_note      text,
    PRIMARY KEY (ticket_id, number),
    CONSTRAINT transfer_end_whole CHECK (
        num_nulls(ended_by, ended_at, end_note) = CASE state WHEN 'pending' THEN 3 ELSE 0 END)
);
-- A ticket is on one way at a time.
CREATE UNIQUE INDEX transfer_pending_key ON transfer (ticket_id) WHERE state = 'pending';
CREATE INDEX transfer_incoming_idx ON transfer (to_org_unit, sent_at, ticket_id) WHERE state = 'pending';
COMMENT ON TABLE transfer IS 'Tickets on their way to another team or org unit, and how that ended (T-11).';

CREATE TABLE plan_item (
    ticket_id   uuid        NOT NULL REFERENCES ticket,
    version     integer     NOT NULL CHECK (version > 0),
    position    smallint    NOT NULL CHECK (position > 0),
    customer_id uuid,
    org_unit    text COLLATE "C" NOT NULL,
    who         text        NOT NULL,
    what        text        NOT NULL,
    due_at      timestamptz NOT NULL,
    done_at     timestamptz,
    done_by     text,
    superseded  boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (ticket_id, version, position),
    CONSTRAINT plan_item_done_whole CHECK (num_nulls(done_at, done_by) IN (0, 2))
);
CREATE INDEX plan_item_open_idx ON plan_item (org_unit, due_at, ticket_id, position)
    WHERE done_at IS NULL AND NOT superseded;
COMMENT ON TABLE plan_item IS 'Who does what by when (T-10). Items of replaced plans stay with what was done of them.';
COMMENT ON COLUMN plan_item.superseded IS 'A newer plan took its place, or the ticket has ended.';

CREATE TABLE supervision (
    ticket_id     uuid        NOT NULL REFERENCES ticket,
    number        integer     NOT NULL CHECK (number > 0),
    customer_id   uuid,
    org_unit      text COLLATE "C" NOT NULL,
    instruction   text        NOT NULL,
    supervised_by text        NOT NULL,
    supervised_at timestamptz NOT NULL,
    answer_by     timestamptz NOT NULL,
    answered_at   timestamptz,
    missed_at     timestamptz,
    urgings       integer     NOT NULL,
    ended_at      timestamptz,
    PRIMARY KEY (ticket_id, number)
);
CREATE UNIQUE INDEX supervision_present_key ON supervision (ticket_id) WHERE ended_at IS NULL;
CREATE INDEX supervision_open_idx ON supervision (org_unit, answer_by, ticket_id) WHERE ended_at IS NULL;
COMMENT ON TABLE supervision IS 'Tickets that headquarters watches (T-15).';

DO $$
DECLARE
    app text := 'kefu_' || current_schema();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        EXECUTE format('REVOKE ALL ON handling_record, transfer, plan_item, supervision FROM %I', app);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON transfer, plan_item, supervision TO %I', app);
        EXECUTE format('GRANT SELECT, INSERT ON handling_record TO %I', app);
    END IF;
END
$$;
