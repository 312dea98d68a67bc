-- Queues, saved views and full-text search (T-23). As in 0001, nothing here names the schema.
--
-- Queue and search are kept by a worker from the journal, not by the commands: what a registration writes stays as small as
-- it was, and what is written here is written many at a time.

CREATE TABLE projection (
    name       text     PRIMARY KEY,
    feed_id    uuid,
    xid        xid8     NOT NULL DEFAULT '0',
    seq        bigint   NOT NULL DEFAULT 0,
    turn       bigint   NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO projection (name) VALUES ('queue'), ('search');
COMMENT ON TABLE projection IS
    'How far each of the tables below has taken the journal into account. The row is locked by whoever does, and moved in the '
    'transaction of the effects. What is done for a row of the journal is to look at its ticket as it is then, so to do it '
    'again changes nothing.';
COMMENT ON COLUMN projection.feed_id IS 'What xid and seq count in; another one means to begin again.';
COMMENT ON COLUMN projection.turn IS 'Counts the transactions that moved it.';
COMMENT ON COLUMN projection.updated_at IS 'When it moved last, on the database''s clock; for operators.';

CREATE TABLE queue_entry (
    ticket_id   uuid   PRIMARY KEY,
    org_unit    text COLLATE "C" NOT NULL,
    due_key     bigint NOT NULL,
    urgency     bigint NOT NULL,
    newness     bigint NOT NULL,
    created_key bigint NOT NULL,
    who         text[] NOT NULL,
    fields      jsonb  NOT NULL,
    turn        bigint NOT NULL
) WITH (fillfactor = 80);
-- Each order within an org unit, for the few units of a department, and over all of them, for everything above.
CREATE INDEX queue_entry_unit_due_idx ON queue_entry (org_unit, due_key, created_key, ticket_id);
CREATE INDEX queue_entry_unit_urgency_idx ON queue_entry (org_unit, urgency, created_key, ticket_id);
CREATE INDEX queue_entry_unit_newness_idx ON queue_entry (org_unit, newness, created_key, ticket_id);
CREATE INDEX queue_entry_due_idx ON queue_entry (due_key, created_key, ticket_id);
CREATE INDEX queue_entry_urgency_idx ON queue_entry (urgency, created_key, ticket_id);
CREATE INDEX queue_entry_newness_idx ON queue_entry (newness, created_key, ticket_id);
CREATE INDEX queue_entry_turn_idx ON queue_entry (turn, ticket_id);
CREATE INDEX queue_entry_who_idx ON queue_entry USING gin (who);
COMMENT ON TABLE queue_entry IS 'The tickets that are neither closed nor cancelled, as queues show them (T-23).';
COMMENT ON COLUMN queue_entry.due_key IS
    'The earliest deadline that is owed, of a running clock or a broken one that is not fulfilled, in microseconds since '
    '1970; the greatest number where there is none.';
COMMENT ON COLUMN queue_entry.urgency IS '0 urgent to 3 low.';
COMMENT ON COLUMN queue_entry.newness IS 'Minus created_key.';
COMMENT ON COLUMN queue_entry.created_key IS 'When the ticket was registered, in microseconds since 1970.';
COMMENT ON COLUMN queue_entry.who IS 'Whose it is, to be looked for by: <field>:<subject>.';
COMMENT ON COLUMN queue_entry.fields IS
    'What filters look at, under the names of the filter language; what is not set is absent. Times are microseconds.';
COMMENT ON COLUMN queue_entry.turn IS
    'The projection''s turn that last put it where it is. Pages leave out what was put there after the first of them was '
    'read, and show that at the end.';

CREATE TABLE search_document (
    place     bigint    PRIMARY KEY,
    ticket_id uuid      NOT NULL UNIQUE,
    tokens    integer[] NOT NULL,
    body      text COLLATE "C" NOT NULL,
    digest    text      NOT NULL
);
-- A short list of pending entries: every search reads through it.
CREATE INDEX search_document_token_idx ON search_document USING gin (tokens) WITH (gin_pending_list_limit = 256);
-- Of tens of thousands of hashes no statistics help, and taking them is the most expensive part of an ANALYZE.
ALTER TABLE search_document ALTER COLUMN tokens SET STATISTICS 0;
COMMENT ON TABLE search_document IS 'What can be found of each ticket (T-23).';
COMMENT ON COLUMN search_document.place IS 'Counts the documents in the order of the journal; newest first is by this.';
COMMENT ON COLUMN search_document.tokens IS
    'Hashes from 0 up: of the words, single characters and pairs of characters of the body, and of the org units at and above '
    'the ticket. Below 0: the blocks of places that it lies in, of 2,048, 16,384 and 131,072, so that a search can look at '
    'the newest ones without going through all that have a common word.';
COMMENT ON COLUMN search_document.body IS 'The text as it is compared: folded, words with one blank between them.';
COMMENT ON COLUMN search_document.digest IS 'Of the text and org unit that it was made of.';

CREATE TABLE saved_view (
    id         uuid        PRIMARY KEY,
    revision   bigint      NOT NULL CHECK (revision > 0),
    owner      text        NOT NULL CHECK (owner <> ''),
    slot       smallint    NOT NULL CHECK (slot BETWEEN 1 AND 100),
    org_unit   text COLLATE "C" NOT NULL,
    title      text        NOT NULL CHECK (title <> ''),
    shared     boolean     NOT NULL,
    filter     text        NOT NULL,
    sort       text        NOT NULL CHECK (sort IN ('due_time', 'priority', 'newest')),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT saved_view_slot_key UNIQUE (owner, slot)
);
CREATE INDEX saved_view_org_unit_idx ON saved_view (org_unit, id);
COMMENT ON TABLE saved_view IS 'Queues under names (T-23).';
COMMENT ON COLUMN saved_view.slot IS 'One of the owner''s hundred places, so that nobody saves without end.';

DO $$
DECLARE
    app text := 'kefu_' || current_schema();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        EXECUTE format('REVOKE ALL ON projection, queue_entry, search_document, saved_view FROM %I', app);
        EXECUTE format('GRANT SELECT, UPDATE ON projection TO %I', app);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON queue_entry, search_document, saved_view TO %I', app);
    END IF;
END
$$;
