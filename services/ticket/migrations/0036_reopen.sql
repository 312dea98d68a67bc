-- What was closed and is open again (T-13, T-20), and what somebody has to do (T-16). As in 0001, nothing here names the schema.

CREATE TABLE ticket_reopening (
    ticket_id   uuid        NOT NULL REFERENCES ticket,
    cycle       integer     NOT NULL CHECK (cycle > 0),
    customer_id uuid,
    closed_at   timestamptz NOT NULL,
    reopened_at timestamptz NOT NULL,
    reopened_by text        NOT NULL CHECK (reopened_by <> ''),
    reason      text        NOT NULL CHECK (reason <> ''),
    PRIMARY KEY (ticket_id, cycle),
    CONSTRAINT ticket_reopening_after CHECK (reopened_at >= closed_at)
);
-- A report as of an earlier time asks what was reopened since: few, whatever the size of the table.
CREATE INDEX ticket_reopening_time_idx ON ticket_reopening (reopened_at) INCLUDE (closed_at, ticket_id);
COMMENT ON TABLE ticket_reopening IS
    'Tickets that were closed and opened again: between the two they were closed, which the ticket''s own row does not tell any '
    'more. A verdict that reopened its ticket never closed it and is not here.';
COMMENT ON COLUMN ticket_reopening.cycle IS 'The cycle that had been closed; the next one began with this.';

-- What is addressed to one person, newest first, wherever it comes from.
CREATE INDEX work_order_assignee_idx ON work_order (assignee, issued_at, id) WHERE assignee IS NOT NULL;

DO $$
DECLARE
    app text := 'kefu_' || current_schema();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        EXECUTE format('REVOKE ALL ON ticket_reopening FROM %I', app);
        -- Whose it is can be put right (T-01).
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON ticket_reopening TO %I', app);
    END IF;
END
$$;
