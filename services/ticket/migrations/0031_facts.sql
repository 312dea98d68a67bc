-- What a ticket concerns besides its product, and whose it is once that was put right (T-01). As in 0001, nothing here names
-- the schema.

ALTER TABLE ticket
    ADD COLUMN order_reference text NOT NULL DEFAULT '',
    ADD COLUMN shop            text NOT NULL DEFAULT '';
COMMENT ON COLUMN ticket.product IS 'The product concerned; empty where none was named.';
COMMENT ON COLUMN ticket.order_reference IS
    'The customer''s order or contract concerned, as the customer names it; empty where none was named. No work order: those '
    'name their ticket.';
COMMENT ON COLUMN ticket.shop IS 'The shop concerned, by code or name; empty where none was named.';

-- As in 0029, with the new names. What is queued has neither yet, so queue_entry.fields stays as it is.
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
        'due_time', (extract(epoch FROM owed_at) * 1000000)::bigint,
        'clock', states,
        'due', due))
$$;

-- Whose a ticket is may have been put down wrong. With the ticket goes what hangs on it, also what else never changes.
DO $$
DECLARE
    app text := 'kefu_' || current_schema();
    evidence text;
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        FOREACH evidence IN ARRAY ARRAY[
            'verdict', 'escalation', 'message', 'routing_step', 'handling_record', 'root_cause', 'trigger_run']
        LOOP
            EXECUTE format('GRANT UPDATE (customer_id) ON %I TO %I', evidence, app);
        END LOOP;
    END IF;
END
$$;
