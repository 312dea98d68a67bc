-- Archives, contacts and standings (C-01, C-02, C-10). Runs as the owner of the context's schema, with that schema first
-- on the search path, after the migrations of journal and policy; nothing here names the schema.

CREATE TABLE customer (
    id                     uuid        PRIMARY KEY,
    code                   text        NOT NULL CONSTRAINT customer_code_key UNIQUE,
    org_unit               text COLLATE "C" NOT NULL
                           CONSTRAINT customer_org_unit_fkey REFERENCES org_unit (path),
    customer_type          text        NOT NULL CHECK (customer_type IN ('organization', 'person')),
    display_name           text        NOT NULL CHECK (display_name <> ''),
    short_name             text        NOT NULL,
    industry               text        NOT NULL,
    size                   text        CHECK (size IN ('large', 'medium', 'small', 'individual')),
    address                text        NOT NULL,
    source_channel         text        NOT NULL,
    lawful_basis           text        NOT NULL CHECK (
        lawful_basis IN ('consent', 'contract', 'legal_obligation', 'legitimate_interest')),
    cooperation_start_date date,
    account_manager        text        NOT NULL,
    product_lines          text[]      NOT NULL,
    tags                   text[]      NOT NULL,
    revision               bigint      NOT NULL CHECK (revision > 0),
    created_at             timestamptz NOT NULL,
    updated_at             timestamptz NOT NULL
);

COMMENT ON TABLE customer IS 'An organisation or a person that the company serves (C-01). Locked by whoever changes it or a standing of it.';
COMMENT ON COLUMN customer.code IS 'Given once, e.g. C-2026-riverside-000042.';
COMMENT ON COLUMN customer.org_unit IS 'The org unit that owns the archive; never changes.';
COMMENT ON COLUMN customer.size IS 'Null where not known.';
COMMENT ON COLUMN customer.account_manager IS 'Subject of the staff member; empty where there is none.';
COMMENT ON COLUMN customer.revision IS 'Counts the changes from 1; the etag (X-03).';

CREATE TABLE customer_scope (
    org_unit    text COLLATE "C" NOT NULL,
    created_at  timestamptz NOT NULL,
    customer_id uuid        NOT NULL REFERENCES customer (id),
    PRIMARY KEY (org_unit, created_at, customer_id)
);

COMMENT ON TABLE customer_scope IS
    'One row per customer and org unit at or above its own. "Owned at and below this org unit, newest first" is then one '
    'range of the primary key at every level of the tree, whatever share of the customers is below and however old they '
    'are. An index on (org_unit) would have to sort all of them, one on (created_at) to skip those of the others.';

CREATE TABLE customer_code_count (
    segment text    NOT NULL,
    year    integer NOT NULL,
    last    bigint  NOT NULL CHECK (last > 0),
    PRIMARY KEY (segment, year)
);

COMMENT ON TABLE customer_code_count IS
    'The last number given in customer codes, for each last segment of an org unit''s path and year (UTC). Org units with the '
    'same last segment share a count, so that a code is unique without its path. The row is locked until the '
    'transaction that took the number ends: no number is given twice, and none is lost.';

CREATE TABLE contact (
    id                uuid        PRIMARY KEY,
    customer_id       uuid        NOT NULL
                      CONSTRAINT contact_customer_id_fkey REFERENCES customer (id),
    display_name      text        NOT NULL CHECK (display_name <> ''),
    title             text        NOT NULL,
    phones            text[]      NOT NULL,
    emails            text[]      NOT NULL,
    messengers        text[]      NOT NULL,
    birthday          date,
    preferred_channel text        CHECK (
        preferred_channel IN ('phone', 'sms', 'email', 'messenger', 'letter', 'visit')),
    do_not_contact    jsonb       NOT NULL,
    decision_role     text        CHECK (
        decision_role IN ('decider', 'influencer', 'user', 'gatekeeper', 'technical', 'finance')),
    revision          bigint      NOT NULL CHECK (revision > 0),
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL
);
CREATE INDEX contact_customer_id_created_at_id_idx ON contact (customer_id, created_at, id);

COMMENT ON TABLE contact IS 'A person at a customer (C-02).';
COMMENT ON COLUMN contact.do_not_contact IS 'Array of {"channel", "reason"}; each channel at most once.';
COMMENT ON COLUMN contact.revision IS 'Counts the changes from 1; the etag (X-03).';

CREATE TABLE standing (
    id                uuid        PRIMARY KEY,
    customer_id       uuid        NOT NULL
                      CONSTRAINT standing_customer_id_fkey REFERENCES customer (id),
    department        text COLLATE "C" NOT NULL
                      CONSTRAINT standing_department_fkey REFERENCES org_unit (path),
    product_line      text COLLATE "C" NOT NULL,
    grade             text        NOT NULL CHECK (grade <> ''),
    reason            text        NOT NULL,
    graded_at         timestamptz NOT NULL,
    policy_version_id uuid        NOT NULL REFERENCES policy_version (id),
    revision          bigint      NOT NULL CHECK (revision > 0),
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    CONSTRAINT standing_place_key UNIQUE (customer_id, department, product_line)
);

COMMENT ON TABLE standing IS 'A customer''s grade in one department and, where set, one product line (C-10).';
COMMENT ON COLUMN standing.product_line IS 'Empty means all.';
COMMENT ON COLUMN standing.graded_at IS 'Since when the customer has this grade.';
COMMENT ON COLUMN standing.policy_version_id IS 'The version of the customer policy by which the grade was given (X-10).';
COMMENT ON COLUMN standing.revision IS 'Counts the changes from 1; the etag (X-03).';

-- The application role is named after the schema. Nothing of this is ever deleted.
DO $$
DECLARE
    app text := 'kefu_' || current_schema();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        EXECUTE format('REVOKE ALL ON customer, customer_scope, customer_code_count, contact, standing FROM %I', app);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON customer, customer_code_count, contact, standing TO %I', app);
        EXECUTE format('GRANT SELECT, INSERT ON customer_scope TO %I', app);
    END IF;
END
$$;
