-- Triggers (T-26): how far the journal has been read for them, and what they did.

CREATE TABLE trigger_cursor (
    single   boolean PRIMARY KEY DEFAULT true CHECK (single),
    position text    NOT NULL
);
COMMENT ON TABLE trigger_cursor IS
    'How far the journal has been read for triggers: one row, moved by compare-and-set in the transaction of what they did, '
    'so that of any number of replicas one acts.';

CREATE TABLE trigger_run (
    root_event    uuid        NOT NULL,
    rule          text        NOT NULL,
    event_id      uuid        NOT NULL,
    ticket_id     uuid        NOT NULL REFERENCES ticket,
    customer_id   uuid,
    depth         integer     NOT NULL CHECK (depth >= 0),
    outcome       text        NOT NULL CHECK (outcome IN ('acted', 'refused', 'too_deep', 'too_often', 'failed')),
    detail        text        NOT NULL,
    from_revision bigint      NOT NULL,
    to_revision   bigint      NOT NULL CHECK (to_revision >= from_revision),
    run_at        timestamptz NOT NULL,
    -- No loops: in a chain of events each trigger acts at most once.
    PRIMARY KEY (root_event, rule)
);
CREATE INDEX trigger_run_ticket_idx ON trigger_run (ticket_id, run_at, root_event, rule);

COMMENT ON TABLE trigger_run IS 'What triggers did (T-26), in the transaction in which they did it. Never changed.';
COMMENT ON COLUMN trigger_run.root_event IS 'The event at the beginning of the chain, which no trigger caused.';
COMMENT ON COLUMN trigger_run.to_revision IS
    'The ticket''s revisions after from_revision up to this are what it caused; an event of one of them goes on in its chain.';

DO $$
DECLARE
    app text := 'kefu_' || current_schema();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        EXECUTE format('REVOKE ALL ON trigger_cursor, trigger_run FROM %I', app);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON trigger_cursor TO %I', app);
        EXECUTE format('GRANT SELECT, INSERT ON trigger_run TO %I', app);
    END IF;
END
$$;
