-- What filters ask for, in one place (T-23); who is looking (T-24); routing by triggers, macros and again (T-03, T-26). As in
-- 0001, nothing here names the schema.

-- What the clocks of a cycle of a ticket are like and what is owed, by rule; where it is named in FROM, Postgres makes it part
-- of the statement.
CREATE FUNCTION ticket_owes(ticket uuid, of_cycle integer)
RETURNS TABLE (states jsonb, due jsonb, owed_at timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    -- Of several rounds the last one counts, but for what is owed.
    SELECT jsonb_object_agg(rule, state ORDER BY round),
           jsonb_object_agg(rule, (extract(epoch FROM due_at) * 1000000)::bigint ORDER BY round) FILTER (WHERE owed),
           min(due_at) FILTER (WHERE owed)
    FROM (
        SELECT rule, state, round, due_at,
               due_at IS NOT NULL AND (
                   state = 'running'
                   OR (breached_at IS NOT NULL AND fulfilled_at IS NULL AND cancelled_at IS NULL)) AS owed
        FROM ticket_clock
        WHERE ticket_clock.ticket_id = ticket_owes.ticket AND ticket_clock.cycle = ticket_owes.of_cycle
    ) AS clock
$$;

-- A ticket under the names of the filter language; what is not set is absent, times are microseconds since 1970. To be able
-- to filter by one more thing, add it here and to the schema in domain/queue.rs, and give queue_entry.fields the new values
-- in the same migration. It asks no table, so that it costs no call of a function per row.
CREATE FUNCTION ticket_fields(of ticket, states jsonb, due jsonb, owed_at timestamptz) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object(
        'state', of.state,
        'kind', of.kind,
        'channel', of.channel,
        'priority', of.priority,
        'severity', of.severity,
        'receiver_level', of.receiver_level,
        'cycle', of.cycle,
        'number', of.number,
        'product', nullif(of.product, ''),
        'category', nullif(of.category, ''),
        'org_unit', of.org_unit,
        'tag', of.tags,
        'fields', of.custom_fields,
        'first_contact_owner', of.first_contact_owner,
        'handler', of.handler,
        'owner', of.owner,
        'team', of.team_id,
        'customer', of.customer_id,
        'customer_grade', nullif(of.customer_grade, ''),
        'complainant_type', of.complainant_type,
        'create_time', (extract(epoch FROM of.created_at) * 1000000)::bigint,
        'update_time', (extract(epoch FROM of.updated_at) * 1000000)::bigint,
        'undelivered', CASE (of.outbound #>> '{undelivered,cancelled}')::boolean
                           WHEN true THEN 'cancelled' WHEN false THEN 'parked' END,
        'due_time', (extract(epoch FROM owed_at) * 1000000)::bigint,
        'clock', states,
        'due', due))
$$;

-- By whose value a queue is found without going through the others.
CREATE FUNCTION ticket_who(of ticket) RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT array_remove(ARRAY[
        'owner:' || of.owner,
        'handler:' || of.handler,
        'customer:' || of.customer_id,
        'first_contact_owner:' || of.first_contact_owner,
        'team:' || of.team_id], NULL)
$$;

UPDATE queue_entry
SET fields = ticket_fields(ticket, owes.states, owes.due, owes.owed_at), who = ticket_who(ticket)
FROM ticket CROSS JOIN LATERAL ticket_owes(ticket.id, ticket.cycle) AS owes
WHERE ticket.id = queue_entry.ticket_id;
COMMENT ON COLUMN queue_entry.who IS 'Whose it is, to be looked for by: <field>:<value>, see ticket_who().';
COMMENT ON COLUMN queue_entry.fields IS 'What filters look at, see ticket_fields().';

ALTER TABLE routing_step DROP CONSTRAINT routing_step_cause_check;
ALTER TABLE routing_step ADD CONSTRAINT routing_step_cause_check
    CHECK (cause IN ('intake', 'duty', 'absence', 'left', 'manual', 'transfer', 'trigger', 'macro', 'rerouted'));

-- Who is looking is nobody's evidence and need not outlive the database: these tables are not logged. Whoever looks is held
-- by the lease of the process that serves the stream, so that to keep a thousand of them costs one small write per process
-- now and then.
CREATE UNLOGGED TABLE viewer_lease (
    process    uuid        PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE viewer_lease IS 'The processes that serve people who look at tickets (T-24); one that does not renew is dead.';

CREATE UNLOGGED TABLE ticket_viewer (
    ticket_id uuid        NOT NULL,
    process   uuid        NOT NULL REFERENCES viewer_lease ON DELETE CASCADE,
    staff     text COLLATE "C" NOT NULL CHECK (staff <> ''),
    since     timestamptz NOT NULL,
    PRIMARY KEY (ticket_id, process, staff)
);
CREATE INDEX ticket_viewer_process_idx ON ticket_viewer (process);
COMMENT ON TABLE ticket_viewer IS 'Who is looking at which ticket, through which process (T-24).';

CREATE UNLOGGED TABLE ticket_composing (
    ticket_id  uuid        NOT NULL,
    staff      text COLLATE "C" NOT NULL CHECK (staff <> ''),
    since      timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (ticket_id, staff)
);
CREATE INDEX ticket_composing_expiry_idx ON ticket_composing (expires_at);
COMMENT ON TABLE ticket_composing IS 'Who is composing a reply, until they say it again (T-24).';

DO $$
DECLARE
    app text := 'kefu_' || current_schema();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        EXECUTE format('REVOKE ALL ON viewer_lease, ticket_viewer, ticket_composing FROM %I', app);
        EXECUTE format(
            'GRANT SELECT, INSERT, UPDATE, DELETE ON viewer_lease, ticket_viewer, ticket_composing TO %I', app);
    END IF;
END
$$;
