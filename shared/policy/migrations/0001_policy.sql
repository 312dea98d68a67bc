-- Policies of one context, and the org units that they are attached to. Runs as the owner of the context's schema, with
-- that schema first on the search path; nothing here names the schema.

CREATE TABLE policy_head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    seq      bigint  NOT NULL
);
INSERT INTO policy_head (seq) VALUES (0);

COMMENT ON TABLE policy_head IS
    'One row, locked by whoever applies a policy, so that versions commit in the order of their seq. An identity column '
    'would not promise that: a reader that has seen seq 6 could miss a 5 that commits later.';
COMMENT ON COLUMN policy_head.seq IS 'The newest seq given.';

CREATE TABLE policy_version (
    seq          bigint      PRIMARY KEY,
    id           uuid        NOT NULL UNIQUE,
    org_unit     text        NOT NULL CHECK (org_unit <> ''),
    version      integer     NOT NULL CHECK (version > 0),
    effective_at timestamptz NOT NULL,
    body         bytea       NOT NULL,
    body_json    jsonb       NOT NULL,
    created_at   timestamptz NOT NULL,
    created_by   text        NOT NULL CHECK (created_by <> ''),
    UNIQUE (org_unit, version)
);

COMMENT ON TABLE policy_version IS
    'What a regulation said, attached to an org unit from a time on; never changed, never deleted (X-10).';
COMMENT ON COLUMN policy_version.seq IS 'Order of commits over all org units; max(seq) tells a reader whether its copy is whole.';
COMMENT ON COLUMN policy_version.version IS 'Counts the versions of one org unit from 1.';
COMMENT ON COLUMN policy_version.effective_at IS 'From when it applies, on the service''s clock (X-05).';
COMMENT ON COLUMN policy_version.body IS 'The policy message of the context, serialised: what the program reads.';
COMMENT ON COLUMN policy_version.body_json IS 'The same as canonical JSON: what a person reads.';
COMMENT ON COLUMN policy_version.created_by IS 'Subject of who applied it.';

CREATE TABLE org_unit (
    path       text COLLATE "C" PRIMARY KEY,
    id         uuid        NOT NULL UNIQUE,
    title_en   text        NOT NULL,
    title_zh   text        NOT NULL,
    revision   bigint      NOT NULL CHECK (revision > 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

COMMENT ON TABLE org_unit IS
    'The company''s tree. The customer context writes it; the others keep this copy from the customer context''s feed.';
COMMENT ON COLUMN org_unit.path IS
    'E.g. group/north/riverside. Ordered by bytes, so that "below this path" is a range of the primary key.';
COMMENT ON COLUMN org_unit.id IS 'What the journal calls it; the same in every context.';
COMMENT ON COLUMN org_unit.revision IS 'Counts its changes from 1; a copy never goes back.';

-- The application role is named after the schema. What default privileges may have given is taken back first.
DO $$
DECLARE
    app text := 'kefu_' || current_schema();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        EXECUTE format('REVOKE ALL ON policy_head, policy_version, org_unit FROM %I', app);
        EXECUTE format('GRANT SELECT, UPDATE ON policy_head TO %I', app);
        EXECUTE format('GRANT SELECT, INSERT ON policy_version TO %I', app);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON org_unit TO %I', app);
    END IF;
END
$$;
