-- The outbox (T-14, T-26): what leaves this system, in the transaction of what caused it, and what became of it.

CREATE TABLE delivery (
    id               uuid        PRIMARY KEY,
    revision         bigint      NOT NULL CHECK (revision > 0),
    ticket_id        uuid        NOT NULL REFERENCES ticket,
    customer_id      uuid,
    org_unit         text COLLATE "C" NOT NULL,
    message_id       uuid        REFERENCES message,
    content          text        NOT NULL CHECK (content IN ('message', 'notice', 'event')),
    rule             text,
    adapter          text        NOT NULL,
    kind             text        NOT NULL CHECK (kind IN ('mail', 'webhook')),
    recipient        text        NOT NULL,
    subject          text        NOT NULL,
    body             text,
    state            text        NOT NULL CHECK (state IN ('pending', 'sent', 'parked', 'cancelled')),
    attempts         integer     NOT NULL CHECK (attempts >= 0),
    allowed_attempts integer     NOT NULL CHECK (allowed_attempts > 0),
    round_attempts   integer     NOT NULL CHECK (round_attempts > 0),
    first_wait_ms    bigint      NOT NULL CHECK (first_wait_ms > 0),
    longest_wait_ms  bigint      NOT NULL CHECK (longest_wait_ms >= first_wait_ms),
    next_attempt_at  timestamptz,
    lease            uuid,
    leased_until     timestamptz,
    last_error       text,
    provider_id      text,
    sent_at          timestamptz,
    created_by       text        NOT NULL CHECK (created_by <> ''),
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    CONSTRAINT delivery_carries_something CHECK ((message_id IS NULL) <> (body IS NULL)),
    CONSTRAINT delivery_message_content CHECK ((content = 'message') = (message_id IS NOT NULL)),
    CONSTRAINT delivery_waits_while_pending CHECK ((state = 'pending') = (next_attempt_at IS NOT NULL)),
    CONSTRAINT delivery_sent_whole CHECK ((state = 'sent') = (sent_at IS NOT NULL)),
    CONSTRAINT delivery_lease_whole CHECK ((lease IS NULL) = (leased_until IS NULL))
);
-- What is due, adapter by adapter, so that one that hangs keeps no other from its work.
CREATE INDEX delivery_due_idx ON delivery (adapter, next_attempt_at) WHERE state = 'pending';
CREATE INDEX delivery_org_unit_idx ON delivery (org_unit, state, created_at, id);
CREATE INDEX delivery_ticket_idx ON delivery (ticket_id, created_at, id);
-- A message is sent by one delivery.
CREATE UNIQUE INDEX delivery_message_key ON delivery (message_id) WHERE message_id IS NOT NULL;

COMMENT ON TABLE delivery IS
    'The outbox (T-14, T-26). Written in the transaction of what caused it; sent afterwards, at least once, with its id as '
    'the key by which a receiver recognises a second copy.';
COMMENT ON COLUMN delivery.rule IS 'The trigger of the ticket''s policy that asked for it; null where a person did.';
COMMENT ON COLUMN delivery.body IS 'What is sent; null for a message, which has its text itself.';
COMMENT ON COLUMN delivery.attempts IS 'How often sending was begun, whether it was heard of again or not.';
COMMENT ON COLUMN delivery.allowed_attempts IS 'After so many it is parked; a retry by a person adds round_attempts.';
COMMENT ON COLUMN delivery.round_attempts IS 'The policy''s number of attempts when it was put here, as are the waits (X-10).';
COMMENT ON COLUMN delivery.next_attempt_at IS 'On the service''s clock (X-05).';
COMMENT ON COLUMN delivery.lease IS 'Of whoever is sending it now; no transaction is open meanwhile.';
COMMENT ON COLUMN delivery.leased_until IS
    'On the database''s clock: how long a sender may be silent in real time before another one takes over.';

DO $$
DECLARE
    app text := 'kefu_' || current_schema();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        EXECUTE format('REVOKE ALL ON delivery FROM %I', app);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON delivery TO %I', app);
    END IF;
END
$$;
