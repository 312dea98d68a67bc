-- Invitations and answers (S-04, S-05, S-08). Runs as the owner of the context's schema, with that schema first on the
-- search path, after the migrations of journal and policy; nothing here names the schema.

CREATE TABLE invitation (
    id                uuid        PRIMARY KEY,
    org_unit          text COLLATE "C" NOT NULL CHECK (org_unit <> ''),
    campaign          text        NOT NULL CHECK (campaign <> ''),
    ticket_id         uuid        NOT NULL,
    ticket_number     text        NOT NULL,
    ticket_cycle      integer     NOT NULL CHECK (ticket_cycle > 0),
    handler           text        NOT NULL,
    customer_id       uuid,
    contact_id        uuid        CHECK (contact_id IS NULL OR customer_id IS NOT NULL),
    policy_version_id uuid        NOT NULL REFERENCES policy_version (id),
    state             text        NOT NULL CHECK (state IN ('created', 'issued', 'answered', 'expired', 'revoked')),
    state_at          timestamptz NOT NULL,
    token_hash        bytea       CHECK (length(token_hash) = 32),
    revoke_reason     text        CHECK (
        revoke_reason IN ('staff', 'verdict_given', 'ticket_cancelled', 'do_not_contact')),
    created_at        timestamptz NOT NULL,
    expires_at        timestamptz NOT NULL CHECK (expires_at > created_at),
    revision          bigint      NOT NULL CHECK (revision > 0),
    CONSTRAINT invitation_matter_key UNIQUE (ticket_id, ticket_cycle, campaign),
    CONSTRAINT invitation_token_hash_key UNIQUE (token_hash),
    CONSTRAINT invitation_token_held CHECK ((token_hash IS NOT NULL) = (state IN ('issued', 'answered'))),
    CONSTRAINT invitation_revoked_why CHECK ((revoke_reason IS NOT NULL) = (state = 'revoked'))
);
CREATE INDEX invitation_customer_idx ON invitation (customer_id, created_at DESC, id DESC)
    WHERE customer_id IS NOT NULL;
CREATE INDEX invitation_contact_open_idx ON invitation (contact_id)
    WHERE contact_id IS NOT NULL AND state IN ('created', 'issued');
CREATE INDEX invitation_due_idx ON invitation (expires_at, id) WHERE state IN ('created', 'issued');

COMMENT ON TABLE invitation IS
    'Somebody is asked about one cycle of one ticket in one campaign: once, which invitation_matter_key proves whatever the '
    'feed delivers. Never deleted.';
COMMENT ON COLUMN invitation.campaign IS 'Code of the campaign in the policy by which it was made.';
COMMENT ON COLUMN invitation.handler IS
    'Subject of whoever handled the ticket, who may neither hold the token nor answer (T-13, S-05); empty where unknown.';
COMMENT ON COLUMN invitation.customer_id IS 'Null for an unregistered complainant.';
COMMENT ON COLUMN invitation.contact_id IS 'Null where nobody in particular is known.';
COMMENT ON COLUMN invitation.policy_version_id IS
    'The version of the survey policy in force when the result was fed back; holds the questionnaire (X-10).';
COMMENT ON COLUMN invitation.state_at IS 'Since when it is in this state, on the service''s clock.';
COMMENT ON COLUMN invitation.token_hash IS
    'SHA-256 of the token that works. Null in every state in which no token does, so that a token of an expired or revoked '
    'invitation is as unknown as an invented one. Kept after the answer, to tell its holder that it was answered.';
COMMENT ON COLUMN invitation.expires_at IS 'Answers are taken before this time, not at it.';
COMMENT ON COLUMN invitation.revision IS 'Counts the changes from 1; the etag (X-03).';

CREATE TABLE invitation_scope (
    org_unit      text COLLATE "C" NOT NULL,
    created_at    timestamptz NOT NULL,
    invitation_id uuid        NOT NULL REFERENCES invitation (id),
    PRIMARY KEY (org_unit, created_at, invitation_id)
);

COMMENT ON TABLE invitation_scope IS
    'One row per invitation and org unit at or above its own: "at and below this org unit, newest first" is one range of '
    'the primary key at every level of the tree.';

CREATE TABLE answer (
    id                uuid        PRIMARY KEY,
    invitation_id     uuid        NOT NULL REFERENCES invitation (id)
                      CONSTRAINT answer_invitation_id_key UNIQUE,
    org_unit          text COLLATE "C" NOT NULL,
    customer_id       uuid,
    policy_version_id uuid        NOT NULL REFERENCES policy_version (id),
    verdict           integer     NOT NULL CHECK (verdict BETWEEN 0 AND 10),
    comment           text        NOT NULL CHECK (length(comment) <= 2000),
    submitted_at      timestamptz NOT NULL,
    submitted_by      text        NOT NULL CHECK (submitted_by <> '')
);
CREATE INDEX answer_customer_idx ON answer (customer_id, submitted_at DESC, id DESC) WHERE customer_id IS NOT NULL;

COMMENT ON TABLE answer IS 'What was answered, once per invitation whatever the race (S-05). Never changed, never deleted.';
COMMENT ON COLUMN answer.org_unit IS 'The invitation''s.';
COMMENT ON COLUMN answer.customer_id IS 'The invitation''s.';
COMMENT ON COLUMN answer.policy_version_id IS 'Holds the questionnaire that was answered.';
COMMENT ON COLUMN answer.submitted_by IS
    'Subject of the staff member who entered it, or anonymous: the holder of the token.';

CREATE TABLE answer_scope (
    org_unit     text COLLATE "C" NOT NULL,
    submitted_at timestamptz NOT NULL,
    answer_id    uuid        NOT NULL REFERENCES answer (id),
    PRIMARY KEY (org_unit, submitted_at, answer_id)
);

COMMENT ON TABLE answer_scope IS 'As invitation_scope, for answers.';

CREATE TABLE contact_copy (
    id             uuid   PRIMARY KEY,
    customer_id    uuid   NOT NULL,
    do_not_contact text[] NOT NULL,
    revision       bigint NOT NULL CHECK (revision >= 0)
);

COMMENT ON TABLE contact_copy IS
    'How the customer context''s contacts may be reached, from its feed. Whoever invites a contact locks its row, as does '
    'who changes it, so that an opt-out never passes an invitation unseen.';
COMMENT ON COLUMN contact_copy.do_not_contact IS 'Channels that must not be used, as the feed names them, e.g. SMS.';
COMMENT ON COLUMN contact_copy.revision IS
    'Of the contact in the customer context; a copy never goes back. 0 while the feed has not told of it yet.';

-- The application role is named after the schema. Nothing of this is ever deleted, and answers never change.
DO $$
DECLARE
    app text := 'kefu_' || current_schema();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        EXECUTE format('REVOKE ALL ON invitation, invitation_scope, answer, answer_scope, contact_copy FROM %I', app);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON invitation, contact_copy TO %I', app);
        EXECUTE format('GRANT SELECT, INSERT ON invitation_scope, answer, answer_scope TO %I', app);
    END IF;
END
$$;
