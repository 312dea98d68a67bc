-- The ticket context. Runs as the owner of the context's schema, with that schema first on the search path; nothing here
-- names the schema.
--
-- Hot tables carry customer_id, so that they can be sharded by it together. There are no foreign keys between the tables
-- that every registration writes: they are written by one statement and never deleted, and a check of each row would cost
-- a fifth of it. The rarer tables have theirs.

CREATE TABLE ticket (
    id                  uuid        PRIMARY KEY,
    number              text        NOT NULL,
    revision            bigint      NOT NULL CHECK (revision > 0),
    policy_version_id   uuid        NOT NULL,
    org_unit            text COLLATE "C" NOT NULL CHECK (org_unit <> ''),
    kind                text        NOT NULL CHECK (kind IN ('complaint', 'inquiry', 'request', 'suggestion')),
    channel             text        NOT NULL CHECK (channel IN (
        'phone', 'sms', 'letter', 'fax', 'mail', 'chat', 'web', 'messenger', 'visit', 'counter')),
    customer_id         uuid,
    contact_id          uuid,
    complainant         text,
    severity            smallint    NOT NULL CHECK (severity BETWEEN 1 AND 3),
    occurred_at         timestamptz,
    subject             text        NOT NULL,
    description         text        NOT NULL,
    category            text        NOT NULL,
    product             text        NOT NULL,
    tags                text[]      NOT NULL,
    customer_grade      text,
    priority            text        NOT NULL CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
    first_contact_owner text        NOT NULL CHECK (first_contact_owner <> ''),
    handler             text,
    cycle_handlers      text[]      NOT NULL DEFAULT '{}',
    receiver_level      smallint    NOT NULL CHECK (receiver_level BETWEEN 1 AND 9),
    cycle               integer     NOT NULL CHECK (cycle > 0),
    cycle_started_at    timestamptz NOT NULL,
    state               text        NOT NULL CHECK (state IN (
        'registered', 'in_progress', 'waiting', 'resolved', 'result_fed_back', 'reopened', 'executive_review', 'closed',
        'cancelled')),
    state_since         timestamptz,
    state_by            text,
    state_reason        text,
    resume_to           text        CHECK (resume_to IN ('registered', 'in_progress', 'reopened', 'executive_review')),
    resume_since        timestamptz,
    solution            text,
    solved_by           text,
    solved_at           timestamptz,
    first_responded_at  timestamptz,
    first_resolved_at   timestamptz,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    CONSTRAINT ticket_number_key UNIQUE (number),
    CONSTRAINT ticket_one_complainant CHECK (
        (customer_id IS NULL OR complainant IS NULL) AND (contact_id IS NULL OR customer_id IS NOT NULL)),
    CONSTRAINT ticket_solution_whole CHECK (num_nulls(solution, solved_by, solved_at) IN (0, 3)),
    CONSTRAINT ticket_resumes_from_waiting CHECK ((resume_to IS NOT NULL) = (state = 'waiting'))
);
-- Lists and reports go by org unit and time; with the state inside, a filtered list reads the rows only of what it returns.
CREATE INDEX ticket_org_unit_idx ON ticket (org_unit, created_at, id) INCLUDE (state);
CREATE INDEX ticket_customer_idx ON ticket (customer_id, created_at, id) WHERE customer_id IS NOT NULL;

COMMENT ON TABLE ticket IS 'Something that the company owes an answer to (T-01). Locked by whoever changes it.';
COMMENT ON COLUMN ticket.number IS 'T-<year>-<label>-<count>, from number_counter.';
COMMENT ON COLUMN ticket.revision IS 'Counts the changes from 1; the etag (X-03) and the journal''s revision.';
COMMENT ON COLUMN ticket.policy_version_id IS 'The version of the policy by which it is judged to the end (X-10).';
COMMENT ON COLUMN ticket.complainant IS 'Who complains where it is no customer; null together with customer_id means anonymous.';
COMMENT ON COLUMN ticket.first_contact_owner IS 'Whoever took it; never changes (T-02).';
COMMENT ON COLUMN ticket.cycle_handlers IS 'Everybody who may not enter this cycle''s verdict (T-13).';
COMMENT ON COLUMN ticket.state_since IS 'Since when it is in this state; null for registered, which has created_at.';
COMMENT ON COLUMN ticket.state_by IS 'Who told the result or cancelled it; null in other states.';
COMMENT ON COLUMN ticket.state_reason IS 'What it waits for, or why it was cancelled; null in other states.';
COMMENT ON COLUMN ticket.resume_to IS 'While it waits: the state in which it goes on, which it was in since resume_since.';
COMMENT ON COLUMN ticket.solution IS 'The last solution on record, accepted or not; earlier ones are in the journal.';
COMMENT ON COLUMN ticket.first_resolved_at IS 'Resolved for the first time, in whatever cycle; what reports measure.';

CREATE TABLE ticket_clock (
    ticket_id    uuid        NOT NULL,
    cycle        integer     NOT NULL CHECK (cycle > 0),
    rule         text        NOT NULL,
    position     smallint    NOT NULL,
    customer_id  uuid,
    kind         text        NOT NULL CHECK (kind IN ('first_response', 'resolution', 'result_feedback', 'call_back')),
    state        text        NOT NULL CHECK (state IN ('running', 'paused', 'met', 'breached', 'cancelled')),
    started_at   timestamptz NOT NULL,
    pauses       jsonb,
    due_at       timestamptz,
    warn_at      timestamptz,
    warned_at    timestamptz,
    breached_at  timestamptz,
    fulfilled_at timestamptz,
    fulfilled_by text,
    recorded_at  timestamptz,
    cancelled_at timestamptz,
    next_fire_at timestamptz,
    PRIMARY KEY (ticket_id, cycle, rule),
    CONSTRAINT ticket_clock_fulfilment_whole CHECK (num_nulls(fulfilled_at, fulfilled_by, recorded_at) IN (0, 3)),
    CONSTRAINT ticket_clock_fires_while_running CHECK (next_fire_at IS NULL OR state = 'running')
);
-- A rule never promises twice at the same time.
CREATE UNIQUE INDEX ticket_clock_live_key ON ticket_clock (ticket_id, rule) WHERE state IN ('running', 'paused');
CREATE INDEX ticket_clock_fire_idx ON ticket_clock (next_fire_at) WHERE next_fire_at IS NOT NULL;

COMMENT ON TABLE ticket_clock IS
    'The ledger of promises (T-05): one row per ticket, rule and cycle. What earlier cycles show is never changed. How long '
    'is promised stands in the ticket''s policy version, under the name of the rule.';
COMMENT ON COLUMN ticket_clock.position IS 'Order among the clocks of its ticket, oldest first, from 0.';
COMMENT ON COLUMN ticket_clock.pauses IS
    'When it stood still (T-06): [{"from": …, "to": … or null, "reason": …}], in order; null where it never did. Only grows, '
    'so that no change of policy, severity or owner loses a pause.';
COMMENT ON COLUMN ticket_clock.due_at IS
    'The deadline as computed at the start or the last resumption; null while it pauses, for then nobody knows it.';
COMMENT ON COLUMN ticket_clock.breached_at IS 'The deadline that passed; stays however late the fulfilment.';
COMMENT ON COLUMN ticket_clock.fulfilled_at IS 'As of when: for an answer, when it was sent; recorded_at is when it was entered.';
COMMENT ON COLUMN ticket_clock.next_fire_at IS
    'When the timers have to look at it next, for a warning or for the breach; null when there is nothing to come.';

CREATE TABLE verdict (
    ticket_id   uuid        NOT NULL REFERENCES ticket,
    cycle       integer     NOT NULL CHECK (cycle > 0),
    customer_id uuid,
    value       smallint    NOT NULL,
    source      text        NOT NULL CHECK (source IN ('call', 'survey')),
    recorded_by text        NOT NULL CHECK (recorded_by <> ''),
    comment     text        NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (ticket_id, cycle)
);
COMMENT ON TABLE verdict IS 'The customer''s answer at call-back, one per cycle (T-13).';

CREATE TABLE escalation (
    ticket_id    uuid        NOT NULL REFERENCES ticket,
    position     smallint    NOT NULL,
    customer_id  uuid,
    cause        text        NOT NULL CHECK (cause IN ('breach', 'verdict', 'manager')),
    from_level   smallint    NOT NULL,
    to_level     smallint    NOT NULL,
    cycle        integer     NOT NULL,
    reason       text        NOT NULL,
    escalated_at timestamptz NOT NULL,
    PRIMARY KEY (ticket_id, position)
);
COMMENT ON TABLE escalation IS 'The handling forms that escalations wrote, oldest first (T-12).';

CREATE TABLE message (
    id          uuid        PRIMARY KEY,
    ticket_id   uuid        NOT NULL REFERENCES ticket,
    customer_id uuid,
    cycle       integer     NOT NULL,
    purpose     text        NOT NULL CHECK (purpose IN ('answer', 'result')),
    body        text        NOT NULL CHECK (body <> ''),
    sent_at     timestamptz NOT NULL,
    sent_by     text        NOT NULL CHECK (sent_by <> ''),
    created_at  timestamptz NOT NULL
);
CREATE INDEX message_ticket_idx ON message (ticket_id, sent_at);
COMMENT ON TABLE message IS 'What was said to the customer (T-07, T-09); the base of T-14.';
COMMENT ON COLUMN message.purpose IS 'answer: an answer on the way; result: the result was told.';
COMMENT ON COLUMN message.sent_at IS 'When it was sent, which may lie before it was put on record.';

CREATE TABLE violation (
    id             uuid        PRIMARY KEY,
    ticket_id      uuid        NOT NULL REFERENCES ticket,
    customer_id    uuid,
    org_unit       text COLLATE "C" NOT NULL,
    code           text        NOT NULL,
    description_en text        NOT NULL,
    description_zh text        NOT NULL,
    staff          text        NOT NULL,
    evidence       text        NOT NULL,
    amount_cents   bigint      NOT NULL CHECK (amount_cents >= 0),
    currency       text,
    state          text        NOT NULL CHECK (state IN ('proposed')),
    proposed_at    timestamptz NOT NULL,
    created_at     timestamptz NOT NULL
);
CREATE INDEX violation_org_unit_idx ON violation (org_unit, created_at, id);
CREATE INDEX violation_ticket_idx ON violation (ticket_id, created_at, id);
COMMENT ON TABLE violation IS 'Broken rules with their evidence and proposed penalty (T-19).';
COMMENT ON COLUMN violation.proposed_at IS 'As of when: the deadline that was missed. created_at is when it was put on record.';

CREATE TABLE number_counter (
    org_unit    text COLLATE "C" NOT NULL,
    year        smallint NOT NULL,
    label       text     NOT NULL CHECK (length(label) BETWEEN 1 AND 100),
    last_number bigint   NOT NULL CHECK (last_number >= 0),
    PRIMARY KEY (org_unit, year),
    CONSTRAINT number_counter_label_key UNIQUE (label, year)
) WITH (fillfactor = 10);
COMMENT ON TABLE number_counter IS
    'The last number given by each org unit in each year of its calendar''s time zone. Counted in the transaction of the '
    'registration, so there is no gap and no duplicate. Also tells which org units have tickets at all. Sparse pages: each '
    'row changes with every registration, and its versions should find room beside it.';
COMMENT ON COLUMN number_counter.label IS
    'What stands in the number: the last segment of the path, longer where two org units end alike. The same in all years.';

CREATE TABLE customer_copy (
    id         uuid        PRIMARY KEY,
    revision   bigint      NOT NULL CHECK (revision >= 0),
    org_unit   text        NOT NULL,
    stamp      bigint      NOT NULL CHECK (stamp > 0),
    updated_at timestamptz NOT NULL
);
COMMENT ON TABLE customer_copy IS 'The customers, as the customer context''s feed tells: a registration needs no call onward.';
COMMENT ON COLUMN customer_copy.revision IS 'The customer''s; 0 for one that was asked for before the feed told of it.';
COMMENT ON COLUMN customer_copy.stamp IS
    'Counts the changes of what a registration reads in memory, that is of the standings. The registration''s statement '
    'compares it, so that a stale memory, in whichever replica, inserts nothing.';

CREATE TABLE contact_copy (
    id          uuid   PRIMARY KEY,
    customer_id uuid   NOT NULL,
    revision    bigint NOT NULL CHECK (revision >= 0)
);
COMMENT ON TABLE contact_copy IS 'Whose contact it is, from the customer context''s feed. A contact never changes its customer.';

CREATE TABLE standing_copy (
    customer_id  uuid   NOT NULL,
    department   text   NOT NULL,
    product_line text   NOT NULL,
    grade        text   NOT NULL,
    revision     bigint NOT NULL CHECK (revision > 0),
    PRIMARY KEY (customer_id, department, product_line)
);
COMMENT ON TABLE standing_copy IS 'The grades of the customers by department, from the customer context''s feed (T-03).';
COMMENT ON COLUMN standing_copy.revision IS 'The standing''s; a copy never goes back.';

-- The application role is named after the schema. What default privileges may have given is taken back first.
DO $$
DECLARE
    app text := 'kefu_' || current_schema();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        EXECUTE format(
            'REVOKE ALL ON ticket, ticket_clock, verdict, escalation, message, violation, number_counter, customer_copy, '
            'contact_copy, standing_copy FROM %I', app);
        EXECUTE format(
            'GRANT SELECT, INSERT, UPDATE ON ticket, ticket_clock, violation, number_counter, customer_copy, contact_copy, '
            'standing_copy TO %I', app);
        -- Evidence: what was said and judged is added, never changed.
        EXECUTE format('GRANT SELECT, INSERT ON verdict, escalation, message TO %I', app);
    END IF;
END
$$;
