-- The content of tickets (T-01): files, and the company's own fields.

-- Null where there is none, which costs nothing.
ALTER TABLE ticket ADD COLUMN custom_fields jsonb CHECK (jsonb_typeof(custom_fields) = 'object');

COMMENT ON COLUMN ticket.custom_fields IS
    'The company''s own fields by their codes in the ticket''s policy: a text, or an array of texts where several were chosen.';

CREATE TABLE attachment (
    id            uuid        PRIMARY KEY,
    revision      bigint      NOT NULL CHECK (revision > 0),
    ticket_id     uuid        NOT NULL REFERENCES ticket,
    customer_id   uuid,
    file_name     text        NOT NULL CHECK (file_name <> ''),
    media_type    text        NOT NULL,
    declared_type text        NOT NULL,
    size_bytes    bigint      NOT NULL CHECK (size_bytes >= 0),
    sha256        bytea       NOT NULL CHECK (length(sha256) IN (0, 32)),
    object_key    text,
    state         text        NOT NULL CHECK (state IN ('stored', 'withdrawn', 'refused')),
    refuse_reason text,
    uploaded_by   text        NOT NULL CHECK (uploaded_by <> ''),
    created_at    timestamptz NOT NULL,
    withdrawn_at  timestamptz,
    withdrawn_by  text,
    reason        text,
    CONSTRAINT attachment_withdrawn_whole CHECK (
        (state = 'withdrawn') = (withdrawn_at IS NOT NULL)
        AND (withdrawn_at IS NULL) = (withdrawn_by IS NULL) AND (withdrawn_at IS NULL) = (reason IS NULL)),
    CONSTRAINT attachment_refused_whole CHECK ((state = 'refused') = (refuse_reason IS NOT NULL)),
    CONSTRAINT attachment_has_bytes CHECK ((state = 'refused') = (object_key IS NULL)),
    CONSTRAINT attachment_hashed CHECK (state = 'refused' OR length(sha256) = 32)
);
-- The list of a ticket, and what its files come to.
CREATE INDEX attachment_ticket_idx ON attachment (ticket_id, created_at, id);
CREATE UNIQUE INDEX attachment_object_key ON attachment (object_key) WHERE object_key IS NOT NULL;

COMMENT ON TABLE attachment IS
    'Files of tickets (T-01). The bytes are in the object store under object_key, complete before the row is there; a row and '
    'its bytes are never deleted. What was refused has a row and no bytes.';
COMMENT ON COLUMN attachment.sha256 IS 'Empty for what was refused before its end.';

-- Written before the first byte is stored and deleted with the row of the attachment: what is left here is left over in the
-- object store.
CREATE TABLE attachment_upload (
    id         uuid        PRIMARY KEY,
    object_key text        NOT NULL UNIQUE,
    begun_at   timestamptz NOT NULL DEFAULT now(),
    swept      boolean     NOT NULL DEFAULT false
);
CREATE INDEX attachment_upload_begun_idx ON attachment_upload (begun_at, id);

COMMENT ON TABLE attachment_upload IS
    'Uploads under way. One that is older than any upload may take has broken off: its bytes are deleted, then its row.';
COMMENT ON COLUMN attachment_upload.swept IS 'Its bytes are being deleted: whoever still uploads them comes too late.';
COMMENT ON COLUMN attachment_upload.begun_at IS 'On the database''s clock: an upload takes real time.';

DO $$
DECLARE
    app text := 'kefu_' || current_schema();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        EXECUTE format('REVOKE ALL ON attachment, attachment_upload FROM %I', app);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON attachment TO %I', app);
        EXECUTE format('GRANT SELECT, INSERT, DELETE, UPDATE ON attachment_upload TO %I', app);
    END IF;
END
$$;
