-- Duplicates, merges and mass complaints (T-04). As in 0001, nothing here names the schema.

ALTER TABLE ticket
    ADD COLUMN links jsonb,
    DROP CONSTRAINT ticket_state_check,
    ADD CONSTRAINT ticket_state_check CHECK (state IN (
        'registered', 'in_progress', 'waiting', 'resolved', 'result_fed_back', 'reopened', 'executive_review', 'closed',
        'cancelled', 'merged')),
    ADD CONSTRAINT ticket_merged_knows_into CHECK ((state = 'merged') = (coalesce(links ? 'merged', false)));
COMMENT ON COLUMN ticket.links IS
    'What it has to do with other tickets, null for most: {"merged": {"into": …, "was": …}, "parent": …, "leads": true}. While '
    'it is merged, state_since, state_by and state_reason tell when, by whom and why, and "was" where it goes on.';

ALTER TABLE ticket_clock
    DROP CONSTRAINT ticket_clock_state_check,
    ADD CONSTRAINT ticket_clock_state_check CHECK (state IN ('running', 'paused', 'met', 'breached', 'cancelled', 'merged'));

-- What is merged is no part of the backlog.
DROP INDEX ticket_open_idx;
CREATE INDEX ticket_open_idx ON ticket (org_unit, created_at, id) WHERE state NOT IN ('closed', 'cancelled', 'merged');
-- What was merged since a time was open then.
CREATE INDEX ticket_merged_idx ON ticket (org_unit, state_since) INCLUDE (created_at, kind, id) WHERE state = 'merged';

CREATE TABLE ticket_merge (
    source_id    uuid        NOT NULL REFERENCES ticket,
    number       integer     NOT NULL CHECK (number > 0),
    target_id    uuid        NOT NULL REFERENCES ticket CHECK (target_id <> source_id),
    customer_id  uuid,
    height       smallint    NOT NULL CHECK (height BETWEEN 1 AND 32),
    reason       text        NOT NULL CHECK (reason <> ''),
    merged_by    text        NOT NULL CHECK (merged_by <> ''),
    merged_at    timestamptz NOT NULL,
    promises     jsonb       NOT NULL,
    undone_by    text,
    undone_at    timestamptz,
    undo_reason  text,
    PRIMARY KEY (source_id, number),
    CONSTRAINT ticket_merge_undone_whole CHECK (num_nulls(undone_by, undone_at, undo_reason) IN (0, 3)),
    CONSTRAINT ticket_merge_undone_after CHECK (undone_at >= merged_at)
);
-- A ticket is merged into one at a time.
CREATE UNIQUE INDEX ticket_merge_present_key ON ticket_merge (source_id) INCLUDE (target_id) WHERE undone_at IS NULL;
CREATE INDEX ticket_merge_height_idx ON ticket_merge (target_id, height) WHERE undone_at IS NULL;
CREATE INDEX ticket_merge_target_idx ON ticket_merge (target_id, merged_at, source_id, number);
COMMENT ON TABLE ticket_merge IS
    'Which ticket was merged into which (T-04), with what was undone. Only what is not merged takes another one, so what holds '
    'is a forest.';
COMMENT ON COLUMN ticket_merge.number IS 'Counts the merges of the source from 1.';
COMMENT ON COLUMN ticket_merge.height IS
    'One more than the greatest of those that held into the source: the longest chain that leads through this merge, at most. '
    'Bounds what following a chain costs.';
COMMENT ON COLUMN ticket_merge.promises IS
    'The promises of the source that the target took over: [{"rule": …, "cycle": …, "round": …, "replaced": … or null}].';

CREATE TABLE ticket_link (
    child_id       uuid        NOT NULL REFERENCES ticket,
    number         integer     NOT NULL CHECK (number > 0),
    parent_id      uuid        NOT NULL REFERENCES ticket CHECK (parent_id <> child_id),
    customer_id    uuid,
    answers_before integer     NOT NULL CHECK (answers_before >= 0),
    adapter        text,
    recipient      text,
    linked_by      text        NOT NULL CHECK (linked_by <> ''),
    linked_at      timestamptz NOT NULL,
    unlinked_by    text,
    unlinked_at    timestamptz,
    unlink_reason  text,
    PRIMARY KEY (child_id, number),
    CONSTRAINT ticket_link_route_whole CHECK (num_nulls(adapter, recipient) IN (0, 2)),
    CONSTRAINT ticket_link_end_whole CHECK (num_nulls(unlinked_by, unlinked_at, unlink_reason) IN (0, 3))
);
-- A child has one parent at a time.
CREATE UNIQUE INDEX ticket_link_present_key ON ticket_link (child_id) WHERE unlinked_at IS NULL;
-- The children of a parent in the order in which an answer goes through them.
CREATE INDEX ticket_link_children_idx ON ticket_link (parent_id, child_id) WHERE unlinked_at IS NULL;
COMMENT ON TABLE ticket_link IS 'Tickets on one cause under the parent that answers for it (T-04).';
COMMENT ON COLUMN ticket_link.answers_before IS
    'So many answers had been given on the parent, under its lock: those with a greater number are for this child, and the '
    'others it missed.';
COMMENT ON COLUMN ticket_link.recipient IS 'How the child''s customer is reached; null: as the last message on the child was.';

CREATE TABLE mass_answer (
    id             uuid        PRIMARY KEY,
    parent_id      uuid        NOT NULL REFERENCES ticket,
    number         integer     NOT NULL CHECK (number > 0),
    customer_id    uuid,
    org_unit       text COLLATE "C" NOT NULL,
    purpose        text        NOT NULL CHECK (purpose IN ('answer', 'result', 'solution')),
    body           text        NOT NULL CHECK (body <> ''),
    personal       boolean     NOT NULL,
    demanded       boolean     NOT NULL,
    adapter        text,
    sent_at        timestamptz NOT NULL,
    answered_by    text        NOT NULL CHECK (answered_by <> ''),
    actor_org_unit text        NOT NULL,
    origin         text        NOT NULL,
    traceparent    text        NOT NULL,
    created_at     timestamptz NOT NULL,
    position       uuid        NOT NULL,
    reached        integer     NOT NULL DEFAULT 0 CHECK (reached >= 0),
    unreached      integer     NOT NULL DEFAULT 0 CHECK (unreached >= 0),
    finished_at    timestamptz,
    CONSTRAINT mass_answer_number_key UNIQUE (parent_id, number)
);
CREATE INDEX mass_answer_running_idx ON mass_answer (id) WHERE finished_at IS NULL;
COMMENT ON TABLE mass_answer IS
    'What was said or solved on a parent, on its way to the children (T-04). Written in the transaction of what was said.';
COMMENT ON COLUMN mass_answer.demanded IS 'Somebody asked for this solution on the children; else each child''s policy decides.';
COMMENT ON COLUMN mass_answer.adapter IS 'It is sent through a channel, like the parent''s by this one; null: it was said otherwise.';
COMMENT ON COLUMN mass_answer.position IS
    'The last child that was seen to; moved in the transaction of what was done to that child.';

CREATE TABLE mass_answer_result (
    mass_answer_id uuid        NOT NULL REFERENCES mass_answer,
    child_id       uuid        NOT NULL REFERENCES ticket,
    outcome        text        NOT NULL CHECK (outcome IN (
        'reached', 'ended', 'no_recipient', 'refused', 'offered', 'failed')),
    detail         text        NOT NULL,
    settled_at     timestamptz NOT NULL,
    PRIMARY KEY (mass_answer_id, child_id)
);
COMMENT ON TABLE mass_answer_result IS 'What became of a mass answer on each child, once.';

DO $$
DECLARE
    app text := 'kefu_' || current_schema();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        EXECUTE format('REVOKE ALL ON ticket_merge, ticket_link, mass_answer, mass_answer_result FROM %I', app);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON ticket_merge, ticket_link, mass_answer TO %I', app);
        EXECUTE format('GRANT SELECT, INSERT ON mass_answer_result TO %I', app);
    END IF;
END
$$;
