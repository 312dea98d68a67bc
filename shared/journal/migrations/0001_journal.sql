-- The journal of one context and what hangs on it. Runs as the owner of the context's schema, with that schema first on
-- the search path; nothing here names the schema.

CREATE TABLE journal (
    seq            bigint      GENERATED ALWAYS AS IDENTITY,
    xid            xid8        NOT NULL DEFAULT pg_current_xact_id(),
    event_id       uuid        NOT NULL,
    occurred_at    timestamptz NOT NULL,
    actor          text        NOT NULL CHECK (actor <> ''),
    actor_org_unit text        NOT NULL,
    origin         text        NOT NULL,
    request_id     text        NOT NULL,
    traceparent    text        NOT NULL,
    aggregate_type text        NOT NULL CHECK (aggregate_type <> ''),
    aggregate_id   uuid        NOT NULL,
    revision       bigint      NOT NULL CHECK (revision > 0),
    action         text        NOT NULL CHECK (action <> ''),
    org_unit       text        NOT NULL,
    customer_id    uuid,
    before         jsonb,
    after          jsonb,
    event_type     text,
    event          bytea,
    PRIMARY KEY (xid, seq),
    CONSTRAINT journal_revision_key UNIQUE (aggregate_type, aggregate_id, revision),
    CONSTRAINT journal_event_whole CHECK ((event_type IS NULL) = (event IS NULL))
);

COMMENT ON TABLE journal IS
    'One row per change of one aggregate, written in the transaction of the change (X-01) and never changed (X-04). '
    'Audit trail, event feed and live stream are three readings of it.';
COMMENT ON COLUMN journal.seq IS
    'Order of insertion. Not the order of commits: readers order by (xid, seq). Never given by the writer.';
COMMENT ON COLUMN journal.xid IS
    'The transaction that wrote the row, or the one that wrote an earlier revision of the same aggregate if that is '
    'greater (see journal_follow_revision). Readers see only rows below the oldest transaction still running, so that a '
    'late commit can never slip in behind them. Never given by the writer.';
COMMENT ON COLUMN journal.event_id IS 'UUID v7 of the change, from the service''s id source.';
COMMENT ON COLUMN journal.occurred_at IS 'When, on the service''s clock (X-05).';
COMMENT ON COLUMN journal.actor IS 'Who: the subject of the sign-in token, or system/<worker>.';
COMMENT ON COLUMN journal.actor_org_unit IS 'The org unit of the actor''s token; empty for system/<worker> and anonymous.';
COMMENT ON COLUMN journal.origin IS 'From where: peer address and user agent; empty for system/<worker>.';
COMMENT ON COLUMN journal.request_id IS 'The request id of the command (X-02); empty where there was none.';
COMMENT ON COLUMN journal.traceparent IS 'W3C trace context of the change; empty where there was none.';
COMMENT ON COLUMN journal.aggregate_type IS 'What kind of thing changed, e.g. ticket.';
COMMENT ON COLUMN journal.aggregate_id IS 'Which one.';
COMMENT ON COLUMN journal.revision IS
    'The aggregate''s revision after the change: 1 for its creation, one more for each change. The unique key makes a '
    'lost update a constraint violation.';
COMMENT ON COLUMN journal.action IS 'What was done, e.g. ticket.Resolve.';
COMMENT ON COLUMN journal.org_unit IS 'The org unit that the change belongs to, e.g. group/north; scopes its readers (X-07).';
COMMENT ON COLUMN journal.customer_id IS 'The customer concerned, where there is one.';
COMMENT ON COLUMN journal.before IS 'The changed fields before; null for a creation.';
COMMENT ON COLUMN journal.after IS 'The changed fields after; null for a removal.';
COMMENT ON COLUMN journal.event_type IS
    'Full name of the public event''s message type, e.g. kefu.ticket.v1.TicketResolved; null when the change is of no '
    'concern to other contexts.';
COMMENT ON COLUMN journal.event IS 'The public event, a serialised message of that type; null exactly when event_type is.';

-- A transaction gets its id with its first write, which may come before it waits for another one to finish with the
-- aggregate: then the younger id holds the older revision, and (xid, seq) alone would tell the changes in the wrong order.
-- So a row never stands before the revision that it follows. It cannot get out of the readers' sight by this: both
-- transactions have ended when the greater id is below all running ones. Creations, the most frequent rows, pay nothing.
CREATE FUNCTION journal_follow_revision() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    NEW.xid := greatest(NEW.xid, (
        SELECT xid FROM journal
        WHERE aggregate_type = NEW.aggregate_type AND aggregate_id = NEW.aggregate_id AND revision < NEW.revision
        ORDER BY revision DESC LIMIT 1));
    RETURN NEW;
END
$$;
CREATE TRIGGER journal_follow_revision BEFORE INSERT ON journal
    FOR EACH ROW WHEN (NEW.revision > 1) EXECUTE FUNCTION journal_follow_revision();

-- Append-only, for the owner as well: whoever must change the past (retention, a restored dump) disables the trigger in
-- the transaction that does it, which only the owner can, and which is visible to whoever reviews it.
CREATE FUNCTION journal_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the journal is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER journal_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal
    FOR EACH STATEMENT EXECUTE FUNCTION journal_refuse_change();

CREATE TABLE request (
    caller      text        NOT NULL,
    request_id  text        NOT NULL,
    method      text        NOT NULL,
    fingerprint bytea       NOT NULL,
    response    bytea,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, request_id)
);
CREATE INDEX request_created_at_idx ON request (created_at);

COMMENT ON TABLE request IS
    'Answers already given (X-02), written in the transaction of the command, so that a retry gets the same answer.';
COMMENT ON COLUMN request.caller IS 'Subject of the caller; request ids of different callers never meet.';
COMMENT ON COLUMN request.request_id IS 'The id that the caller chose.';
COMMENT ON COLUMN request.method IS 'The method called, e.g. kefu.ticket.v1.TicketService/CreateTicket.';
COMMENT ON COLUMN request.fingerprint IS 'SHA-256 over method and content; another one under the same id is refused.';
COMMENT ON COLUMN request.response IS
    'The serialised answer; null only inside the transaction that is still working on it.';
COMMENT ON COLUMN request.created_at IS
    'When, on the database''s clock: retries happen in real time even where the service''s clock is set by hand. '
    'Entries older than 48 hours are pruned.';

CREATE TABLE feed_cursor (
    consumer   text        NOT NULL,
    source     text        NOT NULL,
    feed_id    uuid,
    xid        xid8        NOT NULL DEFAULT '0',
    seq        bigint      NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, source)
);

COMMENT ON TABLE feed_cursor IS
    'How far each consumer of this context has applied another context''s feed. Moved in the transaction of the effects, '
    'by compare-and-set, so that replicas never apply an event twice.';
COMMENT ON COLUMN feed_cursor.consumer IS 'Name of the consumer in this context.';
COMMENT ON COLUMN feed_cursor.source IS 'Name of the context whose feed it reads.';
COMMENT ON COLUMN feed_cursor.feed_id IS 'The feed''s identity that xid and seq count in; null before the first batch.';
COMMENT ON COLUMN feed_cursor.xid IS 'Position in the source''s journal: everything up to (xid, seq) has been applied.';
COMMENT ON COLUMN feed_cursor.seq IS 'See xid.';
COMMENT ON COLUMN feed_cursor.updated_at IS 'When it moved last, on the database''s clock; for operators.';

CREATE TABLE feed_identity (
    system_identifier bigint      NOT NULL,
    database_oid      oid         NOT NULL,
    journal_oid       oid         NOT NULL,
    feed_id           uuid        NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    created_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (system_identifier, database_oid, journal_oid)
);

COMMENT ON TABLE feed_identity IS
    'What cursors count in. Transaction ids mean something only in the cluster, database and table that gave them, so a '
    'restored dump, a copied database or a recreated schema finds no row for itself here and gets a new identity; '
    'consumers with old cursors are then told instead of silently missing or repeating events.';
COMMENT ON COLUMN feed_identity.system_identifier IS 'The cluster: pg_control_system().';
COMMENT ON COLUMN feed_identity.database_oid IS 'The database.';
COMMENT ON COLUMN feed_identity.journal_oid IS 'The journal table.';
COMMENT ON COLUMN feed_identity.feed_id IS 'The identity that cursors carry.';
COMMENT ON COLUMN feed_identity.created_at IS 'When this place was first served, on the database''s clock.';

-- The application role is named after the schema. What default privileges may have given is taken back first.
DO $$
DECLARE
    app text := 'kefu_' || current_schema();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        EXECUTE format('REVOKE ALL ON journal, request, feed_cursor, feed_identity FROM %I', app);
        EXECUTE format('GRANT SELECT, INSERT ON journal, feed_identity TO %I', app);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON request TO %I', app);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON feed_cursor TO %I', app);
    END IF;
END
$$;
