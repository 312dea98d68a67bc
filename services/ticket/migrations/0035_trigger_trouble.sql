-- Triggers that should have acted and did not, where whoever runs the machinery finds them (T-26); what waits for headquarters or
-- for the receiver of a transfer, where filters find it (T-11, T-15, T-23). As in 0001, nothing here names the schema.

-- Beside trigger_run, which is large and mostly of triggers that acted: it needs no other index and no lock for this.
CREATE TABLE trigger_trouble (
    root_event uuid        NOT NULL,
    rule       text        NOT NULL,
    org_unit   text COLLATE "C" NOT NULL,
    outcome    text        NOT NULL CHECK (outcome IN ('refused', 'too_deep', 'too_often', 'failed')),
    run_at     timestamptz NOT NULL,
    PRIMARY KEY (root_event, rule)
);
COMMENT ON TABLE trigger_trouble IS
    'The rows of trigger_run whose trigger did not act, by org unit (T-26). Put there in the transaction of the run; never '
    'changed.';
COMMENT ON COLUMN trigger_trouble.org_unit IS 'The ticket''s when the trigger ran.';

INSERT INTO trigger_trouble (root_event, rule, org_unit, outcome, run_at)
SELECT run.root_event, run.rule, ticket.org_unit, run.outcome, run.run_at
FROM trigger_run AS run JOIN ticket ON ticket.id = run.ticket_id
WHERE run.outcome <> 'acted';

CREATE INDEX trigger_trouble_org_unit_idx ON trigger_trouble (org_unit, outcome, run_at, root_event, rule);

-- As in 0031, with the new names.
CREATE OR REPLACE FUNCTION ticket_fields(of ticket, states jsonb, due jsonb, owed_at timestamptz) RETURNS jsonb
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
        'order_reference', nullif(of.order_reference, ''),
        'shop', nullif(of.shop, ''),
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
        'transfer_to', of.handling #>> '{transfer,to}',
        'supervision', CASE WHEN of.handling -> 'supervision' IS NOT NULL THEN
                                CASE WHEN of.handling #> '{supervision,answered_at}' IS NOT NULL THEN 'answered'
                                     WHEN of.handling #> '{supervision,missed_at}' IS NOT NULL THEN 'missed'
                                     ELSE 'open' END END,
        'report_time', (extract(epoch FROM (of.handling ->> 'reported_at')::timestamptz) * 1000000)::bigint,
        'due_time', (extract(epoch FROM owed_at) * 1000000)::bigint,
        'clock', states,
        'due', due))
$$;

-- Of what is queued, only the tickets that have one of them.
UPDATE queue_entry
SET fields = ticket_fields(ticket, owes.states, owes.due, owes.owed_at)
FROM ticket CROSS JOIN LATERAL ticket_owes(ticket.id, ticket.cycle) AS owes
WHERE ticket.id = queue_entry.ticket_id AND ticket.handling ?| ARRAY['transfer', 'supervision', 'reported_at'];

DO $$
DECLARE
    app text := 'kefu_' || current_schema();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        EXECUTE format('REVOKE ALL ON trigger_trouble FROM %I', app);
        EXECUTE format('GRANT SELECT, INSERT ON trigger_trouble TO %I', app);
    END IF;
END
$$;
